import { standsByEarlierClock } from "../core/claim-life.ts";
import type { StoredClaim } from "../core/job.ts";
import type { Clock } from "../system/clock.ts";

/** Less than this a clock is corrected by without anybody noticing. */
const stepMsMin = 1000;
/** Whoever lives has refreshed its claims by the new clock by then, a Hermes each minute. */
const rememberedMs = 300_000;
const stepsMax = 20;

/** Steps of the wall clock, of which no timer tells: somebody set it, or the machine slept. */
export interface ClockSteps {
  /** By how much it was set since this was last asked; 0 where that is not worth a word. */
  take(): number;
  /** Whether the claim is fresh by the clock as it was a short while ago, before it was set. */
  stands(claim: StoredClaim): boolean;
}

export function createClockSteps(clock: Clock): ClockSteps {
  let wallMinusMonotonicMs = clock.nowMs() - clock.monotonicMs();
  let untakenMs = 0;
  /** The latest last. */
  let steps: readonly { readonly byMs: number; readonly atMonotonicMs: number }[] = [];

  function look(): void {
    const difference = clock.nowMs() - clock.monotonicMs();
    const byMs = difference - wallMinusMonotonicMs;
    wallMinusMonotonicMs = difference;
    if (Math.abs(byMs) < stepMsMin) return;
    untakenMs += byMs;
    steps = [...steps, { byMs, atMonotonicMs: clock.monotonicMs() }].slice(-stepsMax);
  }

  return {
    take() {
      look();
      const byMs = untakenMs;
      untakenMs = 0;
      return byMs;
    },
    stands(claim) {
      look();
      const sinceMs = clock.monotonicMs() - rememberedMs;
      const recent = steps.filter(({ atMonotonicMs }) => atMonotonicMs > sinceMs).map(({ byMs }) => byMs);
      return standsByEarlierClock(claim, recent, clock.nowMs());
    },
  };
}
