import type { Job, JobPatch, StoredTime } from "./job.ts";
import { formatScheduleKey, passedSlots, slotLine } from "./observe-slots.ts";
import { owe, owedOf, owedWith } from "./owed-slots.ts";
import { advance, passOver, skipOverlapped } from "./pass-over.ts";
import type { Schedule } from "./schedule.ts";
import type { SlotCursor, SlotDecision } from "./slot.ts";
import { type Draft, keepPatch, type OpenRun, policyOf, type Writable } from "./tick-draft.ts";

const waits: SlotDecision = { decision: "pending", reason: "capacity" };

/** The job's instant has come while a run of it is open, or instants of it wait for that run's end. */
export function planOverlap(
  draft: Draft,
  job: Job,
  schedule: Schedule,
  cursor: SlotCursor | undefined,
  next: StoredTime,
  isManual: boolean,
  open: OpenRun,
  patch: Writable<JobPatch>,
): void {
  const { nowMs } = draft.input;
  const { overlap } = policyOf(draft.input, job);
  if (isManual) {
    // The request stays in the record and is served when the run has ended.
    deferOverlapped(draft, job, schedule, cursor, open);
    draft.waiting += 1;
    if (overlap === "replace") stop(draft, open);
  } else if (next.ms > nowMs) {
    keepPatch(draft, job, patch);
  } else if (overlap === "skip" && owedOf(draft, job.id)?.runsLeft === undefined) {
    passOver(draft, job, schedule, cursor, next.ms, { decision: "skip", reason: "overlap" }, patch);
  } else if (!enqueue(draft, job, schedule, cursor, next.ms, open, patch)) {
    passOver(draft, job, schedule, cursor, next.ms, { decision: "skip", reason: "overlap" }, patch);
  }
  const owed = owedOf(draft, job.id);
  if (owed === null) return;
  draft.waiting += 1;
  if (owed.replaces === open.id) stop(draft, open);
}

/** Slots that came while a manual run, or a request for one, had the job's place. */
export function deferOverlapped(
  draft: Draft,
  job: Job,
  schedule: Schedule,
  cursor: SlotCursor | undefined,
  open: OpenRun | null,
): void {
  const { nowMs } = draft.input;
  const { overlap } = policyOf(draft.input, job);
  const awaitedMs = cursor?.nextAtMs ?? null;
  if (awaitedMs === null || awaitedMs > nowMs || cursor?.scheduleText !== formatScheduleKey(schedule)) return;
  const isSkipped = overlap === "skip" && owedOf(draft, job.id)?.runsLeft === undefined;
  // The record keeps the request, so only the cursor moves.
  if (schedule.kind === "once" || isSkipped || cursor.followingMs !== undefined) {
    skipOverlapped(draft, job, schedule, cursor);
  } else if (!enqueue(draft, job, schedule, cursor, awaitedMs, open, null)) {
    skipOverlapped(draft, job, schedule, cursor);
  }
}

/**
 * Has the instants from `fromMs` on wait for the end of the open run, off the record. False where they do not fit in with those
 * that wait already.
 */
function enqueue(
  draft: Draft,
  job: Job,
  schedule: Schedule,
  cursor: SlotCursor | undefined,
  fromMs: number,
  open: OpenRun | null,
  patch: Writable<JobPatch> | null,
): boolean {
  const { nowMs, zone } = draft.input;
  const { overlap } = policyOf(draft.input, job);
  const passed = passedSlots(schedule, cursor, fromMs, nowMs, zone);
  const throughMs = passed.restFromMs === null ? (passed.instants.at(-1) ?? fromMs) : nowMs;
  const owed = owedWith(draft, job, schedule, fromMs, throughMs);
  if (owed === null) return false;
  for (const atMs of passed.instants) draft.lines.push(slotLine(job, atMs, waits, nowMs));
  // While missed ones are caught up with, what comes joins them.
  const isCatchingUp = owed.runsLeft !== undefined;
  owe(draft, job.id, {
    ...owed,
    ...(isCatchingUp ? {} : { queuedThroughMs: throughMs }),
    ...(isCatchingUp || overlap !== "replace" || open === null ? {} : { replaces: open.id }),
  });
  const nextRunAt = advance(draft, job, schedule, fromMs, passed.restFromMs, { decision: waits, runId: null });
  if (patch !== null) keepPatch(draft, job, { ...patch, nextRunAt });
  return true;
}

function stop(draft: Draft, { id, jobId, overAtMs }: OpenRun): void {
  if (overAtMs == null && !draft.stops.some((each) => each.runId === id)) draft.stops.push({ jobId, runId: id });
}
