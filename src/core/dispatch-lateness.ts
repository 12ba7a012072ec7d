import type { LastDispatch } from "./job.ts";

/** Our own word: a slot counts as on time within 10 s, unless another one has come meanwhile. */
export const onTimeMs = 10_000;

const onTimeToleranceMs = 300_000;

/** Hermes' words in `last_dispatch`: its ticker looks once a minute, so five minutes still count as on time. */
export function classifyLateness(latenessMs: number, graceMs: number): LastDispatch["kind"] {
  if (latenessMs > graceMs) return "catch_up";
  return latenessMs > onTimeToleranceMs ? "late" : "on_time";
}

/** Python's `round(seconds, 1)`: a tie goes to the even digit, where JavaScript takes the larger. */
export function latenessSeconds(latenessMs: number): number {
  const seconds = latenessMs / 1000;
  const quarters = seconds * 4;
  if (!Number.isInteger(quarters) || quarters % 2 === 0) return Number(seconds.toFixed(1));
  const below = Math.floor(seconds * 10);
  return (below % 2 === 0 ? below : below + 1) / 10;
}
