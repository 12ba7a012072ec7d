import { DatabaseSync } from "node:sqlite";
import type { System } from "../system/system.ts";

/** Locks of this file last for moments, and nothing is lost that is worth waiting for. */
const busyMs = 20;

/**
 * Hermes 0.22 tells people of one failure once in some hours, until the job has succeeded. The success of a script is ours to write
 * down there, as of a prompt job it is the worker's. Where it cannot be, people hear less often of a failure that came back.
 */
export function resolveIncidents(
  system: Pick<System, "files">,
  cronFolder: string,
  jobId: string,
  nowText: string,
): void {
  const path = `${cronFolder}/executions.db`;
  const stat = system.files.stat(path);
  if (stat === null || stat.sizeBytes === 0) return;
  const database = new DatabaseSync(path, { timeout: busyMs });
  try {
    const isThere = database.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'cron_incidents'").get();
    if (isThere === undefined) return;
    const open = database.prepare(
      "SELECT 1 FROM cron_incidents WHERE job_id = ? AND state IN ('detected', 'alerted') LIMIT 1",
    );
    if (open.get(jobId) === undefined) return;
    database
      .prepare(
        "UPDATE cron_incidents SET state = 'resolved', closed_at = ? WHERE job_id = ? AND state IN ('detected', 'alerted')",
      )
      .run(nowText, jobId);
  } finally {
    database.close();
  }
}
