import { formatGateOrder, type GateOrder } from "../../worker/protocol.ts";
import { openGate, type ReadyGate } from "../child/gate-pool.ts";
import { InvariantError } from "../core/invariant-error.ts";
import type { Job } from "../core/job.ts";
import { runFolder } from "../output/run-folder.ts";
import { resolveScript } from "../output/script-path.ts";
import type { DaemonParts } from "./daemon-parts.ts";
import type { HomeRuntime } from "./home-runtime.ts";
import type { DurableClaim } from "./tick.ts";

/** A claim whose gate stays closed, because there is nothing that could run. `text` is what the job's record will say. */
export interface RefusedLaunch {
  readonly claim: DurableClaim;
  readonly text: string;
}

type Program =
  | { readonly ok: true; readonly program: string; readonly argument: string; readonly folder: string }
  | { readonly ok: false; readonly text: string };

/** What became of claims: those that could not start, and what is still to be written down of those that did. */
export interface Launch {
  readonly refused: readonly RefusedLaunch[];
  /** Records the starts (step 9). To be called once the jobs have had the processor. */
  readonly record: () => void;
}

/**
 * Opens the gates of durable claims (step 8). Their records can wait: the file `started` that a launcher makes is what tells
 * a later daemon that a gate was open, so nothing is lost if we die in between.
 */
export function launchRuns(
  parts: DaemonParts,
  home: HomeRuntime,
  claims: readonly DurableClaim[],
  ended: (runId: string) => void,
): Launch {
  const refused: RefusedLaunch[] = [];
  const ready: {
    readonly claim: DurableClaim;
    readonly gate: ReadyGate;
    readonly script: string;
    readonly order: GateOrder;
  }[] = [];
  parts.fault("before-open");
  for (const claim of claims) {
    const gate = home.pool.take(claim.run.id);
    const prepared = prepare(parts, home, claim);
    if (prepared.ok) {
      ready.push({ claim, gate, script: prepared.order.argument, order: prepared.order });
    } else {
      gate.child.discard();
      refused.push({ claim, text: prepared.text });
    }
  }
  // Nothing but the opening in this loop: the jobs behind the first gates already want the processor.
  const started = ready.map(({ claim, gate, script, order }) => {
    openGate(gate, order);
    return { claim, gate, script, startedAtMs: parts.system.clock.nowMs() };
  });
  for (const { claim, gate, script } of started) watchChild(parts, home, claim, gate, script, ended);
  parts.fault("after-open");
  const record = (): void => {
    parts.fault("before-running");
    if (started.length > 0) {
      whileRunning(parts, home, () =>
        parts.ledger.transaction(() => {
          for (const { claim, startedAtMs } of started) {
            // The end of a short run may stand there already, and then its start does, too.
            if (parts.ledger.run(claim.run.id)?.state === "claimed") parts.ledger.start(claim.run.id, startedAtMs);
          }
        }),
      );
    }
    parts.fault("after-running");
    for (const { claim } of started) whileRunning(parts, home, () => writeSpec(parts, home, claim));
  };
  return { refused, record };
}

/** The job runs already, and its own file says so: what cannot be written beside it now must not leave it without a watch. */
function whileRunning(parts: DaemonParts, home: HomeRuntime, act: () => void): void {
  try {
    act();
  } catch (error) {
    if (error instanceof InvariantError) throw error;
    parts.system.log.error("the start of runs could not be recorded", { home: home.name, error: String(error) });
  }
}

function watchChild(
  parts: DaemonParts,
  home: HomeRuntime,
  { run, job }: DurableClaim,
  gate: ReadyGate,
  script: string,
  ended: (runId: string) => void,
): void {
  parts.children.add({
    runId: run.id,
    home: home.name,
    jobId: run.jobId,
    fingerprint: gate.child.fingerprint,
    ended: gate.child.ended,
    startedAtMs: parts.system.clock.nowMs(),
    script,
    cause: null,
    timeout: null,
    overAtMs: null,
    held: gate.child.held,
    limits: home.settings.limits(job),
  });
  void gate.child.ended.then(() => ended(run.id));
}

function orderOf(claim: DurableClaim, program: Program & { readonly ok: true }): GateOrder {
  return {
    jobId: claim.job.id,
    attempt: claim.run.attempt,
    scheduledAt: claim.run.scheduledAtMs === null ? "" : new Date(claim.run.scheduledAtMs).toISOString(),
    folder: program.folder,
    program: program.program,
    argument: program.argument,
  };
}

/** For people and for the run itself; a restart reads the ledger, never this. Names of variables only, no values. */
function writeSpec(parts: DaemonParts, home: HomeRuntime, claim: DurableClaim): void {
  const spec = {
    run_id: claim.run.id,
    home: home.name,
    home_path: home.path,
    job_id: claim.job.id,
    job_name: claim.job.name,
    kind: claim.job.kind,
    script: claim.job.script,
    workdir: claim.job.workdir,
    trigger: claim.run.trigger,
    attempt: claim.run.attempt,
    scheduled_at: claim.run.scheduledAtMs === null ? null : new Date(claim.run.scheduledAtMs).toISOString(),
    claimed_at: new Date(claim.run.claimedAtMs).toISOString(),
    environment: Object.keys(home.settings.environment.variables).sort(),
  };
  const path = runFolder(parts.stateFolder, claim.run.id).spec;
  parts.system.files.create(path, `${JSON.stringify(spec, null, 2)}\n`, 0o600);
}

/** A job whose script, folder or interpreter the system refuses to look at must not keep the others of its tick from starting. */
function prepare(
  parts: DaemonParts,
  home: HomeRuntime,
  claim: DurableClaim,
): { readonly ok: true; readonly order: GateOrder } | { readonly ok: false; readonly text: string } {
  try {
    const program = programOf(parts, home, claim.job);
    if (!program.ok) return program;
    const order = orderOf(claim, program);
    formatGateOrder(order);
    return { ok: true, order };
  } catch (error) {
    if (error instanceof InvariantError) throw error;
    return { ok: false, text: `Script cannot be started: ${error instanceof Error ? error.message : String(error)}` };
  }
}

/** Interpreter and folder as Hermes chooses them: by the script's ending only, its shebang does not count. */
function programOf(parts: DaemonParts, home: HomeRuntime, job: Job): Program {
  const script = resolveScript(parts.system, home.path, home.settings.userHome, job.script ?? "");
  if (!script.ok) return { ok: false, text: script.error };
  const workdir = job.workdir?.trim() ?? "";
  const folder =
    workdir !== "" && parts.system.files.stat(workdir)?.kind === "folder"
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
      : { ok: true, program: bash, argument: script.path, folder };
  }
  const chosen = job.interpreter?.trim() ?? "";
  if (chosen !== "") {
    const error = interpreterFault(parts, chosen, home.settings.userHome);
    return error === null
      ? { ok: true, program: expandUser(chosen, home.settings.userHome), argument: script.path, folder }
      : { ok: false, text: error };
  }
  const python = home.settings.python;
  return python === null
    ? {
        ok: false,
        text: `Cannot run script '${name}': no Python found. Set hermes.python in the supervisor's config.yaml, or put python3 on PATH.`,
      }
    : { ok: true, program: python, argument: script.path, folder };
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
