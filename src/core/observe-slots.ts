import { claimEndsAtMs, fireClaimLifeMs, type OwnerState } from "./claim-life.ts";
import type { Job, StoredTime } from "./job.ts";
import { instantsMax, type PassedInstants, passedInstants, passedSincePause } from "./missed-occurrence.ts";
import { isOccurrence } from "./next-occurrence.ts";
import type { Schedule } from "./schedule.ts";
import type { PendingReason, PendingSlots, SlotCursor, SlotDecision, SlotLine, SlotStretch } from "./slot.ts";
import type { Zone } from "./zone.ts";

/** What a tick knows beside the job itself. */
export interface SlotView {
  readonly nowMs: number;
  readonly zone: Zone;
  readonly ownerState: OwnerState;
  readonly ranElsewhere: (jobId: string, scheduledAtMs: number) => boolean;
  /** Whether Hermes' ledger says that a run of the job was under way, and that none was dispatched before the next instant. */
  readonly wasBusyElsewhere: (jobId: string, scheduledAtMs: number, nextAtMs: number) => boolean;
  /** When it says that a scheduler claimed a run of the job at this instant or later, or null. */
  readonly claimedElsewhereMs: (jobId: string, fromMs: number) => number | null;
}

/** What the ledger has to learn before the job's own next instant may be decided. */
export interface Observation {
  readonly lines: readonly SlotLine[];
  /** What is to be remembered instead of the given cursor, or null when the ledger has caught up with `next_run_at`. */
  readonly unsettled: SlotCursor | null;
  /** The foreign claim that was counted for the last instant, if it still stands. */
  readonly servedBy: string | null;
  readonly wakeAtMs: number | null;
}

// Instants from the ledger are whole microseconds, those from a text are sums of doubles: half of one tells them apart.
export const sameInstantMs = 0.0005;
// A Hermes whose clock is ahead may claim a slot this much before its time.
const claimSkewMs = 60_000;
/** How long an instant that somebody moved past waits for a sign of who ran it. */
const signWaitMs = 7_200_000;

export function isSameInstant(a: number | null, b: number | null): boolean {
  return a === b || (a !== null && b !== null && Math.abs(a - b) < sameInstantMs);
}

/**
 * `SlotCursor.sinceMs` of a cursor that follows another. A break is what leaves instants without a line for a good reason: another
 * rule, a pause, a `next_run_at` that somebody moved on before its time, an interval that somebody else counts from elsewhere.
 */
export function unbrokenSince(fresh: SlotCursor, before: SlotCursor | undefined, nowMs: number): number | null {
  const { nextAtMs } = fresh;
  if (nextAtMs === null || !fresh.enabled) return fresh.enabled ? (before?.sinceMs ?? null) : null;
  const startMs = Math.max(nextAtMs, fresh.resumedAtMs ?? nextAtMs);
  if (before?.sinceMs === undefined || before.nextAtMs === null || !before.enabled) return startMs;
  if (before.scheduleText !== fresh.scheduleText) return startMs;
  if (isSameInstant(before.nextAtMs, nextAtMs)) return before.sinceMs;
  if (before.nextAtMs > nowMs && nextAtMs > before.nextAtMs) return startMs;
  if (!fresh.scheduleText.startsWith("interval ")) return before.sinceMs;
  const [earlierMs, laterMs] = [Math.min(before.nextAtMs, nextAtMs), Math.max(before.nextAtMs, nextAtMs)];
  const rule = parseScheduleKey(fresh.scheduleText);
  return rule.kind === "interval" && isStep(rule.minutes, earlierMs, laterMs) ? before.sinceMs : startMs;
}

const earlierMax = 50;

/** `SlotCursor.earlier` of a cursor that follows another and is unbroken since `sinceMs`. */
export function earlierStretches(before: SlotCursor | undefined, sinceMs: number | null): readonly SlotStretch[] {
  const earlier = before?.earlier ?? [];
  if (before?.sinceMs === undefined || before.nextAtMs === null || before.sinceMs === sinceMs) return earlier;
  if (before.nextAtMs <= before.sinceMs) return earlier;
  const { scheduleText, nextAtMs } = before;
  return [...earlier, { scheduleText, sinceMs: before.sinceMs, nextAtMs }].slice(-earlierMax);
}

/** The rule alone, as one text: what a cursor remembers of a schedule. */
export function formatScheduleKey(schedule: Schedule): string {
  switch (schedule.kind) {
    case "cron":
      return `cron ${schedule.expression}`;
    case "interval":
      return `interval ${schedule.minutes}`;
    case "once":
      return `once ${schedule.runAtMs ?? ""}`;
  }
}

export function parseScheduleKey(text: string): Schedule {
  const rule = text.slice(text.indexOf(" ") + 1);
  if (text.startsWith("cron ")) return { kind: "cron", expression: rule };
  if (text.startsWith("interval ")) return { kind: "interval", minutes: Number(rule) };
  return { kind: "once", runAtMs: rule === "" ? null : Number(rule) };
}

export function slotLine(
  job: { readonly id: string },
  scheduledAtMs: number,
  decision: SlotDecision,
  nowMs: number,
  runId: string | null = null,
): SlotLine {
  return {
    ...decision,
    jobId: job.id,
    scheduledAtMs,
    runId,
    decidedAtMs: nowMs,
    latenessMs: decision.decision === "run" && runId !== null ? Math.max(0, nowMs - scheduledAtMs) : null,
  };
}

/**
 * One decision for the awaited instant and for those after it that already have a `pending` line, by the rule that they came
 * from: what was said to wait must not wait for ever.
 */
export function closeAwaited(
  job: { readonly id: string },
  cursor: SlotCursor,
  decisionFor: (atMs: number) => SlotDecision | null,
  view: SlotView,
): readonly SlotLine[] {
  if (cursor.nextAtMs === null) return [];
  const lastMs = Math.max(cursor.nextAtMs, cursor.pending?.throughMs ?? cursor.nextAtMs);
  const awaited = awaitedInstants(cursor, cursor.nextAtMs, lastMs, view.zone);
  return withFollowing(awaited, cursor, view.nowMs).flatMap((atMs) => {
    const decision = decisionFor(atMs);
    return decision === null ? [] : [slotLine(job, atMs, decision, view.nowMs)];
  });
}

/** Adds the instant that followed the awaited one, if it has come and the rule does not name it. */
export function withFollowing(instants: readonly number[], cursor: SlotCursor, nowMs: number): readonly number[] {
  const { followingMs } = cursor;
  if (followingMs === undefined || followingMs > nowMs) return instants;
  return instants.some((atMs) => isSameInstant(atMs, followingMs)) ? instants : [...instants, followingMs];
}

/** What the rule named from `fromMs` through `lastMs`, without the time of a pause over which the job kept `fromMs`. */
export function passedSlots(
  schedule: Schedule,
  cursor: Pick<SlotCursor, "resumedAtMs"> | undefined,
  fromMs: number,
  lastMs: number,
  zone: Zone,
  countMax?: number,
): PassedInstants {
  return cursor?.resumedAtMs === undefined
    ? passedInstants(schedule, fromMs, lastMs, zone, countMax)
    : passedSincePause(schedule, fromMs, lastMs, cursor.resumedAtMs, zone, countMax);
}

function awaitedInstants(cursor: SlotCursor, fromMs: number, lastMs: number, zone: Zone): readonly number[] {
  const schedule = parseScheduleKey(cursor.scheduleText);
  try {
    return passedSlots(schedule, cursor, fromMs, lastMs, zone).instants;
  } catch (error) {
    // An expression that cannot be evaluated named no more than the instant that stood in the record.
    if (error instanceof SyntaxError) return [fromMs];
    throw error;
  }
}

/** The next lines of a decision that was too long for one tick. `rest` is null when it is written to its end. */
export function continueBacklog(
  job: { readonly id: string },
  cursor: SlotCursor,
  view: SlotView,
): { readonly lines: readonly SlotLine[]; readonly cursor: SlotCursor; readonly isDone: boolean } {
  const { backlog, ...plain } = cursor;
  if (backlog === undefined || cursor.nextAtMs === null) return { lines: [], cursor: plain, isDone: true };
  const lastMs = backlog.untilMs - sameInstantMs;
  const passed = passedInstants(parseScheduleKey(cursor.scheduleText), cursor.nextAtMs, lastMs, view.zone);
  const lines = passed.instants.map((atMs) => slotLine(job, atMs, backlog.decision, view.nowMs, backlog.runId));
  if (passed.restFromMs !== null) return { lines, cursor: { ...cursor, nextAtMs: passed.restFromMs }, isDone: false };
  return { lines, cursor: { ...plain, nextAtMs: cursor.enabled ? backlog.untilMs : null }, isDone: true };
}

/**
 * Compares `next_run_at` with the instant that the ledger waits for, and says what became of the instants that somebody else took
 * off the schedule. `isOpen` says that a run of ours holds the job.
 */
export function observeSlots(
  job: Job,
  schedule: Schedule,
  next: StoredTime,
  cursor: SlotCursor | undefined,
  isOpen: boolean,
  view: SlotView,
): Observation {
  const awaitedMs = cursor?.nextAtMs ?? null;
  if (cursor === undefined || awaitedMs === null || isSameInstant(awaitedMs, next.ms)) {
    return settled(
      [],
      cursor?.servedBy !== undefined && job.fireClaim?.by === cursor.servedBy ? cursor.servedBy : null,
    );
  }
  const isEdited = cursor.scheduleText !== formatScheduleKey(schedule);
  const edited: SlotDecision = { decision: "move", reason: "edited" };
  const moved: SlotDecision = isEdited ? edited : { decision: "move", reason: "reanchored" };
  // What waits comes again after an earlier instant that is put back, unless more come before it than can wait.
  const isBeyond =
    cursor.pending !== undefined &&
    next.ms < awaitedMs &&
    passedInstants(schedule, next.ms, cursor.pending.throughMs, view.zone).restFromMs !== null;
  const isLost = (atMs: number): SlotDecision | null =>
    !isBeyond && isNamedSince(schedule, next.ms, atMs, view.zone) ? null : moved;
  if (awaitedMs > view.nowMs) {
    // Without an edit lines wait ahead, or an instant was served ahead, by a clock that was ahead of ours or was set back since.
    const isPassed = schedule.kind === "cron" && next.ms > awaitedMs;
    if (!isEdited && cursor.pending === undefined && !isPassed) return settled([], null);
    const claimMs = job.fireClaim?.by === cursor.servedBy ? null : (job.fireClaim?.at?.ms ?? null);
    const isClaimed = isPassed && claimMs !== null && claimMs >= awaitedMs - claimSkewMs;
    const decide = (atMs: number): SlotDecision | null => {
      const isRun = (isClaimed && isSameInstant(atMs, awaitedMs)) || view.ranElsewhere(job.id, atMs);
      return !isEdited && isRun ? { decision: "run", reason: "elsewhere" } : isLost(atMs);
    };
    return settled(closeAwaited(job, cursor, decide, view), isClaimed ? (job.fireClaim?.by ?? null) : null);
  }
  if (isEdited || schedule.kind === "once") {
    // An instant that the new rule names too is still to be decided, if the rule starts early enough.
    return settled(closeAwaited(job, cursor, next.ms < awaitedMs ? isLost : () => edited, view), null);
  }
  if (next.ms < awaitedMs) return settled(closeAwaited(job, cursor, isLost, view), null);
  if (
    cursor.followingMs !== undefined &&
    cursor.followingMs <= view.nowMs &&
    !isSameInstant(cursor.followingMs, next.ms)
  ) {
    return observeFollowing(job, schedule, next, cursor, cursor.followingMs, isOpen, view);
  }
  return observeTaken(job, schedule, next, cursor, awaitedMs, isOpen, view);
}

/** The instant that followed the awaited one was taken off the schedule too, so no sign of the first will come any more. */
function observeFollowing(
  job: Job,
  schedule: Schedule,
  next: StoredTime,
  cursor: SlotCursor,
  followingMs: number,
  isOpen: boolean,
  view: SlotView,
): Observation {
  const { followingMs: _, pending: __, ...plain } = cursor;
  const lastMs = followingMs - sameInstantMs;
  const passed =
    schedule.kind === "cron" && cursor.nextAtMs !== null
      ? passedSlots(schedule, cursor, cursor.nextAtMs, lastMs, view.zone)
      : null;
  if (passed !== null && passed.restFromMs !== null) {
    const decision: SlotDecision = { decision: "move", reason: "reanchored" };
    return {
      lines: passed.instants.map((atMs) => slotLine(job, atMs, decision, view.nowMs)),
      unsettled: { ...plain, nextAtMs: passed.restFromMs, backlog: { untilMs: followingMs, decision, runId: null } },
      servedBy: null,
      wakeAtMs: view.nowMs,
    };
  }
  const awaited = cursor.pending === undefined ? plain : { ...plain, pending: cursor.pending };
  const lines = closeAwaited(
    job,
    awaited,
    (atMs) =>
      isNamedSince(schedule, followingMs, atMs, view.zone) ? null : { decision: "move", reason: "reanchored" },
    view,
  );
  const after = observeSlots(
    job,
    schedule,
    next,
    { ...(schedule.kind === "cron" ? awaited : plain), nextAtMs: followingMs },
    isOpen,
    view,
  );
  return { ...after, lines: [...lines, ...after.lines] };
}

/** Somebody moved `next_run_at` forward past an instant that had come. */
function observeTaken(
  job: Job,
  schedule: Schedule,
  next: StoredTime,
  cursor: SlotCursor,
  awaitedMs: number,
  isOpen: boolean,
  view: SlotView,
): Observation {
  const { nowMs } = view;
  const claimEndsMs = claimEndsAtMs(job.fireClaim, fireClaimLifeMs, nowMs, view.ownerState);
  const isServedStill = claimEndsMs !== null && job.fireClaim?.by === cursor.servedBy;
  const claimedAtMs = job.fireClaim?.by === cursor.servedBy ? null : (job.fireClaim?.at?.ms ?? null);
  const isClaimed = claimedAtMs !== null && claimedAtMs >= awaitedMs - claimSkewMs;
  // Of a process of this host, by whose clock the claim is dated.
  const isHeldHere = job.fireClaim !== null && view.ownerState(job.fireClaim.by) === "alive";
  const lastRunAtMs = job.lastRunAt?.ms ?? null;
  const hasRun =
    cursor.servedBy === undefined &&
    lastRunAtMs !== null &&
    lastRunAtMs >= awaitedMs &&
    !isSameInstant(lastRunAtMs, cursor.lastRunAtMs);
  if (isOpen) {
    // What nobody here decided was no dispatch of ours: our run was over when another began, and its end is still to be recorded.
    return wasDispatched(job, awaitedMs) ? decideServed() : decideAll({ decision: "skip", reason: "overlap" });
  }
  const slotEndsAtMs = claimEndsAtMs(job.pendingSlot, fireClaimLifeMs, nowMs, view.ownerState);
  if (slotEndsAtMs !== null) return wait(slotEndsAtMs);
  // A claim drops the mark, so this very slot was not claimed: it will be put back, by us or by the next scheduler that may.
  if (isSameInstant(job.pendingSlot?.scheduledAt.ms ?? null, awaitedMs)) return wait(null);
  if (isClaimed || hasRun || view.ranElsewhere(job.id, awaitedMs)) return decideServed();
  const rowMs = view.claimedElsewhereMs(job.id, awaitedMs);
  if (rowMs !== null && rowMs < next.ms) return decideServed(rowMs);
  if (isServedStill) return decideAll({ decision: "skip", reason: "overlap" });
  const isOnSchedule = schedule.kind !== "cron" || isOccurrence(schedule, awaitedMs, view.zone);
  const waitsUntilMs = Math.min(next.ms, awaitedMs + signWaitMs);
  // Without that row Hermes 0.19 leaves no sign until the run ends.
  if (isOnSchedule && nowMs < waitsUntilMs) return wait(waitsUntilMs);
  return decideAll({ decision: "move", reason: "reanchored" });

  // Hermes counts an interval from the end of its run, so our pace may name instants that never were any.
  function isPaceKept(): boolean {
    return schedule.kind !== "interval" || isNamedSince(schedule, awaitedMs, next.ms, view.zone);
  }

  function passedUpToNext(): PassedInstants {
    if (!isPaceKept()) {
      const lastMs = Math.max(awaitedMs, cursor.pending?.throughMs ?? awaitedMs);
      const awaited = awaitedInstants(cursor, awaitedMs, lastMs, view.zone);
      const passed = withFollowing(awaited, cursor, nowMs).filter((atMs) => !isSameInstant(atMs, next.ms));
      return { instants: passed, restFromMs: null };
    }
    return passedInstants(schedule, awaitedMs, Math.min(nowMs, next.ms - sameInstantMs), view.zone);
  }

  function decideServed(rowMs = awaitedMs): Observation {
    const passed = passedUpToNext();
    const signMs = Math.max(isClaimed ? claimedAtMs : awaitedMs, hasRun ? lastRunAtMs : awaitedMs, rowMs);
    const throughMs = servedThroughMs(job, awaitedMs, signMs);
    const { instants, restFromMs } = passed;
    const lines = instants.map((atMs, index) =>
      slotLine(job, atMs, decisionAt(atMs, instants[index + 1] ?? restFromMs ?? next.ms), nowMs),
    );
    const by = job.fireClaim?.by ?? null;
    return afterLines(lines, restFromMs, decisionAt(restFromMs ?? next.ms, next.ms), by);

    function decisionAt(atMs: number, nextAtMs: number): SlotDecision {
      // Hermes takes an instant off the schedule before it finds its own run under way. A dispatch would have replaced the claim.
      const isOverlap = isClaimed && isHeldHere && atMs > claimedAtMs;
      if (isOverlap || view.wasBusyElsewhere(job.id, atMs, nextAtMs)) return { decision: "skip", reason: "overlap" };
      // What another's run took in names no run of ours to fold it into: it was taken off the schedule, no more is known.
      const isRun = atMs <= throughMs + sameInstantMs || view.ranElsewhere(job.id, atMs);
      return isRun ? { decision: "run", reason: "elsewhere" } : { decision: "move", reason: "reanchored" };
    }
  }

  function decideAll(decision: SlotDecision): Observation {
    const passed = passedUpToNext();
    const lines = passed.instants.map((atMs) => slotLine(job, atMs, decision, nowMs));
    const by = isServedStill ? (cursor.servedBy ?? null) : null;
    return afterLines(lines, passed.restFromMs, decision, by);
  }

  function afterLines(
    lines: readonly SlotLine[],
    restMs: number | null,
    decision: SlotDecision,
    by: string | null,
  ): Observation {
    if (restMs === null) return settled(lines, by);
    const backlog = { untilMs: next.ms, decision, runId: null };
    const { pending: _, ...kept } = cursor;
    return { lines, unsettled: { ...kept, nextAtMs: restMs, backlog }, servedBy: null, wakeAtMs: nowMs };
  }

  function wait(untilMs: number | null): Observation {
    const lastMs = isPaceKept() ? Math.min(nowMs, next.ms - sameInstantMs) : awaitedMs;
    const { lines, pending } = waitingLines(job, schedule, cursor, awaitedMs, lastMs, "lock", view);
    // Lines of an earlier wait may reach further than this one needs.
    const throughMs = Math.max(pending.throughMs, cursor.pending?.throughMs ?? pending.throughMs);
    return {
      lines,
      unsettled: { ...cursor, pending: { ...pending, throughMs }, followingMs: next.ms },
      servedBy: null,
      wakeAtMs: untilMs,
    };
  }
}

/**
 * The last instant that somebody else is taken to have run, of those from `awaitedMs` on: the one that the record names as
 * dispatched, or, where it names none of them, whatever had come by the last claim or run. Between the two nothing in a record
 * tells one run from another, and a scheduler that was alone served what came.
 */
export function servedThroughMs(job: Job, awaitedMs: number, signMs: number): number {
  const dispatchedMs = job.lastDispatchOf?.ms ?? null;
  return Math.max(awaitedMs, dispatchedMs !== null && wasDispatched(job, awaitedMs) ? dispatchedMs : signMs);
}

export function wasDispatched(job: Job, awaitedMs: number): boolean {
  const dispatchedMs = job.lastDispatchOf?.ms ?? null;
  return dispatchedMs !== null && dispatchedMs > awaitedMs - sameInstantMs;
}

/** `pending` lines for the instants that have come, without those that have such a line already. */
export function waitingLines(
  job: { readonly id: string },
  schedule: Schedule,
  cursor: Pick<SlotCursor, "pending" | "resumedAtMs"> | undefined,
  firstMs: number,
  lastMs: number,
  reason: PendingReason,
  view: SlotView,
): {
  readonly lines: readonly SlotLine[];
  readonly pending: PendingSlots;
} {
  const known = cursor?.pending?.reason === reason && cursor.pending.throughMs >= firstMs ? cursor.pending : null;
  // The instant that is known already comes first again, and is no fresh one.
  const countMax = instantsMax - (known?.count ?? 0) + (known === null ? 0 : 1);
  const fromMs = known?.throughMs ?? firstMs;
  const passed = passedSlots(schedule, cursor, fromMs, lastMs, view.zone, countMax);
  const fresh = known === null ? passed.instants : passed.instants.slice(1);
  return {
    lines: fresh.map((atMs) => slotLine(job, atMs, { decision: "pending", reason }, view.nowMs)),
    pending: { reason, throughMs: fresh.at(-1) ?? fromMs, count: (known?.count ?? 0) + fresh.length },
  };
}

function settled(lines: readonly SlotLine[], servedBy: string | null): Observation {
  return { lines, unsettled: null, servedBy, wakeAtMs: null };
}

/** Whether the rule, counted from `fromMs` on, names the instant. */
export function isNamedSince(schedule: Schedule, fromMs: number, atMs: number, zone: Zone): boolean {
  if (atMs < fromMs) return false;
  switch (schedule.kind) {
    case "once":
      return isSameInstant(fromMs, atMs);
    case "interval":
      return isStep(schedule.minutes, fromMs, atMs);
    case "cron":
      // An instant within the second would count as named by croniter, but the rule comes to the whole second.
      return (isSameInstant(atMs, fromMs) || isWholeSecond(atMs)) && isOccurrence(schedule, atMs, zone);
  }
}

function isWholeSecond(atMs: number): boolean {
  return isSameInstant(atMs, Math.round(atMs / 1000) * 1000);
}

function isStep(minutes: number, fromMs: number, toMs: number): boolean {
  const steps = (toMs - fromMs) / (minutes * 60_000);
  return Math.abs(steps - Math.round(steps)) * minutes * 60_000 < sameInstantMs;
}
