import { executionId } from "../../src/core/execution-row.ts";
import { instantsMax } from "../../src/core/missed-occurrence.ts";
import type { Run } from "../../src/core/run.ts";
import { attemptProblems } from "../../src/core/verify-attempts.ts";
import type { LedgerSlot } from "../../src/ledger/slots.ts";
import { runFiles } from "../../worker/protocol.ts";
import { type FakeEnd, type FakeProcess, type FakeRun, signalNumbers } from "../helpers/fake-processes.ts";
import { checkVerify } from "./check-verify.ts";
import type { DaemonLife } from "./daemon-life.ts";
import { isTagged } from "./scenario.ts";
import { pathOf, type World } from "./simulate.ts";
import {
  detachedJobs,
  environmentMark,
  executionsOf,
  hasHermesLedger,
  type JobStory,
  type Span,
  type StoredRecord,
  unknownField,
} from "./story.ts";

/** An instant of the last moments may still be on its way: while its job waits for room, the daemon looks every 30 s. */
const onTheWayMs = 32_000;
/** How long the stop ladder asks in these scenarios. */
const graceMs = 3000;
/** A dead child is noticed in 1 s, and decided in 2 s. */
const decidedMs = 2000;
/** Between the decision to stop a run and the first signal lie two looks at all processes; the clock of files lags behind a little. */
const signalledWithinMs = 100;
/** Hermes' ledger may be locked a few times before it has what happened. */
const mirroredMs = 10_000;

/** L3: behind an opened gate stand a row of the ledger and a claim in the store, both made before. */
export function checkGate(world: World, run: FakeRun): void {
  const row = world.ledger.run(run.id);
  if (row === null || (row.state !== "claimed" && row.state !== "running")) {
    world.report("L3", `run ${run.id} starts while the ledger says ${row?.state ?? "nothing"}`);
    return;
  }
  const earlyMs = (row.scheduledAtMs ?? 0) - world.clock.nowMs();
  // The instant of a further attempt has come, also where the clock was set back since.
  if (earlyMs > 0 && row.trigger !== "retry")
    world.report("L3", `run ${run.id} starts ${earlyMs} ms before the instant that it is for`);
  const seen = run.environment[environmentMark] ?? "nothing";
  const expected = world.story.environmentsOf(world, row.home);
  if (!expected.includes(seen))
    world.report("L6", `run ${run.id} of ${row.home} starts with ${seen}, where ${expected.join(" or ")} stands`);
  const { home, jobId } = row;
  for (const bound of boundsOf(world, home, jobId)) {
    const taken = world.ledger.openRuns().filter((one) => bound.counts(one.home, one.jobId)).length;
    if (taken > bound.max)
      world.report("limits", `run ${run.id} is the ${taken}th at once, ${bound.name} is ${bound.max}`);
  }
  const record = storedJobs(world, row.home).get(row.jobId);
  if (record?.["no_agent"] !== true) world.report("L3", `run ${run.id} is of a prompt job, which nobody here can run`);
  if (claimedBy(record) !== row.owner)
    world.report("L3", `run ${run.id} starts while its job is claimed by ${claimedBy(record)}`);
}

/** L2: nothing of an earlier run of the job is alive. */
export function checkStart({ host, gateways, ledger, report, scenario }: World, run: FakeRun): void {
  if (run.order === null) return;
  const isDetached = detachedJobs(scenario).includes(run.order.jobId);
  const { jobId, home } = run.order;
  for (const process of host.processes.values()) {
    const other = process.run;
    if (other === null || other === run || other.order?.home !== home || other.order.jobId !== jobId) continue;
    if (isDetached && process.name === "helper") continue;
    report("L2", `run ${run.id} of ${jobId} starts while ${process.name} ${process.pid} of ${other.id} lives`);
  }
  if (gateways.has(`${ledger.run(run.id)?.home}/${jobId}`))
    report("L2", `run ${run.id} of ${jobId} starts while a gateway runs the job`);
}

/** L5: whoever gets a signal is of a run that a daemon keeps. */
export function checkSignal({ report }: World, process: FakeProcess, signal: string, by: number): void {
  if (process.run === null) report("L5", `process ${process.pid} (${process.name}) got ${signal} from ${by}`);
}

/**
 * L7: an end is decided in 2 s, and a stop is over in its grace and 2 s, as far as nothing was in the daemon's way. To be called
 * when nothing of the run is alive any more.
 */
export function checkPromptness(world: World, run: FakeRun): void {
  const { clock, ledger, report } = world;
  if (run.order === null) return;
  const emptyAtMs = clock.monotonicMs();
  const stopMs = run.signalledAtMs === null ? 0 : emptyAtMs - run.signalledAtMs;
  if (stopMs > graceMs + 2000 && world.isCalm(stopMs) && isUpSince(world, run.signalledAtMs))
    report("L7", `the stop of run ${run.id} took ${Math.round(stopMs)} ms`);
  clock.after(decidedMs, () => {
    const state = ledger.run(run.id)?.state;
    if (state !== "claimed" && state !== "running") return;
    if (world.isCalm(decidedMs) && isUpSince(world, emptyAtMs))
      report("L7", `run ${run.id} is still ${state} ${decidedMs} ms after its last process`);
  });
}

/** L7 after a start: what had ended while no daemon was there is decided in 2 s. */
export function checkStartPromptness(world: World): void {
  const { clock, ledger, host, report } = world;
  const startedAtMs = clock.monotonicMs();
  const ended = ledger.openRuns().filter((run) => host.runs.get(run.id)?.processes.size === 0);
  clock.after(decidedMs, () => {
    if (!world.isCalm(decidedMs - 1) || !isUpSince(world, startedAtMs)) return;
    for (const { id } of ended) {
      const state = ledger.run(id)?.state;
      if (state === "claimed" || state === "running")
        report("L7", `run ${id} is still ${state} ${decidedMs} ms after the start of a daemon`);
    }
  });
}

function isUpSince(world: World, sinceMs: number | null): boolean {
  const startedAtMs = world.startedAtMs();
  return startedAtMs !== null && sinceMs !== null && startedAtMs <= sinceMs;
}

/** L8: whenever a daemon dies, every store can be read. */
export function checkFiles(world: World): void {
  for (const { name } of world.scenario.homes) {
    try {
      storedJobs(world, name);
    } catch (error) {
      world.report("L8", `jobs.json of ${name} cannot be read: ${error instanceof Error ? error.message : error}`);
    }
  }
}

/** L4: what a run ended as it stays. */
export function noteEnds(world: World): void {
  for (const run of world.ledger.runs({ limit: 0 })) {
    if (run.state === "claimed" || run.state === "running") continue;
    const end = `${run.state} ${run.reason} ${run.exitCode} ${run.signal}`;
    const before = world.ends.get(run.id);
    // Whose record it was is found out after the end was recorded, and a kill may take that back.
    const rest = (text: string): string => text.replace(/^(\w+) \S+/u, "$1");
    const isSame =
      before === undefined ||
      before === end ||
      (`${before} ${end}`.includes(" superseded ") && rest(before) === rest(end));
    if (!isSame) world.report("L4", `run ${run.id} was ${before} and became ${end}`);
    world.ends.set(run.id, end);
  }
}

/** To be called when a daemon has died: what it had just decided to stop, and had not asked to leave. */
export function noteSpared({ host, files, clock, spared }: World): void {
  for (const run of host.runs.values()) {
    if (run.processes.size === 0 || run.signals > 0) continue;
    const writtenNs = files.stat(`${run.folder}/${runFiles.cause}`)?.modifiedNs;
    if (writtenNs !== undefined && clock.nowMs() - Number(writtenNs) / 1e6 < signalledWithinMs) spared.add(run.id);
  }
}

/** What has to hold after a quiet time with the daemon up. */
export function checkEnd(world: World, daemon: DaemonLife): void {
  const { ledger, locks, report } = world;
  for (const home of daemon.homes().values()) {
    if (home.state.kind !== "active") report("rest", `home ${home.name} is ${home.state.kind}: ${home.state.reason}`);
  }
  for (const [path, pid] of locks) {
    if (pid === daemon.life.process.pid && !path.endsWith("/daemon.lock"))
      report("rest", `${path} is still locked by the daemon`);
  }
  noteEnds(world);
  checkVerify(world, daemon);
  const order = new Map(world.claims.map((id, index) => [id, index]));
  const runs = ledger.runs({ limit: 0 }).toSorted((a, b) => (order.get(b.id) ?? 0) - (order.get(a.id) ?? 0));
  for (const run of runs) checkRun(world, run);
  checkHermesLedgers(world, runs);
  checkAttempts(world, runs);
  const ids = new Set(runs.map((run) => run.id));
  for (const real of world.host.runs.values()) {
    if (real.started && !ids.has(real.id)) report("L3", `run ${real.id} ran and the ledger does not know it`);
    if (real.order === null && real.processes.size > 0 && !isLeaving(world, real) && !daemon.holdsGate(real.id))
      report("rest", `the gate of ${real.id} never opened, nobody holds it, and its launcher is still there`);
  }
  for (const job of world.story.jobs) {
    const own = runs.filter((run) => run.home === job.home && run.jobId === job.id).toReversed();
    checkSlots(world, job, own);
    if (!job.isGone) checkRecord(world, job, own);
  }
}

/** Whether its gate was closed a moment ago: its launcher then goes without having run anything. */
function isLeaving({ clock }: World, { gateClosedAtMs }: FakeRun): boolean {
  return gateClosedAtMs !== null && clock.monotonicMs() - gateClosedAtMs < 1000;
}

/** No attempt is lost or doubled, and none waits for nothing. */
function checkAttempts(world: World, runs: readonly Run[]): void {
  const { ledger, story, clock, report } = world;
  for (const { message } of attemptProblems(runs, () => Number.NEGATIVE_INFINITY)) report("L1", message);
  for (const { name } of world.scenario.homes) {
    for (const retry of ledger.waitingRetries(name).values()) {
      const own = runs.filter((run) => run.home === name && run.jobId === retry.jobId);
      const isOpen = own.some((run) => run.state === "claimed" || run.state === "running");
      const isShared = story.job(name, retry.jobId)?.isShared === true;
      const isHeld = (ledger.health(name).get(retry.jobId)?.heldUntilMs ?? 0) > clock.nowMs() - onTheWayMs;
      if (
        isOpen ||
        isShared ||
        isHeld ||
        isFull(world, name, retry.jobId, own) ||
        retry.dueAtMs > clock.nowMs() - onTheWayMs
      )
        continue;
      report("rest", `attempt ${retry.attempt} after run ${retry.runId} of ${retry.jobId} waits for nothing`);
    }
  }
}

/** Each run has one row in Hermes' own ledger, which says what ours says, and there are no others. */
function checkHermesLedgers(world: World, runs: readonly Run[]): void {
  if (!hasHermesLedger(world.scenario)) return;
  for (const { name } of world.scenario.homes) {
    const rows = new Map(world.hermesLedgers.rows(executionsOf(name)).map((row) => [row.id, row]));
    for (const run of runs.filter(({ home }) => home === name)) {
      const row = rows.get(executionId(run));
      rows.delete(executionId(run));
      if (run.state === "void" && row === undefined) continue;
      // What has just happened is written soon.
      const latestMs = run.endedAtMs ?? run.startedAtMs ?? run.claimedAtMs;
      if (latestMs > world.clock.nowMs() - mirroredMs) continue;
      const expected = run.state === "void" ? "failed" : run.state;
      if (row?.status !== expected || row.job_id !== run.jobId)
        world.report("L4", `run ${run.id} is ${run.state}, and in Hermes' ledger ${JSON.stringify(row)}`);
    }
    for (const row of rows.values()) world.report("L3", `Hermes' ledger has a row of no run: ${JSON.stringify(row)}`);
  }
}

function checkRun(world: World, run: Run): void {
  const { report, host, clock } = world;
  const real = host.runs.get(run.id);
  const name = `run ${run.id} of ${run.jobId}`;
  if (real === undefined) {
    report("L3", `${name} stands in the ledger and its launcher never was`);
    return;
  }
  switch (run.state) {
    case "claimed":
    case "running":
      if (real.emptiedAtMs !== null && clock.monotonicMs() - real.emptiedAtMs > decidedMs)
        report("rest", `${name} is still ${run.state} and nothing of it lives`);
      return;
    case "void":
      if (real.started) report("L4", `${name} is void, but it ran`);
      return;
    case "completed":
      if (!isCode(real.end, 0)) report("L4", `${name} is completed, but it ended with ${JSON.stringify(real.end)}`);
      break;
    case "failed":
      checkFailed(world, run, real, name);
      break;
  }
  const isDetached = detachedJobs(world.scenario).includes(run.jobId);
  const left = [...real.processes].filter((process) => !isDetached || process.name !== "helper");
  if (left.length > 0 && !isLeaving(world, real))
    report("L2", `${name} is ${run.state}, but ${left.map((one) => one.name).join(", ")} of it lives`);
}

function checkFailed(world: World, run: Run, real: FakeRun, name: string): void {
  const { report, scenario, spared } = world;
  const seen = JSON.stringify(real.end);
  const tookMs = real.endedAtMs - real.startedAtMs;
  const limitMs = run.reason === "timeout" ? scenario.timeoutMs : (scenario.idleTimeoutMs ?? null);
  switch (run.reason) {
    case "exit":
      if (!isCode(real.end, run.exitCode ?? -1) && !isToldByStatus(real, run.exitCode))
        report("L4", `${name} failed with ${run.exitCode}, but ended with ${seen}`);
      return;
    case "signal":
      if (real.end === null || !("signal" in real.end) || real.end.signal !== run.signal)
        report("L4", `${name} was ended by ${run.signal}, but ended with ${seen}`);
      return;
    case "orphaned":
      if (
        real.exitWritten &&
        real.signals === 0 &&
        !spared.has(run.id) &&
        !world.starts.some((ms) => isJustBefore(ms, real.endedAtMs))
      )
        report("L4", `${name} is orphaned, but its end ${seen} was on the disk and nobody had stopped it`);
      return;
    case "not_started":
      if (real.started) report("L4", `${name} is called not started, but it ran`);
      return;
    case "blocked_config":
      // No Hermes is installed here, so this is what becomes of every prompt job, and of no other.
      if (run.kind !== "prompt" || real.started) report("L4", `${name} is called blocked, but it could run`);
      return;
    case "timeout":
    case "idle_timeout":
    case "stopped":
    case "replaced":
      if (
        real.signals === 0 &&
        real.started &&
        !spared.has(run.id) &&
        (limitMs === null || !isJustBefore(limitMs, tookMs))
      )
        report("L4", `${name} was stopped (${run.reason}), but no signal reached it`);
      return;
    case "superseded":
      // Why it failed is not told any more, but how it ended still is.
      if (run.exitCode !== null && !isCode(real.end, run.exitCode) && !isToldByStatus(real, run.exitCode))
        report("L4", `${name} failed with ${run.exitCode}, but ended with ${seen}`);
      return;
    default:
      report("L4", `${name} failed for the reason ${run.reason}, which nothing here gives`);
  }
}

/**
 * What ends by itself in the moment after its end was decided, and before a signal, may be said to have ended either way. Whom to
 * signal is found by two looks at all processes where somebody else's look is under way.
 */
function isJustBefore(decidedMs: number, endedMs: number): boolean {
  return endedMs > decidedMs - 10 && endedMs < decidedMs + signalledWithinMs;
}

/** On a full disk the launcher cannot write which signal it was, and its own status is all there is: 128 and the signal's number. */
function isToldByStatus(real: FakeRun, exitCode: number | null): boolean {
  const { end, exitWritten } = real;
  return !exitWritten && end !== null && "signal" in end && exitCode === 128 + (signalNumbers[end.signal] ?? 0);
}

function isCode(end: FakeEnd | null, code: number): boolean {
  return end !== null && "code" in end && end.code === code;
}

function isCounted(run: Run): boolean {
  return run.state === "completed" || run.state === "failed";
}

/** L1: one final line for each instant, and none for what never was one. */
function checkSlots(world: World, job: JobStory, runs: readonly Run[]): void {
  const { ledger, story, clock, host, report } = world;
  const name = `job ${job.id} of ${job.home}`;
  const lines = new Map(
    ledger.slots({ home: job.home, jobId: job.id, limit: 0 }).map((line) => [line.scheduledAtMs, line]),
  );
  const scheduled = runs.filter((run) => isCounted(run) && run.trigger === "schedule");
  const times = job.planned.repeatTimes;
  const last = scheduled.at(-1);
  const isUsedUp = times !== null && scheduled.length >= times;
  const doneMs = isUsedUp && last !== undefined ? last.claimedAtMs : Number.POSITIVE_INFINITY;
  const hasOpen = runs.some((run) => run.state === "claimed" || run.state === "running");
  // A request stands in the place of the schedule's own instant: what comes while it waits is decided when it is served.
  const record = job.isGone ? null : story.read(world, job);
  const isRequested = record?.["manual_run_at"] != null && record["manual_run_at"] === record["next_run_at"];
  const awaitedMs = ledger.cursors(job.home).get(job.id)?.nextAtMs ?? null;
  for (const span of job.spans) {
    // Once its last run had begun the job had no further instant, whatever the clock was set to since.
    if (isUsedUp && last !== undefined && span.beganAtMonotonicMs > (host.runs.get(last.id)?.startedAtMs ?? Infinity))
      continue;
    const untilMs = Math.min(doneMs, clock.nowMs() - onTheWayMs);
    const instants =
      span.endMs === null
        ? story.instantsOf(span, untilMs)
        : span.known.filter((atMs) => atMs <= doneMs && atMs <= clock.nowMs());
    for (const atMs of instants) {
      // A one-shot that was asked for early keeps its own instant until that run has ended.
      if (!lines.has(atMs) && span.schedule.kind === "once" && hasOpen) continue;
      if (!lines.has(atMs) && (job.unseen.has(atMs) || isUnknowable(world, span, atMs, lines))) continue;
      if (!lines.has(atMs) && isAheadAgain(world, span, atMs)) continue;
      if (!lines.has(atMs) && isRequested && awaitedMs !== null && atMs >= awaitedMs) continue;
      checkLine(world, `${name}: ${new Date(atMs).toISOString()}`, lines.get(atMs), runs);
    }
  }
  for (const [atMs, line] of lines) {
    const at = new Date(atMs).toISOString();
    if (job.planned.isPrompt === true && line.decision === "pending" && line.reason === "no_daemon") continue;
    const waitsForRoom = line.decision === "pending" && line.reason === "capacity";
    const mayWait = waitsForRoom && (hasOpen || isFull(world, job.home, job.id, runs));
    // Who moved a job on without changing its rule may have run it, and the sign of that may come until the next instant.
    const waitsForSign = line.decision === "pending" && line.reason === "lock" && isRewritten(job);
    if (waitsForSign && Date.parse(String(record?.["next_run_at"])) > clock.nowMs() - onTheWayMs) continue;
    if (line.decision === "pending" && atMs < clock.nowMs() - onTheWayMs && !mayWait)
      report("L1", `${name}: ${at} is still pending (${line.reason})`);
    if (!isNamed(world, job, atMs, runs)) report("L1", `${name}: ${at} has a line and never was`);
  }
  const served = new Map<number, string>();
  for (const run of scheduled) {
    if (run.scheduledAtMs === null) continue;
    const before = served.get(run.scheduledAtMs);
    if (before !== undefined) report("L1", `${name}: runs ${before} and ${run.id} served one instant`);
    served.set(run.scheduledAtMs, run.id);
  }
}

/** Whether the instant of a rule that had ended lay ahead once more, as the clock was set back before any daemon looked. */
function isAheadAgain({ setBacks }: World, { endMs, endedAtMonotonicMs }: Span, atMs: number): boolean {
  return endMs !== null && setBacks.some((one) => one.atMonotonicMs >= endedAtMonotonicMs && atMs > one.toMs);
}

/**
 * Whether no daemon can tell of this instant. No record says when a pause ended, so what came between that and the daemon's next look is
 * taken for a part of the pause. And what waits gets so many lines and no more until it runs.
 */
function isUnknowable(
  { starts, clock }: World,
  span: Span,
  atMs: number,
  lines: ReadonlyMap<number, LedgerSlot>,
): boolean {
  // The instant that was kept over the pause can have been told of in it.
  const lookAtMs = starts.find((ms) => ms > span.beganAtMonotonicMs) ?? Number.POSITIVE_INFINITY;
  if (span.isAfterPause && span.isUnseen && atMs <= lookAtMs + clock.nowMs() - clock.monotonicMs()) return true;
  const first = span.firstMs === null ? undefined : lines.get(span.firstMs);
  if (span.isAfterPause && first !== undefined && atMs <= first.decidedAtMs) return true;
  if ([...lines.values()].filter((line) => line.decision === "pending").length >= instantsMax) return true;
  // One that was brought forward after a failure counts on from there.
  const { schedule, firstMs } = span;
  if (schedule.kind !== "interval" || firstMs === null) return false;
  return [...lines.keys()].some(
    (ms) => ms > firstMs - 60_000 && ms < atMs && (ms - firstMs) % (schedule.minutes * 60_000) !== 0,
  );
}

/**
 * Whether some rule of the job named the instant. As Hermes does, a job that failed and then did not run for long is brought
 * forward: an interval to the very moment, from which it then counts on, and a cron job whose clock went back to its next instant.
 */
function isNamed({ story, scenario }: World, job: JobStory, atMs: number, runs: readonly Run[]): boolean {
  const hasFailed = runs.some((run) => run.state === "failed");
  const wentBack = scenario.events.some((event) => event.kind === "clock" && event.byMs < 0);
  return job.spans.some((span) => {
    if (story.isNamed(span, atMs)) return true;
    const { schedule, firstMs } = span;
    const isOfRule = (ms: number): boolean => story.isNamed({ ...span, firstMs: -Infinity }, ms);
    // When an edit was made that no daemon saw, nobody knows: its rule goes on from the instant of a void claim, if it names that.
    const isPutBack = ({ state, scheduledAtMs: ms }: Run): boolean =>
      state === "void" && ms !== null && ms <= atMs && isOfRule(ms);
    if (schedule.kind === "cron" && runs.some(isPutBack) && isOfRule(atMs)) return true;
    if (!hasFailed || firstMs === null) return false;
    if (schedule.kind === "cron") return wentBack && isOfRule(atMs);
    if (schedule.kind !== "interval") return false;
    const served = runs.filter((run) => run.trigger === "schedule").map((run) => run.scheduledAtMs ?? 0);
    return served.some((ms) => ms <= atMs && (atMs - ms) % (schedule.minutes * 60_000) === 0);
  });
}

/** Whether somebody wrote the rule that the job had already, or ended a pause so that the rule begins anew. */
function isRewritten({ spans }: JobStory): boolean {
  return spans.some(
    ({ schedule, resumedAtMs }, index) =>
      resumedAtMs === null && JSON.stringify(schedule) === JSON.stringify(spans[index - 1]?.schedule),
  );
}

/** How many runs may be open at once that count for this job. */
interface Bound {
  readonly name: string;
  readonly max: number;
  counts(home: string, jobId: string): boolean;
}

function boundsOf({ scenario }: World, home: string, jobId: string): readonly Bound[] {
  const { bounds } = scenario;
  const max = scenario.homes.find((one) => one.name === home)?.parallelMax ?? 0;
  const ofHome: Bound = { name: "the home's limit", max, counts: (other) => other === home };
  if (bounds === undefined) return [ofHome];
  const ofHost: Bound = { name: "the host's limit", max: bounds.openRuns, counts: () => true };
  if (bounds.tagged === null || !isTagged(jobId)) return [ofHome, ofHost];
  return [ofHome, ofHost, { name: "the tag's limit", max: bounds.tagged, counts: (_, other) => isTagged(other) }];
}

/** Whether as many runs are open as may be beside this job, or runs have ended just now. */
function isFull(world: World, home: string, jobId: string, runs: readonly Run[]): boolean {
  const { ledger, clock } = world;
  const lately = ledger
    .runs({ limit: 0 })
    .filter((run) => run.endedAtMs === null || clock.nowMs() - run.endedAtMs < 1000);
  return (
    runs.every((run) => run.endedAtMs !== null) &&
    boundsOf(world, home, jobId).some(
      (bound) => lately.filter((run) => bound.counts(run.home, run.jobId)).length >= bound.max,
    )
  );
}

function checkLine({ report }: World, name: string, line: LedgerSlot | undefined, runs: readonly Run[]): void {
  if (line === undefined) {
    report("L1", `${name} has no line`);
  } else if (line.decision === "run" && line.runId !== null) {
    const run = runs.find((one) => one.id === line.runId);
    if (run === undefined || run.state === "void")
      report("L1", `${name} names run ${line.runId}, which is ${run?.state ?? "unknown"}`);
    if (run?.retry?.state === "started")
      report("L1", `${name} names run ${line.runId}, which was tried again as ${run.retry.runId}`);
  }
}

/** The job's own record says what the ledger says. */
function checkRecord(world: World, job: JobStory, runs: readonly Run[]): void {
  const { files, host, report } = world;
  const name = `job ${job.id} of ${job.home}`;
  const text = files.readText(`${pathOf(job.home)}/cron/jobs.json`);
  const record = storedJobs(world, job.home).get(job.id);
  if (record === undefined) {
    report("L8", `${name} is gone from the store`);
    return;
  }
  if (text.split(unknownField).length !== storedJobs(world, job.home).size + 1)
    report("L8", `${name} or another of its home lost its unknown fields`);
  const by = claimedBy(record);
  const isOpen = runs.some((run) => run.state === "claimed" || run.state === "running");
  if (by !== null && !isOpen && !job.isShared) report("rest", `${name} is still claimed by ${by}`);
  if (job.isShared || isOpen) return;

  // A power cut between the row of a claim and its record leaves a run that only the ledger tells of, where the record's instant has moved:
  // nobody can know that its gate never opened.
  const isUntold = (run: Run): boolean => run.reason === "superseded" && host.runs.get(run.id)?.started !== true;
  const counted = runs.filter((run) => isCounted(run) && !isUntold(run));
  const isOnce = job.planned.schedule.kind === "once";
  const completed = (record["repeat"] as { readonly completed?: number } | undefined)?.completed;
  const expected = counted.filter((run) => run.trigger === "schedule").length;
  if (completed !== expected && !isOnce)
    report("L4", `${name} says that it ran ${completed} times, the ledger has ${expected}`);
  const times = job.planned.repeatTimes;
  if (times !== null && expected > times) report("L4", `${name} ran ${expected} times of ${times}`);
  // What a request's claim came to in a record that it never got into, only the ledger tells.
  const told = counted.filter((run) => run.trigger !== "manual" || run.reason !== "superseded");
  const last = told.at(-1);
  const failed = last?.reason === "blocked_config" ? "blocked_config" : "error";
  const status = last === undefined ? null : last.state === "completed" ? "ok" : failed;
  if (record["last_status"] !== status)
    report("L4", `${name} says ${record["last_status"]}, but its last run ${last?.id} is ${last?.state ?? "none"}`);
  // An attempt is of a slot that has counted.
  const since = told.slice(told.findLastIndex((run) => run.state === "completed") + 1);
  const streak = since.filter((run) => run.trigger !== "retry").length;
  if (record["failure_streak"] !== streak)
    report("L4", `${name} counts ${record["failure_streak"]} failures in a row, the ledger has ${streak}`);
}

function storedJobs({ files }: World, home: string): ReadonlyMap<string, StoredRecord> {
  const { jobs } = JSON.parse(files.readText(`${pathOf(home)}/cron/jobs.json`)) as {
    readonly jobs: readonly StoredRecord[];
  };
  return new Map(jobs.map((job) => [String(job["id"]), job]));
}

function claimedBy(record: StoredRecord | undefined): string | null {
  const claim = record?.["fire_claim"] as { readonly by?: string } | null | undefined;
  return claim?.by ?? null;
}
