import type { GateOrder } from "../../worker/protocol.ts";
import { openGate, type ReadyGate } from "../child/gate-pool.ts";
import { executionId } from "../core/execution-row.ts";
import { InvariantError } from "../core/invariant-error.ts";
import type { RunReason } from "../core/run.ts";
import { writeJobFile } from "../output/prompt-files.ts";
import { runFolder } from "../output/run-folder.ts";
import type { DaemonParts } from "./daemon-parts.ts";
import type { HomeRuntime } from "./home-runtime.ts";
import { type JobProgram, programOf, workerProgram } from "./job-program.ts";
import { noteExecution } from "./record-executions.ts";
import type { DurableClaim } from "./stage-claims.ts";

/** A claim whose gate stays closed, because there is nothing that could run. `text` is what the job's record will say. */
export interface RefusedLaunch {
  readonly claim: DurableClaim;
  readonly reason: RunReason;
  readonly text: string;
}

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
    readonly order: GateOrder;
    readonly script: string;
  }[] = [];
  parts.fault("before-open");
  for (const claim of claims) {
    const gate = home.pools[claim.run.kind].take(claim.run.id);
    const program =
      claim.run.kind === "prompt"
        ? promptProgram(parts, home, claim)
        : (claim.program ?? programOf(parts, home, claim.job));
    if (program.ok) {
      ready.push({ claim, gate, order: orderOf(claim, program), script: program.script });
    } else {
      gate.child.discard();
      refused.push({
        claim,
        reason: claim.run.kind === "prompt" ? "blocked_config" : "not_started",
        text: program.text,
      });
    }
  }
  // Nothing but the opening in this loop: the jobs behind the first gates already want the processor.
  const started = ready.map(({ claim, gate, order, script }) => {
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
    // A row that was written meanwhile, as a prompt job's start has them written at once, says that this run is claimed.
    for (const { claim } of started) noteExecution(home, claim.run.id);
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
    if (!(error instanceof Error) || error instanceof InvariantError) throw error;
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
    kind: run.kind,
    cause: null,
    timeout: null,
    overAtMs: null,
    held: gate.child.held,
    limits: home.settings.limits(job),
  });
  void gate.child.ended.then(() => ended(run.id));
}

/** Hands the job to its worker. A prompt that nothing can run is blocked by its configuration, as Hermes calls it. */
function promptProgram(parts: DaemonParts, home: HomeRuntime, claim: DurableClaim): JobProgram {
  const worker = workerProgram(parts, home);
  if (worker === null) {
    const text = `${home.settings.hermesFault ?? "No Hermes was found"}, so this prompt could not run: see hermes.python in the supervisor's config.yaml`;
    return { ok: false, text };
  }
  const folder = runFolder(parts.stateFolder, claim.run.id);
  try {
    const record = home.store.recordText(claim.job.id);
    if (record === null) return { ok: false, text: "The job was removed before its run could start" };
    const hasRow = home.settings.hermes?.features["executions"] === true;
    writeJobFile(parts.system, folder, record, hasRow ? executionId(claim.run) : null);
  } catch (error) {
    if (!(error instanceof Error) || error instanceof InvariantError) throw error;
    return {
      ok: false,
      text: `The job could not be handed to its worker: ${error instanceof Error ? error.message : String(error)}`,
    };
  }
  return { ok: true, ...worker, folder: folder.path, script: worker.argument, isBash: false };
}

function orderOf(claim: DurableClaim, program: JobProgram & { readonly ok: true }): GateOrder {
  return {
    jobId: claim.job.id,
    attempt: claim.run.attempt,
    scheduledAt: claim.run.scheduledAtMs === null ? "" : new Date(claim.run.scheduledAtMs).toISOString(),
    folder: program.folder,
    program: program.program,
    argument: program.argument,
  };
}

/** For people and for the run itself; a restart reads the ledger, never this. Of variables their names and keyed hashes, no values. */
function writeSpec(parts: DaemonParts, home: HomeRuntime, claim: DurableClaim): void {
  const environment = home.settings.environments[claim.run.kind];
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
    environment: Object.keys(environment.variables).sort(),
    environment_hashes: environment.hashes ?? {},
  };
  const path = runFolder(parts.stateFolder, claim.run.id).spec;
  parts.system.files.create(path, `${JSON.stringify(spec, null, 2)}\n`, 0o600);
}
