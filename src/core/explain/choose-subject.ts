import { askAfter } from "../clock-change.ts";
import { comingOccurrences } from "../coming-occurrences.ts";
import { isOverByCount, isQuotaHeld, isRunnable, type Job } from "../job.ts";
import { nextOccurrence } from "../next-occurrence.ts";
import { isOpenRun, type Run } from "../run.ts";
import type { OwedSlots } from "../slot.ts";
import type { Zone } from "../zone.ts";
import type { Subject, ToldSlot } from "./explain-evidence.ts";

export interface SubjectFacts {
  readonly nowMs: number;
  readonly zone: Zone;
  readonly job: Job | null;
  /** Whether the jobs of its home cannot be read now. */
  readonly isUnread: boolean;
  /** The instant that was asked for; null asks for the newest that there is to say. */
  readonly atMs: number | null;
  /** Around that instant, or the newest; the latest scheduled first. */
  readonly slots: readonly ToldSlot[];
  /** Instants that have come and that a later run is for; its record names a later one already. */
  readonly owed: OwedSlots | null;
  /** The oldest instant that has come and waits; null where none does. */
  readonly waitsSinceMs: number | null;
  /** Those that may have been open then, or the newest; the newest first. */
  readonly runs: readonly Run[];
}

/** A time is typed by the minute, so whatever came within it is meant. */
const minuteMs = 60_000;

/** What a question about a job is about. */
export function chooseSubject(facts: SubjectFacts): Subject {
  const { atMs, nowMs, slots, runs } = facts;
  if (atMs === null) return newestSubject(facts);
  if (atMs > nowMs) return { kind: "future", atMs };
  const near = slots.filter((slot) => Math.abs(slot.scheduledAtMs - atMs) < minuteMs);
  const [closest] = near.toSorted((a, b) => distance(a.scheduledAtMs, atMs) - distance(b.scheduledAtMs, atMs));
  const isWithin = closest !== undefined && closest.scheduledAtMs >= atMs;
  const unscheduled = runs.filter((run) => run.scheduledAtMs === null || run.trigger === "retry");
  const begun = unscheduled.find((run) => run.claimedAtMs >= atMs && run.claimedAtMs < atMs + minuteMs);
  if (isWithin) return ofSlot(closest, runs);
  const { owed } = facts;
  if (owed !== null && owed.fromMs < atMs + minuteMs && owed.throughMs >= atMs)
    return { kind: "due", atMs: Math.max(atMs, owed.fromMs), slot: null };
  if (begun !== undefined) return { kind: "run", run: begun, slot: null };
  const namedMs = namedWithin(facts, atMs);
  if (namedMs !== null) return { kind: "due", atMs: namedMs, slot: null };
  if (closest !== undefined) return ofSlot(closest, runs);
  const open = unscheduled.find((run) => run.claimedAtMs <= atMs && (run.endedAtMs ?? nowMs) >= atMs);
  if (open !== undefined) return { kind: "run", run: open, slot: null };
  return { kind: "unnamed", atMs };
}

/** What lies ahead within the minute is meant before what lies behind. */
function distance(scheduledAtMs: number, atMs: number): number {
  const awayMs = scheduledAtMs - atMs;
  return awayMs >= 0 ? awayMs : minuteMs - awayMs;
}

function newestSubject({ job, isUnread, nowMs, zone, waitsSinceMs, slots, runs }: SubjectFacts): Subject {
  const [slot] = slots;
  const [run] = runs;
  const open = runs.find(isOpenRun);
  // Of many that wait it is the oldest that a run is for, and that says since when.
  if (waitsSinceMs !== null && job !== null && isRunnable(job)) {
    const isIt = (each: ToldSlot): boolean => Math.abs(each.scheduledAtMs - waitsSinceMs) < 0.001;
    return {
      kind: "due",
      atMs: waitsSinceMs,
      slot: slots.find((each) => isIt(each) && each.decision === "pending") ?? null,
    };
  }
  if (open !== undefined) {
    const isPassedOver = slot !== undefined && slot.decision === "skip" && slot.decidedAtMs > open.claimedAtMs;
    return isPassedOver ? { kind: "slot", slot } : { kind: "run", run: open, slot: slotOf(open, slots) };
  }
  if (job === null && isUnread) return { kind: "standstill" };
  if (job !== null) {
    const dueMs = job.nextRunAt?.ms ?? null;
    const isOnceRun = job.schedule?.kind === "once" && run !== undefined;
    if (job.fault !== null || job.schedule === null || isQuotaHeld(job, nowMs)) return { kind: "standstill" };
    if (isOverByCount(job) && !isOnceRun) return { kind: "standstill" };
    if (!isRunnable(job)) {
      // A one-shot that has run is no riddle: its run is what there is to tell.
      const isDone = job.state === "completed" && isOnceRun;
      return isDone ? { kind: "run", run, slot: slotOf(run, slots) } : { kind: "standstill" };
    }
    if (slot?.decision === "pending") return { kind: "due", atMs: slot.scheduledAtMs, slot };
    if (dueMs !== null && dueMs <= nowMs) {
      return { kind: "due", atMs: dueMs, slot: slots.find((each) => each.scheduledAtMs === dueMs) ?? null };
    }
    const isComing = dueMs !== null || typeof comingOccurrences(job, nowMs, 1, zone) !== "string";
    if (!isComing && !(job.schedule.kind === "once" && (run !== undefined || slot !== undefined))) {
      return { kind: "standstill" };
    }
  }
  if (slot === undefined && run === undefined) return { kind: "future", atMs: null };
  if (run !== undefined && (slot === undefined || (run.claimedAtMs > slot.decidedAtMs && slot.runId !== run.id))) {
    return { kind: "run", run, slot: slotOf(run, slots) };
  }
  return slot === undefined ? { kind: "future", atMs: null } : ofSlot(slot, runs);
}

function ofSlot(slot: ToldSlot, runs: readonly Run[]): Subject {
  if (slot.decision === "pending") return { kind: "due", atMs: slot.scheduledAtMs, slot };
  const run = slot.decision === "run" ? runs.find(({ id }) => id === slot.runId) : undefined;
  return run === undefined ? { kind: "slot", slot } : { kind: "run", run, slot };
}

function slotOf(run: Run, slots: readonly ToldSlot[]): ToldSlot | null {
  return slots.find((slot) => slot.decision === "run" && slot.runId === run.id) ?? null;
}

/** The instant that the schedule names within the minute. */
function namedWithin({ job, zone }: SubjectFacts, atMs: number): number | null {
  if (job === null || job.schedule === null || job.schedule.kind === "interval") {
    // Where an interval counted from by then, only its lines tell.
    const dueMs = job?.nextRunAt?.ms ?? null;
    return dueMs !== null && dueMs >= atMs && dueMs < atMs + minuteMs ? dueMs : null;
  }
  try {
    const nextMs = nextOccurrence(job.schedule, askAfter(job.schedule, atMs, zone), zone);
    return nextMs !== null && nextMs >= atMs && nextMs < atMs + minuteMs ? nextMs : null;
  } catch (error) {
    // A refused expression names nothing; that it is refused is told with the rest.
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}
