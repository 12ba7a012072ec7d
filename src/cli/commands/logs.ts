import { hasOutput, type OutputPlace, placeOfTail } from "../../output/read-output.ts";
import { runJson } from "../../status/json.ts";
import type { CommandParts } from "../command-parts.ts";
import { CommandError, type ExitCode, exitCodes } from "../exit-codes.ts";
import { findRun } from "../find-run.ts";
import { parseCount, usage } from "../parse-time.ts";
import { formatJson } from "../print.ts";
import { createReader } from "../reader.ts";
import { followOutput, passOutput } from "../run-output.ts";
import { createOutputPrinter } from "../safe-output.ts";

export interface LogsOptions {
  readonly follow?: boolean;
  readonly tail?: string;
  readonly json?: boolean;
  readonly raw?: boolean;
}

export async function logs(parts: CommandParts, text: string, options: LogsOptions): Promise<ExitCode> {
  if (options.follow && options.json)
    throw usage("Cannot use --follow with --json: a document ends, and this would not");
  const lines = options.tail === undefined ? null : parseCount("--tail", options.tail, 0);
  const reader = createReader(parts);
  const run = findRun(reader, text);
  const { files } = parts.system;
  if (!hasOutput(files, parts.stateFolder, run.id) && run.state !== "claimed") {
    const message = `Cannot read the output of run "${run.id}": it is not kept any more, its document may be: ${run.documentPath ?? "none"}`;
    throw new CommandError(exitCodes.failed, "no_output", message);
  }
  const place: OutputPlace =
    lines === null ? { outputBytes: 0, errorsBytes: 0 } : placeOfTail(files, parts.stateFolder, run.id, lines);
  if (options.json) {
    const chunks: Uint8Array[] = [];
    passOutput(parts, run, place, (bytes) => chunks.push(bytes));
    parts.terminal.out(formatJson({ run: runJson(run), output: Buffer.concat(chunks).toString("utf8") }));
    return exitCodes.done;
  }
  const printer = createOutputPrinter(parts.terminal, options.raw ?? false);
  try {
    if (options.follow) await followOutput(parts, reader, run.id, place, printer.write);
    else passOutput(parts, run, place, printer.write);
  } finally {
    printer.end();
  }
  return exitCodes.done;
}
