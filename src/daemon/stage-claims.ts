import type { ReadyGate } from "../child/gate-pool.ts";
import { InvariantError } from "../core/invariant-error.ts";
import type { Job } from "../core/job.ts";
import { type PlannedClaim, planTick, type TickInput, type TickPlan } from "../core/plan-tick.ts";
import type { Run } from "../core/run.ts";
import type { StagedTransaction } from "../ledger/run-ledger.ts";
import type { StagedUpdate, StoreSnapshot } from "../store/job-store.ts";
import type { DaemonParts } from "./daemon-parts.ts";
import { readyGates } from "./home-gates.ts";
import type { HomeRuntime } from "./home-runtime.ts";
import type { JobProgram } from "./job-program.ts";
import { tickInput } from "./tick-input.ts";

/** A claim that is on disk, with the gate that now may open for it. */
export interface DurableClaim {
  readonly run: Run;
  readonly job: Job;
  readonly gate: ReadyGate;
  /** What is to run in it, where that was looked up ahead. */
  readonly program: JobProgram | null;
}

/** A plan with all that it was made of. */
export interface Look {
  readonly snapshot: StoreSnapshot;
  readonly input: TickInput;
  readonly plan: TickPlan;
}

/** Plans for this moment, or for a near one. */
export function lookAt(parts: DaemonParts, home: HomeRuntime, snapshot: StoreSnapshot, nowMs?: number): Look {
  const input = tickInput(parts, home, snapshot.jobs, nowMs);
  return { snapshot, input, plan: planTick(input) };
}

/** The claims of a look, written to the ledger and beside `jobs.json`, and in force in neither. */
export interface StagedClaims {
  readonly claims: readonly DurableClaim[];
  readonly ledger: StagedTransaction;
  readonly store: StagedUpdate | null;
  /** To be called in any case, and no longer under locks; a second call does nothing. */
  finish(): void;
}

/** What takes longest is done before the locks, unless somebody has been holding them: then it would be done in vain. */
export function stageClaims(
  parts: DaemonParts,
  home: HomeRuntime,
  look: Look,
  programFor: (job: Job) => JobProgram | null = () => null,
): StagedClaims | null {
  if (home.lockBusy !== null) return null;
  let store: StagedUpdate | null = null;
  try {
    store = home.store.stage(look.snapshot, look.plan.patches);
    const claims = durableClaims(home, look.plan, look.snapshot.jobs).map((claim) => ({
      ...claim,
      program: programFor(claim.job),
    }));
    const ledger = parts.ledger.stage(() => writeRows(parts, home, look.plan, claims));
    let isFinished = false;
    const finish = (): void => {
      if (isFinished) return;
      isFinished = true;
      ledger.rollback();
      store?.finish();
    };
    return { claims, ledger, store, finish };
  } catch (error) {
    store?.finish();
    if (error instanceof InvariantError) throw error;
    // A read-only home or a full disk: taking the locks, or the write under them, says so.
    return null;
  }
}

export function writeRows(
  parts: DaemonParts,
  home: HomeRuntime,
  plan: TickPlan,
  claimed: readonly DurableClaim[],
): void {
  parts.ledger.claim(claimed.map((claim) => claim.run));
  for (const { retryOf, gate } of plan.claims) if (retryOf !== undefined) parts.ledger.startRetry(retryOf, gate.runId);
  for (const { runId, reason } of plan.retryEnds) parts.ledger.endRetry(runId, reason);
  parts.ledger.writeSlots(home.name, plan.slots);
  parts.ledger.writeCursors(home.name, plan.cursors, plan.cursorsDropped);
}

export function durableClaims(home: HomeRuntime, plan: TickPlan, jobs: readonly Job[]): readonly DurableClaim[] {
  // Of two records with one id the first is meant, as in the plan.
  const byId = new Map(jobs.toReversed().map((job) => [job.id, job]));
  const gates = new Map(readyGates(home).map((gate) => [gate.runId, gate]));
  return plan.claims.map((claim) => {
    const job = byId.get(claim.jobId);
    const gate = gates.get(claim.gate.runId);
    if (job === undefined || gate === undefined) {
      throw new Error(`Cannot claim job "${claim.jobId}": the plan names a job or gate that is not there`);
    }
    return { job, gate, run: newRun(home, job, gate, claim), program: null };
  });
}

export function newRun(
  home: HomeRuntime,
  job: Job,
  gate: ReadyGate,
  claim: Pick<PlannedClaim, "trigger" | "scheduledAtMs" | "claimedAtMs" | "attempt">,
): Run {
  return {
    id: gate.runId,
    home: home.name,
    jobId: job.id,
    jobName: job.name,
    kind: job.kind,
    trigger: claim.trigger,
    scheduledAtMs: claim.trigger === "manual" ? null : claim.scheduledAtMs,
    claimedAtMs: claim.claimedAtMs,
    startedAtMs: null,
    endedAtMs: null,
    attempt: claim.attempt ?? 1,
    state: "claimed",
    reason: null,
    exitCode: null,
    signal: null,
    fingerprint: gate.child.fingerprint,
    owner: gate.owner,
    adopted: false,
    error: null,
    outputBytes: null,
    outputPath: `${gate.folder}/output.log`,
    documentPath: null,
  };
}
