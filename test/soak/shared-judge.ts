import type { RunJson, SlotJson } from "../../src/status/json.ts";
import { isElsewhere, type Mark } from "./evidence.ts";
import { type DaemonLife, type Finding, type JobHistory, judgeLives, judgeOutcomes, slotProblem } from "./judge.ts";
import { instantsOf } from "./soak-jobs.ts";

/** When the gateway took a job's instant off its schedule, as Hermes' own ledger has it; which one, only 0.22 says. */
export interface Taken {
  readonly claimedMs: number;
  /** After which Hermes moves the schedule on from then; null where a kill came before. */
  readonly finishedMs: number | null;
  readonly instantMs: number | null;
}

export interface SharedHistory extends JobHistory {
  /** The oldest first. */
  readonly taken: readonly Taken[];
}

export interface SharedScene {
  readonly daemonLives: readonly DaemonLife[];
  /** When the gateway was killed. */
  readonly gatewayKillsMs: readonly number[];
  readonly untilMs: number;
}

/** Between a claim and the first line of what it starts, or between a sign in the record and what made it, on a busy machine. */
const signMs = 5000;
const sameMs = 2;
/** A script's start stands for a claim some time before it. */
const intervalSlackMs = 3000;
/** What Hermes does between the end of a script and the time from which it counts the next interval. */
const settleMs = 10_000;

/** Holds what both schedulers recorded against the jobs' own evidence: each instant run once, by one of them, and accounted for. */
export function judgeShared(histories: readonly SharedHistory[], scene: SharedScene): readonly Finding[] {
  return histories.flatMap((history) => {
    const left = new Set(overlapsWithLeftOvers(history, scene));
    const ours = {
      ...history,
      marks: history.marks.filter((mark) => (mark.what === "overlap" ? !left.has(mark) : !isElsewhere(mark))),
      // The gateway took the job before the end of our run stood in its record; the outcome in our ledger is none the less true.
      runs: history.runs.map((run) =>
        run.reason === "superseded" && run.state === "failed" ? { ...run, reason: "exit" as const } : run,
      ),
    };
    const isInterval = history.job.rule.kind === "interval";
    const findings = [
      ...judgeLives(ours),
      ...judgeOutcomes(ours, scene.daemonLives),
      ...(isInterval ? judgePace(history, scene) : judgeInstants(history, scene)),
      ...judgeStarts(history, scene),
      ...(history.record === null ? [{ fault: "other", text: "its record is gone from jobs.json" } as const] : []),
    ];
    return findings.map(({ fault, text }) => ({ fault, text: `${history.job.home}/${history.job.id}: ${text}` }));
  });
}

/** What a killed gateway leaves running is nobody's: Hermes knows nothing of it, and its claim is free with its owner. */
export function overlapsWithLeftOvers({ marks }: SharedHistory, { gatewayKillsMs }: SharedScene): readonly Mark[] {
  const theirs = marks.filter((mark) => mark.what === "start" && isElsewhere(mark));
  return marks.filter((overlap) => {
    if (overlap.what !== "overlap") return false;
    return theirs.some((start) => {
      const end = marks.find((mark) => mark.what === "end" && mark.runId === start.runId);
      const wasAlive = start.atMs < overlap.atMs && (end === undefined || end.atMs >= overlap.atMs);
      return wasAlive && gatewayKillsMs.some((atMs) => atMs >= start.atMs && atMs <= overlap.atMs);
    });
  });
}

/** Every instant of the clock has one line, and what the line says is so. */
function judgeInstants(history: SharedHistory, scene: SharedScene): readonly Finding[] {
  const { job, slots } = history;
  const findings: Finding[] = [];
  const lines = linesByInstant(slots);
  const newestMs = Math.max(scene.untilMs, ...lines.keys());
  const expected = new Set(instantsOf(job, newestMs));
  for (const atMs of expected) {
    const own = lines.get(atMs) ?? [];
    if (own.length > 1) findings.push({ fault: "doubled slot", text: `${iso(atMs)} has ${own.length} lines` });
    if (own.length === 0 && atMs <= scene.untilMs)
      findings.push({ fault: "lost slot", text: `${iso(atMs)} has no line` });
  }
  for (const atMs of lines.keys()) {
    if (!expected.has(atMs))
      findings.push({ fault: "other", text: `${iso(atMs)} has a line, and the rule does not name it` });
  }
  return [...findings, ...judgeLines(history, scene)];
}

/** An interval is counted anew from the end of each of the gateway's runs, so its instants are told by its lines and those runs. */
function judgePace(history: SharedHistory, scene: SharedScene): readonly Finding[] {
  const { job, slots, marks } = history;
  const findings: Finding[] = [];
  const periodMs = job.rule.kind === "interval" ? job.rule.minutes * 60_000 : 0;
  const lines = linesByInstant(slots);
  for (const [atMs, own] of lines) {
    if (own.length > 1) findings.push({ fault: "doubled slot", text: `${iso(atMs)} has ${own.length} lines` });
  }
  const ends = history.taken.map(({ claimedMs, finishedMs }) => finishedMs ?? claimedMs);
  const others = [...marks.filter(isElsewhere).map((mark) => mark.atMs), ...ends];
  const instants = [job.firstMs, ...[...lines.keys()].sort((one, other) => one - other)];
  for (const [index, toMs] of [...instants.slice(1), scene.untilMs + periodMs].entries()) {
    const fromMs = instants[index] ?? toMs;
    const isLast = index === instants.length - 1;
    const anchors = others.filter((atMs) => atMs >= fromMs - sameMs && atMs <= toMs);
    const countedFromMs = anchors.length === 0 ? fromMs : Math.max(...anchors) + settleMs;
    // The last step is to the first instant that was still to come.
    if (toMs - countedFromMs > periodMs + (isLast ? periodMs : 0) + sameMs) {
      findings.push({ fault: "lost slot", text: `nothing has a line between ${iso(fromMs)} and ${iso(toMs)}` });
    }
  }
  return [...findings, ...judgeLines(history, scene)];
}

function judgeLines(history: SharedHistory, scene: SharedScene): readonly Finding[] {
  return history.slots.flatMap((line): readonly Finding[] => {
    if (Date.parse(line.scheduled_at) > scene.untilMs) return [];
    const problem = sharedSlotProblem(line, history, scene);
    return problem === null ? [] : [{ fault: "lost slot", text: `${line.scheduled_at} ${problem}` }];
  });
}

function sharedSlotProblem(line: SlotJson, history: SharedHistory, scene: SharedScene): string | null {
  const isElsewhereLine = line.decision === "run" && line.reason === "elsewhere";
  const isMoved = line.decision === "move" && line.reason === "reanchored";
  if (!isElsewhereLine && !isMoved) return slotProblem(line, history.runs);
  const atMs = Date.parse(line.scheduled_at);
  const decidedMs = Date.parse(line.decided_at);
  const isInBetween = (ms: number): boolean => ms >= atMs - sameMs && ms <= decidedMs + signMs;
  // Before 0.22 a record does not name the instant that was dispatched last: all up to its last run count as the gateway's.
  const byEnds = isMoved || history.taken.every(({ instantMs }) => instantMs === null);
  const signs = [
    // At the end of a run Hermes goes on from then, past whatever came meanwhile.
    ...history.marks.filter((mark) => isElsewhere(mark) && (byEnds || mark.what === "start")).map((mark) => mark.atMs),
    ...history.taken.flatMap((taken) => [taken.claimedMs, ...(byEnds ? [taken.finishedMs ?? taken.claimedMs] : [])]),
    ...(isMoved ? scene.gatewayKillsMs : []),
  ];
  return signs.some(isInBetween) ? null : `is ${line.decision} (${line.reason}), and no gateway took it`;
}

interface Start {
  readonly mark: Mark;
  readonly by: "supervisor" | "gateway";
  /** Null where nobody can tell: of an interval that a gateway of 0.19 or 0.20 counts. */
  readonly instantMs: number | null;
}

/** No instant is served twice, and what the gateway served is not said to be anything else. */
function judgeStarts(history: SharedHistory, scene: SharedScene): readonly Finding[] {
  const findings: Finding[] = [];
  const starts = assignStarts(history, findings);
  for (const [instantMs, own] of Map.groupBy(starts, (start) => start.instantMs)) {
    if (instantMs === null || own.length < 2) continue;
    const times = own.map(({ mark, by }) => `the ${by} at ${iso(mark.atMs)}`).join(" and ");
    findings.push({ fault: "doubled slot", text: `${iso(instantMs)} was run by ${times}` });
  }
  for (const [index, start] of starts.entries()) {
    const previous = starts[index - 1];
    if (history.job.rule.kind === "interval" && previous !== undefined)
      findings.push(...tooEarly(history, previous, start));
    if (start.by === "gateway") findings.push(...untoldStart(history, previous, start, scene));
  }
  return findings;
}

function assignStarts(history: SharedHistory, findings: Finding[]): readonly Start[] {
  const began = history.marks.flatMap((mark) => (mark.what === "start" ? [mark] : []));
  const ordered = began.sort((one, other) => one.atMs - other.atMs);
  const served = new Set(ordered.flatMap((mark) => (isElsewhere(mark) || mark.slotMs === null ? [] : [mark.slotMs])));
  const free = [...history.taken];
  let lastMs = Number.NEGATIVE_INFINITY;
  return ordered.map((mark): Start => {
    if (!isElsewhere(mark)) {
      lastMs = Math.max(lastMs, mark.slotMs ?? lastMs);
      return { mark, by: "supervisor", instantMs: mark.slotMs };
    }
    // What was taken before and never began was cut off by a kill.
    const passed = free.filter(({ claimedMs }) => claimedMs <= mark.atMs + sameMs);
    free.splice(0, passed.length);
    const taken = passed.at(-1);
    if (taken?.instantMs != null) {
      lastMs = Math.max(lastMs, taken.instantMs);
      return { mark, by: "gateway", instantMs: taken.instantMs };
    }
    if (history.job.rule.kind === "interval") return { mark, by: "gateway", instantMs: null };
    const upToMs = taken?.claimedMs ?? mark.atMs;
    const instantMs = instantsOf(history.job, upToMs).findLast((atMs) => atMs > lastMs && !served.has(atMs));
    if (instantMs === undefined) {
      const text = `the gateway began it at ${iso(mark.atMs)}, when every instant up to then had been served`;
      findings.push({ fault: "doubled slot", text });
      return { mark, by: "gateway", instantMs: null };
    }
    lastMs = instantMs;
    return { mark, by: "gateway", instantMs };
  });
}

/** Either counts an interval from what it served last, so two starts of which one is the gateway's are never closer than that. */
function tooEarly(history: SharedHistory, previous: Start, start: Start): readonly Finding[] {
  if (history.job.rule.kind !== "interval" || (previous.by === "supervisor" && start.by === "supervisor")) return [];
  const fromMs = previous.by === "supervisor" ? (previous.instantMs ?? previous.mark.atMs) : previous.mark.atMs;
  const apartMs = start.mark.atMs - fromMs;
  if (apartMs + intervalSlackMs >= history.job.rule.minutes * 60_000) return [];
  const text = `the ${start.by} began it at ${iso(start.mark.atMs)}, ${Math.round(apartMs)} ms after what the ${previous.by} had served`;
  return [{ fault: "doubled slot", text }];
}

/** One of the instants that a start of the gateway may have served must be known as its. */
function untoldStart(
  history: SharedHistory,
  previous: Start | undefined,
  start: Start,
  { gatewayKillsMs, untilMs }: SharedScene,
): readonly Finding[] {
  const fromMs = previous?.instantMs ?? previous?.mark.atMs ?? Number.NEGATIVE_INFINITY;
  const isCutOff = gatewayKillsMs.some(
    (atMs) => atMs >= start.mark.atMs - signMs && atMs <= start.mark.atMs + settleMs,
  );
  const told = history.slots.filter((line) => {
    const atMs = Date.parse(line.scheduled_at);
    if (start.instantMs !== null && history.job.rule.kind === "cron") return Math.abs(atMs - start.instantMs) <= sameMs;
    return atMs > fromMs && atMs <= start.mark.atMs;
  });
  const isTold = told.some(
    (line) => line.reason === "elsewhere" || (isCutOff && line.decision === "move" && line.reason === "reanchored"),
  );
  // Of the instants that an interval had while only the gateway ran, nobody but Hermes knows.
  if (isTold || start.mark.atMs > untilMs || (history.job.rule.kind === "interval" && told.length === 0)) return [];
  const said = told.map((line) => `${line.scheduled_at} as ${line.decision} (${line.reason})`).join(", ");
  const text = `the gateway ran it at ${iso(start.mark.atMs)}, and the ledger has ${said === "" ? "no line of it" : said}`;
  return [{ fault: "wrong outcome", text }];
}

/** One request of a prompt job that the stub model saw. */
export interface PromptRequest {
  readonly atMs: number;
}

/** A prompt job writes nothing down itself: its request is its start, the supervisor's where a run of ours was open at the time. */
export function promptMarks(requests: readonly PromptRequest[], runs: readonly RunJson[]): readonly Mark[] {
  const known = new Map<string, number>();
  return [...requests]
    .sort((one, other) => one.atMs - other.atMs)
    .flatMap(({ atMs }, index): readonly Mark[] => {
      const run = runs.find(
        ({ started_at: started, ended_at: ended }) =>
          started !== null &&
          atMs >= Date.parse(started) - sameMs &&
          (ended === null || atMs <= Date.parse(ended) + sameMs),
      );
      if (run === undefined) return [{ what: "start", atMs, runId: `elsewhere-${index}`, slotMs: null }];
      const count = (known.get(run.id) ?? 0) + 1;
      known.set(run.id, count);
      if (count > 1) return [{ what: "overlap", atMs, runId: run.id }];
      const slotMs = run.scheduled_at === null ? null : Date.parse(run.scheduled_at);
      const start: Mark = { what: "start", atMs, runId: run.id, slotMs };
      if (run.state !== "completed" || run.ended_at === null) return [start];
      return [start, { what: "end", atMs: Date.parse(run.ended_at), runId: run.id, code: 0 }];
    });
}

function linesByInstant(slots: readonly SlotJson[]): ReadonlyMap<number, readonly SlotJson[]> {
  return Map.groupBy(slots, (slot) => Date.parse(slot.scheduled_at));
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}
