import type { Job } from "../core/job.ts";
import {
  deathWindowMs,
  type HealthEnd,
  healthAfterDeath,
  healthAfterOtherDeath,
  healthAfterRun,
  heldUntil,
  holdText,
  type JobHealth,
  pauseText,
} from "../core/job-health.ts";
import { editKey, planRetryAfter } from "../core/retry.ts";
import type { Run } from "../core/run.ts";
import type { EndedRetry } from "../core/tick-draft.ts";
import { runFolder } from "../output/run-folder.ts";
import type { DaemonParts } from "./daemon-parts.ts";
import type { HomeRuntime } from "./home-runtime.ts";

/**
 * Decides, in the transaction that closes a run, whether another attempt follows it and how its job is doing. Must be called once
 * for each run; `reloadAttempts` takes the result into memory when the transaction is in force.
 */
export function noteAttempt(
  parts: DaemonParts,
  home: HomeRuntime,
  run: Run,
  end: Pick<HealthEnd, "success" | "reason" | "endedAtMs"> & { readonly isRetriedByHermes: boolean },
): void {
  const { ledger, system } = parts;
  const known = home.health.get(run.jobId);
  if (end.success && known === undefined) return;
  const job = jobOf(home, run.jobId);
  const policy = home.settings.policy({ id: run.jobId, name: run.jobName, kind: run.kind });
  const startedAtMs = ledger.run(run.id)?.startedAtMs ?? null;
  const plan = end.success
    ? null
    : planRetryAfter(run, end.reason, policy.retry, {
        startedAtMs,
        failedAtMs: end.endedAtMs,
        job,
        isRetriedByHermes: end.isRetriedByHermes,
        chance: system.random.number(),
      });
  if (plan !== null && run.scheduledAtMs !== null) {
    ledger.planRetry({
      ...plan,
      runId: run.id,
      home: run.home,
      jobId: run.jobId,
      scheduledAtMs: run.scheduledAtMs,
      failedAtMs: end.endedAtMs,
      editKey: job === null ? "" : editKey(job),
    });
    const what = plan.state === "waiting" ? "a failed run is tried again" : "a failed run is not tried again";
    system.log.info(what, {
      home: home.name,
      job_id: run.jobId,
      run_id: run.id,
      attempt: plan.attempt,
      ...(plan.dueAtMs === null ? { reason: plan.reason } : { at: new Date(plan.dueAtMs).toISOString() }),
    });
  }
  const isTriedAgain = plan?.state === "waiting" || end.isRetriedByHermes;
  const health = healthAfterRun(known, run, job, { ...end, startedAtMs, isTriedAgain }, policy);
  writeHealth(parts, home, run.jobId, health);
}

/** Says so where the job is held back from now on. */
function writeHealth(
  { ledger, system }: DaemonParts,
  home: HomeRuntime,
  jobId: string,
  health: JobHealth | null,
): void {
  ledger.writeHealth(home.name, jobId, health);
  if (health?.heldUntilMs == null || health.heldUntilMs === home.health.get(jobId)?.heldUntilMs) return;
  system.log.warn("a job is held back", {
    home: home.name,
    job_id: jobId,
    why: holdText(health),
    until: new Date(health.heldUntilMs).toISOString(),
  });
}

/** Whether another attempt follows this run, so that people need not be told yet that it failed. */
export function isTriedAgain({ ledger }: DaemonParts, run: Run): boolean {
  const state = ledger.retry(run.id)?.state;
  return state === "waiting" || state === "started";
}

export function reloadAttempts({ ledger }: DaemonParts, home: HomeRuntime): void {
  home.retries = ledger.waitingRetries(home.name);
  home.health = ledger.health(home.name);
}

/** Says which attempts do not come any more. */
export function tellEndedRetries({ system }: DaemonParts, home: HomeRuntime, ended: readonly EndedRetry[]): void {
  for (const { runId, jobId, attempt, reason } of ended)
    system.log.info("an attempt gives way", { home: home.name, job_id: jobId, run_id: runId, attempt, reason });
}

/** Until when a job of this home is held back, or null. */
export function heldUntilMs(parts: DaemonParts, home: HomeRuntime, job: Job): number | null {
  if (home.health.size === 0) return null;
  return heldUntil(home.health.get(job.id), job, home.settings.policy(job).crashLoop, parts.system.clock.nowMs());
}

/** Why the record is to be paused for the end of this run, or null. */
export function pauseReason(home: HomeRuntime, run: Run, error: string | null): string | null {
  if (home.health.get(run.jobId)?.pausedBy !== run.id) return null;
  const { streakPause } = home.settings.policy({ id: run.jobId, name: run.jobName, kind: run.kind });
  return pauseText(streakPause ?? 1, error);
}

/**
 * Notes, a moment after these runs began, that the daemon has outlived that. No row: it counts only after a crash. A file takes a
 * third of a millisecond, so between two of them the loop goes round.
 */
export function noteOutlived(parts: DaemonParts, runIds: readonly string[]): void {
  const { clock } = parts.system;
  const noteFrom = (index: number): void => {
    const runId = runIds[index];
    if (runId === undefined) return;
    noteOneOutlived(parts, runId);
    if (index + 1 < runIds.length) clock.after(0, () => noteFrom(index + 1));
  };
  clock.after(deathWindowMs, () => noteFrom(0));
}

function noteOneOutlived({ system, children, stateFolder }: DaemonParts, runId: string): void {
  if (children.get(runId)?.overAtMs !== null) return;
  const folder = runFolder(stateFolder, runId);
  try {
    if (system.files.stat(folder.path) !== null) system.files.create(folder.outlived, "", 0o600);
  } catch (error) {
    // On a full disk the run counts as one whose start the daemon did not survive, should it die now.
    if (!(error instanceof Error)) throw error;
  }
}

/** To be called once after a start: which of these runs, still open, may have taken the daemon before this one with them. */
export function noteDeaths(parts: DaemonParts, homes: ReadonlyMap<string, HomeRuntime>, runs: readonly Run[]): void {
  const { ledger } = parts;
  for (const home of homes.values()) {
    const suspects = runs.filter((run) => run.home === home.name && mayHaveKilled(parts, run));
    const suspected = new Set(suspects.map((run) => run.jobId));
    const cleared = [...home.health].flatMap(([jobId, known]) => {
      const health = suspected.has(jobId) ? null : healthAfterOtherDeath(known);
      return health === null ? [] : [{ jobId, health }];
    });
    if (suspects.length === 0 && cleared.length === 0) continue;
    ledger.transaction(() => {
      for (const { jobId, health } of cleared) ledger.writeHealth(home.name, jobId, health);
      for (const run of suspects) noteDeath(parts, home, run);
    });
    reloadAttempts(parts, home);
  }
}

/**
 * The daemon did not outlive the first moments of the run, and had started none of this job before: a job of every second is always
 * about to start when somebody kills the daemon.
 */
function mayHaveKilled({ ledger, stateFolder, system }: DaemonParts, run: Run): boolean {
  const folder = runFolder(stateFolder, run.id);
  if (system.files.stat(folder.started) === null || system.files.stat(folder.outlived) !== null) return false;
  const life = ledger.lives(run.claimedAtMs).find(({ beganMs }) => beganMs <= run.claimedAtMs);
  if (life === undefined) return true;
  const { home, jobId } = run;
  const lived = ledger.runs({ home, jobId, sinceMs: life.beganMs, untilMs: run.claimedAtMs, limit: 2 });
  return lived.every(({ id }) => id === run.id);
}

function noteDeath(parts: DaemonParts, home: HomeRuntime, run: Run): void {
  const job = jobOf(home, run.jobId);
  if (job === null) return;
  const { crashLoop } = home.settings.policy(job);
  const nowMs = parts.system.clock.nowMs();
  writeHealth(parts, home, run.jobId, healthAfterDeath(home.health.get(run.jobId), run.id, job, nowMs, crashLoop));
}

/** Null also where the store cannot be read: a job that nobody can read is not tried again. */
function jobOf(home: HomeRuntime, jobId: string): Job | null {
  try {
    return home.store.read().jobs.find((job) => job.id === jobId) ?? null;
  } catch {
    // The home's own tick says what is wrong with its store.
    return null;
  }
}
