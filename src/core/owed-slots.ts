import type { Job, StoredTime } from "./job.ts";
import { instantsMax, nextAhead, type PassedInstants, passedInstants } from "./missed-occurrence.ts";
import {
  formatScheduleKey,
  isNamedSince,
  isSameInstant,
  parseScheduleKey,
  passedSlots,
  sameInstantMs,
  slotLine,
} from "./observe-slots.ts";
import type { Schedule } from "./schedule.ts";
import type { OwedSlots, SlotCursor, SlotDecision } from "./slot.ts";
import { type Draft, type Owing, wakeAt } from "./tick-draft.ts";
import type { Zone } from "./zone.ts";

const nothing: Owing = { owed: null, taken: null };

function owingOf(draft: Draft, jobId: string): Owing {
  const changed = draft.owings.get(jobId);
  if (changed !== undefined) return changed;
  const cursor = draft.input.cursors.get(jobId);
  if (cursor === undefined || (cursor.owed === undefined && cursor.taken === undefined)) return nothing;
  return { owed: cursor.owed ?? null, taken: cursor.taken ?? null };
}

export function owedOf(draft: Draft, jobId: string): OwedSlots | null {
  return owingOf(draft, jobId).owed;
}

/** Nothing changes where nothing was owed and nothing is. */
export function owe(draft: Draft, jobId: string, owed: OwedSlots | null, taken: Owing["taken"] = null): void {
  const before = owingOf(draft, jobId);
  if (before.owed !== owed || before.taken !== taken) draft.owings.set(jobId, { owed, taken });
}

/**
 * Gives the owed instants through `throughMs` their decision, as many as one tick writes. Answers what is owed after them; what is
 * not written yet keeps `decided`, and the job waits for it.
 */
export function decideOwed(
  draft: Draft,
  jobId: string,
  owed: OwedSlots,
  decision: SlotDecision,
  runId: string | null,
  throughMs: number = owed.throughMs,
): OwedSlots | null {
  const { nowMs, zone } = draft.input;
  const { decided: _, ...plain } = owed;
  const schedule = parseScheduleKey(owed.scheduleText);
  const lastMs = Math.min(throughMs, owed.throughMs);
  const passed = passedInstants(schedule, owed.fromMs, lastMs, zone);
  for (const atMs of passed.instants) draft.lines.push(slotLine({ id: jobId }, atMs, decision, nowMs, runId));
  let left: OwedSlots | null = null;
  if (passed.restFromMs !== null) {
    left = { ...plain, fromMs: passed.restFromMs, decided: { decision, runId, throughMs: lastMs } };
    wakeAt(draft, nowMs);
  } else {
    const fromMs = owed.fromMs > lastMs ? owed.fromMs : nextAhead(schedule, owed.fromMs, lastMs, zone);
    if (fromMs !== null && fromMs <= owed.throughMs) left = { ...plain, fromMs };
  }
  owe(draft, jobId, left, owingOf(draft, jobId).taken);
  return left;
}

/** Writes on what one tick could not. False while there is more. */
export function continueOwed(draft: Draft, jobId: string): boolean {
  const owed = owedOf(draft, jobId);
  if (owed?.decided === undefined) return true;
  const { decision, runId, throughMs } = owed.decided;
  return decideOwed(draft, jobId, owed, decision, runId, throughMs)?.decided === undefined;
}

/**
 * What waits for a run of the job, the oldest first: what is owed, and what has come in the record if that follows it. Where the
 * record was put back before the owed ones, its rule names those too.
 */
export function waitingSlots(
  draft: Draft,
  job: Job,
  schedule: Schedule,
  cursor: SlotCursor | undefined,
  next: StoredTime,
): PassedInstants {
  const { nowMs, zone } = draft.input;
  const owed = owedOf(draft, job.id);
  if (owed === null || next.ms <= Math.min(owed.fromMs, nowMs)) {
    return passedSlots(schedule, cursor, next.ms, nowMs, zone);
  }
  const lastMs = Math.min(owed.throughMs, nowMs, next.ms - sameInstantMs);
  const first = passedInstants(schedule, owed.fromMs, lastMs, zone);
  if (first.restFromMs !== null || next.ms > nowMs || !follows(schedule, owed, next.ms, zone)) return first;
  const second = passedSlots(schedule, cursor, next.ms, nowMs, zone, instantsMax - first.instants.length);
  return { instants: [...first.instants, ...second.instants], restFromMs: second.restFromMs };
}

/** What is owed once the job also waits for these instants; null where no one rule names them together with what is owed already. */
export function owedWith(
  draft: Draft,
  job: Job,
  schedule: Schedule,
  fromMs: number,
  throughMs: number,
): OwedSlots | null {
  const owed = owedOf(draft, job.id);
  if (owed === null) return { scheduleText: formatScheduleKey(schedule), fromMs, throughMs };
  if (!follows(schedule, owed, fromMs, draft.input.zone)) return null;
  return { ...owed, fromMs: Math.min(owed.fromMs, fromMs), throughMs: Math.max(owed.throughMs, throughMs) };
}

/** Whether the rule comes to this instant right after the owed ones. What lies between was decided already, or never was any. */
export function follows(schedule: Schedule, owed: OwedSlots, atMs: number, zone: Zone): boolean {
  return isSameInstant(nextAhead(schedule, owed.fromMs, owed.throughMs, zone), atMs);
}

/** Whether the rule, counted from the earlier of the two, names the later. */
export function isOneLine(schedule: Schedule, oneMs: number, otherMs: number, zone: Zone): boolean {
  return isNamedSince(schedule, Math.min(oneMs, otherMs), Math.max(oneMs, otherMs), zone);
}

/** By job, the oldest instant that is owed. */
export function owedSince(cursors: ReadonlyMap<string, SlotCursor>): ReadonlyMap<string, number> {
  const since = new Map<string, number>();
  for (const [jobId, { owed }] of cursors) if (owed !== undefined) since.set(jobId, owed.fromMs);
  return since;
}
