import { clockChangeAt } from "../clock-change.ts";
import { isOpenRun, type Run, type RunReason } from "../run.ts";
import { retryText } from "../run-retry.ts";
import { formatLength } from "../time-text.ts";
import type { ExplainEvidence, ToldSlot } from "./explain-evidence.ts";
import { type Cause, clause, moment, obstaclesBetween, quoted, withoutDaemon } from "./explain-obstacle.ts";

/** The first sentence, and facts behind it with their times. */
export interface Told {
  readonly cause: string;
  readonly answer: string;
  readonly facts: readonly { readonly atMs: number | null; readonly text: string }[];
}

/** Beyond the first a start is late if something is known to have stood in its way, beyond the second in any case. */
const lateMs = { known: 1000, unknown: 10_000 };
const namesMax = 6;

/** What became of a run, and why it came when it came. */
export function tellRun(evidence: ExplainEvidence, run: Run, slot: ToldSlot | null): Told {
  const { nowMs } = evidence;
  const start = tellStart(evidence, run, slot);
  const end = tellEnd(evidence, run);
  const took =
    run.startedAtMs === null || run.endedAtMs === null ? "" : ` after ${formatLength(run.endedAtMs - run.startedAtMs)}`;
  const facts: Told["facts"][number][] = [...start.facts];
  if (isOpenRun(run) && !evidence.isDaemonAlive) {
    const answer = `${start.text} as far as is known, but ${withoutDaemon(evidence).text}: the next one looks what became of it.`;
    return { cause: "no_daemon", answer, facts };
  }
  if (run.endedAtMs !== null && run.state !== "void") {
    facts.push({
      atMs: run.endedAtMs,
      text: `Run ${run.id} ended at ${moment(evidence, run.endedAtMs)}${took}${exitText(run)}.`,
    });
  }
  if (run.startedAtMs !== null) {
    const began = `Run ${run.id}${run.attempt > 1 ? `, attempt ${run.attempt},` : ""} was claimed at ${moment(evidence, run.claimedAtMs)} and began ${formatLength(run.startedAtMs - run.claimedAtMs)} later`;
    facts.push({
      atMs: run.startedAtMs,
      text: `${began}, as process ${run.fingerprint.pid}${run.adopted ? "; it outlived a daemon and was adopted by the next" : ""}.`,
    });
  }
  if (run.delivery !== undefined && run.delivery.error !== null) {
    const { state, target, error } = run.delivery;
    facts.push({
      atMs: run.endedAtMs ?? nowMs,
      text: `Its result is ${state} for ${clause(target, 60)}: ${clause(error)}.`,
    });
  }
  for (const before of evidence.attemptsBefore) {
    const tookMs = (before.endedAtMs ?? before.claimedAtMs) - (before.startedAtMs ?? before.claimedAtMs);
    const failed = failureText(evidence, before, before.reason ?? "error", tookMs).replace(/^, and /, "");
    facts.push({
      atMs: before.endedAtMs,
      text: `Run ${before.id}, attempt ${before.attempt} of ${moment(evidence, before.startedAtMs ?? before.claimedAtMs)}, ${failed}.`,
    });
  }
  const retry = retryText(run.retry, (ms) => moment(evidence, ms));
  if (retry !== "") facts.push({ atMs: run.endedAtMs ?? nowMs, text: `${capital(retry)}.` });
  facts.push(...changeFacts(evidence, run));
  return { cause: end.cause ?? start.cause, answer: `${start.text}${end.text}.`, facts };
}

interface Part {
  readonly cause: string;
  readonly text: string;
  readonly facts: Told["facts"];
}

function tellStart(evidence: ExplainEvidence, run: Run, slot: ToldSlot | null): Part {
  const who = `Job ${quoted(evidence.jobName)}`;
  const atMs = run.startedAtMs ?? run.claimedAtMs;
  const verb = isOpenRun(run) ? "has been running since" : run.startedAtMs === null ? "was claimed at" : "ran at";
  if (run.trigger === "manual") {
    const text = `${who} ${verb} ${moment(evidence, atMs)} because somebody asked for a run then, not because of its schedule`;
    return { cause: "manual", text, facts: [] };
  }
  if (run.trigger === "retry") {
    const of = run.scheduledAtMs === null ? "" : ` of ${moment(evidence, run.scheduledAtMs)}`;
    const text = `${who} ${verb} ${moment(evidence, atMs)} as attempt ${run.attempt} of its run${of}, after the one before it had failed`;
    return { cause: "retry", text, facts: [] };
  }
  const dueMs = run.scheduledAtMs ?? run.claimedAtMs;
  const change = clockChangeAt(evidence.job?.schedule ?? null, dueMs, evidence.zone);
  const clocks =
    change === null
      ? ""
      : change.kind === "gap"
        ? `: ${change.text}`
        : `, the ${change.isSecond ? "second" : "first"} of two: ${change.text}`;
  const onTime = { cause: change === null ? "on_time" : change.kind === "gap" ? "clock_gap" : "clock_repeat" };
  const overdueMs = atMs - dueMs;
  const obstacles =
    overdueMs <= lateMs.known ? [] : obstaclesBetween(evidence, dueMs, run.claimedAtMs, slot?.waitedFor ?? null);
  const isLate = overdueMs > (obstacles.length > 0 ? lateMs.known : lateMs.unknown);
  if (!isLate && slot?.reason !== "restored") {
    return { ...onTime, text: `${who} ${verb} ${moment(evidence, dueMs)}, on time${clocks}`, facts: [] };
  }
  const restored =
    slot?.reason === "restored"
      ? "its first claim came to nothing, as the daemon ended before its gate was open"
      : null;
  const first = restored ?? obstacles[0]?.text ?? null;
  const cause: Cause = restored === null ? (obstacles[0]?.cause ?? "unknown") : "void_claim";
  const why = first === null ? "" : ` because ${first}`;
  const late = `${formatLength(overdueMs)} late for ${moment(evidence, dueMs)}${why}${clocks}`;
  const rest = (restored === null ? obstacles.slice(1) : obstacles)
    .slice(0, 2)
    .map((each) => ({ atMs: each.atMs, text: `${capital(each.text)}.` }));
  const text = `${who} ${verb} ${moment(evidence, atMs)}`;
  // Of a run that failed the failure is what counts, and that it was late stands behind.
  if (run.state === "failed") return { cause, text, facts: [{ atMs, text: `It was ${late}.` }, ...rest] };
  return { cause, text: `${text}, ${late}`, facts: rest };
}

function tellEnd(evidence: ExplainEvidence, run: Run): { readonly cause: string | null; readonly text: string } {
  if (isOpenRun(run)) return { cause: run.trigger === "manual" ? "manual" : "running", text: "" };
  const tookMs = (run.endedAtMs ?? run.claimedAtMs) - (run.startedAtMs ?? run.claimedAtMs);
  if (run.state === "void") return { cause: "void_claim", text: ", and nothing ran: its gate never opened" };
  if (run.state === "completed") return { cause: null, text: `, and completed in ${formatLength(tookMs)}` };
  const reason = run.reason ?? "error";
  const text = failureText(evidence, run, reason, tookMs);
  const variables = evidence.change?.variables ?? [];
  const blamable: readonly RunReason[] = [
    "exit",
    "signal",
    "error",
    "timeout",
    "idle_timeout",
    "memory_limit",
    "output_limit",
    "blocked_config",
  ];
  if (variables.length === 0 || !blamable.includes(reason)) return { cause: reason, text };
  const since =
    evidence.change === null
      ? ""
      : ` at ${moment(evidence, evidence.change.lastSuccess.startedAtMs ?? evidence.change.lastSuccess.claimedAtMs)}`;
  return {
    cause: reason === "exit" || reason === "error" || reason === "signal" ? "environment_changed" : reason,
    text: `${text}; its environment has changed since its last success${since}: ${nameList(variables)}`,
  };
}

function failureText(evidence: ExplainEvidence, run: Run, reason: RunReason, tookMs: number): string {
  const error = clause(run.error ?? "no reason was recorded");
  const length = formatLength(tookMs);
  switch (reason) {
    case "timeout": {
      const limitMs = evidence.policy?.timeoutMs ?? null;
      // The limit may have been edited since: one that the run did not reach was not what stopped it.
      const limit = limitMs === null || tookMs < limitMs ? "" : ` of ${formatLength(limitMs)}`;
      return `, and was stopped after ${length} because it took longer than its time limit${limit}: ${error}`;
    }
    case "idle_timeout":
      return `, and was stopped after ${length} because it printed nothing for too long: ${error}`;
    case "memory_limit":
      return `, and was stopped after ${length} because it took too much memory: ${error}`;
    case "output_limit":
      return `, and was stopped after ${length} because it printed too much: ${error}`;
    case "orphaned": {
      // The newest of these lives is that of whoever decided it.
      const last = evidence.lives.filter((life) => life.beganMs <= (run.endedAtMs ?? run.claimedAtMs))[1];
      const when =
        last === undefined || last.endedMs !== null
          ? ""
          : ` after ${moment(evidence, Math.max(last.seenMs, run.claimedAtMs))}`;
      return `, and was orphaned: the daemon died${when} while it was open, so nobody saw its end and it counts as failed`;
    }
    case "not_started":
      return `, and could not start: ${error}`;
    case "blocked_config":
      return `, and was blocked by its configuration: ${error}`;
    case "stopped":
      return `, and was stopped on request after ${length}`;
    case "replaced":
      return `, and was stopped after ${length} to make room for its next run (overlap: replace)`;
    case "superseded":
      return `, and its end was not written into its record, which was gone or another run's by then${run.error === null ? "" : `: ${error}`}`;
    default:
      return `, and failed after ${length}: ${error}`;
  }
}

function changeFacts(evidence: ExplainEvidence, run: Run): Told["facts"] {
  const { change } = evidence;
  if (change === null || run.state !== "failed") return [];
  const successMs = change.lastSuccess.startedAtMs ?? change.lastSuccess.claimedAtMs;
  const unchanged = change.variables?.length === 0 ? ", with the same variables in its environment" : "";
  const forgotten = change.variables === null ? "; what its environment was then is not kept" : "";
  return [
    ...(change.scriptChangedMs === null
      ? []
      : [
          {
            atMs: change.scriptChangedMs,
            text: `Its script was changed at ${moment(evidence, change.scriptChangedMs)}, after its last success.`,
          },
        ]),
    {
      atMs: successMs,
      text: `Its last success before that was run ${change.lastSuccess.id} at ${moment(evidence, successMs)}${unchanged}${forgotten}.`,
    },
  ];
}

export function nameList(names: readonly string[]): string {
  const listed = names.slice(0, namesMax).map((name) => clause(name, 60));
  return [...listed, ...(names.length > namesMax ? [`${names.length - namesMax} more`] : [])].join(", ");
}

function exitText(run: Run): string {
  if (run.signal !== null) return `, killed by ${run.signal}`;
  return run.exitCode === null ? "" : `, with exit code ${run.exitCode}`;
}

export function capital(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}`;
}
