import type { Run } from "../../core/run.ts";
import { type RunJson, runJson } from "../../status/json.ts";
import { requestDaemon } from "../client.ts";
import type { CommandParts } from "../command-parts.ts";
import { CommandError, type ExitCode, exitCodes } from "../exit-codes.ts";
import { findRunToStop, isOpen } from "../find-run.ts";
import { formatJson, formatLength, printable, shortName } from "../print.ts";
import { createReader, type Reader } from "../reader.ts";

export interface StopOptions {
  readonly now?: boolean;
  readonly json?: boolean;
}

const pollMs = 50;

/** Stops a run and returns when nothing of it is left. A run that has ended already is no error. */
export async function stop(parts: CommandParts, text: string, options: StopOptions): Promise<ExitCode> {
  const reader = createReader(parts);
  const { terminal } = parts;
  const found = findRunToStop(reader, text);
  if (!isOpen(found)) return say(`ended before: ${endText(runJson(found))}`, runJson(found));
  const asked = await ask(parts, found, options.now ?? false);
  if (!isOpen(asked)) return say(`ended before: ${endText(asked)}`, asked);
  if (!options.json) terminal.error(`Stopping run ${asked.id} of job "${shortName(asked.job_name)}"\n`);
  const askedAtMs = parts.system.clock.monotonicMs();
  const ended = await waitForEnd(parts, reader, asked);
  const took = formatLength(parts.system.clock.monotonicMs() - askedAtMs);
  if (ended.reason === "stopped") return say(`stopped in ${took}`, ended);
  // What it ended of gives way to what became of its job.
  if (ended.reason === "superseded" && ended.signal !== null) {
    return say(`stopped in ${took}; its job was removed or belongs to another run by now`, ended);
  }
  return say(`ended by itself: ${endText(ended)}`, ended);

  function say(what: string, run: RunJson): ExitCode {
    terminal.out(options.json ? formatJson({ run }) : `Run ${run.id} of job "${shortName(run.job_name)}" ${what}\n`);
    return exitCodes.done;
  }
}

function endText(run: RunJson): string {
  if (run.state !== "failed") return run.state;
  return `failed, ${printable(run.error?.split("\n", 1)[0] ?? run.reason ?? "no reason was recorded")}`;
}

async function ask(parts: CommandParts, run: Run, now: boolean): Promise<RunJson> {
  const path = `/v1/runs/${encodeURIComponent(run.id)}/stop${now ? "?now=1" : ""}`;
  const answer = await requestDaemon(parts.stateFolder, "POST", path);
  const body = answer.body as { readonly run?: RunJson; readonly detail?: string } | null;
  if (answer.status < 300 && body?.run) return body.run;
  const message = `Cannot stop run "${run.id}": ${printable(body?.detail ?? `the daemon answers ${answer.status}`)}`;
  if (answer.status === 404) throw new CommandError(exitCodes.notFound, "not_found", message);
  throw new CommandError(exitCodes.failed, "refused", message);
}

async function waitForEnd(parts: CommandParts, reader: Reader, run: RunJson): Promise<RunJson> {
  const path = `/v1/runs/${encodeURIComponent(run.id)}`;
  for (;;) {
    await new Promise<void>((resolve) => parts.system.clock.after(pollMs, resolve));
    const seen = await look(parts, reader, run.id, path);
    if (!isOpen(seen)) return seen;
  }
}

/** A daemon that has just ended may have recorded the end of the run as the last thing it did. */
async function look(parts: CommandParts, reader: Reader, runId: string, path: string): Promise<RunJson> {
  try {
    const answer = await requestDaemon(parts.stateFolder, "GET", path);
    const body = answer.body as { readonly run?: RunJson } | null;
    if (answer.status === 200 && body?.run) return body.run;
  } catch (error) {
    const kept = reader.ledger().run(runId);
    if (kept !== null && !isOpen(kept)) return runJson(kept);
    throw error;
  }
  throw new CommandError(exitCodes.notFound, "not_found", `Cannot follow run "${runId}": it is gone`);
}
