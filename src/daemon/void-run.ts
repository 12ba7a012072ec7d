import type { SlotCursor } from "../core/plan-tick.ts";
import { rewindCursor } from "../core/rewind-cursor.ts";
import type { Run } from "../core/run.ts";
import { reloadAttempts } from "./attempts.ts";
import type { DaemonParts } from "./daemon-parts.ts";
import type { HomeRuntime } from "./home-runtime.ts";
import { noteExecution } from "./record-executions.ts";

/**
 * Records that these runs never were, all at once: the rows become `void`, and the slots that named them wait again, so that they
 * are served after all, or closed with what becomes of their job. `home` is null where no daemon serves it any more.
 */
export function voidRuns(parts: DaemonParts, home: HomeRuntime | null, runs: readonly Run[], why: string): void {
  const { ledger } = parts;
  const cursors = ledger.transaction(() => {
    const changed = new Map<string, SlotCursor>();
    for (const run of runs) {
      if (ledger.run(run.id) === null) continue;
      ledger.close(run.id, {
        state: "void",
        reason: "not_started",
        exitCode: null,
        signal: null,
        error: why,
        endedAtMs: parts.system.clock.nowMs(),
        outputBytes: null,
        outputPath: null,
        documentPath: null,
      });
      const instants = ledger.reopenSlots(run.home, run.jobId, run.id);
      const cursor = ledger.cursors(run.home).get(run.jobId);
      if (cursor !== undefined && instants.length > 0) changed.set(run.jobId, rewindCursor(cursor, run.id, instants));
    }
    for (const name of new Set(runs.map((run) => run.home))) ledger.writeCursors(name, changed, []);
    return changed;
  });
  if (home !== null) for (const run of runs) noteExecution(home, run.id);
  for (const [jobId, cursor] of cursors) home?.cursors.set(jobId, cursor);
  for (const { jobId, scheduledAtMs, trigger } of runs)
    if (scheduledAtMs !== null && trigger !== "retry") home?.restored.set(jobId, scheduledAtMs);
  if (home !== null) reloadAttempts(parts, home);
}
