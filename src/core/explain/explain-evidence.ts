import type { DaemonLife, HomeSpell } from "../home-history.ts";
import type { Job } from "../job.ts";
import type { HeldJob } from "../job-health.ts";
import type { Misfire, Overlap } from "../job-policy.ts";
import type { Shortage } from "../pressure.ts";
import type { Bound } from "../room.ts";
import type { Run } from "../run.ts";
import type { OwedSlots, PendingReason, SlotLine } from "../slot.ts";
import type { Zone } from "../zone.ts";

/** A line of the slot ledger, with what it waited for before it was decided. */
export type ToldSlot = SlotLine & { readonly waitedFor?: PendingReason };

/** What a question about a job is about. */
export type Subject =
  /** A run, with the slot that it served, if it served one. */
  | { readonly kind: "run"; readonly run: Run; readonly slot: ToldSlot | null }
  /** A slot that has no run of its own here. */
  | { readonly kind: "slot"; readonly slot: ToldSlot }
  /** An instant that the schedule names, that has come, and that nobody has decided. */
  | { readonly kind: "due"; readonly atMs: number; readonly slot: ToldSlot | null }
  /** An instant that the schedule does not name. */
  | { readonly kind: "unnamed"; readonly atMs: number }
  /** What is to come: at an instant that was asked for, or next. */
  | { readonly kind: "future"; readonly atMs: number | null }
  /** A job that does not come any more, or not now. */
  | { readonly kind: "standstill" };

/** Something of a job that is due and has not started. */
export interface Waiting {
  readonly trigger: "schedule" | "retry" | "manual";
  readonly dueAtMs: number;
  readonly reason: string;
  readonly bound: Bound | null;
  /** Ids of the runs that have the places of that bound. */
  readonly heldBy: readonly string[];
  readonly shortages: readonly Shortage[];
}

/** What the environment of a run has that the last success before it had not, or had otherwise. */
export interface EnvironmentChange {
  readonly lastSuccess: Run;
  /** Of variables whose value differs, came or went. Null where one of the two is not kept any more. */
  readonly variables: readonly string[] | null;
  /** When the script was changed, if that was after that success and before this run. */
  readonly scriptChangedMs: number | null;
}

/** Everything that an explanation is made of. Gathered for one subject. */
export interface ExplainEvidence {
  readonly nowMs: number;
  readonly zone: Zone;
  readonly home: {
    readonly name: string;
    readonly state: "active" | "paused" | "degraded" | "unsupported";
    /** The marker that pauses it, or why it cannot be served. */
    readonly reason: string | null;
    /** Whether nobody can tell now which jobs it has. */
    readonly isUnread: boolean;
    readonly isGone: boolean;
    /** Why its `config.yaml` is not in force as it stands. */
    readonly configError: string | null;
  };
  readonly hostConfigError: string | null;
  readonly jobName: string;
  /** Null when only the history still knows it. */
  readonly job: Job | null;
  readonly subject: Subject;
  readonly isDaemonAlive: boolean;
  readonly daemonPid: number | null;
  readonly lives: readonly DaemonLife[];
  /** What stood in the way of its home around the subject, and what does now. */
  readonly spells: readonly HomeSpell[];
  /** What the daemon, or who reads beside it, says that the job waits for now; null where it is not due. */
  readonly waiting: Waiting | null;
  /** The same of an attempt after a failed run, and of runs that somebody asked for. */
  readonly otherWaits: readonly Waiting[];
  /** The oldest instant that has come and waits; null where none does. */
  readonly waitsSinceMs: number | null;
  /** What the ledger still owes the job a run for. */
  readonly owed: OwedSlots | null;
  /** Until when its job is held back for failing at once, and why; null where it is not. */
  readonly held: HeldJob | null;
  /** Who holds the home's tick lock now; null when nobody does. */
  readonly lockHolder: string | null;
  /** Runs of the host that were open at the subject's instant, this job's own among them. */
  readonly openRuns: readonly Run[];
  /** The slots around an instant that the schedule does not name: the last before it and the first after it. */
  readonly neighbours: readonly ToldSlot[];
  readonly policy: {
    readonly overlap: Overlap;
    readonly misfire: Misfire;
    readonly timeoutMs: number | null;
  } | null;
  readonly change: EnvironmentChange | null;
  /** Of a run that is an attempt: those of its slot before it, the newest first. */
  readonly attemptsBefore: readonly Run[];
  /** From when on the history is whole. */
  readonly knownFromMs: number | null;
}
