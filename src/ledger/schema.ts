import type { DatabaseSync, SQLOutputValue } from "node:sqlite";

/** The layout that this program writes, kept in SQLite's `user_version`. 0 is a file with nothing in it yet. */
export const ledgerVersion = 1;

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

/** Makes the tables in an empty ledger. Throws a `LedgerError` for a layout that this program does not know. */
export function prepareSchema(database: DatabaseSync, path: string): void {
  const found = schemaVersion(database);
  if (found > ledgerVersion) {
    const problem = `its layout is version ${found}, expected at most ${ledgerVersion}: a newer hermes-supervisor wrote it, use that one`;
    throw new LedgerError(path, found, problem);
  }
  if (found === ledgerVersion) return;
  database.exec(`BEGIN IMMEDIATE;${layout}PRAGMA user_version = ${ledgerVersion};COMMIT;`);
}

export function schemaVersion(database: DatabaseSync): number {
  const row: { readonly user_version?: SQLOutputValue } | undefined = database.prepare("PRAGMA user_version").get();
  return Number(row?.user_version ?? 0);
}
