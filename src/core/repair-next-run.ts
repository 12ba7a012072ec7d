import { claimEndsAtMs, fireClaimLifeMs, type OwnerState } from "./claim-life.ts";
import { hermesGraceMs } from "./grace.ts";
import { parseWrittenTime, roundToMicrosecond } from "./instant.ts";
import type { Job, StoredTime } from "./job.ts";
import { computeNextRun, formatOccurrence, isOccurrence, nextOccurrence, onceGraceMs } from "./next-occurrence.ts";
import type { Schedule } from "./schedule.ts";
import { createZone, wallOfInstant, type Zone } from "./zone.ts";

/** The schedule's next instant after `afterMs`, as Hermes would write it. */
export function toStoredTime(schedule: Schedule, ms: number, afterMs: number, zone: Zone): StoredTime {
  // A clock may be finer than the six digits of a text, and both must be the same instant.
  const atMs = roundToMicrosecond(ms);
  return { text: formatOccurrence(schedule, atMs, afterMs, zone), ms: atMs };
}

/** A `next_run_at` for a record that has none, or null where there is nothing left to come. */
export function recoverNextRun(job: Job, schedule: Schedule, nowMs: number, zone: Zone): StoredTime | null {
  if (schedule.kind === "once") {
    if (job.lastRunAt !== null || schedule.runAtMs === null) return null;
    return nowMs - schedule.runAtMs <= onceGraceMs ? toStoredTime(schedule, schedule.runAtMs, nowMs, zone) : null;
  }
  const ms = computeNextRun(schedule, nowMs, nowMs, zone);
  return ms === null ? null : toStoredTime(schedule, ms, nowMs, zone);
}

/**
 * Whether a cron instant looks due only because the zone moved under it: its text carries another offset than the present one,
 * and the wall clock time that it names is still to come.
 */
export function isMovedByZone(next: StoredTime, nowMs: number, zone: Zone): boolean {
  const written = parseWrittenTime(next.text);
  if (written === null || written.offsetMs === null || next.ms > nowMs) return false;
  return written.offsetMs !== zone.offsetMsAt(nowMs) && written.wallMs > wallOfInstant(nowMs, zone);
}

/**
 * Whether a cron instant is none of its expression's, as after an edit by hand. An instant that is one in the offset it was
 * written with comes from a store that kept another zone: it never fired and still has to.
 */
export function isOffSchedule(schedule: Schedule, next: StoredTime, zone: Zone): boolean {
  if (schedule.kind !== "cron" || isOccurrence(schedule, next.ms, zone)) return false;
  const written = parseWrittenTime(next.text);
  if (written === null || written.wallMs === wallOfInstant(next.ms, zone)) return true;
  return !isOccurrence(schedule, written.wallMs, createZone(null, 0));
}

/**
 * An earlier `next_run_at` for a recurring job that failed and has not run for more than a period and its grace since, or null.
 * Hermes brings such a job forward by itself, so leaving it alone would only leave it to the gateway.
 */
export function rearmAfterError(
  job: Job,
  schedule: Schedule,
  next: StoredTime,
  nowMs: number,
  zone: Zone,
  ownerState: OwnerState,
): StoredTime | null {
  const { lastRunAt } = job;
  if (job.lastStatus !== "error" || schedule.kind === "once" || next.ms <= nowMs || lastRunAt === null) return null;
  if (job.quotaHoldUntil !== null && job.quotaHoldUntil.ms > nowMs) return null;
  const ageMs = nowMs - lastRunAt.ms;
  // No grace is shorter, and telling the period of a cron job costs two searches.
  if (ageMs <= 120_000) return null;
  const periodMs = periodOf(schedule, nowMs, zone);
  const graceMs = hermesGraceMs(schedule, zone, nowMs);
  if (ageMs <= (periodMs ?? graceMs) + graceMs) return null;
  if (claimEndsAtMs(job.fireClaim, fireClaimLifeMs, nowMs, ownerState) !== null) return null;
  const ms = schedule.kind === "interval" ? nowMs : computeNextRun(schedule, nowMs, nowMs, zone);
  return ms === null || ms >= next.ms ? null : toStoredTime(schedule, ms, nowMs, zone);
}

function periodOf(schedule: Schedule, nowMs: number, zone: Zone): number | null {
  if (schedule.kind === "interval") return schedule.minutes > 0 ? schedule.minutes * 60_000 : null;
  const firstMs = nextOccurrence(schedule, nowMs, zone);
  const secondMs = firstMs === null ? null : nextOccurrence(schedule, firstMs, zone);
  return firstMs === null || secondMs === null ? null : secondMs - firstMs;
}
