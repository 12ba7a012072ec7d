import { isRunnable, type Job, type JobKind, jobKinds } from "../core/job.ts";
import type { StoreSnapshot } from "../store/job-store.ts";
import type { HomeRuntime } from "./home-runtime.ts";

export interface ComingJob {
  readonly job: Job;
  readonly dueMs: number;
}

/** The jobs of a kind that come due in the next while. */
export interface ComingJobs {
  /** The earliest first. */
  readonly soon: readonly ComingJob[];
  /** When the first one behind them is due (Unix ms), or null. */
  readonly laterMs: number | null;
}

interface Scan {
  readonly snapshot: StoreSnapshot;
  readonly fromMs: number;
  readonly untilMs: number;
  readonly coming: Readonly<Record<JobKind, ComingJobs>>;
}

/** How far ahead a scan looks. It is made again for each change of the store, and before its time is over. */
const scanMs = 60_000;

const none: ComingJobs = { soon: [], laterMs: null };

/** Finds what comes due in a home by one pass over its jobs, however often it is asked. `aheadMs` is how far ahead it has to see. */
export function createComingJobs(aheadMs: number): (home: HomeRuntime, kind: JobKind, nowMs: number) => ComingJobs {
  const scans = new WeakMap<HomeRuntime, Scan>();
  return (home, kind, nowMs) => {
    // A file that has changed meanwhile is read by the next tick.
    const snapshot = home.store.latest();
    if (snapshot === null) return none;
    let scan = scans.get(home);
    if (scan?.snapshot !== snapshot || scan.fromMs > nowMs || scan.untilMs < nowMs + aheadMs) {
      scan = scanJobs(snapshot, nowMs);
      scans.set(home, scan);
    }
    return scan.coming[kind];
  };
}

function scanJobs(snapshot: StoreSnapshot, nowMs: number): Scan {
  const untilMs = nowMs + scanMs;
  const soon: Record<JobKind, ComingJob[]> = { prompt: [], script: [] };
  const laterMs: Record<JobKind, number | null> = { prompt: null, script: null };
  for (const job of snapshot.jobs) {
    const dueMs = job.nextRunAt?.ms ?? null;
    if (dueMs === null || job.fault !== null || !isRunnable(job)) continue;
    if (dueMs <= untilMs) soon[job.kind].push({ job, dueMs });
    else laterMs[job.kind] = Math.min(laterMs[job.kind] ?? dueMs, dueMs);
  }
  const coming = (kind: JobKind): ComingJobs => ({
    soon: soon[kind].toSorted((a, b) => a.dueMs - b.dueMs),
    laterMs: laterMs[kind],
  });
  // Where nothing is soon it is known how long that stays so.
  const first = jobKinds.some((kind) => soon[kind].length > 0)
    ? untilMs
    : Math.min(...jobKinds.map((kind) => laterMs[kind] ?? Number.POSITIVE_INFINITY));
  return {
    snapshot,
    fromMs: nowMs,
    untilMs: Math.max(untilMs, first),
    coming: { prompt: coming("prompt"), script: coming("script") },
  };
}
