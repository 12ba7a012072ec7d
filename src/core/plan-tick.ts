import { admit, type GateCount } from "./admission.ts";
import { claimJob } from "./claim-job.ts";
import { closeLostJobs } from "./close-slots.ts";
import type { Job, JobPatch } from "./job.ts";
import { leavePending, renamePending } from "./leave-pending.ts";
import { earlierStretches, isNamedSince, isSameInstant, parseScheduleKey, unbrokenSince } from "./observe-slots.ts";
import { planJob, waitInvalid } from "./plan-job.ts";
import { planRetries } from "./plan-retry.ts";
import type { SlotCursor, SlotLine } from "./slot.ts";
import {
  type Candidate,
  type Draft,
  type EndedRetry,
  keepPatch,
  type PlannedClaim,
  type PlannedStop,
  type TickInput,
} from "./tick-draft.ts";
import type { Zone } from "./zone.ts";

export type { Gate } from "./admission.ts";
export type { SlotCursor } from "./slot.ts";
export type { PlannedClaim, PlannedStop, TickInput } from "./tick-draft.ts";

/** A job whose time has come, and the instant that it is due for. */
export type DueJob = Pick<Candidate, "job" | "dueAtMs" | "schedule" | "recorded" | "isManual" | "once" | "retry">;

export interface TickPlan {
  readonly claims: readonly PlannedClaim[];
  /** By job id, the claims' changes to the records among them. */
  readonly patches: ReadonlyMap<string, JobPatch>;
  readonly slots: readonly SlotLine[];
  /** The cursors that changed. */
  readonly cursors: ReadonlyMap<string, SlotCursor>;
  /** Jobs whose record is gone: forget their cursors. */
  readonly cursorsDropped: readonly string[];
  /** Attempts that do not come any more. */
  readonly retryEnds: readonly EndedRetry[];
  /** Jobs that are due and could run, but wait for room, a gate, a hold or somebody else's claim. */
  readonly waiting: number;
  /** All that are due and that only room and gates could keep from running, the claimed ones among them. */
  readonly candidates: readonly DueJob[];
  /** Open runs to be stopped, because their jobs' next ones take their place. */
  readonly stops: readonly PlannedStop[];
  /** Gates wanted but not given: spawn these and plan again. */
  readonly gatesMissing: GateCount;
  /** The earliest instant at which another tick has something to do, or null. */
  readonly wakeAtMs: number | null;
  /**
   * Whether nothing was asked but the records and the cursors: as long as both stay the same, every tick before `wakeAtMs` finds
   * nothing to do either.
   */
  readonly isQuiet: boolean;
}

/**
 * One pass over the jobs of a home. What is due is what Hermes 0.22 would find due; the differences stand in
 * `docs/hermes.md`.
 */
export function planTick(input: TickInput): TickPlan {
  const { ranElsewhere = () => false, wasBusyElsewhere = () => false, claimedElsewhereMs = () => null } = input;
  const { nowMs, zone, ownerState } = input;
  const draft: Draft = {
    input,
    view: { nowMs, zone, ownerState, ranElsewhere, wasBusyElsewhere, claimedElsewhereMs },
    openRuns: new Map(input.openRuns.map((run) => [run.jobId, run])),
    candidates: [],
    claims: [],
    patches: new Map(),
    lines: [],
    cursors: new Map(),
    retryEnds: [],
    owings: new Map(),
    stops: [],
    waiting: 0,
    wakeAtMs: Number.POSITIVE_INFINITY,
  };
  const seen = new Set<string>();
  let known = 0;
  let areQuiet = true;
  for (const job of input.jobs) {
    // Of two records with one id Hermes writes the first, so that is the one with a schedule.
    if (seen.has(job.id)) continue;
    seen.add(job.id);
    const cursor = input.cursors.get(job.id);
    if (cursor !== undefined) known += 1;
    if (isQuiet(job, cursor, nowMs)) {
      // A paused job keeps an instant that may have passed long ago, and waits for nothing.
      if (job.enabled && job.nextRunAt !== null && job.nextRunAt.ms < draft.wakeAtMs && input.canRun(job))
        draft.wakeAtMs = job.nextRunAt.ms;
    } else {
      areQuiet = false;
      planJobSafely(draft, job, cursor);
    }
  }
  const isComplete = known === input.cursors.size;
  const dropped = isComplete ? [] : closeLostJobs(draft, seen);
  planRetries(draft);
  const admission = admit(draft.candidates, input.gates, input.capacity, input.room);
  for (const { candidate, gate } of admission.admitted) claimJob(draft, candidate, gate);
  for (const candidate of admission.waiting) leaveWaiting(draft, candidate);
  return {
    claims: draft.claims,
    patches: draft.patches,
    slots: draft.owings.size === 0 ? draft.lines : withoutDoubles(draft.lines),
    cursors: finishedCursors(draft, dropped),
    stops: draft.stops,
    cursorsDropped: dropped,
    retryEnds: draft.retryEnds,
    waiting: draft.waiting,
    candidates: draft.candidates,
    gatesMissing: admission.gatesMissing,
    wakeAtMs: draft.wakeAtMs === Number.POSITIVE_INFINITY ? null : draft.wakeAtMs,
    isQuiet: areQuiet && isComplete && (input.retries?.size ?? 0) === 0,
  };
}

/** A record that was put back names instants that are owed besides; what is said of them first counts. */
function withoutDoubles(lines: readonly SlotLine[]): readonly SlotLine[] {
  const decided = new Set<string>();
  return lines.filter(({ jobId, scheduledAtMs, decision }) => {
    const key = `${Math.round(scheduledAtMs * 1000)} ${jobId}`;
    if (decided.has(key)) return false;
    if (decision !== "pending" && decision !== "move") decided.add(key);
    return true;
  });
}

/** The cursors that changed, with what they keep however they move. */
function finishedCursors({ cursors, owings, input }: Draft, dropped: readonly string[]): TickPlan["cursors"] {
  const { cursors: known, nowMs, zone } = input;
  const finished = new Map<string, SlotCursor>();
  for (const id of new Set([...cursors.keys(), ...owings.keys()])) {
    const before = known.get(id);
    const moved = cursors.get(id) ?? before;
    if (moved === undefined || dropped.includes(id)) continue;
    const { sinceMs: _, earlier: __, owed: ___, taken: ____, ...cursor } = moved;
    const sinceMs = unbrokenSince(cursor, before, nowMs);
    const earlier = earlierStretches(before, sinceMs);
    const { owed, taken } = owings.get(id) ?? { owed: before?.owed ?? null, taken: before?.taken ?? null };
    const pending = stillPending(cursor, before, zone);
    finished.set(id, {
      ...cursor,
      ...(pending === undefined ? {} : { pending }),
      ...(sinceMs === null ? {} : { sinceMs }),
      ...(earlier.length === 0 ? {} : { earlier }),
      ...(owed === null ? {} : { owed }),
      ...(taken === null ? {} : { taken }),
    });
  }
  return finished;
}

/** Where the clock was set back, instants that are still to come have lines that say they wait. */
function stillPending(cursor: SlotCursor, before: SlotCursor | undefined, zone: Zone): SlotCursor["pending"] {
  const { nextAtMs, scheduleText } = cursor;
  if (cursor.pending !== undefined || before?.pending === undefined || nextAtMs === null) return cursor.pending;
  const { throughMs } = before.pending;
  if (throughMs < nextAtMs || scheduleText !== before.scheduleText) return undefined;
  // An interval that goes on at another pace does not come to them.
  return isNamedSince(parseScheduleKey(scheduleText), nextAtMs, throughMs, zone) ? before.pending : undefined;
}

/** Most jobs at most ticks: nothing about them has changed and their time has not come. */
function isQuiet(job: Job, cursor: SlotCursor | undefined, nowMs: number): boolean {
  if (cursor === undefined || cursor.backlog !== undefined || cursor.owed !== undefined) return false;
  if (!cursor.enabled) return !job.enabled && cursor.pending === undefined;
  return (
    job.nextRunAt !== null &&
    job.nextRunAt.ms > nowMs &&
    isSameInstant(cursor.nextAtMs, job.nextRunAt.ms) &&
    job.enabled &&
    job.state === "scheduled" &&
    job.pausedAt === null &&
    job.fault === null &&
    job.pendingSlot === null &&
    job.lastStatus !== "error" &&
    cursor.servedBy === undefined
  );
}

function planJobSafely(draft: Draft, job: Job, cursor: SlotCursor | undefined): void {
  const lineCount = draft.lines.length;
  try {
    planJob(draft, job, cursor);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    // A cron expression that croniter refuses: the record is invalid, which whoever read it reports.
    draft.lines.length = lineCount;
    draft.patches.delete(job.id);
    draft.owings.delete(job.id);
    waitInvalid(draft, job, draft.cursors.get(job.id) ?? cursor);
  }
}

function leaveWaiting(draft: Draft, { job, schedule, recorded, isManual, patch, retry }: Candidate): void {
  draft.waiting += 1;
  keepPatch(draft, job, patch);
  const cursor = draft.cursors.get(job.id) ?? draft.input.cursors.get(job.id);
  if (retry !== undefined) return;
  const reason = draft.input.room?.notYet.get(job.id)?.kind === "pressure" ? "pressure" : "capacity";
  if (isManual) {
    renamePending(draft, job, schedule, cursor, reason);
    return;
  }
  // What is owed has its lines.
  if (recorded.ms <= draft.input.nowMs) leavePending(draft, job, schedule, cursor, recorded, reason);
}
