/** What became of one scheduled instant of a job, and why. The pairs are those of `docs/cli.md`. */
export type SlotDecision =
  | { readonly decision: "run"; readonly reason: "on_time" | "late" | "catch_up" | "restored" | "elsewhere" }
  | { readonly decision: "coalesce"; readonly reason: "missed" | "queue_full" }
  | { readonly decision: "skip"; readonly reason: "overlap" | "policy" | "quota_hold" | "crash_loop" }
  | { readonly decision: "miss"; readonly reason: "too_late" | "repeat_used_up" | "job_gone" }
  | { readonly decision: "move"; readonly reason: "edited" | "clock" | "reanchored" }
  | {
      readonly decision: "pending";
      readonly reason: "capacity" | "estop" | "drain" | "parked" | "lock" | "disk" | "no_daemon" | "degraded";
    };

/** One line of the slot ledger. Its key is the job and the instant; `runId` names the run that served it or took it in. */
export type SlotLine = SlotDecision & {
  readonly jobId: string;
  readonly scheduledAtMs: number;
  readonly runId: string | null;
  readonly decidedAtMs: number;
  readonly latenessMs: number | null;
};
