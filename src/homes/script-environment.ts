import type { Files } from "../system/files.ts";
import { blockedVariables } from "./script-blocked-variables.ts";

/** A virtual environment or interpreter of the daemon's own must not become a script's. */
const interpreterMarks: ReadonlySet<string> = new Set(["VIRTUAL_ENV", "CONDA_PREFIX", "PYTHONHOME"]);
const temporaryFolders = ["TMPDIR", "TMP", "TEMP"];

/** What only scripts get, beside the snapshot of their home. */
export interface ScriptAdditions {
  /** `TERMINAL_*` of the home's config. */
  readonly terminal: Readonly<Record<string, string>>;
  /** A folder of the home's for temporary files, or null when there is none. It must exist. */
  readonly scratchFolder: string | null;
  /** Where the installed `hermes` is, so that a script finds it, or null. */
  readonly hermesFolder: string | null;
}

/**
 * The snapshot without what Hermes takes from a script: its own credentials, tokens and addresses of services, and marks of a virtual
 * environment; with what Hermes adds. `blocked` is the installed Hermes' own list where it could be asked.
 */
export function scriptEnvironment(
  variables: Readonly<Record<string, string>>,
  additions: ScriptAdditions,
  blocked: ReadonlySet<string> = blockedVariables,
): Readonly<Record<string, string>> {
  const all = { ...variables, ...additions.terminal };
  const kept = Object.fromEntries(Object.entries(all).filter(([name]) => !isBlocked(name, blocked)));
  const userHome = kept["HERMES_REAL_HOME"] || kept["HOME"];
  if (userHome) kept["HERMES_REAL_HOME"] = userHome;
  if (additions.hermesFolder !== null) {
    const folders = (kept["PATH"] ?? "").split(":").filter((folder) => folder !== "");
    if (!folders.includes(additions.hermesFolder)) kept["PATH"] = [additions.hermesFolder, ...folders].join(":");
  }
  if (additions.scratchFolder !== null && temporaryFolders.every((name) => (kept[name] ?? "").trim() === "")) {
    for (const name of [...temporaryFolders, "HERMES_SCRATCH_DIR"]) kept[name] = additions.scratchFolder;
  }
  kept["AI_AGENT"] ??= "hermes-agent";
  kept["HERMES_AGENT"] ??= "true";
  return kept;
}

/**
 * Hermes' folder for temporary files below the home, made if need be; null when it cannot be. The home itself is never made:
 * a deleted profile stays deleted.
 */
export function makeScratchFolder(files: Files, homePath: string): string | null {
  const cache = `${homePath}/cache`;
  try {
    files.makeFolder(cache, 0o700, false);
    files.makeFolder(`${cache}/scratch`, 0o700, false);
    return `${cache}/scratch`;
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === undefined) throw cause;
    // A full disk or a read-only home: scripts then use the system's own temporary folder.
    return null;
  }
}

/** Whether Hermes would take `name` from a script's environment; case does not matter. */
export function isBlocked(name: string, blocked: ReadonlySet<string> = blockedVariables): boolean {
  const upper = name.toUpperCase();
  return (
    blocked.has(name) ||
    blocked.has(upper) ||
    interpreterMarks.has(name) ||
    name.startsWith("_HERMES_FORCE_") ||
    (upper.startsWith("AUXILIARY_") && /_(?:API_KEY|BASE_URL)$/.test(upper)) ||
    (upper.startsWith("GATEWAY_RELAY_") && /_(?:SECRET|KEY|TOKEN)$/.test(upper))
  );
}
