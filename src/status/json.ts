import type { RunDelivery } from "../core/delivery.ts";
import type { Job } from "../core/job.ts";
import type { Run } from "../core/run.ts";
import type { RunRetry } from "../core/run-retry.ts";
import type { SlotLine } from "../core/slot.ts";

/** Words and times of our JSON documents: `snake_case`, ISO 8601 UTC with milliseconds, null for what is absent. */

export interface RunJson {
  readonly id: string;
  readonly home: string;
  readonly job_id: string;
  readonly job_name: string;
  readonly kind: Run["kind"];
  readonly trigger: Run["trigger"];
  readonly scheduled_at: string | null;
  readonly claimed_at: string;
  readonly started_at: string | null;
  readonly ended_at: string | null;
  readonly lateness_ms: number | null;
  readonly attempt: number;
  readonly state: Run["state"];
  readonly reason: Run["reason"];
  readonly exit_code: number | null;
  readonly signal: string | null;
  readonly pid: number;
  readonly fingerprint: {
    readonly pid: number;
    readonly start_ticks: number | null;
    readonly boot_id: string;
    readonly pid_namespace: string | null;
  };
  readonly adopted: boolean;
  readonly error: string | null;
  readonly output_bytes: number | null;
  readonly output_path: string | null;
  readonly document_path: string | null;
  readonly delivery: RunDelivery | null;
  readonly retry: RetryJson | null;
}

/** Whether another attempt follows a failed run: `waiting`, `started` as the run `run_id`, or `given_up` for a reason. */
export interface RetryJson {
  readonly state: "waiting" | "started" | "given_up";
  readonly attempt: number;
  readonly at: string | null;
  readonly reason: string | null;
  readonly run_id: string | null;
}

export interface SlotJson {
  readonly home: string;
  readonly job_id: string;
  readonly scheduled_at: string;
  readonly decision: SlotLine["decision"];
  readonly reason: SlotLine["reason"];
  readonly run_id: string | null;
  readonly decided_at: string;
  readonly lateness_ms: number | null;
}

export interface JobJson {
  readonly home: string;
  readonly id: string;
  readonly name: string;
  readonly kind: Job["kind"];
  readonly schedule: string;
  readonly enabled: boolean;
  readonly state: string;
  readonly next_run_at: string | null;
  readonly last_run_at: string | null;
  readonly last_status: string | null;
  readonly last_error: string | null;
  readonly failure_streak: number;
  readonly repeat: { readonly times: number | null; readonly completed: number };
  readonly open_run_id: string | null;
  readonly fault: string | null;
}

/** Null also for a number that no date can hold: a stored time may be anything. */
export function isoTime(ms: number | null): string | null {
  if (ms === null || !(Math.abs(ms) <= 8.64e15)) return null;
  return new Date(Math.floor(ms)).toISOString();
}

/** Open runs are shown at each look. Where one has changed it is another list. */
const shown = new WeakMap<readonly Run[], readonly RunJson[]>();

export function runsJson(runs: readonly Run[]): readonly RunJson[] {
  const known = shown.get(runs);
  if (known !== undefined) return known;
  const made = runs.map(runJson);
  shown.set(runs, made);
  return made;
}

export function runJson(run: Run): RunJson {
  const { fingerprint, scheduledAtMs, startedAtMs } = run;
  return {
    id: run.id,
    home: run.home,
    job_id: run.jobId,
    job_name: run.jobName,
    kind: run.kind,
    trigger: run.trigger,
    scheduled_at: isoTime(scheduledAtMs),
    claimed_at: isoTime(run.claimedAtMs) ?? "",
    started_at: isoTime(startedAtMs),
    ended_at: isoTime(run.endedAtMs),
    lateness_ms: scheduledAtMs === null || startedAtMs === null ? null : roundedMs(startedAtMs - scheduledAtMs),
    attempt: run.attempt,
    state: run.state,
    reason: run.reason,
    exit_code: run.exitCode,
    signal: run.signal,
    pid: fingerprint.pid,
    fingerprint: {
      pid: fingerprint.pid,
      start_ticks: fingerprint.startTicks,
      boot_id: fingerprint.bootId,
      pid_namespace: fingerprint.pidNamespace,
    },
    adopted: run.adopted,
    error: run.error,
    output_bytes: run.outputBytes,
    output_path: run.outputPath,
    document_path: run.documentPath,
    delivery: run.delivery ?? null,
    retry: run.retry === undefined ? null : retryJson(run.retry),
  };
}

function retryJson({ state, attempt, dueAtMs, reason, runId }: RunRetry): RetryJson {
  return { state, attempt, at: isoTime(dueAtMs), reason, run_id: runId };
}

export function slotJson(slot: SlotLine & { readonly home: string }): SlotJson {
  return {
    home: slot.home,
    job_id: slot.jobId,
    scheduled_at: isoTime(slot.scheduledAtMs) ?? "",
    decision: slot.decision,
    reason: slot.reason,
    run_id: slot.runId,
    decided_at: isoTime(slot.decidedAtMs) ?? "",
    lateness_ms: slot.latenessMs === null ? null : roundedMs(slot.latenessMs),
  };
}

export function jobJson(home: string, job: Job, openRunId: string | null): JobJson {
  return {
    home,
    id: job.id,
    name: job.name,
    kind: job.kind,
    schedule: job.scheduleText,
    enabled: job.enabled,
    state: job.state,
    next_run_at: isoTime(job.nextRunAt?.ms ?? null),
    last_run_at: isoTime(job.lastRunAt?.ms ?? null),
    last_status: job.lastStatus,
    last_error: job.lastError,
    failure_streak: job.failureStreak,
    repeat: { times: job.repeatTimes, completed: job.repeatCompleted },
    open_run_id: openRunId,
    fault: job.fault,
  };
}

function roundedMs(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}
