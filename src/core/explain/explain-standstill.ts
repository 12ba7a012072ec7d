import { parseInstant } from "../instant.ts";
import { hasFailed, hasPauseMark, isOverByCount, isQuotaHeld, isRunnable, type Job } from "../job.ts";
import { nextAhead } from "../missed-occurrence.ts";
import type { ExplainEvidence } from "./explain-evidence.ts";
import { clause, moment, obstaclesBetween, quoted, who, withoutRecord } from "./explain-obstacle.ts";
import type { Told } from "./explain-run.ts";

export function tellStandstill(evidence: ExplainEvidence): Told {
  const { job } = evidence;
  if (job === null) {
    const { cause, text } = withoutRecord(evidence);
    return { cause, answer: `${who(evidence)} does not run: ${text}.`, facts: [] };
  }
  const stand = standstillText(evidence, job);
  const verb = stand?.cause === "never" || stand?.cause === "invalid" ? "never runs" : "does not run";
  return {
    cause: stand?.cause ?? "unknown",
    answer: `${who(evidence)} ${verb}: ${stand?.text ?? "nothing says why"}.`,
    facts: lastRunFacts(evidence, job),
  };
}

function lastRunFacts(evidence: ExplainEvidence, job: Job): Told["facts"] {
  if (job.lastRunAt === null) return [{ atMs: null, text: "It has never run." }];
  const how = hasFailed(job)
    ? `failed: ${clause(job.lastError ?? "no reason was recorded")}`
    : `ended with the status ${clause(job.lastStatus ?? "unknown", 40)}`;
  return [{ atMs: job.lastRunAt.ms, text: `It ran last at ${moment(evidence, job.lastRunAt.ms)} and ${how}.` }];
}

/** Why a job has no coming instant, or may not take it; null where it simply goes on. */
export function standstillText(
  evidence: ExplainEvidence,
  job: Job,
): { readonly cause: string; readonly text: string } | null {
  const { nowMs, zone } = evidence;
  if (job.fault !== null)
    return { cause: "invalid", text: `its record in jobs.json cannot be used: ${clause(job.fault)}` };
  if (job.schedule === null) return { cause: "invalid", text: "its schedule is of no known kind" };
  if (isOverByCount(job)) return { cause: "repeat_used_up", text: `its count of repeats is used up${repeatText(job)}` };
  if (hasPauseMark(job)) {
    const pausedMs = pausedSinceMs(evidence, job);
    const told = pausedMs === null ? clause(job.pausedAt ?? "", 40) : moment(evidence, pausedMs);
    const since = told === "" ? "" : ` since ${told}`;
    const why = job.pausedReason ? ` (${clause(job.pausedReason, 120)})` : "";
    return { cause: "paused", text: `it is paused${since}${why}, and has no slots until it is resumed` };
  }
  if (!isRunnable(job)) {
    if (job.schedule.kind === "once" && job.lastRunAt === null) return onceText(evidence, job);
    return job.state === "scheduled"
      ? { cause: "disabled", text: "it is disabled" }
      : {
          cause: job.state === "completed" ? "completed" : "error_state",
          text: `it is ${clause(job.state, 40)}${job.lastError === null ? "" : `: ${clause(job.lastError)}`}`,
        };
  }
  if (job.quotaHoldUntil !== null && isQuotaHeld(job, nowMs)) {
    return {
      cause: "quota_hold",
      text: `the quota of its model is used up, and it is held until ${moment(evidence, job.quotaHoldUntil.ms)}`,
    };
  }
  if (job.nextRunAt !== null) return null;
  if (job.schedule.kind === "once") {
    const isAhead = job.schedule.runAtMs !== null && job.schedule.runAtMs > nowMs;
    return isAhead ? null : onceText(evidence, job);
  }
  try {
    const comes = nextAhead(job.schedule, nowMs, nowMs, zone) !== null;
    return comes
      ? null
      : { cause: "never", text: `its schedule ${quoted(job.scheduleText)} names no time that ever comes` };
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return { cause: "invalid", text: clause(error.message) };
  }
}

/** Null where it is not paused, or its record does not say since when. */
export function pausedSinceMs({ zone }: ExplainEvidence, job: Job): number | null {
  return job.pausedAt === null || !hasPauseMark(job) ? null : parseInstant(job.pausedAt, zone);
}

function onceText(evidence: ExplainEvidence, job: Job): { readonly cause: string; readonly text: string } {
  const runAtMs = job.schedule?.kind === "once" ? job.schedule.runAtMs : null;
  if (runAtMs === null)
    return { cause: "invalid", text: "the one time that it was to run is no time that can be read" };
  const at = moment(evidence, runAtMs);
  if (job.lastRunAt !== null) return { cause: "completed", text: `it was to run once, at ${at}, and has run` };
  const [obstacle] = obstaclesBetween(evidence, runAtMs, evidence.nowMs, null);
  const why = obstacle === undefined ? "" : `: ${obstacle.text}`;
  return {
    cause: "once_expired",
    text: `it was to run once, at ${at}, and expired: more than 2 min after its time a one-shot is not started any more${why}`,
  };
}

export function repeatText(job: Job | null): string {
  return job === null || job.repeatTimes === null ? "" : ` (${job.repeatCompleted} of ${job.repeatTimes} runs)`;
}
