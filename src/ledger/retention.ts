import type { DatabaseSync } from "node:sqlite";
import { fromMicroseconds, orNull, type Row, toMicroseconds } from "./slots.ts";
import { createStatementCache } from "./statement-cache.ts";

export interface JobKey {
  readonly home: string;
  readonly jobId: string;
}

/** A page of runs in the order of their claims; the next page is asked for with its `seq`. */
export interface OutputPage {
  readonly seq: number;
  readonly outputs: readonly { readonly runId: string; readonly bytes: number }[];
}

/**
 * What keeps the history within bounds, in pieces so small that nothing due has to wait for one. Only of runs that are over,
 * whose job's record is settled, whose result nobody is still to be told, and whom no attempt is to follow: all others are passed over.
 */
export interface RetentionLedger {
  /** The oldest of those claimed before this instant. */
  runsClaimedBefore(beforeMs: number, limit: number): readonly string[];
  /** Of one job, those older than its newest `keep`; the oldest first. */
  runsBeyond(job: JobKey, keep: number, limit: number): readonly string[];
  /** Jobs that got runs behind `seq`, of at most `limit` runs; null when there are none. */
  jobsBehind(seq: number, limit: number): { readonly seq: number; readonly jobs: readonly JobKey[] } | null;
  /** The place of the newest run. */
  lastSeq(): number;
  /** Runs whose output is kept, claimed before the one at `seq`, the newest first; null when there are none. */
  outputsBefore(seq: number, limit: number): OutputPage | null;
  /** Those of `runIds` whose output nothing needs any more. */
  withIdleOutput(runIds: readonly string[]): readonly string[];
  /** Deletes these runs with what belongs to them. The caller has deleted their folders, which no row would name afterwards. */
  forgetRuns(runIds: readonly string[]): void;
  /** Of a job whose older runs go: every run of it from here on is kept. */
  noteRunsKeptFrom(job: JobKey, claimedAtMs: number): void;
  /** By `<home>/<job id>`. */
  runsKeptFromMs(): ReadonlyMap<string, number>;
  claimedAtMs(runId: string): number | null;
  forgetOutputs(runIds: readonly string[]): void;
  /**
   * Deletes at most `limit` of the oldest lines that are decided, and requests that are served; answers how many lines. A line of an
   * instant that lies far back may have been written a moment ago: those decided from `decidedBeforeMs` on stay.
   */
  deleteSlots(beforeMs: number, decidedBeforeMs: number, limit: number): number;
  /** The instant up to which some hundred of the oldest lines and runs reach; null for an empty history. */
  oldestReachMs(): number | null;
  /** What the rows take, without room that is free. */
  usedBytes(): number;
  /** How many pages there are to give back to the system. */
  freePages(): number;
  /** Gives so many of them back. */
  vacuum(pages: number): void;
}

const keptFrom = "runs_kept_from ";
const reachRows = 500;
/** So many free pages are soon used again. */
const freePagesKept = 128;

const isIdle = `run.state NOT IN ('claimed', 'running')
  AND NOT EXISTS (SELECT 1 FROM note WHERE note.key = 'unsettled ' || run.id)
  AND NOT EXISTS (SELECT 1 FROM delivery WHERE delivery.run_id = run.id AND delivery.recorded = 0)
  AND NOT EXISTS (SELECT 1 FROM retry LEFT JOIN run AS next ON next.id = retry.next_run_id
    WHERE retry.run_id = run.id AND (retry.state = 'waiting' OR next.state IN ('claimed', 'running')))
  AND NOT EXISTS (SELECT 1 FROM request WHERE request.closed_us IS NULL AND request.run_id = run.id)`;

const texts = {
  readOld: `SELECT id FROM run WHERE claimed_us < ? AND ${isIdle} ORDER BY claimed_us LIMIT ?`,
  readNewestOf: `SELECT claimed_us FROM run WHERE job_id = ? AND home = ? AND state NOT IN ('claimed', 'running')
      ORDER BY claimed_us DESC, seq DESC LIMIT 1 OFFSET ?`,
  readBeyond: `SELECT id FROM run WHERE job_id = ? AND home = ? AND claimed_us <= ? AND ${isIdle} ORDER BY claimed_us LIMIT ?`,
  readBehind: "SELECT seq, home, job_id FROM run WHERE seq > ? ORDER BY seq LIMIT ?",
  readLast: "SELECT max(seq) AS seq FROM run",
  readOutputs: "SELECT seq, id, output_path, output_bytes FROM run WHERE seq < ? ORDER BY seq DESC LIMIT ?",
  readIdle: `SELECT 1 AS idle FROM run WHERE id = ? AND ${isIdle}`,
  readClaimed: "SELECT claimed_us FROM run WHERE id = ?",
  deleteRun: `DELETE FROM run WHERE id = ? AND ${isIdle}`,
  deleteDelivery: "DELETE FROM delivery WHERE run_id = ?",
  deleteRetry: "DELETE FROM retry WHERE run_id = ?",
  forgetOutput: "UPDATE run SET output_path = NULL WHERE id = ?",
  deleteSlots: `DELETE FROM slot WHERE (home, job_id, scheduled_us) IN (SELECT home, job_id, scheduled_us FROM slot
      WHERE scheduled_us < ? AND decided_us < ? AND decision <> 'pending' ORDER BY scheduled_us LIMIT ?)`,
  deleteRequests: "DELETE FROM request WHERE closed_us < ?",
  deleteKeptFrom: `DELETE FROM note WHERE key >= '${keptFrom}' AND key < '${keptFrom}\u{10ffff}' AND CAST(value AS REAL) < ?`,
  readKeptFrom: `SELECT key, value FROM note WHERE key >= '${keptFrom}' AND key < '${keptFrom}\u{10ffff}'`,
  writeKeptFrom:
    "INSERT INTO note VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = max(CAST(value AS REAL), CAST(excluded.value AS REAL))",
  readSlotReach: `SELECT coalesce(
      (SELECT scheduled_us FROM slot WHERE decision <> 'pending' ORDER BY scheduled_us LIMIT 1 OFFSET ${reachRows - 1}),
      (SELECT max(scheduled_us) FROM slot WHERE decision <> 'pending')) AS us`,
  readRunReach: `SELECT coalesce(
      (SELECT claimed_us FROM run ORDER BY claimed_us LIMIT 1 OFFSET ${reachRows - 1}), (SELECT max(claimed_us) FROM run)) AS us`,
} as const;

export function createRetentionLedger(database: DatabaseSync): RetentionLedger {
  const prepared = createStatementCache(database);
  const pragma = (name: string): number => {
    const [value] = Object.values(database.prepare(`PRAGMA ${name}`).get() ?? {});
    return Number(value ?? 0);
  };
  const ids = (rows: readonly Row<"id">[]): readonly string[] => rows.map((row) => String(row.id));

  return {
    runsClaimedBefore: (beforeMs, limit) => ids(prepared(texts.readOld).all(toMicroseconds(beforeMs), limit)),
    runsBeyond({ home, jobId }, keep, limit) {
      const first: Row<"claimed_us"> | undefined = prepared(texts.readNewestOf).get(jobId, home, keep);
      return first === undefined
        ? []
        : ids(prepared(texts.readBeyond).all(jobId, home, first.claimed_us ?? null, limit));
    },
    jobsBehind(seq, limit) {
      const rows: readonly Row<"seq" | "home" | "job_id">[] = prepared(texts.readBehind).all(seq, limit);
      const last = rows.at(-1);
      if (last === undefined) return null;
      const jobs = new Map(
        rows.map((row) => [
          `${String(row.home)}/${String(row.job_id)}`,
          { home: String(row.home), jobId: String(row.job_id) },
        ]),
      );
      return { seq: Number(last.seq), jobs: [...jobs.values()] };
    },
    lastSeq: () => Number((prepared(texts.readLast).get() as Row<"seq"> | undefined)?.seq ?? 0),
    outputsBefore(seq, limit) {
      const rows: readonly Row<"seq" | "id" | "output_path" | "output_bytes">[] = prepared(texts.readOutputs).all(
        seq,
        limit,
      );
      const last = rows.at(-1);
      if (last === undefined) return null;
      const kept = rows.filter((row) => row.output_path !== null);
      return {
        seq: Number(last.seq),
        outputs: kept.map((row) => ({ runId: String(row.id), bytes: Number(row.output_bytes ?? 0) })),
      };
    },
    withIdleOutput: (runIds) => runIds.filter((runId) => prepared(texts.readIdle).get(runId) !== undefined),
    forgetRuns(runIds) {
      for (const runId of runIds) {
        if (Number(prepared(texts.deleteRun).run(runId).changes) !== 1) continue;
        prepared(texts.deleteDelivery).run(runId);
        prepared(texts.deleteRetry).run(runId);
      }
    },
    noteRunsKeptFrom({ home, jobId }, claimedAtMs) {
      prepared(texts.writeKeptFrom).run(`${keptFrom}${home}/${jobId}`, claimedAtMs);
    },
    runsKeptFromMs: () =>
      new Map(
        prepared(texts.readKeptFrom)
          .all()
          .map((row: Row<"key" | "value">) => [String(row.key).slice(keptFrom.length), Number(row.value)]),
      ),
    claimedAtMs: (runId) =>
      orNull((prepared(texts.readClaimed).get(runId) as Row<"claimed_us"> | undefined)?.claimed_us, fromMicroseconds),
    forgetOutputs(runIds) {
      for (const runId of runIds) prepared(texts.forgetOutput).run(runId);
    },
    deleteSlots(beforeMs, decidedBeforeMs, limit) {
      prepared(texts.deleteRequests).run(toMicroseconds(beforeMs));
      prepared(texts.deleteKeptFrom).run(beforeMs);
      return Number(
        prepared(texts.deleteSlots).run(toMicroseconds(beforeMs), toMicroseconds(decidedBeforeMs), limit).changes,
      );
    },
    oldestReachMs() {
      const reaches = [prepared(texts.readSlotReach), prepared(texts.readRunReach)].flatMap((statement) => {
        const row: Row<"us"> | undefined = statement.get();
        return row?.us === null || row?.us === undefined ? [] : [fromMicroseconds(row.us)];
      });
      return reaches.length === 0 ? null : Math.min(...reaches);
    },
    usedBytes: () => (pragma("page_count") - pragma("freelist_count")) * pragma("page_size"),
    freePages() {
      const incremental = 2;
      return pragma("auto_vacuum") === incremental ? Math.max(0, pragma("freelist_count") - freePagesKept) : 0;
    },
    vacuum: (pages) => database.exec(`PRAGMA incremental_vacuum(${pages})`),
  };
}
