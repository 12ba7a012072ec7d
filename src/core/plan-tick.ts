import type { Job, JobPatch } from "./job.ts";
import type { SlotLine } from "./slot.ts";
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
  readonly cursors: ReadonlyMap<string, SlotCursor>;
  /** Gates wanted but not given: spawn these and plan again. */
  readonly gatesMissing: number;
  /** The earliest instant at which another tick has something to do, or null. */
  readonly wakeAtMs: number | null;
}
