import { executionId } from "../core/execution-row.ts";
import { formatInstant } from "../core/instant.ts";
import { InvariantError } from "../core/invariant-error.ts";
import type { Job, JobPatch, StoredClaim } from "../core/job.ts";
import { runFolder } from "../output/run-folder.ts";
import { LockHeldError } from "../system/lock.ts";
import type { DaemonParts } from "./daemon-parts.ts";
import type { HomeRuntime } from "./home-runtime.ts";
import { lockWaitMs } from "./tick.ts";

/** Hermes takes a claim for abandoned after 300 s, so ours are renewed well before. */
export const claimRenewalMs = 120_000;

/** Renews the claims of the open runs of a home, all in one write. False when the store was busy: try again soon. */
export function renewClaims(parts: DaemonParts, home: HomeRuntime): boolean {
  const runs = parts.ledger.openRuns(home.name);
  if (runs.length === 0) return true;
  const owners = new Set(runs.map((run) => run.owner));
  const at = formatInstant(parts.system.clock.nowMs(), home.settings.zone);
  // Hermes allows two hours of silence there, so a time when it is busy can be passed over.
  home.executions.touch(runs.map(executionId), at);
  try {
    home.store.update(
      (snapshot) =>
        new Map(
          snapshot.jobs
            .filter((job) => job.fireClaim !== null && owners.has(job.fireClaim.by))
            .map((job) => [job.id, renewal(job, at)]),
        ),
      lockWaitMs,
    );
    return true;
  } catch (error) {
    if (error instanceof LockHeldError) return false;
    throw error;
  }
}

function renewal(job: Job, at: string): JobPatch {
  const renew = (claim: StoredClaim | null): { readonly at: string; readonly by: string } | undefined =>
    claim === null ? undefined : { at, by: claim.by };
  const fireClaim = renew(job.fireClaim);
  const runClaim = renew(job.runClaim);
  return { ...(fireClaim === undefined ? {} : { fireClaim }), ...(runClaim === undefined ? {} : { runClaim }) };
}

/**
 * The names of gates that an earlier daemon had ready and never opened. Nothing ran in them and no row names them. One that is
 * still held belongs to a launcher on its way out, and is found at the next start.
 */
export function findUnusedGates({ system, ledger, stateFolder }: DaemonParts): readonly string[] {
  const known = ledger.runIds();
  return system.files.list(`${stateFolder}/runs`).filter((runId) => {
    const folder = runFolder(stateFolder, runId);
    if (known.has(runId) || system.files.stat(folder.started) !== null) return false;
    if (system.files.stat(folder.alive) === null) return true;
    const lock = system.locks.tryLock(folder.alive);
    lock?.release();
    return lock !== null;
  });
}

/** Removes the folders of such gates. What cannot be removed now is found again at the next start. */
export function removeUnusedGates({ system, stateFolder }: DaemonParts, gates: readonly string[]): void {
  for (const runId of gates) {
    const folder = runFolder(stateFolder, runId).path;
    try {
      system.files.removeFolder(folder);
    } catch (error) {
      if (!(error instanceof Error) || error instanceof InvariantError) throw error;
      system.log.debug("an unused run folder is left", { folder, error: error.message });
    }
  }
}
