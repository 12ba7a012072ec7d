import type { RunJson, SlotJson } from "../../src/status/json.ts";
import type { Mark } from "./evidence.ts";
import { instantsOf, type SoakJob } from "./soak-jobs.ts";

/** One life of a daemon. Killed lives are those that could write nothing down at their end. */
export interface DaemonLife {
  readonly startedMs: number;
  readonly endedMs: number;
  readonly killed: boolean;
}

/** A job, what it says of itself, and what the supervisor says of it. */
export interface JobHistory {
  readonly job: SoakJob;
  readonly marks: readonly Mark[];
  readonly runs: readonly RunJson[];
  readonly slots: readonly SlotJson[];
  /** Its record in `jobs.json`, or null when it is gone. */
  readonly record: Readonly<Record<string, unknown>> | null;
}

export type Fault = "overlap" | "lost slot" | "doubled slot" | "wrong outcome" | "process left" | "other";

export interface Finding {
  readonly fault: Fault;
  readonly text: string;
}

/** Between what a job writes last and the moment at which its exit file must be there, on a machine with much to do. */
const exitWrittenMs = 1000;
/** Times in JSON have no digits below the millisecond, and a kill is seen a moment after it was sent. */
const clockMs = 20;

/** Holds the supervisor's record against the jobs' own evidence, for every instant up to `untilMs`. */
export function judge(
  histories: readonly JobHistory[],
  lives: readonly DaemonLife[],
  untilMs: number,
): readonly Finding[] {
  return histories.flatMap((history) => {
    const name = `${history.job.home}/${history.job.id}`;
    const findings = [
      ...judgeLives(history),
      ...judgeSlots(history, untilMs),
      ...judgeOutcomes(history, lives),
      ...judgeRecord(history),
    ];
    return findings.map(({ fault, text }) => ({ fault, text: `${name}: ${text}` }));
  });
}

export function judgeLives({ marks, runs }: JobHistory): readonly Finding[] {
  const known = new Map(runs.map((run) => [run.id, run]));
  return marks.flatMap((mark): readonly Finding[] => {
    const run = known.get(mark.runId);
    if (mark.what === "overlap") {
      return [
        { fault: "overlap", text: `run ${mark.runId} began beside a living process of another, at ${iso(mark.atMs)}` },
      ];
    }
    if (run === undefined)
      return [{ fault: "other", text: `run ${mark.runId} left evidence, and the ledger has no such run` }];
    if (run.state === "void")
      return [{ fault: "wrong outcome", text: `run ${run.id} is void, and left evidence of its ${mark.what}` }];
    if (mark.what === "start" && mark.atMs < Date.parse(run.claimed_at)) {
      return [
        { fault: "other", text: `run ${run.id} began at ${iso(mark.atMs)}, before its claim at ${run.claimed_at}` },
      ];
    }
    return [];
  });
}

function judgeSlots({ job, marks, runs, slots }: JobHistory, untilMs: number): readonly Finding[] {
  const findings: Finding[] = [];
  const expected = new Set(instantsOf(job, Math.max(untilMs, ...slots.map((slot) => Date.parse(slot.scheduled_at)))));
  const lines = Map.groupBy(slots, (slot) => Date.parse(slot.scheduled_at));
  for (const atMs of expected) {
    if (atMs > untilMs) continue;
    const own = lines.get(atMs) ?? [];
    if (own.length > 1) findings.push({ fault: "doubled slot", text: `${iso(atMs)} has ${own.length} lines` });
    const problem =
      own.length === 0 ? "has no line" : own.map((line) => slotProblem(line, runs)).find((text) => text !== null);
    if (typeof problem === "string") findings.push({ fault: "lost slot", text: `${iso(atMs)} ${problem}` });
  }
  for (const atMs of lines.keys()) {
    if (!expected.has(atMs))
      findings.push({ fault: "other", text: `${iso(atMs)} has a line, and the rule does not name it` });
  }
  const served = runs.filter((run) => run.state !== "void" && run.scheduled_at !== null);
  for (const [at, own] of Map.groupBy(served, (run) => run.scheduled_at)) {
    if (own.length > 1)
      findings.push({ fault: "doubled slot", text: `${at} was served by ${own.map((run) => run.id).join(" and ")}` });
  }
  const starts = marks.filter((mark) => mark.what === "start");
  for (const [slotMs, own] of Map.groupBy(starts, (mark) => mark.slotMs)) {
    if (own.length > 1)
      findings.push({
        fault: "doubled slot",
        text: `the job began ${own.length} times for ${slotMs === null ? "no instant" : iso(slotMs)}`,
      });
  }
  return findings;
}

/** Nobody edits these jobs and nobody else runs them, so only some of the decisions can be true. */
export function slotProblem(line: SlotJson, runs: readonly RunJson[]): string | null {
  const decided = `${line.decision} (${line.reason})`;
  switch (line.decision) {
    case "run": {
      const run = runs.find((one) => one.id === line.run_id);
      if (run === undefined) return `is ${decided} by ${line.run_id ?? "no run"}, which the ledger does not have`;
      if (run.scheduled_at !== line.scheduled_at)
        return `is ${decided} by ${run.id}, which was started for ${run.scheduled_at}`;
      return run.state === "void" ? `is ${decided} by ${run.id}, which is void` : null;
    }
    case "coalesce":
      return runs.some((run) => run.id === line.run_id && run.state !== "void")
        ? null
        : `is ${decided} into ${line.run_id ?? "no run"}, which never ran`;
    case "skip":
      return line.reason === "overlap" ? null : `is ${decided}`;
    case "miss":
    case "move":
    case "pending":
      return `is ${decided}`;
  }
}

export function judgeOutcomes({ marks, runs }: JobHistory, lives: readonly DaemonLife[]): readonly Finding[] {
  const marksOf = Map.groupBy(marks, (mark) => mark.runId);
  return runs.flatMap((run): readonly Finding[] => {
    const problem = outcomeProblem(run, marksOf.get(run.id) ?? [], lives);
    return problem === null
      ? []
      : [{ fault: "wrong outcome", text: `run ${run.id} is ${outcomeOf(run)}, and ${problem}` }];
  });
}

function outcomeOf(run: RunJson): string {
  const how = run.exit_code ?? run.signal;
  return [run.state, run.reason, how].filter((part) => part !== null).join(", ");
}

function outcomeProblem(run: RunJson, marks: readonly Mark[], lives: readonly DaemonLife[]): string | null {
  const end = marks.find((mark) => mark.what === "end");
  const wasStarted = marks.some((mark) => mark.what === "start");
  const said = end === undefined ? "its job wrote no end" : `its job ended with ${end.code}`;
  if (run.state === "void") return null;
  if (run.ended_at === null) return "nobody decided it";
  const fromMs = Date.parse(run.claimed_at) - clockMs;
  const toMs = Date.parse(run.ended_at) + clockMs;
  const wasLeft = lives.some((life) => life.killed && life.endedMs >= fromMs && life.endedMs <= toMs);
  if (run.state === "completed") return end?.code === 0 && run.exit_code === 0 ? null : said;
  switch (run.reason) {
    case "exit":
      return end !== undefined && end.code === run.exit_code && end.code !== 0 ? null : said;
    case "signal":
      // What an earlier daemon began to stop before it was killed itself was truly ended by that signal.
      if (end !== undefined && end.code === run.signal) return null;
      return wasLeft && (run.signal === "SIGTERM" || run.signal === "SIGKILL") ? null : said;
    case "orphaned": {
      if (!wasLeft) return `no daemon was killed while it was open`;
      if (!wasStarted || end === undefined) return null;
      const decider = lives.findLast((life) => life.startedMs <= toMs);
      return decider !== undefined && end.atMs + exitWrittenMs < decider.startedMs
        ? `${said} ${Math.round(decider.startedMs - end.atMs)} ms before the daemon that says so was started`
        : null;
    }
    default:
      return said;
  }
}

/** Every run that was started counts once in the record, and a one-shot's record stays. */
function judgeRecord({ job, runs, record }: JobHistory): readonly Finding[] {
  if (record === null) return [{ fault: "other", text: "its record is gone from jobs.json" }];
  const findings: Finding[] = [];
  const repeat = record["repeat"] as { readonly completed?: number } | null;
  const begun = runs.filter((run) => run.state !== "void").length;
  if (repeat?.completed !== begun) {
    findings.push({
      fault: "wrong outcome",
      text: `its record counts ${repeat?.completed} runs, and the ledger has ${begun}`,
    });
  }
  for (const claim of ["fire_claim", "run_claim"]) {
    if ((record[claim] ?? null) !== null) findings.push({ fault: "other", text: `its record still has a ${claim}` });
  }
  if (job.rule.kind === "once" && record["state"] !== "completed" && begun > 0) {
    findings.push({ fault: "other", text: `its record is ${String(record["state"])}, and it ran` });
  }
  return findings;
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}
