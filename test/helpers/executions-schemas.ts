// As the releases make it: 0.19 and 0.20 the same, 0.22 with five columns more, or those added to an older file.
const needed = `
  id TEXT PRIMARY KEY,
  job_id TEXT NOT NULL,
  source TEXT NOT NULL,
  process_id TEXT NOT NULL,
  pid INTEGER NOT NULL,
  process_started_at INTEGER,
  status TEXT NOT NULL CHECK(status IN
    ('claimed','running','completed','failed','unknown')),`;
const rest = `
  claimed_at TEXT NOT NULL,
  started_at TEXT,
  finished_at TEXT,
  error TEXT`;
const indexes = `
CREATE INDEX IF NOT EXISTS idx_executions_job_claimed ON executions(job_id, claimed_at DESC, id DESC);
CREATE INDEX IF NOT EXISTS idx_executions_status_claimed ON executions(status, claimed_at DESC, id DESC);`;
const old = `CREATE TABLE IF NOT EXISTS executions (${needed}${rest});${indexes}`;
const added = `
ALTER TABLE executions ADD COLUMN delivery_outcome TEXT;
ALTER TABLE executions ADD COLUMN scheduled_instant TEXT;
ALTER TABLE executions ADD COLUMN progress_at TEXT;
CREATE INDEX IF NOT EXISTS idx_executions_occurrence ON executions(job_id, scheduled_instant) WHERE status='completed';`;
/** What makes an empty ledger as each release makes it. */
export const executionsSchemas = {
  "0.19": `PRAGMA journal_mode=WAL;${old}`,
  "0.20": old,
  "0.22": `CREATE TABLE IF NOT EXISTS executions (${needed}
  handoff_pending INTEGER NOT NULL DEFAULT 0,
  handoff_started_at REAL,${rest});${indexes}${added}`,
  "0.22 on a file of 0.19": `PRAGMA journal_mode=WAL;${old}
ALTER TABLE executions ADD COLUMN handoff_pending INTEGER NOT NULL DEFAULT 0;
ALTER TABLE executions ADD COLUMN handoff_started_at REAL;${added}`,
};
