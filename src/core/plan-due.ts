import { claimEndsAtMs, fireClaimLifeMs } from "./claim-life.ts";
import { dropLate, lateMsMax } from "./drop-late.ts";
import { isUsedUp, type Job, type JobPatch, type StoredTime } from "./job.ts";
import { leavePending, waitForClaim } from "./leave-pending.ts";
import { nextAhead, passedInstants } from "./missed-occurrence.ts";
import { computeNextRun, nextOccurrence, onceGraceMs } from "./next-occurrence.ts";
import { isSameInstant, slotLine } from "./observe-slots.ts";
import { decideOwed, owedOf, waitingSlots } from "./owed-slots.ts";
import { moveOn, passOver } from "./pass-over.ts";
import { planOverlap } from "./plan-overlap.ts";
import { isMovedByZone, isOffSchedule, toStoredTime } from "./repair-next-run.ts";
import type { Schedule } from "./schedule.ts";
import type { SlotCursor, SlotDecision } from "./slot.ts";
import { newCursor, remember } from "./slot-cursor.ts";
import { type Draft, keepPatch, type OpenRun, policyOf, type Writable, wakeAt } from "./tick-draft.ts";
import type { Zone } from "./zone.ts";

/** What is left of a run whose launcher is gone is being ended by whoever started it. */
const aliveRetryMs = 1000;

/** A fire fence is held while a document is saved or delivered, so trying at once would only spin. */
const busyRetryMs = 250;

/** The job's instant has come, or earlier ones are owed a run. */
export function planDue(
  draft: Draft,
  job: Job,
  schedule: Schedule,
  given: SlotCursor | undefined,
  due: StoredTime,
  isManual: boolean,
  open: OpenRun | null,
  patch: Writable<JobPatch>,
): void {
  const { input } = draft;
  const { nowMs, zone } = input;
  let cursor = given;
  let next = due;
  const isOwing = owedOf(draft, job.id) !== null;
  // An owed instant needs no look at the record's own before that has come.
  const isRecorded = !isManual && next.ms <= nowMs;
  if (input.hold !== null || !input.canRun(job) || input.busyJobs?.has(job.id) === true) {
    const reason = input.hold ?? (input.canRun(job) ? "lock" : "no_daemon");
    if (reason !== "no_daemon") draft.waiting += 1;
    if (reason === "lock") wakeAt(draft, nowMs + busyRetryMs);
    if (isRecorded) leavePending(draft, job, schedule, cursor, next, reason);
    return;
  }
  if (isRecorded) {
    const { unserved, isFound } = skipServed(draft, job, schedule, next);
    if (unserved === null) {
      remember(draft, job, schedule, cursor, null);
      keepPatch(draft, job, patch);
      if (isOwing) wakeAt(draft, nowMs);
      return;
    }
    if (unserved !== next) {
      next = unserved;
      patch.nextRunAt = next.text;
      cursor = remember(draft, job, schedule, cursor, next.ms);
      if (!isFound || next.ms > nowMs) {
        keepPatch(draft, job, patch);
        wakeAt(draft, isOwing || !isFound ? nowMs : next.ms);
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
  if (open !== null) {
    planOverlap(draft, job, schedule, cursor, next, isManual, open, patch);
    return;
  }
  const fireClaimEndsMs = claimEndsAtMs(job.fireClaim, fireClaimLifeMs, nowMs, input.ownerState);
  if (fireClaimEndsMs !== null) {
    keepPatch(draft, job, patch);
    waitForClaim(draft, job, schedule, cursor, next, fireClaimEndsMs);
    if (isOwing) wakeAt(draft, fireClaimEndsMs);
    return;
  }
  if (job.fireClaim !== null && input.isAliveElsewhere?.(job) === true) {
    keepPatch(draft, job, patch);
    waitForClaim(draft, job, schedule, cursor, next, nowMs + aliveRetryMs);
    if (isOwing) wakeAt(draft, nowMs + aliveRetryMs);
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
    const { misfire } = policyOf(input, job);
    const limitMs = isManual ? null : lateMsMax(misfire, onceGraceMs);
    if (limitMs !== null && nowMs - next.ms > limitMs) {
      retireLate(draft, job, schedule, next, patch);
      return;
    }
  }
  if (!isManual && schedule.kind !== "once" && (input.heldUntilMs?.(job) ?? null) !== null) {
    const held: SlotDecision = { decision: "skip", reason: "crash_loop" };
    const owed = owedOf(draft, job.id);
    if (owed !== null) decideOwed(draft, job.id, owed, held, null);
    if (isRecorded) passOver(draft, job, schedule, cursor, next.ms, held, patch);
    return;
  }
  // Throws for an expression that cannot be evaluated, while the job can still be left alone.
  nextOccurrence(schedule, nowMs, zone);
  const once = schedule.kind === "once";
  if (once || isManual) {
    draft.candidates.push({ job, schedule, next, recorded: next, patch, isManual, once, dueAtMs: next.ms });
    return;
  }
  dropServed(draft, job);
  const recorded = dropLate(draft, job, schedule, cursor, next, patch);
  if (recorded === null) return;
  const [dueAtMs] = waitingSlots(draft, job, schedule, draft.cursors.get(job.id) ?? cursor, recorded).instants;
  if (dueAtMs === undefined) {
    keepPatch(draft, job, patch);
    const owedAtMs = owedOf(draft, job.id)?.fromMs ?? recorded.ms;
    wakeAt(draft, Math.min(owedAtMs, recorded.ms));
    return;
  }
  const first = isSameInstant(dueAtMs, recorded.ms) ? recorded : owedTime(schedule, dueAtMs, zone);
  draft.candidates.push({ job, schedule, next: first, recorded, patch, isManual, once, dueAtMs });
}

/** Owed instants that somebody has run after all, as a record that was put back and taken on lets happen. */
function dropServed(draft: Draft, job: Job): void {
  let owed = owedOf(draft, job.id);
  while (owed !== null && draft.view.ranElsewhere(job.id, owed.fromMs)) {
    owed = decideOwed(draft, job.id, owed, { decision: "run", reason: "elsewhere" }, null, owed.fromMs);
  }
}

/** A one-shot that its policy does not let run any more is over; its record stays for people to see. */
function retireLate(draft: Draft, job: Job, schedule: Schedule, next: StoredTime, patch: Writable<JobPatch>): void {
  const { nowMs } = draft.input;
  draft.lines.push(slotLine(job, next.ms, { decision: "skip", reason: "policy" }, nowMs));
  keepPatch(draft, job, { ...patch, enabled: false, state: "completed", nextRunAt: null });
  draft.cursors.set(job.id, { ...newCursor(job, schedule, null), enabled: false });
}

// A slot in the hour that the spring change leaves out is written as its expression names it, counted from before the change.
const hourMs = 3_600_000;

function owedTime(schedule: Schedule, atMs: number, zone: Zone): StoredTime {
  return toStoredTime(schedule, atMs, atMs - hourMs, zone);
}

/**
 * The first instant at or after `next` that no ledger knows as served; null for a one-shot that is known. `isFound` is false where
 * more are known than one tick passes over: the next one goes on from there.
 */
function skipServed(
  draft: Draft,
  job: Job,
  schedule: Schedule,
  next: StoredTime,
): { readonly unserved: StoredTime | null; readonly isFound: boolean } {
  const { nowMs, zone } = draft.input;
  if (!draft.view.ranElsewhere(job.id, next.ms)) return { unserved: next, isFound: true };
  const { instants, restFromMs } = passedInstants(schedule, next.ms, nowMs, zone);
  for (const atMs of instants) {
    if (!draft.view.ranElsewhere(job.id, atMs))
      return { unserved: toStoredTime(schedule, atMs, nowMs, zone), isFound: true };
    draft.lines.push(slotLine(job, atMs, { decision: "run", reason: "elsewhere" }, nowMs));
  }
  const aheadMs = schedule.kind === "once" ? null : (restFromMs ?? nextAhead(schedule, next.ms, nowMs, zone));
  return {
    unserved: aheadMs === null ? null : toStoredTime(schedule, aheadMs, nowMs, zone),
    isFound: restFromMs === null,
  };
}
