import type { GateEnvironment } from "../child/gate-environment.ts";
import type { GatePool } from "../child/gate-pool.ts";
import type { RunLimits } from "../child/run-limits.ts";
import type { Settings, ShownSetting } from "../config/effective-settings.ts";
import type { ConfigFile, Loaded } from "../config/load-config.ts";
import type { ExecutionDetails } from "../core/execution-row.ts";
import type { Job, JobKind } from "../core/job.ts";
import type { JobHealth } from "../core/job-health.ts";
import type { CrashLoopGuard, Retry, SlotPolicy } from "../core/job-policy.ts";
import type { SlotCursor } from "../core/plan-tick.ts";
import type { WaitingRetry } from "../core/retry.ts";
import type { Bound } from "../core/room.ts";
import type { WaitsFor } from "../core/share-room.ts";
import type { Zone } from "../core/zone.ts";
import type { InstalledHermes } from "../homes/find-hermes.ts";
import type { ScriptPython } from "../homes/script-python.ts";
import type { HermesExecutions } from "../ledger/hermes-executions.ts";
import type { JobStore, StoreSnapshot } from "../store/job-store.ts";

/** As much of a job as settings go by. */
export type NamedJob = Pick<Job, "id" | "name" | "kind">;

/** What a home's settings and environment come to, renewed as a whole when one of their sources changes. */
export interface HomeSettings {
  readonly zone: Zone;
  readonly parallelJobsMax: number;
  /** On its own runs; those of the host stand beside them. */
  readonly bounds: readonly Bound[];
  readonly timeoutMs: (job: NamedJob) => number | null;
  /** Whether this profile asks to be left to a gateway of its own. */
  readonly standalone: boolean;
  readonly outputKeepMax: number;
  readonly limits: (job: NamedJob) => RunLimits;
  readonly policy: (job: NamedJob) => JobPolicy;
  readonly runClaimLifeMs: number;
  readonly catchUpMissed: boolean;
  /** What runs of a kind start with. */
  readonly environments: Readonly<Record<JobKind, GateEnvironment>>;
  /** Values that must not reach a document. */
  readonly secrets: readonly string[];
  readonly userHome: string | null;
  /** What Python scripts run under. */
  readonly python: ScriptPython | null;
  /** The Hermes that runs this home's prompt jobs; null when none was found, and while one is being looked for. */
  readonly hermes: InstalledHermes | null;
  /** It is being asked what it is: what needs it had better wait a moment. */
  readonly isFindingHermes: boolean;
  /** Why there is none, in a sentence for people; null where there is one or it is being looked for. */
  readonly hermesFault: string | null;
  readonly bash: string | null;
  /** What becomes of runs that outlived a crashed daemon. */
  readonly orphans: Settings["orphans"];
  /** Every setting of ours and of Hermes that concerns us, with its source. */
  readonly shown: readonly ShownSetting[];
  /** What in the settings cannot be met by these jobs, in sentences. */
  readonly policyWarnings: (jobs: readonly Job[], nowMs: number) => readonly string[];
  /** The home's `config.yaml`. */
  readonly config: Pick<Loaded<unknown>, "error" | "inForce">;
  readonly configFile: ConfigFile;
  readonly environmentError: string | null;
  /** Why the home's `config.yaml` or `.env` is not in force as it stands; the last good one is. */
  readonly error: string | null;
  /** False while no good version of these files was ever seen: nothing runs by guesses about its time, limits and variables. */
  readonly usable: boolean;
  /** Settings of Hermes that are passed over because they cannot be used; among the warnings, too. */
  readonly hermesWarnings: readonly string[];
  /** What in them is passed over, in sentences without values. */
  readonly warnings: readonly string[];
}

/** What follows upon the end of a run, and upon a request while one goes on. */
export interface JobPolicy extends SlotPolicy {
  readonly retry: Retry | null;
  readonly streakPause: number | null;
  readonly crashLoop: CrashLoopGuard | null;
}

/** What forbids starting anything in a home now. */
export type HomeHold = "estop" | "drain" | "parked" | "disk";

export type HomeState =
  | { readonly kind: "active" }
  | { readonly kind: "degraded" | "unsupported"; readonly reason: string };

/** What a tick went by that found nothing to do and asked nothing but what stands here. */
export interface StandingLook {
  readonly snapshot: StoreSnapshot;
  readonly settings: HomeSettings;
  readonly sinceMonotonicMs: number;
}

/** One home as the daemon keeps it. Everything in it can be made again from files. */
export interface HomeRuntime {
  readonly name: string;
  readonly path: string;
  readonly cronFolder: string;
  readonly store: JobStore;
  /** Launchers ready for this home's jobs. */
  readonly pools: Readonly<Record<JobKind, GatePool>>;
  /** Looks at the markers; cheap enough for every tick. */
  hold(): HomeHold | null;
  /** Why the disk is too full for anything to start, or null. */
  diskShortage(): string | null;
  settings: HomeSettings;
  state: HomeState;
  /** Why the ends of its runs cannot be recorded now, or null. */
  endsFault: string | null;
  readonly cursors: Map<string, SlotCursor>;
  /** By job, the instant of a void claim, to be served again by the next tick. */
  readonly restored: Map<string, number>;
  /** By job, how long its fence is not tried again (monotonic ms), because somebody else held it: until then it takes up no room. */
  readonly fencedUntilMonotonicMs: Map<string, number>;
  /** As the ledger has them: by job, the attempt that is to come, and how the job has been doing. */
  retries: ReadonlyMap<string, WaitingRetry>;
  health: ReadonlyMap<string, JobHealth>;
  readonly executions: HermesExecutions;
  /** By run, what is not in its row of Hermes' ledger yet. */
  readonly executionsDue: Map<string, ExecutionDetails>;
  /** Rows of claims that were never written to the store and could not be made void yet. */
  readonly unvoided: Set<string>;
  /** When the next tick has something to do (Unix ms), or null. */
  wakeAtMs: number | null;
  /** What the last tick went by, where the next one would find the same; else null. */
  standing: StandingLook | null;
  /** The instant whose tick was gone through already, and from when on its claims may be written (Unix ms). */
  rehearsed: { readonly dueMs: number; readonly stageFromMs: number } | null;
  /** Set by a change, an exit or a request: tick as soon as possible. */
  dirty: boolean;
  /** Due jobs that wait for room, a gate, a hold or somebody else's claim. */
  waiting: number;
  /** By job, why it is not its turn: decided together with other homes, before each tick. */
  waitsFor: ReadonlyMap<string, WaitsFor>;
  /** Runs of this home that an earlier daemon left and that are not decided yet: nothing is claimed before. */
  recovering: number;
  /** Whether the claims that an earlier daemon left in its records are given back: a claim made before would wipe out what they tell. */
  isCleared: boolean;
  /** Not to be ticked before this moment (monotonic ms): a lock was busy, or the home could not be read. */
  retryAtMonotonicMs: number | null;
  /** Since when somebody else has held the tick lock against us (monotonic ms), or null. */
  lockBusy: {
    readonly sinceMonotonicMs: number;
    readonly sinceMs: number;
    /** When it was last written down what waits for it (monotonic ms). */
    notedAtMonotonicMs: number;
    holderPid: number | null;
    said: boolean;
  } | null;
}
