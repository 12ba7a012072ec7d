import type { Clock, Timer } from "./clock.ts";

/** Node turns a longer delay into 1 ms. */
const timerMsMax = 2 ** 31 - 1;
/** What the system's own steady clock, which counts from its start, said when `performance` began to count. */
const originMs = Number(process.hrtime.bigint()) / 1e6 - performance.now();

export function createClock(): Clock {
  return {
    nowMs: () => performance.timeOrigin + performance.now() + wallShiftMs(),
    monotonicMs: () => originMs + performance.now(),
    after(delayMs, act): Timer {
      let handle: NodeJS.Timeout;
      const arm = (leftMs: number): void => {
        handle = setTimeout(
          () => (leftMs > timerMsMax ? arm(leftMs - timerMsMax) : act()),
          Math.max(0, Math.min(leftMs, timerMsMax)),
        );
      };
      arm(delayMs);
      return { cancel: () => clearTimeout(handle) };
    },
    wait: (ms) => void Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms),
  };
}

let shiftMs = 0;

/**
 * `performance` gives fractions of a millisecond but never follows a step of the wall clock; `Date.now()` follows but
 * gives whole milliseconds. The difference is renewed only when they part by more than the rounding explains.
 */
function wallShiftMs(): number {
  const difference = Date.now() - (performance.timeOrigin + performance.now());
  // Date.now() is rounded down, so a difference within (-1, 0] is no shift at all.
  if (Math.abs(difference + 0.5 - shiftMs) > 0.75) shiftMs = difference + 0.5;
  return shiftMs;
}
