import { claimEndsAtMs, runClaimLifeDefaultMs, unclaimedSlot } from "./claim-life.ts";
import { closeSlots } from "./close-slots.ts";
import { lateMsMax } from "./drop-late.ts";
import { planQuotaHold } from "./hold-quota.ts";
import { formatInstant } from "./instant.ts";
import { hasPauseMark, isRunnable, isTerminal, type Job, type JobPatch, type StoredTime } from "./job.ts";
import { waitForClaim } from "./leave-pending.ts";
import {
  closeAwaited,
  continueBacklog,
  formatScheduleKey,
  isNamedSince,
  observeSlots,
  sameInstantMs,
  slotLine,
  wasDispatched,
} from "./observe-slots.ts";
import { continueOwed, decideOwed, isOneLine, owe, owedOf } from "./owed-slots.ts";
import { planDue } from "./plan-due.ts";
import { isOffSchedule, rearmAfterError, recoverNextRun } from "./repair-next-run.ts";
import type { Schedule } from "./schedule.ts";
import type { SlotCursor, SlotDecision } from "./slot.ts";
import { remember } from "./slot-cursor.ts";
import { type Draft, keepPatch, policyOf, type Writable, wakeAt } from "./tick-draft.ts";
import type { Zone } from "./zone.ts";

export function planJob(draft: Draft, job: Job, given: SlotCursor | undefined): void {
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
  if (!continueOwed(draft, job.id)) return;
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

  closeEdited(draft, job, schedule);
  if (owedOf(draft, job.id)?.decided !== undefined) return;
  const open = draft.openRuns.get(job.id) ?? null;
  const isOpen = open !== null;
  // An instant that came when the run was over already was no overlap: it is served once the end stands in the record.
  const overAtMs = open?.overAtMs ?? null;
  const hasComeSince = (atMs: number): boolean => overAtMs !== null && atMs >= overAtMs && atMs <= nowMs;
  if ([job.nextRunAt?.ms, cursor?.nextAtMs].some((atMs) => atMs != null && hasComeSince(atMs))) return;
  // What others did in the meantime is not told from overlaps before that end is recorded either.
  if (overAtMs !== null && isPassedOn(job, cursor, nowMs)) return;
  // A one-shot keeps its instant while its run is open. One that runs early on request is due again when that run has ended.
  if (isOpen && schedule.kind === "once") {
    noticeOnce(draft, job, schedule, cursor);
    return;
  }
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
    if (planQuotaHold(draft, job, schedule, next, cursor) === "held") return;
    const observed = observeSlots(job, schedule, next, cursor, isOpen, draft.view);
    draft.lines.push(...observed.lines);
    if (observed.unsettled !== null) {
      draft.cursors.set(job.id, observed.unsettled);
      // A record without an instant would get a later one at each tick, and so never reach it.
      if (job.nextRunAt === null) keepPatch(draft, job, patch);
      if (observed.wakeAtMs !== null) wakeAt(draft, observed.wakeAtMs);
      return;
    }
    closeCrossed(draft, job, schedule, next);
    if (owedOf(draft, job.id)?.decided !== undefined) return;
    // A policy that drops what is late wants no run between two instants of the schedule either, nor does whoever holds the job back.
    const mayRearm =
      mayWrite &&
      !isOpen &&
      owedOf(draft, job.id) === null &&
      lateMsMax(policyOf(input, job).misfire, 0) === null &&
      (input.heldUntilMs?.(job) ?? null) === null;
    const rearmed = mayRearm ? rearmAfterError(job, schedule, next, nowMs, zone, input.ownerState) : null;
    if (rearmed !== null) {
      next = rearmed;
      patch.nextRunAt = rearmed.text;
    }
    cursor = remember(draft, job, schedule, cursor, next.ms, observed.servedBy);
  }
  if (next.ms > nowMs) {
    if (input.canRun(job)) wakeAt(draft, next.ms);
    const owed = owedOf(draft, job.id);
    if (owed === null || owed.fromMs > nowMs) {
      keepPatch(draft, job, patch);
      if (owed !== null) wakeAt(draft, owed.fromMs);
      return;
    }
  }
  planDue(draft, job, schedule, cursor, next, isManual, open, patch);
}

/** A record that was put back among the owed instants names them again from there on, unless its pace is another than theirs. */
function closeCrossed(draft: Draft, job: Job, schedule: Schedule, next: StoredTime): void {
  const owed = owedOf(draft, job.id);
  if (owed === null || next.ms > owed.throughMs) return;
  const moved: SlotDecision = { decision: "move", reason: "reanchored" };
  const isNamedAgain = isOneLine(schedule, owed.fromMs, next.ms, draft.input.zone);
  if (!isNamedAgain && schedule.kind !== "cron") {
    decideOwed(draft, job.id, owed, moved, null);
    return;
  }
  // A cron rule names the same instants wherever it is begun, save one that was none of its own.
  if (!isNamedAgain && next.ms <= owed.fromMs) decideOwed(draft, job.id, owed, moved, null, owed.fromMs);
  owe(draft, job.id, next.ms <= owed.fromMs ? null : { ...owed, throughMs: next.ms - sameInstantMs });
}

/** Another rule takes away what the one before is owed. */
function closeEdited(draft: Draft, job: Job, schedule: Schedule): void {
  const owed = owedOf(draft, job.id);
  if (owed === null || owed.scheduleText === formatScheduleKey(schedule)) return;
  decideOwed(draft, job.id, owed, { decision: "move", reason: "edited" }, null);
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

/** What was made a one-shot during a run has its instant remembered: it may be edited once more before that run has ended. */
function noticeOnce(draft: Draft, job: Job, schedule: Schedule, cursor: SlotCursor | undefined): void {
  const next = job.nextRunAt;
  if (next === null || cursor === undefined || !cursor.enabled) return;
  if (cursor.scheduleText === formatScheduleKey(schedule)) return;
  if (job.manualRunAt === next.text) {
    noticeEdit(draft, job, schedule, cursor);
    return;
  }
  draft.lines.push(...observeSlots(job, schedule, next, cursor, true, draft.view).lines);
  remember(draft, job, schedule, cursor, next.ms);
}

export function waitInvalid(draft: Draft, job: Job, cursor: SlotCursor | undefined): void {
  const { nowMs } = draft.input;
  if (!isRunnable(job) || cursor === undefined || cursor.nextAtMs === null || cursor.nextAtMs > nowMs) return;
  if (cursor.pending?.reason === "degraded") return;
  draft.lines.push(slotLine(job, cursor.nextAtMs, { decision: "pending", reason: "degraded" }, nowMs));
  draft.cursors.set(job.id, { ...cursor, pending: { reason: "degraded", throughMs: cursor.nextAtMs, count: 1 } });
}

/** Whether somebody took an instant off the schedule that had come, without a word about who ran it. */
function isPassedOn(job: Job, cursor: SlotCursor | undefined, nowMs: number): boolean {
  const awaitedMs = cursor?.nextAtMs ?? null;
  if (awaitedMs === null || awaitedMs > nowMs || wasDispatched(job, awaitedMs)) return false;
  return job.nextRunAt !== null && job.nextRunAt.ms > awaitedMs;
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
