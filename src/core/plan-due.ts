import { claimEndsAtMs, fireClaimLifeMs } from "./claim-life.ts";
import { lateGraceMs } from "./grace.ts";
import { isUsedUp, type Job, type JobPatch, type StoredTime } from "./job.ts";
import { leavePending, waitForClaim } from "./leave-pending.ts";
import { nextAhead, passedInstants } from "./missed-occurrence.ts";
import { computeNextRun, nextOccurrence, onceGraceMs } from "./next-occurrence.ts";
import { slotLine } from "./observe-slots.ts";
import { moveOn, passOver, skipOverlapped } from "./pass-over.ts";
import { isMovedByZone, isOffSchedule, toStoredTime } from "./repair-next-run.ts";
import type { Schedule } from "./schedule.ts";
import type { SlotCursor } from "./slot.ts";
import { newCursor, remember } from "./slot-cursor.ts";
import { type Draft, keepPatch, type Writable, wakeAt } from "./tick-draft.ts";

/** What is left of a run whose launcher is gone is being ended by whoever started it. */
const aliveRetryMs = 1000;

/** A fire fence is held while a document is saved or delivered, so trying at once would only spin. */
const busyRetryMs = 250;

/** The job's instant has come. */
export function planDue(
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
    if (!isManual) leavePending(draft, job, schedule, cursor, next, reason);
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
  if (!isManual && schedule.kind !== "once" && (input.heldUntilMs?.(job) ?? null) !== null) {
    passOver(draft, job, schedule, cursor, next.ms, { decision: "skip", reason: "crash_loop" }, patch);
    return;
  }
  // Throws for an expression that cannot be evaluated, while the job can still be left alone.
  nextOccurrence(schedule, nowMs, zone);
  draft.candidates.push({ job, schedule, next, patch, isManual, once: schedule.kind === "once", dueAtMs: next.ms });
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
