import type { Job, StoredClaim, StoredTime } from "./job.ts";

export type OwnerState = (by: string) => "alive" | "dead" | "unknown";

/** How long Hermes lets a `fire_claim`, and a `pending_slot` with it, stand without being refreshed. */
export const fireClaimLifeMs = 300_000;

/** How long a `run_claim` stands in a home that does not set `HERMES_CRON_TIMEOUT`. */
export const runClaimLifeDefaultMs = 1_800_000;

/**
 * When the claim ends by its age alone, or null if it holds nobody off: its owner is proven dead, it is older than its life, or
 * it is dated in the future, as after a clock that was set back.
 */
export function claimEndsAtMs(
  claim: StoredClaim | null,
  lifeMs: number,
  nowMs: number,
  ownerState: OwnerState,
): number | null {
  if (claim === null || claim.at === null) return null;
  const ageMs = nowMs - claim.at.ms;
  if (ageMs < 0 || ageMs >= lifeMs) return null;
  return ownerState(claim.by) === "dead" ? null : claim.at.ms + lifeMs;
}

/** Whether a `fire_claim` is fresh by the clock as it was before any of these steps, the latest last. */
export function standsByEarlierClock({ at }: StoredClaim, stepsMs: readonly number[], nowMs: number): boolean {
  if (at === null) return false;
  let byMs = 0;
  return stepsMs.toReversed().some((stepMs) => {
    byMs += stepMs;
    const ageMs = nowMs - byMs - at.ms;
    return ageMs >= 0 && ageMs < fireClaimLifeMs;
  });
}

/** The slot that a scheduler took off the schedule and will not claim any more, so that it belongs back on it. */
export function unclaimedSlot(job: Job, nowMs: number, ownerState: OwnerState): StoredTime | null {
  if (job.pendingSlot === null || job.schedule === null || job.schedule.kind === "once") return null;
  if (claimEndsAtMs(job.pendingSlot, fireClaimLifeMs, nowMs, ownerState) !== null) return null;
  return job.pendingSlot.scheduledAt;
}
