import { hasPauseMark, isOverByCount, isRunnable, type Job } from "./job.ts";
import { nextInterval, nextOccurrence } from "./next-occurrence.ts";
import type { Zone } from "./zone.ts";

/**
 * At most `count` instants strictly after `afterMs` at which the job is to run, or a sentence saying why there is none. No more than
 * its count of repeats leaves, save one: that is looked at behind a run.
 */
export function comingOccurrences(job: Job, afterMs: number, count: number, zone: Zone): readonly number[] | string {
  const cannot = `Cannot find a next time of "${job.name}"`;
  if (job.fault !== null) return job.fault;
  if (job.schedule === null) return `${cannot}: its schedule is of no known kind`;
  if (isOverByCount(job)) return `${cannot}: it has had its ${job.repeatTimes} runs`;
  if (!isRunnable(job)) return `${cannot}: it is ${standstill(job)}`;
  const hasLimit = job.repeatTimes !== null && job.repeatTimes > 0;
  const left = hasLimit ? Math.min(count, Math.max(1, job.repeatTimes - job.repeatCompleted)) : count;
  const found: number[] = [];
  try {
    for (let atMs: number | null = afterMs; found.length < left; ) {
      atMs = occurrenceAfter(job, atMs, zone);
      if (atMs === null) break;
      found.push(atMs);
    }
  } catch (error) {
    if (error instanceof SyntaxError) return error.message;
    throw error;
  }
  if (found.length > 0) return found;
  const why = job.schedule.kind === "once" ? "its time has passed" : "its schedule never comes";
  return `${cannot} (${job.scheduleText}): ${why}`;
}

function standstill(job: Job): string {
  if (hasPauseMark(job)) return "paused";
  return job.state === "scheduled" ? "disabled" : job.state;
}

/** An interval keeps the cadence of its stored next time, where it has one; every other schedule says by itself. */
function occurrenceAfter(job: Job, afterMs: number, zone: Zone): number | null {
  const { schedule } = job;
  if (schedule === null) return null;
  if (schedule.kind !== "interval") return nextOccurrence(schedule, afterMs, zone);
  const storedMs = job.nextRunAt?.ms ?? null;
  return storedMs !== null && storedMs > afterMs
    ? storedMs
    : nextInterval(storedMs ?? afterMs, schedule.minutes, afterMs);
}
