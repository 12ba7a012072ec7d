import { expect, test } from "vitest";
import type { Condition } from "../../src/core/alerts.ts";
import type { Job } from "../../src/core/job.ts";
import { healthAfterRun, type JobHealth, suspectJobs } from "../../src/core/job-health.ts";
import type { Run } from "../../src/core/run.ts";
import { allAtOnce } from "../../src/core/work.ts";
import { findConditions as conditionsOf } from "../../src/status/conditions.ts";
import { healthOf } from "../../src/status/health.ts";
import { type HomeView, idleRetention, type StatusView } from "../../src/status/view.ts";
import { at, sampleJob, stored, utc } from "../helpers/sample-job.ts";
import { sampleRun } from "../helpers/sample-run.ts";

const findConditions = (seen: StatusView): readonly Condition[] => allAtOnce(conditionsOf(seen));

const file = {
  path: "/config.yaml",
  error: null,
  line: null,
  column: null,
  snippet: null,
  errorSinceMs: null,
  contentHash: null,
  generation: 1,
  inForceSinceMs: null,
};

function home(more: Partial<HomeView> = {}): HomeView {
  return {
    name: "default",
    path: "/home",
    state: "active",
    reason: null,
    jobs: [],
    strays: [],
    diskShortage: null,
    zone: utc,
    runsMax: 4,
    waiting: 0,
    tickLock: { held: false, holderPid: null, sinceMs: null },
    configError: null,
    configFile: file,
    configWarnings: [],
    hermes: null,
    held: [],
    bounds: [],
    tagsOf: () => [],
    owedSince: new Map(),
    retries: new Map(),
    waitsFor: new Map(),
    ...more,
  };
}

function view(nowMs: number, homes: readonly HomeView[], more: Partial<StatusView> = {}): StatusView {
  return {
    nowMs,
    daemon: { running: true, pid: 1, version: "1", startedAtMs: 0, ready: true },
    homes,
    openRuns: [],
    tagsOfRun: () => [],
    hostBounds: [],
    requests: [],
    orphanedRuns: [],
    replacedRuns: [],
    missedSlots: [],
    lives: [],
    portFault: null,
    retention: idleRetention,
    deliveries: [],
    hostConfig: file,
    ...more,
  };
}

const told = (seen: StatusView): readonly string[] =>
  findConditions(seen).map(({ kind, message }) => `${kind}: ${message}`);

const cron = (expression: string, more: Partial<Job> = {}): Job =>
  sampleJob({ schedule: { kind: "cron", expression }, scheduleText: expression, ...more });

// A job is overdue when it is later than its grace: one period, from two minutes to two hours.
test.for([
  ["* * * * *", "10:02:00", false],
  ["* * * * *", "10:02:01", true],
  ["*/5 * * * *", "10:05:00", false],
  ["*/5 * * * *", "10:05:01", true],
  ["0 * * * *", "10:59:00", false],
  ["0 * * * *", "11:01:00", true],
  ["0 10 * * *", "11:59:00", false],
  ["0 10 * * *", "12:01:00", true],
] as const)("a job of %s that was due at 10:00 is overdue at %s: %s", ([expression, clock, overdue]) => {
  const conditions = findConditions(view(at(clock), [home({ jobs: [cron(expression)] })]));
  expect([conditions.map(({ kind }) => kind), healthOf(conditions).ok]).toEqual([
    overdue ? ["job_overdue"] : [],
    !overdue,
  ]);
});

test("a job is not overdue while it runs, is disabled or cannot be run at all, and says why it waits", () => {
  const open: Run = { ...sampleRun("r", "default", "a1"), state: "running" };
  const late = at("10:30:00");
  expect(told(view(late, [home({ jobs: [sampleJob()] })], { openRuns: [open] }))).toEqual([]);
  expect(told(view(late, [home({ jobs: [sampleJob({ enabled: false })] })]))).toEqual([]);
  expect(told(view(late, [home({ jobs: [sampleJob({ fault: "no schedule" })] })]))).toEqual([
    "job_invalid: no schedule",
  ]);
  expect(told(view(late, [home({ jobs: [sampleJob()], state: "paused", reason: "estop" })]))).toEqual([
    'job_overdue: Job "sample" was due 30 min ago and has not run: its home is paused (estop)',
  ]);
});

test("a job whose last run its configuration kept from beginning has failed, too", () => {
  const blocked = sampleJob({
    nextRunAt: stored(at("12:00:00")),
    lastStatus: "blocked_config",
    lastError: "No Hermes",
  });
  expect(told(view(at("11:00:00"), [home({ jobs: [blocked] })]))).toEqual([
    'run_failed: Job "sample" failed: No Hermes',
  ]);
});

test("health is green on a job that failed, an orphan or a missed slot, and red on what keeps jobs from running", () => {
  const failed = sampleJob({ nextRunAt: stored(at("12:00:00")), lastStatus: "error", lastError: "exit 1" });
  const now = at("11:00:00");
  const mild = view(now, [home({ jobs: [failed] })], {
    missedSlots: [{ home: "default", jobId: "a1", scheduledAtMs: at("09:00:00") }],
    hostConfig: { ...file, error: "no config" },
  });
  expect([told(mild), healthOf(findConditions(mild))]).toEqual([
    [
      "config_invalid: no config",
      'run_failed: Job "sample" failed: exit 1',
      "slot_missed: The slot of 2026-06-15T09:00:00.000Z was missed",
    ],
    { ok: true, reasons: [] },
  ]);
  const held = { held: true, holderPid: 7, sinceMs: now - 60_000 };
  expect(healthOf(findConditions(view(now, [home({ tickLock: held })])))).toEqual({
    ok: false,
    reasons: ["The tick lock has been held by process 7 for 60 s"],
  });
  expect(healthOf(findConditions(view(now, [home({ state: "degraded", reason: "no file" })])))).toEqual({
    ok: false,
    reasons: ["no file"],
  });
});

test("a job that was held back is one condition until it has run well", () => {
  const job = sampleJob({ nextRunAt: stored(at("12:00:00")) });
  const guard = { failures: 3, pauseMs: 60_000, pauseMsMax: 3_600_000 };
  const policy = { streakPause: null, crashLoop: guard };
  const end = { reason: "exit", startedAtMs: at("11:00:00"), endedAtMs: at("11:00:00"), isTriedAgain: false } as const;
  let health: JobHealth | undefined;
  for (const id of ["r1", "r2", "r3"]) {
    health = healthAfterRun(health, { id, trigger: "schedule" }, job, { ...end, success: false }, policy) ?? undefined;
  }
  const toldAt = (clock: string, held: Job, known: JobHealth | null | undefined): readonly string[] => {
    const all = new Map(known == null ? [] : [[held.id, known] as const]);
    return told(view(at(clock), [home({ jobs: [held], held: suspectJobs([held], all, () => guard, at(clock)) })]));
  };
  const why = "it failed 3 times in a row within a second; edit it, or run it by hand once it works";
  const over = healthAfterRun(health, { id: "r4", trigger: "schedule" }, job, { ...end, success: true }, policy);
  expect([
    toldAt("11:00:30", job, health),
    toldAt("11:01:30", job, health),
    toldAt("11:01:30", { ...job, enabled: false }, health),
    toldAt("11:01:30", job, over),
  ]).toEqual([
    [`crash_loop: Job "sample" is held back until 2026-06-15T11:01:00.000Z: ${why}`],
    [`crash_loop: Job "sample" was held back, and is tried again at its next time: ${why}`],
    [],
    [],
  ]);
});

test("an orphan is told apart from a failure, and a failure before or after it from the orphan", () => {
  const orphan: Run = {
    ...sampleRun("r", "default", "a1"),
    state: "failed",
    reason: "orphaned",
    endedAtMs: at("09:00:00"),
  };
  // Its job was taken over, so that the record does not tell of it.
  const newer: Run = { ...orphan, id: "s", endedAtMs: at("10:30:00") };
  const kindAt = (clock: string): readonly string[] => {
    const job = sampleJob({
      nextRunAt: stored(at("12:00:00")),
      lastStatus: "error",
      lastError: "x",
      lastRunAt: stored(at(clock)),
    });
    return findConditions(view(at("11:00:00"), [home({ jobs: [job] })], { orphanedRuns: [newer, orphan] })).map(
      ({ kind }) => kind,
    );
  };
  expect(["08:00:00", "09:00:00", "10:00:00"].map(kindAt)).toEqual([["run_failed"], ["run_orphaned"], ["run_failed"]]);
});

test("a run that made way for its job's next one leaves what was so before it", () => {
  const run = (state: Run["state"], reason: Run["reason"], clock: string): Run => ({
    ...sampleRun(`r${clock}`, "default", "a1"),
    state,
    reason,
    error: state === "failed" ? `why ${reason}` : null,
    endedAtMs: at(clock),
  });
  const replaced = run("failed", "replaced", "09:00:00");
  const saidOf = (before: Run | null, clock = "09:00:00"): readonly string[] => {
    const failed = { lastStatus: "error", lastError: "the record's", lastRunAt: stored(at(clock)) };
    const jobs = [sampleJob({ nextRunAt: stored(at("12:00:00")), ...failed })];
    const orphanedRuns = before?.reason === "orphaned" ? [before] : [];
    return told(view(at("11:00:00"), [home({ jobs })], { orphanedRuns, replacedRuns: [{ run: replaced, before }] }));
  };
  expect(saidOf(null)).toEqual([]);
  expect(saidOf(run("completed", null, "08:00:00"))).toEqual([]);
  expect(saidOf(run("failed", "exit", "08:00:00"))).toEqual(['run_failed: Job "sample" failed: why exit']);
  expect(saidOf(run("failed", "orphaned", "08:00:00"))).toEqual(['run_orphaned: Job "sample" failed: why orphaned']);
  expect(saidOf(null, "09:30:00")).toEqual(['run_failed: Job "sample" failed: the record\'s']);
});

test("missed slots of a job are one condition, over an hour later if the job has run well since", () => {
  const missedSlots = ["08:00:00", "09:00:00", "09:30:00"].map((clock) => ({
    home: "default",
    jobId: "a1",
    scheduledAtMs: at(clock),
  }));
  const job = (more: Partial<Job>): Job => sampleJob({ nextRunAt: stored(at("12:00:00")), ...more });
  const ok = { lastStatus: "ok", lastRunAt: stored(at("09:40:00")) };
  const kinds = (clock: string, more: Partial<Job>): readonly string[] =>
    told(view(at(clock), [home({ jobs: [job(more)] })], { missedSlots }));
  const message = "slot_missed: The slot of 2026-06-15T09:30:00.000Z was missed, and 2 before it";
  expect([kinds("10:00:00", ok), kinds("10:31:00", ok), kinds("11:00:00", {})]).toEqual([[message], [], [message]]);
});

test("a full disk is one condition whatever room is left on it, and a port that is not open is one", () => {
  const full = (bytes: number): HomeView => home({ diskShortage: `The disk of "/state" has ${bytes} bytes free` });
  const keys = [1, 2].map((bytes) => findConditions(view(0, [full(bytes)])).map(({ kind, detail }) => [kind, detail]));
  expect(keys[0]).toEqual(keys[1]);
  expect(told(view(0, [], { portFault: "Cannot listen" }))).toEqual(["config_invalid: Cannot listen"]);
});

test("findConditions() finds in the same jobs what becomes overdue between two looks", () => {
  const fine = sampleJob({ id: "fine", nextRunAt: stored(at("10:00:00")) });
  const failed = sampleJob({ id: "failed", nextRunAt: null, lastStatus: "error", lastError: "no" });
  const homes = [home({ jobs: [fine, failed] })];
  const seenAt = (clock: string) => told(view(at(clock), homes)).map((text) => text.split(":")[0]);
  expect(seenAt("09:00:00")).toEqual(["run_failed"]);
  expect(seenAt("10:05:00")).toEqual(["run_failed"]);
  expect(seenAt("10:05:01")).toEqual(["job_overdue", "run_failed"]);
  expect(seenAt("09:00:00")).toEqual(["run_failed"]);
});
