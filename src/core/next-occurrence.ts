import {
  type CronExpression,
  firstWallAfter,
  firstWallBefore,
  nextWall,
  parseCronExpression,
  stepWalls,
} from "./cron-expression.ts";
import { formatInstant, formatWrittenTime, isWithinPythonYears, roundToMicrosecond } from "./instant.ts";
import type { Schedule } from "./schedule.ts";
import { instantOfWall, wallOfInstant, type Zone } from "./zone.ts";

const minuteMs = 60_000;
const dayMs = 86_400_000;
/** How long after its time a one-shot may still start. */
export const onceGraceMs = 120_000;

/**
 * The first instant strictly after `afterMs` that the schedule names, or null when it never comes. An interval counts
 * from `afterMs`. Throws a SyntaxError for a cron expression that croniter refuses.
 */
export function nextOccurrence(schedule: Schedule, afterMs: number, zone: Zone): number | null {
  switch (schedule.kind) {
    case "once":
      return schedule.runAtMs !== null && schedule.runAtMs > afterMs ? schedule.runAtMs : null;
    case "interval":
      return addMinutes(afterMs, schedule.minutes);
    case "cron":
      return nextOfCron(parseCronExpression(schedule.expression), afterMs, zone);
  }
}

function nextOfCron(expression: CronExpression, afterMs: number, zone: Zone): number | null {
  let wallMs = nextWall(expression, wallOfInstant(afterMs, zone));
  // The wall clock knows the repeated hour once, so its two instants are tried in turn. Two steps are always enough; the
  // third is what Hermes would answer all the same.
  for (let step = 0; step < 2 && wallMs !== null; step += 1) {
    const first = instantOfWall(wallMs, 0, zone);
    if (first > afterMs) return first;
    const second = instantOfWall(wallMs, 1, zone);
    if (second > afterMs) return second;
    wallMs = nextWall(expression, wallMs);
  }
  return wallMs === null ? null : instantOfWall(wallMs, 0, zone);
}

/**
 * Hermes' `compute_next_run`: what it would store after a run at `lastRunAtMs`, null when there was none. NaN stands for
 * a stored time that nobody can read: a one-shot has then run, the others count from now.
 */
export function computeNextRun(
  schedule: Schedule,
  lastRunAtMs: number | null,
  nowMs: number,
  zone: Zone,
): number | null {
  if (schedule.kind === "once") {
    const { runAtMs } = schedule;
    return lastRunAtMs === null && runAtMs !== null && nowMs - runAtMs <= onceGraceMs ? runAtMs : null;
  }
  return nextOccurrence(schedule, lastRunAtMs === null || Number.isNaN(lastRunAtMs) ? nowMs : lastRunAtMs, zone);
}

function addMinutes(epochMs: number, minutes: number): number | null {
  const sum = roundToMicrosecond(epochMs + minutes * minuteMs);
  return isWithinPythonYears(sum) ? sum : null;
}

/**
 * The interval's cadence: the smallest `lastScheduledMs` + N × interval after now, so that a late or long run moves no
 * later one. An interval of nothing comes once a minute, which is what Hermes' own ticker makes of it.
 */
export function nextInterval(lastScheduledMs: number, minutes: number, nowMs: number): number | null {
  const stepMs = minutes > 0 ? minutes * minuteMs : minuteMs;
  const count = Math.max(1, Math.floor((nowMs - lastScheduledMs) / stepMs) + 1);
  let nextMs = roundToMicrosecond(lastScheduledMs + count * stepMs);
  // A product of doubles may land a step off on either side.
  if (nextMs <= nowMs) nextMs = roundToMicrosecond(lastScheduledMs + (count + 1) * stepMs);
  return isWithinPythonYears(nextMs) ? nextMs : null;
}

/**
 * Whether Hermes 0.22 takes the instant for one of the schedule's own. It asks only of cron, and lets pass what it cannot
 * check.
 */
export function isOccurrence(schedule: Schedule, atMs: number, zone: Zone): boolean {
  if (schedule.kind !== "cron") return true;
  let expression: CronExpression;
  try {
    expression = parseCronExpression(schedule.expression);
  } catch {
    // A refused expression is reported where it is read; here it only means that there is nothing to compare with.
    return true;
  }
  const wallMs = wallOfInstant(atMs, zone);
  const previous = createZonedSteps(expression, instantOfWall(wallMs + 1000, 0, zone), zone).previous();
  return previous === null || Math.abs(previous.wallMs - wallMs) < 1000;
}

/**
 * The text that Hermes would store for the occurrence that follows `afterMs`. It differs from the instant's own only for
 * a time that the spring change left out: Hermes writes the wall clock that the expression names, with the offset from
 * before the change.
 */
export function formatOccurrence(schedule: Schedule, atMs: number, afterMs: number, zone: Zone): string {
  if (schedule.kind === "cron" && zone.offsetMsAt(atMs - dayMs) < zone.offsetMsAt(atMs)) {
    const wallMs = nextWall(parseCronExpression(schedule.expression), wallOfInstant(afterMs, zone));
    if (wallMs !== null && instantOfWall(wallMs, 0, zone) === atMs) {
      return formatWrittenTime({ wallMs, offsetMs: wallMs - atMs });
    }
  }
  return formatInstant(atMs, zone);
}

/** Where a step arrives. */
interface ZonedStep {
  readonly atMs: number;
  readonly wallMs: number;
}

/** croniter's steps from an instant with a time zone; null when there is none within 50 years. */
export interface ZonedSteps {
  next(): ZonedStep | null;
  previous(): ZonedStep | null;
}

/**
 * croniter as it is when it gets a time with a zone. It reads the zone where it starts and where it arrives and then mends
 * the difference, which can be an hour wrong after a clock change. Hermes up to 0.20 schedules by it; 0.22 still checks
 * and measures by it.
 */
export function createZonedSteps(expression: CronExpression, startMs: number, zone: Zone): ZonedSteps {
  let currentMs = startMs;
  let anchorMs = startMs;

  function step(direction: 1 | -1): ZonedStep | null {
    const beginMs = direction === 1 ? firstWallAfter(expression, currentMs) : firstWallBefore(expression, currentMs);
    const beginWallMs = wallOfInstant(beginMs, zone);
    const walls = stepWalls(expression, beginWallMs, direction);
    if (walls === null) return null;
    const instants = walls.map((wallMs) => {
      // Python forgets the second pass of a repeated hour as soon as it adds to a time.
      const isUnmoved = expression.fieldCount > 5 && wallMs === beginWallMs;
      return isUnmoved ? beginMs : instantOfWall(wallMs, 0, zone);
    });
    let resultMs = direction === 1 ? Math.min(...instants) : Math.max(...instants);
    let resultWallMs = wallOfInstant(resultMs, zone);

    const anchorOffsetMs = zone.offsetMsAt(anchorMs);
    const lagMs = zone.offsetMsAt(resultMs) - anchorOffsetMs;
    if (lagMs !== 0) {
      const anchorWallMs = anchorMs + anchorOffsetMs;
      const distanceMs = Math.abs(resultWallMs - anchorWallMs);
      const hoursLeft = 24 - new Date(anchorWallMs).getUTCHours();
      if ((lagMs > 0 ? distanceMs : distanceMs - lagMs) >= hoursLeft * 3_600_000) {
        resultWallMs -= lagMs;
        resultMs = instantOfWall(resultWallMs, 0, zone);
        anchorMs = resultMs;
      }
    }
    currentMs = resultMs;
    return { atMs: resultMs, wallMs: resultWallMs };
  }

  return { next: () => step(1), previous: () => step(-1) };
}
