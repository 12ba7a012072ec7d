import type { ReadyGate } from "../child/gate-pool.ts";
import { InvariantError } from "../core/invariant-error.ts";
import { type Job, jobKinds } from "../core/job.ts";
import {
  type DueJob,
  type PlannedClaim,
  type PlannedStop,
  planTick,
  type TickInput,
  type TickPlan,
} from "../core/plan-tick.ts";
import type { Run } from "../core/run.ts";
import type { MarkedProcess } from "../core/verify-laws.ts";
import type { StagedTransaction } from "../ledger/run-ledger.ts";
import { readMarkedProcesses } from "../output/marked-processes.ts";
import { type FireFences, takeFireFences } from "../store/fire-fence.ts";
import type { StagedUpdate, StoreSnapshot } from "../store/job-store.ts";
import { LockHeldError } from "../system/lock.ts";
import { heldUntilMs, reloadAttempts, tellEndedRetries } from "./attempts.ts";
import type { DaemonParts } from "./daemon-parts.ts";
import { readyGates } from "./home-gates.ts";
import type { HomeRuntime } from "./home-runtime.ts";
import { roomForJobs, roomIn } from "./room-for-runs.ts";
import { voidRuns } from "./void-run.ts";

/** How long a claim waits for `.jobs.lock` without yielding: its holders need milliseconds. */
export const lockWaitMs = 15;

/** A claim that is on disk, with the gate that now may open for it. */
export interface DurableClaim {
  readonly run: Run;
  readonly job: Job;
  readonly gate: ReadyGate;
}

export type TickReport =
  /** Nothing to do until `home.wakeAtMs`. */
  | { readonly kind: "idle"; readonly stops: readonly PlannedStop[] }
  /** Somebody else holds the tick lock. */
  | { readonly kind: "locked"; readonly claims: readonly DurableClaim[] }
  | {
      readonly kind: "claimed";
      readonly claims: readonly DurableClaim[];
      readonly stops: readonly PlannedStop[];
      readonly lockHeldMs: number;
    };

/**
 * One pass over a home (steps 1 to 7 of a run). Looks without a lock first: most wakes end there. Then writes the new
 * `jobs.json` beside the old one and, under the tick lock, looks again, writes the ledger and puts the new file in place.
 * What it returns is on the disk and may be started.
 */
export function tick(parts: DaemonParts, home: HomeRuntime): TickReport {
  parts.fault("before-look");
  const snapshot = home.store.read();
  let look = lookAt(parts, home, snapshot);
  if (isIdle(look.plan)) {
    home.wakeAtMs = look.plan.wakeAtMs;
    home.waiting = look.plan.waiting;
    return { kind: "idle", stops: look.plan.stops };
  }
  parts.fault("after-look");
  parts.fault("before-gates");
  if (gatesMissing(look.plan) > 0) {
    for (const kind of jobKinds) {
      const pool = home.pools[kind];
      const missing = look.plan.gatesMissing[kind];
      if (missing > 0) pool.fill(pool.ready().length + missing, home.settings.environments[kind]);
    }
    look = lookAt(parts, home, snapshot);
  }
  parts.fault("after-gates");
  const staged = stageClaims(parts, home, look);
  try {
    return tickLocked(parts, home, look, staged);
  } finally {
    staged?.finish();
  }
}

/** The claims of a look, written to the ledger and beside `jobs.json`, and in force in neither. */
interface StagedClaims {
  readonly claims: readonly DurableClaim[];
  readonly ledger: StagedTransaction;
  readonly store: StagedUpdate | null;
  /** To be called in any case, and no longer under locks. */
  finish(): void;
}

/** What takes longest is done before the locks, unless somebody has been holding them: then it would be done in vain. */
function stageClaims(parts: DaemonParts, home: HomeRuntime, look: Look): StagedClaims | null {
  if (home.lockBusy !== null) return null;
  let store: StagedUpdate | null = null;
  try {
    store = home.store.stage(look.snapshot, look.plan.patches);
    const claims = durableClaims(home, look.plan, look.snapshot.jobs);
    const ledger = parts.ledger.stage(() => writeRows(parts, home, look.plan, claims));
    const finish = (): void => {
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

function tickLocked(parts: DaemonParts, home: HomeRuntime, look: Look, staged: StagedClaims | null): TickReport {
  parts.fault("before-lock");
  const lock = parts.system.locks.tryLock(`${home.cronFolder}/.tick.lock`);
  if (lock === null) {
    const claims = claimRequested(parts, home, look, staged);
    home.waiting = look.plan.waiting + look.plan.claims.length - claims.length;
    return { kind: "locked", claims };
  }
  const lockedAtMs = parts.system.clock.monotonicMs();
  let done: Done | null;
  try {
    parts.fault("after-lock");
    done = claimDue(parts, home, look, staged);
    parts.fault("before-release");
  } finally {
    lock.release();
  }
  const lockHeldMs = parts.system.clock.monotonicMs() - lockedAtMs;
  parts.measure.lockHeldMs(home.name, lockHeldMs);
  parts.fault("after-release");
  if (done === null) return { kind: "locked", claims: [] };
  return { kind: "claimed", ...done, lockHeldMs };
}

/**
 * Runs that people asked Hermes for, while somebody else holds the tick lock. As `hermes cron run`, they need the job's fence and the
 * jobs lock alone: whoever ticks takes a job only by a claim under both, and finds ours.
 */
function claimRequested(
  parts: DaemonParts,
  home: HomeRuntime,
  look: Look,
  staged: StagedClaims | null,
): readonly DurableClaim[] {
  if (!look.plan.claims.some((claim) => claim.trigger === "manual")) return [];
  staged?.ledger.rollback();
  const input = requestedOnly(look.input);
  const done = claimDue(parts, home, { snapshot: look.snapshot, input, plan: planTick(input) }, null, requestedOnly);
  return done?.claims ?? [];
}

/** The jobs of which somebody asked for a run, and no others. */
function requestedOnly(input: TickInput): TickInput {
  const jobs = input.jobs.filter((job) => job.manualRunAt !== null && job.manualRunAt === job.nextRunAt?.text);
  const ids = new Set(jobs.map((job) => job.id));
  const cursors = new Map([...input.cursors].filter(([id]) => ids.has(id)));
  return { ...input, jobs, cursors, retries: new Map() };
}

/** What a tick wrote and what follows from it. */
interface Done {
  readonly claims: readonly DurableClaim[];
  readonly stops: readonly PlannedStop[];
}

/**
 * Goes through the tick at which this home wakes next, and lets go of what comes out: the real one then runs code that was
 * used a moment ago. It is what fifty jobs wait for.
 */
export function rehearseTick(parts: DaemonParts, home: HomeRuntime, wakeAtMs: number): void {
  home.store.rehearse((snapshot) => planTick({ ...tickInput(parts, home, snapshot.jobs), nowMs: wakeAtMs }).patches);
}

/** What is due in a home and would start if there were room: from a plan that nothing comes of. */
export function dueJobs(parts: DaemonParts, home: HomeRuntime): readonly DueJob[] {
  if (countDue(parts, home) === 0) return [];
  return planTick({ ...tickInput(parts, home, home.store.read().jobs), gates: [], capacity: 0 }).candidates;
}

/** How many jobs have come due, whatever else may keep them from running. */
export function countDue(parts: DaemonParts, home: HomeRuntime): number {
  const nowMs = parts.system.clock.nowMs();
  let count = 0;
  for (const { id, enabled, nextRunAt } of home.store.read().jobs) {
    const owedMs = home.cursors.get(id)?.owed?.fromMs ?? Number.POSITIVE_INFINITY;
    const retryMs = home.retries.get(id)?.dueAtMs ?? Number.POSITIVE_INFINITY;
    if (enabled && Math.min(owedMs, retryMs, nextRunAt?.ms ?? Number.POSITIVE_INFINITY) <= nowMs) count += 1;
  }
  for (const { dueAtMs } of home.retries.values()) if (dueAtMs <= nowMs) count += 1;
  return count;
}

/** A plan with all that it was made of. */
interface Look {
  readonly snapshot: StoreSnapshot;
  readonly input: TickInput;
  readonly plan: TickPlan;
}

function lookAt(parts: DaemonParts, home: HomeRuntime, snapshot: StoreSnapshot): Look {
  const input = tickInput(parts, home, snapshot.jobs);
  return { snapshot, input, plan: planTick(input) };
}

/** Null when the jobs lock was busy for longer than a claim waits: nothing was written, and the next try is soon. */
function claimDue(
  parts: DaemonParts,
  home: HomeRuntime,
  look: Look,
  staged: StagedClaims | null,
  narrow: (input: TickInput) => TickInput = (input) => input,
): Done | null {
  const wanted = look.plan.claims.map((claim) => claim.jobId);
  const fences = takeFireFences(parts.system, home.cronFolder, wanted);
  let made: TickPlan | null = null;
  let claimed: readonly DurableClaim[] = [];
  try {
    home.store.update(
      (snapshot) => {
        // The jobs lock is held from here on: this plan is made of what nobody else can change any more.
        parts.fault("before-plan");
        const plan = planUnderLock(parts, home, look, staged, snapshot, fences, narrow);
        const ready = plan === look.plan ? staged : null;
        claimed = ready?.claims ?? durableClaims(home, plan, snapshot.jobs);
        commitLedger(parts, ready?.ledger ?? parts.ledger.stage(() => writeRows(parts, home, plan, claimed)));
        made = plan;
        parts.fault("before-store-claim");
        return plan.patches;
      },
      lockWaitMs,
      staged?.store ?? null,
    );
    parts.fault("after-store-claim");
  } catch (error) {
    voidClaims(parts, home, claimed);
    if (error instanceof LockHeldError) return null;
    throw error;
  } finally {
    fences.release();
  }
  const plan: TickPlan | null = made;
  if (plan !== null) takeIn(parts, home, plan);
  return { claims: claimed, stops: plan === null ? [] : (plan as TickPlan).stops };
}

/** The plan of the look if all that it was made of still stands, which spares the locks a second one; else a new one. */
function planUnderLock(
  parts: DaemonParts,
  home: HomeRuntime,
  look: Look,
  staged: StagedClaims | null,
  snapshot: StoreSnapshot,
  fences: FireFences,
  narrow: (input: TickInput) => TickInput,
): TickPlan {
  if (snapshot === look.snapshot && fences.busy.size === 0 && home.hold() === look.input.hold) return look.plan;
  // A plan asks the ledger what was served: rows of ours that never come into force must not answer.
  staged?.ledger.rollback();
  const found = tickInput(parts, home, snapshot.jobs);
  const busy = [...found.busyJobs, ...fences.busy];
  const input = narrow({ ...found, busyJobs: new Set(busy) });
  const plan = planTick(input);
  const unfenced = plan.claims.map((claim) => claim.jobId).filter((jobId) => !fences.held.has(jobId));
  return unfenced.length === 0 ? plan : planTick({ ...input, busyJobs: new Set([...busy, ...unfenced]) });
}

function writeRows(parts: DaemonParts, home: HomeRuntime, plan: TickPlan, claimed: readonly DurableClaim[]): void {
  parts.ledger.claim(claimed.map((claim) => claim.run));
  for (const { retryOf, gate } of plan.claims) if (retryOf !== undefined) parts.ledger.startRetry(retryOf, gate.runId);
  for (const { runId, reason } of plan.retryEnds) parts.ledger.endRetry(runId, reason);
  parts.ledger.writeSlots(home.name, plan.slots);
  parts.ledger.writeCursors(home.name, plan.cursors, plan.cursorsDropped);
}

function commitLedger(parts: DaemonParts, rows: StagedTransaction): void {
  try {
    parts.fault("after-plan");
    parts.fault("before-ledger-claim");
    rows.commit();
  } finally {
    rows.rollback();
  }
  parts.fault("after-ledger-claim");
}

/** What the plan leaves for the next tick of this home. */
function takeIn(parts: DaemonParts, home: HomeRuntime, plan: TickPlan): void {
  if (plan.retryEnds.length > 0 || plan.claims.some((claim) => claim.retryOf !== undefined)) {
    reloadAttempts(parts, home);
    tellEndedRetries(parts, home, plan.retryEnds);
  }
  for (const [jobId, cursor] of plan.cursors) home.cursors.set(jobId, cursor);
  for (const jobId of plan.cursorsDropped) home.cursors.delete(jobId);
  for (const claim of plan.claims) home.restored.delete(claim.jobId);
  home.wakeAtMs = plan.wakeAtMs;
  home.waiting = plan.waiting;
  if (gatesMissing(plan) > 0) home.dirty = true;
}

function isIdle(plan: TickPlan): boolean {
  return (
    plan.claims.length === 0 &&
    plan.patches.size === 0 &&
    plan.slots.length === 0 &&
    plan.cursors.size === 0 &&
    plan.cursorsDropped.length === 0 &&
    plan.retryEnds.length === 0 &&
    gatesMissing(plan) === 0
  );
}

function gatesMissing({ gatesMissing: { prompt, script } }: TickPlan): number {
  return prompt + script;
}

function isPrompt(job: Job): boolean {
  return job.kind === "prompt";
}

export function tickInput(
  parts: DaemonParts,
  home: HomeRuntime,
  jobs: readonly Job[],
): TickInput & { readonly busyJobs: ReadonlySet<string> } {
  const inHome = parts.children.inHome(home.name);
  return {
    nowMs: parts.system.clock.nowMs(),
    zone: home.settings.zone,
    jobs,
    cursors: home.cursors,
    openRuns: inHome.map((child) => ({ id: child.runId, jobId: child.jobId, overAtMs: child.overAtMs })),
    gates: readyGates(home),
    capacity: roomIn(parts, home),
    room: roomForJobs(parts, home, home.waitsFor),
    ownerState: (by) => ownerState(parts, by),
    canRun: () => true,
    // What runs prompts is known in a moment.
    busyJobs: new Set(home.settings.isFindingHermes ? jobs.filter(isPrompt).map((job) => job.id) : []),
    hold: home.hold(),
    policyOf: home.settings.policy,
    runClaimLifeMs: home.settings.runClaimLifeMs,
    catchUpMissed: home.settings.catchUpMissed,
    isAliveElsewhere: aliveElsewhere(parts, home),
    // An older copy of the file may have been put back: what has run for an instant stands in the ledger.
    ranElsewhere: (jobId, scheduledAtMs) =>
      parts.ledger.isServed(home.name, jobId, scheduledAtMs) || home.executions.isCompleted(jobId, scheduledAtMs),
    wasBusyElsewhere: (jobId, scheduledAtMs) => home.executions.isOverlapped(jobId, scheduledAtMs),
    restored: home.restored,
    retries: home.retries,
    attemptsMax: (job) => home.settings.policy(job).retry?.attemptsMax ?? 0,
    heldUntilMs: (job) => heldUntilMs(parts, home, job),
  };
}

/**
 * Looks for what other supervisors' runs of a job left alive. Runs of our own ledger are seen to by what we keep of them, also
 * where they were allowed to leave something behind.
 */
export function aliveElsewhere(parts: DaemonParts, home: HomeRuntime): (job: Job) => boolean {
  let marked: readonly MarkedProcess[] | null = null;
  return (job) => {
    // Read once for all jobs of a tick: after a crash of the other one each of its claims asks.
    marked ??= readMarkedProcesses(parts.system) ?? [];
    return marked.some(
      (one) =>
        (one.jobId === job.id || one.jobId === "") &&
        isSameFolder(parts, one.homePath, home.path) &&
        parts.ledger.run(one.runId) === null,
    );
  };
}

function isSameFolder(parts: DaemonParts, path: string | null, other: string): boolean {
  if (path === null || path === other) return path === other;
  const { files } = parts.system;
  return files.stat(path) !== null && files.realPath(path) === files.realPath(other);
}

/** A claim names `host:pid[:token]`. Only a PID of this very host can be proven dead; all else is decided by its age. */
export function ownerState(parts: DaemonParts, by: string): "alive" | "dead" | "unknown" {
  const [host, pidText] = by.split(":");
  const pid = Number(pidText);
  if (host !== parts.system.processes.hostname || !Number.isSafeInteger(pid) || pid <= 0) return "unknown";
  return parts.system.processes.fingerprint(pid) === null ? "dead" : "alive";
}

function durableClaims(home: HomeRuntime, plan: TickPlan, jobs: readonly Job[]): readonly DurableClaim[] {
  // Of two records with one id the first is meant, as in the plan.
  const byId = new Map(jobs.toReversed().map((job) => [job.id, job]));
  const gates = new Map(readyGates(home).map((gate) => [gate.runId, gate]));
  return plan.claims.map((claim) => {
    const job = byId.get(claim.jobId);
    const gate = gates.get(claim.gate.runId);
    if (job === undefined || gate === undefined) {
      throw new Error(`Cannot claim job "${claim.jobId}": the plan names a job or gate that is not there`);
    }
    return { job, gate, run: newRun(home, job, gate, claim) };
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

/**
 * The store could not be written, so these gates will never open: their rows must not look like runs whose end was missed,
 * and the launchers that they name must not serve another claim.
 */
export function voidClaims(parts: DaemonParts, home: HomeRuntime, claims: readonly DurableClaim[]): void {
  for (const { run } of claims) {
    home.pools[run.kind].take(run.id).child.discard();
    home.unvoided.add(run.id);
  }
  try {
    voidRows(parts, home);
  } catch (error) {
    if (!(error instanceof Error) || error instanceof InvariantError) throw error;
    // The ledger has no more room than the store had: the rows are made void before the next claim.
  }
}

/** Makes void what `voidClaims` could not. To be called before the next claim of the home. */
export function voidRows(parts: DaemonParts, home: HomeRuntime): void {
  if (home.unvoided.size === 0) return;
  const runs = [...home.unvoided].map((runId) => parts.ledger.run(runId)).filter((run) => run !== null);
  voidRuns(parts, home, runs, "The claim could not be written to jobs.json, so nothing was started");
  home.unvoided.clear();
}
