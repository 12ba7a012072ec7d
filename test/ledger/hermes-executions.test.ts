import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { expect, onTestFinished, test } from "vitest";
import { type ExecutionRow, executionRow } from "../../src/core/execution-row.ts";
import type { Run } from "../../src/core/run.ts";
import { createZone } from "../../src/core/zone.ts";
import {
  createHermesExecutions,
  type ExecutionWrite,
  type HermesExecutions,
} from "../../src/ledger/hermes-executions.ts";
import { createClock } from "../../src/system/real-clock.ts";
import { createFiles } from "../../src/system/real-files.ts";
import { executionsSchemas } from "../helpers/executions-schemas.ts";
import { createFakeClock } from "../helpers/fake-clock.ts";

const schemas = executionsSchemas;
const withInstant = ["0.22", "0.22 on a file of 0.19"] as const;

const zone = createZone("Asia/Kolkata", 0);
const claimedAtMs = Date.parse("2026-06-15T09:00:00Z") + 0.123;

function sampleRun(more: Partial<Run> = {}): Run {
  return {
    id: "run-1",
    home: "default",
    jobId: "aaaaaaaaaaaa",
    jobName: "report",
    kind: "script",
    trigger: "schedule",
    scheduledAtMs: claimedAtMs - 0.123,
    claimedAtMs,
    startedAtMs: claimedAtMs + 5,
    endedAtMs: null,
    attempt: 1,
    state: "running",
    reason: null,
    exitCode: null,
    signal: null,
    fingerprint: { pid: 4242, startTicks: 987654, bootId: "boot", pidNamespace: null },
    owner: "host:4242:0123456789abcdef0123456789abcdef",
    adopted: false,
    error: null,
    outputBytes: null,
    outputPath: null,
    documentPath: null,
    ...more,
  } as Run;
}

const ended = { endedAtMs: claimedAtMs + 1000, exitCode: 0, state: "completed" } as const;

function writeOf(more: Partial<Run> = {}, others: Partial<ExecutionWrite> = {}): ExecutionWrite {
  return { row: executionRow(sampleRun(more), zone), deliveryOutcome: null, onlyIfThere: false, ...others };
}

interface Sample {
  readonly path: string;
  readonly executions: HermesExecutions;
  readonly database: DatabaseSync;
  rows(): readonly Record<string, unknown>[];
}

function makeSample(schema: string): Sample {
  const folder = mkdtempSync(join(tmpdir(), "executions-test-"));
  const path = join(folder, "executions #1?.db");
  const database = new DatabaseSync(path);
  onTestFinished(() => {
    if (database.isOpen) database.close();
    rmSync(folder, { recursive: true });
  });
  database.exec(schema);
  return {
    path,
    database,
    executions: createHermesExecutions({ files: createFiles(), clock: createClock() }, path),
    rows: () => database.prepare("SELECT * FROM executions ORDER BY rowid").all(),
  };
}

for (const [name, schema] of Object.entries(schemas)) {
  test(`write() makes one row of a run in the columns of ${name}`, () => {
    const { executions, database, rows } = makeSample(schema);
    const mode = database.prepare("PRAGMA journal_mode").get();
    expect(executions.write([writeOf({ state: "claimed", startedAtMs: null })])).toEqual({ kind: "done" });
    expect(executions.write([writeOf()])).toEqual({ kind: "done" });
    expect(executions.touch([writeOf().row.id], "2026-06-15T14:32:00+05:30")).toEqual({ kind: "done" });
    expect(executions.write([writeOf(ended, { deliveryOutcome: "suppressed" })])).toEqual({ kind: "done" });
    expect(executions.write([writeOf(), writeOf({ ...ended, state: "failed" })])).toEqual({ kind: "done" });
    const isNew = withInstant.some((one) => one === name);
    expect(rows()).toEqual([
      {
        id: "0123456789abcdef0123456789abcdef",
        job_id: "aaaaaaaaaaaa",
        source: "supervisor",
        process_id: "0123456789abcdef0123456789abcdef",
        pid: 4242,
        process_started_at: 987654,
        status: "completed",
        claimed_at: "2026-06-15T14:30:00.000123+05:30",
        started_at: "2026-06-15T14:30:00.005123+05:30",
        finished_at: "2026-06-15T14:30:01.000123+05:30",
        error: null,
        ...(isNew
          ? {
              handoff_pending: 0,
              handoff_started_at: null,
              delivery_outcome: "suppressed",
              scheduled_instant: "2026-06-15T09:00:00+00:00",
              progress_at: "2026-06-15T14:32:00+05:30",
            }
          : {}),
      },
    ]);
    expect(database.prepare("PRAGMA journal_mode").get()).toEqual(mode);
  });

  test(`write() tells the end of a run that Hermes ${name} called unknown, and of no other's`, () => {
    const { executions, database, rows } = makeSample(schema);
    executions.write([writeOf()]);
    database.exec("UPDATE executions SET status = 'unknown', error = 'Scheduler restarted'");
    executions.write([writeOf()]);
    expect(rows()).toMatchObject([{ status: "unknown", error: "Scheduler restarted" }]);
    executions.write([writeOf({ ...ended, state: "failed", reason: "orphaned", error: "It was lost" })]);
    expect(rows()).toMatchObject([{ status: "failed", error: "orphaned: It was lost" }]);
    database.exec("UPDATE executions SET status = 'running', process_id = 'another'");
    executions.write([writeOf(ended)]);
    expect(rows()).toMatchObject([{ status: "running", process_id: "another" }]);
  });

  test(`write() ends the row of a void run in a file of ${name}, and makes none`, () => {
    const { executions, rows } = makeSample(schema);
    const write = writeOf({ ...ended, state: "void", reason: "not_started" }, { onlyIfThere: true });
    executions.write([write]);
    expect(rows()).toEqual([]);
    executions.write([writeOf()]);
    executions.write([write]);
    expect(rows()).toMatchObject([{ status: "failed", error: "unknown failure" }]);
  });

  test(`write() keeps the newest 1000 ended rows of ${name} where Hermes never does`, () => {
    const { executions, database } = makeSample(schema);
    const row = (index: number): ExecutionRow => ({
      ...writeOf(ended).row,
      id: `run-${index}`,
      processId: `run-${index}`,
      claimedAt: new Date(claimedAtMs + index * 1000).toISOString(),
    });
    const writes = Array.from({ length: 1101 }, (_, index) => ({ ...writeOf(), row: row(index) }));
    executions.write([...writes.slice(0, 1100), { ...writeOf({ claimedAtMs: 0 }) }]);
    expect(database.prepare("SELECT count(*) AS n FROM executions").get()).toEqual({ n: 1101 });
    executions.write(writes.slice(1100));
    expect(
      database
        .prepare("SELECT count(*) AS n, min(claimed_at) AS least FROM executions WHERE status = 'completed'")
        .get(),
    ).toEqual({
      n: 1000,
      least: row(101).claimedAt,
    });
    // What goes on is never deleted.
    expect(database.prepare("SELECT count(*) AS n FROM executions WHERE status = 'running'").get()).toEqual({ n: 1 });
    expect(executions.known()).toMatchObject({ keptFromMs: claimedAtMs - 0.123 + 101_000 });
  });
}

test("known() has the statuses of our rows only", () => {
  const { executions, database } = makeSample(schemas["0.22"]);
  executions.write([writeOf()]);
  database.exec(
    "INSERT INTO executions (id, job_id, source, process_id, pid, status, claimed_at) VALUES ('x', 'j', 'builtin', 'p', 1, 'running', '2026-06-15T09:00:00+00:00')",
  );
  expect(executions.known()).toEqual({
    statuses: new Map([["0123456789abcdef0123456789abcdef", "running"]]),
    keptFromMs: null,
  });
});

for (const name of withInstant) {
  test(`isCompleted() finds completed rows of an instant in a file of ${name}`, () => {
    const { executions, database } = makeSample(schemas[name]);
    const instants: readonly (readonly [string, string, string | null, boolean])[] = [
      ["2026-06-15T09:00:00+00:00", "completed", "2026-06-15T14:30:01+05:30", true],
      ["2026-06-15T09:01:00.123456+00:00", "completed", "2026-06-15T09:00:00.123456+00:00", true],
      // Ended more than a minute before it was due: a clock that was wrong.
      ["2026-06-15T09:02:00+00:00", "completed", "2026-06-15T09:00:59.999999+00:00", false],
      ["2026-06-15T09:03:00+00:00", "completed", "no time", true],
      ["2026-06-15T09:04:00+00:00", "failed", "2026-06-15T09:04:01+00:00", false],
      ["2026-06-15T09:05:00+00:00", "unknown", "2026-06-15T09:05:01+00:00", false],
      ["2026-06-15T09:06:00Z", "completed", "2026-06-15T09:06:01+00:00", false],
      ["2026-06-15T09:07:00+00:00", "completed", null, true],
    ];
    const ms = (text: string): number => Date.parse(`${text.slice(0, 19)}Z`) + (text.includes(".") ? 123.456 : 0);
    for (const [text] of instants) expect(executions.isCompleted("j", ms(text))).toBe(false);
    const insert = database.prepare(
      "INSERT INTO executions (id, job_id, source, process_id, pid, status, claimed_at, finished_at, scheduled_instant) VALUES (?, 'j', 'builtin', 'p', 1, ?, ?, ?, ?)",
    );
    for (const [text, status, finishedAt] of instants)
      insert.run(text, status, `${text.slice(0, 19)}+00:00`, finishedAt, text);
    expect(instants.map(([text]) => executions.isCompleted("j", ms(text)))).toEqual(instants.map((row) => row[3]));
    expect(executions.isCompleted("another", ms("2026-06-15T09:00:00"))).toBe(false);
  });
}

for (const name of withInstant) {
  test(`isOverlapped() tells an instant that came during a run of Hermes from one that was dispatched, in a file of ${name}`, () => {
    const { executions, database } = makeSample(schemas[name]);
    const insert = database.prepare(
      "INSERT INTO executions (id, job_id, source, process_id, pid, status, claimed_at, finished_at, scheduled_instant) VALUES (?, 'j', ?, 'p', 1, 'completed', ?, ?, ?)",
    );
    insert.run("a", "builtin", "2026-06-15T14:30:01+05:30", "2026-06-15T14:32:30+05:30", "2026-06-15T09:00:00+00:00");
    insert.run(
      "b",
      "supervisor",
      "2026-06-15T09:04:01+00:00",
      "2026-06-15T09:06:30+00:00",
      "2026-06-15T09:04:00+00:00",
    );
    insert.run("c", "builtin", "2026-06-15T09:07:30+00:00", null, "2026-06-15T09:07:00+00:00");
    const ask = (clock: string): boolean => {
      const atMs = Date.parse(`2026-06-15T${clock}Z`);
      return executions.isOverlapped("j", atMs, atMs + 60_000);
    };
    expect(["09:00:00", "09:01:00", "09:03:00", "09:05:00", "09:07:00", "09:08:00"].map(ask)).toEqual([
      false,
      true,
      false,
      false,
      false,
      true,
    ]);
    expect(
      executions.isOverlapped("another", Date.parse("2026-06-15T09:01:00Z"), Date.parse("2026-06-15T09:02:00Z")),
    ).toBe(false);
  });
}

for (const name of ["0.19", "0.20"] as const) {
  test(`isOverlapped() tells it by the times of claims in a file of ${name}, which has no instants`, () => {
    const { executions, database } = makeSample(schemas[name]);
    const insert = database.prepare(
      "INSERT INTO executions (id, job_id, source, process_id, pid, status, claimed_at, finished_at) VALUES (?, 'j', ?, 'p', 1, 'completed', ?, ?)",
    );
    // 09:01 came during the first run; 09:03 too, and was dispatched once that was over; 09:06 came during one of ours.
    insert.run("a", "builtin", "2026-06-15T14:30:01+05:30", "2026-06-15T14:31:30+05:30");
    insert.run("b", "builtin", "2026-06-15T09:02:01+00:00", "2026-06-15T09:03:10+00:00");
    insert.run("c", "builtin", "2026-06-15T09:03:40+00:00", "2026-06-15T09:03:50+00:00");
    insert.run("d", "supervisor", "2026-06-15T09:05:00+00:00", "2026-06-15T09:06:30+00:00");
    insert.run("e", "builtin", "2026-06-15T09:08:00+00:00", null);
    const ask = (minute: number): boolean => {
      const atMs = Date.parse("2026-06-15T09:00:00Z") + minute * 60_000;
      return executions.isOverlapped("j", atMs, atMs + 60_000);
    };
    expect([0, 1, 2, 3, 4, 5, 6, 7, 8, 9].filter(ask)).toEqual([1, 6, 9]);
    const claimedSince = (clock: string): string | null => {
      const atMs = executions.claimedSinceMs("j", Date.parse(`2026-06-15T${clock}Z`));
      return atMs === null ? null : new Date(atMs).toISOString().slice(11, 19);
    };
    expect(["09:00:00", "09:08:00", "09:08:01"].map(claimedSince)).toEqual(["09:08:00", "09:08:00", null]);
    database.exec("DELETE FROM executions WHERE id = 'e'");
    expect(["09:03:30", "09:04:30"].map(claimedSince)).toEqual(["09:03:40", null]);
    expect(
      executions.isOverlapped("another", Date.parse("2026-06-15T09:01:00Z"), Date.parse("2026-06-15T09:02:00Z")),
    ).toBe(false);
  });

  test(`isCompleted() says nothing of a file of ${name}, which has no instants`, () => {
    const { executions } = makeSample(schemas[name]);
    executions.write([writeOf(ended)]);
    expect(executions.isCompleted("aaaaaaaaaaaa", claimedAtMs - 0.123)).toBe(false);
  });
}

test("a file that somebody holds is busy, and keeps nobody waiting", () => {
  const { executions, database, rows } = makeSample(schemas["0.22"]);
  database.exec("BEGIN EXCLUSIVE");
  for (let jobs = 0; jobs < 500; jobs++) expect(executions.isCompleted(`job ${jobs}`, claimedAtMs)).toBe(false);
  expect(executions.write([writeOf()])).toEqual({ kind: "busy", problem: "database is locked" });
  expect(executions.touch(["x"], "now")).toEqual({ kind: "busy", problem: "database is locked" });
  database.exec("ROLLBACK");
  expect(executions.write([writeOf()])).toEqual({ kind: "done" });
  expect(rows()).toHaveLength(1);
});

test("isCompleted() asks a file that somebody holds once in a second, however many jobs are due", () => {
  const { database, path } = makeSample(schemas["0.22"]);
  database.exec("BEGIN EXCLUSIVE");
  const clock = createFakeClock(claimedAtMs);
  let opened = 0;
  const counted = createHermesExecutions({ files: createFiles(), clock }, path, (_, options) => {
    opened++;
    return new DatabaseSync(path, options);
  });
  for (let jobs = 0; jobs < 500; jobs++) expect(counted.isCompleted(`job ${jobs}`, claimedAtMs)).toBe(false);
  expect(opened).toBe(1);
  clock.pass(1000);
  while (clock.fireNext());
  expect(counted.isCompleted("job", claimedAtMs)).toBe(false);
  expect(opened).toBe(2);
  while (clock.fireNext());
});

const strange: Readonly<Record<string, { readonly schema: string; readonly problem: string }>> = {
  "has a column that we do not know": {
    schema: `${schemas["0.22"]}ALTER TABLE executions ADD COLUMN lease TEXT;`,
    problem: 'its table has the column "lease", which this version does not know',
  },
  "lacks a column": {
    schema: "CREATE TABLE executions (id TEXT PRIMARY KEY, job_id TEXT, source TEXT, status TEXT)",
    problem:
      'its table has no column "process_id", "pid", "process_started_at", "claimed_at", "started_at", "finished_at", "error"',
  },
  "has other tables": { schema: "CREATE TABLE runs (id TEXT)", problem: 'it has no table "executions"' },
  "wants more of a row": {
    schema: schemas["0.20"].replace("'failed','unknown'", "'failed','unknown') AND (status <> 'running'"),
    problem:
      "CHECK constraint failed: status IN\n    ('claimed','running','completed','failed','unknown') AND (status <> 'running')",
  },
};

for (const [what, { schema, problem }] of Object.entries(strange)) {
  test(`a file that ${what} is left alone`, () => {
    const { executions, database, path } = makeSample(schema);
    database.close();
    const before = readFileSync(path);
    expect(executions.write([writeOf()])).toEqual({ kind: "left", problem });
    expect(executions.isCompleted("aaaaaaaaaaaa", claimedAtMs)).toBe(false);
    expect(readFileSync(path)).toEqual(before);
  });
}

test("a file that is no database, or a torn one, is left alone", () => {
  for (const tear of [() => Buffer.from("no database ".repeat(500)), (bytes: Buffer) => bytes.subarray(0, 5000)]) {
    const { executions, database, path } = makeSample(schemas["0.22"]);
    executions.write([writeOf()]);
    database.close();
    writeFileSync(path, tear(readFileSync(path)));
    const before = readFileSync(path);
    expect(executions.write([writeOf()])).toMatchObject({ kind: "left" });
    expect(executions.known()).toMatchObject({ kind: "left" });
    expect(executions.isCompleted("aaaaaaaaaaaa", claimedAtMs)).toBe(false);
    expect(readFileSync(path)).toEqual(before);
  }
});

test("no file is made, and one that Hermes has just made is waited for", () => {
  const { executions, database, path } = makeSample("");
  expect(executions.write([writeOf()])).toEqual({ kind: "absent" });
  expect(statSync(path).size).toBe(0);
  database.close();
  rmSync(path);
  expect(executions.write([writeOf()])).toEqual({ kind: "absent" });
  expect(executions.isCompleted("aaaaaaaaaaaa", claimedAtMs)).toBe(false);
  expect(executions.identity()).toBe(null);
});
