import { InvariantError } from "../core/invariant-error.ts";
import type { Job } from "../core/job.ts";
import { resolveScript } from "../output/script-path.ts";
import type { DaemonParts } from "./daemon-parts.ts";
import type { HomeRuntime } from "./home-runtime.ts";

/** What a script job runs, or why it cannot. The texts are Hermes' own. */
export type JobProgram =
  | {
      readonly ok: true;
      readonly program: string;
      readonly argument: string;
      readonly folder: string;
      /** What people call it. */
      readonly script: string;
      readonly isBash: boolean;
    }
  | { readonly ok: false; readonly text: string };

/** What a prompt job runs: the worker, under the interpreter of the installed Hermes, in the folder of its run. */
export function workerProgram(
  parts: DaemonParts,
  home: HomeRuntime,
): { readonly program: string; readonly argument: string; readonly folder: null } | null {
  const { hermes } = home.settings;
  return hermes === null ? null : { program: hermes.python, argument: parts.workerPath, folder: null };
}

/** A job whose script, folder or interpreter the system refuses to look at must not keep the others of its tick from starting. */
export function programOf(parts: DaemonParts, home: HomeRuntime, job: Job): JobProgram {
  try {
    const chosen = chooseProgram(parts, home, job);
    // The gate brings each on a line of its own.
    return chosen.ok && [chosen.program, chosen.argument, chosen.folder].some((path) => /[\n\0]/u.test(path))
      ? { ok: false, text: "Script cannot be started: its path, folder or interpreter contains a line break or NUL" }
      : chosen;
  } catch (error) {
    if (!(error instanceof Error) || error instanceof InvariantError) throw error;
    return { ok: false, text: `Script cannot be started: ${error instanceof Error ? error.message : String(error)}` };
  }
}

/** Interpreter and folder as Hermes chooses them: by the script's ending only, its shebang does not count. */
function chooseProgram(parts: DaemonParts, home: HomeRuntime, job: Job): JobProgram {
  if ((job.script ?? "").trim() === "") {
    const text = "no_agent=True requires a script — with no agent and no script there is nothing for the job to run.";
    return { ok: false, text };
  }
  const script = resolveScript(parts.system, home.path, home.settings.userHome, job.script ?? "");
  if (!script.ok) return { ok: false, text: script.error };
  const workdir = job.workdir?.trim() ?? "";
  const folder =
    workdir.startsWith("/") && parts.system.files.stat(workdir)?.kind === "folder"
      ? workdir
      : script.path.slice(0, script.path.lastIndexOf("/"));
  const name = script.path.slice(script.path.lastIndexOf("/") + 1);
  if (/\.(?:sh|bash)$/iu.test(name)) {
    const bash = home.settings.bash;
    return bash === null
      ? {
          ok: false,
          text: `Cannot run .sh/.bash script '${name}': bash not found on PATH. Install bash, or rewrite the script as Python (.py).`,
        }
      : { ok: true, program: bash, argument: script.path, folder, script: script.path, isBash: true };
  }
  const plain = { ok: true, argument: script.path, folder, script: script.path, isBash: false } as const;
  const chosen = job.interpreter?.trim() ?? "";
  if (chosen !== "") {
    const error = interpreterFault(parts, chosen, home.settings.userHome);
    return error === null
      ? { ...plain, program: expandUser(chosen, home.settings.userHome) }
      : { ok: false, text: error };
  }
  const python = home.settings.python;
  return python === null
    ? {
        ok: false,
        text: `Cannot run script '${name}': no Python found. Set hermes.python in the supervisor's config.yaml, or put python3 on PATH.`,
      }
    : { ...plain, program: python.program, argument: python.argument(script.path) };
}

function expandUser(path: string, userHome: string | null): string {
  return path.startsWith("~/") && userHome !== null ? `${userHome}${path.slice(1)}` : path;
}

/** What Hermes 0.22 refuses of a job's own `interpreter` (`_resolve_cron_interpreter`). */
function interpreterFault(parts: DaemonParts, chosen: string, userHome: string | null): string | null {
  const path = expandUser(chosen, userHome);
  if (!path.startsWith("/")) {
    return `Interpreter must be an absolute or ~-prefixed path (got '${chosen}'). Bare names like 'python3' are not stable across PATH changes.`;
  }
  const stat = parts.system.files.stat(path);
  if (stat === null) return `Interpreter not found: ${chosen}`;
  if (stat.kind !== "file") return `Interpreter path is not a file: ${path}`;
  if ((stat.mode & 0o111) === 0) return `Interpreter is not executable: ${path}`;
  const names = [path, parts.system.files.realPath(path)].map((one) =>
    one.slice(one.lastIndexOf("/") + 1).toLowerCase(),
  );
  return names.every((name) => /^python(?:\d+(?:\.\d+)*)?$/u.test(name))
    ? null
    : `Interpreter must be a Python executable (python, python3, python3.12, ...): ${path}`;
}
