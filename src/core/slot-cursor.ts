import type { Job } from "./job.ts";
import { formatScheduleKey, isSameInstant } from "./observe-slots.ts";
import type { Schedule } from "./schedule.ts";
import type { SlotCursor } from "./slot.ts";
import type { Draft } from "./tick-draft.ts";

export function newCursor(job: Job, schedule: Schedule, nextAtMs: number | null): SlotCursor {
  const scheduleText = formatScheduleKey(schedule);
  return { nextAtMs, scheduleText, enabled: true, lastRunAtMs: job.lastRunAt?.ms ?? null };
}

/** Sets the cursor, if that changes anything, and answers the one that holds. */
export function remember(
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
