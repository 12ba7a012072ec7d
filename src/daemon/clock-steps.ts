import { standsByEarlierClock } from "../core/claim-life.ts";
import type { StoredClaim } from "../core/job.ts";
import type { RunLedger } from "../ledger/run-ledger.ts";
import type { Clock } from "../system/clock.ts";

/** Less than this a clock is corrected by without anybody noticing. */
const stepMsMin = 1000;
/** Whoever lives has refreshed its claims by the new clock by then, a Hermes each minute. */
const rememberedMs = 300_000;
const stepsMax = 20;
/** In our ledger: for a daemon that is started anew in that time. */
const noteKey = "clock_steps";

/** Steps of the wall clock, of which no timer tells: somebody set it, or the machine slept. */
export interface ClockSteps {
  /** By how much it was set since this was last asked; 0 where that is not worth a word. */
  take(): number;
  /** Whether the claim is fresh by the clock as it was a short while ago, before it was set. */
  stands(claim: StoredClaim): boolean;
}

interface Step {
  readonly byMs: number;
  /** By the new clock. */
  readonly atMs: number;
}

export function createClockSteps(clock: Clock, ledger: Pick<RunLedger, "note" | "setNote">): ClockSteps {
  let wallMinusMonotonicMs = clock.nowMs() - clock.monotonicMs();
  let untakenMs = 0;
  /** The latest last, each with the moment until which it counts (monotonic ms). */
  let steps: readonly (Step & { readonly untilMonotonicMs: number })[] = readSteps(ledger.note(noteKey)).flatMap(
    (step) => {
      const leftMs = step.atMs + rememberedMs - clock.nowMs();
      const isRecent = leftMs > 0 && leftMs <= rememberedMs;
      return isRecent ? [{ ...step, untilMonotonicMs: clock.monotonicMs() + leftMs }] : [];
    },
  );

  function look(): void {
    const difference = clock.nowMs() - clock.monotonicMs();
    const byMs = difference - wallMinusMonotonicMs;
    wallMinusMonotonicMs = difference;
    if (Math.abs(byMs) < stepMsMin) return;
    untakenMs += byMs;
    // What was noted by an earlier clock is told by this one from now on.
    const before = steps.map((step) => ({ ...step, atMs: step.atMs + byMs }));
    const step = { byMs, atMs: clock.nowMs(), untilMonotonicMs: clock.monotonicMs() + rememberedMs };
    steps = [...before, step].slice(-stepsMax);
    try {
      ledger.setNote(noteKey, JSON.stringify(steps.map(({ byMs: by, atMs }) => ({ byMs: by, atMs }))));
    } catch (error) {
      // On a full disk the next daemon goes by the age of claims alone.
      if (!(error instanceof Error)) throw error;
    }
  }

  return {
    take() {
      look();
      const byMs = untakenMs;
      untakenMs = 0;
      return byMs;
    },
    stands(claim) {
      // Within a transaction nothing is noted: `take` sees to that in each turn.
      const nowMs = clock.nowMs();
      const unseenMs = nowMs - clock.monotonicMs() - wallMinusMonotonicMs;
      const recent = steps.filter((step) => step.untilMonotonicMs > clock.monotonicMs()).map(({ byMs }) => byMs);
      return standsByEarlierClock(claim, Math.abs(unseenMs) < stepMsMin ? recent : [...recent, unseenMs], nowMs);
    },
  };
}

function readSteps(text: string | null): readonly Step[] {
  const found = JSON.parse(text ?? "[]") as readonly Partial<Step>[];
  return found.flatMap(({ byMs, atMs }) =>
    typeof byMs === "number" && typeof atMs === "number" ? [{ byMs, atMs }] : [],
  );
}
