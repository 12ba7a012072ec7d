import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, expect, test } from "vitest";
import { resolveIncidents } from "../../src/delivery/hermes-incidents.ts";
import { createFiles } from "../../src/system/real-files.ts";

let folder: string;
const system = { files: createFiles() };
const at = "2026-01-05T12:00:00+00:00";

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "incidents-"));
});

afterEach(() => rmSync(folder, { recursive: true }));

function within<Result>(act: (database: DatabaseSync) => Result): Result {
  const database = new DatabaseSync(join(folder, "executions.db"));
  try {
    return act(database);
  } finally {
    database.close();
  }
}

test("resolveIncidents() closes the open failures of one job, and no other", () => {
  within((database) => {
    database.exec("CREATE TABLE cron_incidents (id TEXT, job_id TEXT, state TEXT, closed_at TEXT)");
    for (const [id, job, state] of [
      ["1", "a", "detected"],
      ["2", "a", "alerted"],
      ["3", "a", "closed"],
      ["4", "b", "alerted"],
    ] as const)
      database.prepare("INSERT INTO cron_incidents (id, job_id, state) VALUES (?, ?, ?)").run(id, job, state);
  });
  resolveIncidents(system, folder, "a", at);
  expect(within((database) => database.prepare("SELECT * FROM cron_incidents").all())).toEqual([
    { id: "1", job_id: "a", state: "resolved", closed_at: at },
    { id: "2", job_id: "a", state: "resolved", closed_at: at },
    { id: "3", job_id: "a", state: "closed", closed_at: null },
    { id: "4", job_id: "b", state: "alerted", closed_at: null },
  ]);
});

test("resolveIncidents() makes nothing where Hermes keeps no failures", () => {
  resolveIncidents(system, folder, "a", at);
  expect(existsSync(join(folder, "executions.db"))).toBe(false);
  within((database) => database.exec("CREATE TABLE executions (id TEXT)"));
  resolveIncidents(system, folder, "a", at);
  expect(within((database) => database.prepare("SELECT name FROM sqlite_schema").all())).toEqual([
    { name: "executions" },
  ]);
});
