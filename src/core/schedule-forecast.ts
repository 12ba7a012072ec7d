import { comingOccurrences } from "./coming-occurrences.ts";
import type { Job } from "./job.ts";
import type { Zone } from "./zone.ts";

/** What another time zone does to the coming occurrences of one job. */
export interface JobForecast {
  readonly jobId: string;
  readonly jobName: string;
  /** Of as many occurrences that go as come, each with the one in its place. */
  readonly moved: readonly { readonly fromMs: number; readonly toMs: number }[];
  readonly vanished: readonly number[];
  readonly appeared: readonly number[];
}

/** A job that runs each second has 86,400 occurrences in a day: only so many are looked at. */
const occurrencesMax = 5000;

/** What becomes of the occurrences from `fromMs` to `untilMs`; null when they stay as they are. */
export function forecastJob(job: Job, before: Zone, after: Zone, fromMs: number, untilMs: number): JobForecast | null {
  if (before.name === after.name) return null;
  let old = occurrencesIn(job, before, fromMs, untilMs);
  let now = occurrencesIn(job, after, fromMs, untilMs);
  if (Math.max(old.length, now.length) === occurrencesMax) {
    // Only the time that both lists cover can be compared.
    const lastMs = Math.min(old.at(-1) ?? untilMs, now.at(-1) ?? untilMs);
    old = old.filter((atMs) => atMs <= lastMs);
    now = now.filter((atMs) => atMs <= lastMs);
  }
  const [oldSet, nowSet] = [new Set(old), new Set(now)];
  const vanished = old.filter((atMs) => !nowSet.has(atMs));
  const appeared = now.filter((atMs) => !oldSet.has(atMs));
  if (vanished.length === 0 && appeared.length === 0) return null;
  const shared = { jobId: job.id, jobName: job.name };
  if (vanished.length !== appeared.length) return { ...shared, moved: [], vanished, appeared };
  const moved = vanished.map((atMs, index) => ({ fromMs: atMs, toMs: appeared[index] ?? atMs }));
  return { ...shared, moved, vanished: [], appeared: [] };
}

function occurrencesIn(job: Job, zone: Zone, fromMs: number, untilMs: number): readonly number[] {
  const found: number[] = [];
  const hasLimit = job.repeatTimes !== null && job.repeatTimes > 0;
  const left = hasLimit ? Math.min(occurrencesMax, job.repeatTimes - job.repeatCompleted) : occurrencesMax;
  for (let atMs = fromMs; found.length < left; ) {
    // A job that does not run has a sentence instead, and so no occurrence.
    const next = comingOccurrences(job, atMs, 1, zone);
    const nextMs = typeof next === "string" ? undefined : next[0];
    if (nextMs === undefined || nextMs > untilMs) break;
    found.push(nextMs);
    atMs = nextMs;
  }
  return found;
}
