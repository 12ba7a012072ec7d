import { parseCronExpression } from "./cron-expression.ts";
import { createZonedSteps, nextOccurrence, onceGraceMs } from "./next-occurrence.ts";
import type { Schedule } from "./schedule.ts";
import type { Zone } from "./zone.ts";

const graceMinMs = 120_000;
const graceMaxMs = 7_200_000;

/**
 * How late a slot may be and still count as late rather than missed: one full period, at least 2 minutes and at most 2
 * hours. The period of a cron job is the gap between its next two occurrences.
 */
export function lateGraceMs(schedule: Schedule, zone: Zone, atMs: number): number {
  if (schedule.kind === "once") return onceGraceMs;
  return clampGrace(periodMs(schedule, zone, atMs) ?? 0);
}

/** The time between the next two occurrences; null where there are no two. */
export function periodMs(schedule: Schedule, zone: Zone, atMs: number): number | null {
  if (schedule.kind === "interval") return schedule.minutes * 60_000;
  try {
    const firstMs = nextOccurrence(schedule, atMs, zone);
    const secondMs = firstMs === null ? null : nextOccurrence(schedule, firstMs, zone);
    return firstMs === null || secondMs === null ? null : secondMs - firstMs;
  } catch {
    // A refused expression has no period; whoever plans the job reports it.
    return null;
  }
}

/** Hermes' own grace: half the period, measured by croniter with the zone, and so too short near a clock change. */
export function hermesGraceMs(schedule: Schedule, zone: Zone, nowMs: number): number {
  if (schedule.kind === "once") return onceGraceMs;
  const seconds =
    schedule.kind === "interval" ? schedule.minutes * 60 : hermesCronPeriod(schedule.expression, zone, nowMs);
  return clampGrace(Math.floor(Math.trunc(seconds) / 2) * 1000);
}

function hermesCronPeriod(text: string, zone: Zone, nowMs: number): number {
  try {
    const steps = createZonedSteps(parseCronExpression(text), nowMs, zone);
    const first = steps.next();
    const second = first === null ? null : steps.next();
    return first === null || second === null ? 0 : Math.max(0, (second.wallMs - first.wallMs) / 1000);
  } catch {
    // As above.
    return 0;
  }
}

/** Of a period that is 0 where there is none. */
export function clampGrace(milliseconds: number): number {
  return Math.max(graceMinMs, Math.min(milliseconds, graceMaxMs));
}
