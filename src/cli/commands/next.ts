import { allAtOnce } from "../../core/work.ts";
import { type NextJson, nextCount, nextSnapshot } from "../../status/next.ts";
import type { CommandParts } from "../command-parts.ts";
import type { ExitCode } from "../exit-codes.ts";
import { noHomeText, unreadTexts } from "../home-faults.ts";
import { parseCount, parseTime } from "../parse-time.ts";
import { type Cell, formatDateTime, formatDistance, formatTable, paint, printable } from "../print.ts";
import { createReader, type Reader } from "../reader.ts";
import { jobLabel } from "../run-text.ts";
import { type ShowOptions, show } from "../show.ts";

const countMax = 100_000;

export interface NextOptions extends ShowOptions {
  readonly count?: string;
  readonly at?: string;
}

export function next(parts: CommandParts, jobText: string | undefined, options: NextOptions): Promise<ExitCode> {
  const reader = createReader(parts);
  const wanted = jobText === undefined ? null : reader.job(jobText);
  const count =
    options.count === undefined ? nextCount(wanted !== null) : parseCount("--count", options.count, 1, countMax);
  const which = { home: wanted?.home ?? null, jobId: wanted?.id ?? null };
  const look = (): NextJson => {
    const nowMs = parts.system.clock.nowMs();
    const afterMs = options.at === undefined ? nowMs : parseTime("--at", options.at, nowMs, reader.zone(wanted?.home));
    return allAtOnce(nextSnapshot(reader.homes(), which, afterMs, count));
  };
  const text = (): string => {
    const found = look();
    const faults = [
      ...unreadTexts(reader).map((line) => `${paint(parts.terminal, "red", line)}\n`),
      ...faultLines(parts, found),
    ];
    if (!options.watch) for (const line of faults) parts.terminal.error(line);
    return `${formatNext(parts, reader, found, faults.length > 0)}${options.watch ? faults.join("") : ""}`;
  };
  return show(parts, options, { json: look, text });
}

function formatNext(
  parts: CommandParts,
  reader: Reader,
  { occurrences }: Pick<NextJson, "occurrences">,
  hasFaults: boolean,
): string {
  const { terminal, system } = parts;
  const nowMs = system.clock.nowMs();
  const zones = new Map(reader.homes().map((home) => [home.name, home.zone]));
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
  if (rows.length > 0) return formatTable(terminal, columns, rows);
  const nothing = noHomeText(parts, reader) ?? "Nothing is coming";
  return hasFaults ? "" : `${nothing}\n`;
}

function faultLines({ terminal }: CommandParts, { errors }: NextJson): readonly string[] {
  return errors.map(
    (error) => `${paint(terminal, "red", `${printable(error.job_id)}:`)} ${printable(error.message)}\n`,
  );
}
