import { DatabaseSync } from "node:sqlite";
import type { DeliveryState } from "../core/delivery.ts";
import { InvariantError } from "../core/invariant-error.ts";
import type { Run, RunReason } from "../core/run.ts";
import { nextRunState, type RunEvent, type RunState } from "../core/run-states.ts";
import type { System } from "../system/system.ts";
import { type AlertLedger, createAlertLedger, noAlerts } from "./alerts.ts";
import { type AttemptLedger, createAttemptLedger, noAttempts, toRunRetry } from "./attempts.ts";
import { createDeliveryLedger, type DeliveryLedger, noDeliveries } from "./deliveries.ts";
import { createHistoryLedger, type HistoryLedger, noHistory } from "./home-history.ts";
import { createRetentionLedger, type RetentionLedger } from "./retention.ts";
import { LedgerError, ledgerVersion, prepareSchema, schemaVersion } from "./schema.ts";
import {
  createSlotLedger,
  fromMicroseconds,
  orNull,
  type Row,
  type SlotLedger,
  toMicroseconds,
  where,
} from "./slots.ts";
import { createStatementCache } from "./statement-cache.ts";

export type TerminalState = "completed" | "failed" | "void";

/** A run that its job's policy stopped says nothing of how the job is doing: the one before it does. */
export interface ReplacedRun {
  readonly run: Run;
  readonly before: Run | null;
}

/** What is known once a run is over. */
export interface RunEnd {
  readonly state: TerminalState;
  readonly reason: RunReason | null;
  readonly exitCode: number | null;
  readonly signal: string | null;
  readonly error: string | null;
  readonly endedAtMs: number;
  readonly outputBytes: number | null;
  readonly outputPath: string | null;
  readonly documentPath: string | null;
}

export type OrphanedRun = Pick<Run, "home" | "jobId" | "endedAtMs">;

export interface RunQuery {
  readonly home?: string;
  readonly jobId?: string;
  /** What its job was called. No index has it: for a person who asks, not for the daemon. */
  readonly jobName?: string;
  readonly state?: RunState;
  /** Claimed at this instant or later. */
  readonly sinceMs?: number;
  /** Claimed at this instant or earlier. */
  readonly untilMs?: number;
  /** 0 means all. */
  readonly limit: number;
}

/** Something that a person asked for and that must outlive the asker. `runId` names the run to stop, or that served the request. */
export interface LedgerRequest {
  readonly id: number;
  readonly kind: "run" | "stop";
  readonly home: string;
  readonly jobId: string;
  readonly runId: string | null;
  readonly requestedAtMs: number;
  readonly closedAtMs: number | null;
}

/** A transaction that is written and not in force. */
export interface StagedTransaction {
  /** Puts it in force. No kill can take that back; a power cut can until the ledger is synced. */
  commit(): void;
  /** Takes it back, unless it is in force by now. */
  rollback(): void;
}

/** The note of a run that has ended and whose job's record does not say so yet. */
const unsettledKey = (runId: string): string => `unsettled ${runId}`;

/** SQLite's own default: with more pages in its log, a commit moves them into the database. */
const logPagesMax = 1000;

/** The history of runs, slots, deliveries and requests. Each call outside `transaction` is a transaction of its own. */
export interface RunLedger
  extends SlotLedger,
    DeliveryLedger,
    HistoryLedger,
    RetentionLedger,
    AttemptLedger,
    AlertLedger {
  /** Makes everything that `act` writes durable at once, or nothing of it when `act` throws. May be nested. */
  transaction<Result>(act: () => Result): Result;
  /** As `transaction`, in two steps. In between belongs nothing that writes here. */
  stage(act: () => void): StagedTransaction;
  /** Brings to the disk what staged transactions committed. */
  sync(): void;
  claim(runs: readonly Run[]): void;
  start(runId: string, startedAtMs: number): void;
  /**
   * Records the end of a run. The first cause wins: false, and nothing changes, when the run was over already. A void run
   * served nobody: the request that it was made for is open again.
   */
  close(runId: string, end: RunEnd): boolean;
  /** Adds what became known of a run after its end, such as the document saved from its output. */
  addOutput(runId: string, output: Pick<RunEnd, "outputBytes" | "outputPath" | "documentPath">): void;
  /** Notes of an ended run that its job's record was somebody else's, or gone, by then. */
  supersede(runId: string): void;
  /** Ended runs of a home of which nobody wrote down what became of their job's record. */
  unsettledRuns(home: string): readonly Run[];
  /** What there was to do to the records of these ended runs is done. */
  settled(runIds: readonly string[]): void;
  /** Marks a run that outlived the daemon that started it. */
  adopt(runId: string): void;
  /** Those claimed or running, oldest claim first. */
  openRuns(home?: string): readonly Run[];
  run(runId: string): Run | null;
  /** Of all runs: a year's worth are asked for faster at once than one by one. */
  runIds(): ReadonlySet<string>;
  /** The run whose claim has this `by`. */
  runByOwner(owner: string): Run | null;
  /** Newest claim first. */
  runs(query: RunQuery): readonly Run[];
  /** Of every home, those that were open at this instant or are since, the newest claim first. Bounded: claimed within a week before, a hundred. */
  runsOpenAt(atMs: number): readonly Run[];
  /** In the order of their claims, from behind the place `afterSeq` (0) up to `untilSeq`; a shorter page is the last. */
  runsPage(
    query: RunQuery,
    afterSeq: number,
    untilSeq: number,
  ): { readonly seq: number; readonly runs: readonly Run[] };
  /** When runs that nobody saw the end of were given up, those that were claimed last first. */
  orphanedRuns(limit: number): readonly OrphanedRun[];
  /** Of each job the newest run that made way for the next one, and the run before it that ended otherwise. */
  replacedRuns(): readonly ReplacedRun[];
  /** At most `limit` runs whose id begins with `beginning`. */
  runsBeginning(beginning: string, limit: number): readonly Run[];
  addRequest(request: Omit<LedgerRequest, "id" | "closedAtMs">): number;
  request(id: number): LedgerRequest | null;
  openRequests(): readonly LedgerRequest[];
  /** `runId` names the run that served the request, if one did. False when it was closed before. */
  closeRequest(id: number, closedAtMs: number, runId: string | null): boolean;
  note(key: string): string | null;
  /** Null forgets the note. */
  setNote(key: string, value: string | null): void;
  /** Another text after each write, whoever wrote: what was read at this version still stands while it is the same. Not within a transaction. */
  version(): string;
  /** Closes the file; nothing may be called afterwards. */
  dispose(): void;
}

const openLookBackMs = 7 * 86_400_000;

const endEvents: Readonly<Record<TerminalState, RunEvent>> = { completed: "complete", failed: "fail", void: "void" };

const runColumns = [
  "id",
  "home",
  "job_id",
  "job_name",
  "kind",
  "trigger",
  "scheduled_us",
  "claimed_us",
  "started_us",
  "ended_us",
  "attempt",
  "state",
  "reason",
  "exit_code",
  "signal",
  "pid",
  "start_ticks",
  "boot_id",
  "pid_namespace",
  "owner",
  "adopted",
  "error",
  "output_bytes",
  "output_path",
  "document_path",
] as const;

type RunRow = Row<
  | (typeof runColumns)[number]
  | "seq"
  | "delivery_state"
  | "delivery_target"
  | "delivery_error"
  | "retry_state"
  | "retry_attempt"
  | "retry_due_us"
  | "retry_reason"
  | "retry_run_id"
>;
type RequestRow = Row<"id" | "kind" | "home" | "job_id" | "run_id" | "requested_us" | "closed_us">;

/**
 * Opens the ledger at `path`, and makes it unless `readOnly` is set. A reader works beside a live daemon, and finds an empty
 * history where there is no ledger yet.
 */
export function createRunLedger(
  system: Pick<System, "files">,
  path: string,
  options: { readonly readOnly?: boolean } = {},
): RunLedger {
  const database = openDatabase(system, path, options.readOnly ?? false);
  const version = schemaVersion(database);
  const slots = createSlotLedger(database, version >= 3);
  const hasDeliveries = version >= 2;
  const deliveries = hasDeliveries ? createDeliveryLedger(database) : noDeliveries();
  const alerts = version >= 3 ? createAlertLedger(database) : noAlerts();
  const history = version >= 3 ? createHistoryLedger(database) : noHistory();
  const attempts = version >= 3 ? createAttemptLedger(database) : noAttempts();
  const withDelivery = hasDeliveries
    ? [
        ", delivery.state AS delivery_state, delivery.target AS delivery_target, delivery.error AS delivery_error",
        " LEFT JOIN delivery ON delivery.run_id = run.id",
      ]
    : ["", ""];
  const withRetry =
    version >= 3
      ? [
          `, retry.state AS retry_state, retry.attempt AS retry_attempt, retry.due_us AS retry_due_us,
            retry.reason AS retry_reason, retry.next_run_id AS retry_run_id`,
          " LEFT JOIN retry ON retry.run_id = run.id",
        ]
      : ["", ""];
  const selectRun = `SELECT run.*${withDelivery[0]}${withRetry[0]} FROM run${withDelivery[1]}${withRetry[1]}`;
  const select = createStatementCache(database);
  let depth = 0;
  let isUnsynced = false;

  const readChanges = database.prepare("SELECT total_changes() AS own");
  const readForeign = database.prepare("PRAGMA data_version");
  const begin = database.prepare("BEGIN IMMEDIATE");
  const commit = database.prepare("COMMIT");
  const insertRun = database.prepare(
    `INSERT INTO run (${runColumns.join(", ")}) VALUES (${runColumns.map(() => "?").join(", ")})`,
  );
  const readState = database.prepare("SELECT state FROM run WHERE id = ?");
  // The wall clock may be set back by a few milliseconds at any moment; that must not turn a run's life around.
  const startRun = database.prepare("UPDATE run SET state = ?, started_us = max(?, claimed_us) WHERE id = ?");
  const adoptRun = database.prepare("UPDATE run SET state = ?, adopted = 1 WHERE id = ?");
  const closeRun = database.prepare(
    `UPDATE run SET state = ?, reason = ?, exit_code = ?, signal = ?, error = ?,
      ended_us = max(?, coalesce(started_us, claimed_us)),
      output_bytes = ?, output_path = coalesce(?, output_path), document_path = ? WHERE id = ?`,
  );
  const addOutputToRun = database.prepare(
    `UPDATE run SET output_bytes = coalesce(?, output_bytes), output_path = coalesce(?, output_path),
      document_path = coalesce(?, document_path) WHERE id = ?`,
  );
  const supersedeRun = database.prepare(
    "UPDATE run SET reason = 'superseded' WHERE id = ? AND state IN ('completed', 'failed')",
  );
  const insertRequest = database.prepare(
    "INSERT INTO request (kind, home, job_id, run_id, requested_us) VALUES (?, ?, ?, ?, ?)",
  );
  const reopenRequest = database.prepare(
    "UPDATE request SET closed_us = NULL, run_id = NULL WHERE kind = 'run' AND run_id = ?",
  );
  const closeOneRequest = database.prepare(
    "UPDATE request SET closed_us = ?, run_id = coalesce(?, run_id) WHERE id = ? AND closed_us IS NULL",
  );

  function transaction<Result>(act: () => Result): Result {
    if (depth > 0) return act();
    const { result, end } = begun(act);
    // With anything to write this syncs the whole log; without, it syncs nothing, so what waits for `sync` still does.
    end(() => void commit.run());
    return result;
  }

  function rollback(): void {
    // SQLite has already rolled back by itself after some errors, a full disk among them.
    if (database.isTransaction) database.exec("ROLLBACK");
  }

  function stage(act: () => void): StagedTransaction {
    if (depth > 0) throw new InvariantError("Cannot stage a transaction within another one");
    // What commits it holds locks, and a disk can take longer for its sync than all the rest: that comes when they are let go of.
    database.exec("PRAGMA synchronous = NORMAL");
    const { end } = begun(act, () => database.exec("PRAGMA synchronous = FULL"));
    // So does moving the log into the database.
    const commitAlone = (): void => {
      database.exec("PRAGMA wal_autocheckpoint = 0");
      try {
        commit.run();
        isUnsynced = true;
      } finally {
        database.exec(`PRAGMA wal_autocheckpoint = ${logPagesMax}`);
      }
    };
    return { commit: () => end(commitAlone), rollback: () => end(rollback) };
  }

  /** Begins a transaction with `act`. It is open until `end` is called with what finishes it; a second `end` does nothing. */
  function begun<Result>(
    act: () => Result,
    ended: () => void = () => {},
  ): { readonly result: Result; readonly end: (finish: () => void) => void } {
    try {
      begin.run();
    } catch (error) {
      ended();
      throw error;
    }
    depth = 1;
    const end = (finish: () => void): void => {
      if (depth === 0) return;
      try {
        finish();
      } finally {
        rollback();
        depth = 0;
        ended();
      }
    };
    try {
      return { result: act(), end };
    } catch (error) {
      end(rollback);
      throw error;
    }
  }

  function stateOf(runId: string): RunState {
    const row: RunRow | undefined = readState.get(runId);
    if (row === undefined) throw new Error(`Cannot change run "${runId}": the ledger has no such run`);
    return row.state as RunState;
  }

  function close(runId: string, end: RunEnd): boolean {
    return transaction(() => {
      const from = stateOf(runId);
      const to = nextRunState(runId, from, endEvents[end.state]);
      if (to === from) return false;
      closeRun.run(
        to,
        end.reason,
        end.exitCode,
        end.signal,
        end.error,
        toMicroseconds(end.endedAtMs),
        end.outputBytes,
        end.outputPath,
        end.documentPath,
        runId,
      );
      if (to === "void") {
        reopenRequest.run(runId);
        attempts.reopenRetry(runId);
      } else select("INSERT OR REPLACE INTO note VALUES (?, '')").run(unsettledKey(runId));
      return true;
    });
  }

  return {
    transaction,
    stage,
    sync() {
      // Where the path is a link, SQLite has its log beside what that leads to.
      const file = database.location();
      if (isUnsynced && file !== null) system.files.syncData(`${file}-wal`);
      isUnsynced = false;
    },
    claim(runs) {
      transaction(() => {
        for (const run of runs) {
          if (run.state !== "claimed")
            throw new InvariantError(`Cannot claim run "${run.id}": it is ${run.state} already`);
          insertRun.run(...toRow(run));
        }
      });
    },
    start(runId, startedAtMs) {
      transaction(() => {
        startRun.run(nextRunState(runId, stateOf(runId), "start"), toMicroseconds(startedAtMs), runId);
      });
    },
    close,
    addOutput: (runId, output) => {
      addOutputToRun.run(output.outputBytes, output.outputPath, output.documentPath, runId);
    },
    supersede: (runId) => void supersedeRun.run(runId),
    unsettledRuns: (home) =>
      select("SELECT run.* FROM note JOIN run ON note.key = 'unsettled ' || run.id WHERE run.home = ? ORDER BY run.seq")
        .all(home)
        .map(toRun),
    settled(runIds) {
      transaction(() => {
        for (const runId of runIds) select("DELETE FROM note WHERE key = ?").run(unsettledKey(runId));
      });
    },
    adopt(runId) {
      transaction(() => {
        adoptRun.run(nextRunState(runId, stateOf(runId), "adopt"), runId);
      });
    },
    openRuns(home) {
      const { text, values } = where([["home = ?", home]]);
      const condition = text === "" ? " WHERE" : `${text} AND`;
      const statement = select(`SELECT * FROM run${condition} state IN ('claimed', 'running') ORDER BY seq`);
      return statement.all(...values).map(toRun);
    },
    runByOwner: (owner) => orNull(select("SELECT * FROM run WHERE owner = ?").get(owner), toRun),
    run: (runId) => orNull(select(`${selectRun} WHERE run.id = ?`).get(runId), toRun),
    runIds: () =>
      new Set(
        select("SELECT id FROM run")
          .all()
          .map(({ id }) => String(id)),
      ),
    runs(query) {
      const { text, values } = where([
        ["run.home = ?", query.home],
        ["run.job_id = ?", query.jobId],
        ["run.job_name = ?", query.jobName],
        ["run.state = ?", query.state],
        ["run.claimed_us >= ?", orNull(query.sinceMs, toMicroseconds) ?? undefined],
        ["run.claimed_us <= ?", orNull(query.untilMs, toMicroseconds) ?? undefined],
      ]);
      const statement = select(`${selectRun}${text} ORDER BY run.claimed_us DESC, run.seq DESC LIMIT ?`);
      return statement.all(...values, query.limit === 0 ? -1 : query.limit).map(toRun);
    },
    runsPage(query, afterSeq, untilSeq) {
      // With a plus before it a column is looked up in no index: rows then come in their order, and none has to be sorted.
      const { text, values } = where([
        ["run.seq > ?", afterSeq],
        ["run.seq <= ?", untilSeq],
        ["+run.home = ?", query.home],
        ["+run.job_id = ?", query.jobId],
        ["+run.state = ?", query.state],
        ["+run.claimed_us >= ?", orNull(query.sinceMs, toMicroseconds) ?? undefined],
      ]);
      const rows: readonly RunRow[] = select(`${selectRun}${text} ORDER BY run.seq LIMIT ?`).all(
        ...values,
        query.limit,
      );
      return { seq: Number(rows.at(-1)?.seq ?? untilSeq), runs: rows.map(toRun) };
    },
    runsOpenAt: (atMs) =>
      select(
        `SELECT * FROM run WHERE claimed_us BETWEEN ? AND ? AND (ended_us IS NULL OR ended_us >= ?)
          ORDER BY claimed_us DESC LIMIT 100`,
      )
        .all(toMicroseconds(atMs - openLookBackMs), toMicroseconds(atMs), toMicroseconds(atMs))
        .map(toRun),
    orphanedRuns: (limit) =>
      select("SELECT home, job_id, ended_us FROM run WHERE reason = 'orphaned' ORDER BY claimed_us DESC LIMIT ?")
        .all(limit)
        .map(
          (row: Row<"home" | "job_id" | "ended_us">): OrphanedRun => ({
            home: String(row.home),
            jobId: String(row.job_id),
            endedAtMs: orNull(row.ended_us ?? null, fromMicroseconds),
          }),
        ),
    replacedRuns() {
      const newest = select("SELECT *, max(claimed_us) FROM run WHERE reason = 'replaced' GROUP BY home, job_id");
      const ended = select(
        `SELECT * FROM run WHERE job_id = ? AND home = ? AND claimed_us <= ? AND state IN ('completed', 'failed')
          AND reason IS NOT 'replaced' ORDER BY claimed_us DESC, seq DESC LIMIT 1`,
      );
      return newest.all().map((row: RunRow): ReplacedRun => {
        const { job_id: jobId = null, home = null, claimed_us: claimedUs = null } = row;
        return { run: toRun(row), before: orNull(ended.get(jobId, home, claimedUs), toRun) };
      });
    },
    runsBeginning(beginning, limit) {
      // Compared as a range, which the index serves; LIKE would take `_` and `%` of the text for wildcards.
      const statement = select(`${selectRun} WHERE run.id >= ? AND run.id < ? ORDER BY run.id LIMIT ?`);
      return statement.all(beginning, `${beginning}\u{10ffff}`, limit).map(toRun);
    },
    ...slots,
    ...deliveries,
    ...attempts,
    ...alerts,
    ...history,
    ...createRetentionLedger(database),
    moveDelivery: (runId, event, change) => transaction(() => deliveries.moveDelivery(runId, event, change)),
    writeSlots: (home, lines) => transaction(() => slots.writeSlots(home, lines)),
    writeCursors: (home, changed, dropped) => transaction(() => slots.writeCursors(home, changed, dropped)),
    addRequest(request) {
      const { kind, home, jobId, runId, requestedAtMs } = request;
      return Number(insertRequest.run(kind, home, jobId, runId, toMicroseconds(requestedAtMs)).lastInsertRowid);
    },
    request: (id) => orNull(select("SELECT * FROM request WHERE id = ?").get(id), toRequest),
    openRequests: () => select("SELECT * FROM request WHERE closed_us IS NULL ORDER BY id").all().map(toRequest),
    closeRequest: (id, closedAtMs, runId) => closeOneRequest.run(toMicroseconds(closedAtMs), runId, id).changes === 1,
    note(key) {
      const row: Row<"value"> | undefined = select("SELECT value FROM note WHERE key = ?").get(key);
      return orNull(row?.value, String);
    },
    setNote(key, value) {
      if (value === null) select("DELETE FROM note WHERE key = ?").run(key);
      else select("INSERT OR REPLACE INTO note VALUES (?, ?)").run(key, value);
    },
    version() {
      // SQLite counts what this connection wrote, and notices that another one has.
      const own: Row<"own"> | undefined = readChanges.get();
      const foreign: Row<"data_version"> | undefined = readForeign.get();
      return `${own?.own} ${foreign?.data_version}`;
    },
    dispose: () => database.close(),
  };
}

function openDatabase(system: Pick<System, "files">, path: string, readOnly: boolean): DatabaseSync {
  const found = system.files.stat(path);
  if (readOnly && (found === null || found.sizeBytes === 0)) return emptyDatabase(path);
  // SQLite gives its side files the mode of the database, so the file is made before SQLite would make it.
  if (found === null) system.files.create(path, "", 0o600);
  let database: DatabaseSync | null = null;
  try {
    database = new DatabaseSync(path, { readOnly, timeout: 5000 });
    if (readOnly) {
      const version = schemaVersion(database);
      if (version === 0) return emptyDatabase(path);
      if (version > ledgerVersion) prepareSchema(database, path);
      return database;
    }
    database.exec("PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL");
    prepareSchema(database, path);
    return database;
  } catch (error) {
    database?.close();
    if (error instanceof LedgerError) throw error;
    const problem = error instanceof Error ? error.message : String(error);
    throw new LedgerError(path, null, `${problem}, expected the SQLite database of this program`, { cause: error });
  }
}

function emptyDatabase(path: string): DatabaseSync {
  const database = new DatabaseSync(":memory:");
  prepareSchema(database, path);
  return database;
}

function toRow(run: Run): (string | number | null)[] {
  return [
    run.id,
    run.home,
    run.jobId,
    run.jobName,
    run.kind,
    run.trigger,
    orNull(run.scheduledAtMs, toMicroseconds),
    toMicroseconds(run.claimedAtMs),
    orNull(run.startedAtMs, toMicroseconds),
    orNull(run.endedAtMs, toMicroseconds),
    run.attempt,
    run.state,
    run.reason,
    run.exitCode,
    run.signal,
    run.fingerprint.pid,
    run.fingerprint.startTicks,
    run.fingerprint.bootId,
    run.fingerprint.pidNamespace,
    run.owner,
    run.adopted ? 1 : 0,
    run.error,
    run.outputBytes,
    run.outputPath,
    run.documentPath,
  ];
}

function toRun(row: RunRow): Run {
  return {
    id: String(row.id),
    home: String(row.home),
    jobId: String(row.job_id),
    jobName: String(row.job_name),
    kind: row.kind as Run["kind"],
    trigger: row.trigger as Run["trigger"],
    scheduledAtMs: orNull(row.scheduled_us, fromMicroseconds),
    claimedAtMs: fromMicroseconds(row.claimed_us),
    startedAtMs: orNull(row.started_us, fromMicroseconds),
    endedAtMs: orNull(row.ended_us, fromMicroseconds),
    attempt: Number(row.attempt),
    state: row.state as RunState,
    reason: row.reason as RunReason | null,
    exitCode: orNull(row.exit_code, Number),
    signal: orNull(row.signal, String),
    fingerprint: {
      pid: Number(row.pid),
      startTicks: orNull(row.start_ticks, Number),
      bootId: String(row.boot_id),
      pidNamespace: orNull(row.pid_namespace, String),
    },
    owner: String(row.owner),
    adopted: Number(row.adopted) === 1,
    error: orNull(row.error, String),
    outputBytes: orNull(row.output_bytes, Number),
    outputPath: orNull(row.output_path, String),
    documentPath: orNull(row.document_path, String),
    ...(row.delivery_state === undefined || row.delivery_state === null
      ? {}
      : {
          delivery: {
            state: row.delivery_state as DeliveryState,
            target: String(row.delivery_target),
            error: orNull(row.delivery_error, String),
          },
        }),
    ...(row.retry_state === undefined || row.retry_state === null
      ? {}
      : {
          retry: toRunRetry({
            state: row.retry_state,
            ...(row.retry_attempt === undefined ? {} : { attempt: row.retry_attempt }),
            due_us: row.retry_due_us ?? null,
            reason: row.retry_reason ?? null,
            next_run_id: row.retry_run_id ?? null,
          }),
        }),
  };
}

function toRequest(row: RequestRow): LedgerRequest {
  return {
    id: Number(row.id),
    kind: row.kind as LedgerRequest["kind"],
    home: String(row.home),
    jobId: String(row.job_id),
    runId: orNull(row.run_id, String),
    requestedAtMs: fromMicroseconds(row.requested_us),
    closedAtMs: orNull(row.closed_us, fromMicroseconds),
  };
}
