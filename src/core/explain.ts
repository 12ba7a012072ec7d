import { clockChangeAt } from "./clock-change.ts";
import { comingOccurrences } from "./coming-occurrences.ts";
import type { ExplainEvidence, ToldSlot } from "./explain-evidence.ts";
import {
  clause,
  moment,
  obstacleNow,
  obstaclesBetween,
  openSpell,
  quoted,
  subjectRun,
  withoutDaemon,
} from "./explain-obstacle.ts";
import { capital, type Told, tellRun } from "./explain-run.ts";
import { hasPauseMark, isRunnable, isUsedUp, type Job } from "./job.ts";
import { nextAhead } from "./missed-occurrence.ts";
import { nextOccurrence } from "./next-occurrence.ts";
import { formatDistance, formatLength } from "./time-text.ts";

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
  const ordered = [...facts, ...configFacts(evidence)]
    .toSorted((a, b) => (b.atMs ?? 0) - (a.atMs ?? 0))
    .slice(0, factsMax);
  return {
    cause,
    sentences: [answer, ...ordered.map(({ text }) => text), scheduleText(evidence), outlookText(evidence)],
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

function who({ jobName }: ExplainEvidence): string {
  return `Job ${quoted(jobName)}`;
}

/** A slot that was decided without a run of its own. */
function tellSlot(evidence: ExplainEvidence, slot: ToldSlot): Told {
  const dueMs = slot.scheduledAtMs;
  const at = moment(evidence, dueMs);
  const notRun = `${who(evidence)} did not run at ${at}`;
  const obstacles = obstaclesBetween(evidence, dueMs, slot.decidedAtMs, slot.waitedFor ?? null);
  const obstacle = obstacles[0];
  const why = obstacle === undefined ? "" : `, as ${obstacle.text}`;
  const rest = obstacles.slice(1, 3).map(({ atMs, text }) => ({ atMs, text: `${capital(text)}.` }));
  const lateness = formatLength(Math.max(0, slot.decidedAtMs - dueMs));
  const decided = {
    atMs: slot.decidedAtMs,
    text: `That was decided at ${moment(evidence, slot.decidedAtMs)}, ${lateness} after its time.`,
  };
  const facts = [decided, ...rest];
  switch (slot.decision) {
    case "run": {
      if (slot.reason === "elsewhere") {
        const answer = `${who(evidence)} was run for ${at} by somebody else: a gateway, or a person with Hermes, took it before this daemon did.`;
        return { cause: "elsewhere", answer, facts };
      }
      const answer = `${who(evidence)} was started for ${at}${late(slot.latenessMs)}, but its run ${slot.runId ?? ""} is not kept any more.`;
      return { cause: slot.reason, answer, facts };
    }
    case "coalesce": {
      const into = evidence.openRuns.find(({ id }) => id === slot.runId);
      const run =
        into === undefined
          ? `run ${slot.runId ?? "that is not kept"}`
          : `the one of ${moment(evidence, into.startedAtMs ?? into.claimedAtMs)} (run ${into.id})`;
      if (slot.reason === "queue_full") {
        const answer = `${notRun}, because its run before was still open and one was waiting already: it was folded into ${run}.`;
        return { cause: "queue_full", answer, facts: [...facts, ...ownRunFacts(evidence, dueMs)] };
      }
      const answer = `${notRun}${obstacle === undefined ? "" : ` because ${obstacle.text}`}: it was folded into one later run with what else was missed, ${run}.`;
      return { cause: obstacle?.cause ?? "missed", answer, facts };
    }
    case "skip":
      return tellSkip(evidence, slot, notRun, obstacle === undefined ? null : obstacle.text, facts);
    case "miss": {
      const answers = {
        too_late: `${notRun}${obstacle === undefined ? "" : ` because ${obstacle.text}`}, and by ${moment(evidence, slot.decidedAtMs)} it was too late: cron.catch_up_missed is false in its home.`,
        repeat_used_up: `${notRun} because its count of repeats was used up${repeatText(evidence.job)}.`,
        job_gone: `${notRun} because its record was removed from jobs.json before anything ran it${why} (Hermes removes a one-shot that it finds more than 2 min late).`,
      };
      return {
        cause: slot.reason === "too_late" ? (obstacle?.cause ?? "too_late") : slot.reason,
        answer: answers[slot.reason],
        facts,
      };
    }
    case "move": {
      const answers = {
        edited: `${notRun} because somebody edited, paused or completed it first: that instant was taken off its schedule.`,
        clock: `${notRun} because the clock or the time zone changed, and its schedule names another instant since.`,
        reanchored: `${notRun} because Hermes or somebody else had moved its next run on, and nothing tells that it ran.`,
      };
      return { cause: slot.reason, answer: answers[slot.reason], facts };
    }
    case "pending":
      return tellDue(evidence, dueMs, slot);
  }
}

function tellSkip(
  evidence: ExplainEvidence,
  slot: ToldSlot & { readonly decision: "skip" },
  notRun: string,
  obstacle: string | null,
  facts: Told["facts"],
): Told {
  const { policy } = evidence;
  const dueMs = slot.scheduledAtMs;
  switch (slot.reason) {
    case "overlap": {
      const own = ownRunsAt(evidence, dueMs)[0];
      const which =
        own === undefined
          ? "an earlier run of it"
          : `its run ${own.id} of ${moment(evidence, own.scheduledAtMs ?? own.startedAtMs ?? own.claimedAtMs)}`;
      const until =
        own === undefined
          ? ""
          : own.endedAtMs === null
            ? ", and still is"
            : `, until ${moment(evidence, own.endedAtMs)}`;
      const answer = `${notRun} because ${which} was still open${until}: two runs of a job never overlap (overlap: ${policy?.overlap ?? "skip"}).`;
      return { cause: "overlap", answer, facts: [...facts, ...ownRunFacts(evidence, dueMs)] };
    }
    case "policy": {
      const misfire = policy === null ? "misfire" : `misfire: ${misfireText(policy.misfire)}`;
      const because = obstacle === null ? "it came too late for its policy" : obstacle;
      const answer = `${notRun} because ${because}, and its policy then is to skip what was missed (${misfire}).`;
      return { cause: "misfire", answer, facts };
    }
    case "quota_hold":
      return {
        cause: "quota_hold",
        answer: `${notRun} because the quota of its model was used up, and it was held until more is there.`,
        facts,
      };
    case "crash_loop":
      return {
        cause: "crash_loop",
        answer: `${notRun} because it had failed too often in a row and was held back.`,
        facts,
      };
  }
}

function misfireText(misfire: NonNullable<ExplainEvidence["policy"]>["misfire"]): string {
  if (misfire.kind === "run_all") return `run_all ${misfire.runsMax}`;
  return misfire.kind === "within" ? `within ${formatLength(misfire.withinMs)}` : misfire.kind;
}

function late(latenessMs: number | null): string {
  return latenessMs === null || latenessMs < 10_000 ? ", on time" : `, ${formatLength(latenessMs)} late`;
}

function ownRunsAt(evidence: ExplainEvidence, atMs: number) {
  const own = subjectRun(evidence)?.id;
  return evidence.openRuns.filter(
    (run) =>
      run.home === evidence.home.name &&
      (evidence.job === null || run.jobId === evidence.job.id) &&
      run.id !== own &&
      run.claimedAtMs <= atMs + 1000 &&
      (run.endedAtMs ?? evidence.nowMs) >= atMs,
  );
}

function ownRunFacts(evidence: ExplainEvidence, atMs: number): Told["facts"] {
  return ownRunsAt(evidence, atMs)
    .slice(0, 1)
    .map((run) => {
      const forMs = (run.endedAtMs ?? evidence.nowMs) - (run.startedAtMs ?? run.claimedAtMs);
      const text = `That run began at ${moment(evidence, run.startedAtMs ?? run.claimedAtMs)} and ${run.endedAtMs === null ? "has been open for" : "took"} ${formatLength(forMs)}.`;
      return { atMs: run.startedAtMs ?? run.claimedAtMs, text };
    });
}

/** An instant that has come and that nobody has decided. */
function tellDue(evidence: ExplainEvidence, dueMs: number, slot: ToldSlot | null): Told {
  const { job, knownFromMs, nowMs } = evidence;
  const at = moment(evidence, dueMs);
  const stand = job === null ? null : standstillText(evidence, job);
  if (stand !== null)
    return { cause: stand.cause, answer: `${who(evidence)} did not run at ${at}: ${stand.text}.`, facts: [] };
  const awaitedMs = job?.nextRunAt?.ms ?? null;
  const isAwaited = slot !== null || (awaitedMs !== null && awaitedMs <= dueMs + 1000);
  if (!isAwaited && knownFromMs !== null && dueMs < knownFromMs) {
    return {
      cause: "forgotten",
      answer: `${who(evidence)} may have run at ${at}, but nothing is kept from before ${moment(evidence, knownFromMs)}.`,
      facts: [],
    };
  }
  if (!isAwaited) {
    const [obstacle] = obstaclesBetween(evidence, dueMs, nowMs, null);
    const why =
      obstacle === undefined
        ? "the job, its schedule or this supervisor was not there then, or the job was paused"
        : obstacle.text;
    return {
      cause: obstacle?.cause ?? "unrecorded",
      answer: `${who(evidence)} has no line for ${at}: ${why}.`,
      facts: [],
    };
  }
  const obstacle = obstacleNow(evidence, dueMs, slot);
  const answer = `${who(evidence)} is due since ${at} (${formatDistance(dueMs, nowMs)}) and waits because ${obstacle.text}.`;
  const wasWaiting =
    slot === null
      ? []
      : [
          {
            atMs: slot.decidedAtMs,
            text: `The ledger says that it waits for ${waitWords[slot.reason] ?? slot.reason} since ${moment(evidence, slot.decidedAtMs)}.`,
          },
        ];
  return { cause: obstacle.cause, answer, facts: wasWaiting };
}

const waitWords: Readonly<Record<string, string>> = {
  capacity: "a place",
  estop: "ESTOP to be removed",
  drain: "its home to be let go on",
  parked: "its home to be let go on",
  disk: "room on the disk",
  lock: "a lock or claim of somebody else",
  no_daemon: "a daemon to claim it again",
  degraded: "its home or schedule to be mended",
};

function tellUnnamed(evidence: ExplainEvidence, atMs: number): Told {
  const { job, zone, neighbours } = evidence;
  const at = moment(evidence, atMs);
  if (job === null)
    return {
      cause: "job_gone",
      answer: `${who(evidence)} is not in jobs.json any more, and nothing is known of ${at}.`,
      facts: [],
    };
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

function tellFuture(evidence: ExplainEvidence, atMs: number | null): Told {
  const { job, nowMs, zone } = evidence;
  if (job === null)
    return { cause: "job_gone", answer: `${who(evidence)} will not run: it is not in jobs.json any more.`, facts: [] };
  const stand = standstillText(evidence, job);
  const when = atMs === null ? "" : ` at ${moment(evidence, atMs)}`;
  if (stand !== null)
    return { cause: stand.cause, answer: `${who(evidence)} will not run${when}: ${stand.text}.`, facts: [] };
  const afterMs = atMs === null ? nowMs : Math.max(nowMs, atMs - 1);
  const coming = comingOccurrences(job, afterMs, 1, zone);
  if (typeof coming === "string")
    return { cause: "never", answer: `${who(evidence)} will not run${when}: ${clause(coming)}.`, facts: [] };
  const nextMs = coming[0] ?? afterMs;
  const change = clockChangeAt(job.schedule, nextMs, zone);
  const clocks = change === null ? "" : `: ${change.text}`;
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
  const block = blockNow(evidence);
  const unless = block === null ? `unless ${ordinaryRisks(evidence)}` : `but only if this changes by then: ${block}`;
  return {
    cause: block === null ? "coming" : "coming_blocked",
    answer: `${who(evidence)} will run at ${next}, ${unless}.`,
    facts: [],
  };
}

function ordinaryRisks({ policy }: ExplainEvidence): string {
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
function blockNow(evidence: ExplainEvidence): string | null {
  if (!evidence.isDaemonAlive) return withoutDaemon(evidence).text;
  const { home } = evidence;
  if (home.state !== "active" || openSpell(evidence, "degraded") !== null)
    return obstacleNow(evidence, evidence.nowMs, null).text;
  return evidence.lockHolder === null ? null : obstacleNow(evidence, evidence.nowMs, null).text;
}

function tellStandstill(evidence: ExplainEvidence): Told {
  const { job } = evidence;
  if (job === null)
    return { cause: "job_gone", answer: `${who(evidence)} does not run: it is not in jobs.json any more.`, facts: [] };
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
  const how =
    job.lastStatus === "error"
      ? `failed: ${clause(job.lastError ?? "no reason was recorded")}`
      : `ended with the status ${clause(job.lastStatus ?? "unknown", 40)}`;
  return [{ atMs: job.lastRunAt.ms, text: `It ran last at ${moment(evidence, job.lastRunAt.ms)} and ${how}.` }];
}

/** Why a job has no coming instant, or may not take it; null where it simply goes on. */
function standstillText(evidence: ExplainEvidence, job: Job): { readonly cause: string; readonly text: string } | null {
  const { nowMs, zone } = evidence;
  if (job.fault !== null)
    return { cause: "invalid", text: `its record in jobs.json cannot be used: ${clause(job.fault)}` };
  if (job.schedule === null) return { cause: "invalid", text: "its schedule is of no known kind" };
  if (isUsedUp(job)) return { cause: "repeat_used_up", text: `its count of repeats is used up${repeatText(job)}` };
  if (hasPauseMark(job)) {
    const since = job.pausedAt === null || job.pausedAt === "" ? "" : ` since ${clause(job.pausedAt, 40)}`;
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
  if (job.quotaHoldUntil !== null && job.quotaHoldUntil.ms > nowMs) {
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

function repeatText(job: Job | null): string {
  return job === null || job.repeatTimes === null ? "" : ` (${job.repeatCompleted} of ${job.repeatTimes} runs)`;
}

/** A file that turned bad leaves the last good settings in force, which explains what somebody wonders at. */
function configFacts(evidence: ExplainEvidence): Told["facts"] {
  const { home, hostConfigError } = evidence;
  const told = [home.configError, hostConfigError].filter((error) => error !== null);
  const sinceMs = openSpell(evidence, "config")?.beganMs ?? evidence.nowMs;
  return told.slice(0, 1).map((error) => ({
    atMs: sinceMs,
    text: `The configuration is not valid, so the last good settings are in force, if there were any: ${clause(error)}.`,
  }));
}

function scheduleText(evidence: ExplainEvidence): string {
  const { job, subject, zone, home } = evidence;
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
  return dueMs === null ? `${rule}.` : `${rule}, which named ${moment(evidence, dueMs)}.`;
}

function outlookText(evidence: ExplainEvidence): string {
  const { job, nowMs, zone, subject } = evidence;
  if (job === null) return "It will not run again.";
  if (subject.kind === "future") return lifeText(evidence);
  const stand = standstillText(evidence, job);
  if (stand !== null)
    return subject.kind === "standstill" ? lifeText(evidence) : `It will not run again as things are: ${stand.text}.`;
  const coming = comingOccurrences(job, nowMs, 1, zone);
  const nextMs = typeof coming === "string" ? null : (coming[0] ?? null);
  if (nextMs === null)
    return `It will not run again: ${clause(typeof coming === "string" ? coming : "nothing is coming")}.`;
  const block = blockNow(evidence);
  const unless = block === null ? `unless ${ordinaryRisks(evidence)}` : `but only if this changes by then: ${block}`;
  return `It will run next at ${moment(evidence, nextMs)} (${formatDistance(nextMs, nowMs)}), ${unless}.`;
}

function lifeText(evidence: ExplainEvidence): string {
  if (!evidence.isDaemonAlive) return `${capital(withoutDaemon(evidence).text)}.`;
  const newest = evidence.lives[0];
  const since = newest === undefined ? "" : ` since ${moment(evidence, newest.beganMs)}`;
  return `The daemon${evidence.daemonPid === null ? "" : ` (process ${evidence.daemonPid})`} has been running${since}.`;
}
