import { standsByEarlierClock } from "../core/claim-life.ts";
import { clockNote, readSetBacks, type SetBack } from "../core/home-history.ts";
import type { StoredClaim } from "../core/job.ts";
import type { RunLedger } from "../ledger/run-ledger.ts";
import type { System } from "../system/system.ts";

/** Less than this a clock is corrected by without anybody noticing. */
const stepMsMin = 1000;
/** Whoever lives has refreshed its claims by the new clock by then, a Hermes each minute. */
const rememberedMs = 300_000;
const stepsMax = 20;
const setBacksMax = 50;

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

/** For a daemon that is started anew, also where the one before it died before it saw that the clock was set. */
interface Note {
  readonly boot_id: string;
  readonly wall_minus_monotonic_ms: number;
  readonly steps: readonly Step[];
  readonly set_backs: readonly SetBack[];
}

export function createClockSteps(
  { clock, processes }: Pick<System, "clock" | "processes">,
  ledger: Pick<RunLedger, "note" | "setNote">,
): ClockSteps {
  const bootId = processes.bootId();
  const text = ledger.note(clockNote);
  const noted = text === null ? null : (JSON.parse(text) as Note);
  let setBacks = readSetBacks(text);
  let wallMinusMonotonicMs = clock.nowMs() - clock.monotonicMs();
  let untakenMs = 0;
  const unseenMs =
    bootId === "" || noted?.boot_id !== bootId ? 0 : wallMinusMonotonicMs - noted.wall_minus_monotonic_ms;
  const isSet = Math.abs(unseenMs) >= stepMsMin;
  /** The latest last, each with the moment until which it counts (monotonic ms). */
  let steps: readonly (Step & { readonly untilMonotonicMs: number })[] = (noted?.steps ?? []).flatMap((step) => {
    const atMs = step.atMs + (isSet ? unseenMs : 0);
    const leftMs = atMs + rememberedMs - clock.nowMs();
    const isRecent = leftMs > 0 && leftMs <= rememberedMs;
    return isRecent ? [{ ...step, atMs, untilMonotonicMs: clock.monotonicMs() + leftMs }] : [];
  });
  if (isSet) remember(unseenMs);
  else if (noted?.boot_id !== bootId) write();

  function remember(byMs: number): void {
    const step = { byMs, atMs: clock.nowMs(), untilMonotonicMs: clock.monotonicMs() + rememberedMs };
    steps = [...steps, step].slice(-stepsMax);
    const setBack = { toMs: step.atMs, fromMs: step.atMs - byMs };
    if (byMs < 0) setBacks = [...setBacks, setBack].slice(-setBacksMax);
    write();
  }

  function write(): void {
    const note: Note = {
      boot_id: bootId,
      wall_minus_monotonic_ms: wallMinusMonotonicMs,
      steps: steps.map(({ byMs, atMs }) => ({ byMs, atMs })),
      set_backs: setBacks,
    };
    try {
      ledger.setNote(clockNote, JSON.stringify(note));
    } catch (error) {
      // On a full disk the next daemon goes by the age of claims alone.
      if (!(error instanceof Error)) throw error;
    }
  }

  function look(): void {
    const difference = clock.nowMs() - clock.monotonicMs();
    const byMs = difference - wallMinusMonotonicMs;
    wallMinusMonotonicMs = difference;
    if (Math.abs(byMs) < stepMsMin) return;
    untakenMs += byMs;
    // What was noted by an earlier clock is told by this one from now on.
    steps = steps.map((step) => ({ ...step, atMs: step.atMs + byMs }));
    remember(byMs);
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
      const sinceMs = nowMs - clock.monotonicMs() - wallMinusMonotonicMs;
      const recent = steps.filter((step) => step.untilMonotonicMs > clock.monotonicMs()).map(({ byMs }) => byMs);
      return standsByEarlierClock(claim, Math.abs(sinceMs) < stepMsMin ? recent : [...recent, sinceMs], nowMs);
    },
  };
}
