import type { Delivery } from "../core/delivery.ts";
import type { DaemonLife } from "../core/home-history.ts";
import type { Job } from "../core/job.ts";
import type { Run } from "../core/run.ts";
import type { Zone } from "../core/zone.ts";
import type { HomeBounds, HostBounds } from "./waiting.ts";

/** The installed Hermes that runs a home's prompt jobs. */
export interface HermesJson {
  readonly python: string;
  readonly version: string;
}

/** The process that holds the state folder. */
export interface DaemonView {
  readonly running: boolean;
  readonly pid: number | null;
  readonly version: string | null;
  readonly startedAtMs: number | null;
  readonly ready: boolean;
}

export const retentionSteps = ["age", "count", "output", "ledger", "vacuum"] as const;
export type RetentionStep = (typeof retentionSteps)[number];

/** How far the deletion of what is kept no longer has come, in whatever its step goes by. */
export interface RetentionView {
  readonly state: "idle" | "running";
  readonly step: RetentionStep | null;
  readonly done: number | null;
  /** Null where there is nothing to do, or nobody knows how much. */
  readonly total: number | null;
  readonly sinceMs: number | null;
}

export const idleRetention: RetentionView = { state: "idle", step: null, done: null, total: null, sinceMs: null };

/** One home as its reader sees it, whether that is the daemon or a command beside it. */
export interface HomeView extends HomeBounds {
  readonly name: string;
  readonly path: string;
  readonly state: "active" | "paused" | "degraded" | "unsupported";
  readonly reason: string | null;
  readonly jobs: readonly Job[];
  /** One sentence for each entry of `jobs.json` that is no job. */
  readonly strays: readonly string[];
  /** Why the disk is too full for anything to start, or null. */
  readonly diskShortage: string | null;
  readonly zone: Zone;
  /** Infinite where nothing limits it. */
  readonly runsMax: number;
  /** Jobs that are due and cannot start; null when only the records can tell. */
  readonly waiting: number | null;
  readonly tickLock: { readonly held: boolean; readonly holderPid: number | null; readonly sinceMs: number | null };
  /** Why the home's config is not in force as it stands, or null. */
  readonly configError: string | null;
  readonly configFile: ConfigFileView;
  /** One sentence for each setting of Hermes that is passed over because it cannot be used. */
  readonly configWarnings: readonly string[];
  readonly hermes: HermesJson | null;
}

/** Such a home starts nothing, and nobody can tell now which jobs it has. */
export function cannotBeServed(state: HomeView["state"]): state is "degraded" | "unsupported" {
  return state === "degraded" || state === "unsupported";
}

/** What of a config file counts, and what keeps it from counting as it stands. */
export interface ConfigFileView {
  readonly path: string;
  readonly error: string | null;
  readonly line: number | null;
  readonly column: number | null;
  readonly snippet: string | null;
  readonly errorSinceMs: number | null;
  readonly contentHash: string | null;
  /** Null without a daemon, as is the next. */
  readonly generation: number | null;
  readonly inForceSinceMs: number | null;
}

/** Everything that a status and the alerts are made of. */
export interface StatusView extends HostBounds {
  readonly nowMs: number;
  readonly daemon: DaemonView;
  readonly homes: readonly HomeView[];
  /** The newest orphans and the newest missed slots, from which alerts are made. */
  readonly orphanedRuns: readonly Pick<Run, "home" | "jobId" | "endedAtMs">[];
  /** Of each job the newest run that made way for its next one, with the run before it that ended otherwise. */
  readonly replacedRuns: readonly { readonly run: Run; readonly before: Run | null }[];
  readonly missedSlots: readonly { readonly home: string; readonly jobId: string; readonly scheduledAtMs: number }[];
  /** Of this state folder, the newest first. */
  readonly lives: readonly DaemonLife[];
  /** Why the port of the control API is not open although it should be, or null. */
  readonly portFault: string | null;
  /** Of each job its latest result on its way to a chat, where that has come to grief or waits. */
  readonly deliveries: readonly Pick<Delivery, "home" | "jobId" | "target" | "state" | "queuedAtMs" | "error">[];
  readonly hostConfig: ConfigFileView;
  readonly retention: RetentionView;
}
