import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { Delivery } from "../../src/core/delivery.ts";
import type { Run } from "../../src/core/run.ts";
import type { QueuedDelivery } from "../../src/ledger/deliveries.ts";
import { createRunLedger, type RunLedger } from "../../src/ledger/run-ledger.ts";
import { ledgerVersion } from "../../src/ledger/schema.ts";
import type { Files } from "../../src/system/files.ts";
import { sampleRun } from "../helpers/sample-run.ts";

let folder: string;
let path: string;
const opened: RunLedger[] = [];

const system = {
  files: {
    stat: (wanted: string) => (existsSync(wanted) ? { sizeBytes: statSync(wanted).size } : null),
    create: (wanted: string, bytes: string, mode: number) => writeFileSync(wanted, bytes, { mode, flag: "wx" }),
  } as unknown as Files,
};

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "ledger-"));
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

const dayMs = Date.UTC(2026, 0, 5) + 0.001;

function run(id: string, changes: Partial<Run> = {}): Run {
  const claimed = sampleRun(id, "default", "aaaaaaaaaaaa");
  return { ...claimed, scheduledAtMs: dayMs, claimedAtMs: dayMs, ...changes };
}

function queued(runId: string, changes: Partial<QueuedDelivery> = {}): QueuedDelivery {
  return {
    runId,
    home: "default",
    jobId: "aaaaaaaaaaaa",
    target: "telegram:1",
    record: '{"id": "aaaaaaaaaaaa"}',
    content: "Done ☃",
    isBare: false,
    forFailure: false,
    incident: null,
    queuedAtMs: dayMs + 1,
    ...changes,
  };
}

test("a delivery keeps every field across a restart", () => {
  open().queueDelivery(queued("r1", { forFailure: true }));
  opened.splice(0)[0]?.dispose();
  const expected: Delivery = {
    ...queued("r1", { forFailure: true }),
    state: "pending",
    way: null,
    attempts: 0,
    handedAtMs: null,
    retryAtMs: null,
    error: null,
    recorded: false,
  };
  const ledger = open();
  expect(ledger.openDeliveries()).toEqual([expected]);
  ledger.moveDelivery("r1", "hand", { way: "rows", handedAtMs: dayMs + 2 });
  expect(ledger.delivery("r1")).toEqual({
    ...expected,
    state: "sending",
    way: "rows",
    attempts: 1,
    handedAtMs: dayMs + 2,
  });
  ledger.moveDelivery("r1", "retry", { way: null, retryAtMs: dayMs + 9, error: "no route to host" });
  expect(ledger.delivery("r1")).toEqual({
    ...expected,
    attempts: 1,
    retryAtMs: dayMs + 9,
    error: "no route to host",
  });
});

test("composeDelivery() puts what people are told in the place of the bare error", () => {
  const ledger = open();
  ledger.queueDelivery(queued("r1", { isBare: true, forFailure: true }));
  expect(ledger.delivery("r1")).toMatchObject({ isBare: true, content: "Done ☃", incident: null });
  ledger.composeDelivery("r1", "It failed", "aaaaaa_0123");
  expect(ledger.delivery("r1")).toMatchObject({ isBare: false, content: "It failed", incident: "aaaaaa_0123" });
});

test("queueDelivery() puts a run's result on its way once", () => {
  const ledger = open();
  ledger.queueDelivery(queued("r1"));
  ledger.moveDelivery("r1", "hand", { way: "outbox", handedAtMs: dayMs + 2 });
  ledger.queueDelivery(queued("r1", { content: "Done again" }));
  expect(ledger.delivery("r1")).toMatchObject({ state: "sending", content: "Done ☃" });
});

test("moveDelivery() forgets what was sent, and the first end stays", () => {
  const ledger = open();
  ledger.queueDelivery(queued("r1"));
  ledger.moveDelivery("r1", "hand", { way: "stand_alone", handedAtMs: dayMs + 2 });
  expect(ledger.moveDelivery("r1", "lose", { error: "Nobody saw it" })).toBe(true);
  expect(ledger.moveDelivery("r1", "deliver", {})).toBe(false);
  expect(ledger.delivery("r1")).toMatchObject({ state: "unknown", error: "Nobody saw it", record: "", content: "" });
  expect(() => ledger.moveDelivery("r1", "hand", { way: "rows" })).toThrow(
    'Cannot hand the delivery of run "r1": it is unknown, legal then are [deliver, suppress, fail, lose]',
  );
  expect(() => ledger.moveDelivery("r2", "hand", { way: "rows" })).toThrow(
    'Cannot hand the delivery of run "r2": the ledger has none',
  );
});

test("a delivery is open until the job's record tells of its end", () => {
  const ledger = open();
  ledger.queueDelivery(queued("r2", { queuedAtMs: dayMs + 5 }));
  ledger.queueDelivery(queued("r1"));
  ledger.moveDelivery("r1", "hand", { way: "rows" });
  ledger.moveDelivery("r1", "deliver", {});
  expect(ledger.openDeliveries().map(({ runId, state }) => [runId, state])).toEqual([
    ["r1", "delivered"],
    ["r2", "pending"],
  ]);
  ledger.setDeliveryRecorded("r1");
  expect(ledger.openDeliveries().map(({ runId }) => runId)).toEqual(["r2"]);
});

test("a run is read with what became of its delivery", () => {
  const ledger = open();
  ledger.claim([run("r1"), run("r2", { jobId: "b" })]);
  ledger.queueDelivery(queued("r1"));
  ledger.noteDeliveryWait("r1", "It waits for a gateway: none is running");
  const delivery = { state: "pending", target: "telegram:1", error: "It waits for a gateway: none is running" };
  expect(ledger.run("r1")).toEqual({ ...run("r1"), delivery });
  expect(ledger.run("r2")).toEqual(run("r2", { jobId: "b" }));
  const query = { home: "default", state: "claimed", sinceMs: dayMs, limit: 0 } as const;
  expect(ledger.runs(query).map((one) => one.delivery)).toEqual([undefined, delivery]);
  expect(ledger.runs({ ...query, jobId: "b" }).map(({ id }) => id)).toEqual(["r2"]);
  expect(ledger.runsBeginning("r1", 5)).toEqual([{ ...run("r1"), delivery }]);
});

test("troubledDeliveries() answers one for each job, its latest, where that came to grief or waits", () => {
  const ledger = open();
  for (const [index, jobId] of ["a", "b", "a", "c", "c"].entries()) {
    ledger.queueDelivery(queued(`r${index}`, { jobId, queuedAtMs: dayMs + index }));
    ledger.noteDeliveryWait(`r${index}`, "no gateway is running");
  }
  ledger.queueDelivery(queued("r5", { jobId: "c", queuedAtMs: dayMs + 5 }));
  expect(ledger.troubledDeliveries(dayMs).map(({ runId }) => runId)).toEqual(["r2", "r1"]);
  expect(ledger.troubledDeliveries(dayMs + 2)).toEqual([
    {
      runId: "r2",
      home: "default",
      jobId: "a",
      target: "telegram:1",
      state: "pending",
      queuedAtMs: dayMs + 2,
      error: "no gateway is running",
    },
  ]);
});

test("a ledger of version 1 keeps its rows and can deliver from then on", () => {
  const old = new DatabaseSync(path);
  old.exec(readFileSync(new URL("../fixtures/ledgers/version-1.sql", import.meta.url), "utf8"));
  old.exec(`INSERT INTO run (id, home, job_id, job_name, kind, trigger, claimed_us, attempt, state, pid, boot_id, owner, adopted)
    VALUES ('r1', 'default', 'aaaaaaaaaaaa', 'nightly', 'script', 'manual', ${dayMs * 1000}, 1, 'running', 7, 'boot', 'o', 0)`);
  old.exec("INSERT INTO slot VALUES ('default', 'aaaaaaaaaaaa', 5, 'run', 'on_time', 'r1', 6, 1)");
  old.exec("INSERT INTO slot_cursor VALUES ('default', 'aaaaaaaaaaaa', '{}')");
  old.exec("INSERT INTO request (kind, home, job_id, requested_us) VALUES ('run', 'default', 'aaaaaaaaaaaa', 5)");
  old.exec("INSERT INTO note VALUES ('hash_key', 'k')");
  old.close();
  const before = open(true);
  expect([before.runs({ limit: 0 })[0]?.id, before.run("r1")?.id, before.openDeliveries()]).toEqual(["r1", "r1", []]);
  expect(before.troubledDeliveries(0)).toEqual([]);
  before.dispose();
  opened.length = 0;
  const ledger = open();
  expect(ledger.run("r1")).toMatchObject({ id: "r1", state: "running", claimedAtMs: dayMs });
  expect(ledger.slots({ limit: 0 })).toHaveLength(1);
  expect([...ledger.cursors("default").keys()]).toEqual(["aaaaaaaaaaaa"]);
  expect(ledger.openRequests()).toHaveLength(1);
  expect(ledger.note("hash_key")).toBe("k");
  ledger.queueDelivery(queued("r1"));
  expect(ledger.run("r1")?.delivery).toEqual({ state: "pending", target: "telegram:1", error: null });
  const names = (database: DatabaseSync): readonly unknown[] =>
    database
      .prepare("SELECT type, name, sql FROM sqlite_master ORDER BY name")
      .all()
      .map((row: { name?: unknown; sql?: unknown }) => [row.name, row.sql]);
  const migrated = new DatabaseSync(path);
  const fresh = new DatabaseSync(join(folder, "fresh.db"));
  opened.push(createRunLedger(system, join(folder, "fresh.db")));
  expect(names(migrated)).toEqual(names(fresh));
  expect(migrated.prepare("PRAGMA user_version").get()).toEqual({ user_version: ledgerVersion });
  migrated.close();
  fresh.close();
});

test("the open deliveries and the latest are found through an index", () => {
  open();
  const database = new DatabaseSync(path);
  const plan = (text: string): string =>
    database
      .prepare(`EXPLAIN QUERY PLAN ${text}`)
      .all()
      .map((row: { detail?: unknown }) => String(row.detail))
      .join("; ");
  expect(plan("SELECT * FROM delivery WHERE recorded = 0 ORDER BY queued_us, run_id")).toContain("delivery_open");
  expect(plan("SELECT * FROM delivery WHERE queued_us >= 5")).toContain("delivery_by_time");
  database.close();
});
