import type { Job, StoredTime } from "./job.ts";
import { nextAhead } from "./missed-occurrence.ts";
import { formatScheduleKey, waitingLines } from "./observe-slots.ts";
import type { Schedule } from "./schedule.ts";
import type { PendingReason, SlotCursor } from "./slot.ts";
import { newCursor, remember } from "./slot-cursor.ts";
import { type Draft, wakeAt } from "./tick-draft.ts";

export function leavePending(
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

/** What a request hides waits for the same as the request does, whatever it has waited for until now. */
export function renamePending(
  draft: Draft,
  job: Job,
  schedule: Schedule,
  cursor: SlotCursor | undefined,
  reason: PendingReason,
): void {
  if (cursor?.pending === undefined || cursor.nextAtMs === null || cursor.pending.reason === reason) return;
  if (cursor.scheduleText !== formatScheduleKey(schedule)) return;
  const { throughMs } = cursor.pending;
  const { lines, pending } = waitingLines(job, schedule, cursor, cursor.nextAtMs, throughMs, reason, draft.view);
  draft.lines.push(...lines);
  draft.cursors.set(job.id, { ...cursor, pending });
}

export function waitForClaim(
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
  if (job.manualRunAt !== next.text) leavePending(draft, job, schedule, cursor, next, "lock");
  wakeAt(draft, claimEndsMs);
}
