/** What became of one scheduled instant of a job, and why. The pairs are those of `docs/cli.md`. */
export type SlotDecision =
  | { readonly decision: "run"; readonly reason: "on_time" | "late" | "catch_up" | "restored" | "elsewhere" }
  | { readonly decision: "coalesce"; readonly reason: "missed" | "queue_full" }
  | { readonly decision: "skip"; readonly reason: "overlap" | "policy" | "quota_hold" | "crash_loop" }
  | { readonly decision: "miss"; readonly reason: "too_late" | "repeat_used_up" | "job_gone" }
  | { readonly decision: "move"; readonly reason: "edited" | "clock" | "reanchored" }
  | {
      readonly decision: "pending";
      readonly reason:
        | "capacity"
        | "pressure"
        | "estop"
        | "drain"
        | "parked"
        | "lock"
        | "disk"
        | "no_daemon"
        | "degraded";
    };

/** By decision, the reasons that it can have. */
export const slotReasons: { readonly [Each in SlotDecision as Each["decision"]]: readonly Each["reason"][] } = {
  run: ["on_time", "late", "catch_up", "restored", "elsewhere"],
  coalesce: ["missed", "queue_full"],
  skip: ["overlap", "policy", "quota_hold", "crash_loop"],
  miss: ["too_late", "repeat_used_up", "job_gone"],
  move: ["edited", "clock", "reanchored"],
  pending: ["capacity", "pressure", "estop", "drain", "parked", "lock", "disk", "no_daemon", "degraded"],
};

/** Whether what a ledger holds is one of the pairs above. */
export function isSlotDecision(pair: { readonly decision: string; readonly reason: string }): boolean {
  const reasons: Readonly<Record<string, readonly string[]>> = slotReasons;
  return Object.hasOwn(reasons, pair.decision) && reasons[pair.decision]?.includes(pair.reason) === true;
}

/** One line of the slot ledger. Its key is the job and the instant; `runId` names the run that served it or took it in. */
export type SlotLine = SlotDecision & {
  readonly jobId: string;
  readonly scheduledAtMs: number;
  readonly runId: string | null;
  readonly decidedAtMs: number;
  readonly latenessMs: number | null;
};

/** How far the slot ledger has come for one job. */
export interface SlotCursor {
  /** The next instant that has no final line yet: the `next_run_at` seen last, or null when there was none or it is all decided. */
  readonly nextAtMs: number | null;
  /**
   * Since when this rule has been followed without a break: from here to `nextAtMs` every instant that it names has a line.
   * Absent where that is not known.
   */
  readonly sinceMs?: number;
  /** What was followed so before, oldest first: the newest few. */
  readonly earlier?: readonly SlotStretch[];
  /** The schedule that this instant came from, as text, to tell an edit from the passing of time. */
  readonly scheduleText: string;
  /** False while the job is paused or completed, and so has no slots. */
  readonly enabled: boolean;
  readonly lastRunAtMs: number | null;
  /** Instants from `nextAtMs` up to, not including, `untilMs` whose decision is made but whose lines are still to be written. */
  readonly backlog?: { readonly untilMs: number; readonly decision: SlotDecision; readonly runId: string | null };
  /** Set while instants from `nextAtMs` on have `pending` lines, so that waiting does not write the same lines again. */
  readonly pending?: PendingSlots;
  /** The `next_run_at` that stood in the record while the fate of `nextAtMs` was still unknown. */
  readonly followingMs?: number;
  /** When the pause ended over which the job kept `nextAtMs`: the instants between the two were no slots. */
  readonly resumedAtMs?: number;
  /** The foreign `fire_claim.by` that was counted as the run of an instant, so that it is not counted for the next one too. */
  readonly servedBy?: string;
  /** Instants from before `nextAtMs` that a policy keeps waiting. */
  readonly owed?: OwedSlots;
  /** The last run that was claimed for some of those, and what they were before: should its claim be void, they are so again. */
  readonly taken?: TakenSlots;
}

/**
 * Instants of a job that have come and wait for a run. Its record names a later one already: what stood there would be
 * taken for due by every other scheduler of the home.
 */
export interface OwedSlots {
  /** The rule that named them. */
  readonly scheduleText: string;
  /** The oldest of them. */
  readonly fromMs: number;
  /** None of them is later. */
  readonly throughMs: number;
  /** Through here they came while a run was open: one run is for all of them. */
  readonly queuedThroughMs?: number;
  /** How many runs they still get, the last of them for all that are left by then. Absent where it is one. */
  readonly runsLeft?: number;
  /** The open run that makes way for them. */
  readonly replaces?: string;
  /** What has been decided about those through `throughMs`, while their lines are still to be written. */
  readonly decided?: { readonly decision: SlotDecision; readonly runId: string | null; readonly throughMs: number };
}

export interface TakenSlots {
  readonly runId: string;
  readonly owed: OwedSlots;
}

/** A rule that was followed without a break: every instant that it names from `sinceMs` up to, not including, `nextAtMs` has a line. */
export interface SlotStretch {
  readonly scheduleText: string;
  readonly sinceMs: number;
  readonly nextAtMs: number;
}

export interface PendingSlots {
  readonly reason: PendingReason;
  /** The newest instant with such a line. */
  readonly throughMs: number;
  readonly count: number;
}

export type PendingReason = Extract<SlotDecision, { readonly decision: "pending" }>["reason"];
