import type { Schedule } from "./schedule.ts";

/** An instant as the store wrote it. `ms` is Unix time in milliseconds and may carry a microsecond fraction. */
export interface StoredTime {
  readonly text: string;
  readonly ms: number;
}

/** Who holds a job, and since when. `by` is `host:pid:uuidhex` (fire claim) or `host:pid` (run claim, pending slot). */
export interface StoredClaim {
  /** Null when the text is no time that Hermes can read. */
  readonly at: StoredTime | null;
  readonly by: string;
  /** Set on a one-shot's run claim that was made late because its store could not be written: without a fire claim it never started. */
  readonly isOutage?: boolean;
}

export interface PendingSlot extends StoredClaim {
  readonly scheduledAt: StoredTime;
}

export interface LastDispatch {
  readonly scheduledAt: string;
  readonly dispatchedAt: string;
  readonly latenessSeconds: number;
  readonly kind: "on_time" | "late" | "catch_up";
}

/** What runs a job: the installed Hermes, or the script's own interpreter. A launcher is ready for one of them. */
export type JobKind = "prompt" | "script";

export const jobKinds: readonly JobKind[] = ["prompt", "script"];

/** One record of `jobs.json` in our words. What we do not know stays in the record's own text. */
export interface Job {
  readonly id: string;
  readonly name: string;
  readonly kind: JobKind;
  readonly script: string | null;
  readonly interpreter: string | null;
  readonly workdir: string | null;
  /** Tells one text of a prompt job from another. */
  readonly promptMark?: string;
  /** Null when the record's schedule is of no kind that we know; then `fault` says why. */
  readonly schedule: Schedule | null;
  readonly scheduleText: string;
  readonly enabled: boolean;
  readonly state: string;
  /** When its record was made; absent where it does not say so. */
  readonly createdAt?: StoredTime;
  readonly pausedAt: string | null;
  readonly pausedReason?: string | null;
  readonly repeatTimes: number | null;
  readonly repeatCompleted: number;
  readonly nextRunAt: StoredTime | null;
  /** Why the record's `next_run_at` is no time, where it has one that nobody can read. The next write of it mends it, as Hermes does. */
  readonly nextRunFault?: string;
  readonly lastRunAt: StoredTime | null;
  readonly lastStatus: string | null;
  readonly lastError: string | null;
  readonly failureStreak: number;
  readonly fireClaim: StoredClaim | null;
  readonly runClaim: StoredClaim | null;
  readonly pendingSlot: PendingSlot | null;
  /** The instant that whoever runs the job dispatched last: Hermes' `last_dispatch.scheduled_at`, from 0.22 on. */
  readonly lastDispatchOf?: StoredTime | null;
  /** Equal to the text of `nextRunAt` when a person asked Hermes to run the job now. */
  readonly manualRunAt: string | null;
  readonly quotaHoldUntil: StoredTime | null;
  /**
   * The text of an instant off the schedule that Hermes set on purpose and that may fire once: `unreachable_retry.at` or
   * `quota_hold_until`, where the cron expression kept beside it is still the record's own.
   */
  readonly parkedAt?: string | null;
  /** Why this record cannot be run, in one sentence, or null. It is written back as it was. */
  readonly fault: string | null;
}

/** Hermes' own memory of how often it tried to reach a model: which retry is coming, when, and under which cron expression. */
export interface RetryState {
  readonly attempt: number;
  readonly at: string;
  readonly expr: string | null;
}

/**
 * What we write into a record. An absent key is left as it is; null is written as JSON null; the string
 * "drop" removes the key. Instants are texts in the form that Hermes prints.
 */
export interface JobPatch {
  readonly enabled?: boolean;
  readonly state?: string;
  readonly pausedAt?: string | null;
  readonly pausedReason?: string | null;
  readonly nextRunAt?: string | null;
  readonly lastRunAt?: string;
  readonly lastStatus?: string;
  readonly lastError?: string | null;
  readonly lastDeliveryError?: string | null;
  /** By target, what is still on its way; from 0.22 on. Null takes it away where there is one. */
  readonly lastDeliveryQueued?: Readonly<Record<string, string>> | null;
  readonly repeatCompleted?: number;
  readonly fireClaim?: { readonly at: string; readonly by: string } | null;
  readonly runClaim?: { readonly at: string; readonly by: string } | null;
  readonly pendingSlot?: "drop";
  readonly manualRunAt?: "drop";
  readonly manualRunPrompt?: "drop";
  readonly preflightAlerted?: "drop";
  readonly lastFireError?: "drop";
  readonly unreachableRetry?: "drop" | RetryState;
  readonly quotaHoldUntil?: "drop" | string;
  readonly quotaHoldExpression?: "drop" | string;
  /** The three below exist from 0.22 on: written only where the store's records know them. */
  readonly failureStreak?: number;
  readonly lastFailure?: { readonly at: string; readonly detail: string | null };
  readonly lastDispatch?: LastDispatch;
}

export function hasPauseMark(job: Job): boolean {
  return job.state.trim() === "paused" || (job.pausedAt !== null && job.pausedAt !== "");
}

/** An error state is final for a one-shot only: it says that a recurring job's next time could not be told. */
export function isTerminal(job: Job): boolean {
  return job.state === "completed" || (job.state === "error" && job.schedule?.kind === "once");
}

/** Whether its record tells of a run that failed: one that its configuration kept from beginning has a status of its own. */
export function hasFailed({ lastStatus }: Pick<Job, "lastStatus">): boolean {
  return lastStatus === "error" || lastStatus === "blocked_config";
}

export function isRunnable(job: Job): boolean {
  return job.enabled && !isTerminal(job) && !hasPauseMark(job);
}

/** Whether its model's quota holds it: whoever gives it an earlier time after all takes it out of the hold. */
export function isQuotaHeld(job: Job, nowMs: number): boolean {
  const untilMs = job.quotaHoldUntil?.ms ?? null;
  return untilMs !== null && untilMs > nowMs && (job.nextRunAt === null || job.nextRunAt.ms >= untilMs - 1000);
}

export function isUsedUp(job: Job): boolean {
  return job.repeatTimes !== null && job.repeatTimes > 0 && job.repeatCompleted >= job.repeatTimes;
}

/** Whether its count keeps it from running: of a recurring job that is only looked at behind a run, so one that is still on runs once more. */
export function isOverByCount(job: Job): boolean {
  return isUsedUp(job) && (job.schedule?.kind === "once" || isTerminal(job));
}
