import type { Gate } from "./admission.ts";
import { claimWaiting } from "./claim-waiting.ts";
import { formatInstant } from "./instant.ts";
import type { Job, JobPatch } from "./job.ts";
import { nextAhead } from "./missed-occurrence.ts";
import { onceGraceMs } from "./next-occurrence.ts";
import { formatScheduleKey, slotLine } from "./observe-slots.ts";
import { deferOverlapped } from "./plan-overlap.ts";
import { claimRetry } from "./plan-retry.ts";
import { toStoredTime } from "./repair-next-run.ts";
import { runDecision } from "./run-decision.ts";
import type { Schedule } from "./schedule.ts";
import type { SlotCursor } from "./slot.ts";
import { newCursor, remember } from "./slot-cursor.ts";
import { type Candidate, type Draft, type Writable, wakeAt } from "./tick-draft.ts";
import type { Zone } from "./zone.ts";

export function claimJob(draft: Draft, candidate: Candidate, gate: Gate): void {
  const { job, schedule, next, isManual, retry } = candidate;
  if (retry !== undefined) {
    claimRetry(draft, candidate, retry, gate);
    return;
  }
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
    deferOverlapped(draft, job, schedule, cursor, null);
    draft.cursors.set(job.id, draft.cursors.get(job.id) ?? newCursor(job, schedule, restoredMs));
    if (restoredMs !== null) wakeAt(draft, restoredMs);
  } else {
    claimWaiting(draft, candidate, gate, cursor, patch);
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
    draft.lines.push(
      slotLine(job, slotMs, runDecision(draft.input, job.id, slotMs, onceGraceMs, 1), nowMs, gate.runId),
    );
  }
  remember(draft, job, schedule, cursor, null);
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
