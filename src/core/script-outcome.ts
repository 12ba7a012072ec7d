import type { Outcome } from "./outcome.ts";
import { firstLine, lastLine, strip } from "./python-text.ts";
import type { RunReason } from "./run.ts";

const failedMark = "**Status:** script failed";

/** How the process of a script job ended, as the launcher's exit file and the daemon's own stops tell it. */
export interface ScriptEnd {
  readonly exitCode: number | null;
  readonly signal: string | null;
  readonly signalNumber: number | null;
  /** Why we ended it, when we did. */
  readonly cause: RunReason | null;
  /** The sentence that goes with `cause`. */
  readonly causeText: string | null;
}

export interface ScriptResult {
  readonly outcome: Outcome;
  /** What Hermes stores as `last_error`; null on success. */
  readonly jobError: string | null;
  /** What follows the head of the output document. */
  readonly documentBody: string;
  /** What would be delivered; null when the run is silent. */
  readonly message: string | null;
}

/**
 * Hermes' rules for a `no_agent` job (0.22 `_run_no_agent_job`): what it printed is its answer, stripped; nothing, or a
 * last line `{"wakeAgent": false}`, is silence; any exit code but 0 is a failure with both streams in its error.
 */
export function scriptResult(
  jobName: string,
  end: ScriptEnd,
  stdout: string,
  stderr: string,
  clockText: string,
): ScriptResult {
  const printed = strip(withPlainLines(stdout));
  const complained = strip(withPlainLines(stderr));
  const failure = failureOf(end, printed, complained);
  if (failure !== null) {
    return {
      outcome: {
        success: false,
        reason: failure.reason,
        exitCode: end.exitCode,
        signal: end.signal,
        error: firstLine(failure.summary),
      },
      jobError: failure.text,
      documentBody: `${failedMark}\n\n${failure.text}\n`,
      message: `⚠ Cron watchdog '${jobName}' script failed\n\n${failure.text}\n\nTime: ${clockText}`,
    };
  }
  const outcome: Outcome = { success: true, reason: null, exitCode: end.exitCode, signal: null, error: null };
  if (!wakesAgent(printed)) return silent(outcome, "wakeAgent=false");
  if (printed === "") return silent(outcome, "empty output");
  return { outcome, jobError: null, documentBody: `\n---\n\n${printed}\n`, message: printed };
}

export function documentHead(jobName: string, jobId: string, clockText: string): string {
  return `# Cron Job: ${jobName}\n\n**Job ID:** ${jobId}\n**Run Time:** ${clockText}\n**Mode:** no_agent (script)\n`;
}

/** Whether a document with this head tells of a success; null for a text that is none, or that has another head. */
export function readDocument(text: string, head: string): boolean | null {
  if (!text.startsWith(head)) return null;
  if (text.startsWith(failedMark, head.length)) return false;
  return ["\n---\n\n", "**Status:** silent ("].some((mark) => text.startsWith(mark, head.length)) ? true : null;
}

/** Hermes reads what a script prints in Python's text mode, where every line ends alike. */
function withPlainLines(text: string): string {
  return text.replace(/\r\n?/gu, "\n");
}

function silent(outcome: Outcome, why: string): ScriptResult {
  return { outcome, jobError: null, documentBody: `**Status:** silent (${why})\n`, message: null };
}

interface Failure {
  readonly reason: RunReason;
  readonly text: string;
  readonly summary: string;
}

function failureOf(end: ScriptEnd, printed: string, complained: string): Failure | null {
  if (end.cause !== null) {
    const text = end.causeText ?? end.cause;
    return { reason: end.cause, text, summary: text };
  }
  if (end.exitCode === 0) return null;
  const code = end.exitCode ?? -(end.signalNumber ?? 0);
  const parts = [`Script exited with code ${code}`];
  if (complained !== "") parts.push(`stderr:\n${complained}`);
  if (printed !== "") parts.push(`stdout:\n${printed}`);
  const said = complained === "" ? "" : `: ${lastLine(complained)}`;
  return end.signal === null
    ? { reason: "exit", text: parts.join("\n"), summary: `Script exited with code ${code}${said}` }
    : { reason: "signal", text: parts.join("\n"), summary: `Script was ended by ${end.signal}${said}` };
}

/** False only for a last non-empty line that is a JSON object with `wakeAgent` exactly false. */
function wakesAgent(printed: string): boolean {
  const last = lastLine(printed);
  if (!last.startsWith("{")) return true;
  try {
    const value: unknown = JSON.parse(last);
    return !(typeof value === "object" && value !== null && "wakeAgent" in value && value.wakeAgent === false);
  } catch {
    // Not JSON, so it is ordinary output.
    return true;
  }
}
