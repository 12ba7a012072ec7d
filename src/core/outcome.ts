import type { RunReason } from "./run.ts";

/** How a run ended. `error` is one line for people and never null on a failure. */
export interface Outcome {
  readonly success: boolean;
  readonly reason: RunReason | null;
  readonly exitCode: number | null;
  readonly signal: string | null;
  readonly error: string | null;
}
