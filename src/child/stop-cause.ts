import { runFiles } from "../../worker/protocol.ts";
import type { RunReason } from "../core/run.ts";
import type { System } from "../system/system.ts";

/** Why we end a run. */
export interface StopCause {
  readonly reason: RunReason;
  readonly text: string;
}

/** The cause for which the run was first asked to end, by whichever daemon; null when nobody asked it. */
export function readStopCause(system: System, stateFolder: string, runId: string): StopCause | null {
  const path = `${stateFolder}/runs/${runId}/${runFiles.cause}`;
  if (system.files.stat(path) === null) return null;
  try {
    const found = JSON.parse(system.files.readText(path)) as Partial<StopCause> | null;
    if (typeof found?.reason !== "string" || typeof found.text !== "string") return null;
    return { reason: found.reason, text: found.text };
  } catch (error) {
    system.log.warn("the cause for which a run is stopped cannot be read", { run_id: runId, error: String(error) });
    return null;
  }
}

/**
 * Writes the cause down before the run feels anything of it: once it has been asked to leave, how it ends says nothing of why, and
 * this daemon may not be there to see it. Returns the cause that stands: the first. Without room for it the run is stopped all the
 * same.
 */
export function keepStopCause(system: System, stateFolder: string, runId: string, cause: StopCause): StopCause {
  const first = readStopCause(system, stateFolder, runId);
  if (first !== null) return first;
  const path = `${stateFolder}/runs/${runId}/${runFiles.cause}`;
  const at = new Date(system.clock.nowMs()).toISOString();
  try {
    const text = `${JSON.stringify({ reason: cause.reason, text: cause.text, at }, null, 2)}\n`;
    system.files.replace(path, `cause_${system.random.token(8)}.tmp`, text, 0o600);
  } catch (error) {
    system.log.error("the cause for which a run is stopped could not be written down", {
      run_id: runId,
      reason: cause.reason,
      error: String(error),
    });
  }
  return cause;
}
