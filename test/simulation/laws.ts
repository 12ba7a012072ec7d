import type { Run } from "../../src/core/run.ts";
import type { LedgerSlot } from "../../src/ledger/slots.ts";
import type { FakeEnd, FakeProcess, FakeRun } from "../helpers/fake-processes.ts";
import type { DaemonLife } from "./daemon-life.ts";
import { pathOf, type World } from "./simulate.ts";
import { type JobStory, type StoredRecord, unknownField } from "./story.ts";

/** An instant of the last moments may still be on its way. */
const onTheWayMs = 15_000;

/** L3: behind an opened gate stand a row of the ledger and a claim in the store, both made before. */
export function checkGate(world: World, run: FakeRun): void {
  const row = world.ledger.run(run.id);
  if (row === null || (row.state !== "claimed" && row.state !== "running")) {
    world.report("L3", `run ${run.id} starts while the ledger says ${row?.state ?? "nothing"}`);
    return;
  }
  const record = storedJobs(world, row.home).get(row.jobId);
  if (claimedBy(record) !== row.owner)
    world.report("L3", `run ${run.id} starts while its job is claimed by ${claimedBy(record)}`);
}

/** L2: nothing of an earlier run of the job is alive. */
export function checkStart({ host, gateways, ledger, report }: World, run: FakeRun): void {
  if (run.order === null) return;
  const { jobId, home } = run.order;
  for (const process of host.processes.values()) {
    const other = process.run;
    if (other === null || other === run || other.order?.home !== home || other.order.jobId !== jobId) continue;
    report("L2", `run ${run.id} of ${jobId} starts while ${process.name} ${process.pid} of ${other.id} lives`);
  }
  if (gateways.has(`${ledger.run(run.id)?.home}/${jobId}`))
    report("L2", `run ${run.id} of ${jobId} starts while a gateway runs the job`);
}

/** L5: whoever gets a signal is of a run that a daemon keeps. */
export function checkSignal({ report }: World, process: FakeProcess, signal: string, by: number): void {
  if (process.run === null) report("L5", `process ${process.pid} (${process.name}) got ${signal} from ${by}`);
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
  const runs = ledger.runs({ limit: 0 });
  for (const run of runs) checkRun(world, run);
  const ids = new Set(runs.map((run) => run.id));
  for (const real of world.host.runs.values()) {
    if (real.started && !ids.has(real.id)) report("L3", `run ${real.id} ran and the ledger does not know it`);
  }
  for (const job of world.story.jobs) {
    const own = runs.filter((run) => run.home === job.home && run.jobId === job.id).toReversed();
    checkSlots(world, job, own);
    if (!job.isGone) checkRecord(world, job, own);
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
      if (real.processes.size === 0 && clock.nowMs() - run.claimedAtMs > 5000)
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
  if (real.processes.size > 0)
    report("L2", `${name} is ${run.state}, but ${[...real.processes].map((one) => one.name).join(", ")} of it lives`);
}

function checkFailed({ report }: World, run: Run, real: FakeRun, name: string): void {
  const seen = JSON.stringify(real.end);
  switch (run.reason) {
    case "exit":
      if (!isCode(real.end, run.exitCode ?? -1))
        report("L4", `${name} failed with ${run.exitCode}, but ended with ${seen}`);
      return;
    case "signal":
      if (real.end === null || !("signal" in real.end) || real.end.signal !== run.signal)
        report("L4", `${name} was ended by ${run.signal}, but ended with ${seen}`);
      return;
    case "orphaned":
      if (real.exitWritten && real.signals === 0)
        report("L4", `${name} is orphaned, but its end ${seen} was on the disk and nobody had stopped it`);
      return;
    case "timeout":
    case "stopped":
      if (real.signals === 0 && real.started)
        report("L4", `${name} was stopped (${run.reason}), but no signal reached it`);
      return;
    default:
      report("L4", `${name} failed for the reason ${run.reason}, which nothing here gives`);
  }
}

function isCode(end: FakeEnd | null, code: number): boolean {
  return end !== null && "code" in end && end.code === code;
}

function isCounted(run: Run): boolean {
  return run.state === "completed" || run.state === "failed";
}

/** L1: one final line for each instant, and none for what never was one. */
function checkSlots(world: World, job: JobStory, runs: readonly Run[]): void {
  const { ledger, story, clock, report } = world;
  const name = `job ${job.id} of ${job.home}`;
  const lines = new Map(
    ledger.slots({ home: job.home, jobId: job.id, limit: 0 }).map((line) => [line.scheduledAtMs, line]),
  );
  const scheduled = runs.filter((run) => isCounted(run) && run.trigger === "schedule");
  const times = job.planned.repeatTimes;
  const doneMs =
    times !== null && scheduled.length >= times
      ? Math.max(...scheduled.map((run) => run.claimedAtMs))
      : Number.POSITIVE_INFINITY;
  for (const span of job.spans) {
    const untilMs = Math.min(doneMs, clock.nowMs() - onTheWayMs);
    const instants = span.endMs === null ? story.instantsOf(span, untilMs) : span.known;
    for (const atMs of instants) checkLine(world, `${name}: ${new Date(atMs).toISOString()}`, lines.get(atMs), runs);
  }
  for (const [atMs, line] of lines) {
    const at = new Date(atMs).toISOString();
    const mayWait = line.decision === "pending" && line.reason === "capacity" && isFull(world, job.home, runs);
    if (line.decision === "pending" && atMs < clock.nowMs() - onTheWayMs && !mayWait)
      report("L1", `${name}: ${at} is still pending (${line.reason})`);
    if (!job.spans.some((span) => story.isNamed(span, atMs))) report("L1", `${name}: ${at} has a line and never was`);
  }
  const served = new Map<number, string>();
  for (const run of scheduled) {
    if (run.scheduledAtMs === null) continue;
    const before = served.get(run.scheduledAtMs);
    if (before !== undefined) report("L1", `${name}: runs ${before} and ${run.id} served one instant`);
    served.set(run.scheduledAtMs, run.id);
  }
}

/** Whether as many runs of the home are open as it allows, or runs have ended just now. */
function isFull({ ledger, scenario, clock }: World, home: string, runs: readonly Run[]): boolean {
  const max = scenario.homes.find((one) => one.name === home)?.parallelMax ?? 0;
  const lately = ledger
    .runs({ home, limit: 0 })
    .filter((run) => run.endedAtMs === null || clock.nowMs() - run.endedAtMs < 1000);
  return runs.every((run) => run.endedAtMs !== null) && lately.length >= max;
}

function checkLine({ report }: World, name: string, line: LedgerSlot | undefined, runs: readonly Run[]): void {
  if (line === undefined) {
    report("L1", `${name} has no line`);
  } else if (line.decision === "run" && line.runId !== null) {
    const run = runs.find((one) => one.id === line.runId);
    if (run === undefined || run.state === "void")
      report("L1", `${name} names run ${line.runId}, which is ${run?.state ?? "unknown"}`);
  }
}

/** The job's own record says what the ledger says. */
function checkRecord(world: World, job: JobStory, runs: readonly Run[]): void {
  const { files, report } = world;
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

  const counted = runs.filter(isCounted);
  const isOnce = job.planned.schedule.kind === "once";
  const completed = (record["repeat"] as { readonly completed?: number } | undefined)?.completed;
  const expected = counted.filter((run) => run.trigger === "schedule").length;
  if (completed !== expected && !isOnce)
    report("L4", `${name} says that it ran ${completed} times, the ledger has ${expected}`);
  const times = job.planned.repeatTimes;
  if (times !== null && expected > times) report("L4", `${name} ran ${expected} times of ${times}`);
  const last = counted.at(-1);
  const status = last === undefined ? null : last.state === "completed" ? "ok" : "error";
  if (record["last_status"] !== status)
    report("L4", `${name} says ${record["last_status"]}, but its last run ${last?.id} is ${last?.state ?? "none"}`);
  const streak = counted.length - 1 - counted.findLastIndex((run) => run.state === "completed");
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
