import { formatInstant, parseInstant } from "./instant.ts";
import { isRunnable, isTerminal, type Job, type JobPatch, type RetryState, type StoredTime } from "./job.ts";
import { nextInterval, nextOccurrence } from "./next-occurrence.ts";
import { formatScheduleKey, isNamedSince } from "./observe-slots.ts";
import { isOffSchedule, toStoredTime } from "./repair-next-run.ts";
import type { RunReason } from "./run.ts";
import type { Schedule } from "./schedule.ts";
import type { Zone } from "./zone.ts";

export interface EndedClaim {
  /** The `fire_claim.by` that this run was claimed with. */
  readonly owner: string;
  readonly endedAtMs: number;
  readonly trigger: "schedule" | "manual" | "retry";
  /** The slot that the run served, if it served one. */
  readonly scheduledAtMs?: number | null;
  readonly zone: Zone;
  /** What goes into `last_status` instead of what the outcome says, as `delivery_queued`. */
  readonly status?: string | null;
  /** Set when the output could not be delivered; the run itself then still counts as it went. */
  readonly deliveryError?: string | null;
  /** Where its result is still on its way to. */
  readonly deliveryQueued?: string | null;
}

const noNextRunText =
  "Failed to compute next run for recurring schedule (is the 'croniter' package installed in the gateway's Python env?)";

/** When Hermes would have a job run next that did not reach its model, and how it remembers that. */
export interface Postponed {
  readonly nextRunAt: string;
  readonly retry: RetryState | null;
  readonly holdUntil: string | null;
  readonly holdExpression: string | null;
  /** The cron expression that this was reckoned with; null for other schedules. */
  readonly expression: string | null;
}

/** What is known of a run's end. */
export interface SettledOutcome {
  readonly success: boolean;
  readonly error: string | null;
  readonly reason?: RunReason | null;
  readonly postponed?: Postponed | null;
  /** False for a run that tried an occurrence again that has counted. */
  readonly isCounted?: boolean;
  /** Why the job is to be paused for this end, or null. */
  readonly pauseReason?: string | null;
}

/**
 * What a finished run does to its record: Hermes' `mark_job_run`, save that a `next_run_at` that lies ahead is left alone.
 * "superseded" means that the record belongs to another run by now and must not be touched.
 */
export function settleJob(job: Job, outcome: SettledOutcome, ended: EndedClaim): JobPatch | "superseded" {
  if (job.fireClaim?.by !== ended.owner) return "superseded";
  const at = formatInstant(ended.endedAtMs, ended.zone);
  const deliveryError = ended.deliveryError ?? null;
  return {
    lastRunAt: at,
    lastStatus: ended.status ? ended.status : settledStatus(outcome, deliveryError),
    lastError: outcome.success ? null : outcome.error,
    lastDeliveryError: deliveryError,
    lastDeliveryQueued: ended.deliveryQueued ? { [ended.deliveryQueued]: "queued" } : null,
    fireClaim: null,
    pendingSlot: "drop",
    ...(job.runClaim === null ? {} : { runClaim: null }),
    ...(isRequestedAgain(job) ? {} : ({ manualRunAt: "drop", manualRunPrompt: "drop" } as const)),
    ...(outcome.success
      ? ({ failureStreak: 0, preflightAlerted: "drop", lastFireError: "drop" } as const)
      : {
          // The streak counts slots, and the first run of this one has counted.
          failureStreak: Math.max(1, job.failureStreak + (ended.trigger === "retry" ? 0 : 1)),
          lastFailure: { at, detail: outcome.error ?? "run failed" },
        }),
    ...pausedFor(
      outcome.pauseReason ?? null,
      at,
      postpone(job, outcome.postponed ?? null, settledSchedule(job, outcome, ended), ended.zone),
    ),
  };
}

/** As Hermes pauses a job. One that is over needs no pause, and one that somebody has paused meanwhile keeps that mark. */
function pausedFor(reason: string | null, at: string, settled: JobPatch): JobPatch {
  if (reason === null || settled.state !== "scheduled") return settled;
  return { ...settled, enabled: false, state: "paused", pausedAt: at, pausedReason: reason };
}

/** Moves the next run to when the model may be reached again, unless the job has become another or ended meanwhile. */
function postpone(job: Job, postponed: Postponed | null, settled: JobPatch, zone: Zone): JobPatch {
  const expression = job.schedule?.kind === "cron" ? job.schedule.expression : null;
  const isOver = settled.enabled === false || settled.state === "error" || !isRunnable(job) || isRequestedAgain(job);
  if (postponed === null || isOver || expression !== postponed.expression || comesEarlier(job, postponed, zone))
    return { ...settled, unreachableRetry: "drop", quotaHoldUntil: "drop", quotaHoldExpression: "drop" };
  return {
    ...settled,
    unreachableRetry: postponed.retry ?? "drop",
    quotaHoldUntil: postponed.holdUntil ?? "drop",
    quotaHoldExpression: postponed.holdExpression ?? "drop",
    nextRunAt: postponed.nextRunAt,
  };
}

/** Whether the schedule itself is the next try: an interval that keeps its pace can be earlier than Hermes reckoned. */
function comesEarlier(job: Job, { nextRunAt, holdUntil }: Postponed, zone: Zone): boolean {
  const ms = parseInstant(nextRunAt, zone);
  return ms === null || (holdUntil === null && job.nextRunAt !== null && job.nextRunAt.ms <= ms);
}

/** What is known of a claim whose gate never opened. */
interface VoidClaim {
  readonly owner: string;
  readonly trigger: "schedule" | "manual" | "retry";
  readonly scheduledAtMs: number | null;
  /** The rule that the claim was made by, as far as that is known. */
  readonly scheduleText?: string | undefined;
  readonly zone: Zone;
}

/** Takes it back: nothing ran, so the slot, the count and the request are what they were. The next tick finds them due again. */
export function restoreJob(job: Job, claim: VoidClaim): JobPatch | "superseded" {
  if (job.fireClaim?.by !== claim.owner) return "superseded";
  const isCounted = job.schedule?.kind === "once" && job.runClaim !== null && hasCount(job) && job.repeatCompleted > 0;
  return {
    fireClaim: null,
    pendingSlot: "drop",
    ...(job.runClaim === null ? {} : { runClaim: null }),
    ...(isCounted ? { repeatCompleted: job.repeatCompleted - 1 } : {}),
    ...restoredNextRun(job, claim),
  };
}

/**
 * Whether the record shows that this claim of a slot was written into it, or could have been. A claim moves a recurring job off
 * its slot and gives a one-shot a run claim, and whoever frees a dead claim takes neither back.
 */
export function mayBeClaimed(
  job: Job,
  claim: { readonly owner: string; readonly scheduledAtMs: number | null },
): boolean {
  if (job.fireClaim?.by === claim.owner || job.schedule === null) return true;
  if (job.schedule.kind === "once" && job.runClaim !== null) return true;
  return claim.scheduledAtMs === null || job.nextRunAt?.ms !== claim.scheduledAtMs;
}

function restoredNextRun(job: Job, { trigger, scheduledAtMs, scheduleText, zone }: VoidClaim): JobPatch {
  if (trigger === "retry") return {};
  if (trigger === "manual") return job.manualRunAt === null ? {} : { nextRunAt: job.manualRunAt };
  if (scheduledAtMs === null || job.schedule === null) return {};
  if (job.nextRunAt !== null && job.nextRunAt.ms <= scheduledAtMs) return {};
  const slot = toStoredTime(job.schedule, scheduledAtMs, scheduledAtMs - hourMs, zone);
  // The schedule was edited meanwhile: what it names now stands in the record already.
  if (isOffSchedule(job.schedule, slot, zone) || !leadsTo(job.schedule, slot.ms, job.nextRunAt, zone)) return {};
  const isSameRule = scheduleText === undefined || scheduleText === formatScheduleKey(job.schedule);
  return isSameRule || isNamedSince(job.schedule, Number.NEGATIVE_INFINITY, slot.ms, zone)
    ? { nextRunAt: slot.text }
    : {};
}

/** Whether a claim of this slot can leave such a later `next_run_at`: a one-shot keeps its own, and an interval goes on by whole steps. */
function leadsTo(schedule: Schedule, slotMs: number, next: StoredTime | null, zone: Zone): boolean {
  if (next === null || schedule.kind === "cron") return true;
  return schedule.kind === "interval" && isNamedSince(schedule, slotMs, next.ms, zone);
}

function settledStatus(
  outcome: { readonly success: boolean; readonly reason?: RunReason | null },
  deliveryError: string | null,
): string {
  if (outcome.reason === "blocked_config") return "blocked_config";
  if (!outcome.success) return "error";
  return deliveryError === null || deliveryError.trim() === "" ? "ok" : "delivery_failed";
}

/** What becomes of the count, the next run and the state. */
function settledSchedule(job: Job, outcome: SettledOutcome, ended: EndedClaim): JobPatch {
  const { schedule } = job;
  const isOnce = schedule?.kind === "once";
  // A manual run is one more than the schedule asks for, unless it was the one-shot's own: that one carries a run claim.
  const isAgain = ended.trigger === "retry";
  const isExtra = isAgain || (ended.trigger === "manual" && (!isOnce || job.runClaim === null));
  const isEarlier = isOnce && isOfEarlierRule(job, ended);
  // A claim of a one-shot counts its run, whatever the job has become since.
  const isCountedBefore = hasCount(job) && job.repeatCompleted > 0 && (job.runClaim !== null || (isOnce && !isEarlier));
  const completed = job.repeatCompleted + (isExtra || isCountedBefore || outcome.isCounted === false ? 0 : 1);
  const count: JobPatch = completed === job.repeatCompleted ? {} : { repeatCompleted: completed };
  // A record that was made unreadable while the job ran is left to whoever mends it.
  if (schedule === null) return count;
  // The slot's first run has ended the job already, or somebody ran one by hand that was over.
  if (isExtra && isTerminal(job)) return {};
  if (!isExtra && hasCount(job) && completed >= (job.repeatTimes ?? 0)) return { ...count, ...completion };
  if (isOnce && !isExtra && !isEarlier) return { ...count, ...completion };

  const state: JobPatch = job.state === "paused" ? {} : { state: "scheduled" };
  // A slot that came while the job ran is for the next tick to decide, and so is a request.
  const isServed = job.nextRunAt !== null && job.nextRunAt.ms === ended.scheduledAtMs && !isRequestedAgain(job);
  if (job.nextRunAt !== null && !isServed) return { ...count, ...state };
  const nextMs = nextAfter(schedule, ended.scheduledAtMs ?? ended.endedAtMs, ended);
  if (nextMs !== null)
    return { ...count, ...state, nextRunAt: toStoredTime(schedule, nextMs, ended.endedAtMs, ended.zone).text };
  // One that was paused past its only time is left as it is, too.
  if (isOnce && isExtra) return count;
  const isErrorTold = !outcome.success && outcome.error !== null && outcome.error !== "";
  return { ...count, nextRunAt: null, state: "error", ...(isErrorTold ? {} : { lastError: noNextRunText }) };
}

/**
 * Whether the job was given another one-shot instant while a run of its earlier rule went on. Hermes takes that run for the new
 * instant's own, and what somebody has just asked for never comes. A one-shot's own run leaves its instant in the record.
 */
function isOfEarlierRule(job: Job, { scheduledAtMs = null }: EndedClaim): boolean {
  return scheduledAtMs !== null && job.nextRunAt !== null && job.nextRunAt.ms !== scheduledAtMs;
}

// A slot in the hour that the spring change leaves out is written as its expression names it, counted from before the change.
const hourMs = 3_600_000;

const completion: JobPatch = { enabled: false, state: "completed", nextRunAt: null };

function nextAfter(schedule: Schedule, servedMs: number, ended: EndedClaim): number | null {
  if (schedule.kind === "interval") return nextInterval(servedMs, schedule.minutes, ended.endedAtMs);
  try {
    return nextOccurrence(schedule, ended.endedAtMs, ended.zone);
  } catch (error) {
    // An expression that was broken while the job ran has no next time, and that is what the record then says.
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}

function hasCount(job: Job): boolean {
  return job.repeatTimes !== null && job.repeatTimes > 0;
}

/** Whether somebody asked for a run while this one was going on: a claim moves `next_run_at` off the request that it serves. */
function isRequestedAgain(job: Job): boolean {
  return job.schedule?.kind !== "once" && job.manualRunAt !== null && job.manualRunAt === job.nextRunAt?.text;
}
