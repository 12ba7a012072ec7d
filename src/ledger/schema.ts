import type { DatabaseSync, SQLOutputValue } from "node:sqlite";

/** The layout that this program writes, kept in SQLite's `user_version`. 0 is a file with nothing in it yet. */
export const ledgerVersion = 3;

/** The ledger cannot be used as it is. `found` is its layout, or null when it could not even be told. */
export class LedgerError extends Error {
  override readonly name = "LedgerError";
  readonly path: string;
  readonly found: number | null;
  constructor(path: string, found: number | null, problem: string, options?: ErrorOptions) {
    super(`Cannot open ledger "${path}": ${problem}`, options);
    this.path = path;
    this.found = found;
  }
}

// Instants are whole microseconds: what Hermes stores has six digits, and an integer key is the same however it was computed.
// Rows of `run` are kept in the order of their claims by `seq`, which tells the claims of one tick apart.
const layout = `
CREATE TABLE run (
  seq INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  home TEXT NOT NULL,
  job_id TEXT NOT NULL,
  job_name TEXT NOT NULL,
  kind TEXT NOT NULL,
  trigger TEXT NOT NULL,
  scheduled_us INTEGER,
  claimed_us INTEGER NOT NULL,
  started_us INTEGER,
  ended_us INTEGER,
  attempt INTEGER NOT NULL,
  state TEXT NOT NULL,
  reason TEXT,
  exit_code INTEGER,
  signal TEXT,
  pid INTEGER NOT NULL,
  start_ticks INTEGER,
  boot_id TEXT NOT NULL,
  pid_namespace TEXT,
  owner TEXT NOT NULL,
  adopted INTEGER NOT NULL,
  error TEXT,
  output_bytes INTEGER,
  output_path TEXT,
  document_path TEXT
) STRICT;
CREATE INDEX run_by_claim ON run (claimed_us);
CREATE INDEX run_by_home ON run (home, claimed_us);
CREATE INDEX run_by_job ON run (job_id, claimed_us);
CREATE INDEX run_by_owner ON run (owner);
CREATE INDEX run_by_state ON run (state, claimed_us);

CREATE TABLE slot (
  home TEXT NOT NULL,
  job_id TEXT NOT NULL,
  scheduled_us INTEGER NOT NULL,
  decision TEXT NOT NULL,
  reason TEXT NOT NULL,
  run_id TEXT,
  decided_us INTEGER NOT NULL,
  lateness_us INTEGER,
  PRIMARY KEY (home, job_id, scheduled_us)
) STRICT, WITHOUT ROWID;
CREATE INDEX slot_by_time ON slot (scheduled_us);
CREATE INDEX slot_pending ON slot (home, scheduled_us) WHERE decision = 'pending';

-- A cursor is one JSON value: only the tick reads it, always whole.
CREATE TABLE slot_cursor (
  home TEXT NOT NULL,
  job_id TEXT NOT NULL,
  cursor TEXT NOT NULL,
  PRIMARY KEY (home, job_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE request (
  id INTEGER PRIMARY KEY,
  kind TEXT NOT NULL,
  home TEXT NOT NULL,
  job_id TEXT NOT NULL,
  run_id TEXT,
  requested_us INTEGER NOT NULL,
  closed_us INTEGER
) STRICT;
CREATE INDEX request_open ON request (id) WHERE closed_us IS NULL;

CREATE TABLE note (
  key TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
`;

const deliveryTable = `
CREATE TABLE delivery (
  run_id TEXT PRIMARY KEY,
  home TEXT NOT NULL,
  job_id TEXT NOT NULL,
  target TEXT NOT NULL,
  record TEXT NOT NULL,
  content TEXT NOT NULL,
  is_bare INTEGER NOT NULL,
  for_failure INTEGER NOT NULL,
  incident TEXT,
  state TEXT NOT NULL,
  way TEXT,
  attempts INTEGER NOT NULL,
  queued_us INTEGER NOT NULL,
  handed_us INTEGER,
  retry_us INTEGER,
  error TEXT,
  recorded INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX delivery_by_time ON delivery (queued_us);
CREATE INDEX delivery_open ON delivery (queued_us) WHERE recorded = 0;
`;

// `waited_for` keeps what a slot waited for when it is decided: the pending line that said so is gone by then.
const historyTables = `
ALTER TABLE slot ADD COLUMN waited_for TEXT;
CREATE TABLE daemon_life (
  id INTEGER PRIMARY KEY,
  pid INTEGER NOT NULL,
  began_us INTEGER NOT NULL,
  seen_us INTEGER NOT NULL,
  ended_us INTEGER
) STRICT;
CREATE TABLE home_spell (
  id INTEGER PRIMARY KEY,
  home TEXT NOT NULL,
  kind TEXT NOT NULL,
  detail TEXT,
  began_us INTEGER NOT NULL,
  ended_us INTEGER
) STRICT;
CREATE INDEX home_spell_open ON home_spell (id) WHERE ended_us IS NULL;
`;

// A retry is kept beside the run that failed, with what became of it. A job's health is one JSON value, always read whole.
const attemptTables = `
CREATE TABLE retry (
  run_id TEXT PRIMARY KEY,
  home TEXT NOT NULL,
  job_id TEXT NOT NULL,
  attempt INTEGER NOT NULL,
  scheduled_us INTEGER NOT NULL,
  failed_us INTEGER NOT NULL,
  due_us INTEGER,
  edit_key TEXT NOT NULL,
  state TEXT NOT NULL,
  reason TEXT,
  next_run_id TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX retry_waiting ON retry (home) WHERE state = 'waiting';
CREATE INDEX retry_by_attempt ON retry (next_run_id) WHERE next_run_id IS NOT NULL;
CREATE TABLE job_health (
  home TEXT NOT NULL,
  job_id TEXT NOT NULL,
  health TEXT NOT NULL,
  PRIMARY KEY (home, job_id)
) STRICT, WITHOUT ROWID;
`;

// Whom a notice is for is named by a digest: an address can hold a password.
const alertTables = `
CREATE TABLE alert (
  key TEXT PRIMARY KEY,
  kind TEXT NOT NULL,
  home TEXT,
  job_id TEXT,
  detail TEXT NOT NULL,
  message TEXT NOT NULL,
  since_us INTEGER,
  raised_us INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE notice (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  notifier TEXT NOT NULL,
  content TEXT NOT NULL,
  queued_us INTEGER NOT NULL,
  attempts INTEGER NOT NULL,
  retry_us INTEGER NOT NULL
) STRICT;
CREATE INDEX slot_missed ON slot (scheduled_us) WHERE decision = 'miss';
CREATE INDEX run_orphaned ON run (claimed_us) WHERE reason = 'orphaned';
CREATE INDEX run_replaced ON run (home, job_id, claimed_us) WHERE reason = 'replaced';
`;

/** By the layout that they start from. Each goes on from the one before. */
const migrations: Readonly<Record<number, string>> = {
  0: layout,
  1: `DROP INDEX IF EXISTS slot_by_job; ${deliveryTable}`,
  2: `${historyTables} ${attemptTables} ${alertTables}`,
};

/** Makes the tables in an empty ledger, or those that an older one lacks. Throws a `LedgerError` for a layout that this program does not know. */
export function prepareSchema(database: DatabaseSync, path: string): void {
  const found = schemaVersion(database);
  if (found > ledgerVersion) {
    const problem = `its layout is version ${found}, expected at most ${ledgerVersion}: a newer hermes-supervisor wrote it, use that one`;
    throw new LedgerError(path, found, problem);
  }
  if (found === ledgerVersion) return;
  const steps = Object.entries(migrations).filter(([from]) => Number(from) >= found);
  database.exec(
    `BEGIN IMMEDIATE;${steps.map(([, step]) => step).join("")}PRAGMA user_version = ${ledgerVersion};COMMIT;`,
  );
}

export function schemaVersion(database: DatabaseSync): number {
  const row: { readonly user_version?: SQLOutputValue } | undefined = database.prepare("PRAGMA user_version").get();
  return Number(row?.user_version ?? 0);
}
