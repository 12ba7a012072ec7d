import { chmodSync, existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { Delivery } from "../../src/core/delivery.ts";
import { createHermesDeliveries, type HermesDeliveries } from "../../src/delivery/hermes-deliveries.ts";
import type { Processes } from "../../src/system/processes.ts";
import { createFiles } from "../../src/system/real-files.ts";

let folder: string;
let queue: HermesDeliveries;
const files = createFiles();
const alive = { pid: 4242, startTicks: 99, bootId: "b", pidNamespace: null };
const processes = { fingerprint: (pid: number) => (pid === 4242 ? alive : null) } as unknown as Processes;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "deliveries-"));
  queue = createHermesDeliveries({ files, processes }, folder, () => "2026-01-05T12:00:00.000001+00:00");
});

afterEach(() => rmSync(folder, { recursive: true }));

const delivery: Delivery = {
  runId: "r1",
  home: "default",
  jobId: "aaaaaaaaaaaa",
  target: "telegram:1",
  record: '{"id": "aaaaaaaaaaaa", "chat": 12345678901234567890}',
  content: "Done ☃",
  isBare: false,
  forFailure: true,
  incident: null,
  state: "sending",
  way: "rows",
  attempts: 1,
  queuedAtMs: 0,
  handedAtMs: 0,
  retryAtMs: null,
  error: null,
  recorded: false,
};

function sql(text: string): unknown {
  const database = new DatabaseSync(join(folder, "deliveries.db"));
  const rows = database.prepare(text).all();
  database.close();
  return rows;
}

test("a home without a queue has none until one is made", () => {
  expect(queue.exists()).toBe(false);
  expect(existsSync(join(folder, "deliveries.db"))).toBe(false);
  expect(queue.look(delivery)).toEqual({ kind: "gone" });
  queue.make();
  expect(queue.exists()).toBe(true);
  expect(statSync(join(folder, "deliveries.db")).mode & 0o777).toBe(0o600);
  queue.make();
  expect(queue.look(delivery)).toEqual({ kind: "absent" });
});

test("put() writes the row that a gateway takes, once", () => {
  queue.make();
  queue.put(delivery);
  queue.put({ ...delivery, content: "Again" });
  expect(sql("SELECT * FROM deliveries")).toEqual([
    {
      execution_id: "r1",
      job_json: delivery.record,
      content: "Done ☃",
      for_failure: 1,
      status: "pending",
      owner_process_id: null,
      owner_pid: null,
      owner_started_at: null,
      created_at: "2026-01-05T12:00:00.000001+00:00",
      finished_at: null,
      error: null,
    },
  ]);
  expect(queue.look(delivery)).toEqual({ kind: "untaken" });
});

test("look() reads what a gateway made of a row", () => {
  queue.make();
  queue.put(delivery);
  const after = (change: string): unknown => {
    sql(`UPDATE deliveries SET ${change}`);
    return queue.look(delivery);
  };
  expect(after("status = 'delivering', owner_pid = 4242, owner_started_at = 99")).toEqual({
    kind: "taken",
    alive: true,
  });
  expect(after("owner_started_at = NULL")).toEqual({ kind: "taken", alive: true });
  expect(after("owner_started_at = 98")).toEqual({ kind: "taken", alive: false });
  expect(after("owner_pid = 4243")).toEqual({ kind: "taken", alive: false });
  expect(after("status = 'delivered'")).toEqual({ kind: "ended", event: "deliver", error: null });
  expect(after("status = 'failed', error = 'unknown platform'")).toEqual({
    kind: "ended",
    event: "fail",
    error: "unknown platform",
  });
  expect(after("status = 'unknown', error = 'died'")).toEqual({ kind: "ended", event: "lose", error: "died" });
  expect(after("status = 'suppressed', error = NULL")).toEqual({ kind: "ended", event: "suppress", error: null });
});

test("look() finds what Hermes keeps of an old row", () => {
  queue.make();
  sql("INSERT INTO delivery_tombstones VALUES ('r1', 'delivered', NULL)");
  expect(queue.look(delivery)).toEqual({ kind: "ended", event: "deliver", error: null });
  expect(queue.look({ ...delivery, attempts: 2 })).toEqual({ kind: "absent" });
});

test("withdraw() takes back only what no gateway has taken", () => {
  queue.make();
  queue.put(delivery);
  sql("UPDATE deliveries SET status = 'delivering', owner_pid = 4242");
  expect(queue.withdraw(delivery)).toBe(false);
  sql("UPDATE deliveries SET status = 'pending'");
  expect(queue.withdraw(delivery)).toBe(true);
  expect(sql("SELECT * FROM deliveries")).toEqual([]);
  expect(queue.withdraw(delivery)).toBe(false);
});

test("a second row of a run has an id of its own", () => {
  queue.make();
  queue.put(delivery);
  queue.put({ ...delivery, attempts: 2 });
  expect(sql("SELECT execution_id FROM deliveries ORDER BY 1")).toEqual([
    { execution_id: "r1" },
    { execution_id: "r1.2" },
  ]);
});

test("a queue of a form that nobody knows is left alone", () => {
  sql("CREATE TABLE deliveries (execution_id TEXT PRIMARY KEY, payload TEXT)");
  expect(queue.exists()).toBe(false);
  expect(queue.look(delivery)).toEqual({ kind: "gone" });
  expect(sql("SELECT name FROM sqlite_master WHERE type = 'table'")).toEqual([{ name: "deliveries" }]);
});

test("a queue that is no database, or locked, is an error that says so at once", () => {
  writeFileSync(join(folder, "deliveries.db"), "no database".repeat(100));
  expect(() => queue.exists()).toThrow("file is not a database");
  rmSync(join(folder, "deliveries.db"));
  queue.make();
  const holder = new DatabaseSync(join(folder, "deliveries.db"));
  holder.exec("BEGIN EXCLUSIVE");
  const began = performance.now();
  expect(() => queue.put(delivery)).toThrow("database is locked");
  expect(performance.now() - began).toBeLessThan(2000);
  holder.exec("ROLLBACK");
  holder.close();
  chmodSync(join(folder, "deliveries.db"), 0o600);
  queue.put(delivery);
  expect(queue.look(delivery)).toEqual({ kind: "untaken" });
});

test("the way in which Hermes keeps its journal is left as it is", () => {
  queue.make();
  sql("PRAGMA journal_mode = WAL");
  queue.put(delivery);
  expect(sql("PRAGMA journal_mode")).toEqual([{ journal_mode: "wal" }]);
});
