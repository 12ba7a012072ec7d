import type { RunJson } from "../../status/json.ts";
import { runJson } from "../../status/json.ts";
import { type DaemonAnswer, requestDaemon } from "../client.ts";
import type { CommandParts } from "../command-parts.ts";
import { CommandError, type ExitCode, exitCodes } from "../exit-codes.ts";
import { formatJson, formatLength, paint, printable } from "../print.ts";
import { createReader } from "../reader.ts";
import { followOutput } from "../run-output.ts";

export interface RunOptions {
  readonly detach?: boolean;
  readonly json?: boolean;
}

export async function run(parts: CommandParts, jobText: string, options: RunOptions): Promise<ExitCode> {
  const reader = createReader(parts);
  const { terminal } = parts;
  const job = reader.job(jobText);
  const path = `/v1/jobs/${encodeURIComponent(job.home)}/${encodeURIComponent(job.id)}/run`;
  const started = runOf(await requestDaemon(parts.stateFolder, "POST", path), job.name);
  if (options.detach) {
    terminal.out(options.json ? formatJson({ run: started }) : `${started.id}\n`);
    return exitCodes.done;
  }
  const place = { outputBytes: 0, errorsBytes: 0 };
  const ended = await followOutput(parts, reader, started.id, place, (bytes) => {
    if (!options.json) terminal.out(bytes);
  });
  if (options.json) terminal.out(formatJson({ run: runJson(ended) }));
  const succeeded = ended.state === "completed";
  if (!options.json) {
    const took = formatLength((ended.endedAtMs ?? ended.claimedAtMs) - (ended.startedAtMs ?? ended.claimedAtMs));
    const text = succeeded
      ? `Run ${ended.id} completed in ${took}`
      : `Run ${ended.id} of job "${printable(job.name)}" ${ended.state} after ${took}: ${printable(ended.error ?? ended.reason ?? "no reason was recorded")}`;
    terminal.error(`${paint(terminal, succeeded ? "green" : "red", text)}\n`);
  }
  return succeeded ? exitCodes.done : exitCodes.failed;
}

function runOf(answer: DaemonAnswer, jobName: string): RunJson {
  const body = answer.body as { readonly run?: RunJson | null; readonly detail?: string } | null;
  if (answer.status < 300 && body?.run) return body.run;
  const why = body?.detail ?? `the daemon answers ${answer.status}`;
  const message = `Cannot run job "${printable(jobName)}": ${printable(why)}`;
  if (answer.status === 404) throw new CommandError(exitCodes.notFound, "not_found", message);
  throw new CommandError(exitCodes.failed, answer.status === 409 ? "conflict" : "refused", message);
}
