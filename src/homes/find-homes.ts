import { basename, dirname, isAbsolute, join, relative, resolve } from "node:path";
import { parseInstant } from "../core/instant.ts";
import { createZone } from "../core/zone.ts";
import type { Files } from "../system/files.ts";
import type { System } from "../system/system.ts";

export interface FoundHome {
  /** The profile's name; `default` for the root home. */
  readonly name: string;
  readonly path: string;
  /** `unsupported` is never written to; `degraded` cannot be read now. */
  readonly state: "active" | "unsupported" | "degraded";
  readonly reason: string | null;
}

export interface FoundHomes {
  readonly homes: readonly FoundHome[];
  /** Set when the profiles could not be listed: those known before must not be taken for deleted. */
  readonly error: string | null;
}

const profileName = /^[a-z0-9][a-z0-9_-]{0,63}$/;
/** A folder without any of these is what a cache or a heartbeat left behind, and no profile. */
export const identityMarkers: readonly string[] = [
  "config.yaml",
  ".env",
  "SOUL.md",
  "profile.yaml",
  "auth.json",
  "state.db",
];

/**
 * The root home: `flag` if given, else `HERMES_HOME`, else `~/.hermes`. A profile's home stands for the root it belongs to.
 * Throws a `RangeError` when there is nothing to go by.
 */
export function resolveRootHome(
  files: Pick<Files, "realPath">,
  variables: Readonly<Record<string, string | undefined>>,
  flag: string | null,
): string {
  const userHome = variables["HOME"] ?? "";
  const expand = (path: string) =>
    resolve(
      path
        .replace(
          /\$(?:\{(\w+)\}|(\w+))/g,
          (text, braced?: string, bare?: string) => variables[braced ?? bare ?? ""] ?? text,
        )
        .replace(/^~(?=\/|$)/, () => userHome),
    );
  if (flag !== null) return rootOf(expand(flag));
  const native = userHome === "" ? null : join(userHome, `.hermes${variables["HERMES_DATA_DIR_SUFFIX"] ?? ""}`);
  const asked = (variables["HERMES_HOME"] ?? "").trim();
  if (asked === "") {
    if (native === null)
      throw new RangeError("Cannot find the Hermes home: HOME is not set, expected --home or HERMES_HOME");
    return native;
  }
  const path = expand(asked);
  if (native !== null && isInside(realOrSame(files, path), realOrSame(files, native))) return native;
  return rootOf(path);
}

function rootOf(path: string): string {
  return basename(dirname(path)) === "profiles" ? dirname(dirname(path)) : path;
}

function isInside(path: string, folder: string): boolean {
  const way = relative(folder, path);
  return way === "" || !(way.startsWith("..") || isAbsolute(way));
}

function realOrSame(files: Pick<Files, "realPath">, path: string): string {
  try {
    return files.realPath(path);
  } catch {
    // Not there yet: the spelling is all there is to compare.
    return path;
  }
}

/** The homes below `rootHome` as Hermes 0.22 finds them: the root itself and every profile that is alive. Nothing is created. */
export function findHomes(system: Pick<System, "files">, rootHome: string): FoundHomes {
  const { files } = system;
  const homes: FoundHome[] = [];
  const profiles = join(rootHome, "profiles");
  let names: readonly string[];
  try {
    if (files.stat(rootHome)?.kind !== "folder") return { homes, error: null };
    homes.push(inspect(files, "default", rootHome));
    names = files.stat(profiles)?.kind === "folder" ? files.list(profiles) : [];
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code;
    if (code === undefined) throw cause;
    return {
      homes,
      error: `Cannot list the homes in "${rootHome}": ${code}, expected folders that this user can read`,
    };
  }
  for (const name of [...names].sort()) {
    if (!isProfileName(name)) continue;
    const home = inspectProfile(files, profiles, name);
    if (home !== null) homes.push(home);
  }
  return { homes, error: null };
}

/** Whether a folder below `profiles/` may be a profile by its name. */
export function isProfileName(name: string): boolean {
  return name !== "default" && profileName.test(name);
}

function inspectProfile(files: Files, profiles: string, name: string): FoundHome | null {
  const path = join(profiles, name);
  try {
    if (files.stat(path)?.kind !== "folder") return null;
    if (files.stat(join(profiles, ".deleted", name)) !== null) return null;
    if (!identityMarkers.some((marker) => isMarker(files, join(path, marker)))) return null;
  } catch (cause) {
    return degraded(name, path, cause);
  }
  return inspect(files, name, path);
}

/** A symlink that leads nowhere counts too: it says what the folder was meant to be. */
function isMarker(files: Files, path: string): boolean {
  const kind = files.statLink(path)?.kind;
  return kind === "file" || kind === "symlink";
}

function inspect(files: Files, name: string, path: string): FoundHome {
  try {
    for (const newer of ["runtime.db", "admissions"]) {
      if (files.stat(join(path, "cron", newer)) !== null) {
        return {
          name,
          path,
          state: "unsupported",
          reason: `cron/${newer} belongs to a newer Hermes than this program knows`,
        };
      }
    }
  } catch (cause) {
    return degraded(name, path, cause);
  }
  return { name, path, state: "active", reason: null };
}

function degraded(name: string, path: string, cause: unknown): FoundHome {
  const code = (cause as NodeJS.ErrnoException).code;
  if (code === undefined) throw cause;
  return { name, path, state: "degraded", reason: `${code} in "${path}", expected a folder that this user can read` };
}

/** Why nothing new may start in a home now. */
export interface Hold {
  readonly kind: "estop" | "drain" | "parked";
  readonly reason: string;
}

const drainAgeMaxMs = 3_600_000;
const utc = createZone("UTC", 0);

/**
 * The markers that forbid new runs in `home`, the strongest first. ESTOP and the drain request of the root count for every
 * home: a person who stops the host means all of it. `standalone` is what the home's config says about the host's gateway.
 */
export function readHolds(
  system: Pick<System, "files" | "clock">,
  home: { readonly name: string; readonly path: string },
  rootHome: string,
  standalone: boolean,
): readonly Hold[] {
  const { files } = system;
  const folders = home.path === rootHome ? [home.path] : [home.path, rootHome];
  const holds: Hold[] = [];
  const stopped = folders.find((folder) => existsOrUnknown(files, join(folder, "ESTOP")));
  if (stopped !== undefined)
    holds.push({ kind: "estop", reason: `${join(stopped, "ESTOP")} exists: hermes resume removes it` });
  const drained = folders.find((folder) => isDraining(system, join(folder, ".drain_request.json")));
  if (drained !== undefined)
    holds.push({ kind: "drain", reason: `${join(drained, ".drain_request.json")} asks for quiet` });
  if (home.name !== "default") {
    const parked = join(home.path, "gateway.parked");
    if (existsOrUnknown(files, parked))
      holds.push({ kind: "parked", reason: `${parked} exists: hermes -p ${home.name} gateway start removes it` });
    else if (standalone)
      holds.push({ kind: "parked", reason: "gateway.standalone is true: the profile's own gateway runs its jobs" });
  }
  return holds;
}

/** Whether a marker is there, or may be there: one that cannot be looked at counts, since it can only forbid. */
function existsOrUnknown(files: Files, path: string): boolean {
  try {
    return files.stat(path) !== null;
  } catch {
    return true;
  }
}

function isDraining(system: Pick<System, "files" | "clock">, path: string): boolean {
  const { files } = system;
  let body: unknown;
  try {
    if (files.stat(path) === null) return false;
    body = JSON.parse(files.readText(path).replace(/^\uFEFF/, ""));
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code;
    // Hermes takes what is no JSON for a request, and what cannot be opened for none.
    return code === undefined;
  }
  if (typeof body !== "object" || body === null || Array.isArray(body)) return true;
  const { epoch, requested_at: requestedAt } = body as Readonly<Record<string, unknown>>;
  const current = instantiationEpoch(files);
  if (current !== "" && epoch && epoch !== current) return false;
  const requestedAtMs = typeof requestedAt === "string" ? parseInstant(requestedAt, utc) : null;
  return requestedAtMs === null || system.clock.nowMs() - requestedAtMs <= drainAgeMaxMs;
}

/** `<boot id>:<start of process 1>`: another one after a reboot or a new container. Empty where the system cannot tell. */
function instantiationEpoch(files: Files): string {
  const bootId = readOrEmpty(files, "/proc/sys/kernel/random/boot_id").trim();
  const stat = readOrEmpty(files, "/proc/1/stat");
  const start =
    stat
      .slice(stat.lastIndexOf(")") + 1)
      .trim()
      .split(/\s+/)[19] ?? "";
  return bootId === "" && start === "" ? "" : `${bootId}:${start}`;
}

function readOrEmpty(files: Files, path: string): string {
  try {
    return files.readText(path);
  } catch {
    // No such file system here: the check that needs it is left out.
    return "";
  }
}
