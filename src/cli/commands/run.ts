import type { RunJson } from "../../status/json.ts";
import { runJson } from "../../status/json.ts";
import { type DaemonAnswer, requestDaemon } from "../client.ts";
import type { CommandParts } from "../command-parts.ts";
import { CommandError, type ExitCode, exitCodes } from "../exit-codes.ts";
import { formatJson, formatLength, paint, printable, shortName } from "../print.ts";
import { createReader } from "../reader.ts";
import { followOutput } from "../run-output.ts";
import { createOutputPrinter } from "../safe-output.ts";

export interface RunOptions {
  readonly detach?: boolean;
  readonly json?: boolean;
  readonly raw?: boolean;
}

export async function run(parts: CommandParts, jobText: string, options: RunOptions): Promise<ExitCode> {
  const reader = createReader(parts);
  const { terminal } = parts;
  const job = reader.job(jobText);
  const path = `/v1/jobs/${encodeURIComponent(job.home)}/${encodeURIComponent(job.id)}/run`;
  const started = await startedRun(parts, path, job.name);
  if (options.detach) {
    terminal.out(options.json ? formatJson({ run: started }) : `${started.id}\n`);
    return exitCodes.done;
  }
  const place = { outputBytes: 0, errorsBytes: 0 };
  const printer = createOutputPrinter(terminal, options.raw ?? false);
  const write = options.json ? (): void => undefined : printer.write;
  const ended = await followOutput(parts, reader, started.id, place, write).finally(printer.end);
  if (options.json) terminal.out(formatJson({ run: runJson(ended) }));
  const succeeded = ended.state === "completed";
  if (!options.json) {
    const took = formatLength((ended.endedAtMs ?? ended.claimedAtMs) - (ended.startedAtMs ?? ended.claimedAtMs));
    const text = succeeded
      ? `Run ${ended.id} completed in ${took}`
      : `Run ${ended.id} of job "${shortName(job.name)}" ${ended.state} after ${took}: ${printable(ended.error ?? ended.reason ?? "no reason was recorded")}`;
    terminal.error(`${paint(terminal, succeeded ? "green" : "red", text)}\n`);
  }
  return succeeded ? exitCodes.done : exitCodes.failed;
}

interface RunAnswer {
  readonly run?: RunJson | null;
  readonly request?: {
    readonly id: number;
    readonly state: string;
    readonly reason: string | null;
    readonly run_id: string | null;
  };
  readonly detail?: string;
}

const pollMs = 200;

/** Waits for the run where the daemon has no room for it yet. Whoever breaks off leaves the request behind. */
async function startedRun(parts: CommandParts, path: string, jobName: string): Promise<RunJson> {
  const answer = await requestDaemon(parts.stateFolder, "POST", path);
  const body = bodyOf(answer, jobName);
  if (body.run) return body.run;
  const id = body.request?.id;
  if (id === undefined) throw refused(answer, jobName, "the daemon does not say which run");
  let said: string | null = null;
  for (let request = body.request; ; ) {
    if (request?.state === "refused") throw refused(answer, jobName, request.reason ?? "it was refused");
    if (request?.run_id) {
      const found = bodyOf(await requestDaemon(parts.stateFolder, "GET", `/v1/runs/${request.run_id}`), jobName);
      if (found.run) return found.run;
    }
    if (request?.reason && request.reason !== said) {
      said = request.reason;
      parts.terminal.error(`Waiting: ${printable(said)}. The request stays if you leave\n`);
    }
    await new Promise<void>((resolve) => parts.system.clock.after(pollMs, resolve));
    request = bodyOf(await lookAt(parts, id, jobName), jobName).request;
  }
}

async function lookAt(parts: CommandParts, id: number, jobName: string): Promise<DaemonAnswer> {
  try {
    return await requestDaemon(parts.stateFolder, "GET", `/v1/requests/${id}`);
  } catch (cause) {
    if (!(cause instanceof CommandError) || cause.exitCode !== exitCodes.noDaemon) throw cause;
    const message = `Cannot wait for job "${shortName(jobName)}": the daemon has ended, the next one starts the job`;
    throw new CommandError(cause.exitCode, cause.code, message, { cause });
  }
}

function bodyOf(answer: DaemonAnswer, jobName: string): RunAnswer {
  const body = (answer.body ?? {}) as RunAnswer;
  if (answer.status < 300) return body;
  throw refused(answer, jobName, body.detail ?? `the daemon answers ${answer.status}`);
}

function refused(answer: DaemonAnswer, jobName: string, why: string): CommandError {
  // The daemon knows the job by its id; the name is what the caller typed.
  const reason = printable(why.replace(/^Cannot run job "[^"]*": /, ""));
  const message = `Cannot run job "${shortName(jobName)}": ${reason}`;
  if (answer.status === 404) return new CommandError(exitCodes.notFound, "not_found", message);
  return new CommandError(exitCodes.failed, answer.status === 409 ? "conflict" : "refused", message);
}
