import { comingOccurrences } from "../coming-occurrences.ts";
import { formatDistance } from "../time-text.ts";
import { tellDue } from "./explain-due.ts";
import type { ExplainEvidence } from "./explain-evidence.ts";
import { blockNow, lastRunText, onlyOnceText, ordinaryRisks, tellFuture, tellUnnamed } from "./explain-future.ts";
import { clause, moment, openSpell, quoted, waitText, withoutDaemon, withoutRecord } from "./explain-obstacle.ts";
import { capital, type Told, tellRun } from "./explain-run.ts";
import { isNamed, tellSlot } from "./explain-slot.ts";
import { standstillText, tellStandstill } from "./explain-standstill.ts";

export interface Explanation {
  /** One word for what the first sentence says. */
  readonly cause: string;
  /** The answer, then what is known of it, the newest fact first, then the schedule and what comes. From three to eight. */
  readonly sentences: readonly string[];
}

const factsMax = 5;

/** Why a job did or did not run, in sentences made of nothing but the evidence. */
export function explain(evidence: ExplainEvidence): Explanation {
  const { cause, answer, facts } = tell(evidence);
  const outlook = outlookText(evidence, answer);
  const told = configFacts(evidence, `${answer} ${outlook}`);
  const ordered = [...facts, ...waitFacts(evidence), ...heldFacts(evidence), ...told]
    .toSorted((a, b) => (b.atMs ?? 0) - (a.atMs ?? 0))
    .slice(0, factsMax);
  return {
    cause,
    // A text that was cut or asks ends its sentence by itself.
    sentences: [answer, ...ordered.map(({ text }) => text), scheduleText(evidence, answer), outlook].map((text) =>
      text.replace(/(?<=[…?])\.$/u, ""),
    ),
  };
}

function tell(evidence: ExplainEvidence): Told {
  const { subject } = evidence;
  switch (subject.kind) {
    case "run":
      return tellRun(evidence, subject.run, subject.slot);
    case "slot":
      return tellSlot(evidence, subject.slot);
    case "due":
      return tellDue(evidence, subject.atMs, subject.slot);
    case "unnamed":
      return tellUnnamed(evidence, subject.atMs);
    case "future":
      return tellFuture(evidence, subject.atMs);
    case "standstill":
      return tellStandstill(evidence);
  }
}

/** A file that turned bad leaves the last good settings in force, which explains what somebody wonders at. */
function configFacts(evidence: ExplainEvidence, said: string): Told["facts"] {
  const { home, hostConfigError } = evidence;
  const told = [home.configError, hostConfigError]
    .filter((error) => error !== null)
    .filter((error) => !said.includes(clause(error)));
  const sinceMs = openSpell(evidence, "config")?.beganMs ?? evidence.nowMs;
  return told.slice(0, 1).map((error) => ({
    atMs: sinceMs,
    text: `The configuration is not valid, so the last good settings are in force, if there were any: ${clause(error)}.`,
  }));
}

function heldFacts(evidence: ExplainEvidence): Told["facts"] {
  const { held, nowMs } = evidence;
  if (held === null) return [];
  const text = `It is held back until ${moment(evidence, held.untilMs)}: ${clause(held.why)}.`;
  return [{ atMs: held.sinceMs ?? nowMs, text }];
}

function waitFacts(evidence: ExplainEvidence): Told["facts"] {
  return evidence.otherWaits.map((waiting) => {
    const at = moment(evidence, waiting.dueAtMs);
    const what =
      waiting.trigger === "retry"
        ? `The next attempt is due since ${at}, and waits`
        : `A run that somebody asked for at ${at} waits`;
    return { atMs: evidence.nowMs, text: `${what} because ${waitText(evidence, waiting)}.` };
  });
}

function scheduleText(evidence: ExplainEvidence, answer: string): string {
  const { job, subject, zone, home } = evidence;
  if (job === null && home.isUnread) {
    const { text } = withoutRecord(evidence);
    return answer.includes(text)
      ? "Its schedule is not known as long as that lasts."
      : `Its schedule is not known now, because ${text}.`;
  }
  if (job === null && home.isGone) return `Its home ${quoted(home.name)} is gone.`;
  if (job === null) return `It is not in jobs.json of home ${quoted(home.name)} any more.`;
  const rule = `Its schedule is ${quoted(job.scheduleText)} in ${zone.name}`;
  const dueMs =
    subject.kind === "due"
      ? subject.atMs
      : subject.kind === "slot"
        ? subject.slot.scheduledAtMs
        : subject.kind === "run"
          ? subject.run.scheduledAtMs
          : null;
  if (dueMs === null) return `${rule}.`;
  if (isNamed(job.schedule, dueMs, zone)) return `${rule}, which named ${moment(evidence, dueMs)}.`;
  return `${rule} now, which does not name ${moment(evidence, dueMs)}: the record had it as its next run then.`;
}

function outlookText(evidence: ExplainEvidence, answer: string): string {
  const { job, nowMs, zone, subject } = evidence;
  if (job === null) return `It will not run again${evidence.home.isUnread ? " before that is mended" : ""}.`;
  if (subject.kind === "future") return lifeText(evidence, answer);
  const stand = standstillText(evidence, job);
  if (stand !== null)
    return subject.kind === "standstill"
      ? lifeText(evidence, answer)
      : `It will not run again as things are: ${stand.text}.`;
  const coming = comingOccurrences(job, Math.max(nowMs, evidence.held?.untilMs ?? nowMs), 1, zone);
  const nextMs = typeof coming === "string" ? null : (coming[0] ?? null);
  const once = onlyOnceText(evidence, job);
  if (nextMs === null && once !== null) return `${capital(once)}.`;
  if (nextMs === null)
    return `It will not run again: ${clause(typeof coming === "string" ? coming : "nothing is coming")}.`;
  const block = blockNow(evidence);
  const unless =
    block === null
      ? `unless ${ordinaryRisks(evidence)}`
      : answer.includes(block)
        ? "but only if that has changed by then"
        : `but only if this changes by then: ${block}`;
  return `It will run next at ${moment(evidence, nextMs)} (${formatDistance(nextMs, nowMs)})${lastRunText(job)}, ${unless}.`;
}

function lifeText(evidence: ExplainEvidence, answer: string): string {
  if (!evidence.isDaemonAlive) {
    const { text } = withoutDaemon(evidence);
    return answer.includes(text)
      ? "Nothing runs here before one is started: hermes-supervisor start."
      : `${capital(text)}.`;
  }
  const newest = evidence.lives[0];
  const since = newest === undefined ? "" : ` since ${moment(evidence, newest.beganMs)}`;
  return `The daemon${evidence.daemonPid === null ? "" : ` (process ${evidence.daemonPid})`} has been running${since}.`;
}
