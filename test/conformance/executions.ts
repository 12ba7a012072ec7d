import { existsSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import type { Home } from "./home.ts";

/** A row of Hermes' own ledger, with the columns that its release gives it. */
export interface Execution {
  readonly id: string;
  readonly job_id: string;
  readonly source: string;
  readonly process_id: string;
  readonly pid: number;
  readonly process_started_at: number | null;
  readonly status: string;
  readonly claimed_at: string;
  readonly started_at: string | null;
  readonly finished_at: string | null;
  readonly error: string | null;
  readonly [column: string]: unknown;
}

function ask<Found>(home: Home, question: string): readonly Found[] {
  const path = `${home.path}/cron/executions.db`;
  if (!existsSync(path)) return [];
  const database = new DatabaseSync(path, { readOnly: true, timeout: 5000 });
  try {
    // Hermes makes the file a moment before it makes the table.
    const isMade = database.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'executions'").get() !== undefined;
    return isMade ? (database.prepare(question).all() as unknown as readonly Found[]) : [];
  } finally {
    database.close();
  }
}

/** The oldest first. */
export function executions(home: Home): readonly Execution[] {
  return ask(home, "SELECT * FROM executions ORDER BY julianday(claimed_at), rowid");
}

/** All that SQLite keeps of the layout, and how the file is written. */
export function executionsLayout(home: Home): unknown {
  return [
    ask(home, "SELECT type, name, sql FROM sqlite_schema WHERE tbl_name = 'executions' ORDER BY name"),
    ask(home, "PRAGMA journal_mode"),
  ];
}

/** Of a row, all but what differs from run to run: null, or the shape of what is there. */
export function maskExecution(home: Home, row: Execution): unknown {
  const shape = (value: unknown): unknown =>
    typeof value === "string"
      ? value
          .replaceAll(home.path, "<home>")
          .replace(/^[0-9a-f]{32}$/u, "<hex>")
          .replace(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+05:30$/u, "<time>")
      : value;
  const masked = Object.fromEntries(Object.entries(row).map(([column, value]) => [column, shape(value)]));
  return { ...masked, source: "<source>", pid: typeof row.pid, process_started_at: typeof row.process_started_at };
}
