import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { Run } from "../../src/core/run.ts";
import type { PlannedRetry } from "../../src/ledger/attempts.ts";
import { createRunLedger, type RunEnd, type RunLedger } from "../../src/ledger/run-ledger.ts";
import type { Files } from "../../src/system/files.ts";
import { claimedRun, completed, slot } from "../cli/cli-home.ts";

let folder: string;
const opened: RunLedger[] = [];

const system = {
  files: {
    stat: (path: string) => (existsSync(path) ? { sizeBytes: statSync(path).size } : null),
    create: (path: string, bytes: string, mode: number) => writeFileSync(path, bytes, { mode, flag: "wx" }),
  } as unknown as Files,
};

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "retention-"));
});

afterEach(() => {
  for (const ledger of opened.splice(0)) ledger.dispose();
  rmSync(folder, { recursive: true });
});

function open(): RunLedger {
  const ledger = createRunLedger(system, join(folder, "supervisor.db"));
  opened.push(ledger);
  return ledger;
}

const dayMs = Date.UTC(2026, 0, 5) + 0.001;

/** Runs of a job claimed a second apart, all of them over and settled. */
function fill(ledger: RunLedger, ids: readonly string[], changes: Partial<Run> = {}, end: Partial<RunEnd> = {}): void {
  ledger.transaction(() => {
    ledger.claim(
      ids.map((id, index) =>
        claimedRun(id, "a", "job a", { claimedAtMs: dayMs + 1000 * index, owner: `o:${id}`, ...changes }),
      ),
    );
    for (const id of ids) ledger.start(id, dayMs + 8e6);
    for (const id of ids) ledger.close(id, completed({ endedAtMs: dayMs + 9e6, ...end }));
    ledger.settled(ids);
  });
}

test("only runs that are over, settled, delivered and asked for by nobody are too old", () => {
  const ledger = open();
  fill(ledger, ["over", "unsettled", "undelivered", "delivered", "last"]);
  ledger.claim([claimedRun("open", "a", "job a", { claimedAtMs: dayMs + 1, owner: "o:open" })]);
  fill(ledger, [], {});
  // The end of a run leaves a note until its job's record tells of it.
  ledger.claim([claimedRun("fresh", "a", "job a", { claimedAtMs: dayMs + 2, owner: "o:fresh" })]);
  ledger.start("fresh", dayMs + 3);
  ledger.close("fresh", completed());
  for (const runId of ["undelivered", "delivered"]) {
    ledger.queueDelivery({
      runId,
      home: "default",
      jobId: "a",
      target: "telegram:1",
      record: "{}",
      content: "Done",
      isBare: false,
      forFailure: false,
      incident: null,
      queuedAtMs: dayMs,
    });
  }
  ledger.setDeliveryRecorded("delivered");
  const old = (): readonly string[] => ledger.runsClaimedBefore(dayMs + 3999, 10);
  expect(old()).toEqual(["over", "unsettled", "delivered"]);
  expect(ledger.runsClaimedBefore(dayMs + 3999, 2)).toEqual(["over", "unsettled"]);
  expect(ledger.withIdleOutput(["open", "fresh", "undelivered", "delivered"])).toEqual(["delivered"]);
  // What became needed between the look and the deletion stays.
  ledger.forgetRuns(["over", "delivered", "open", "fresh", "undelivered"]);
  expect(old()).toEqual(["unsettled"]);
  expect(ledger.runs({ limit: 0 }).map(({ id }) => id)).toEqual(["last", "undelivered", "unsettled", "fresh", "open"]);
  expect([ledger.delivery("delivered"), ledger.delivery("undelivered")?.state]).toEqual([null, "pending"]);
});

function waitingRetry(runId: string): PlannedRetry {
  return {
    runId,
    home: "default",
    jobId: "a",
    attempt: 2,
    scheduledAtMs: dayMs,
    failedAtMs: dayMs,
    dueAtMs: dayMs + 1,
    editKey: "",
    state: "waiting",
    reason: null,
  };
}

test("a run stays while another attempt is to follow it or runs, and its retry goes with it", () => {
  const ledger = open();
  fill(ledger, ["waits", "runs", "over"]);
  ledger.claim([claimedRun("second", "a", "job a", { claimedAtMs: dayMs + 1e9, owner: "o:second" })]);
  ledger.planRetry(waitingRetry("over"));
  ledger.endRetry("over", "edited");
  ledger.planRetry(waitingRetry("runs"));
  ledger.startRetry("runs", "second");
  ledger.planRetry(waitingRetry("waits"));
  expect(ledger.runsClaimedBefore(dayMs + 1e8, 9)).toEqual(["over"]);
  ledger.forgetRuns(["waits", "runs", "over"]);
  expect(["waits", "runs", "over"].map((runId) => ledger.retry(runId)?.state)).toEqual([
    "waiting",
    "started",
    undefined,
  ]);
});

test("planRetry() ends what an earlier run of the job waits for, and leaves every other one", () => {
  const ledger = open();
  fill(ledger, ["earlier", "later", "last"]);
  for (const [runId, more] of [
    ["earlier", {}],
    ["elsewhere", { home: "work" }],
    ["other", { jobId: "b" }],
    ["later", {}],
    ["last", { state: "given_up", dueAtMs: null, reason: "used_up" }],
    ["later", {}],
  ] as const) {
    ledger.planRetry({ ...waitingRetry(runId), ...more });
  }
  const told = ["earlier", "elsewhere", "other", "later", "last"].map((runId) => ledger.retry(runId));
  expect(told.map((retry) => `${retry?.state} ${retry?.reason}`)).toEqual([
    "given_up ran_since",
    "waiting null",
    "waiting null",
    "waiting null",
    "given_up used_up",
  ]);
  expect([...ledger.waitingRetries("default").values()].map(({ runId }) => runId)).toEqual(["later", "other"]);
});

test("of one job in one home the newest runs are kept, whatever stands beside them", () => {
  const ledger = open();
  fill(ledger, ["a0", "a1", "a2", "a3", "a4"]);
  fill(ledger, ["b0", "b1"], { jobId: "b" });
  fill(ledger, ["w0", "w1", "w2"], { home: "work" });
  const job = { home: "default", jobId: "a" };
  expect(ledger.runsBeyond(job, 2, 10)).toEqual(["a0", "a1", "a2"]);
  expect(ledger.runsBeyond(job, 2, 1)).toEqual(["a0"]);
  expect(ledger.runsBeyond(job, 5, 10)).toEqual([]);
  expect(ledger.runsBeyond({ home: "work", jobId: "a" }, 2, 10)).toEqual(["w0"]);
  ledger.noteRunsKeptFrom(job, dayMs + 2000);
  ledger.noteRunsKeptFrom(job, dayMs + 1000);
  expect(ledger.runsKeptFromMs()).toEqual(new Map([["default/a", dayMs + 2000]]));
});

test("jobs that got runs are told page by page, each once", () => {
  const ledger = open();
  fill(ledger, ["a0", "a1"]);
  fill(ledger, ["b0"], { jobId: "b" });
  expect(ledger.jobsBehind(0, 2)).toEqual({ seq: 2, jobs: [{ home: "default", jobId: "a" }] });
  expect(ledger.jobsBehind(2, 2)).toEqual({ seq: 3, jobs: [{ home: "default", jobId: "b" }] });
  expect(ledger.jobsBehind(3, 2)).toBe(null);
  expect(ledger.lastSeq()).toBe(3);
});

test("output is told from the newest run on, and a run outlives it", () => {
  const ledger = open();
  fill(ledger, ["a0", "a1", "a2"], {}, { outputBytes: 7, outputPath: "/o" });
  expect(ledger.outputsBefore(4, 2)).toEqual({
    seq: 2,
    outputs: [
      { runId: "a2", bytes: 7 },
      { runId: "a1", bytes: 7 },
    ],
  });
  ledger.forgetOutputs(["a0"]);
  expect(ledger.outputsBefore(2, 2)).toEqual({ seq: 1, outputs: [] });
  expect(ledger.outputsBefore(1, 2)).toBe(null);
  expect(ledger.run("a0")).toMatchObject({ state: "completed", outputBytes: 7, outputPath: null });
});

test("lines that are still to become another stay, and no more than asked for go at once", () => {
  const ledger = open();
  const decided = [0, 1, 2, 3].map((index) =>
    slot("a", { decision: "skip", reason: "overlap" }, { scheduledAtMs: dayMs + index }),
  );
  ledger.writeSlots("default", [
    ...decided,
    slot("b", { decision: "pending", reason: "estop" }, { scheduledAtMs: dayMs }),
  ]);
  const [{ decidedAtMs } = { decidedAtMs: 0 }] = decided;
  // Written a moment ago, of whatever instant.
  expect(ledger.deleteSlots(dayMs + 3, decidedAtMs, 2)).toBe(0);
  expect(ledger.deleteSlots(dayMs + 3, decidedAtMs + 1, 2)).toBe(2);
  expect(ledger.deleteSlots(dayMs + 3, decidedAtMs + 1, 2)).toBe(1);
  expect(ledger.deleteSlots(dayMs + 3, decidedAtMs + 1, 2)).toBe(0);
  expect(ledger.slots({ limit: 0 }).map(({ decision }) => decision)).toEqual(["skip", "pending"]);
});

test("an instant whose run was deleted stays served", () => {
  const ledger = open();
  fill(ledger, ["a0"]);
  ledger.writeSlots("default", [
    slot("a", { decision: "run", reason: "on_time" }, { scheduledAtMs: dayMs, runId: "a0" }),
  ]);
  ledger.forgetRuns(["a0"]);
  expect(ledger.isServed("default", "a", dayMs)).toBe(true);
});

test("what rows took is given back in pieces, and the file shrinks", () => {
  const ledger = open();
  expect(ledger.oldestReachMs()).toBe(null);
  const ids = Array.from({ length: 3000 }, (_, index) => `run-${index}`);
  fill(ledger, ids, {}, { error: "x".repeat(500) });
  expect(ledger.oldestReachMs()).toBe(dayMs + 499_000);
  const used = ledger.usedBytes();
  ledger.transaction(() => ledger.forgetRuns(ids));
  expect(ledger.usedBytes()).toBeLessThan(used / 4);
  const free = ledger.freePages();
  expect(free).toBeGreaterThan(5 * 32);
  ledger.vacuum(32);
  expect(ledger.freePages()).toBe(free - 32);
  while (ledger.freePages() > 0) ledger.vacuum(32);
  ledger.dispose();
  opened.length = 0;
  expect(statSync(join(folder, "supervisor.db")).size).toBeLessThan(used / 2);
});
