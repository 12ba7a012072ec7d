import type { Gate, RoomForJobs } from "./admission.ts";
import type { OwnerState } from "./claim-life.ts";
import type { Job, JobPatch, StoredTime } from "./job.ts";
import { type SlotPolicy, usualSlotPolicy } from "./job-policy.ts";
import type { SlotView } from "./observe-slots.ts";
import type { WaitingRetry } from "./retry.ts";
import type { RetryEnd } from "./run-retry.ts";
import type { Schedule } from "./schedule.ts";
import type { OwedSlots, SlotCursor, SlotLine, TakenSlots } from "./slot.ts";
import type { Zone } from "./zone.ts";

/** A run that this supervisor has not closed yet. */
export interface OpenRun {
  readonly id: string;
  readonly jobId: string;
  /** When it was over, if it is: then only the record of its end is still to be written. */
  readonly overAtMs?: number | null;
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
  /** What bounds them beside; absent where nothing does. */
  readonly room?: RoomForJobs;
  /** Whether a foreign claim's owner may still be alive: `dead` only where that is proven. */
  readonly ownerState: OwnerState;
  /** Which kinds of job this daemon can run; the rest is observed only. */
  readonly canRun: (job: Job) => boolean;
  /** Names the home state that forbids starting anything, or null. */
  readonly hold: "estop" | "drain" | "parked" | "disk" | "lock" | null;
  /** How long a one-shot's `run_claim` holds: 30 minutes unless `HERMES_CRON_TIMEOUT` says more. */
  readonly runClaimLifeMs?: number;
  /** Hermes' `cron.catch_up_missed`: false drops slots that are later than their grace. */
  readonly catchUpMissed?: boolean;
  /** Whether a ledger, ours or Hermes' own, says that this instant was served, whatever the record says. */
  readonly ranElsewhere?: (jobId: string, scheduledAtMs: number) => boolean;
  /** Whether Hermes' ledger says that a run of Hermes was under way at this instant, and that none was dispatched for it. */
  readonly wasBusyElsewhere?: (jobId: string, scheduledAtMs: number, nextAtMs: number) => boolean;
  /** When Hermes' ledger says that a scheduler claimed a run of the job at this instant or later, or null. */
  readonly claimedElsewhereMs?: (jobId: string, fromMs: number) => number | null;
  /**
   * Whether anything lives that a run of this job started which is none of ours. Asked only where the claim of such a run holds
   * nobody off any more: its launcher is dead, or nobody renewed it.
   */
  readonly isAliveElsewhere?: (job: Job) => boolean;
  /** Jobs whose fire fence somebody else holds at this moment. */
  readonly busyJobs?: ReadonlySet<string>;
  /** By job, the instant whose claim was void and is to be served again. */
  readonly restored?: ReadonlyMap<string, number>;
  /** By job, the attempt that is to follow its failed run. */
  readonly retries?: ReadonlyMap<string, WaitingRetry>;
  /** How many attempts may follow the first run of a slot, by the policy of this moment. */
  readonly attemptsMax?: (job: Job) => number;
  /** Until when a job is held back that fails at once again and again, or null. */
  readonly heldUntilMs?: (job: Job) => number | null;
  readonly policyOf?: (job: Job) => SlotPolicy;
}

export interface PlannedClaim {
  readonly jobId: string;
  readonly gate: Gate;
  readonly scheduledAtMs: number;
  readonly trigger: "schedule" | "manual" | "retry";
  readonly latenessMs: number;
  readonly claimedAtMs: number;
  /** 1 unless it is given. */
  readonly attempt?: number;
  /** The run whose attempt this is. */
  readonly retryOf?: string;
}

/** An attempt that was to follow a failed run, and does not come. */
export interface EndedRetry {
  readonly runId: string;
  readonly jobId: string;
  readonly attempt: number;
  readonly reason: RetryEnd;
}

/** An open run that makes way for its job's next one. */
export interface PlannedStop {
  readonly jobId: string;
  readonly runId: string;
}

export interface Owing {
  readonly owed: OwedSlots | null;
  readonly taken: TakenSlots | null;
}

export type Writable<Patch> = { -readonly [Key in keyof Patch]: Patch[Key] };

/** A job that is due and that nothing but room and gates keeps from running. */
export interface Candidate {
  readonly job: Job;
  readonly schedule: Schedule;
  /** The instant that the run is for. */
  readonly next: StoredTime;
  /** What stands in the record: later than `next` where that one is owed. */
  readonly recorded: StoredTime;
  readonly patch: Writable<JobPatch>;
  readonly isManual: boolean;
  readonly once: boolean;
  readonly dueAtMs: number;
  /** The attempt that it is, where it serves no slot of its own. */
  readonly retry?: WaitingRetry;
}

export interface Draft {
  readonly input: TickInput;
  readonly view: SlotView;
  readonly openRuns: ReadonlyMap<string, OpenRun>;
  readonly candidates: Candidate[];
  readonly claims: PlannedClaim[];
  readonly patches: Map<string, JobPatch>;
  readonly lines: SlotLine[];
  readonly cursors: Map<string, SlotCursor>;
  readonly retryEnds: EndedRetry[];
  /** What changed of that part of the cursors, whichever way they go on. */
  readonly owings: Map<string, Owing>;
  readonly stops: PlannedStop[];
  waiting: number;
  wakeAtMs: number;
}

export function keepPatch(draft: Draft, job: Job, patch: JobPatch): void {
  if (Object.keys(patch).length > 0) draft.patches.set(job.id, patch);
}

export function wakeAt(draft: Draft, ms: number): void {
  draft.wakeAtMs = Math.min(draft.wakeAtMs, ms);
}

export function policyOf({ policyOf: ask }: TickInput, job: Job): SlotPolicy {
  return ask?.(job) ?? usualSlotPolicy;
}
