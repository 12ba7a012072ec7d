import { hasPauseMark, isTerminal, type Job } from "./job.ts";
import type { Retry } from "./job-policy.ts";
import { formatScheduleKey, isSameInstant } from "./observe-slots.ts";
import type { Run, RunReason } from "./run.ts";
import type { RetryEnd } from "./run-retry.ts";

/** What becomes of a failed run that another attempt may follow. */
export interface RetryPlan {
  readonly state: "waiting" | "given_up";
  /** The number of the attempt that is to come, or would have. */
  readonly attempt: number;
  readonly dueAtMs: number | null;
  readonly reason: RetryEnd | null;
}

/** An attempt that is to come. It is written down together with the end of the run that it follows. */
export interface WaitingRetry {
  /** The run that failed. */
  readonly runId: string;
  readonly jobId: string;
  readonly attempt: number;
  readonly scheduledAtMs: number;
  readonly failedAtMs: number;
  readonly dueAtMs: number;
  /** What the job was, to tell an edit. */
  readonly editKey: string;
}

const causeOf: Readonly<Partial<Record<RunReason, Retry["causes"][number]>>> = {
  exit: "failed",
  signal: "failed",
  error: "failed",
  not_started: "failed",
  timeout: "timeout",
  idle_timeout: "idle_timeout",
  memory_limit: "memory_limit",
  output_limit: "output_limit",
  orphaned: "orphaned",
};

/**
 * Whether another attempt follows a run that has failed, and when. Null where the policy has nothing to say of such an end. A run
 * that a person asked for is not tried again: who asked sees how it went.
 */
export function planRetryAfter(
  run: Pick<Run, "trigger" | "attempt" | "scheduledAtMs">,
  reason: RunReason | null,
  policy: Retry | null,
  seen: {
    /** Null where the run never began. */
    readonly startedAtMs: number | null;
    readonly failedAtMs: number;
    /** The job's record, or null where it is gone. */
    readonly job: Job | null;
    readonly isRetriedByHermes: boolean;
    /** From 0, below 1. */
    readonly chance: number;
  },
): RetryPlan | null {
  const cause = reason === null ? undefined : causeOf[reason];
  if (policy === null || cause === undefined || !policy.causes.includes(cause) || run.trigger === "manual") return null;
  const attempt = run.attempt + 1;
  const giveUp = (why: RetryEnd): RetryPlan => ({ state: "given_up", attempt, dueAtMs: null, reason: why });
  if (seen.isRetriedByHermes) return giveUp("hermes_retries");
  if (run.attempt > policy.attemptsMax) return giveUp("used_up");
  if (seen.job === null) return giveUp("job_gone");
  if (hasPauseMark(seen.job)) return giveUp("paused");
  const dueAtMs = seen.failedAtMs + retryDelayMs(policy, run.attempt, seen.chance);
  const nextMs = slotAheadMs(seen.job, run.scheduledAtMs);
  // An attempt is taken to last as long as the run that failed: one that is open at the next slot would cost the job that slot. The
  // end of an orphan is only the instant when it was decided, which says nothing of its length.
  const isLengthKnown = seen.startedAtMs !== null && reason !== "orphaned";
  const lengthMs = isLengthKnown ? Math.max(0, seen.failedAtMs - (seen.startedAtMs ?? seen.failedAtMs)) : 0;
  if (nextMs !== null && dueAtMs + lengthMs >= nextMs) return giveUp("next_slot");
  return { state: "waiting", attempt, dueAtMs, reason: null };
}

/** How long after the end of attempt `attempt` the next one comes. `chance` is from 0, below 1. */
export function retryDelayMs({ backoffMs, growth, jitter }: Retry, attempt: number, chance: number): number {
  const plainMs =
    growth === undefined ? backoffMs : Math.min(growth.delayMsMax, backoffMs * growth.factor ** (attempt - 1));
  return Math.max(0, Math.round(plainMs * (1 + jitter * (2 * chance - 1))));
}

/** Why an attempt that waits does not come any more, or null. `job` is null where its record is gone. */
export function retryEnd(retry: WaitingRetry, job: Job | null, attemptsMax: number, nowMs: number): RetryEnd | null {
  if (job === null) return "job_gone";
  if (job.fault !== null || editKey(job) !== retry.editKey) return "edited";
  // Settling writes the same instant, with six digits.
  if (job.lastRunAt !== null && job.lastRunAt.ms > retry.failedAtMs + 1) return "ran_since";
  if (hasPauseMark(job)) return "paused";
  // The failed run itself may have been the last that the job had; then it is still tried again.
  const isOwnEnd = job.lastRunAt !== null && job.lastRunAt.ms > retry.failedAtMs - 1;
  if (isTerminal(job) && !isOwnEnd) return "completed";
  if (!job.enabled && !isTerminal(job)) return "paused";
  if (retry.attempt > attemptsMax + 1) return "policy";
  const nextMs = slotAheadMs(job, retry.scheduledAtMs);
  return nextMs !== null && nextMs <= nowMs ? "next_slot" : null;
}

/** What a person who edits a job changes. */
export function editKey(job: Job): string {
  const { kind, schedule, script, interpreter, workdir, promptMark = null } = job;
  const rule = schedule === null ? null : formatScheduleKey(schedule);
  return JSON.stringify([kind, rule, script, interpreter, workdir, promptMark]);
}

/** The instant of the job's next slot. What stands there on request is none, nor is the one that a one-shot keeps while it runs. */
function slotAheadMs(job: Job, servedMs: number | null): number | null {
  if (!job.enabled || isTerminal(job) || job.nextRunAt === null) return null;
  if (isSameInstant(job.nextRunAt.ms, servedMs)) return null;
  return job.manualRunAt === job.nextRunAt.text ? null : job.nextRunAt.ms;
}
