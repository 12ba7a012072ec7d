import type { Job, JobPatch } from "./job.ts";
import type { SlotDecision, SlotLine } from "./slot.ts";
import type { Zone } from "./zone.ts";

/** A run that this supervisor has not closed yet. */
export interface OpenRun {
  readonly id: string;
  readonly jobId: string;
}

/** A launcher waiting at its closed gate. Its run id becomes that of the run whose claim it serves. */
export interface Gate {
  readonly runId: string;
  /** `host:pid:uuidhex` of the launcher: the value of `fire_claim.by`. */
  readonly owner: string;
}

/** How far the slot ledger has come for one job. */
export interface SlotCursor {
  /** The next instant that has no line yet: the `next_run_at` seen last, or null when the job had none. */
  readonly nextAtMs: number | null;
  /** The schedule that this instant came from, as text, to tell an edit from the passing of time. */
  readonly scheduleText: string;
  readonly enabled: boolean;
  readonly lastRunAtMs: number | null;
  /** Instants from `nextAtMs` up to, not including, `untilMs` whose decision is made but whose lines are still to be written. */
  readonly backlog?: { readonly untilMs: number; readonly decision: SlotDecision; readonly runId: string | null };
  /** The newest instant that has a `pending` line, and its reason, so that waiting does not write the same lines again. */
  readonly pending?: { readonly throughMs: number; readonly reason: string };
  /** The foreign `fire_claim.by` that was counted as the run of an instant, so that it is not counted for the next one too. */
  readonly servedBy?: string;
}

export interface TickInput {
  readonly nowMs: number;
  readonly zone: Zone;
  readonly jobs: readonly Job[];
  readonly cursors: ReadonlyMap<string, SlotCursor>;
  readonly openRuns: readonly OpenRun[];
  readonly gates: readonly Gate[];
  /** How many runs may start now, in this home, by every limit together. */
  readonly capacity: number;
  /** Whether a foreign claim's owner may still be alive: `dead` only where that is proven. */
  readonly ownerState: (by: string) => "alive" | "dead" | "unknown";
  /** Which kinds of job this daemon can run; the rest is observed only. */
  readonly canRun: (job: Job) => boolean;
  /** Names the home state that forbids starting anything, or null. */
  readonly hold: "estop" | "drain" | "parked" | "disk" | null;
  /** How long a one-shot's `run_claim` holds: 30 minutes unless `HERMES_CRON_TIMEOUT` says more. */
  readonly runClaimLifeMs?: number;
  /** Hermes' `cron.catch_up_missed`: false drops slots that are later than their grace. */
  readonly catchUpMissed?: boolean;
  /** Whether Hermes' own ledger says that this instant was completed. */
  readonly ranElsewhere?: (jobId: string, scheduledAtMs: number) => boolean;
  /** Jobs whose fire fence somebody else holds at this moment. */
  readonly busy?: ReadonlySet<string>;
  /** By job, the instant whose claim was void and is to be served again. */
  readonly restored?: ReadonlyMap<string, number>;
}

export interface PlannedClaim {
  readonly jobId: string;
  readonly gate: Gate;
  readonly scheduledAtMs: number;
  readonly trigger: "schedule" | "manual";
  readonly latenessMs: number;
}

export interface TickPlan {
  readonly claims: readonly PlannedClaim[];
  /** By job id, the claims' changes to the records among them. */
  readonly patches: ReadonlyMap<string, JobPatch>;
  readonly slots: readonly SlotLine[];
  /** The cursors that changed. */
  readonly cursors: ReadonlyMap<string, SlotCursor>;
  /** Jobs whose record is gone: forget their cursors. */
  readonly cursorsDropped: readonly string[];
  /** Gates wanted but not given: spawn these and plan again. */
  readonly gatesMissing: number;
  /** The earliest instant at which another tick has something to do, or null. */
  readonly wakeAtMs: number | null;
}
