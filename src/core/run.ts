import type { RunDelivery } from "./delivery.ts";
import type { Fingerprint } from "./fingerprint.ts";
import type { JobKind } from "./job.ts";
import type { RunRetry } from "./run-retry.ts";
import type { RunState } from "./run-states.ts";

/** Why a run is not `completed`. */
export const runReasons = [
  "exit",
  "signal",
  "error",
  "timeout",
  "idle_timeout",
  "memory_limit",
  "output_limit",
  "stopped",
  "replaced",
  "orphaned",
  "not_started",
  "superseded",
  "blocked_config",
] as const;

export type RunReason = (typeof runReasons)[number];

/** One try at a job. Instants are Unix milliseconds; `scheduledAtMs` is null for a manual run. */
export interface Run {
  readonly id: string;
  readonly home: string;
  readonly jobId: string;
  readonly jobName: string;
  readonly kind: JobKind;
  readonly trigger: "schedule" | "manual" | "retry";
  readonly scheduledAtMs: number | null;
  readonly claimedAtMs: number;
  readonly startedAtMs: number | null;
  readonly endedAtMs: number | null;
  readonly attempt: number;
  readonly state: RunState;
  readonly reason: RunReason | null;
  readonly exitCode: number | null;
  readonly signal: string | null;
  readonly fingerprint: Fingerprint;
  /** The claim's `by`: what must still stand in the record when the run is settled. */
  readonly owner: string;
  readonly adopted: boolean;
  readonly error: string | null;
  readonly outputBytes: number | null;
  readonly outputPath: string | null;
  readonly documentPath: string | null;
  /** What became of its result; absent where nothing was to be sent. */
  readonly delivery?: RunDelivery;
  /** Whether another attempt follows its failure; absent where the policy says nothing of it. */
  readonly retry?: RunRetry;
}

export function isOpenRun(run: Pick<Run, "state">): boolean {
  return run.state === "claimed" || run.state === "running";
}
