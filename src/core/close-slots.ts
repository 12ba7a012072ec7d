import { parseInstant } from "./instant.ts";
import type { Job } from "./job.ts";
import {
  closeAwaited,
  continueBacklog,
  parseScheduleKey,
  passedSlots,
  servedThroughMs,
  slotLine,
  withFollowing,
} from "./observe-slots.ts";
import { continueOwed, decideOwed, owedOf } from "./owed-slots.ts";
import type { Schedule } from "./schedule.ts";
import type { SlotCursor, SlotDecision } from "./slot.ts";
import { newCursor } from "./slot-cursor.ts";
import { type Draft, wakeAt } from "./tick-draft.ts";

/** Ends the slots of a job that has been switched off or completed. */
export function closeSlots(draft: Draft, job: Job, schedule: Schedule, cursor: SlotCursor | undefined): void {
  // A claim that proves void after the job was switched off leaves instants behind that wait.
  if (cursor?.enabled === false && cursor.pending === undefined && owedOf(draft, job.id) === null) return;
  const { nowMs, zone } = draft.input;
  const other: SlotDecision =
    job.state === "completed" ? { decision: "miss", reason: "repeat_used_up" } : { decision: "move", reason: "edited" };
  const owed = owedOf(draft, job.id);
  if (owed !== null) decideOwed(draft, job.id, owed, other, null);
  const closed: SlotCursor = { ...newCursor(job, schedule, null), enabled: false };
  const pausedAtMs = job.pausedAt === null ? null : parseInstant(job.pausedAt, zone);
  const lastMs = Math.max(Math.min(nowMs, pausedAtMs ?? nowMs), cursor?.pending?.throughMs ?? 0);
  draft.cursors.set(job.id, closed);
  if (cursor === undefined || cursor.nextAtMs === null || cursor.nextAtMs > lastMs) return;
  const hasRun = job.lastRunAt !== null && job.lastRunAt.ms >= cursor.nextAtMs;
  const throughMs = hasRun ? servedThroughMs(job, cursor.nextAtMs, job.lastRunAt.ms) : Number.NEGATIVE_INFINITY;
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

const gone: SlotDecision = { decision: "miss", reason: "job_gone" };

/** A record that vanished takes its coming instants with it; one that had come is missed. */
export function closeLostJobs(draft: Draft, seen: ReadonlySet<string>): readonly string[] {
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
    const owed = continueOwed(draft, id) ? owedOf(draft, id) : null;
    const left = owed === null ? owedOf(draft, id) : decideOwed(draft, id, owed, gone, null);
    if (left !== null) {
      // `backlog` is done.
      draft.cursors.set(id, written.cursor);
      continue;
    }
    dropped.push(id);
    const atMs = written.cursor.nextAtMs;
    // What waits has come, also when the clock went back since.
    if (atMs === null || (atMs > nowMs && written.cursor.pending === undefined)) continue;
    const decide = (ms: number): SlotDecision =>
      draft.view.ranElsewhere(id, ms) ? { decision: "run", reason: "elsewhere" } : gone;
    draft.lines.push(...closeAwaited({ id }, written.cursor, decide, draft.view));
  }
  return dropped;
}
