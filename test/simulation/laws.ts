import type { Run } from "../../src/core/run.ts";
import type { FakeEnd, FakeProcess, FakeRun } from "../helpers/fake-processes.ts";
import type { DaemonLife } from "./daemon-life.ts";
import { pathOf, type World } from "./simulate.ts";
import { type ExpectedJob, unknownField } from "./story.ts";

/** L3: behind an opened gate stand a row of the ledger and a claim in the store, both made before. */
export function checkGate({ ledger, files, report }: World, run: FakeRun): void {
  const row = ledger.run(run.id);
  if (row === null || (row.state !== "claimed" && row.state !== "running")) {
    report("L3", `run ${run.id} starts while the ledger says ${row?.state ?? "nothing"}`);
    return;
  }
  const record = storedJobs(files.readText(`${pathOf(row.home)}/cron/jobs.json`)).get(row.jobId);
  if (claimedBy(record) !== row.owner)
    report("L3", `run ${run.id} starts while its job is claimed by ${claimedBy(record)}`);
}

/** L2: nothing of an earlier run of the job is alive. */
export function checkStart({ host, report }: World, run: FakeRun): void {
  for (const process of host.processes.values()) {
    const other = process.run;
    if (other === null || other === run || other.order === null || run.order === null) continue;
    if (other.order.home !== run.order.home || other.order.jobId !== run.order.jobId) continue;
    report(
      "L2",
      `run ${run.id} of ${run.order.jobId} starts while ${process.name} ${process.pid} of ${other.id} lives`,
    );
  }
}

/** L5: whoever gets a signal is of a run that a daemon keeps. */
export function checkSignal({ report }: World, process: FakeProcess, signal: string, by: number): void {
  if (process.run === null) report("L5", `process ${process.pid} (${process.name}) got ${signal} from ${by}`);
}

/** What has to hold after a quiet time with the daemon up. */
export function checkEnd(world: World, daemon: DaemonLife): void {
  const { ledger, clock, report } = world;
  for (const name of daemon.degraded()) report("rest", `home ${name} is not served at the end`);
  const runs = ledger.runs({ limit: 0 });
  for (const run of runs) checkRun(world, run);
  const ended = new Map(runs.map((run) => [run.id, run]));
  for (const real of world.host.runs.values()) {
    if (real.started && !ended.has(real.id)) report("L3", `run ${real.id} ran and the ledger does not know it`);
  }
  // An instant of the last moments may still be on its way.
  for (const job of world.story.expected(clock.nowMs() - 15_000)) checkJob(world, job, runs);
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
      return;
    case "failed":
      checkFailed(world, run, real, name);
      return;
  }
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
      if (real.signals === 0) report("L4", `${name} was stopped (${run.reason}), but no signal reached it`);
      return;
    default:
      report("L4", `${name} failed for the reason ${run.reason}, which nothing here gives`);
  }
}

function isCode(end: FakeEnd | null, code: number): boolean {
  return end !== null && "code" in end && end.code === code;
}

function checkJob({ ledger, files, report }: World, job: ExpectedJob, runs: readonly Run[]): void {
  const name = `job ${job.id} of ${job.home}`;
  const text = files.readText(`${pathOf(job.home)}/cron/jobs.json`);
  const record = storedJobs(text).get(job.id);
  if (!text.includes(unknownField)) report("L8", `${name} lost its unknown fields`);
  const own = runs.filter((run) => run.home === job.home && run.jobId === job.id);
  const counted = own.filter((run) => run.state === "completed" || run.state === "failed");
  const by = claimedBy(record);
  if (by !== null && !own.some((run) => run.owner === by && (run.state === "claimed" || run.state === "running")))
    report("rest", `${name} is still claimed by ${by}`);

  const lines = new Map(
    ledger.slots({ home: job.home, jobId: job.id, limit: 0 }).map((line) => [line.scheduledAtMs, line]),
  );
  const times = job.planned.repeatTimes;
  const isUsedUp = times !== null && counted.length >= times;
  if (times !== null && counted.length > times) report("repeat", `${name} ran ${counted.length} times of ${times}`);
  const lastEndMs = isUsedUp ? Math.max(...counted.map((run) => run.claimedAtMs)) : Number.POSITIVE_INFINITY;
  for (const atMs of job.instants) {
    if (atMs > lastEndMs) break;
    const line = lines.get(atMs);
    const at = new Date(atMs).toISOString();
    if (line === undefined) report("L1", `${name}: ${at} has no line`);
    else if (line.decision === "pending") report("L1", `${name}: ${at} is still pending (${line.reason})`);
    else if (line.decision === "run" && line.runId !== null) {
      const run = own.find((one) => one.id === line.runId);
      if (run === undefined || run.state === "void")
        report("L1", `${name}: ${at} names run ${line.runId}, which is ${run?.state ?? "unknown"}`);
    }
  }
  const known = new Set(job.instants);
  for (const [atMs] of lines) {
    const lastMs = job.instants.at(-1) ?? 0;
    if (!known.has(atMs) && atMs <= lastMs)
      report("L1", `${name}: ${new Date(atMs).toISOString()} has a line and never was`);
  }
  const served = new Map<number, string>();
  for (const run of counted) {
    if (run.scheduledAtMs === null || run.trigger !== "schedule") continue;
    const before = served.get(run.scheduledAtMs);
    if (before !== undefined) report("L1", `${name}: runs ${before} and ${run.id} served one instant`);
    served.set(run.scheduledAtMs, run.id);
  }
}

type Record_ = Readonly<Record<string, unknown>>;

function storedJobs(text: string): ReadonlyMap<string, Record_> {
  const { jobs } = JSON.parse(text) as { readonly jobs: readonly Record_[] };
  return new Map(jobs.map((job) => [String(job["id"]), job]));
}

function claimedBy(record: Record_ | undefined): string | null {
  const claim = record?.["fire_claim"] as { readonly by?: string } | null | undefined;
  return claim?.by ?? null;
}
