import {
  existsSync,
  mkdtempSync,
  readdirSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { SlotCursor } from "../../src/core/plan-tick.ts";
import type { Run } from "../../src/core/run.ts";
import type { SlotDecision, SlotLine } from "../../src/core/slot.ts";
import { createRunLedger, type RunEnd, type RunLedger } from "../../src/ledger/run-ledger.ts";
import { ledgerVersion } from "../../src/ledger/schema.ts";
import type { Files } from "../../src/system/files.ts";

let folder: string;
let path: string;
const opened: RunLedger[] = [];

// The two calls that the ledger makes; everything else is SQLite's own work on a real file.
const system = {
  files: {
    stat: (wanted: string) => (existsSync(wanted) ? { sizeBytes: statSync(wanted).size } : null),
    create: (wanted: string, bytes: string, mode: number) => writeFileSync(wanted, bytes, { mode, flag: "wx" }),
  } as unknown as Files,
};

beforeEach(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), "ledger-")));
  path = join(folder, "supervisor.db");
});

afterEach(() => {
  for (const ledger of opened.splice(0)) ledger.dispose();
  rmSync(folder, { recursive: true });
});

function open(readOnly = false): RunLedger {
  const ledger = createRunLedger(system, path, { readOnly });
  opened.push(ledger);
  return ledger;
}

// An instant with microseconds, as Hermes stores them.
const dayMs = Date.UTC(2026, 0, 5) + 0.001;

function run(changes: Partial<Run> = {}): Run {
  return {
    id: "r1",
    home: "default",
    jobId: "aaaaaaaaaaaa",
    jobName: "nightly",
    kind: "script",
    trigger: "schedule",
    scheduledAtMs: dayMs,
    claimedAtMs: dayMs + 2.345,
    startedAtMs: null,
    endedAtMs: null,
    attempt: 1,
    state: "claimed",
    reason: null,
    exitCode: null,
    signal: null,
    fingerprint: { pid: 4242, startTicks: 1234567, bootId: "boot", pidNamespace: "4026531836" },
    owner: "host:4242:0123",
    adopted: false,
    error: null,
    outputBytes: null,
    outputPath: null,
    documentPath: null,
    ...changes,
  };
}

function end(changes: Partial<RunEnd> = {}): RunEnd {
  return {
    state: "completed",
    reason: null,
    exitCode: 0,
    signal: null,
    error: null,
    endedAtMs: dayMs + 1000,
    outputBytes: 12,
    outputPath: "/state/runs/r1/output.log",
    documentPath: "/home/cron/output/x.md",
    ...changes,
  };
}

function slot(decision: SlotDecision, changes: Partial<Omit<SlotLine, "decision" | "reason">> = {}): SlotLine {
  return {
    jobId: "j",
    scheduledAtMs: dayMs,
    runId: null,
    decidedAtMs: dayMs + 5,
    latenessMs: null,
    ...changes,
    ...decision,
  };
}

const cursor: SlotCursor = { nextAtMs: dayMs, scheduleText: "* * * * *", enabled: true, lastRunAtMs: null };

test("version() changes with what is written here or by another, and not with what is read", () => {
  const ledger = open();
  const other = open();
  const first = ledger.version();
  ledger.openRuns();
  expect(ledger.version()).toBe(first);
  ledger.setNote("key", "value");
  const second = ledger.version();
  expect(second).not.toBe(first);
  ledger.note("key");
  expect(ledger.version()).toBe(second);
  other.setNote("key", "another value");
  const third = ledger.version();
  expect(third).not.toBe(second);
  expect(ledger.version()).toBe(third);
});

test("createRunLedger() keeps every field of a run across a restart", () => {
  const first = open();
  first.claim([
    run(),
    run({ id: "r2", scheduledAtMs: null, fingerprint: { ...run().fingerprint, startTicks: null, pidNamespace: null } }),
  ]);
  first.start("r1", dayMs + 3);
  first.adopt("r1");
  expect(
    first.close(
      "r1",
      end({ state: "failed", reason: "signal", exitCode: null, signal: "SIGKILL", error: "Killed by SIGKILL" }),
    ),
  ).toBe(true);
  first.dispose();
  opened.length = 0;
  const second = open();
  expect(second.run("r1")).toEqual(
    run({
      state: "failed",
      reason: "signal",
      signal: "SIGKILL",
      error: "Killed by SIGKILL",
      startedAtMs: dayMs + 3,
      endedAtMs: dayMs + 1000,
      outputBytes: 12,
      outputPath: "/state/runs/r1/output.log",
      documentPath: "/home/cron/output/x.md",
      adopted: true,
    }),
  );
  expect(second.run("r2")?.scheduledAtMs).toBeNull();
  expect(second.run("r2")?.fingerprint).toEqual({ pid: 4242, startTicks: null, bootId: "boot", pidNamespace: null });
  expect(second.run("r3")).toBeNull();
});

test("close() lets the first cause win", () => {
  const ledger = open();
  ledger.claim([run()]);
  ledger.start("r1", dayMs);
  expect(ledger.close("r1", end({ state: "failed", reason: "timeout", error: "Ran longer than 5 s" }))).toBe(true);
  expect(ledger.close("r1", end())).toBe(false);
  expect(ledger.run("r1")).toMatchObject({ state: "failed", reason: "timeout", error: "Ran longer than 5 s" });
});

test("supersede() keeps the end of a run and says that its record was no longer its own", () => {
  const ledger = open();
  ledger.claim([run()]);
  ledger.supersede("r1");
  expect(ledger.run("r1")).toMatchObject({ state: "claimed", reason: null });
  ledger.start("r1", dayMs);
  ledger.close("r1", end({ state: "failed", reason: "exit", exitCode: 3 }));
  ledger.supersede("r1");
  expect(ledger.run("r1")).toMatchObject({ state: "failed", reason: "superseded", exitCode: 3 });
});

test("unsettledRuns() names ended runs of a home until their records are settled", () => {
  const ledger = open();
  const ids = ["r1", "r2", "r3", "r4", "r5"];
  ledger.claim(ids.map((id) => run({ id, owner: `host:${id}:aa`, home: id === "r4" ? "ops" : "default" })));
  for (const id of ["r1", "r2", "r4"]) {
    ledger.start(id, dayMs);
    ledger.close(id, end());
  }
  ledger.close("r5", end({ state: "void" }));
  const unsettled = (): readonly string[] => ledger.unsettledRuns("default").map(({ id }) => id);
  expect(unsettled()).toEqual(["r1", "r2"]);
  ledger.settled(["r1", "r4"]);
  expect(unsettled()).toEqual(["r2"]);
  expect(ledger.unsettledRuns("ops")).toEqual([]);
});

test("a clock that is set back lets no run start before its claim, or end before its start", () => {
  const ledger = open();
  ledger.claim([run({ claimedAtMs: dayMs + 10 })]);
  ledger.start("r1", dayMs + 2);
  expect(ledger.run("r1")?.startedAtMs).toBe(dayMs + 10);
  ledger.close("r1", end({ endedAtMs: dayMs + 5 }));
  expect(ledger.run("r1")?.endedAtMs).toBe(dayMs + 10);
});

test("claim(), start(), adopt() and close() refuse a move that no run makes", () => {
  const ledger = open();
  expect(() => ledger.claim([run({ id: "r0" }), run({ state: "running" })])).toThrow(
    'Cannot claim run "r1": it is running already',
  );
  expect(ledger.openRuns()).toEqual([]);
  ledger.claim([run()]);
  expect(() => ledger.close("r1", end())).toThrow(
    'Cannot complete run "r1": it is claimed, legal then are [start, adopt, void, fail]',
  );
  ledger.close("r1", end({ state: "void" }));
  const legal = "legal then are [void, complete, fail]";
  expect(() => ledger.start("r1", dayMs)).toThrow(`Cannot start run "r1": it is void, ${legal}`);
  expect(() => ledger.adopt("r1")).toThrow(`Cannot adopt run "r1": it is void, ${legal}`);
  expect(ledger.run("r1")).toMatchObject({ state: "void", startedAtMs: null, adopted: false });
  expect(() => ledger.start("r9", dayMs)).toThrow('Cannot change run "r9": the ledger has no such run');
});

test("addOutput() adds to an ended run and keeps what it does not name", () => {
  const ledger = open();
  ledger.claim([run()]);
  ledger.start("r1", dayMs);
  ledger.close("r1", end({ documentPath: null }));
  ledger.addOutput("r1", { outputBytes: null, outputPath: null, documentPath: "/late.md" });
  expect(ledger.run("r1")).toMatchObject({
    outputBytes: 12,
    outputPath: "/state/runs/r1/output.log",
    documentPath: "/late.md",
  });
});

test("transaction() keeps all of it or nothing", () => {
  const ledger = open();
  ledger.writeCursors("default", new Map([["j", cursor]]), []);
  expect(() =>
    ledger.transaction(() => {
      ledger.claim([run()]);
      ledger.writeSlots("default", [slot({ decision: "run", reason: "on_time" })]);
      ledger.writeCursors("default", new Map([["j", { ...cursor, nextAtMs: dayMs + 60_000 }]]), []);
      throw new Error("power cut");
    }),
  ).toThrow("power cut");
  expect([ledger.openRuns(), ledger.slots({ limit: 0 }), [...ledger.cursors("default")]]).toEqual([
    [],
    [],
    [["j", cursor]],
  ]);
  expect(ledger.transaction(() => ledger.transaction(() => 7))).toBe(7);
});

test("stage() keeps what it was given only when it is committed, once", () => {
  const ledger = open();
  const none = ledger.stage(() => ledger.claim([run({ id: "none" })]));
  none.rollback();
  none.commit();
  const kept = ledger.stage(() => ledger.claim([run({ id: "kept" })]));
  kept.commit();
  kept.rollback();
  expect(() =>
    ledger.stage(() => {
      ledger.claim([run({ id: "half" })]);
      throw new Error("refused");
    }),
  ).toThrow("refused");
  expect(ledger.openRuns().map(({ id }) => id)).toEqual(["kept"]);
  ledger.transaction(() => ledger.claim([run({ id: "later" })]));
  expect(ledger.openRuns().map(({ id }) => id)).toEqual(["kept", "later"]);
});

test("claim() refuses a second run with the same id and keeps none of the batch", () => {
  const ledger = open();
  expect(() => ledger.claim([run({ id: "r2" }), run(), run()])).toThrow("UNIQUE constraint failed: run.id");
  expect(ledger.openRuns()).toEqual([]);
});

test("openRuns() and runs() list what was asked for, in their order", () => {
  const ledger = open();
  const [a, b, c, d] = [
    run({ id: "a", claimedAtMs: dayMs }),
    run({ id: "b", claimedAtMs: dayMs }),
    run({ id: "c", claimedAtMs: dayMs + 60_000, home: "work", jobId: "bbbbbbbbbbbb" }),
    run({ id: "d", claimedAtMs: dayMs - 60_000 }),
  ];
  ledger.claim([a, b, c, d] as Run[]);
  ledger.start("b", dayMs);
  ledger.close("b", end());
  const cases = [
    [ledger.openRuns(), ["a", "c", "d"]],
    [ledger.openRuns("work"), ["c"]],
    [ledger.runs({ limit: 0 }), ["c", "b", "a", "d"]],
    [ledger.runs({ limit: 2 }), ["c", "b"]],
    [ledger.runs({ limit: 50, home: "default" }), ["b", "a", "d"]],
    [ledger.runs({ limit: 50, jobId: "bbbbbbbbbbbb" }), ["c"]],
    [ledger.runs({ limit: 50, state: "completed" }), ["b"]],
    [ledger.runs({ limit: 50, sinceMs: dayMs }), ["c", "b", "a"]],
    [ledger.runs({ limit: 50, sinceMs: dayMs, home: "default", state: "claimed" }), ["a"]],
  ] as const;
  for (const [found, ids] of cases) expect(found.map((each) => each.id)).toEqual(ids);
});

test("runsBeginning() takes the text as it is", () => {
  const ledger = open();
  ledger.claim(["ab1", "ab2", "a_1", "b"].map((id) => run({ id })));
  const cases = [
    ["ab", 10, ["ab1", "ab2"]],
    ["ab", 1, ["ab1"]],
    ["a_", 10, ["a_1"]],
    ["%", 10, []],
    ["b", 10, ["b"]],
  ] as const;
  for (const [beginning, limit, ids] of cases) {
    expect(ledger.runsBeginning(beginning, limit).map((each) => each.id)).toEqual(ids);
  }
});

test("writeSlots() keeps the first final line of an instant, with the exceptions it names", () => {
  const pending = slot({ decision: "pending", reason: "capacity" });
  const ran = slot({ decision: "run", reason: "on_time" }, { runId: "r1", latenessMs: 3 });
  const skipped = slot({ decision: "skip", reason: "overlap" });
  const moved = slot({ decision: "move", reason: "clock" });
  const gone = slot({ decision: "miss", reason: "job_gone" });
  const folded = slot({ decision: "coalesce", reason: "missed" }, { runId: "r1" });
  const later = { decidedAtMs: dayMs + 99 };
  const cases: readonly (readonly [string, SlotLine, SlotLine, Partial<SlotLine>])[] = [
    ["pending becomes run", pending, { ...ran, ...later }, { ...ran, ...later }],
    [
      "pending becomes miss",
      pending,
      slot({ decision: "miss", reason: "too_late" }),
      { decision: "miss", reason: "too_late" },
    ],
    [
      "pending keeps its first moment",
      pending,
      slot({ decision: "pending", reason: "lock" }, later),
      { reason: "lock", decidedAtMs: dayMs + 5 },
    ],
    ["run stays run", ran, slot({ decision: "skip", reason: "policy" }, later), ran],
    ["run never becomes pending", ran, pending, ran],
    [
      "run is restored",
      ran,
      slot({ decision: "run", reason: "restored" }, { runId: "r2", latenessMs: 60 }),
      { decision: "run", reason: "restored", runId: "r2", latenessMs: 60 },
    ],
    [
      "run is served by a later attempt",
      ran,
      { ...ran, ...later, runId: "r2" },
      { reason: "on_time", runId: "r2", decidedAtMs: dayMs + 5 },
    ],
    ["run keeps its run against none", ran, slot({ decision: "run", reason: "elsewhere" }), ran],
    ["skip stays skip", skipped, ran, skipped],
    ["move becomes run", moved, ran, ran],
    ["move never becomes skip", moved, skipped, moved],
    ["coalesce follows its run", folded, { ...folded, runId: "r2" }, { decision: "coalesce", runId: "r2" }],
    ["what a removed job missed is served when it is put back", gone, ran, ran],
    ["or is folded into that run", gone, folded, folded],
    ["and never waits again", gone, pending, gone],
    ["what was too late stays so", slot({ decision: "miss", reason: "too_late" }), ran, { decision: "miss" }],
    ["coalesce never becomes run", folded, ran, folded],
  ];
  const ledger = open();
  for (const [name, first, second, expected] of cases) {
    ledger.writeSlots(name, [first]);
    ledger.writeSlots(name, [second]);
    const found = ledger.slots({ home: name, limit: 0 });
    expect(found, name).toHaveLength(1);
    expect(found[0], name).toMatchObject(expected);
  }
});

test("replacedRuns() has the newest of each job, and what the run before it became", () => {
  const ledger = open();
  const ended = (id: string, jobId: string, minute: number, how: Partial<RunEnd>) => {
    const claimedAtMs = dayMs + minute * 60_000;
    ledger.claim([run({ id, jobId, owner: id, claimedAtMs })]);
    ledger.start(id, claimedAtMs);
    ledger.close(id, end({ endedAtMs: claimedAtMs + 1, ...how }));
  };
  const replaced = { state: "failed", reason: "replaced", error: "way" } as const;
  ended("a1", "a", 1, { state: "failed", reason: "exit", error: "no" });
  ended("a2", "a", 2, replaced);
  ended("a3", "a", 3, replaced);
  ended("b1", "b", 1, replaced);
  ended("c1", "c", 1, {});
  expect(ledger.replacedRuns().map((one) => [one.run.id, one.before?.id ?? null])).toEqual([
    ["a3", "a1"],
    ["b1", null],
  ]);
});

test("startRetry() passes a run's slots on to its next attempt, and a void attempt gives them back", () => {
  const ledger = open();
  const line = (minute: number, decision: "run" | "coalesce", runId: string, reason = "missed") =>
    slot({ decision, reason } as SlotDecision, { runId, scheduledAtMs: dayMs + minute * 60_000, latenessMs: 7 });
  ledger.writeSlots("default", [
    line(0, "run", "before", "late"),
    line(1, "run", "r1", "catch_up"),
    line(2, "coalesce", "r1"),
    line(3, "run", "r9", "late"),
  ]);
  ledger.claim([run({ id: "r1" })]);
  ledger.close("r1", end({ state: "failed", reason: "exit" }));
  const retry = { runId: "r1", home: "default", jobId: line(0, "run", "").jobId, attempt: 2, editKey: "" };
  ledger.planRetry({
    ...retry,
    scheduledAtMs: dayMs + 60_000,
    failedAtMs: dayMs,
    dueAtMs: dayMs,
    state: "waiting",
    reason: null,
  });
  const named = () => ledger.slots({ limit: 0 }).map(({ runId, latenessMs }) => `${runId} ${latenessMs}`);
  const first = ["r9 7", "r1 7", "r1 7", "before 7"];
  ledger.claim([run({ id: "r2", trigger: "retry", attempt: 2, owner: "o2" })]);
  expect(ledger.startRetry("r1", "r2").map((one) => [one.home, one.decision, one.runId])).toEqual([
    ["default", "run", "r2"],
    ["default", "coalesce", "r2"],
  ]);
  expect(named()).toEqual(["r9 7", "r2 7", "r2 7", "before 7"]);
  expect(ledger.startRetry("r1", "r3")).toEqual([]);
  ledger.close("r2", end({ state: "void", reason: "not_started" }));
  expect([named(), ledger.retry("r1")?.state]).toEqual([first, "waiting"]);
  expect(ledger.reopenSlots("default", retry.jobId, "r2")).toEqual([]);
});

test("reopenSlots() makes pending again what names a run that never ran, and nothing else", () => {
  const ledger = open();
  const ran = slot({ decision: "run", reason: "late" }, { runId: "r1", latenessMs: 3 });
  const folded = slot(
    { decision: "coalesce", reason: "missed" },
    { runId: "r1", scheduledAtMs: ran.scheduledAtMs + 60_000 },
  );
  const other = slot({ decision: "run", reason: "late" }, { runId: "r2", scheduledAtMs: ran.scheduledAtMs + 120_000 });
  ledger.writeSlots("default", [folded, ran, other]);
  expect(ledger.reopenSlots("default", ran.jobId, "r1")).toEqual([ran.scheduledAtMs, folded.scheduledAtMs]);
  expect(ledger.reopenSlots("default", ran.jobId, "r1")).toEqual([]);
  expect(ledger.slots({ limit: 0 }).map(({ decision, reason, runId }) => [decision, reason, runId])).toEqual([
    ["run", "late", "r2"],
    ["pending", "no_daemon", null],
    ["pending", "no_daemon", null],
  ]);
});

test("slots() lists what was asked for, the latest scheduled first", () => {
  const ledger = open();
  ledger.writeSlots("default", [
    slot({ decision: "run", reason: "on_time" }, { jobId: "a", runId: "r1", latenessMs: 0.125 }),
    slot({ decision: "skip", reason: "overlap" }, { jobId: "a", scheduledAtMs: dayMs + 60_000 }),
    slot({ decision: "pending", reason: "estop" }, { jobId: "b", scheduledAtMs: dayMs + 30_000 }),
  ]);
  ledger.writeSlots("work", [slot({ decision: "run", reason: "late" }, { jobId: "c" })]);
  const key = (query: Parameters<RunLedger["slots"]>[0]) =>
    ledger.slots(query).map((each) => `${each.home}/${each.jobId} ${each.decision} ${each.scheduledAtMs - dayMs}`);
  expect(key({ limit: 0 })).toEqual([
    "default/a skip 60000",
    "default/b pending 30000",
    "work/c run 0",
    "default/a run 0",
  ]);
  expect(key({ limit: 1 })).toEqual(["default/a skip 60000"]);
  expect(key({ limit: 9, home: "work" })).toEqual(["work/c run 0"]);
  expect(key({ limit: 9, jobId: "a" })).toEqual(["default/a skip 60000", "default/a run 0"]);
  expect(key({ limit: 9, sinceMs: dayMs + 30_000 })).toEqual(["default/a skip 60000", "default/b pending 30000"]);
  expect(ledger.pendingSlots("default").map((each) => each.jobId)).toEqual(["b"]);
  expect(ledger.pendingSlots("work")).toEqual([]);
  expect(ledger.homesWithPending()).toEqual(["default"]);
  expect(ledger.slots({ limit: 9, jobId: "a", sinceMs: 0 })[1]).toEqual({
    home: "default",
    jobId: "a",
    decision: "run",
    reason: "on_time",
    scheduledAtMs: dayMs,
    runId: "r1",
    decidedAtMs: dayMs + 5,
    latenessMs: 0.125,
  });
});

test("writeCursors() changes and forgets the cursors it is given and no other", () => {
  const ledger = open();
  const moved = { nextAtMs: null, scheduleText: "every 5m", enabled: false, lastRunAtMs: dayMs + 0.5 };
  ledger.writeCursors(
    "default",
    new Map([
      ["a", cursor],
      ["b", cursor],
    ]),
    [],
  );
  ledger.writeCursors("work", new Map([["a", cursor]]), []);
  ledger.writeCursors(
    "default",
    new Map([
      ["b", moved],
      ["c", cursor],
    ]),
    ["a"],
  );
  const expected = [
    ["b", moved],
    ["c", cursor],
  ];
  expect([...ledger.cursors("default")]).toEqual(expected);
  expect([...open(true).cursors("default")]).toEqual(expected);
  expect([...ledger.cursors("work")]).toEqual([["a", cursor]]);
});

test("requests stay open across a restart until they are closed once", () => {
  const first = open();
  const id = first.addRequest({ kind: "run", home: "default", jobId: "a", runId: null, requestedAtMs: dayMs });
  first.addRequest({ kind: "stop", home: "default", jobId: "a", runId: "r1", requestedAtMs: dayMs });
  const second = open();
  expect(second.openRequests()).toEqual([
    { id, kind: "run", home: "default", jobId: "a", runId: null, requestedAtMs: dayMs, closedAtMs: null },
    { id: id + 1, kind: "stop", home: "default", jobId: "a", runId: "r1", requestedAtMs: dayMs, closedAtMs: null },
  ]);
  expect(second.closeRequest(id, dayMs + 1, "r7")).toBe(true);
  expect(first.closeRequest(id, dayMs + 2, "r8")).toBe(false);
  expect(first.openRequests().map((request) => request.kind)).toEqual(["stop"]);
  expect(first.request(id)).toMatchObject({ runId: "r7", closedAtMs: dayMs + 1 });
  expect(first.request(99)).toBeNull();
});

test("a request whose run came to nothing is open again, and one that was served is not", () => {
  const ledger = open();
  const ends = { void: "voided", failed: "ran" } as const;
  for (const [state, id] of Object.entries(ends)) {
    const request = ledger.addRequest({ kind: "run", home: "default", jobId: id, runId: null, requestedAtMs: dayMs });
    ledger.claim([run({ id, owner: id, trigger: "manual", scheduledAtMs: null })]);
    ledger.closeRequest(request, dayMs, id);
    if (state === "failed") ledger.start(id, dayMs + 1);
    ledger.close(id, end({ state: state as "void" | "failed", reason: "not_started", error: "why" }));
  }
  expect(ledger.openRequests().map(({ jobId, runId }) => ({ jobId, runId }))).toEqual([
    { jobId: "voided", runId: null },
  ]);
});

test("note() returns what setNote() kept", () => {
  const ledger = open();
  expect(ledger.note("hand_over")).toBeNull();
  ledger.setNote("hand_over", "one");
  ledger.setNote("hand_over", "two");
  expect(ledger.note("hand_over")).toBe("two");
  ledger.setNote("hand_over", null);
  expect(ledger.note("hand_over")).toBeNull();
});

test("sync() brings to the disk what was committed in two steps, also where a transaction that wrote nothing came after it", () => {
  const synced: string[] = [];
  const files = { ...system.files, syncData: (file: string) => synced.push(file) };
  const ledger = createRunLedger({ files }, path);
  opened.push(ledger);
  ledger.stage(() => ledger.claim([run({ id: "none" })])).rollback();
  ledger.sync();
  expect(synced).toEqual([]);
  ledger.stage(() => ledger.claim([run({ id: "one" })])).commit();
  ledger.sync();
  ledger.sync();
  expect(synced).toEqual([`${path}-wal`]);
  expect(existsSync(`${path}-wal`)).toBe(true);
  ledger.stage(() => ledger.claim([run({ id: "two" })])).commit();
  ledger.transaction(() => ledger.claim([]));
  ledger.sync();
  expect(synced).toHaveLength(2);
});

test("sync() finds the log of a ledger that is a link", () => {
  const synced: string[] = [];
  const files = { ...system.files, syncData: (file: string) => synced.push(file) };
  const target = join(folder, "elsewhere.db");
  writeFileSync(target, "");
  symlinkSync(target, path);
  const ledger = createRunLedger({ files }, path);
  opened.push(ledger);
  ledger.stage(() => ledger.claim([run()])).commit();
  ledger.sync();
  expect(synced).toEqual([`${target}-wal`]);
  expect(existsSync(`${target}-wal`)).toBe(true);
});

test("createRunLedger() keeps its files to their owner", () => {
  open().claim([run()]);
  const modes = readdirSync(folder).map((name) => [name, statSync(join(folder, name)).mode & 0o777]);
  expect(modes).toEqual([
    ["supervisor.db", 0o600],
    ["supervisor.db-shm", 0o600],
    ["supervisor.db-wal", 0o600],
  ]);
});

test("a reader sees what the daemon has committed and cannot write", () => {
  const daemon = open();
  const reader = open(true);
  daemon.claim([run()]);
  expect(reader.openRuns().map((each) => each.id)).toEqual(["r1"]);
  expect(() => reader.claim([run({ id: "r2" })])).toThrow("attempt to write a readonly database");
});

test("a reader finds an empty history where there is no ledger, and makes none", () => {
  const reader = open(true);
  expect([reader.runs({ limit: 0 }), reader.slots({ limit: 0 }), [...reader.cursors("default")]]).toEqual([[], [], []]);
  expect(readdirSync(folder)).toEqual([]);
  writeFileSync(path, "");
  expect(open(true).runs({ limit: 0 })).toEqual([]);
});

test("createRunLedger() refuses a newer layout and leaves it alone", () => {
  const newer = new DatabaseSync(path);
  newer.exec("CREATE TABLE run (id TEXT); PRAGMA user_version = 99");
  newer.close();
  for (const readOnly of [false, true]) {
    expect(() => open(readOnly)).toThrow(
      `Cannot open ledger "${path}": its layout is version 99, expected at most ${ledgerVersion}: a newer hermes-supervisor wrote it, use that one`,
    );
  }
  const after = new DatabaseSync(path);
  expect(after.prepare("SELECT count(*) AS n FROM run").get()).toEqual({ n: 0 });
  after.close();
});

test("createRunLedger() says that a file is no ledger and leaves it alone", () => {
  writeFileSync(path, "not a database at all, but long enough to be taken for one".repeat(20));
  expect(() => open()).toThrow(
    `Cannot open ledger "${path}": file is not a database, expected the SQLite database of this program`,
  );
  expect(statSync(path).size).toBe(1160);
});

test("isServed() knows an instant that a run was made for or took in, and one that was passed over", () => {
  const ledger = open();
  ledger.claim([run({ id: "ran" }), run({ id: "void" })]);
  ledger.close("void", end({ state: "void" }));
  ledger.writeSlots("default", [
    slot({ decision: "run", reason: "on_time" }, { scheduledAtMs: 1000, runId: "ran" }),
    slot({ decision: "run", reason: "on_time" }, { scheduledAtMs: 2000, runId: "void" }),
    slot({ decision: "skip", reason: "overlap" }, { scheduledAtMs: 3000 }),
    slot({ decision: "miss", reason: "too_late" }, { scheduledAtMs: 4000 }),
    slot({ decision: "pending", reason: "capacity" }, { scheduledAtMs: 5000 }),
    slot({ decision: "coalesce", reason: "missed" }, { scheduledAtMs: 6000, runId: "ran" }),
    slot({ decision: "coalesce", reason: "missed" }, { scheduledAtMs: 7000, runId: "void" }),
  ]);
  const served = [1, 2, 3, 4, 5, 6, 7, 8].filter((second) => ledger.isServed("default", "j", second * 1000));
  expect(served).toEqual([1, 3, 6]);
});

test("the newest of many runs and slots are found through an index", () => {
  open().claim([run()]);
  const database = new DatabaseSync(path);
  const plan = (text: string) =>
    database
      .prepare(`EXPLAIN QUERY PLAN ${text}`)
      .all()
      .map((row: { detail?: unknown }) => String(row.detail))
      .join("; ");
  const order = "ORDER BY claimed_us DESC, seq DESC LIMIT 50";
  expect(plan(`SELECT * FROM run ${order}`)).toBe("SCAN run USING INDEX run_by_claim");
  expect(plan(`SELECT * FROM run WHERE home = 'a' ${order}`)).toBe("SEARCH run USING INDEX run_by_home (home=?)");
  expect(plan(`SELECT * FROM run WHERE state = 'failed' ${order}`)).toBe(
    "SEARCH run USING INDEX run_by_state (state=?)",
  );
  expect(plan("SELECT * FROM run WHERE state IN ('claimed', 'running') ORDER BY seq")).toContain("run_by_state");
  expect(plan("SELECT * FROM slot WHERE home = 'a' AND decision = 'pending' ORDER BY scheduled_us")).toContain(
    "slot_pending",
  );
  expect(plan("SELECT * FROM slot ORDER BY scheduled_us DESC, home DESC, job_id DESC LIMIT 200")).toContain(
    "slot_by_time",
  );
  expect(
    plan("SELECT * FROM slot WHERE home = 'h' AND job_id = 'a' ORDER BY scheduled_us DESC, home DESC, job_id DESC"),
  ).toBe("SEARCH slot USING PRIMARY KEY (home=? AND job_id=?)");
  database.close();
});
