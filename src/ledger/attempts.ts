import type { DatabaseSync } from "node:sqlite";
import type { JobHealth } from "../core/job-health.ts";
import type { WaitingRetry } from "../core/retry.ts";
import type { RetryEnd, RunRetry } from "../core/run-retry.ts";
import { fromMicroseconds, type LedgerSlot, orNull, type Row, toMicroseconds, toSlot } from "./slots.ts";

/** What is decided about a run that failed. */
export interface PlannedRetry extends Omit<WaitingRetry, "dueAtMs"> {
  readonly home: string;
  readonly state: "waiting" | "given_up";
  readonly dueAtMs: number | null;
  readonly reason: RetryEnd | null;
}

/** Attempts that follow failed runs, and how jobs have been doing. */
export interface AttemptLedger {
  /** A run has one: a second time changes nothing. What an earlier run of the job waits for is over when this one waits. */
  planRetry(retry: PlannedRetry): void;
  /** By job, the attempt that is to come. */
  waitingRetries(home: string): ReadonlyMap<string, WaitingRetry>;
  /** Homes that have some to come. */
  homesWithRetries(): readonly string[];
  retry(runId: string): RunRetry | null;
  /**
   * The attempt that this failed run waited for is the run `nextRunId`, and serves what that one had served. Answers the lines
   * that name it now.
   */
  startRetry(runId: string, nextRunId: string): readonly LedgerSlot[];
  /** The attempt does not come. One that has begun stays. */
  endRetry(runId: string, reason: RetryEnd): void;
  /** The attempt came to nothing before it ran: it is still to come, and the lines name the failed run again. */
  reopenRetry(nextRunId: string): void;
  health(home: string): ReadonlyMap<string, JobHealth>;
  /** Null forgets it. */
  writeHealth(home: string, jobId: string, health: JobHealth | null): void;
}

type RetryRow = Row<
  | "run_id"
  | "home"
  | "job_id"
  | "attempt"
  | "scheduled_us"
  | "failed_us"
  | "due_us"
  | "edit_key"
  | "state"
  | "reason"
  | "next_run_id"
>;

export function createAttemptLedger(database: DatabaseSync): AttemptLedger {
  const insert = database.prepare("INSERT OR IGNORE INTO retry VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL)");
  const endOthers = database.prepare(
    `UPDATE retry SET state = 'given_up', reason = 'ran_since'
      WHERE home = ? AND job_id = ? AND run_id <> ? AND state = 'waiting'`,
  );
  const waiting = database.prepare("SELECT * FROM retry WHERE home = ? AND state = 'waiting' ORDER BY failed_us");
  const withRetries = database.prepare("SELECT DISTINCT home FROM retry WHERE state = 'waiting'");
  const one = database.prepare("SELECT * FROM retry WHERE run_id = ?");
  const start = database.prepare(
    `UPDATE retry SET state = 'started', next_run_id = ? WHERE run_id = ? AND state = 'waiting'
      RETURNING run_id, home, job_id, scheduled_us`,
  );
  const end = database.prepare(
    "UPDATE retry SET state = 'given_up', reason = ? WHERE run_id = ? AND state = 'waiting'",
  );
  const reopen = database.prepare(
    `UPDATE retry SET state = 'waiting', next_run_id = NULL WHERE next_run_id = ? AND state = 'started'
      RETURNING run_id, home, job_id, scheduled_us`,
  );
  // What folded into a run came later than the instant that the run was for.
  const passSlots = database.prepare(
    `UPDATE slot SET run_id = ? WHERE home = ? AND job_id = ? AND scheduled_us >= ? AND run_id = ?
      AND decision IN ('run', 'coalesce') RETURNING *`,
  );
  const readHealth = database.prepare("SELECT job_id, health FROM job_health WHERE home = ?");
  const writeHealth = database.prepare("INSERT OR REPLACE INTO job_health VALUES (?, ?, ?)");
  const deleteHealth = database.prepare("DELETE FROM job_health WHERE home = ? AND job_id = ?");
  for (const statement of [waiting, one, start, reopen, passSlots]) statement.setReadBigInts(true);

  const passOn = (row: RetryRow | undefined, from: string, to: string): readonly LedgerSlot[] =>
    row === undefined
      ? []
      : passSlots.all(to, row.home ?? null, row.job_id ?? null, row.scheduled_us ?? null, from).map(toSlot);

  return {
    planRetry(retry) {
      const { changes } = insert.run(
        retry.runId,
        retry.home,
        retry.jobId,
        retry.attempt,
        toMicroseconds(retry.scheduledAtMs),
        toMicroseconds(retry.failedAtMs),
        orNull(retry.dueAtMs, toMicroseconds),
        retry.editKey,
        retry.state,
        retry.reason,
      );
      if (changes === 1 && retry.state === "waiting") endOthers.run(retry.home, retry.jobId, retry.runId);
    },
    // A ledger of an earlier version can have two of a job: the later failure is the one that counts.
    waitingRetries: (home) => new Map(waiting.all(home).map((row: RetryRow) => [String(row.job_id), toWaiting(row)])),
    homesWithRetries: () => withRetries.all().map((row: Row<"home">) => String(row.home)),
    retry: (runId) => orNull(one.get(runId), toRunRetry),
    startRetry: (runId, nextRunId) => passOn(start.get(nextRunId, runId), runId, nextRunId),
    endRetry: (runId, reason) => void end.run(reason, runId),
    reopenRetry(nextRunId) {
      const row: RetryRow | undefined = reopen.get(nextRunId);
      passOn(row, nextRunId, String(row?.run_id));
    },
    health: (home) =>
      new Map(
        readHealth
          .all(home)
          .map((row: Row<"job_id" | "health">) => [String(row.job_id), JSON.parse(String(row.health)) as JobHealth]),
      ),
    writeHealth(home, jobId, health) {
      if (health === null) deleteHealth.run(home, jobId);
      else writeHealth.run(home, jobId, JSON.stringify(health));
    },
  };
}

/** For a ledger of a layout that had none of this, which only a reader finds. */
export function noAttempts(): AttemptLedger {
  const refuse = (): never => {
    throw new Error("Cannot write an attempt: the ledger is open for reading");
  };
  return {
    planRetry: refuse,
    waitingRetries: () => new Map(),
    homesWithRetries: () => [],
    retry: () => null,
    startRetry: refuse,
    endRetry: refuse,
    reopenRetry: refuse,
    health: () => new Map(),
    writeHealth: refuse,
  };
}

function toWaiting(row: RetryRow): WaitingRetry {
  return {
    runId: String(row.run_id),
    jobId: String(row.job_id),
    attempt: Number(row.attempt),
    scheduledAtMs: fromMicroseconds(row.scheduled_us),
    failedAtMs: fromMicroseconds(row.failed_us),
    dueAtMs: fromMicroseconds(row.due_us),
    editKey: String(row.edit_key),
  };
}

export function toRunRetry(row: Row<"attempt" | "due_us" | "state" | "reason" | "next_run_id">): RunRetry {
  return {
    state: row.state as RunRetry["state"],
    attempt: Number(row.attempt),
    dueAtMs: orNull(row.due_us, fromMicroseconds),
    reason: row.reason as RetryEnd | null,
    runId: orNull(row.next_run_id, String),
  };
}
