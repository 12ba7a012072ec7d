import { askAfter, clockChangeAt } from "../clock-change.ts";
import { comingOccurrences } from "../coming-occurrences.ts";
import { isUsedUp, type Job } from "../job.ts";
import { nextOccurrence } from "../next-occurrence.ts";
import type { Schedule } from "../schedule.ts";
import { formatDistance } from "../time-text.ts";
import type { Zone } from "../zone.ts";
import type { ExplainEvidence } from "./explain-evidence.ts";
import {
  clause,
  moment,
  obstacleNow,
  openSpell,
  quoted,
  who,
  withoutDaemon,
  withoutRecord,
} from "./explain-obstacle.ts";
import type { Told } from "./explain-run.ts";
import { repeatText, standstillText } from "./explain-standstill.ts";

export function tellUnnamed(evidence: ExplainEvidence, atMs: number): Told {
  const { job, zone, neighbours } = evidence;
  const at = moment(evidence, atMs);
  if (job === null) {
    const { cause, text } = withoutRecord(evidence);
    return { cause, answer: `Nothing is known of job ${quoted(evidence.jobName)} at ${at}: ${text}.`, facts: [] };
  }
  const stand = standstillText(evidence, job);
  const change = clockChangeAt(job.schedule, atMs, zone);
  const facts = neighbours.map((slot) => ({
    atMs: slot.scheduledAtMs,
    text: `Its slot of ${moment(evidence, slot.scheduledAtMs)} became "${slot.decision}: ${slot.reason}".`,
  }));
  if (change?.kind === "repeat") {
    const which = change.isSecond ? "a time that comes twice counts once, at the first" : "it counts at the second";
    return {
      cause: "clock_repeat",
      answer: `${who(evidence)} did not run at this ${at}: ${change.text}, and ${which}.`,
      facts,
    };
  }
  const quiet = stand === null ? "" : `, and ${stand.text}`;
  const named = nearestText(evidence, job, atMs);
  return {
    cause: stand?.cause ?? "not_scheduled",
    answer: `${who(evidence)} was not to run at ${at}: its schedule ${quoted(job.scheduleText)} does not name that time${named}${quiet}.`,
    facts,
  };
}

function nearestText(evidence: ExplainEvidence, job: Job, atMs: number): string {
  if (job.schedule?.kind !== "cron") return "";
  try {
    const nextMs = nextOccurrence(job.schedule, atMs, evidence.zone);
    return nextMs === null ? "" : `, the next that it names is ${moment(evidence, nextMs)}`;
  } catch {
    // Refused expressions are told of where the job's standstill is.
    return "";
  }
}

export function tellFuture(evidence: ExplainEvidence, atMs: number | null): Told {
  const { job, nowMs, zone } = evidence;
  const when = atMs === null ? "" : ` at ${moment(evidence, atMs)}`;
  if (job === null) {
    const { cause, text } = withoutRecord(evidence);
    const asIs = cause === "job_gone" ? "" : " as things are";
    return { cause, answer: `${who(evidence)} will not run${when}${asIs}: ${text}.`, facts: [] };
  }
  const stand = standstillText(evidence, job);
  if (stand !== null)
    return { cause: stand.cause, answer: `${who(evidence)} will not run${when}: ${stand.text}.`, facts: [] };
  const { held } = evidence;
  if (held !== null && atMs !== null && atMs < held.untilMs) {
    const text = `it is held back until ${moment(evidence, held.untilMs)}, as ${clause(held.why)}`;
    return { cause: "crash_loop", answer: `${who(evidence)} will not run${when}: ${text}.`, facts: [] };
  }
  const fromMs = Math.max(nowMs, held?.untilMs ?? nowMs);
  const afterMs =
    atMs === null || job.schedule === null ? fromMs : Math.max(fromMs, askAfterOrNow(job.schedule, atMs, zone));
  const coming = comingOccurrences(job, afterMs, 1, zone);
  if (typeof coming === "string") {
    const once = onlyOnceText(evidence, job);
    return {
      cause: once === null ? "never" : "not_scheduled",
      answer: `${who(evidence)} will not run${when}: ${once ?? clause(coming)}.`,
      facts: [],
    };
  }
  const nextMs = coming[0] ?? afterMs;
  const change = clockChangeAt(job.schedule, nextMs, zone);
  const which = change?.kind === "repeat" && !change.isSecond ? ", and it counts at the first" : "";
  const clocks = change === null ? "" : `: ${change.text}${which}`;
  const next = `${moment(evidence, nextMs)} (${formatDistance(nextMs, nowMs)})${clocks}`;
  if (atMs !== null && nextMs >= atMs + 60_000) {
    const second = clockChangeAt(job.schedule, atMs, zone);
    const why =
      second?.kind === "repeat" && second.isSecond
        ? `${second.text}, and it counts at the first`
        : `its schedule ${quoted(job.scheduleText)} does not name that time`;
    return {
      cause: second === null ? "not_scheduled" : "clock_repeat",
      answer: `${who(evidence)} will not run${when}: ${why}; the next time is ${next}.`,
      facts: [],
    };
  }
  const [firstMs = nextMs] = comingOccurrences(job, fromMs, 1, zone);
  if (isUsedUp(job) && typeof firstMs === "number" && nextMs > firstMs) {
    const answer = `${who(evidence)} will not run${when}: its last run is that of ${moment(evidence, firstMs)}, as its count of repeats is used up${repeatText(job)}.`;
    return { cause: "repeat_used_up", answer, facts: [] };
  }
  const block = blockNow(evidence);
  const unless = block === null ? `unless ${ordinaryRisks(evidence)}` : `but only if this changes by then: ${block}`;
  return {
    cause: block === null ? "coming" : "coming_blocked",
    answer: `${who(evidence)} will run at ${next}${lastRunText(job)}, ${unless}.`,
    facts: [],
  };
}

/** When a one-shot runs or was to run; null for every other job. */
export function onlyOnceText(evidence: ExplainEvidence, { schedule }: Job): string | null {
  if (schedule?.kind !== "once" || schedule.runAtMs === null) return null;
  const { runAtMs } = schedule;
  return `it runs only once, at ${moment(evidence, runAtMs)} (${formatDistance(runAtMs, evidence.nowMs)})`;
}

/** Why a job that is still on runs once more. */
export function lastRunText(job: Job): string {
  return isUsedUp(job)
    ? ` although its count of repeats is used up${repeatText(job)}, which Hermes looks at behind a run`
    : "";
}

/** A refused expression names nothing, and that it is refused is told where its next time is asked for. */
function askAfterOrNow(schedule: Schedule, atMs: number, zone: Zone): number {
  try {
    return askAfter(schedule, atMs, zone);
  } catch (error) {
    if (error instanceof SyntaxError) return atMs - 1;
    throw error;
  }
}

export function ordinaryRisks({ policy }: ExplainEvidence): string {
  const overlap = policy?.overlap ?? "skip";
  const own = {
    skip: "a run of it is still open then",
    queue_one: "a run of it is still open then, which it would wait for",
    replace: "",
  }[overlap];
  const risks = [own, "every place is taken", "its home is held (ESTOP, drain, parked) or changed until then"].filter(
    (risk) => risk !== "",
  );
  return `${risks.slice(0, -1).join(", ")} or ${risks.at(-1) ?? ""}`;
}

/** What would keep the job from starting if it were due this moment. */
export function blockNow(evidence: ExplainEvidence): string | null {
  if (!evidence.isDaemonAlive) return withoutDaemon(evidence).text;
  const { home } = evidence;
  if (home.state !== "active" || openSpell(evidence, "degraded") !== null)
    return obstacleNow(evidence, evidence.nowMs, null).text;
  return evidence.lockHolder === null ? null : obstacleNow(evidence, evidence.nowMs, null).text;
}
