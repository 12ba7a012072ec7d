/** Why no attempt follows a failed run, or why one that was to follow does not come. */
export type RetryEnd =
  /** There were as many as the policy allows. */
  | "used_up"
  /** The job's next slot comes first. */
  | "next_slot"
  /** Hermes itself tries the job again. */
  | "hermes_retries"
  | "paused"
  | "completed"
  | "edited"
  | "job_gone"
  | "home_gone"
  /** Somebody ran the job meanwhile. */
  | "ran_since"
  /** The record was somebody else's when the failure was to be written into it. */
  | "superseded"
  /** The job's policy is another by now. */
  | "policy";

/** What stands beside a run that failed, for people. */
export interface RunRetry {
  readonly state: "waiting" | "started" | "given_up";
  readonly attempt: number;
  readonly dueAtMs: number | null;
  readonly reason: RetryEnd | null;
  /** The attempt that followed. */
  readonly runId: string | null;
}
