import type { SetBack } from "./home-history.ts";
import { hasFailed, type Job } from "./job.ts";
import { isOccurrence, nextOccurrence } from "./next-occurrence.ts";
import { parseScheduleKey } from "./observe-slots.ts";
import type { Run } from "./run.ts";
import { runStates } from "./run-states.ts";
import { isSlotDecision, type SlotCursor, type SlotLine, type SlotStretch } from "./slot.ts";
import { attemptProblems, lastAttempt } from "./verify-attempts.ts";
import type { Zone } from "./zone.ts";

/** How a script ended, as a file in its run's folder tells it. */
export interface WrittenEnd {
  readonly exitCode: number | null;
  readonly signal: string | null;
  /** Why we ended it, when we did. */
  readonly cause: string | null;
}

/** What is left of one run outside the ledger. */
export interface RunEvidence {
  readonly run: Run;
  /** When the gate opened, as its file tells; null where there is no such file. */
  readonly startedFileMs: number | null;
  readonly result: WrittenEnd | null;
  readonly exit: WrittenEnd | null;
  /** What became of its document. `gone` only where nothing else explains that the file is missing, `none` where nothing can be said. */
  readonly document: "success" | "failure" | "empty" | "foreign" | "gone" | "none";
  readonly lifelineHeld: boolean;
  /** Whether processes of it may outlive it. */
  readonly detached: boolean;
  readonly spec: SpecEvidence | null;
}

export interface SpecEvidence {
  readonly home: string | null;
  readonly homePath: string | null;
  /** Names of the home's variables whose values stand in the file. */
  readonly leaked: readonly string[];
}

export interface HomeEvidence {
  readonly name: string;
  readonly path: string;
  readonly zone: Zone;
  /** False for one that is not read: its layout is unknown, or it cannot be read. */
  readonly readable: boolean;
  readonly jobs: readonly Job[];
  readonly cursors: ReadonlyMap<string, SlotCursor>;
  readonly store: { readonly state: "same" | "absent" } | { readonly state: "damaged"; readonly problem: string };
}

/** A live process that was started with a run's id in its environment. */
export interface MarkedProcess {
  /** Null for a launcher, which learns its job's id only as its gate opens; empty where it belongs to a job and cannot be told to which. */
  readonly jobId: string | null;
  readonly pid: number;
  readonly runId: string;
  readonly homePath: string | null;
}

/** A folder of a run whose gate opened and that the ledger does not know. */
export interface UnknownFolder {
  readonly runId: string;
  readonly startedMs: number;
}

export interface Evidence {
  readonly daemonLives: boolean;
  /** History from before it may have been deleted for its age. */
  readonly keptFromMs: number;
  /** By `<home>/<job id>`: older runs of that job may have been deleted for their number. */
  readonly runsKeptFromMs: ReadonlyMap<string, number>;
  readonly homes: readonly HomeEvidence[];
  /** The latest claim first, also where the clock was set back between two. */
  readonly runs: readonly RunEvidence[];
  readonly slots: readonly (SlotLine & { readonly home: string })[];
  readonly unknownFolders: readonly UnknownFolder[];
  readonly setBacks: readonly SetBack[];
  /** Null where the system does not show environments. */
  readonly processes: readonly MarkedProcess[] | null;
}

export type LawName = "L1" | "L2" | "L3" | "L4" | "L5" | "L6" | "L7" | "L8";

export interface Violation {
  /** What was found and what to do about it. */
  readonly message: string;
  /** Tells one kind of violation from another of the same run or instant. */
  readonly kind: string;
  readonly home: string | null;
  readonly jobId: string | null;
  readonly runId: string | null;
  readonly atMs: number | null;
}

export interface LawReport {
  readonly law: LawName;
  readonly title: string;
  readonly checked: number;
  /** What was looked at, for people. */
  readonly covers: string;
  readonly violations: readonly Violation[];
}

// The kernel stamps files with a clock that moves in steps of up to 10 ms.
const fileClockMs = 15;
/** A daemon looks by itself so often. */
const setBackNoticedMs = 60_000;

/** Holds what is recorded against what is left of it. Each violation may still be something in flight: look twice. */
export function verifyLaws(evidence: Evidence): readonly LawReport[] {
  return [
    conservation(evidence),
    singleLife(evidence),
    noInvention(evidence),
    truth(evidence),
    noStranger(evidence),
    isolation(evidence),
    boundedTime(evidence),
    unknownData(evidence),
  ];
}

function conservation({ homes, runs, slots, keptFromMs, runsKeptFromMs }: Evidence): LawReport {
  const violations: Violation[] = [];
  const byId = new Map(runs.map(({ run }) => [run.id, run]));
  const lines = Map.groupBy(slots, (slot) => keyOf(slot.home, slot.jobId));
  const cursorOf = new Map(
    homes.flatMap((home) => [...home.cursors].map(([jobId, cursor]) => [keyOf(home.name, jobId), cursor] as const)),
  );
  for (const slot of slots) {
    const key = keyOf(slot.home, slot.jobId);
    const problem = slotProblem(slot, byId, cursorOf.get(key));
    // A run is never claimed before the instant that it serves.
    const wasDeleted = slot.scheduledAtMs - 1 <= (runsKeptFromMs.get(key) ?? Number.NEGATIVE_INFINITY);
    if (problem !== null && !(problem.kind === "run_unknown" && wasDeleted))
      violations.push(ofSlot(slot, problem.kind, problem.message));
  }
  violations.push(...unlistedRuns(runs, byId, lines, keptFromMs));
  const keptFrom = ({ home, jobId }: Run): number =>
    Math.max(keptFromMs, runsKeptFromMs.get(keyOf(home, jobId)) ?? Number.NEGATIVE_INFINITY);
  const recorded = runs.map(({ run }) => run);
  for (const { run, kind, message } of attemptProblems(recorded, keptFrom)) violations.push(ofRun(run, kind, message));
  for (const home of homes.filter((each) => each.readable)) {
    for (const [jobId, cursor] of home.cursors) {
      const own = (lines.get(keyOf(home.name, jobId)) ?? []).toSorted((a, b) => a.scheduledAtMs - b.scheduledAtMs);
      for (const [index, line] of own.entries()) {
        // Lines are kept by the microsecond; no schedule names two instants within a millisecond.
        if (line.scheduledAtMs - (own[index - 1]?.scheduledAtMs ?? Number.NEGATIVE_INFINITY) >= 1) continue;
        violations.push(ofSlot(line, "double", `It has two lines, expected one: ${seeSlots(jobId)}`));
      }
      for (const atMs of stretchesOf(cursor).flatMap((each) => missingInstants(home, each, own, keptFromMs))) {
        const text = `The schedule of job "${jobId}" names ${iso(atMs)}, and no line says what became of it: ${seeSlots(jobId)}, and report it`;
        violations.push({ message: text, kind: "gap", home: home.name, jobId, runId: null, atMs });
      }
    }
  }
  const covers = `${count(slots.length, "slot")} of ${count(lines.size, "job")}`;
  return { law: "L1", title: "Conservation", checked: slots.length, covers, violations };
}

function slotProblem(
  slot: SlotLine,
  runs: ReadonlyMap<string, Run>,
  cursor: SlotCursor | undefined,
): { readonly kind: string; readonly message: string } | null {
  const where = `Slot ${iso(slot.scheduledAtMs)} of job "${slot.jobId}"`;
  if (!isSlotDecision(slot)) {
    const told = `"${slot["decision"]}" for "${slot["reason"]}"`;
    return { kind: "decision", message: `${where} is ${told}, which no slot can be: ${seeSlots(slot.jobId)}` };
  }
  if (slot.decision === "pending" && cursor !== undefined && isForgotten(cursor, slot.scheduledAtMs)) {
    const message = `${where} is "pending" for "${slot.reason}", and nothing of its job waits for it: ${seeSlots(slot.jobId)}, and report it`;
    return { kind: "forgotten", message };
  }
  if (slot.runId === null) {
    const needsRun = (slot.decision === "run" && slot.reason !== "elsewhere") || slot.decision === "coalesce";
    return needsRun
      ? { kind: "run_missing", message: `${where} is "${slot.decision}" and names no run: ${seeSlots(slot.jobId)}` }
      : null;
  }
  if ((slot.decision !== "run" && slot.decision !== "coalesce") || slot.reason === "elsewhere") {
    const told = slot.decision === "run" ? '"run" "elsewhere"' : `"${slot.decision}"`;
    const message = `${where} is ${told} and names run "${slot.runId}", expected none: ${seeSlots(slot.jobId)}`;
    return { kind: "run_named", message };
  }
  const run = runs.get(slot.runId);
  if (run === undefined) {
    return { kind: "run_unknown", message: `${where} names run "${slot.runId}", which the history does not have` };
  }
  if (run.jobId !== slot.jobId) {
    return { kind: "run_foreign", message: `${where} names run "${run.id}", which is of job "${run.jobId}"` };
  }
  // A void claim's instant is served again as soon as its home ticks.
  const comesAgain =
    cursor !== undefined &&
    ((cursor.nextAtMs !== null && cursor.nextAtMs <= slot.scheduledAtMs + 0.001) || isOwed(cursor, slot.scheduledAtMs));
  if (slot.decision === "run" && run.state === "void" && !comesAgain) {
    return {
      kind: "run_void",
      message: `${where} is "run" by run "${run.id}", which never started: ${seeSlots(slot.jobId)}`,
    };
  }
  if (run.retry?.state === "started") {
    const message = `${where} names run "${run.id}", which was tried again as run "${run.retry.runId}", expected the last attempt: ${seeSlots(slot.jobId)}, and report it`;
    return { kind: "not_passed_on", message };
  }
  return null;
}

/** Whether the job has gone on past this instant, and will not come back to it. */
function isForgotten(cursor: SlotCursor, atMs: number): boolean {
  if (cursor.backlog !== undefined || isOwed(cursor, atMs)) return false;
  return !cursor.enabled || (cursor.nextAtMs !== null && atMs < cursor.nextAtMs - 0.001);
}

function isOwed({ owed }: SlotCursor, atMs: number): boolean {
  return owed !== undefined && owed.fromMs <= atMs + 0.001 && atMs <= owed.throughMs + 0.001;
}

/** The last attempt of a run that was to serve an instant has to stand in that instant's line: two runs of one instant cannot both. */
function unlistedRuns(
  runs: readonly RunEvidence[],
  byId: ReadonlyMap<string, Run>,
  lines: ReadonlyMap<string, Evidence["slots"]>,
  keptFromMs: number,
): readonly Violation[] {
  const instants = new Map(
    [...lines].map(([key, own]) => [key, new Map(own.map((line) => [Math.round(line.scheduledAtMs * 1000), line]))]),
  );
  return runs.flatMap(({ run }) => {
    if (run.trigger !== "schedule" || run.state === "void" || run.scheduledAtMs === null) return [];
    if (run.scheduledAtMs < keptFromMs) return [];
    const line = instants.get(keyOf(run.home, run.jobId))?.get(Math.round(run.scheduledAtMs * 1000));
    if (line?.runId === run.id || line?.runId === lastAttempt(run, byId).id) return [];
    const found = line === undefined ? "has no line" : `was served by ${line.runId ?? `"${line.decision}"`}`;
    const message = `Run "${run.id}" was started for ${iso(run.scheduledAtMs)}, but that instant ${found}: ${seeSlots(run.jobId)}`;
    return [ofRun(run, "unlisted", message)];
  });
}

function stretchesOf(cursor: SlotCursor): readonly SlotStretch[] {
  const { scheduleText, sinceMs, nextAtMs, earlier = [] } = cursor;
  const isFollowed = sinceMs !== undefined && nextAtMs !== null && cursor.enabled;
  return isFollowed ? [...earlier, { scheduleText, sinceMs, nextAtMs }] : earlier;
}

/** Both passes of an hour that comes twice are shorter together. */
const repeatedMsMax = 3 * 3_600_000;

/** Instants without a line, as far back as the job's rule is known to have held without a break. */
function missingInstants(
  home: HomeEvidence,
  { scheduleText, sinceMs, nextAtMs }: SlotStretch,
  own: Evidence["slots"],
  keptFromMs: number,
): readonly number[] {
  const schedule = parseScheduleKey(scheduleText);
  if (schedule.kind === "once") return [];
  const moved = own.findLast((line) => line.decision === "move" && line.scheduledAtMs < nextAtMs - 0.001);
  const fromMs = Math.max(sinceMs, keptFromMs, (moved?.scheduledAtMs ?? Number.NEGATIVE_INFINITY) + 1);
  const known = new Set(own.map((line) => Math.round(line.scheduledAtMs * 1000)));
  const missing: number[] = [];
  const look = (atMs: number): void => {
    if (!known.has(Math.round(atMs * 1000))) missing.push(atMs);
  };
  if (schedule.kind === "interval") {
    const stepMs = schedule.minutes * 60_000;
    if (!(stepMs > 0)) return [];
    const steps = Math.floor((nextAtMs - fromMs) / stepMs + 1e-9);
    for (let step = steps; step >= 1; step -= 1) look(nextAtMs - step * stepMs);
    return missing;
  }
  try {
    // What a rule names in an hour that comes twice depends on where one counts from.
    const countFromMs = Math.max(sinceMs, fromMs - repeatedMsMax);
    // A stretch can begin a fraction of a millisecond after an instant that the rule names.
    let atMs = nextOccurrence(schedule, countFromMs - 0.001, home.zone);
    while (atMs !== null && atMs < nextAtMs - 0.001) {
      if (atMs > fromMs - 0.001) look(atMs);
      atMs = nextOccurrence(schedule, atMs, home.zone);
    }
  } catch (error) {
    // An expression that cannot be evaluated names no instants; that the job is invalid is said elsewhere.
    if (!(error instanceof SyntaxError)) throw error;
    return missing;
  }
  if (missing.length === 0) return missing;
  // A line that the rule does not name in this zone is from before the zone was set, and tells that all before it is too.
  const foreign = own.findLast(
    ({ scheduledAtMs }) =>
      scheduledAtMs > fromMs - 0.001 &&
      scheduledAtMs < nextAtMs - 0.001 &&
      !isOccurrence(schedule, scheduledAtMs, home.zone),
  );
  return foreign === undefined ? missing : missing.filter((atMs) => atMs > foreign.scheduledAtMs);
}

function singleLife({ runs, processes, setBacks }: Evidence): LawReport {
  const violations: Violation[] = [];
  const begun = runs.map(({ run }) => run).filter((run) => run.startedAtMs !== null && run.state !== "void");
  for (const own of Map.groupBy(begun, (run) => keyOf(run.home, run.jobId)).values()) {
    // A clock that was set back puts runs in another order than they had: what overlaps does so in both.
    const byClaim = overlaps(own.toReversed());
    for (const [run, before] of overlaps(own.toSorted((a, b) => beganMs(a) - beganMs(b)))) {
      if (byClaim.get(run) !== before || isBehindSetBack(setBacks, before.endedAtMs, beganMs(run))) continue;
      const until = before.endedAtMs === null ? "is still open" : `ended at ${iso(before.endedAtMs)}`;
      const message = `Run "${run.id}" of job "${run.jobId}" started at ${iso(beganMs(run))}, while run "${before.id}" ${until}: look at both with hermes-supervisor logs, and report it`;
      violations.push(ofRun(run, "overlap", message));
    }
  }
  const byId = new Map(runs.map((each) => [each.run.id, each]));
  for (const live of processes ?? []) {
    const owner = byId.get(live.runId);
    if (owner === undefined || isOpen(owner.run) || owner.detached) continue;
    const message = `Process ${live.pid} belongs to run "${live.runId}", which is recorded as ${owner.run.state}: look at it with ps -p ${live.pid}, and end it`;
    violations.push(ofRun(owner.run, `pid ${live.pid}`, message));
  }
  for (const { run, lifelineHeld, detached } of runs) {
    if (!lifelineHeld || detached || isOpen(run) || processes?.some((each) => each.runId === run.id)) continue;
    const message = `Something holds the lifeline of run "${run.id}", which is recorded as ${run.state}: find it with fuser ${run.id}/alive in the runs folder, and end it`;
    violations.push(ofRun(run, "lifeline", message));
  }
  const seen = processes === null ? "lifelines" : `${count(processes.length, "live process", "live processes")}`;
  const covers = `${count(begun.length, "run")}, ${seen}`;
  return { law: "L2", title: "Single life", checked: begun.length + (processes?.length ?? 0), covers, violations };
}

/** Whether the clock was set back after the first of two moments, and the second can have come behind that. */
function isBehindSetBack(setBacks: readonly SetBack[], firstMs: number | null, secondMs: number): boolean {
  if (firstMs === null) return false;
  return setBacks.some(({ fromMs, toMs }) => firstMs <= fromMs && secondMs >= toMs - setBackNoticedMs);
}

/** Runs that began before the one ahead of them had ended. */
function overlaps(inOrder: readonly Run[]): ReadonlyMap<Run, Run> {
  const found = new Map<Run, Run>();
  for (const [index, run] of inOrder.entries()) {
    const before = inOrder[index - 1];
    if (before !== undefined && (before.endedAtMs ?? Number.POSITIVE_INFINITY) > beganMs(run)) found.set(run, before);
  }
  return found;
}

function noInvention({ runs, unknownFolders, setBacks }: Evidence): LawReport {
  const violations: Violation[] = [];
  // A year's history has more runs than a call may have arguments.
  const oldestMs = runs.reduce((oldest, { run }) => Math.min(oldest, run.claimedAtMs), Number.POSITIVE_INFINITY);
  // History is forgotten row first and folder second, so an older folder is only what a crash left of that.
  for (const folder of unknownFolders.filter((each) => !(each.startedMs < oldestMs))) {
    const message = `Run folder "${folder.runId}" says that its gate opened at ${iso(folder.startedMs)}, and the history has no such run: keep the folder, and report it`;
    const { runId, startedMs: atMs } = folder;
    violations.push({ message, kind: "unknown_folder", home: null, jobId: null, runId, atMs });
  }
  let checked = unknownFolders.length;
  for (const { run, startedFileMs } of runs) {
    const startedMs = run.startedAtMs ?? startedFileMs;
    if (startedMs === null) continue;
    checked += 1;
    const never = Number.POSITIVE_INFINITY;
    const earliestMs = Math.min(run.startedAtMs ?? never, (startedFileMs ?? never) + fileClockMs);
    const isInOrder = earliestMs >= run.claimedAtMs || isBehindSetBack(setBacks, run.claimedAtMs, earliestMs);
    if (isInOrder && run.state !== "void") continue;
    const message =
      run.state === "void"
        ? `Run "${run.id}" is recorded as void, and its gate opened at ${iso(startedMs)}: report it`
        : `Run "${run.id}" started at ${iso(earliestMs)}, before its claim at ${iso(run.claimedAtMs)}: was the clock set? If not, report it`;
    violations.push(ofRun(run, run.state === "void" ? "void_started" : "early", message));
  }
  return { law: "L3", title: "No invention", checked, covers: count(checked, "started run"), violations };
}

function truth({ daemonLives, homes, runs, setBacks }: Evidence): LawReport {
  const ended = runs.filter(({ run }) => run.state === "completed" || run.state === "failed");
  const violations = runs.flatMap((each) => [...stateProblems(each.run)]);
  violations.push(...ended.flatMap((each) => [...outcomeProblems(each)]));
  let records = 0;
  const newest = new Map<string, Run>();
  for (const { run } of ended) {
    const key = keyOf(run.home, run.jobId);
    if (run.reason !== "superseded" && !newest.has(key)) newest.set(key, run);
  }
  for (const home of homes) {
    for (const job of home.jobs) {
      const key = keyOf(home.name, job.id);
      const run = newest.get(key);
      // Of records with one id only the first runs.
      if (run === undefined || !newest.delete(key)) continue;
      records += 1;
      const problem = recordProblem(job, run, daemonLives, setBacks);
      if (problem !== null) violations.push(problem);
    }
  }
  const covers = `${count(ended.length, "outcome")} and ${count(records, "record")}`;
  return { law: "L4", title: "Truth", checked: ended.length + records, covers, violations };
}

function* stateProblems(run: Run): Iterable<Violation> {
  if (!Object.hasOwn(runStates, run.state)) {
    const message = `Run "${run.id}" is recorded as "${run.state}", expected ${Object.keys(runStates).join(", ")}: report it`;
    yield ofRun(run, "state", message);
  }
  if (isOpen(run) && run.endedAtMs !== null) {
    const message = `Run "${run.id}" is recorded as ${run.state}, and has an end at ${iso(run.endedAtMs)}: report it`;
    yield ofRun(run, "open_end", message);
  }
  const beganAtMs = run.startedAtMs ?? run.claimedAtMs;
  if (run.endedAtMs !== null && run.endedAtMs < beganAtMs - fileClockMs) {
    const began = run.startedAtMs === null ? "its claim" : "its start";
    const message = `Run "${run.id}" ended at ${iso(run.endedAtMs)}, before ${began} at ${iso(beganAtMs)}: was the clock set? If not, report it`;
    yield ofRun(run, "ended_early", message);
  }
}

function* outcomeProblems({ run, result, exit, document }: RunEvidence): Iterable<Violation> {
  const recorded = `is recorded as ${run.state}${run.reason === null ? "" : `, ${run.reason}`}${run.exitCode === null ? "" : `, exit ${run.exitCode}`}${run.signal === null ? "" : `, ${run.signal}`}`;
  if (run.endedAtMs === null) yield ofRun(run, "no_end", `Run "${run.id}" ${recorded}, and has no end`);
  if (run.state === "failed" && run.error === null)
    yield ofRun(run, "no_error", `Run "${run.id}" ${recorded}, and says no error`);
  const reason = run.reason === "superseded" ? null : run.reason;
  if (run.state === "completed" && (reason !== null || run.signal !== null || run.exitCode !== 0)) {
    const message =
      run.exitCode === null && reason === null && run.signal === null
        ? `Run "${run.id}" ${recorded} without an exit code, expected exit 0: report it`
        : `Run "${run.id}" ${recorded}, which contradicts itself`;
    yield ofRun(run, "contradiction", message);
  }
  if (document === "gone") {
    const message = `The document of run "${run.id}" is gone, expected at "${run.documentPath}": nothing to do if somebody removed it`;
    yield ofRun(run, "document", message);
  }
  if (document === "empty" || document === "foreign") {
    const what = document === "empty" ? "is empty" : "is not the one that was written for it";
    const message = `The document of run "${run.id}" ${what}: look at "${run.documentPath}", nothing to do if somebody edited it`;
    yield ofRun(run, "document", message);
  }
  if ((document === "success" || document === "failure") && (document === "success") !== (run.state === "completed")) {
    const message = `Run "${run.id}" ${recorded}, and its document tells of a ${document}: look at "${run.documentPath}", and report it`;
    yield ofRun(run, "document", message);
  }
  // What a prompt's program says of its job counts beside its exit code.
  if (run.kind !== "script") return;
  const told = result ?? exit;
  if (told !== null && !agrees(run, told)) {
    const message = `Run "${run.id}" ${recorded}, and its ${result === null ? "exit file" : "result file"} says ${describeEnd(told)}: report it`;
    yield ofRun(run, "outcome", message);
  }
  if (result !== null && exit !== null && result.cause === null) {
    if (result.exitCode !== exit.exitCode || result.signal !== exit.signal) {
      const message = `The result file of run "${run.id}" says ${describeEnd(result)}, its exit file ${describeEnd(exit)}: report it`;
      yield ofRun(run, "files", message);
    }
  }
}

function agrees(run: Run, told: WrittenEnd): boolean {
  // That its record was somebody else's by then is told instead of why it failed.
  const isFailure = (reason: string): boolean =>
    run.state === "failed" && (run.reason === reason || run.reason === "superseded");
  if (told.cause !== null) return isFailure(told.cause);
  if (told.exitCode === 0 && told.signal === null) return run.state === "completed";
  const reason = told.signal === null ? "exit" : "signal";
  return isFailure(reason) && run.exitCode === told.exitCode && run.signal === told.signal;
}

function describeEnd(end: WrittenEnd): string {
  if (end.cause !== null) return end.cause;
  return end.signal === null ? `exit ${end.exitCode}` : end.signal;
}

/** Whether the job's record tells of its newest run of ours, unless somebody ran or claimed the job after it. */
function recordProblem(job: Job, run: Run, daemonLives: boolean, setBacks: readonly SetBack[]): Violation | null {
  const isOurs = job.fireClaim?.by === run.owner;
  if (isOurs && !daemonLives) return null;
  const recordedMs = job.lastRunAt?.ms ?? Number.NEGATIVE_INFINITY;
  const differenceMs = recordedMs - endMs(run);
  const name = `The record of job "${job.id}"`;
  if (isOurs) return ofRun(run, "unsettled", `${name} still holds the claim of run "${run.id}", which has ended`);
  if (differenceMs > 0.5) return null;
  // By a clock that was set back in a run, that run ended before it began, which the ledger does not write down.
  const isSetBack = run.endedAtMs === (run.startedAtMs ?? run.claimedAtMs);
  if (differenceMs < -0.5 && isBehindSetBack(setBacks, endMs(run), recordedMs)) return null;
  if (differenceMs < -0.5 && !isSetBack) {
    // Another owner's claim means that the record was no longer ours to write.
    if (job.fireClaim !== null && !daemonLives) return null;
    const message = `${name} says that it ran last at ${job.lastRunAt?.text ?? "no time"}, and run "${run.id}" ended at ${iso(endMs(run))}: nothing to do if somebody else wrote the record`;
    return ofRun(run, "record_old", message);
  }
  if (hasFailed(job) === (run.state === "failed")) return null;
  return ofRun(run, "record_status", `${name} says "${job.lastStatus}", and run "${run.id}" ${run.state}`);
}

function noStranger({ runs }: Evidence): LawReport {
  const violations: Violation[] = [];
  const seen = new Map<string, Run>();
  for (const { run } of runs) {
    const { pid, startTicks, bootId, pidNamespace } = run.fingerprint;
    if (!(pid > 0) || startTicks === null || bootId === "") {
      violations.push(ofRun(run, "fingerprint", `The fingerprint of run "${run.id}" is incomplete: pid ${pid}`));
      continue;
    }
    const key = [pid, startTicks, bootId, pidNamespace].join(" ");
    const other = seen.get(key);
    seen.set(key, run);
    if (other === undefined) continue;
    const message = `Runs "${other.id}" and "${run.id}" have one fingerprint, so it proves neither: pid ${pid}, started at tick ${startTicks}`;
    violations.push(ofRun(run, "fingerprint_twice", message));
  }
  const covers = `${count(runs.length, "fingerprint")}; that no other was signalled leaves no trace on disk`;
  return { law: "L5", title: "No stranger is signalled", checked: runs.length, covers, violations };
}

function isolation({ homes, runs, processes }: Evidence): LawReport {
  const violations: Violation[] = [];
  const paths = new Map(homes.map((home) => [home.name, home.path]));
  const byId = new Map(runs.map(({ run }) => [run.id, run]));
  let checked = 0;
  for (const { run, spec } of runs) {
    if (spec === null) continue;
    checked += 1;
    const path = paths.get(run.home);
    if (spec.home !== run.home || (path !== undefined && spec.homePath !== path)) {
      const message = `The folder of run "${run.id}" names home "${spec.home}" at "${spec.homePath}", expected "${run.home}" at "${path ?? "no path"}"`;
      violations.push(ofRun(run, "spec_home", message));
    }
    for (const name of spec.leaked) {
      const message = `The value of ${name} in the .env of home "${run.home}" stands in spec.json of run "${run.id}": remove the folder, change the secret, and report it`;
      violations.push(ofRun(run, `leak ${name}`, message));
    }
  }
  const specs = checked;
  for (const live of processes ?? []) {
    const run = byId.get(live.runId);
    const path = run === undefined ? undefined : paths.get(run.home);
    // A job may set what it likes for its own children; the launcher has what we gave it.
    if (run === undefined || path === undefined || run.fingerprint.pid !== live.pid) continue;
    checked += 1;
    if (live.homePath === path) continue;
    const message = `Process ${live.pid} of run "${run.id}" has HERMES_HOME "${live.homePath ?? ""}", expected "${path}"`;
    violations.push(ofRun(run, "process_home", message));
  }
  const covers = `${count(specs, "run folder")}, ${count(checked - specs, "live launcher")}`;
  return { law: "L6", title: "Isolation", checked, covers, violations };
}

function boundedTime({ daemonLives, runs, processes }: Evidence): LawReport {
  const open = runs.filter(({ run }) => isOpen(run));
  const alive = new Set(processes?.map((live) => live.runId));
  const gone = daemonLives ? open.filter(({ run, lifelineHeld }) => !lifelineHeld && !alive.has(run.id)) : [];
  const violations = gone.map(({ run }) =>
    ofRun(
      run,
      "undecided",
      `Run "${run.id}" of job "${run.jobId}" is open, and nothing of it is alive: the daemon should have recorded its end within 2 s, see its log`,
    ),
  );
  const covers = daemonLives
    ? count(open.length, "open run")
    : `${count(open.length, "open run")}; no daemon is running, the next one decides`;
  return { law: "L7", title: "Bounded time", checked: daemonLives ? open.length : 0, covers, violations };
}

function unknownData({ homes }: Evidence): LawReport {
  const stores = homes.filter(({ store }) => store.state !== "absent");
  const violations = stores.flatMap(({ name, store }): readonly Violation[] =>
    store.state === "damaged"
      ? [{ message: store.problem, kind: "damaged", home: name, jobId: null, runId: null, atMs: null }]
      : [],
  );
  const jobs = stores.reduce((sum, home) => sum + home.jobs.length, 0);
  const covers = `${count(stores.length, "store")} with ${count(jobs, "job")}, printed again byte for byte`;
  return { law: "L8", title: "Unknown data survives", checked: stores.length, covers, violations };
}

/** Leaves only what was found both times: what was in flight at one look has arrived by the next. */
export function persistingViolations(before: readonly LawReport[], after: readonly LawReport[]): readonly LawReport[] {
  const known = new Set(before.flatMap((report) => report.violations.map((found) => identify(report.law, found))));
  return after.map((report) => ({
    ...report,
    violations: report.violations.filter((found) => known.has(identify(report.law, found))),
  }));
}

function identify(law: LawName, { kind, home, jobId, runId, atMs }: Violation): string {
  return JSON.stringify([law, kind, home, jobId, runId, atMs]);
}

function keyOf(home: string, jobId: string): string {
  return `${home}/${jobId}`;
}

function isOpen(run: Run): boolean {
  return run.state === "claimed" || run.state === "running";
}

/** The start of a run whose daemon died is read from its file, whose clock may lag behind the claim. */
function beganMs(run: Run): number {
  return Math.max(run.startedAtMs ?? run.claimedAtMs, run.claimedAtMs);
}

function endMs(run: Run): number {
  return run.endedAtMs ?? run.claimedAtMs;
}

function ofRun(run: Run, kind: string, message: string): Violation {
  return { message, kind, home: run.home, jobId: run.jobId, runId: run.id, atMs: run.scheduledAtMs ?? run.claimedAtMs };
}

function ofSlot(slot: SlotLine & { readonly home: string }, kind: string, message: string): Violation {
  return { message, kind, home: slot.home, jobId: slot.jobId, runId: slot.runId, atMs: slot.scheduledAtMs };
}

function seeSlots(jobId: string): string {
  return `see hermes-supervisor slots ${jobId}`;
}

function iso(ms: number): string {
  return Math.abs(ms) <= 8.64e15 ? new Date(Math.floor(ms)).toISOString() : String(ms);
}

function count(number: number, one: string, many = `${one}s`): string {
  return `${number.toLocaleString("en-GB")} ${number === 1 ? one : many}`;
}
