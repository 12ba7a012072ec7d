import type { Outcome } from "./outcome.ts";

/** What is made of a run that has ended. */
export interface RunReport {
  readonly outcome: Outcome;
  /** What Hermes stores as `last_error`; null on success. */
  readonly jobError: string | null;
  /** The output document, whole. */
  readonly document: string;
  /** What is to be delivered; null when nothing is. */
  readonly message: string | null;
  readonly isForFailure: boolean;
}
