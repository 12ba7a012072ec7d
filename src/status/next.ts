import { comingOccurrences } from "../core/coming-occurrences.ts";
import type { Job } from "../core/job.ts";
import { jobsPerCut, type Work } from "../core/work.ts";
import type { Zone } from "../core/zone.ts";
import { isoTime } from "./json.ts";

/** What `next --json` prints and `GET /v1/next` answers: a job without an occurrence has an error, and no job has both. */
export interface NextJson {
  readonly occurrences: readonly {
    readonly home: string;
    readonly job_id: string;
    readonly job_name: string;
    readonly at: string | null;
  }[];
  readonly errors: readonly { readonly home: string; readonly job_id: string; readonly message: string }[];
}

export interface NextHome {
  readonly name: string;
  readonly jobs: readonly Job[];
  readonly zone: Zone;
}

/** How many occurrences of each job are shown unless the caller says: a few where one job is asked for, else the first. */
export function nextCount(isOneJob: boolean): number {
  return isOneJob ? 5 : 1;
}

/** The daemon does nothing else while it works these out, so one answer has not many more. */
const occurrencesMax = 2000;

/** Why so many occurrences of each job are too many for one answer, or null. One of each is not. */
export function nextCountFault(
  homes: readonly NextHome[],
  wanted: { readonly home: string | null; readonly jobId: string | null },
  count: number,
): string | null {
  const jobs = homes
    .filter(({ name }) => wanted.home === null || wanted.home === name)
    .reduce((sum, home) => sum + home.jobs.filter(({ id }) => wanted.jobId === null || wanted.jobId === id).length, 0);
  if (count === 1 || count * jobs <= occurrencesMax) return null;
  return `count is ${count} for each of ${jobs} jobs, expected at most ${occurrencesMax} in all`;
}

/** The next `count` occurrences of each job, in order of time. A job that does not run is left out unless it is asked for. */
export function* nextSnapshot(
  homes: readonly NextHome[],
  wanted: { readonly home: string | null; readonly jobId: string | null },
  afterMs: number,
  count: number,
): Work<NextJson> {
  const found: { readonly atMs: number; readonly home: string; readonly job: Job }[] = [];
  const errors: NextJson["errors"][number][] = [];
  for (const home of homes) {
    if (wanted.home !== null && wanted.home !== home.name) continue;
    for (const [index, job] of home.jobs.entries()) {
      // Working out the occurrences of some schedules takes as long as those of a hundred others.
      if (index % 8 === 0) yield;
      if (wanted.jobId === null ? !job.enabled : wanted.jobId !== job.id) continue;
      const coming = comingOccurrences(job, afterMs, count, home.zone);
      if (typeof coming === "string") errors.push({ home: home.name, job_id: job.id, message: coming });
      else for (const atMs of coming) found.push({ atMs, home: home.name, job });
    }
  }
  found.sort((a, b) => a.atMs - b.atMs);
  const occurrences: NextJson["occurrences"][number][] = [];
  for (const [index, { atMs, home, job }] of found.entries()) {
    if (index % jobsPerCut === 0) yield;
    occurrences.push({ home, job_id: job.id, job_name: job.name, at: isoTime(atMs) });
  }
  return { occurrences, errors };
}
