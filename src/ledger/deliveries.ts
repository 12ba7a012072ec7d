import type { DatabaseSync, SQLOutputValue } from "node:sqlite";
import {
  type Delivery,
  type DeliveryEvent,
  type DeliveryState,
  type DeliveryWay,
  isDeliveryOver,
  nextDeliveryState,
} from "../core/delivery.ts";
import { fromMicroseconds, orNull, type Row, toMicroseconds } from "./slots.ts";

/** What is known when a run's result is put on its way. */
export type QueuedDelivery = Pick<
  Delivery,
  "runId" | "home" | "jobId" | "target" | "record" | "content" | "isBare" | "forFailure" | "incident" | "queuedAtMs"
>;

/** What changes with a move. What is left out becomes null, but for `way`, which then stays. */
export interface DeliveryChange {
  readonly way?: DeliveryWay | null;
  readonly handedAtMs?: number;
  readonly retryAtMs?: number;
  readonly error?: string | null;
}

export interface DeliveryLedger {
  /** Puts a result on its way. A run has one: a second time changes nothing. */
  queueDelivery(delivery: QueuedDelivery): void;
  delivery(runId: string): Delivery | null;
  /** Those that are not over, and those that are and of which the job's record does not tell yet. The oldest first. */
  openDeliveries(): readonly Delivery[];
  /** False, and nothing changes, when it was over already. */
  moveDelivery(runId: string, event: DeliveryEvent, change: DeliveryChange): boolean;
  /** What people are to be told of a failed run, in place of its bare error. */
  composeDelivery(runId: string, content: string, incident: string | null): void;
  /** Why a delivery waits, for people; null when there is nothing to say. */
  noteDeliveryWait(runId: string, why: string | null): void;
  /** The job's record tells what became of it, or is not ours to change. */
  setDeliveryRecorded(runId: string): void;
  /** Of each job the one that was queued last, of those queued at this instant or later, where it failed, nobody knows, or something keeps it waiting. */
  troubledDeliveries(sinceMs: number): readonly TroubledDelivery[];
}

export type TroubledDelivery = Pick<Delivery, "runId" | "home" | "jobId" | "target" | "state" | "queuedAtMs" | "error">;

const isTroubled = "(state IN ('failed', 'unknown') OR (state IN ('pending', 'sending') AND error IS NOT NULL))";

type DeliveryRow = Row<
  | "run_id"
  | "home"
  | "job_id"
  | "target"
  | "record"
  | "content"
  | "is_bare"
  | "for_failure"
  | "incident"
  | "state"
  | "way"
  | "attempts"
  | "queued_us"
  | "handed_us"
  | "retry_us"
  | "error"
  | "recorded"
>;

export function createDeliveryLedger(database: DatabaseSync): DeliveryLedger {
  const one = database.prepare("SELECT * FROM delivery WHERE run_id = ?");
  const insert = database.prepare(
    `INSERT OR IGNORE INTO delivery (run_id, home, job_id, target, record, content, is_bare, for_failure, incident, state, attempts,
        queued_us, recorded)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 'pending', 0, ?, 0)`,
  );
  const open = database.prepare("SELECT * FROM delivery WHERE recorded = 0 ORDER BY queued_us, run_id");
  const update = database.prepare(
    `UPDATE delivery SET state = ?, way = ?, attempts = ?, handed_us = ?, retry_us = ?, error = ?, record = ?, content = ?
      WHERE run_id = ?`,
  );
  const compose = database.prepare("UPDATE delivery SET content = ?, is_bare = 0, incident = ? WHERE run_id = ?");
  const noteWait = database.prepare("UPDATE delivery SET error = ? WHERE run_id = ? AND error IS NOT ?");
  const setRecorded = database.prepare("UPDATE delivery SET recorded = 1 WHERE run_id = ?");
  // Hardly any job has one, and to put in order all that a busy host sends in a day would hold up the daemon.
  const troubled = database.prepare(
    `SELECT * FROM (
      SELECT run_id, home, job_id, target, state, queued_us, error,
        row_number() OVER (PARTITION BY home, job_id ORDER BY queued_us DESC, run_id DESC) AS place
      FROM delivery WHERE queued_us >= ?1
        AND (home, job_id) IN (SELECT home, job_id FROM delivery WHERE queued_us >= ?1 AND ${isTroubled})
    ) WHERE place = 1 AND ${isTroubled} ORDER BY queued_us DESC, run_id`,
  );

  function delivery(runId: string): Delivery | null {
    return orNull(one.get(runId), toDelivery);
  }

  return {
    queueDelivery({ runId, home, jobId, target, record, content, isBare, forFailure, incident, queuedAtMs }) {
      const flags = [isBare ? 1 : 0, forFailure ? 1 : 0];
      insert.run(runId, home, jobId, target, record, content, ...flags, incident, toMicroseconds(queuedAtMs));
    },
    delivery,
    openDeliveries: () => open.all().map(toDelivery),
    moveDelivery(runId, event, { way, handedAtMs, retryAtMs, error = null }) {
      const known = delivery(runId);
      if (known === null) throw new Error(`Cannot ${event} the delivery of run "${runId}": the ledger has none`);
      const state = nextDeliveryState(runId, known.state, event);
      if (state === known.state) return false;
      // What was sent, or can no longer be, is kept nowhere for longer than it is needed.
      const isOver = isDeliveryOver(state);
      update.run(
        state,
        way === undefined ? known.way : way,
        known.attempts + (event === "hand" ? 1 : 0),
        orNull(handedAtMs, toMicroseconds),
        orNull(retryAtMs, toMicroseconds),
        error,
        isOver ? "" : known.record,
        isOver ? "" : known.content,
        runId,
      );
      return true;
    },
    composeDelivery: (runId, content, incident) => void compose.run(content, incident, runId),
    noteDeliveryWait: (runId, why) => void noteWait.run(why, runId, why),
    setDeliveryRecorded: (runId) => void setRecorded.run(runId),
    troubledDeliveries: (sinceMs) =>
      troubled.all(toMicroseconds(sinceMs)).map((row: DeliveryRow) => ({
        runId: String(row.run_id),
        home: String(row.home),
        jobId: String(row.job_id),
        target: String(row.target),
        state: row.state as DeliveryState,
        queuedAtMs: fromMicroseconds(row.queued_us),
        error: orNull(row.error, String),
      })),
  };
}

/** For a ledger of the layout that had no deliveries, which only a reader finds: whoever writes gives it the table. */
export function noDeliveries(): DeliveryLedger {
  const refuse = (): never => {
    throw new Error("Cannot write a delivery: the ledger is open for reading");
  };
  return {
    queueDelivery: refuse,
    delivery: () => null,
    openDeliveries: () => [],
    moveDelivery: refuse,
    composeDelivery: refuse,
    noteDeliveryWait: refuse,
    setDeliveryRecorded: refuse,
    troubledDeliveries: () => [],
  };
}

function toDelivery(row: DeliveryRow): Delivery {
  const text = (value: SQLOutputValue | undefined): string => String(value);
  return {
    runId: text(row.run_id),
    home: text(row.home),
    jobId: text(row.job_id),
    target: text(row.target),
    record: text(row.record),
    content: text(row.content),
    isBare: Number(row.is_bare) === 1,
    forFailure: Number(row.for_failure) === 1,
    incident: orNull(row.incident, text),
    state: row.state as DeliveryState,
    way: row.way as DeliveryWay | null,
    attempts: Number(row.attempts),
    queuedAtMs: fromMicroseconds(row.queued_us),
    handedAtMs: orNull(row.handed_us, fromMicroseconds),
    retryAtMs: orNull(row.retry_us, fromMicroseconds),
    error: orNull(row.error, text),
    recorded: Number(row.recorded) === 1,
  };
}
