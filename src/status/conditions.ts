import type { AlertKind } from "../core/alert-kinds.ts";
import { type Condition, findRestarts } from "../core/alerts.ts";
import { lateGraceMs } from "../core/grace.ts";
import { hasFailed, hasPauseMark, type Job } from "../core/job.ts";
import { pauseMark } from "../core/job-health.ts";
import { jobsPerCut, type Work } from "../core/work.ts";
import { isoTime } from "./json.ts";
import type { HomeView, StatusView } from "./view.ts";

/** A tick lock that somebody else has held for so long stops this home. */
const lockStuckMs = 60_000;
/** No job has a shorter grace. */
const graceMinMs = 120_000;
/** The record of a job may keep the end of a run to the second. */
const recordedMs = 1000;
/** A missed slot is old news an hour later if the job has done its work since, else after a day, which is as far as the view goes. */
const missedForMs = 3_600_000;

/** Everything that somebody should look after now. What is told of it, and how often, is for `planAlerts`. */
export function* findConditions(view: StatusView): Work<readonly Condition[]> {
  const conditions: Condition[] = [];
  const add = (
    kind: AlertKind,
    home: string | null,
    jobId: string | null,
    message: string,
    sinceMs: number | null,
    detail = "",
  ): void => void conditions.push({ kind, home, jobId, detail, message, sinceMs });
  const restarts = findRestarts(view.lives, view.nowMs);
  if (restarts !== null) conditions.push(restarts);
  if (view.portFault !== null) add("config_invalid", null, null, view.portFault, null, "api");
  const host = view.hostConfig;
  if (host.error !== null) add("config_invalid", null, null, host.error, host.errorSinceMs);
  const orphans = Map.groupBy(view.orphanedRuns, (run) => `${run.home}/${run.jobId}`);
  const replaced = new Map(view.replacedRuns.map((one) => [`${one.run.home}/${one.run.jobId}`, one]));
  const open = new Set(view.openRuns.map((run) => `${run.home}/${run.jobId}`));
  // To look each up in ten thousand jobs would take as long as all else together.
  const toldOf = [...view.missedSlots, ...view.deliveries];
  const told = new Set(toldOf.map(({ home, jobId }) => `${home}/${jobId}`));
  const toldHomes = new Set(toldOf.map(({ home }) => home));
  const jobs = new Map<string, Job>();
  for (const shortage of new Set(view.homes.map((home) => home.diskShortage))) {
    if (shortage === null) continue;
    // One disk may be that of many homes, or of the history of all.
    const homes = view.homes.filter((home) => home.diskShortage === shortage);
    // How many bytes there are changes from look to look.
    add(
      "disk_low",
      homes.length === 1 ? (homes[0]?.name ?? null) : null,
      null,
      shortage,
      null,
      /"[^"]*"/u.exec(shortage)?.[0],
    );
  }
  for (const home of view.homes) {
    if (home.configError !== null)
      add("config_invalid", home.name, null, home.configError, home.configFile.errorSinceMs);
    for (const warning of home.configWarnings) add("config_invalid", home.name, null, warning, null, warning);
    if (home.state === "degraded") add("home_degraded", home.name, null, home.reason ?? "Degraded", null);
    if (home.state === "unsupported") add("home_unsupported", home.name, null, home.reason ?? "Unsupported", null);
    const { held, holderPid, sinceMs } = home.tickLock;
    if (held && sinceMs !== null && view.nowMs - sinceMs >= lockStuckMs) {
      const message = `The tick lock has been held by ${holderPid === null ? "another process" : `process ${holderPid}`} for ${Math.floor((view.nowMs - sinceMs) / 1000)} s`;
      add("lock_stuck", home.name, null, message, sinceMs);
    }
    for (const { jobId, sinceMs: heldMs, untilMs, isOver, why } of home.held) {
      const name = home.jobs.find(({ id }) => id === jobId)?.name ?? jobId;
      const held = isOver
        ? "was held back, and is tried again at its next time"
        : `is held back until ${isoTime(untilMs)}`;
      const message = `Job "${name}" ${held}: ${why}; edit it, or run it by hand once it works`;
      add("crash_loop", home.name, jobId, message, heldMs);
    }
    for (const stray of home.strays) add("job_invalid", home.name, null, stray, null, stray);
    const remarkable = remarkableJobs(home.jobs);
    const needsAll = toldHomes.has(home.name) || view.nowMs - remarkable.firstDueMs > graceMinMs;
    for (const [index, job] of (needsAll ? home.jobs : remarkable.jobs).entries()) {
      if (index % jobsPerCut === 0) yield;
      const key = `${home.name}/${job.id}`;
      if (told.has(key)) jobs.set(key, job);
      // Until it is written anew, which the next tick does.
      const fault = faultOf(job);
      if (fault !== null) add("job_invalid", home.name, job.id, fault, null);
      if (wasPausedByUs(job)) {
        const message = `Job "${job.name}" was paused after ${(job.pausedReason ?? "").slice(pauseMark.length).trim()}`;
        add("job_paused", home.name, job.id, message, job.lastRunAt?.ms ?? null);
      }
      const failure = lastFailure(job, replaced.get(key));
      if (failure !== null) {
        const { atMs, error } = failure;
        // A record tells of the run that ended last, and some orphans never got into it.
        const isOrphan = orphans
          .get(key)
          ?.some(({ endedAtMs }) => atMs === null || Math.abs(atMs - (endedAtMs ?? 0)) <= recordedMs);
        const message = `Job "${job.name}" failed: ${error ?? "no reason was recorded"}`;
        add(isOrphan ? "run_orphaned" : "run_failed", home.name, job.id, message, atMs);
      }
      if (!open.has(key)) {
        const message = overdueText(home, job, view.nowMs);
        if (message !== null) add("job_overdue", home.name, job.id, message, job.nextRunAt?.ms ?? null);
      }
    }
  }
  addMissed(view, jobs, add);
  for (const delivery of view.deliveries) {
    const message = undeliveredText(jobs, delivery);
    if (message !== null) add("delivery_failed", delivery.home, delivery.jobId, message, delivery.queuedAtMs);
  }
  return conditions;
}

interface RemarkableJobs {
  /** All but those of which nothing can be said before they are overdue. */
  readonly jobs: readonly Job[];
  /** When the first of all is due (Unix ms; infinity for never). */
  readonly firstDueMs: number;
}

/** Of a store that nobody has written to, the same jobs are looked at again and again. */
const remarkableOf = new WeakMap<readonly Job[], RemarkableJobs>();

function remarkableJobs(all: readonly Job[]): RemarkableJobs {
  const known = remarkableOf.get(all);
  if (known !== undefined) return known;
  const jobs = all.filter((job) => faultOf(job) !== null || wasPausedByUs(job) || hasFailed(job));
  let firstDueMs = Number.POSITIVE_INFINITY;
  for (const { enabled, nextRunAt } of all)
    if (enabled && nextRunAt !== null) firstDueMs = Math.min(firstDueMs, nextRunAt.ms);
  const found = { jobs, firstDueMs };
  remarkableOf.set(all, found);
  return found;
}

function faultOf({ fault, enabled, nextRunFault }: Job): string | null {
  return fault ?? (enabled ? (nextRunFault ?? null) : null);
}

function wasPausedByUs(job: Job): boolean {
  return job.pausedReason?.startsWith(pauseMark) === true && hasPauseMark(job);
}

/** How the job's last run failed, or null. One that made way for the next leaves what was so before it. */
function lastFailure(
  job: Job,
  replaced: StatusView["replacedRuns"][number] | undefined,
): { readonly atMs: number | null; readonly error: string | null } | null {
  if (!hasFailed(job)) return null;
  const { lastError, lastRunAt } = job;
  const atMs = lastRunAt?.ms ?? null;
  const isReplaced = replaced !== undefined && atMs !== null && atMs <= (replaced.run.endedAtMs ?? 0) + recordedMs;
  if (!isReplaced) return { atMs, error: lastError };
  const { before } = replaced;
  return before?.state === "failed" ? { atMs: before.endedAtMs, error: before.error } : null;
}

/** One condition for each job, however many of its slots were missed. */
function addMissed(
  { homes, missedSlots, nowMs }: StatusView,
  jobs: ReadonlyMap<string, Job>,
  add: (kind: AlertKind, home: string, jobId: string, message: string, sinceMs: number) => void,
): void {
  const byJob = new Map<string, { home: string; jobId: string; count: number; lastMs: number }>();
  for (const { home, jobId, scheduledAtMs } of missedSlots) {
    const known = byJob.get(JSON.stringify([home, jobId])) ?? { home, jobId, count: 0, lastMs: scheduledAtMs };
    known.count += 1;
    known.lastMs = Math.max(known.lastMs, scheduledAtMs);
    byJob.set(JSON.stringify([home, jobId]), known);
  }
  const served = new Set(homes.map(({ name }) => name));
  for (const { home, jobId, count, lastMs } of byJob.values()) {
    // Nobody waits for a profile that was deleted.
    if (!served.has(home)) continue;
    const job = jobs.get(`${home}/${jobId}`);
    const ranSince = job?.lastStatus === "ok" && (job.lastRunAt?.ms ?? 0) > lastMs;
    if (ranSince && nowMs - lastMs > missedForMs) continue;
    const what = `The slot of ${isoTime(lastMs)} was missed`;
    add("slot_missed", home, jobId, count === 1 ? what : `${what}, and ${count - 1} before it`, lastMs);
  }
}

/** Null for a job that is not due, or not later than its grace: one period of its schedule, from two minutes to two hours. */
function overdueText(home: HomeView, job: Job, nowMs: number): string | null {
  const dueMs = job.nextRunAt?.ms ?? null;
  if (!job.enabled || job.fault !== null || dueMs === null || nowMs - dueMs <= graceMinMs) return null;
  const graceMs = job.schedule === null ? graceMinMs : lateGraceMs(job.schedule, home.zone, dueMs);
  if (nowMs - dueMs <= graceMs) return null;
  const why =
    home.state === "active" ? "" : `: its home is ${home.state}${home.reason === null ? "" : ` (${home.reason})`}`;
  return `Job "${job.name}" was due ${lateText(nowMs - dueMs)} ago and has not run${why}`;
}

/** Null for what was delivered, and for what is on its way and has no reason to wait. */
function undeliveredText(
  jobs: ReadonlyMap<string, Job>,
  { state, home, jobId, target, error }: StatusView["deliveries"][number],
): string | null {
  const job = jobs.get(`${home}/${jobId}`);
  const result = `the result of job "${job?.name ?? jobId}"`;
  switch (state) {
    case "failed":
      return `T${result.slice(1)} was not delivered to ${target}: ${error ?? "no reason was recorded"}`;
    case "unknown":
      return `It is not known whether ${result} reached ${target}: ${error ?? "no reason was recorded"}`;
    case "pending":
    case "sending":
      return error === null ? null : `T${result.slice(1)} is not delivered to ${target} yet: ${error}`;
    case "delivered":
    case "suppressed":
      return null;
  }
}

function lateText(lateMs: number): string {
  const minutes = Math.round(lateMs / 60_000);
  if (minutes < 90) return `${minutes} min`;
  return minutes < 2160 ? `${Math.round(minutes / 60)} h` : `${Math.round(minutes / 1440)} d`;
}
