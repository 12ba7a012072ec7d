import type { Delivery, DeliveryState } from "./delivery.ts";
import { formatInstant, formatUtcInstant } from "./instant.ts";
import type { Run, RunReason } from "./run.ts";
import type { Zone } from "./zone.ts";

/** What `hermes cron runs` prints as the source of our rows. */
export const executionSource = "supervisor";

export type DeliveryOutcome = "delivered" | "failed" | "queued" | "suppressed" | "suppressed_acked" | "not_configured";

const deliveryOutcomes: Readonly<Record<DeliveryState, DeliveryOutcome>> = {
  pending: "queued",
  sending: "queued",
  delivered: "delivered",
  failed: "failed",
  unknown: "failed",
  suppressed: "suppressed",
};

/** What Hermes calls the state that the delivery of an ended run has come to; null where there was nothing to deliver. */
export function deliveryOutcome(delivery: Pick<Delivery, "state" | "error"> | null): DeliveryOutcome {
  if (delivery === null) return "suppressed";
  // Hermes tells a failure that its user knows of already from one that is kept from him.
  return delivery.state === "suppressed" && delivery.error !== null
    ? "suppressed_acked"
    : deliveryOutcomes[delivery.state];
}

/** A run as a row of Hermes' own ledger. Times are texts as Hermes writes them. */
export interface ExecutionRow {
  readonly id: string;
  readonly jobId: string;
  readonly source: string;
  readonly processId: string;
  readonly pid: number;
  readonly processStartedAt: number | null;
  readonly status: "claimed" | "running" | "completed" | "failed";
  readonly claimedAt: string;
  readonly startedAt: string | null;
  readonly finishedAt: string | null;
  readonly error: string | null;
  readonly scheduledInstant: string | null;
}

/** What the history of runs does not keep. */
export interface ExecutionDetails {
  /** The whole text of a failure, as the job's record has it. */
  readonly error?: string | null;
  /** When its gate was opened, where the history does not say so yet. */
  readonly startedAtMs?: number;
}

/** These say how it ended; of the others Hermes' readers would see only the sentence. */
const plainReasons: ReadonlySet<RunReason> = new Set([
  "exit",
  "signal",
  "error",
  "timeout",
  "blocked_config",
  "not_started",
  "superseded",
]);

/**
 * The id of a run's row: the token of its claim, which is a UUID in hex like Hermes' own ids. Whoever writes the row anew after a
 * crash comes to the same.
 */
export function executionId(run: Pick<Run, "owner">): string {
  return run.owner.slice(run.owner.lastIndexOf(":") + 1);
}

/**
 * The row names the launcher, so that Hermes takes a run for dead when the run is, and not when our daemon is. A void run was none:
 * a row that it has nevertheless ends as failed.
 */
export function executionRow(run: Run, zone: Zone, details: ExecutionDetails = {}): ExecutionRow {
  const id = executionId(run);
  const startedAtMs = run.startedAtMs ?? (run.state === "claimed" ? (details.startedAtMs ?? null) : null);
  const status = statusOf(run, startedAtMs !== null);
  return {
    id,
    jobId: run.jobId,
    source: executionSource,
    processId: id,
    pid: run.fingerprint.pid,
    processStartedAt: run.fingerprint.startTicks,
    status,
    claimedAt: formatInstant(run.claimedAtMs, zone),
    startedAt: startedAtMs === null ? null : formatInstant(startedAtMs, zone),
    finishedAt: run.endedAtMs === null ? null : formatInstant(run.endedAtMs, zone),
    error: status === "failed" ? failureText(run, details) : null,
    scheduledInstant: run.scheduledAtMs === null ? null : formatUtcInstant(run.scheduledAtMs),
  };
}

function statusOf({ state }: Run, isStarted: boolean): ExecutionRow["status"] {
  if (state === "void") return "failed";
  return state === "claimed" && isStarted ? "running" : state;
}

function failureText(run: Run, details: ExecutionDetails): string {
  const text = details.error ?? run.error ?? "unknown failure";
  return run.reason === null || plainReasons.has(run.reason) ? text : `${run.reason}: ${text}`;
}

/** A completed row is no proof where it ended this long before its instant: a clock that was wrong. Hermes' own figure. */
const skewMsMax = 60_000;

/** Whether a `completed` row of this instant proves that it was served, by the rule of Hermes 0.22. */
export function provesCompletion(scheduledAtMs: number, completedAtMs: number | null): boolean {
  return completedAtMs === null || completedAtMs >= scheduledAtMs - skewMsMax;
}
