import type { Clock } from "../system/clock.ts";

/** A planned restart is over within two seconds, of which closing takes some. */
const endMsMax = 1200;
const pollMs = 25;

/** Ends once `isDone`, at the latest after a moment: what takes longer is left to the next daemon. */
export function endWhen(clock: Clock, isDone: () => boolean, end: () => void): void {
  const endAtMs = clock.monotonicMs() + endMsMax;
  const look = (): void => {
    if (isDone() || clock.monotonicMs() >= endAtMs) end();
    else clock.after(pollMs, look);
  };
  look();
}
