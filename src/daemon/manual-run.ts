import { claimEndsAtMs, fireClaimLifeMs } from "../core/claim-life.ts";
import { formatInstant } from "../core/instant.ts";
import type { Job, JobPatch } from "../core/job.ts";
import { fullText } from "../core/room.ts";
import { takeFireFences } from "../store/fire-fence.ts";
import { LockHeldError } from "../system/lock.ts";
import type { DaemonParts } from "./daemon-parts.ts";
import type { HomeRuntime } from "./home-runtime.ts";
import { boundInTheWay } from "./room-for-runs.ts";
import { type DurableClaim, newRun } from "./stage-claims.ts";
import { lockWaitMs, voidClaims } from "./tick.ts";
import { aliveElsewhere, ownerState } from "./tick-input.ts";

export type ManualClaim =
  | { readonly kind: "claimed"; readonly claim: DurableClaim }
  /** Not now, but by itself later. */
  | { readonly kind: "later"; readonly why: string }
  /** The same, for a person who asks now: the job is in the midst of another run. */
  | { readonly kind: "running"; readonly why: string }
  | { readonly kind: "refused"; readonly why: string };

/**
 * Claims a job that a person asked for. It needs the job's fence and the jobs lock but not the tick lock, so it works
 * while somebody else ticks for minutes. The schedule does not move: only the claim is written. The request is closed
 * together with the claim, so that no later daemon serves it a second time.
 */
export function claimManual(parts: DaemonParts, home: HomeRuntime, jobId: string, requestId: number): ManualClaim {
  const { system } = parts;
  if (parts.children.inHome(home.name).some((child) => child.jobId === jobId)) {
    return { kind: "running", why: "it is already running" };
  }
  if (home.settings.isFindingHermes && jobOf(home, jobId)?.kind === "prompt") {
    return { kind: "later", why: "the installed Hermes is being looked for" };
  }
  if (home.hold() === "disk") return { kind: "later", why: "the disk is almost full" };
  const asked = jobOf(home, jobId);
  const full = asked === undefined ? null : boundInTheWay(parts, home, asked);
  if (parts.draining) return { kind: "later", why: "the supervisor is ending" };
  if (full !== null) return { kind: "later", why: fullText(full) };
  const fences = takeFireFences(system, home.cronFolder, [jobId]);
  if (fences.busy.size > 0) return { kind: "later", why: "another process is starting or closing it" };
  let found: ManualClaim = { kind: "refused", why: "it is gone" };
  let claimed: readonly DurableClaim[] = [];
  try {
    const kind = jobOf(home, jobId)?.kind ?? "script";
    home.pools[kind].fill(1, home.settings.environments[kind]);
    const gate = home.pools[kind].ready()[0];
    if (gate === undefined) return { kind: "later", why: "no launcher could be started" };
    home.store.update((snapshot) => {
      const nowMs = system.clock.nowMs();
      const job = snapshot.jobs.find((one) => one.id === jobId);
      const patches = new Map<string, JobPatch>();
      if (job === undefined) return patches;
      if (job.fault !== null) {
        found = { kind: "refused", why: job.fault };
        return patches;
      }
      if (claimEndsAtMs(job.fireClaim, fireClaimLifeMs, nowMs, (by) => ownerState(parts, by)) !== null) {
        found = { kind: "running", why: `it is already running elsewhere (${job.fireClaim?.by})` };
        return patches;
      }
      if (job.fireClaim !== null && aliveElsewhere(parts, home)(job)) {
        found = { kind: "running", why: "what an earlier run of it started is still alive elsewhere" };
        return patches;
      }
      const run = newRun(home, job, gate, { trigger: "manual", scheduledAtMs: nowMs, claimedAtMs: nowMs });
      const claim = { run, job, gate, program: null };
      claimed = [claim];
      parts.ledger.transaction(() => {
        parts.ledger.claim([run]);
        parts.ledger.closeRequest(requestId, nowMs, run.id);
      });
      found = { kind: "claimed", claim };
      return patches.set(jobId, { fireClaim: { at: formatInstant(nowMs, home.settings.zone), by: gate.owner } });
    }, lockWaitMs);
    return found;
  } catch (error) {
    voidClaims(parts, home, claimed);
    if (error instanceof LockHeldError) return { kind: "later", why: error.message };
    throw error;
  } finally {
    fences.release();
  }
}

function jobOf(home: HomeRuntime, jobId: string): Job | undefined {
  return home.store.read().jobs.find((job) => job.id === jobId);
}
