import { askAfter } from "../clock-change.ts";
import { nextOccurrence } from "../next-occurrence.ts";
import type { Run } from "../run.ts";
import type { Schedule } from "../schedule.ts";
import { formatLength } from "../time-text.ts";
import type { Zone } from "../zone.ts";
import { tellDue } from "./explain-due.ts";
import type { ExplainEvidence, ToldSlot } from "./explain-evidence.ts";
import { moment, obstaclesBetween, subjectRun, who } from "./explain-obstacle.ts";
import { capital, type Told } from "./explain-run.ts";
import { repeatText } from "./explain-standstill.ts";

/** A slot that was decided without a run of its own. */
export function tellSlot(evidence: ExplainEvidence, slot: ToldSlot): Told {
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
        reanchored:
          evidence.job !== null && !isNamed(evidence.job.schedule, dueMs, evidence.zone)
            ? `${notRun} because its schedule does not name that time: its record had it as its next run and was moved on, and nothing tells that it ran.`
            : `${notRun} because Hermes or somebody else had moved its next run on, and nothing tells that it ran.`,
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

function ownRunsAt(evidence: ExplainEvidence, atMs: number): readonly Run[] {
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

/** An interval names whatever it is counted from. */
export function isNamed(schedule: Schedule | null, atMs: number, zone: Zone): boolean {
  if (schedule?.kind !== "cron") return true;
  try {
    const namedMs = nextOccurrence(schedule, Math.min(atMs - 1, askAfter(schedule, atMs, zone)), zone);
    return namedMs !== null && Math.abs(namedMs - atMs) < 1000;
  } catch (error) {
    if (error instanceof SyntaxError) return false;
    throw error;
  }
}
