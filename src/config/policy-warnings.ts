import { clampGrace } from "../core/grace.ts";
import type { JobKind } from "../core/job.ts";
import type { Misfire } from "../core/job-policy.ts";
import { retryDelayMs } from "../core/retry.ts";
import { nearest } from "./check-settings.ts";
import { type JobSettings, jobSettings, promptTimeoutMsMin, type Settings } from "./effective-settings.ts";
import type { JobKey } from "./job-rules.ts";
import { homeLimitWarnings } from "./limit-warnings.ts";
import { formatDuration } from "./quantity.ts";

export interface WarnedJob {
  readonly id: string;
  readonly name: string;
  readonly kind: JobKind;
}

/** What is set for a job and cannot be met, with what applies instead. */
interface Conflict {
  readonly setting: JobKey;
  readonly problem: string;
}

/** A gateway that ticks beside us holds the tick lock that long when it starts a few jobs. */
const ordinaryHoldMs = 5000;
/** How many jobs a sentence names, and how many sentences there are. */
const [namesMax, warningsMax] = [3, 50];

/**
 * Settings that are valid each by itself and cannot be met together, or by these jobs: a sentence for each that says what applies
 * instead. `periodMs` is asked only about jobs where it matters.
 */
export function policyWarnings(
  jobs: readonly WarnedJob[],
  inForce: Settings,
  hermes: {
    readonly scriptTimeoutMs: number;
    readonly maxParallelJobs: number | null;
    readonly catchUpMissed: boolean;
  },
  periodMs: (job: WarnedJob) => number | null,
): readonly string[] {
  const sources = new Map(inForce.shown.map(({ key, source }) => [key, source]));
  const history = { runsMax: inForce.retention.runsMax, source: sources.get("retention.runs_max") ?? "default" };
  const found = new Map<string, string[]>();
  // Most jobs have no entry of their own, and then what counts is the same for all of a kind.
  const shared = new Map<string, readonly Conflict[]>();
  const settingsOfKind = new Map<JobKind, JobSettings>();
  for (const job of jobs) {
    const isOwn = inForce.jobs.has(job.id) || inForce.jobs.has(job.name);
    const known = isOwn ? undefined : settingsOfKind.get(job.kind);
    const settings = known ?? jobSettings(inForce, hermes.scriptTimeoutMs, job);
    if (!isOwn) settingsOfKind.set(job.kind, settings);
    const needsPeriod = settings.retry !== null || (!hermes.catchUpMissed && catchUpMs(settings.misfire) > 0);
    const period = needsPeriod ? periodMs(job) : null;
    const sharedKey = `${job.kind} ${period}`;
    const conflicts =
      (isOwn ? undefined : shared.get(sharedKey)) ??
      conflictsOf(job.kind, settings, period, history, hermes.catchUpMissed);
    if (!isOwn) shared.set(sharedKey, conflicts);
    for (const { setting, problem } of conflicts) {
      const key = [`jobs.${job.id}`, `jobs.${job.name}`, "defaults"].find((entry) =>
        isSet(sources, `${entry}.${setting}`),
      );
      const at = key === undefined ? setting : `${key}.${setting} (${sources.get(`${key}.${setting}`)})`;
      const text = `${at}: ${problem}`;
      const names = found.get(text) ?? [];
      names.push(job.name);
      found.set(text, names);
    }
  }
  const texts = [...found].map(([text, names]) => `${text} (${namesText(names)})`);
  return [...texts, ...homeLimitWarnings(inForce, hermes.maxParallelJobs)].slice(0, warningsMax);
}

/** Entries of `jobs` that name no job of any home they count for. */
export function strayJobEntries(
  jobs: readonly WarnedJob[],
  entries: readonly string[],
  path: string,
): readonly string[] {
  const known = new Set(jobs.flatMap(({ id, name }) => [id, name]));
  return entries
    .filter((entry) => !known.has(entry))
    .slice(0, warningsMax)
    .map((entry) => {
      const near = nearest(entry, [...known]);
      const hint = near === null ? "it counts for none until there is one" : `did you mean "${near}"?`;
      return `jobs.${entry} (${path}): no job has this id or name, ${hint}`;
    });
}

function isSet(sources: ReadonlyMap<string, string>, key: string): boolean {
  return (sources.get(key) ?? "default") !== "default";
}

function conflictsOf(
  kind: JobKind,
  settings: JobSettings,
  periodMs: number | null,
  history: { readonly runsMax: number; readonly source: string },
  catchUpMissed: boolean,
): readonly Conflict[] {
  const { timeoutMs, timeoutAskedMs, idleTimeoutMs, stopGraceMs, misfire, retry } = settings;
  const conflicts: Conflict[] = [];
  const say = (setting: JobKey, problem: string): void => void conflicts.push({ setting, problem });
  if (kind === "prompt" && timeoutAskedMs !== null && timeoutAskedMs < promptTimeoutMsMin)
    say(
      "timeout",
      `${formatDuration(timeoutAskedMs)} is less than a prompt always has; ${formatDuration(promptTimeoutMsMin)} applies`,
    );
  if (timeoutMs !== null && timeoutMs < stopGraceMs)
    say(
      "timeout",
      `${formatDuration(timeoutMs)} is less than stop_grace (${formatDuration(stopGraceMs)}); a run that does not end when asked lives for ${formatDuration(timeoutMs + stopGraceMs)}`,
    );
  if (timeoutMs !== null && idleTimeoutMs !== null && idleTimeoutMs >= timeoutMs)
    say(
      "idle_timeout",
      `${formatDuration(idleTimeoutMs)} is not less than timeout (${formatDuration(timeoutMs)}), which ends every run first; only timeout applies`,
    );
  if (misfire.kind === "within" && misfire.withinMs < ordinaryHoldMs)
    say(
      "misfire",
      `within ${formatDuration(misfire.withinMs)} is shorter than others may hold the tick lock (${formatDuration(ordinaryHoldMs)}); a slot that is later is skipped, with a line`,
    );
  if (misfire.kind === "run_all" && misfire.runsMax > history.runsMax)
    say(
      "misfire",
      `run_all ${misfire.runsMax} is more than retention.runs_max (${history.runsMax}, ${history.source}); all of them run, and the history keeps the last ${history.runsMax}`,
    );
  const graceMs = clampGrace(periodMs ?? 0);
  if (!catchUpMissed && catchUpMs(misfire) > graceMs) {
    const asked =
      misfire.kind === "within"
        ? `within ${formatDuration(misfire.withinMs)}`
        : `run_all ${misfire.kind === "run_all" ? misfire.runsMax : 1}`;
    say(
      "misfire",
      `${asked} cannot hold beside cron.catch_up_missed: false of Hermes; what is later than its grace (${formatDuration(graceMs)}) is missed`,
    );
  }
  if (retry !== null && periodMs !== null) {
    const attempts = Array.from({ length: retry.attemptsMax }, (_, index) => index + 1);
    const waitsMs = attempts.reduce((sum, attempt) => sum + retryDelayMs(retry, attempt, 0.5), 0);
    if (waitsMs >= periodMs)
      say(
        "retry",
        `${retry.attemptsMax} attempts take ${formatDuration(Math.round(waitsMs))} of waiting, which is not less than the time to the next slot (${formatDuration(periodMs)}); a retry that would run past it gives way to it`,
      );
  }
  return conflicts;
}

/** How late an instant may be that the setting asks to be run still. What nobody has asked for is 0. */
function catchUpMs(misfire: Misfire): number {
  switch (misfire.kind) {
    case "run_all":
      return Number.POSITIVE_INFINITY;
    case "within":
      return misfire.withinMs;
    case "run_once":
    case "skip":
      return 0;
  }
}

function namesText(names: readonly string[]): string {
  const shown = names
    .slice(0, namesMax)
    .map((name) => JSON.stringify(name))
    .join(", ");
  const more = names.length - namesMax;
  return `${names.length === 1 ? "job" : "jobs"} ${shown}${more > 0 ? ` and ${more} more` : ""}`;
}
