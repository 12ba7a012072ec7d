import { roundToMicrosecond } from "./instant.ts";
import { nextInterval, nextOccurrence } from "./next-occurrence.ts";
import type { Schedule } from "./schedule.ts";
import type { Zone } from "./zone.ts";

/** How many instants of one job get their lines in one tick; what is left is the next tick's. */
export const instantsMax = 1000;

export interface PassedInstants {
  readonly instants: readonly number[];
  /** The first instant that is not among them, at or before the end asked for, or null. */
  readonly restFromMs: number | null;
}

/** What the rule named from `firstMs`, itself included, through `lastMs`. `firstMs` need not be an occurrence. */
export function passedInstants(
  schedule: Schedule,
  firstMs: number,
  lastMs: number,
  zone: Zone,
  countMax: number = instantsMax,
): PassedInstants {
  const instants: number[] = [];
  let atMs: number | null = firstMs;
  while (atMs !== null && atMs <= lastMs) {
    if (instants.length >= countMax) return { instants, restFromMs: atMs };
    instants.push(atMs);
    atMs = instantAfter(schedule, atMs, zone);
  }
  return { instants, restFromMs: null };
}

/** Like `passedInstants`, for a job that kept `firstMs` over a pause: what its rule named during the pause is left out. */
export function passedSincePause(
  schedule: Schedule,
  firstMs: number,
  lastMs: number,
  resumedAtMs: number,
  zone: Zone,
  countMax: number = instantsMax,
): PassedInstants {
  const againMs = nextAhead(schedule, firstMs, Math.max(firstMs, resumedAtMs), zone);
  const passed =
    againMs === null
      ? { instants: [], restFromMs: null }
      : passedInstants(schedule, againMs, lastMs, zone, countMax - 1);
  return { ...passed, instants: firstMs <= lastMs ? [firstMs, ...passed.instants] : [] };
}

/** The first instant after `nowMs`: a cron's next, or the interval's own pace counted from the instant it was at. */
export function nextAhead(schedule: Schedule, fromMs: number, nowMs: number, zone: Zone): number | null {
  if (schedule.kind === "interval") return nextInterval(fromMs, schedule.minutes, nowMs);
  return nextOccurrence(schedule, nowMs, zone);
}

/** The instant that follows `atMs` at the schedule's own pace. */
function instantAfter(schedule: Schedule, atMs: number, zone: Zone): number | null {
  switch (schedule.kind) {
    case "once":
      return null;
    case "interval":
      return schedule.minutes > 0 ? roundToMicrosecond(atMs + schedule.minutes * 60_000) : null;
    case "cron":
      return nextOccurrence(schedule, atMs, zone);
  }
}
