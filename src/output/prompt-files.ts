import type { Answer } from "../../worker/protocol.ts";
import { memberNamed, membersOf } from "../core/json-text.ts";
import type { PromptAnswer, PromptJob } from "../core/prompt-outcome.ts";
import type { Postponed } from "../core/settle-job.ts";
import type { System } from "../system/system.ts";
import type { RunFolder } from "./run-folder.ts";

/** A longer answer is none: a document of this size is a fault, and reading it would stop the daemon for everybody. */
const answerBytesMax = 16 * 1024 * 1024;

/**
 * Gives a worker its job: `record` is the job's own text in the store, `executionId` names the run's row in Hermes' ledger. Nothing in
 * it is a value of the environment.
 */
export function writeJobFile(
  system: Pick<System, "files">,
  folder: RunFolder,
  record: string,
  executionId: string | null,
): void {
  system.files.create(folder.job, `{"job": ${record}, "execution_id": ${JSON.stringify(executionId)}}\n`, 0o600);
}

/** The job that a worker was given, as far as its document tells of it. */
export function readPromptJob(
  system: Pick<System, "files">,
  folder: RunFolder,
  known: { readonly id: string; readonly name: string },
): PromptJob {
  const record = asRecord(asRecord(readJson(system, folder.job))["job"]);
  return { ...known, prompt: asText(record["prompt"]), scheduleText: asText(record["schedule_display"]) };
}

/** The text of the record that a worker was given, as it stood in the store. */
export function readJobRecord(system: Pick<System, "files">, folder: RunFolder): string | null {
  const text = system.files.stat(folder.job) === null ? "" : system.files.readText(folder.job);
  try {
    const job = memberNamed(membersOf(text, 0), "job");
    return job === null ? null : text.slice(job.start, job.end);
  } catch {
    return null;
  }
}

/** The answer of a worker, or null when there is none that could be used. It is written by rename, so it is whole or not there. */
export function readAnswer(system: Pick<System, "files">, folder: RunFolder): PromptAnswer | null {
  const answer: Partial<Record<keyof Answer, unknown>> = asRecord(readJson(system, folder.answer));
  const { success, document, error, status, deliver } = answer;
  if (typeof success !== "boolean" || typeof document !== "string") return null;
  return {
    success,
    document,
    error: typeof error === "string" ? error : null,
    isBlocked: status === "blocked_config",
    message: typeof deliver === "string" ? deliver : null,
    isForFailure: answer.for_failure === true,
    incident: typeof answer.incident === "string" ? answer.incident : null,
    postponed: readPostponed(asRecord(answer.fields), asRecord(asRecord(readJson(system, folder.job))["job"])),
    isCounted: answer.counted !== false,
    hasRemovedItself: answer.removed_itself === true,
  };
}

/** The fields of Hermes 0.22 that a job gets which did not reach its model. */
function readPostponed(
  fields: Readonly<Record<string, unknown>>,
  job: Readonly<Record<string, unknown>>,
): Postponed | null {
  const nextRunAt = fields["next_run_at"];
  if (typeof nextRunAt !== "string") return null;
  const { attempt, at, expr } = asRecord(fields["unreachable_retry"]);
  const isRetry = typeof attempt === "number" && typeof at === "string";
  return {
    nextRunAt,
    retry: isRetry ? { attempt, at, expr: textOrNull(expr) } : null,
    holdUntil: textOrNull(fields["quota_hold_until"]),
    holdExpression: textOrNull(fields["quota_hold_cron_expr"]),
    expression: textOrNull(asRecord(job["schedule"])["expr"]),
  };
}

function readJson(system: Pick<System, "files">, path: string): unknown {
  const stat = system.files.stat(path);
  if (stat === null || stat.sizeBytes > answerBytesMax) return null;
  try {
    return JSON.parse(system.files.readText(path));
  } catch {
    // Not what a worker writes: as good as nothing.
    return null;
  }
}

function asRecord(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null ? (value as Readonly<Record<string, unknown>>) : {};
}

function textOrNull(value: unknown): string | null {
  return typeof value === "string" ? value : null;
}

function asText(value: unknown): string {
  return typeof value === "string" ? value : "";
}
