import type { FakeProgram } from "../helpers/fake-processes.ts";

/** A piece of a day in the life of a host, as plain data: all that is drawn from a seed, so that it can be made smaller. */
export interface Scenario {
  /** Decides what is left to chance while it runs: delays, PIDs, names. */
  readonly seed: number;
  readonly startMs: number;
  readonly zone: string;
  readonly homes: readonly PlannedHome[];
  readonly events: readonly PlannedEvent[];
  /** How long things happen. */
  readonly lengthMs: number;
  /** How long nothing happens after that but what the schedules say: by its end everything has to have come to rest. */
  readonly quietMs: number;
  readonly orphans: "fail" | "adopt";
  /** How long a run may take, or null. */
  readonly timeoutMs: number | null;
  /** How long a run may say nothing, or null. */
  readonly idleTimeoutMs?: number | null;
  /** How failed runs are tried again; absent where they are not. */
  readonly retry?: { readonly max: number; readonly backoffMs: number; readonly grows: boolean };
  /** `pressure.cpu_max`; absent where it is not set. */
  readonly cpuPressureMax?: number;
  /** What the host allows at once, beside what each home does; absent where that is more than anybody wants. */
  readonly bounds?: {
    readonly openRuns: number;
    /** Of jobs that carry `sharedTag`. */
    readonly tagged: number | null;
    readonly order: "fair" | "oldest_first";
  };
  /** What the machine can do about processes that lost their parents. */
  readonly reaping: "none" | "subreaper" | "init";
  readonly hasControlGroups: boolean;
}

/** Every second letter's jobs carry it. */
export const sharedTag = "shared";

export function isTagged(jobId: string): boolean {
  return "acegikmoqsuwy".includes(jobId.charAt(0));
}

export interface PlannedHome {
  readonly name: string;
  readonly parallelMax: number;
  readonly jobs: readonly PlannedJob[];
}

export interface PlannedJob {
  readonly id: string;
  readonly schedule: PlannedSchedule;
  readonly repeatTimes: number | null;
  /** Answered by a model, which no daemon of ours runs yet; else it is a script. */
  readonly isPrompt?: boolean;
  /** What its runs leave behind may live on. */
  readonly detach?: boolean;
  /** What becomes of instants that were missed, and of those that come during a run, as the configuration writes it. */
  readonly misfire?: string | Readonly<Record<string, string | number>>;
  readonly overlap?: "skip" | "queue_one" | "replace";
  /** What its runs do, in turn. */
  readonly programs: readonly FakeProgram[];
}

export type PlannedSchedule =
  | { readonly kind: "cron"; readonly expression: string }
  | { readonly kind: "interval"; readonly minutes: number }
  /** So long after it is written down. */
  | { readonly kind: "once"; readonly inMs: number };

/** Something that happens to the host or in it. Whatever does not fit at its time does not happen. */
export type PlannedEvent = { readonly atMs: number } & (
  | HostEvent
  | ({ readonly home: string } & (HomeEvent | ({ readonly job: string } & JobEvent)))
);

export type HostEvent =
  /** The daemon is killed at its next operation but `operations`, and started again after a while. */
  | { readonly kind: "kill"; readonly operations: number; readonly torn: boolean; readonly downMs: number }
  | { readonly kind: "sigterm"; readonly downMs: number }
  | { readonly kind: "reboot"; readonly downMs: number }
  | { readonly kind: "clock"; readonly byMs: number }
  | { readonly kind: "full disk"; readonly forMs: number }
  /** Programs wait for processors for that share of the time. */
  | { readonly kind: "pressure"; readonly cpuPercent: number; readonly forMs: number }
  /** Every PID that comes free is given away again at once. */
  | { readonly kind: "strangers"; readonly forMs: number };

export type HomeEvent =
  | { readonly kind: "stop all"; readonly forMs: number }
  /** Somebody writes another value into the home's `.env`. */
  | { readonly kind: "environment" }
  | { readonly kind: "lock"; readonly lock: "tick" | "jobs"; readonly forMs: number };

export type JobEvent =
  | { readonly kind: "fence"; readonly forMs: number }
  | { readonly kind: "pause" }
  | { readonly kind: "resume" }
  | { readonly kind: "edit"; readonly schedule: PlannedSchedule }
  | { readonly kind: "delete" }
  /** A job that is not there yet is written down. */
  | { readonly kind: "create"; readonly planned: PlannedJob }
  /** A gateway takes the next slot of the job, and ends its run, or dies in it. */
  | { readonly kind: "gateway"; readonly forMs: number; readonly dies: boolean }
  | { readonly kind: "run" }
  /** Somebody asks Hermes for a run, which writes it into the record. */
  | { readonly kind: "request" }
  /** The machine runs out of memory and takes a process of the job's run. */
  | { readonly kind: "out of memory"; readonly takes: "launcher" | "job" | "helper" }
  | { readonly kind: "stop"; readonly now: boolean };
