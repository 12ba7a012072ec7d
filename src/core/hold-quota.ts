import type { Job, StoredTime } from "./job.ts";
import { nextAhead } from "./missed-occurrence.ts";
import { formatScheduleKey, isSameInstant, passedSlots, sameInstantMs, slotLine } from "./observe-slots.ts";
import { decideOwed, owedOf } from "./owed-slots.ts";
import type { Schedule } from "./schedule.ts";
import type { SlotCursor, SlotDecision } from "./slot.ts";
import { newCursor } from "./slot-cursor.ts";
import { type Draft, wakeAt } from "./tick-draft.ts";

const held: SlotDecision = { decision: "skip", reason: "quota_hold" };

/**
 * Whether Hermes holds the job until `next` because its model answers nothing before that. The instants that the schedule names until
 * then get their lines as they come; the record, which names the end of the hold, stays as it is.
 */
export function planQuotaHold(
  draft: Draft,
  job: Job,
  schedule: Schedule,
  next: StoredTime,
  cursor: SlotCursor | undefined,
): "held" | "not_held" {
  const { nowMs, zone } = draft.input;
  const awaitedMs = cursor?.nextAtMs ?? null;
  const isHeld = job.quotaHoldUntil !== null && isSameInstant(job.quotaHoldUntil.ms, next.ms);
  if (!isHeld || schedule.kind === "once" || cursor === undefined || awaitedMs === null) return "not_held";
  const owed = owedOf(draft, job.id);
  if (owed !== null && next.ms > nowMs) decideOwed(draft, job.id, owed, held, null);
  if (awaitedMs >= next.ms - sameInstantMs || cursor.scheduleText !== formatScheduleKey(schedule)) return "not_held";
  if (cursor.followingMs !== undefined || wasRunSince(job, cursor, awaitedMs)) return "not_held";
  const lastMs = Math.min(nowMs, next.ms - sameInstantMs);
  const passed = passedSlots(schedule, cursor, awaitedMs, lastMs, zone);
  for (const atMs of passed.instants) draft.lines.push(slotLine(job, atMs, held, nowMs));
  if (passed.restFromMs !== null) {
    const aheadMs = nextAhead(schedule, awaitedMs, lastMs, zone) ?? next.ms;
    const backlog = { untilMs: Math.min(aheadMs, next.ms), decision: held, runId: null };
    draft.cursors.set(job.id, { ...newCursor(job, schedule, passed.restFromMs), backlog });
    wakeAt(draft, nowMs);
    return "held";
  }
  const comingMs = passed.instants.length === 0 ? awaitedMs : nextAhead(schedule, awaitedMs, lastMs, zone);
  if (comingMs === null || comingMs >= next.ms - sameInstantMs) {
    if (passed.instants.length > 0) draft.cursors.set(job.id, newCursor(job, schedule, next.ms));
    wakeAt(draft, Math.max(next.ms, nowMs));
    // The end of the hold has come with it: the next look finds the job there.
    return next.ms > nowMs || passed.instants.length > 0 ? "held" : "not_held";
  }
  if (passed.instants.length > 0) draft.cursors.set(job.id, newCursor(job, schedule, comingMs));
  wakeAt(draft, comingMs);
  return "held";
}

/** Whether another scheduler ran the job for this instant, and set the hold. */
function wasRunSince(job: Job, cursor: SlotCursor, awaitedMs: number): boolean {
  const lastMs = job.lastRunAt?.ms ?? null;
  return lastMs !== null && lastMs >= awaitedMs && !isSameInstant(lastMs, cursor.lastRunAtMs);
}
