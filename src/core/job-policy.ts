/** What to do with slots that passed while nothing could run them. */
export type Misfire =
  | { readonly kind: "run_once" }
  | { readonly kind: "skip" }
  | { readonly kind: "run_all"; readonly runsMax: number }
  | { readonly kind: "within"; readonly withinMs: number };

/** What to do when a job is due while it still runs. */
export type Overlap = "skip" | "queue_one" | "replace";

/** What a job's slots go by. */
export interface SlotPolicy {
  readonly misfire: Misfire;
  readonly overlap: Overlap;
}

export const usualSlotPolicy: SlotPolicy = { misfire: { kind: "run_once" }, overlap: "skip" };

/** Which ends of a run another attempt may follow. */
export const retryCauses = ["failed", "timeout", "idle_timeout", "memory_limit", "output_limit", "orphaned"] as const;

export interface Retry {
  /** How many attempts may follow the first run of a slot. */
  readonly attemptsMax: number;
  /** How long after the end of the first run the next attempt comes. */
  readonly backoffMs: number;
  /** What each further delay is multiplied by, and where that ends; absent where all are the same. */
  readonly growth?: { readonly factor: number; readonly delayMsMax: number };
  /** Share of the backoff, from 0 to 1, by which an attempt may come earlier or later. */
  readonly jitter: number;
  readonly causes: readonly (typeof retryCauses)[number][];
}

/** When a job that fails at once again and again is held back, and for how long. */
export interface CrashLoopGuard {
  /** After so many failures within a second of their starts, one after another. */
  readonly failures: number;
  /** How long the first time. Each further time is twice as long. */
  readonly pauseMs: number;
  readonly pauseMsMax: number;
}
