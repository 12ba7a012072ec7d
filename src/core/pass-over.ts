import type { Job, JobPatch } from "./job.ts";
import { nextAhead } from "./missed-occurrence.ts";
import { formatScheduleKey, passedSlots, sameInstantMs, slotLine, withFollowing } from "./observe-slots.ts";
import { toStoredTime } from "./repair-next-run.ts";
import type { Schedule } from "./schedule.ts";
import type { SlotCursor, SlotDecision } from "./slot.ts";
import { newCursor, remember } from "./slot-cursor.ts";
import { type Draft, keepPatch, type Writable, wakeAt } from "./tick-draft.ts";

/**
 * Takes every instant that has come and lies before `toMs` off the schedule with one decision. False while there is more of it than
 * one tick writes.
 */
export function passOver(
  draft: Draft,
  job: Job,
  schedule: Schedule,
  cursor: SlotCursor | undefined,
  fromMs: number,
  decision: SlotDecision,
  patch: JobPatch,
  toMs: number | null = nextAhead(schedule, fromMs, draft.input.nowMs, draft.input.zone),
): boolean {
  const { nowMs, zone } = draft.input;
  const lastMs = toMs === null ? nowMs : Math.min(nowMs, toMs - sameInstantMs);
  const passed = passedSlots(schedule, cursor, fromMs, lastMs, zone);
  for (const atMs of passed.instants) draft.lines.push(slotLine(job, atMs, decision, nowMs));
  const nextRunAt = advance(draft, job, schedule, fromMs, passed.restFromMs, { decision, runId: null }, toMs);
  keepPatch(draft, job, { ...patch, nextRunAt });
  return passed.restFromMs === null;
}

/**
 * Moves the cursor of a recurring job to the next instant ahead, or to another, and answers it as text. The cursor stays behind while lines of
 * the passed ones are still unwritten.
 */
export function advance(
  draft: Draft,
  job: Job,
  schedule: Schedule,
  fromMs: number,
  restFromMs: number | null,
  backlog: { readonly decision: SlotDecision; readonly runId: string | null },
  aheadMs: number | null = nextAhead(schedule, fromMs, draft.input.nowMs, draft.input.zone),
): string | null {
  const { nowMs, zone } = draft.input;
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

/** Slots that came while a manual run of the job had its place. */
export function skipOverlapped(draft: Draft, job: Job, schedule: Schedule, cursor: SlotCursor | undefined): void {
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
export function moveOn(
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
