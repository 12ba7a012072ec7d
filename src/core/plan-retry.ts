import type { Gate } from "./admission.ts";
import { claimEndsAtMs, fireClaimLifeMs } from "./claim-life.ts";
import { formatInstant } from "./instant.ts";
import type { Job } from "./job.ts";
import { owedOf } from "./owed-slots.ts";
import { retryEnd, type WaitingRetry } from "./retry.ts";
import { type Candidate, type Draft, wakeAt } from "./tick-draft.ts";

/** What is left of a run whose launcher is gone is being ended by whoever started it; a fence is held while a document is saved. */
const busyRetryMs = 1000;

/** Decides about the attempts that wait, after everything that is due by itself. */
export function planRetries(draft: Draft): void {
  const { retries } = draft.input;
  if (retries === undefined || retries.size === 0) return;
  const jobs = new Map(draft.input.jobs.toReversed().map((job) => [job.id, job]));
  for (const [jobId, retry] of retries) planRetry(draft, retry, jobs.get(jobId) ?? null);
}

function planRetry(draft: Draft, retry: WaitingRetry, job: Job | null): void {
  const { input } = draft;
  const { nowMs } = input;
  // Until the end of the run stands in the record, the record says nothing of what has become of the job since.
  if (draft.openRuns.has(retry.jobId)) return;
  const end = retryEnd(retry, job, job === null ? 0 : (input.attemptsMax?.(job) ?? 0), nowMs);
  if (end !== null || job === null || job.schedule === null) {
    draft.retryEnds.push({ runId: retry.runId, jobId: retry.jobId, attempt: retry.attempt, reason: end ?? "edited" });
    return;
  }
  // What a person asks for meanwhile goes first, and takes this attempt's place.
  if (draft.candidates.some((candidate) => candidate.job.id === job.id)) return;
  if (retry.dueAtMs > nowMs) {
    wakeAt(draft, retry.dueAtMs);
    return;
  }
  // Lines that are still to be written name the run that failed, and those that are there are passed on.
  const cursor = draft.cursors.get(job.id) ?? input.cursors.get(job.id);
  if (cursor?.backlog !== undefined || owedOf(draft, job.id)?.decided !== undefined) {
    wakeAt(draft, nowMs);
    return;
  }
  const heldUntilMs = input.heldUntilMs?.(job) ?? null;
  if (heldUntilMs !== null) {
    wakeAt(draft, heldUntilMs);
    return;
  }
  if (input.hold !== null || !input.canRun(job)) {
    draft.waiting += 1;
    return;
  }
  const claimEndsMs = claimEndsAtMs(job.fireClaim, fireClaimLifeMs, nowMs, input.ownerState);
  const isBusy = input.busyJobs?.has(job.id) === true;
  if (claimEndsMs !== null || isBusy || (job.fireClaim !== null && input.isAliveElsewhere?.(job) === true)) {
    draft.waiting += 1;
    wakeAt(draft, claimEndsMs ?? nowMs + busyRetryMs);
    return;
  }
  const next = { text: "", ms: retry.scheduledAtMs };
  draft.candidates.push({
    job,
    schedule: job.schedule,
    next,
    recorded: next,
    patch: {},
    isManual: false,
    once: false,
    dueAtMs: retry.dueAtMs,
    retry,
  });
}

/** Only the claim is written: an attempt neither moves the schedule nor counts. */
export function claimRetry(draft: Draft, { job }: Candidate, retry: WaitingRetry, gate: Gate): void {
  const { nowMs, zone } = draft.input;
  draft.claims.push({
    jobId: job.id,
    gate,
    scheduledAtMs: retry.scheduledAtMs,
    trigger: "retry",
    latenessMs: Math.max(0, nowMs - retry.dueAtMs),
    claimedAtMs: nowMs,
    attempt: retry.attempt,
    retryOf: retry.runId,
  });
  const fireClaim = { at: formatInstant(nowMs, zone), by: gate.owner };
  draft.patches.set(job.id, { ...draft.patches.get(job.id), fireClaim });
}
