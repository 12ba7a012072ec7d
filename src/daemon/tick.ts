import { InvariantError } from "../core/invariant-error.ts";
import { jobKinds } from "../core/job.ts";
import { type DueJob, type PlannedStop, planTick, type TickInput, type TickPlan } from "../core/plan-tick.ts";
import type { StagedTransaction } from "../ledger/run-ledger.ts";
import { type FireFences, takeFireFences } from "../store/fire-fence.ts";
import type { StoreSnapshot } from "../store/job-store.ts";
import { LockHeldError } from "../system/lock.ts";
import { reloadAttempts, tellEndedRetries } from "./attempts.ts";
import type { AheadClaims } from "./claim-ahead.ts";
import type { DaemonParts } from "./daemon-parts.ts";
import type { HomeRuntime } from "./home-runtime.ts";
import {
  type DurableClaim,
  durableClaims,
  type Look,
  lookAt,
  type StagedClaims,
  stageClaims,
  writeRows,
} from "./stage-claims.ts";
import { standingLook } from "./standing-look.ts";
import { tickInput } from "./tick-input.ts";
import { voidRuns } from "./void-run.ts";

/** How long a claim waits for `.jobs.lock` without yielding: its holders need milliseconds. */
export const lockWaitMs = 15;
/** A little less than a plan has such a job wait, as timers fire a little early. */
const fenceRetryMs = 200;
/** Older than this, a machine slept over a plan or its clock was set: what was on time then is late by now. */
const lookLifeMs = 10_000;

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
 * What it returns is in force, and may be started once it is on the disk (`bringToDisk`). `ahead` is all but the locked part, done
 * already for this very instant.
 */
export function tick(parts: DaemonParts, home: HomeRuntime, ahead: AheadClaims | null = null): TickReport {
  home.standing = null;
  if (ahead !== null) {
    try {
      return tickLocked(parts, home, ahead.look, ahead.staged);
    } finally {
      ahead.staged.finish();
    }
  }
  parts.fault("before-look");
  const snapshot = home.store.read();
  let look = lookAt(parts, home, snapshot);
  if (isIdle(look.plan)) {
    home.wakeAtMs = look.plan.wakeAtMs;
    home.waiting = look.plan.waiting;
    home.standing = standingLook(parts, home, look);
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

function tickLocked(parts: DaemonParts, home: HomeRuntime, look: Look, staged: StagedClaims | null): TickReport {
  parts.fault("before-lock");
  const locked = whileFenced(parts, home, look, (fences) => claimAlone(parts, home, look, staged, fences));
  if (locked === null) {
    const claims = claimRequested(parts, home, look, staged);
    home.waiting = look.plan.waiting + look.plan.claims.length - claims.length;
    return { kind: "locked", claims };
  }
  const { done, lockHeldMs } = locked;
  return done === null ? { kind: "locked", claims: [] } : { kind: "claimed", ...done, lockHeldMs };
}

/** Null when somebody else holds the tick lock. */
function claimAlone(
  parts: DaemonParts,
  home: HomeRuntime,
  look: Look,
  staged: StagedClaims | null,
  fences: FireFences,
): { readonly done: Done | null; readonly lockHeldMs: number } | null {
  const lock = parts.system.locks.tryLock(`${home.cronFolder}/.tick.lock`);
  if (lock === null) return null;
  const lockedAtMs = parts.system.clock.monotonicMs();
  let done: Done | null;
  try {
    parts.fault("after-lock");
    done = claimDue(parts, home, look, staged, fences);
    parts.fault("before-release");
  } finally {
    lock.release();
  }
  const lockHeldMs = parts.system.clock.monotonicMs() - lockedAtMs;
  parts.measure.lockHeldMs(home.name, lockHeldMs);
  parts.fault("after-release");
  return { done, lockHeldMs };
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
  // Where nothing else is due there is room for more of them.
  const requested = { snapshot: look.snapshot, input, plan: planTick(input) };
  const done = whileFenced(parts, home, requested, (fences) =>
    claimDue(parts, home, requested, null, fences, requestedOnly),
  );
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
  home.store.rehearse((snapshot) => lookAt(parts, home, snapshot, wakeAtMs).plan.patches);
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

/** Null when the jobs lock was busy for longer than a claim waits: nothing was written, and the next try is soon. */
function claimDue(
  parts: DaemonParts,
  home: HomeRuntime,
  look: Look,
  staged: StagedClaims | null,
  fences: FireFences,
  narrow: (input: TickInput) => TickInput = (input) => input,
): Done | null {
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
  }
  const plan: TickPlan | null = made;
  if (plan !== null) takeIn(parts, home, plan);
  // Others had to wait for the room that was meant for these.
  if (fences.busy.size > 0) home.dirty = true;
  return { claims: claimed, stops: plan === null ? [] : (plan as TickPlan).stops };
}

/**
 * Holds the fences of all that a look would claim. They are many and the tick lock is dear, so they come before it: whoever waits
 * for none of its locks cannot be part of a deadlock, whatever the order.
 */
function whileFenced<Result>(
  { system }: DaemonParts,
  home: HomeRuntime,
  { plan }: Look,
  act: (fences: FireFences) => Result,
): Result {
  const fences = takeFireFences(
    system,
    home.cronFolder,
    plan.claims.map((claim) => claim.jobId),
  );
  try {
    const now = system.clock.monotonicMs();
    const until = home.fencedUntilMonotonicMs;
    for (const [jobId, untilMs] of until) if (untilMs <= now) until.delete(jobId);
    for (const jobId of fences.busy) until.set(jobId, now + fenceRetryMs);
    return act(fences);
  } finally {
    fences.release();
  }
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
  const isFresh = Math.abs(parts.system.clock.nowMs() - look.input.nowMs) < lookLifeMs;
  if (isFresh && snapshot === look.snapshot && fences.busy.size === 0 && home.hold() === look.input.hold)
    return look.plan;
  // A plan asks the ledger what was served: rows of ours that never come into force must not answer.
  staged?.ledger.rollback();
  const found = tickInput(parts, home, snapshot.jobs);
  const busy = [...found.busyJobs, ...fences.busy];
  const input = narrow({ ...found, busyJobs: new Set(busy) });
  const plan = planTick(input);
  const unfenced = plan.claims.map((claim) => claim.jobId).filter((jobId) => !fences.held.has(jobId));
  return unfenced.length === 0 ? plan : planTick({ ...input, busyJobs: new Set([...busy, ...unfenced]) });
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

/**
 * The claims are not on the disk, so these gates will never open: their rows must not look like runs whose end was missed, and the
 * launchers that they name must not serve another claim. A record may hold one all the same, and is cleared before the next.
 */
export function voidClaims(parts: DaemonParts, home: HomeRuntime, claims: readonly DurableClaim[]): void {
  for (const { run } of claims) {
    home.pools[run.kind].take(run.id).child.discard();
    home.unvoided.add(run.id);
  }
  if (claims.length > 0) {
    home.isCleared = false;
    home.dirty = true;
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
  voidRuns(parts, home, runs, "The claim could not be brought to the disk, so nothing was started");
  home.unvoided.clear();
}
