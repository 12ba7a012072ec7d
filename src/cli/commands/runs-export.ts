import { runJson } from "../../status/json.ts";
import type { CommandParts } from "../command-parts.ts";
import { type ExitCode, exitCodes } from "../exit-codes.ts";
import { usage } from "../parse-time.ts";
import { formatJsonLine, printable } from "../print.ts";
import { createReader } from "../reader.ts";
import { parseRunState, parseSince, type RunsOptions } from "./runs.ts";

export interface RunsExportOptions extends Pick<RunsOptions, "state" | "since"> {
  readonly format?: string;
}

const runsPerPage = 200;

/** Prints every run that there is now, the oldest claim first, a line of JSON each. Holds one page of them at a time. */
export async function runsExport(
  parts: CommandParts,
  jobText: string | undefined,
  options: RunsExportOptions,
): Promise<ExitCode> {
  if (options.format !== undefined && options.format !== "jsonl") {
    throw usage(`Cannot export runs as "${printable(options.format)}": expected jsonl`);
  }
  const reader = createReader(parts);
  const { terminal } = parts;
  const job = jobText === undefined ? null : reader.job(jobText);
  const state = parseRunState(options.state);
  const sinceMs = parseSince(parts, reader, options.since, job);
  const query = {
    limit: runsPerPage,
    ...(job === null ? {} : { home: job.home, jobId: job.id }),
    ...(state === null ? {} : { state }),
    ...(sinceMs === null ? {} : { sinceMs }),
  };
  const ledger = reader.ledger();
  // What is claimed while this prints is for the next export; without an end it might never have one.
  const untilSeq = ledger.lastSeq();
  for (let seq = 0; seq < untilSeq; ) {
    const page = ledger.runsPage(query, seq, untilSeq);
    seq = page.runs.length < runsPerPage ? untilSeq : page.seq;
    if (page.runs.length === 0) continue;
    terminal.out(page.runs.map((run) => formatJsonLine(runJson(run))).join(""));
    await terminal.taken();
  }
  return exitCodes.done;
}
