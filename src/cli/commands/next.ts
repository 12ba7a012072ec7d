import { nextCount, nextSnapshot } from "../../status/next.ts";
import type { CommandParts } from "../command-parts.ts";
import { type ExitCode, exitCodes } from "../exit-codes.ts";
import { parseCount, parseTime } from "../parse-time.ts";
import { type Cell, formatDateTime, formatDistance, formatJson, formatTable, paint, printable } from "../print.ts";
import { createReader } from "../reader.ts";
import { jobLabel } from "./status.ts";

const countMax = 100_000;

export interface NextOptions {
  readonly count?: string;
  readonly at?: string;
  readonly json?: boolean;
}

export function next(parts: CommandParts, jobText: string | undefined, options: NextOptions): ExitCode {
  const reader = createReader(parts);
  const nowMs = parts.system.clock.nowMs();
  const wanted = jobText === undefined ? null : reader.job(jobText);
  const count =
    options.count === undefined ? nextCount(wanted !== null) : parseCount("--count", options.count, 1, countMax);
  const afterMs = options.at === undefined ? nowMs : parseTime("--at", options.at, nowMs, reader.zone(wanted?.home));
  const homes = reader.homes();
  const which = { home: wanted?.home ?? null, jobId: wanted?.id ?? null };
  const { occurrences, errors } = nextSnapshot(homes, which, afterMs, count);
  const { terminal } = parts;
  if (options.json) {
    terminal.out(formatJson({ occurrences, errors }));
    return exitCodes.done;
  }
  const zones = new Map(homes.map((home) => [home.name, home.zone]));
  const rows = occurrences.map(({ home, job_id: id, job_name: name, at }): Cell[] => {
    const atMs = at === null ? Number.NaN : Date.parse(at);
    return [
      formatDateTime(atMs, zones.get(home) ?? reader.zone()),
      formatDistance(atMs, nowMs),
      id,
      jobLabel(home, name),
    ];
  });
  const columns = [
    { title: "AT" },
    { title: "IN" },
    { title: "JOB", shrinkTo: 8, shrinksLast: true },
    { title: "NAME", shrinkTo: 10 },
  ];
  if (rows.length > 0) terminal.out(formatTable(terminal, columns, rows));
  else if (errors.length === 0) terminal.out("Nothing is coming\n");
  for (const error of errors) {
    terminal.error(`${paint(terminal, "red", `${printable(error.job_id)}:`)} ${printable(error.message)}\n`);
  }
  return exitCodes.done;
}
