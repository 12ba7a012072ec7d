import type { Run } from "../../core/run.ts";
import { retryText } from "../../core/run-retry.ts";
import type { RunState } from "../../core/run-states.ts";
import { runJson } from "../../status/json.ts";
import type { CommandParts } from "../command-parts.ts";
import type { ExitCode } from "../exit-codes.ts";
import { noHomeText } from "../home-faults.ts";
import { parseCount, parseTime, usage } from "../parse-time.ts";
import { type Cell, formatTable, formatWhen, printable } from "../print.ts";
import { createReader, type Reader } from "../reader.ts";
import { formatEnd, formatTook, jobLabel, stateColours } from "../run-text.ts";
import { type ShowOptions, show } from "../show.ts";

export interface RunsOptions extends ShowOptions {
  readonly limit?: string;
  readonly state?: string;
  readonly since?: string;
}

const states: readonly RunState[] = ["claimed", "running", "completed", "failed", "void"];

export function parseRunState(text: string | undefined): RunState | null {
  if (text === undefined) return null;
  const state = states.find((known) => known === text);
  if (state === undefined) {
    throw usage(`Cannot parse --state "${printable(text)}": expected one of ${states.join(", ")}`);
  }
  return state;
}

export function parseSince(
  parts: CommandParts,
  reader: Reader,
  text: string | undefined,
  job: { readonly home: string } | null,
): number | null {
  return text === undefined ? null : parseTime("--since", text, parts.system.clock.nowMs(), reader.zone(job?.home));
}

export function runs(parts: CommandParts, jobText: string | undefined, options: RunsOptions): Promise<ExitCode> {
  const reader = createReader(parts);
  const limit = parseCount("--limit", options.limit ?? "50", 0);
  const state = parseRunState(options.state);
  const job = jobText === undefined ? null : reader.job(jobText);
  const find = (): readonly Run[] => {
    const sinceMs = parseSince(parts, reader, options.since, job);
    return reader.ledger().runs({
      limit,
      ...(job === null ? {} : { home: job.home, jobId: job.id }),
      ...(state === null ? {} : { state }),
      ...(sinceMs === null ? {} : { sinceMs }),
    });
  };
  return show(parts, options, {
    json: () => ({ runs: find().map(runJson) }),
    text: () => formatRuns(parts, reader, find()),
  });
}

function formatRuns(parts: CommandParts, reader: Reader, found: readonly Run[]): string {
  if (found.length === 0) return `${noHomeText(parts, reader) ?? "No runs"}\n`;
  const nowMs = parts.system.clock.nowMs();
  const zones = new Map(reader.homes().map((home) => [home.name, home.zone]));
  const hostZone = reader.zone();
  const rows = found.map((run): Cell[] => [
    run.id,
    jobLabel(run.home, run.jobName),
    formatWhen(run.startedAtMs ?? run.claimedAtMs, nowMs, zones.get(run.home) ?? hostZone),
    formatTook(run, nowMs),
    { text: formatEnd(run), colour: stateColours[run.state] },
    errorText(run, (ms) => formatWhen(ms, nowMs, zones.get(run.home) ?? hostZone)),
  ]);
  const columns = [
    { title: "RUN" },
    { title: "JOB", shrinkTo: 10 },
    { title: "STARTED", shrinkTo: 11, shrinksLast: true },
    { title: "TOOK", align: "right" as const },
    { title: "STATE" },
    { title: "ERROR", shrinkTo: 10 },
  ];
  return formatTable(parts.terminal, columns, rows);
}

/** The error in one line, without what the state beside it says already, what comes after it, and what became of its result if that did not arrive. */
function errorText(run: Run, clock: (ms: number) => string): string {
  const text = oneLine(run.error ?? "");
  const isToldBeside = run.reason === "exit" || run.reason === "signal";
  const own = isToldBeside
    ? text.replace(/^Script (?:exited with code -?\d+|was ended by [A-Z0-9]+)(?::? |$)/, "")
    : text;
  return [own, retryText(run.retry, clock), undeliveredText(run)].filter((part) => part !== "").join("; ");
}

function undeliveredText({ delivery }: Run): string {
  if (delivery === undefined || delivery.error === null) return "";
  const { state, target, error } = delivery;
  if (state === "failed") return `not delivered to ${target}: ${oneLine(error)}`;
  if (state === "unknown") return `maybe not delivered to ${target}: ${oneLine(error)}`;
  return state === "suppressed" ? "" : `not delivered to ${target} yet: ${oneLine(error)}`;
}

function oneLine(text: string): string {
  return text.replace(/\s*\n\s*/g, " ");
}
