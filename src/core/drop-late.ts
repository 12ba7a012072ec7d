import { lateGraceMs } from "./grace.ts";
import type { Job, JobPatch, StoredTime } from "./job.ts";
import type { Misfire } from "./job-policy.ts";
import { nextAhead } from "./missed-occurrence.ts";
import { sameInstantMs } from "./observe-slots.ts";
import { decideOwed, owedOf } from "./owed-slots.ts";
import { passOver } from "./pass-over.ts";
import { toStoredTime } from "./repair-next-run.ts";
import type { Schedule } from "./schedule.ts";
import type { SlotCursor, SlotDecision } from "./slot.ts";
import { type Draft, policyOf, type Writable } from "./tick-draft.ts";

const byPolicy: SlotDecision = { decision: "skip", reason: "policy" };
const byHermes: SlotDecision = { decision: "miss", reason: "too_late" };

/** How late an instant may be and still run, or null for no limit. */
export function lateMsMax(misfire: Misfire, graceMs: number): number | null {
  switch (misfire.kind) {
    case "skip":
      return graceMs;
    case "within":
      return misfire.withinMs;
    case "run_once":
    case "run_all":
      return null;
  }
}

/**
 * Closes what came too long ago to be run still, and answers what then stands in the record; null where nothing is left to
 * be run in this tick.
 */
export function dropLate(
  draft: Draft,
  job: Job,
  schedule: Schedule,
  cursor: SlotCursor | undefined,
  next: StoredTime,
  patch: Writable<JobPatch>,
): StoredTime | null {
  const { nowMs, zone, catchUpMissed } = draft.input;
  const { misfire } = policyOf(draft.input, job);
  if (catchUpMissed !== false && lateMsMax(misfire, 0) === null) return next;
  const graceMs = lateGraceMs(schedule, zone, nowMs);
  const limitMs = lateMsMax(misfire, graceMs);
  // Hermes' own setting is about the whole home, so no policy of a job goes beyond it.
  const bounds = [
    ...(catchUpMissed === false ? [{ earliestMs: nowMs - graceMs, decision: byHermes }] : []),
    ...(limitMs === null ? [] : [{ earliestMs: nowMs - limitMs, decision: byPolicy }]),
  ];
  for (const { earliestMs, decision } of bounds) {
    const owed = owedOf(draft, job.id);
    if (owed === null || owed.fromMs >= earliestMs) continue;
    const left = decideOwed(draft, job.id, owed, decision, null, earliestMs - sameInstantMs);
    if (left?.decided !== undefined) return null;
  }
  if (catchUpMissed === false && nowMs - next.ms > graceMs) {
    // Hermes drops with it what came since, too.
    passOver(draft, job, schedule, cursor, next.ms, byHermes, patch);
    return null;
  }
  if (limitMs === null || nowMs - next.ms <= limitMs) return next;
  // What the rule named during a pause was no slot.
  const afterMs = Math.max(nowMs - limitMs - sameInstantMs, cursor?.resumedAtMs ?? Number.NEGATIVE_INFINITY);
  const keptMs = nextAhead(schedule, next.ms, afterMs, zone);
  const isWritten = passOver(draft, job, schedule, cursor, next.ms, byPolicy, patch, keptMs);
  if (!isWritten || keptMs === null || keptMs > nowMs) return null;
  const kept = toStoredTime(schedule, keptMs, nowMs, zone);
  patch.nextRunAt = kept.text;
  return kept;
}
