import type { DatabaseSync, SQLInputValue, SQLOutputValue } from "node:sqlite";
import type { SlotCursor } from "../core/plan-tick.ts";
import type { PendingReason, SlotDecision, SlotLine } from "../core/slot.ts";
import { createStatementCache } from "./statement-cache.ts";

/** A slot line with the home that its job belongs to. */
export type LedgerSlot = SlotLine & {
  readonly home: string;
  /** What a decided slot waited for at last, where it had to wait. */
  readonly waitedFor?: PendingReason;
};

export interface SlotQuery {
  readonly home?: string;
  readonly jobId?: string;
  /** Scheduled at this instant or later. */
  readonly sinceMs?: number;
  /** Scheduled at this instant or earlier. */
  readonly untilMs?: number;
  /** 0 means all. */
  readonly limit: number;
}

export interface SlotLedger {
  /**
   * Keeps one line for each job and instant. A `pending` line may become any other, a `move` may become a `run`, what was missed
   * with a job that was gone is served when it is put back, and `run` and `coalesce` lines may name another run (a restored or repeated one); every other second line for an instant is dropped.
   * Returns those that were taken in.
   */
  writeSlots(home: string, lines: readonly SlotLine[]): readonly SlotLine[];
  /** The latest scheduled first. */
  slots(query: SlotQuery): readonly LedgerSlot[];
  /** Those that were missed, scheduled at this instant or later, the latest first. */
  missedSlots(sinceMs: number, limit: number): readonly LedgerSlot[];
  /** Makes `pending` again what names a run that never ran. Answers the instants, the earliest first. */
  reopenSlots(home: string, jobId: string, runId: string): readonly number[];
  /**
   * Whether nothing more is to be made of this instant: a run of ours that is not void was made for it or took it in, or it was
   * passed over. The record may still name it, when we died before it could be written, or when an older copy of the file was put back.
   */
  isServed(home: string, jobId: string, scheduledAtMs: number): boolean;
  /** Homes with lines that are still to become another. */
  homesWithPending(): readonly string[];
  /** The lines of this home that are still to become another, the earliest scheduled first. */
  pendingSlots(home: string): readonly LedgerSlot[];
  cursors(home: string): ReadonlyMap<string, SlotCursor>;
  /** Writes the cursors that changed and forgets those of jobs that are gone. */
  writeCursors(home: string, changed: ReadonlyMap<string, SlotCursor>, dropped: readonly string[]): void;
}

/** A row with these columns. They are optional in the type only, so that what SQLite returns fits it. */
export type Row<Column extends string> = { readonly [column in Column]?: SQLOutputValue };

export type SlotRow = Row<
  "home" | "job_id" | "scheduled_us" | "decision" | "reason" | "run_id" | "decided_us" | "lateness_us" | "waited_for"
>;

export function toMicroseconds(ms: number): number {
  return Math.round(ms * 1000);
}

export function fromMicroseconds(us: SQLOutputValue | undefined): number {
  return Number(us) / 1000;
}

export function orNull<Value, Result>(
  value: Value | null | undefined,
  convert: (value: Value) => Result,
): Result | null {
  return value === null || value === undefined ? null : convert(value);
}

/** `WHERE …` of the conditions that are given, with the values in order. */
export function where(conditions: readonly (readonly [string, SQLInputValue | undefined])[]): {
  readonly text: string;
  readonly values: readonly SQLInputValue[];
} {
  const given = conditions.filter((condition) => condition[1] !== undefined);
  const text = given.length === 0 ? "" : ` WHERE ${given.map(([condition]) => condition).join(" AND ")}`;
  return { text, values: given.map((condition) => condition[1] ?? null) };
}

// A final line stays as it was first written, with the exceptions that `writeSlots` names.
const writeSlotText = (more: string): string => `
INSERT INTO slot (home, job_id, scheduled_us, decision, reason, run_id, decided_us, lateness_us)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (home, job_id, scheduled_us) DO UPDATE SET
  decision = excluded.decision,
  reason = CASE WHEN decision = excluded.decision AND decision <> 'pending' AND excluded.reason <> 'restored'
    THEN reason ELSE excluded.reason END,
  run_id = excluded.run_id,
  decided_us = CASE WHEN decision = excluded.decision THEN decided_us ELSE excluded.decided_us END,
  lateness_us = coalesce(excluded.lateness_us, lateness_us)${more}
WHERE decision = 'pending'
  OR (decision = 'move' AND excluded.decision = 'run')
  OR (decision = 'miss' AND reason = 'job_gone' AND excluded.decision IN ('run', 'coalesce'))
  OR (decision IN ('run', 'coalesce') AND excluded.decision = decision
    AND excluded.run_id IS NOT NULL AND excluded.run_id IS NOT run_id)`;

const keepWaited = `,
  waited_for = CASE WHEN decision = 'pending' THEN reason ELSE waited_for END`;

/** `keepsWaits` is false for a ledger from before it was kept what slots waited for. */
export function createSlotLedger(database: DatabaseSync, keepsWaits: boolean): SlotLedger {
  const writeSlot = database.prepare(writeSlotText(keepsWaits ? keepWaited : ""));
  const readPending = database.prepare(
    "SELECT * FROM slot WHERE home = ? AND decision = 'pending' ORDER BY scheduled_us, job_id",
  );
  const reopen = database.prepare(
    `UPDATE slot SET decision = 'pending', reason = 'no_daemon', run_id = NULL, lateness_us = NULL
      WHERE home = ? AND job_id = ? AND run_id = ? AND decision IN ('run', 'coalesce') RETURNING scheduled_us`,
  );
  const readServed = database.prepare(
    `SELECT 1 FROM slot LEFT JOIN run ON run.id = slot.run_id WHERE slot.home = ? AND slot.job_id = ? AND slot.scheduled_us = ?
      AND (slot.decision = 'skip' OR (slot.decision IN ('run', 'coalesce') AND run.state IS NOT 'void'))`,
  );
  const readHomes = database.prepare("SELECT DISTINCT home FROM slot WHERE decision = 'pending'");
  const readMissed = database.prepare(
    "SELECT * FROM slot WHERE decision = 'miss' AND scheduled_us >= ? ORDER BY scheduled_us DESC LIMIT ?",
  );
  for (const statement of [readPending, readMissed, reopen]) statement.setReadBigInts(true);
  const prepared = createStatementCache(database);
  const readCursors = database.prepare("SELECT * FROM slot_cursor WHERE home = ?");
  const writeCursor = database.prepare("INSERT OR REPLACE INTO slot_cursor VALUES (?, ?, ?)");
  const deleteCursor = database.prepare("DELETE FROM slot_cursor WHERE home = ? AND job_id = ?");

  return {
    writeSlots(home, lines) {
      return lines.filter((line) => {
        const { changes } = writeSlot.run(
          home,
          line.jobId,
          toMicroseconds(line.scheduledAtMs),
          line.decision,
          line.reason,
          line.runId,
          toMicroseconds(line.decidedAtMs),
          orNull(line.latenessMs, toMicroseconds),
        );
        return Number(changes) > 0;
      });
    },
    slots(query) {
      const { text, values } = where([
        ["home = ?", query.home],
        ["job_id = ?", query.jobId],
        ["scheduled_us >= ?", orNull(query.sinceMs, toMicroseconds) ?? undefined],
        ["scheduled_us <= ?", orNull(query.untilMs, toMicroseconds) ?? undefined],
      ]);
      const select = prepared(`SELECT * FROM slot${text} ORDER BY scheduled_us DESC, home DESC, job_id DESC LIMIT ?`);
      return select.all(...values, query.limit === 0 ? -1 : query.limit).map(toSlot);
    },
    missedSlots: (sinceMs, limit) => readMissed.all(toMicroseconds(sinceMs), limit).map(toSlot),
    reopenSlots: (home, jobId, runId) =>
      reopen
        .all(home, jobId, runId)
        .map((row: Row<"scheduled_us">) => fromMicroseconds(row.scheduled_us))
        .sort((a, b) => a - b),
    isServed: (home, jobId, scheduledAtMs) => readServed.get(home, jobId, toMicroseconds(scheduledAtMs)) !== undefined,
    homesWithPending: () => readHomes.all().map((row: Row<"home">) => String(row.home)),
    pendingSlots: (home) => readPending.all(home).map(toSlot),
    cursors: (home) =>
      new Map(
        readCursors
          .all(home)
          .map((row: Row<"job_id" | "cursor">) => [String(row.job_id), JSON.parse(String(row.cursor)) as SlotCursor]),
      ),
    writeCursors(home, changed, dropped) {
      for (const [jobId, cursor] of changed) writeCursor.run(home, jobId, JSON.stringify(cursor));
      for (const jobId of dropped) deleteCursor.run(home, jobId);
    },
  };
}

export function toSlot(row: SlotRow): LedgerSlot {
  return {
    ...({ decision: row.decision, reason: row.reason } as SlotDecision),
    home: String(row.home),
    jobId: String(row.job_id),
    scheduledAtMs: fromMicroseconds(row.scheduled_us),
    runId: orNull(row.run_id, String),
    decidedAtMs: fromMicroseconds(row.decided_us),
    latenessMs: orNull(row.lateness_us, fromMicroseconds),
    ...(row.decision === "pending" || row.waited_for == null
      ? {}
      : { waitedFor: String(row.waited_for) as PendingReason }),
  };
}
