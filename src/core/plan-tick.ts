import { admit, type Gate, type GateCount } from "./admission.ts";
import { claimEndsAtMs, fireClaimLifeMs, type OwnerState, runClaimLifeDefaultMs, unclaimedSlot } from "./claim-life.ts";
import { classifyLateness, latenessSeconds } from "./dispatch-lateness.ts";
import { lateGraceMs } from "./grace.ts";
import { formatInstant, parseInstant } from "./instant.ts";
import { hasPauseMark, isRunnable, isTerminal, isUsedUp, type Job, type JobPatch, type StoredTime } from "./job.ts";
import { nextAhead, passedInstants } from "./missed-occurrence.ts";
import { computeNextRun, nextOccurrence, onceGraceMs } from "./next-occurrence.ts";
import {
  closeAwaited,
  continueBacklog,
  earlierStretches,
  formatScheduleKey,
  isNamedSince,
  isSameInstant,
  observeSlots,
  parseScheduleKey,
  passedSlots,
  type SlotView,
  servedThroughMs,
  slotLine,
  unbrokenSince,
  waitingLines,
  withFollowing,
} from "./observe-slots.ts";
import { isMovedByZone, isOffSchedule, rearmAfterError, recoverNextRun, toStoredTime } from "./repair-next-run.ts";
import type { Schedule } from "./schedule.ts";
import type { PendingReason, SlotCursor, SlotDecision, SlotLine } from "./slot.ts";
import type { Zone } from "./zone.ts";

export type { Gate } from "./admission.ts";
export type { SlotCursor } from "./slot.ts";

/** A run that this supervisor has not closed yet. */
export interface OpenRun {
  readonly id: string;
  readonly jobId: string;
  /** When it was over, if it is: then only the record of its end is still to be written. */
  readonly overAtMs?: number | null;
}

export interface TickInput {
  readonly nowMs: number;
  readonly zone: Zone;
  readonly jobs: readonly Job[];
  readonly cursors: ReadonlyMap<string, SlotCursor>;
  readonly openRuns: readonly OpenRun[];
  readonly gates: readonly Gate[];
  /** How many runs may start now, in this home, by every limit together. */
  readonly capacity: number;
  /** Whether a foreign claim's owner may still be alive: `dead` only where that is proven. */
  readonly ownerState: OwnerState;
  /** Which kinds of job this daemon can run; the rest is observed only. */
  readonly canRun: (job: Job) => boolean;
  /** Names the home state that forbids starting anything, or null. */
  readonly hold: "estop" | "drain" | "parked" | "disk" | null;
  /** How long a one-shot's `run_claim` holds: 30 minutes unless `HERMES_CRON_TIMEOUT` says more. */
  readonly runClaimLifeMs?: number;
  /** Hermes' `cron.catch_up_missed`: false drops slots that are later than their grace. */
  readonly catchUpMissed?: boolean;
  /** Whether a ledger, ours or Hermes' own, says that this instant was served, whatever the record says. */
  readonly ranElsewhere?: (jobId: string, scheduledAtMs: number) => boolean;
  /**
   * Whether anything lives that a run of this job started which is none of ours. Asked only where the claim of such a run holds
   * nobody off any more: its launcher is dead, or nobody renewed it.
   */
  readonly isAliveElsewhere?: (job: Job) => boolean;
  /** Jobs whose fire fence somebody else holds at this moment. */
  readonly busyJobs?: ReadonlySet<string>;
  /** By job, the instant whose claim was void and is to be served again. */
  readonly restored?: ReadonlyMap<string, number>;
}

export interface PlannedClaim {
  readonly jobId: string;
  readonly gate: Gate;
  readonly scheduledAtMs: number;
  readonly trigger: "schedule" | "manual";
  readonly latenessMs: number;
  readonly claimedAtMs: number;
}

export interface TickPlan {
  readonly claims: readonly PlannedClaim[];
  /** By job id, the claims' changes to the records among them. */
  readonly patches: ReadonlyMap<string, JobPatch>;
  readonly slots: readonly SlotLine[];
  /** The cursors that changed. */
  readonly cursors: ReadonlyMap<string, SlotCursor>;
  /** Jobs whose record is gone: forget their cursors. */
  readonly cursorsDropped: readonly string[];
  /** Jobs that are due and could run, but wait for room, a gate, a hold or somebody else's claim. */
  readonly waiting: number;
  /** Gates wanted but not given: spawn these and plan again. */
  readonly gatesMissing: GateCount;
  /** The earliest instant at which another tick has something to do, or null. */
  readonly wakeAtMs: number | null;
}

type Writable<Patch> = { -readonly [Key in keyof Patch]: Patch[Key] };

/** A job that is due and that nothing but room and gates keeps from running. */
interface Candidate {
  readonly job: Job;
  readonly schedule: Schedule;
  readonly next: StoredTime;
  readonly patch: Writable<JobPatch>;
  readonly isManual: boolean;
  readonly once: boolean;
  readonly dueAtMs: number;
}

interface Draft {
  readonly input: TickInput;
  readonly view: SlotView;
  readonly openRuns: ReadonlyMap<string, OpenRun>;
  readonly candidates: Candidate[];
  readonly claims: PlannedClaim[];
  readonly patches: Map<string, JobPatch>;
  readonly lines: SlotLine[];
  readonly cursors: Map<string, SlotCursor>;
  waiting: number;
  wakeAtMs: number;
}

/**
 * One pass over the jobs of a home. What is due is what Hermes 0.22 would find due; the differences stand in
 * `docs/hermes.md`.
 */
export function planTick(input: TickInput): TickPlan {
  const ranElsewhere = input.ranElsewhere ?? (() => false);
  const { nowMs, zone, ownerState } = input;
  const draft: Draft = {
    input,
    view: { nowMs, zone, ownerState, ranElsewhere },
    openRuns: new Map(input.openRuns.map((run) => [run.jobId, run])),
    candidates: [],
    claims: [],
    patches: new Map(),
    lines: [],
    cursors: new Map(),
    waiting: 0,
    wakeAtMs: Number.POSITIVE_INFINITY,
  };
  const seen = new Set<string>();
  let known = 0;
  for (const job of input.jobs) {
    // Of two records with one id Hermes writes the first, so that is the one with a schedule.
    if (seen.has(job.id)) continue;
    seen.add(job.id);
    const cursor = input.cursors.get(job.id);
    if (cursor !== undefined) known += 1;
    if (isQuiet(job, cursor, nowMs)) {
      // A paused job keeps an instant that may have passed long ago, and waits for nothing.
      if (job.enabled && job.nextRunAt !== null && job.nextRunAt.ms < draft.wakeAtMs && input.canRun(job))
        draft.wakeAtMs = job.nextRunAt.ms;
    } else {
      planJobSafely(draft, job, cursor);
    }
  }
  const dropped = known === input.cursors.size ? [] : closeLostJobs(draft, seen);
  const admission = admit(draft.candidates, input.gates, input.capacity);
  for (const { candidate, gate } of admission.admitted) claim(draft, candidate, gate);
  for (const candidate of admission.waiting) leaveWaiting(draft, candidate);
  return {
    claims: draft.claims,
    patches: draft.patches,
    slots: draft.lines,
    cursors: withSince(draft.cursors, input),
    cursorsDropped: dropped,
    waiting: draft.waiting,
    gatesMissing: admission.gatesMissing,
    wakeAtMs: draft.wakeAtMs === Number.POSITIVE_INFINITY ? null : draft.wakeAtMs,
  };
}

function withSince(
  cursors: ReadonlyMap<string, SlotCursor>,
  { cursors: known, nowMs }: TickInput,
): TickPlan["cursors"] {
  const dated = new Map<string, SlotCursor>();
  for (const [id, { sinceMs: _, earlier: __, ...cursor }] of cursors) {
    const sinceMs = unbrokenSince(cursor, known.get(id), nowMs);
    const earlier = earlierStretches(known.get(id), sinceMs);
    dated.set(id, {
      ...cursor,
      ...(sinceMs === null ? {} : { sinceMs }),
      ...(earlier.length === 0 ? {} : { earlier }),
    });
  }
  return dated;
}

/** Most jobs at most ticks: nothing about them has changed and their time has not come. */
function isQuiet(job: Job, cursor: SlotCursor | undefined, nowMs: number): boolean {
  if (cursor === undefined || cursor.backlog !== undefined) return false;
  if (!cursor.enabled) return !job.enabled;
  return (
    job.nextRunAt !== null &&
    job.nextRunAt.ms > nowMs &&
    isSameInstant(cursor.nextAtMs, job.nextRunAt.ms) &&
    job.enabled &&
    job.state === "scheduled" &&
    job.pausedAt === null &&
    job.fault === null &&
    job.pendingSlot === null &&
    job.lastStatus !== "error" &&
    cursor.servedBy === undefined
  );
}

function planJobSafely(draft: Draft, job: Job, cursor: SlotCursor | undefined): void {
  const lineCount = draft.lines.length;
  try {
    planJob(draft, job, cursor);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    // A cron expression that croniter refuses: the record is invalid, which whoever read it reports.
    draft.lines.length = lineCount;
    draft.patches.delete(job.id);
    waitInvalid(draft, job, draft.cursors.get(job.id) ?? cursor);
  }
}

function waitInvalid(draft: Draft, job: Job, cursor: SlotCursor | undefined): void {
  const { nowMs } = draft.input;
  if (!isRunnable(job) || cursor === undefined || cursor.nextAtMs === null || cursor.nextAtMs > nowMs) return;
  if (cursor.pending?.reason === "degraded") return;
  draft.lines.push(slotLine(job, cursor.nextAtMs, { decision: "pending", reason: "degraded" }, nowMs));
  draft.cursors.set(job.id, { ...cursor, pending: { reason: "degraded", throughMs: cursor.nextAtMs, count: 1 } });
}

function planJob(draft: Draft, job: Job, given: SlotCursor | undefined): void {
  const { input } = draft;
  const { nowMs, zone } = input;
  let cursor = given;
  if (cursor?.backlog !== undefined) {
    const written = continueBacklog(job, cursor, draft.view);
    draft.lines.push(...written.lines);
    cursor = written.cursor;
    draft.cursors.set(job.id, cursor);
    if (!written.isDone) {
      wakeAt(draft, nowMs);
      return;
    }
  }
  if (job.fault !== null || job.schedule === null) {
    waitInvalid(draft, job, cursor);
    return;
  }
  const { schedule } = job;
  const mayWrite = input.hold === null && input.canRun(job) && input.busyJobs?.has(job.id) !== true;
  if (!isRunnable(job)) {
    closeSlots(draft, job, schedule, cursor);
    if (mayWrite && isHalfPaused(job)) draft.patches.set(job.id, pausePatch(job, nowMs, zone));
    return;
  }

  const open = draft.openRuns.get(job.id);
  const isOpen = open !== undefined;
  // An instant that came when the run was over already was no overlap: it is served once the end stands in the record.
  const overAtMs = open?.overAtMs ?? null;
  const hasComeSince = (atMs: number): boolean => overAtMs !== null && atMs >= overAtMs && atMs <= nowMs;
  if ([job.nextRunAt?.ms, cursor?.nextAtMs].some((atMs) => atMs != null && hasComeSince(atMs))) return;
  // A one-shot keeps its instant while its run is open. One that runs early on request is due again when that run has ended.
  if (isOpen && schedule.kind === "once") return;
  const patch: Writable<JobPatch> = {};
  const runClaimEndsMs =
    schedule.kind === "once"
      ? claimEndsAtMs(job.runClaim, input.runClaimLifeMs ?? runClaimLifeDefaultMs, nowMs, input.ownerState)
      : null;
  let next = job.nextRunAt;
  if (runClaimEndsMs !== null) {
    if (next !== null) waitForClaim(draft, job, schedule, cursor, next, runClaimEndsMs);
    return;
  }
  const unclaimed = mayWrite && !isOpen ? unclaimedSlot(job, nowMs, input.ownerState) : null;
  if (unclaimed !== null) {
    const isEnumerated =
      next !== null && isNamedSince(schedule, unclaimed.ms, next.ms, zone) && !isOffSchedule(schedule, unclaimed, zone);
    if (next !== null && next.ms <= nowMs && !isEnumerated) {
      draft.lines.push(slotLine(job, next.ms, { decision: "move", reason: "reanchored" }, nowMs));
    }
    next = unclaimed;
    patch.nextRunAt = unclaimed.text;
    patch.pendingSlot = "drop";
  }
  if (next === null) {
    next = mayWrite ? recoverNextRun(job, schedule, nowMs, zone) : null;
    if (next === null) {
      remember(draft, job, schedule, cursor, null);
      return;
    }
    patch.nextRunAt = next.text;
    if (job.state === "error") patch.state = "scheduled";
  }
  const isManual = job.manualRunAt !== null && job.manualRunAt === next.text;
  if (isManual) {
    cursor = noticeEdit(draft, job, schedule, cursor);
  } else {
    const observed = observeSlots(job, schedule, next, cursor, isOpen, draft.view);
    draft.lines.push(...observed.lines);
    if (observed.unsettled !== null) {
      draft.cursors.set(job.id, observed.unsettled);
      // A record without an instant would get a later one at each tick, and so never reach it.
      if (job.nextRunAt === null) keepPatch(draft, job, patch);
      if (observed.wakeAtMs !== null) wakeAt(draft, observed.wakeAtMs);
      return;
    }
    const rearmed = mayWrite && !isOpen ? rearmAfterError(job, schedule, next, nowMs, zone, input.ownerState) : null;
    if (rearmed !== null) {
      next = rearmed;
      patch.nextRunAt = rearmed.text;
    }
    cursor = remember(draft, job, schedule, cursor, next.ms, observed.servedBy);
  }
  if (next.ms > nowMs) {
    keepPatch(draft, job, patch);
    if (input.canRun(job)) wakeAt(draft, next.ms);
    return;
  }
  planDue(draft, job, schedule, cursor, next, isManual, isOpen, patch);
}

/** A request hides the schedule's own instant, so an edit shows in the rule alone. */
function noticeEdit(
  draft: Draft,
  job: Job,
  schedule: Schedule,
  cursor: SlotCursor | undefined,
): SlotCursor | undefined {
  if (cursor === undefined || !cursor.enabled || cursor.scheduleText === formatScheduleKey(schedule)) return cursor;
  draft.lines.push(...closeAwaited(job, cursor, () => ({ decision: "move", reason: "edited" }), draft.view));
  return remember(draft, job, schedule, cursor, null);
}

/** The job's instant has come. */
function planDue(
  draft: Draft,
  job: Job,
  schedule: Schedule,
  given: SlotCursor | undefined,
  due: StoredTime,
  isManual: boolean,
  isOpen: boolean,
  patch: Writable<JobPatch>,
): void {
  const { input } = draft;
  const { nowMs, zone } = input;
  let cursor = given;
  let next = due;
  if (input.hold !== null || !input.canRun(job) || input.busyJobs?.has(job.id) === true) {
    const reason = input.hold ?? (input.canRun(job) ? "lock" : "no_daemon");
    if (reason !== "no_daemon") draft.waiting += 1;
    if (reason === "lock") wakeAt(draft, nowMs + busyRetryMs);
    if (!isManual) wait(draft, job, schedule, cursor, next, reason);
    return;
  }
  if (!isManual) {
    const served = skipServed(draft, job, schedule, next);
    if (served === null) {
      remember(draft, job, schedule, cursor, null);
      keepPatch(draft, job, patch);
      return;
    }
    if (served !== next) {
      next = served;
      patch.nextRunAt = next.text;
      cursor = remember(draft, job, schedule, cursor, next.ms);
      if (next.ms > nowMs) {
        keepPatch(draft, job, patch);
        wakeAt(draft, next.ms);
        return;
      }
    }
    if (schedule.kind === "cron") {
      const isMoved = isMovedByZone(next, nowMs, zone);
      if (isMoved) {
        passOver(draft, job, schedule, cursor, next.ms, { decision: "move", reason: "clock" }, patch);
        return;
      }
      if (isOffSchedule(schedule, next, zone) && job.parkedAt !== next.text) {
        draft.lines.push(slotLine(job, next.ms, { decision: "move", reason: "reanchored" }, nowMs));
        moveOn(draft, job, schedule, cursor, computeNextRun(schedule, nowMs, nowMs, zone), patch);
        return;
      }
    }
  }
  if (isOpen) {
    if (isManual) {
      // The request stays in the record and is served when the run has ended.
      skipOverlapped(draft, job, schedule, cursor);
    } else {
      passOver(draft, job, schedule, cursor, next.ms, { decision: "skip", reason: "overlap" }, patch);
    }
    return;
  }
  const fireClaimEndsMs = claimEndsAtMs(job.fireClaim, fireClaimLifeMs, nowMs, input.ownerState);
  if (fireClaimEndsMs !== null) {
    keepPatch(draft, job, patch);
    waitForClaim(draft, job, schedule, cursor, next, fireClaimEndsMs);
    return;
  }
  if (job.fireClaim !== null && input.isAliveElsewhere?.(job) === true) {
    keepPatch(draft, job, patch);
    waitForClaim(draft, job, schedule, cursor, next, nowMs + aliveRetryMs);
    return;
  }
  if (schedule.kind === "once") {
    const mayHaveStarted = job.fireClaim !== null || (job.runClaim !== null && job.runClaim.isOutage !== true);
    if (!isManual && nowMs - next.ms > onceGraceMs && mayHaveStarted) {
      // Somebody began it and nobody saw it end: Hermes neither runs nor removes such a record, and its own mark may still come.
      if (cursor?.nextAtMs !== null)
        draft.lines.push(slotLine(job, next.ms, { decision: "run", reason: "elsewhere" }, nowMs));
      remember(draft, job, schedule, cursor, null);
      return;
    }
    if (isUsedUp(job)) {
      draft.lines.push(slotLine(job, next.ms, { decision: "miss", reason: "repeat_used_up" }, nowMs));
      keepPatch(draft, job, { ...patch, enabled: false, state: "completed", nextRunAt: null });
      draft.cursors.set(job.id, { ...newCursor(job, schedule, null), enabled: false });
      return;
    }
  } else if (!isManual && input.catchUpMissed === false && nowMs - next.ms > lateGraceMs(schedule, zone, nowMs)) {
    passOver(draft, job, schedule, cursor, next.ms, { decision: "miss", reason: "too_late" }, patch);
    return;
  }
  // Throws for an expression that cannot be evaluated, while the job can still be left alone.
  nextOccurrence(schedule, nowMs, zone);
  draft.candidates.push({ job, schedule, next, patch, isManual, once: schedule.kind === "once", dueAtMs: next.ms });
}

function claim(draft: Draft, candidate: Candidate, gate: Gate): void {
  const { job, schedule, next, isManual } = candidate;
  const { nowMs, zone } = draft.input;
  const latenessMs = Math.max(0, nowMs - next.ms);
  const cursor = draft.cursors.get(job.id) ?? draft.input.cursors.get(job.id);
  draft.claims.push({
    jobId: job.id,
    gate,
    scheduledAtMs: next.ms,
    trigger: isManual ? "manual" : "schedule",
    latenessMs,
    claimedAtMs: nowMs,
  });
  const at = formatInstant(nowMs, zone);
  const patch: Writable<JobPatch> = { ...candidate.patch, fireClaim: { at, by: gate.owner }, pendingSlot: "drop" };
  if (schedule.kind === "once") {
    claimOnce(draft, candidate, gate, cursor, patch);
  } else if (isManual) {
    const restoredMs = trueNext(job, schedule, cursor, nowMs, zone);
    patch.nextRunAt = restoredMs === null ? null : toStoredTime(schedule, restoredMs, nowMs, zone).text;
    skipOverlapped(draft, job, schedule, cursor);
    draft.cursors.set(job.id, draft.cursors.get(job.id) ?? newCursor(job, schedule, restoredMs));
    if (restoredMs !== null) wakeAt(draft, restoredMs);
  } else {
    const graceMs = lateGraceMs(schedule, zone, nowMs);
    const passed = passedSlots(schedule, cursor, next.ms, nowMs, zone);
    draft.lines.push(
      slotLine(job, next.ms, runDecision(draft, candidate, graceMs, passed.instants.length), nowMs, gate.runId),
    );
    for (const atMs of passed.instants.slice(1)) {
      draft.lines.push(slotLine(job, atMs, { decision: "coalesce", reason: "missed" }, nowMs, gate.runId));
    }
    patch.lastDispatch = {
      scheduledAt: next.text,
      dispatchedAt: at,
      latenessSeconds: latenessSeconds(latenessMs),
      kind: classifyLateness(latenessMs, graceMs),
    };
    const backlog = { decision: { decision: "coalesce", reason: "missed" } as const, runId: gate.runId };
    patch.nextRunAt = advance(draft, job, schedule, next.ms, passed.restFromMs, backlog);
  }
  draft.patches.set(job.id, patch);
}

function claimOnce(
  draft: Draft,
  { job, schedule, next, isManual }: Candidate,
  gate: Gate,
  cursor: SlotCursor | undefined,
  patch: Writable<JobPatch>,
): void {
  const { nowMs, zone } = draft.input;
  const runAtMs = schedule.kind === "once" ? schedule.runAtMs : null;
  if (isManual && runAtMs !== null && runAtMs > nowMs) {
    patch.nextRunAt = toStoredTime(schedule, runAtMs, nowMs, zone).text;
    remember(draft, job, schedule, cursor, runAtMs);
    wakeAt(draft, runAtMs);
    return;
  }
  // Hermes removes a one-shot whose count is used up and that carries no claim of its run.
  patch.runClaim = { at: formatInstant(nowMs, zone), by: gate.owner.split(":").slice(0, 2).join(":") };
  if (job.repeatTimes !== null && job.repeatTimes > 0) patch.repeatCompleted = job.repeatCompleted + 1;
  const slotMs = isManual ? (cursor?.nextAtMs ?? null) : next.ms;
  if (slotMs !== null && slotMs <= nowMs) {
    const candidate = { job, next: { ...next, ms: slotMs } };
    draft.lines.push(slotLine(job, slotMs, runDecision(draft, candidate, onceGraceMs, 1), nowMs, gate.runId));
  }
  remember(draft, job, schedule, cursor, null);
}

/** What is left of a run whose launcher is gone is being ended by whoever started it. */
const aliveRetryMs = 1000;

/** A fire fence is held while a document is saved or delivered, so trying at once would only spin. */
const busyRetryMs = 250;

/** A slot counts as on time within 10 s, unless another one has come meanwhile. */
const onTimeMs = 10_000;

function runDecision(
  draft: Draft,
  { job, next }: Pick<Candidate, "job" | "next">,
  graceMs: number,
  passedCount: number,
): SlotDecision {
  const restoredMs = draft.input.restored?.get(job.id);
  if (restoredMs !== undefined && isSameInstant(restoredMs, next.ms)) return { decision: "run", reason: "restored" };
  const latenessMs = draft.input.nowMs - next.ms;
  if (latenessMs <= onTimeMs && passedCount === 1) return { decision: "run", reason: "on_time" };
  return { decision: "run", reason: latenessMs <= graceMs ? "late" : "catch_up" };
}

function leaveWaiting(draft: Draft, { job, schedule, next, isManual, patch }: Candidate): void {
  draft.waiting += 1;
  keepPatch(draft, job, patch);
  if (isManual) return;
  wait(draft, job, schedule, draft.cursors.get(job.id) ?? draft.input.cursors.get(job.id), next, "capacity");
}

/** Takes every instant that has come off the schedule with one decision. */
function passOver(
  draft: Draft,
  job: Job,
  schedule: Schedule,
  cursor: SlotCursor | undefined,
  fromMs: number,
  decision: SlotDecision,
  patch: JobPatch,
): void {
  const { nowMs, zone } = draft.input;
  const passed = passedSlots(schedule, cursor, fromMs, nowMs, zone);
  for (const atMs of passed.instants) draft.lines.push(slotLine(job, atMs, decision, nowMs));
  const nextRunAt = advance(draft, job, schedule, fromMs, passed.restFromMs, { decision, runId: null });
  keepPatch(draft, job, { ...patch, nextRunAt });
}

/**
 * Moves the cursor of a recurring job to the next instant ahead, and answers it as text. The cursor stays behind while lines of
 * the passed ones are still unwritten.
 */
function advance(
  draft: Draft,
  job: Job,
  schedule: Schedule,
  fromMs: number,
  restFromMs: number | null,
  backlog: { readonly decision: SlotDecision; readonly runId: string | null },
): string | null {
  const { nowMs, zone } = draft.input;
  const aheadMs = nextAhead(schedule, fromMs, nowMs, zone);
  if (restFromMs === null) {
    draft.cursors.set(job.id, newCursor(job, schedule, aheadMs));
    if (aheadMs !== null) wakeAt(draft, aheadMs);
  } else {
    // Without a next instant the lines go on to the present one.
    const untilMs = aheadMs ?? nowMs + 1;
    draft.cursors.set(job.id, { ...newCursor(job, schedule, restFromMs), backlog: { untilMs, ...backlog } });
    wakeAt(draft, nowMs);
  }
  return aheadMs === null ? null : toStoredTime(schedule, aheadMs, nowMs, zone).text;
}

/** Where a manual request found the schedule: the request took the place of this instant and gives it back. */
function trueNext(
  job: Job,
  schedule: Schedule,
  cursor: SlotCursor | undefined,
  nowMs: number,
  zone: Zone,
): number | null {
  const awaitedMs =
    cursor !== undefined && cursor.scheduleText === formatScheduleKey(schedule) ? cursor.nextAtMs : null;
  if (awaitedMs !== null && awaitedMs > nowMs) return awaitedMs;
  return nextAhead(schedule, awaitedMs ?? job.lastRunAt?.ms ?? nowMs, nowMs, zone);
}

/** Slots that came while a manual run of the job had its place. */
function skipOverlapped(draft: Draft, job: Job, schedule: Schedule, cursor: SlotCursor | undefined): void {
  const { nowMs, zone } = draft.input;
  const awaitedMs = cursor?.nextAtMs ?? null;
  if (awaitedMs === null || awaitedMs > nowMs || cursor?.scheduleText !== formatScheduleKey(schedule)) return;
  const decision: SlotDecision = { decision: "skip", reason: "overlap" };
  const passed = passedSlots(schedule, cursor, awaitedMs, nowMs, zone);
  for (const atMs of withFollowing(passed.instants, cursor, nowMs))
    draft.lines.push(slotLine(job, atMs, decision, nowMs));
  // The record keeps the request, so only the cursor moves.
  advance(draft, job, schedule, awaitedMs, passed.restFromMs, { decision, runId: null });
}

/** The job leaves an instant without running it and goes to another. */
function moveOn(
  draft: Draft,
  job: Job,
  schedule: Schedule,
  cursor: SlotCursor | undefined,
  toMs: number | null,
  patch: Writable<JobPatch>,
): void {
  if (toMs !== null) {
    patch.nextRunAt = toStoredTime(schedule, toMs, draft.input.nowMs, draft.input.zone).text;
    wakeAt(draft, toMs);
  }
  remember(draft, job, schedule, cursor, toMs);
  keepPatch(draft, job, patch);
}

/** The first instant at or after `next` that Hermes' ledger does not know as completed; null for a one-shot that it knows. */
function skipServed(draft: Draft, job: Job, schedule: Schedule, next: StoredTime): StoredTime | null {
  const { nowMs, zone } = draft.input;
  if (!draft.view.ranElsewhere(job.id, next.ms)) return next;
  for (const atMs of passedInstants(schedule, next.ms, nowMs, zone).instants) {
    if (!draft.view.ranElsewhere(job.id, atMs)) return toStoredTime(schedule, atMs, nowMs, zone);
    draft.lines.push(slotLine(job, atMs, { decision: "run", reason: "elsewhere" }, nowMs));
  }
  const aheadMs = schedule.kind === "once" ? null : nextAhead(schedule, next.ms, nowMs, zone);
  return aheadMs === null ? null : toStoredTime(schedule, aheadMs, nowMs, zone);
}

function wait(
  draft: Draft,
  job: Job,
  schedule: Schedule,
  cursor: SlotCursor | undefined,
  next: StoredTime,
  reason: PendingReason,
): void {
  const { lines, pending } = waitingLines(job, schedule, cursor, next.ms, draft.view.nowMs, reason, draft.view);
  if (schedule.kind !== "once" && draft.input.canRun(job)) {
    // What comes while it waits gets its line when it comes: nobody can tell afterwards what an edit or a pause took away.
    const followingMs = nextAhead(schedule, pending.throughMs, draft.input.nowMs, draft.input.zone);
    if (followingMs !== null) wakeAt(draft, followingMs);
  }
  if (lines.length === 0) return;
  draft.lines.push(...lines);
  const resumed = cursor?.resumedAtMs === undefined ? {} : { resumedAtMs: cursor.resumedAtMs };
  // The end of that run is still to come, and says nothing of what waits.
  const counted = cursor?.servedBy === undefined ? {} : { servedBy: cursor.servedBy };
  draft.cursors.set(job.id, { ...newCursor(job, schedule, next.ms), ...resumed, ...counted, pending });
}

function waitForClaim(
  draft: Draft,
  job: Job,
  schedule: Schedule,
  cursor: SlotCursor | undefined,
  next: StoredTime,
  claimEndsMs: number,
): void {
  if (next.ms > draft.input.nowMs) {
    remember(draft, job, schedule, cursor, next.ms);
    wakeAt(draft, next.ms);
    return;
  }
  draft.waiting += 1;
  if (job.manualRunAt !== next.text) wait(draft, job, schedule, cursor, next, "lock");
  wakeAt(draft, claimEndsMs);
}

/** Ends the slots of a job that has been switched off or completed. */
function closeSlots(draft: Draft, job: Job, schedule: Schedule, cursor: SlotCursor | undefined): void {
  if (cursor?.enabled === false) return;
  const { nowMs, zone } = draft.input;
  const closed: SlotCursor = { ...newCursor(job, schedule, null), enabled: false };
  const pausedAtMs = job.pausedAt === null ? null : parseInstant(job.pausedAt, zone);
  const lastMs = Math.max(Math.min(nowMs, pausedAtMs ?? nowMs), cursor?.pending?.throughMs ?? 0);
  draft.cursors.set(job.id, closed);
  if (cursor === undefined || cursor.nextAtMs === null || cursor.nextAtMs > lastMs) return;
  const hasRun = job.lastRunAt !== null && job.lastRunAt.ms >= cursor.nextAtMs;
  const throughMs = hasRun ? servedThroughMs(job, cursor.nextAtMs, job.lastRunAt.ms) : Number.NEGATIVE_INFINITY;
  const other: SlotDecision =
    job.state === "completed" ? { decision: "miss", reason: "repeat_used_up" } : { decision: "move", reason: "edited" };
  const awaited = parseScheduleKey(cursor.scheduleText);
  const passed = passedSlots(awaited, cursor, cursor.nextAtMs, lastMs, zone);
  for (const atMs of withFollowing(passed.instants, cursor, lastMs)) {
    const isRun = atMs <= throughMs || draft.view.ranElsewhere(job.id, atMs);
    draft.lines.push(slotLine(job, atMs, isRun ? { decision: "run", reason: "elsewhere" } : other, nowMs));
  }
  if (passed.restFromMs === null) return;
  const backlog = { untilMs: lastMs + 0.001, decision: other, runId: null };
  const { scheduleText } = cursor;
  draft.cursors.set(job.id, { ...closed, scheduleText, nextAtMs: passed.restFromMs, backlog });
  wakeAt(draft, nowMs);
}

/** A record that vanished takes its coming instants with it; one that had come is missed. */
function closeLostJobs(draft: Draft, seen: ReadonlySet<string>): readonly string[] {
  const { cursors, nowMs } = draft.input;
  const dropped: string[] = [];
  for (const [id, cursor] of cursors) {
    if (seen.has(id)) continue;
    const written = continueBacklog({ id }, cursor, draft.view);
    draft.lines.push(...written.lines);
    if (!written.isDone) {
      draft.cursors.set(id, written.cursor);
      wakeAt(draft, nowMs);
      continue;
    }
    dropped.push(id);
    const atMs = written.cursor.nextAtMs;
    // What waits has come, also when the clock went back since.
    if (atMs === null || (atMs > nowMs && written.cursor.pending === undefined)) continue;
    const decide = (ms: number): SlotDecision =>
      draft.view.ranElsewhere(id, ms)
        ? { decision: "run", reason: "elsewhere" }
        : { decision: "miss", reason: "job_gone" };
    draft.lines.push(...closeAwaited({ id }, written.cursor, decide, draft.view));
  }
  return dropped;
}

function newCursor(job: Job, schedule: Schedule, nextAtMs: number | null): SlotCursor {
  const scheduleText = formatScheduleKey(schedule);
  return { nextAtMs, scheduleText, enabled: true, lastRunAtMs: job.lastRunAt?.ms ?? null };
}

/** Sets the cursor, if that changes anything, and answers the one that holds. */
function remember(
  draft: Draft,
  job: Job,
  schedule: Schedule,
  cursor: SlotCursor | undefined,
  nextAtMs: number | null,
  servedBy: string | null = null,
): SlotCursor {
  const fresh = newCursor(job, schedule, nextAtMs);
  if (
    cursor?.enabled === true &&
    isSameInstant(cursor.nextAtMs, nextAtMs) &&
    cursor.scheduleText === fresh.scheduleText &&
    (cursor.servedBy ?? null) === servedBy
  ) {
    return cursor;
  }
  const resumedAtMs = pauseEndMs(job, cursor, nextAtMs, draft.input.nowMs);
  const changed: SlotCursor = {
    ...fresh,
    ...(servedBy === null ? {} : { servedBy }),
    ...(resumedAtMs === undefined ? {} : { resumedAtMs }),
  };
  draft.cursors.set(job.id, changed);
  return changed;
}

/** When the pause ended that lies behind the job, or between `nextAtMs`, which was put back, and the instant that was awaited. */
function pauseEndMs(
  job: Job,
  cursor: SlotCursor | undefined,
  nextAtMs: number | null,
  nowMs: number,
): number | undefined {
  // Going on drops the mark of a taken slot, so one that stands there now was made later.
  if (cursor?.enabled === false) return Math.min(nowMs, job.pendingSlot?.at?.ms ?? nowMs);
  const endMs = cursor?.resumedAtMs;
  if (endMs === undefined || nextAtMs === null || typeof cursor?.nextAtMs !== "number") return undefined;
  // An instant that was kept over the pause came before it, and with it all that lies before that instant.
  return nextAtMs < endMs && endMs < cursor.nextAtMs ? endMs : undefined;
}

function keepPatch(draft: Draft, job: Job, patch: JobPatch): void {
  if (Object.keys(patch).length > 0) draft.patches.set(job.id, patch);
}

function wakeAt(draft: Draft, ms: number): void {
  draft.wakeAtMs = Math.min(draft.wakeAtMs, ms);
}

function isHalfPaused(job: Job): boolean {
  return job.enabled && !isTerminal(job) && hasPauseMark(job);
}

/** Enabled and paused at once contradict each other, and the pause is what somebody asked for. */
function pausePatch(job: Job, nowMs: number, zone: Zone): JobPatch {
  return {
    enabled: false,
    state: "paused",
    ...(job.pausedAt ? {} : { pausedAt: formatInstant(nowMs, zone) }),
    ...(job.pausedReason ? {} : { pausedReason: "auto-disabled: enabled+paused contradiction" }),
  };
}
