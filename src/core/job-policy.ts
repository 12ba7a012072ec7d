/** What to do with slots that passed while nothing could run them. */
export type Misfire =
  | { readonly kind: "run_once" }
  | { readonly kind: "skip" }
  | { readonly kind: "run_all"; readonly runsMax: number }
  | { readonly kind: "within"; readonly withinMs: number };

/** What to do when a job is due while it still runs. */
export type Overlap = "skip" | "queue_one" | "replace";

/** Which ends of a run another attempt may follow. */
export const retryCauses = ["failed", "timeout", "idle_timeout", "memory_limit", "output_limit", "orphaned"] as const;

export interface Retry {
  readonly attemptsMax: number;
  readonly backoffMs: number;
  /** Share of the backoff, from 0 to 1, by which an attempt may come earlier or later. */
  readonly jitter: number;
  readonly causes: readonly (typeof retryCauses)[number][];
}
