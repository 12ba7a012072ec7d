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
  /** What the machine can do about processes that lost their parents. */
  readonly reaping: "none" | "subreaper" | "init";
  readonly hasControlGroups: boolean;
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
  /** What its runs do, in turn. */
  readonly programs: readonly FakeProgram[];
}

export type PlannedSchedule =
  | { readonly kind: "cron"; readonly expression: string }
  | { readonly kind: "interval"; readonly minutes: number }
  /** So long after the start. */
  | { readonly kind: "once"; readonly inMs: number };

export type PlannedEvent = {
  readonly atMs: number;
} & /** The daemon is killed at its next operation but `operations`, and started again after a while. */
(
  | { readonly kind: "kill"; readonly operations: number; readonly torn: boolean; readonly downMs: number }
  | { readonly kind: "sigterm"; readonly downMs: number }
  | { readonly kind: "reboot"; readonly downMs: number }
);
