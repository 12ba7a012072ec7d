import { DatabaseSync, type StatementSync } from "node:sqlite";
import { pathToFileURL } from "node:url";
import { type DeliveryOutcome, type ExecutionRow, executionSource, provesCompletion } from "../core/execution-row.ts";
import { formatUtcInstant, parseInstant } from "../core/instant.ts";
import { createZone } from "../core/zone.ts";
import { type FileIdentity, sameFile } from "../system/files.ts";
import type { System } from "../system/system.ts";
import { orNull, type Row } from "./slots.ts";

/**
 * What became of a try at Hermes' ledger: `absent` where there is none, `busy` where somebody holds it or the disk is full, so that it
 * is worth trying again, and `left` where it is not what we know; `problem` says why.
 */
export type ExecutionsResult =
  | { readonly kind: "done" }
  | { readonly kind: "absent" }
  | { readonly kind: "busy" | "left"; readonly problem: string };

/** A row to be written. One that must not be made, but may be there and is to be ended, is `onlyIfThere`. */
export interface ExecutionWrite {
  readonly row: ExecutionRow;
  readonly deliveryOutcome: DeliveryOutcome | null;
  readonly onlyIfThere: boolean;
}

/** Of the rows in the file, what tells which of ours are missing or out of date. */
export interface KnownExecutions {
  /** By id, the status of rows with our source. */
  readonly statuses: ReadonlyMap<string, string>;
  /** The claim of the oldest ended row of anybody (Unix ms) where older ones may have been deleted, else null. */
  readonly keptFromMs: number | null;
}

/** Hermes' own ledger of one home, `cron/executions.db`. Never made, and its journal mode is never touched. */
export interface HermesExecutions {
  /** Writes these rows in one transaction, each of them again if need be: a row that has ended changes no more. */
  write(writes: readonly ExecutionWrite[]): ExecutionsResult;
  /** Says of open rows of ours that their runs go on. */
  touch(ids: readonly string[], at: string): ExecutionsResult;
  known(): KnownExecutions | ExecutionsResult;
  /** Whether anybody's row says that this instant of a job was completed. What cannot be read says nothing. */
  isCompleted(jobId: string, scheduledAtMs: number): boolean;
  /**
   * Whether a run of the job was under way at this instant, and none was dispatched for it before the schedule's next one, at
   * `nextAtMs`. Before 0.22 rows name no instants: a run then was for the last one that had come when it was claimed.
   */
  isOverlapped(jobId: string, scheduledAtMs: number, nextAtMs: number): boolean;
  /**
   * When a scheduler last claimed a run of the job from `fromMs` on, where rows name no instants: for 0.19 this is the only sign of
   * a run that goes on. Null when there is none.
   */
  claimedSinceMs(jobId: string, fromMs: number): number | null;
  /** What the file is now; null when there is none. */
  identity(): FileIdentity | null;
}

const known = {
  needed: [
    "id",
    "job_id",
    "source",
    "process_id",
    "pid",
    "process_started_at",
    "status",
    "claimed_at",
    "started_at",
    "finished_at",
    "error",
  ],
  /** Since 0.22. */
  added: ["handoff_pending", "handoff_started_at", "delivery_outcome", "scheduled_instant", "progress_at"],
};

/** A run that was under way at an instant in question is among the job's last. */
const rowsLookedAt = 100;

/** Hermes keeps this many ended rows, and deletes the others whenever it ends one. */
const endedRowsMax = 1000;
/** Where only we write, so many more may gather before we do the same. */
const endedRowsSlack = 100;
/** The loop of the daemon stands still so long at most; a row can wait. */
const writeWaitMs = 20;
const readWaitMs = 5;
/** What was busy or broken is not asked again within this time, however many jobs are due. */
const readRetryMs = 1000;

const utc = createZone("UTC", 0);

/** SQLite's own codes, without the extended part: BUSY, LOCKED, IOERR, FULL, PROTOCOL. */
const passingCodes: ReadonlySet<number> = new Set([5, 6, 10, 13, 15]);

class UnknownSchemaError extends Error {
  override readonly name = "UnknownSchemaError";
}

/** Opens the file that is there, and makes none. */
export type OpenExecutions = (
  path: string,
  options: { readonly readOnly: boolean; readonly timeout: number },
) => DatabaseSync;

function openExecutions(path: string, options: { readonly readOnly: boolean; readonly timeout: number }): DatabaseSync {
  const address = pathToFileURL(path);
  // Between a look and the opening the file may go, and SQLite would make it anew.
  address.searchParams.set("mode", options.readOnly ? "ro" : "rw");
  return new DatabaseSync(address, options);
}

/** With an `open` of its own where there are no real files. */
export function createHermesExecutions(
  system: Pick<System, "files" | "clock">,
  path: string,
  open: OpenExecutions = openExecutions,
): HermesExecutions {
  const { files, clock } = system;

  /** Null where there is no table yet: Hermes is about to make it. */
  function columnsOf(database: DatabaseSync): ReadonlySet<string> | null {
    const rows = database.prepare("PRAGMA table_info(executions)").all();
    if (rows.length === 0) {
      // Hermes 0.22 keeps its incidents in the same file, and may have made them first.
      const others = "SELECT 1 FROM sqlite_schema WHERE tbl_name <> 'cron_incidents' LIMIT 1";
      if (database.prepare(others).get() === undefined) return null;
      throw new UnknownSchemaError('it has no table "executions"');
    }
    const columns = new Set(rows.map((row: Row<"name">) => String(row.name)));
    const missing = known.needed.filter((name) => !columns.has(name));
    if (missing.length > 0) throw new UnknownSchemaError(`its table has no column "${missing.join('", "')}"`);
    const strange = [...columns].filter((name) => !known.needed.includes(name) && !known.added.includes(name));
    if (strange.length > 0) {
      throw new UnknownSchemaError(
        `its table has the column "${strange.join('", "')}", which this version does not know`,
      );
    }
    return columns;
  }

  function inTransaction(act: (database: DatabaseSync, columns: ReadonlySet<string>) => void): ExecutionsResult {
    let database: DatabaseSync | null = null;
    try {
      if (files.stat(path) === null) return { kind: "absent" };
      database = open(path, { readOnly: false, timeout: writeWaitMs });
      const columns = columnsOf(database);
      if (columns === null) return { kind: "absent" };
      database.exec("PRAGMA synchronous = FULL; BEGIN IMMEDIATE");
      act(database, columns);
      database.exec("COMMIT");
      return { kind: "done" };
    } catch (error) {
      return failed(error);
    } finally {
      // What was begun and not committed goes with the connection.
      database?.close();
    }
  }

  let answers: Answers = { main: null, log: null, known: new Map() };
  /** What could not be read is left alone until then. */
  let readAgainAtMonotonicMs = Number.NEGATIVE_INFINITY;
  let reader: {
    readonly database: DatabaseSync;
    readonly find: StatementSync | null;
    readonly latest: StatementSync | null;
    readonly hasInstants: boolean;
  } | null = null;

  /** A reader for all questions of one turn of the loop. Null where there is nothing to be asked. */
  function openReader(): NonNullable<typeof reader> {
    if (reader !== null) return reader;
    const database = open(path, { readOnly: true, timeout: readWaitMs });
    // Before anything else can fail, so that it is closed in any case.
    reader = { database, find: null, latest: null, hasInstants: false };
    clock.after(0, () => {
      reader = null;
      database.close();
    });
    const columns = columnsOf(database);
    if (columns === null) return reader;
    const hasInstants = columns.has("scheduled_instant");
    const find = hasInstants
      ? database.prepare(
          "SELECT finished_at, claimed_at FROM executions WHERE job_id = ? AND scheduled_instant = ? AND status = 'completed'",
        )
      : null;
    // Where rows name their instants, ours are known better here: what came during them was decided by us.
    const latest = database.prepare(
      `SELECT claimed_at, finished_at, source${hasInstants ? ", scheduled_instant" : ""} FROM executions
        WHERE job_id = ?${hasInstants ? " AND source <> 'supervisor'" : ""} ORDER BY rowid DESC LIMIT ${rowsLookedAt}`,
    );
    reader = { database, find, latest, hasInstants };
    return reader;
  }

  function ask(jobId: string, scheduledAtMs: number): boolean {
    const rows = openReader().find?.all(jobId, formatUtcInstant(scheduledAtMs)) ?? [];
    return rows.some((row: Row<"finished_at" | "claimed_at">) => {
      const text = row.finished_at ?? row.claimed_at;
      return provesCompletion(scheduledAtMs, timeOf(text));
    });
  }

  function askOverlapped(jobId: string, scheduledAtMs: number, nextAtMs: number): boolean {
    const { latest, hasInstants } = openReader();
    const rows = latest?.all(jobId) ?? [];
    const instant = formatUtcInstant(scheduledAtMs);
    const isDispatch = (row: Row<"scheduled_instant" | "claimed_at">): boolean => {
      if (hasInstants) return row.scheduled_instant === instant;
      const claimedAtMs = timeOf(row.claimed_at);
      return claimedAtMs !== null && claimedAtMs >= scheduledAtMs && claimedAtMs < nextAtMs;
    };
    if (rows.some(isDispatch)) return false;
    return rows.some((row: Row<"claimed_at" | "finished_at">) => {
      const claimedAtMs = timeOf(row.claimed_at);
      if (claimedAtMs === null || claimedAtMs >= scheduledAtMs) return false;
      return row.finished_at === null || (timeOf(row.finished_at) ?? 0) > scheduledAtMs;
    });
  }

  function askClaimed(jobId: string, fromMs: number): number | null {
    const { latest, hasInstants } = openReader();
    if (hasInstants) return null;
    const claims = (latest?.all(jobId) ?? []).map((row: Row<"source" | "claimed_at">) =>
      row.source === "supervisor" ? null : timeOf(row.claimed_at),
    );
    return claims.find((claimedAtMs) => claimedAtMs !== null && claimedAtMs >= fromMs) ?? null;
  }

  function askCompleted(main: FileIdentity, jobId: string, scheduledAtMs: number): boolean {
    const log = files.stat(`${path}-wal`);
    if (!sameFile(main, answers.main) || !sameFile(log, answers.log)) answers = { main, log, known: new Map() };
    const key = `${jobId}\n${scheduledAtMs}`;
    const answer = answers.known.get(key) ?? ask(jobId, scheduledAtMs);
    answers.known.set(key, answer);
    return answer;
  }

  /** `otherwise` also where there is no file, or it cannot be read, which is not tried again at once. */
  function answered<Answer>(question: (main: FileIdentity) => Answer, otherwise: Answer): Answer {
    const main = files.stat(path);
    if (main === null || clock.monotonicMs() < readAgainAtMonotonicMs) return otherwise;
    try {
      return question(main);
    } catch (error) {
      failed(error);
      // Nobody can say, and then Hermes runs it, too. Whoever writes to this file says what is wrong with it.
      readAgainAtMonotonicMs = clock.monotonicMs() + readRetryMs;
      return otherwise;
    }
  }

  return {
    write: (writes) =>
      inTransaction((database, columns) => {
        const insert = database.prepare(insertText(columns));
        const end = database.prepare(endText(columns));
        const deliver = columns.has("delivery_outcome")
          ? database.prepare("UPDATE executions SET delivery_outcome = ? WHERE id = ? AND process_id = ?")
          : null;
        for (const { row, deliveryOutcome, onlyIfThere } of writes) {
          if (!onlyIfThere) insert.run(...insertValues(row, columns));
          const { status, startedAt, finishedAt, error, id, processId } = row;
          end.run(status, startedAt, finishedAt, error, id, processId, status);
          if (deliveryOutcome !== null) deliver?.run(deliveryOutcome, id, processId);
        }
        prune(database);
      }),
    touch: (ids, at) =>
      inTransaction((database, columns) => {
        if (!columns.has("progress_at")) return;
        const update = database.prepare(
          "UPDATE executions SET progress_at = ? WHERE id = ? AND process_id = ? AND status IN ('claimed', 'running')",
        );
        for (const id of ids) update.run(at, id, id);
      }),
    known() {
      let found: KnownExecutions | null = null;
      const result = inTransaction((database) => {
        found = readKnown(database);
      });
      return found ?? result;
    },
    isCompleted: (jobId, scheduledAtMs) => answered((main) => askCompleted(main, jobId, scheduledAtMs), false),
    isOverlapped: (jobId, scheduledAtMs, nextAtMs) =>
      answered(() => askOverlapped(jobId, scheduledAtMs, nextAtMs), false),
    claimedSinceMs: (jobId, fromMs) => answered(() => askClaimed(jobId, fromMs), null),
    identity: () => files.stat(path),
  };
}

function timeOf(text: unknown): number | null {
  return typeof text === "string" ? parseInstant(text, utc) : null;
}

/** What was asked of the file as it is, with its write-ahead log. */
interface Answers {
  readonly main: FileIdentity | null;
  readonly log: FileIdentity | null;
  readonly known: Map<string, boolean>;
}

/** What went wrong with the file. A fault in this program is thrown on. */
function failed(error: unknown): ExecutionsResult {
  if (!(error instanceof Error)) throw error;
  const code = "errcode" in error && typeof error.errcode === "number" ? error.errcode & 0xff : null;
  if (code === null && !(error instanceof UnknownSchemaError) && !("syscall" in error)) throw error;
  const kind = code !== null && passingCodes.has(code) ? "busy" : "left";
  return { kind, problem: error.message };
}

function insertText(columns: ReadonlySet<string>): string {
  const names = [...known.needed, ...(columns.has("scheduled_instant") ? ["scheduled_instant"] : [])];
  return `INSERT INTO executions (${names.join(", ")}) VALUES (${names.map(() => "?").join(", ")}) ON CONFLICT (id) DO NOTHING`;
}

function insertValues(row: ExecutionRow, columns: ReadonlySet<string>): (string | number | null)[] {
  const { id, jobId, source, processId, pid, processStartedAt, status, claimedAt, startedAt, finishedAt, error } = row;
  return [
    id,
    jobId,
    source,
    processId,
    pid,
    processStartedAt,
    status,
    claimedAt,
    startedAt,
    finishedAt,
    error,
    ...(columns.has("scheduled_instant") ? [row.scheduledInstant] : []),
  ];
}

/**
 * Hermes calls a row `unknown` whose process it finds gone. Of a run of ours we know better once its end is found, and that is the
 * only end that is ever changed.
 */
function endText(columns: ReadonlySet<string>): string {
  const handOff = columns.has("handoff_pending") ? "handoff_pending = 0, handoff_started_at = NULL," : "";
  return `UPDATE executions SET ${handOff} status = ?, started_at = coalesce(started_at, ?), finished_at = ?, error = ?
    WHERE id = ? AND process_id = ?
      AND (status IN ('claimed', 'running') OR (status = 'unknown' AND ? IN ('completed', 'failed')))`;
}

/** As Hermes does whenever it ends a run; where it ticks there is never anything to do. */
function prune(database: DatabaseSync): void {
  const ended = "status IN ('completed', 'failed', 'unknown')";
  const count: Row<"rows"> | undefined = database
    .prepare(`SELECT count(*) AS rows FROM executions WHERE ${ended}`)
    .get();
  if (Number(count?.rows ?? 0) <= endedRowsMax + endedRowsSlack) return;
  database.exec(`DELETE FROM executions WHERE id IN (
    SELECT id FROM executions WHERE ${ended}
    ORDER BY julianday(claimed_at) DESC, claimed_at DESC, id DESC LIMIT -1 OFFSET ${endedRowsMax})`);
}

function readKnown(database: DatabaseSync): KnownExecutions {
  const rows = database.prepare("SELECT id, status FROM executions WHERE source = ?").all(executionSource);
  const statuses = new Map(rows.map((row: Row<"id" | "status">) => [String(row.id), String(row.status)]));
  const ended = "status IN ('completed', 'failed', 'unknown')";
  const count: Row<"rows"> | undefined = database
    .prepare(`SELECT count(*) AS rows FROM executions WHERE ${ended}`)
    .get();
  if (Number(count?.rows ?? 0) < endedRowsMax) return { statuses, keptFromMs: null };
  const oldest: Row<"claimed_at"> | undefined = database
    .prepare(`SELECT claimed_at FROM executions WHERE ${ended} ORDER BY julianday(claimed_at) LIMIT 1`)
    .get();
  const keptFromMs = orNull(oldest?.claimed_at, (text) => parseInstant(String(text), utc));
  return { statuses, keptFromMs };
}
