import type { Outcome } from "./outcome.ts";
import type { Postponed } from "./settle-job.ts";

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
  /** Set where Hermes has not put the failure into words yet: `message` is then what we say where it cannot be asked. */
  readonly isBare?: boolean;
  /** Hermes' own record of the failure that `message` tells of. */
  readonly incident?: string | null;
  readonly postponed?: Postponed | null;
  readonly isCounted?: boolean;
  /** Whether the run removed its own job. */
  readonly hasRemovedItself?: boolean;
}
