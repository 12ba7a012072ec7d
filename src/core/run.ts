import type { Fingerprint } from "./fingerprint.ts";

export type RunState = "claimed" | "running" | "completed" | "failed" | "void";

export type RunReason =
  | "exit"
  | "signal"
  | "error"
  | "timeout"
  | "idle_timeout"
  | "memory_limit"
  | "output_limit"
  | "stopped"
  | "replaced"
  | "orphaned"
  | "not_started"
  | "superseded"
  | "blocked_config";

/** One try at a job. Instants are Unix milliseconds; `scheduledAtMs` is null for a manual run. */
export interface Run {
  readonly id: string;
  readonly home: string;
  readonly jobId: string;
  readonly jobName: string;
  readonly kind: "prompt" | "script";
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
}

const legalMoves: Readonly<Record<RunState, readonly RunState[]>> = {
  claimed: ["running", "failed", "void"],
  running: ["completed", "failed"],
  completed: [],
  failed: [],
  void: [],
};

/** Throws when a run may not go from one state to the other: that is a fault in this program, never in a job. */
export function assertLegalMove(runId: string, from: RunState, to: RunState): void {
  if (!legalMoves[from].includes(to)) {
    throw new Error(
      `Cannot move run "${runId}" from ${from} to ${to}: legal next states are [${legalMoves[from].join(", ")}]`,
    );
  }
}
