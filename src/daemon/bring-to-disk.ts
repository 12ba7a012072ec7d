import type { DaemonParts } from "./daemon-parts.ts";
import type { HomeRuntime } from "./home-runtime.ts";
import type { DurableClaim } from "./stage-claims.ts";
import { voidClaims } from "./tick.ts";

export interface HomeClaims {
  readonly home: HomeRuntime;
  readonly claims: readonly DurableClaim[];
}

/**
 * Brings to the disk what the ticks of these homes put in force, in one sync for them all, and returns the claims that may start: all of
 * them, or none if the disk refuses. It comes when no lock is held: a disk can take ten times as long for it as a tick for everything else.
 */
export function bringToDisk(
  parts: DaemonParts,
  ticked: readonly HomeRuntime[],
  claimed: readonly HomeClaims[],
  guard: (home: HomeRuntime, act: () => void) => void,
): readonly HomeClaims[] {
  try {
    if (claimed.length > 0) parts.fault("before-ledger-sync");
    parts.ledger.sync();
    if (claimed.length > 0) parts.fault("after-ledger-sync");
    return claimed;
  } catch (error) {
    for (const home of ticked) {
      guard(home, () => {
        for (const { claims } of claimed.filter((one) => one.home === home)) voidClaims(parts, home, claims);
        throw error;
      });
    }
    return [];
  }
}
