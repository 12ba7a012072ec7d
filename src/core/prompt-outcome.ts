import type { Outcome } from "./outcome.ts";
import { firstLine, lastLine, strip } from "./python-text.ts";
import type { RunReason } from "./run.ts";
import type { RunReport } from "./run-report.ts";
import type { ScriptEnd } from "./script-outcome.ts";
import type { Postponed } from "./settle-job.ts";

/** What the worker of a prompt job says of its run, once it could. */
export interface PromptAnswer {
  readonly success: boolean;
  /** The output document, whole. */
  readonly document: string;
  readonly error: string | null;
  readonly isBlocked: boolean;
  /** What is to be delivered; null when nothing is. */
  readonly message: string | null;
  readonly isForFailure: boolean;
  readonly incident?: string | null;
  readonly postponed?: Postponed | null;
  readonly isCounted?: boolean;
  /** Whether the run removed its own job, whose result is then delivered all the same. */
  readonly hasRemovedItself?: boolean;
}

/** The job as its worker was given it. */
export interface PromptJob {
  readonly id: string;
  readonly name: string;
  readonly prompt: string;
  readonly scheduleText: string;
}

/**
 * How a prompt job went. The worker's answer counts as soon as it is there, however its process ended after it, unless we ended
 * the run ourselves. Without an answer nobody can say that it went well. `said` is what the worker printed last.
 */
export function promptResult(
  job: PromptJob,
  end: ScriptEnd,
  answer: PromptAnswer | null,
  said: string,
  clockText: string,
): RunReport {
  if (answer === null || end.cause !== null) {
    const text = end.cause === null ? unanswered(end, said) : (end.causeText ?? end.cause);
    const reason = end.cause ?? (end.signal === null ? "exit" : "signal");
    return {
      outcome: failure(reason, end, text),
      jobError: text,
      document: failureDocument(job, text, clockText),
      message: `⚠️ Cron '${job.name || job.id}' failed: ${firstLine(text)}`,
      isForFailure: true,
      isBare: true,
      isCounted: answer?.isCounted ?? true,
      hasRemovedItself: answer?.hasRemovedItself ?? false,
    };
  }
  const { success, document, message, isForFailure } = answer;
  const error = success ? null : (answer.error ?? "unknown error");
  const reason: RunReason = answer.isBlocked ? "blocked_config" : "error";
  const outcome: Outcome = success
    ? { success, reason: null, exitCode: end.exitCode, signal: end.signal, error: null }
    : failure(reason, end, error ?? "");
  const { incident = null, postponed = null, isCounted = true, hasRemovedItself = false } = answer;
  return {
    outcome,
    jobError: error,
    document,
    message,
    isForFailure,
    incident,
    postponed,
    isCounted,
    hasRemovedItself,
  };
}

function failure(reason: RunReason, end: ScriptEnd, text: string): Outcome {
  return { success: false, reason, exitCode: end.exitCode, signal: end.signal, error: firstLine(text) };
}

/** What Hermes only warns of, in the form that the worker gives it, is nothing that a process dies of. */
const warning = /^(?:DEBUG|INFO|WARNING) [\w.-]+: /u;

function unanswered(end: ScriptEnd, said: string): string {
  const last = lastLine(said, warning);
  const detail = last === "" ? "" : `: ${last}`;
  if (end.signal === "SIGKILL")
    return `The Hermes worker was killed before it could say how the job went; the machine may have run out of memory${detail}`;
  if (end.signal !== null)
    return `The Hermes worker was ended by ${end.signal} before it could say how the job went${detail}`;
  return `The Hermes worker ended with code ${end.exitCode} and did not say how the job went${detail}`;
}

/** In the form of Hermes' own documents of failed runs. */
function failureDocument(job: PromptJob, error: string, clockText: string): string {
  return (
    `# Cron Job: ${job.name || job.id} (FAILED)\n\n**Job ID:** ${job.id}\n**Run Time:** ${clockText}\n` +
    `**Schedule:** ${job.scheduleText}\n\n## Prompt\n\n${strip(job.prompt)}\n\n## Error\n\n\`\`\`\n${error}\n\`\`\`\n`
  );
}
