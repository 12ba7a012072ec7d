import { isRunnable, type Job } from "./job.ts";
import type { CrashLoopGuard } from "./job-policy.ts";
import { editKey } from "./retry.ts";
import type { Run, RunReason } from "./run.ts";

/** How a job has been doing lately. Absent where there is nothing to say. */
export interface JobHealth {
  /** Slots in a row that failed with all their attempts. */
  readonly streak: number;
  /** Runs in a row that failed within a second. */
  readonly quickFailures: number;
  /** Deaths of the daemon in a row, each within seconds of the job's first start in that daemon's life. */
  readonly deaths: number;
  /** The last such run: its own end says nothing in its favour. */
  readonly deathRunId: string | null;
  /** How often it was held back in a row, and until when it is. */
  readonly holds: number;
  readonly heldSinceMs: number | null;
  readonly heldUntilMs: number | null;
  /** What the job was then: an edit begins anew. */
  readonly editKey: string;
  /** The run after which the job is to be paused. */
  readonly pausedBy: string | null;
}

/** A daemon that dies again and again within so long of a job's first start was probably brought down by it. */
export const deathWindowMs = 2000;
const quickMs = 1000;

function fresh(key: string): JobHealth {
  return {
    streak: 0,
    quickFailures: 0,
    deaths: 0,
    deathRunId: null,
    holds: 0,
    heldSinceMs: null,
    heldUntilMs: null,
    editKey: key,
    pausedBy: null,
  };
}

/** As it counts for the job as it is now: what came before an edit does not. */
function current(health: JobHealth | undefined, key: string): JobHealth {
  return health === undefined || health.editKey !== key ? fresh(key) : health;
}

/** What is known of a run's end that health goes by. */
export interface HealthEnd {
  readonly success: boolean;
  readonly reason: RunReason | null;
  readonly startedAtMs: number | null;
  readonly endedAtMs: number;
  /** Another attempt follows, or Hermes tries again by itself: the slot has not failed yet. */
  readonly isTriedAgain: boolean;
}

const quickReasons: readonly (RunReason | null)[] = ["exit", "signal", "error", "not_started"];
/** A person stopped it, or something else took its place: that says nothing of the job. */
const neutralReasons: readonly (RunReason | null)[] = ["stopped", "replaced", "superseded"];

/** The job's health after a run has ended; null where there is nothing to remember any more. */
export function healthAfterRun(
  known: JobHealth | undefined,
  run: Pick<Run, "id" | "trigger">,
  job: Job | null,
  end: HealthEnd,
  policy: { readonly streakPause: number | null; readonly crashLoop: CrashLoopGuard | null },
): JobHealth | null {
  const key = job === null ? (known?.editKey ?? "") : editKey(job);
  const before = current(known, key);
  if (neutralReasons.includes(end.reason)) return known ?? null;
  const isSuspect = before.deathRunId === run.id;
  if (end.success) return isSuspect ? { ...before, streak: 0, quickFailures: 0, pausedBy: null } : null;
  const isQuick =
    quickReasons.includes(end.reason) && (end.startedAtMs === null || end.endedAtMs - end.startedAtMs < quickMs);
  const quickFailures = !isQuick ? 0 : run.trigger === "manual" ? before.quickFailures : before.quickFailures + 1;
  const streak = end.isTriedAgain ? before.streak : before.streak + 1;
  const isPaused = policy.streakPause !== null && !end.isTriedAgain && streak >= policy.streakPause;
  const after: JobHealth = {
    ...before,
    ...(isSuspect ? {} : { deaths: 0, deathRunId: null }),
    // Whoever resumes the job gives it as many failures as before.
    streak: isPaused ? 0 : streak,
    pausedBy: isPaused ? run.id : null,
    quickFailures,
  };
  if (run.trigger === "manual") return after;
  if (isQuick && policy.crashLoop !== null && quickFailures >= policy.crashLoop.failures)
    return heldBack(after, policy.crashLoop, end.endedAtMs);
  return isQuick || isSuspect ? after : { ...after, holds: 0, heldSinceMs: null, heldUntilMs: null };
}

/**
 * The job's health after the daemon died within moments of the start of this run, the first that it had started of this job. Asked
 * again for the same run it changes nothing.
 */
export function healthAfterDeath(
  known: JobHealth | undefined,
  runId: string,
  job: Job,
  nowMs: number,
  guard: CrashLoopGuard | null,
): JobHealth {
  const before = current(known, editKey(job));
  if (before.deathRunId === runId) return before;
  const after = { ...before, deaths: before.deaths + 1, deathRunId: runId };
  return guard !== null && after.deaths >= guard.failures ? heldBack(after, guard, nowMs) : after;
}

/** The job's health after the daemon died while nothing spoke against this job; null where nothing changes. */
export function healthAfterOtherDeath(known: JobHealth): JobHealth | null {
  return known.deaths === 0 ? null : { ...known, deaths: 0, deathRunId: null };
}

function heldBack(health: JobHealth, { pauseMs, pauseMsMax }: CrashLoopGuard, fromMs: number): JobHealth {
  const lengthMs = Math.min(pauseMsMax, pauseMs * 2 ** Math.min(health.holds, 40));
  return {
    ...health,
    holds: health.holds + 1,
    heldSinceMs: health.heldSinceMs ?? fromMs,
    heldUntilMs: fromMs + lengthMs,
  };
}

/** Until when the job is held back, or null. */
export function heldUntil(
  health: JobHealth | undefined,
  job: Job,
  guard: CrashLoopGuard | null,
  nowMs: number,
): number | null {
  if (health === undefined || guard === null || health.heldUntilMs === null || health.editKey !== editKey(job))
    return null;
  // The clock may have been set back since: nobody is held for longer than the longest pause.
  const leftMs = health.heldUntilMs - nowMs;
  return leftMs > 0 && leftMs <= guard.pauseMsMax ? health.heldUntilMs : null;
}

/** What the pauses that we set begin with, so that they can be told from those of people. */
export const pauseMark = "hermes-supervisor:";

/** The reason that a paused job carries. */
export function pauseText(failures: number, error: string | null): string {
  const why = (error ?? "no reason was recorded").split("\n")[0];
  return `${pauseMark} ${failures === 1 ? "a failure" : `${failures} failures in a row`}, the last: ${why}`;
}

/** A job that is or was held back and has not run well since, and why, in a sentence that begins with "it" or "the supervisor". */
export interface HeldJob {
  readonly jobId: string;
  readonly sinceMs: number | null;
  readonly untilMs: number;
  /** The time is over, and its next run tells whether it works again. */
  readonly isOver: boolean;
  readonly why: string;
}

/** The jobs that are held back now. */
export function heldJobs(...facts: Parameters<typeof suspectJobs>): readonly HeldJob[] {
  return suspectJobs(...facts).filter(({ isOver }) => !isOver);
}

/** The jobs that are held back now, and those that were and are still to show that they work. */
export function suspectJobs(
  jobs: readonly Job[],
  health: ReadonlyMap<string, JobHealth>,
  guardOf: (job: Job) => CrashLoopGuard | null,
  nowMs: number,
): readonly HeldJob[] {
  // Hardly any job has one, and asking all of them for their settings takes long.
  if (health.size === 0) return [];
  return jobs.flatMap((job) => {
    const known = health.get(job.id);
    if (known === undefined || known.heldUntilMs === null) return [];
    const guard = guardOf(job);
    if (guard === null || known.editKey !== editKey(job)) return [];
    const isOver = heldUntil(known, job, guard, nowMs) === null;
    if (isOver && !isRunnable(job)) return [];
    return [{ jobId: job.id, sinceMs: known.heldSinceMs, untilMs: known.heldUntilMs, isOver, why: holdText(known) }];
  });
}

/** In a sentence for people, why a job is held back. */
export function holdText(health: JobHealth): string {
  return health.deaths > health.quickFailures
    ? `the supervisor died ${health.deaths} times in a row within ${deathWindowMs / 1000} s of its start`
    : `it failed ${health.quickFailures} times in a row within a second`;
}
