import type { SlotDecision } from "../../core/slot.ts";
import { slotJson } from "../../status/json.ts";
import type { CommandParts } from "../command-parts.ts";
import { type ExitCode, exitCodes } from "../exit-codes.ts";
import { parseCount, parseTime } from "../parse-time.ts";
import { type Cell, type Colour, formatClock, formatJson, formatLength, formatTable } from "../print.ts";
import { createReader } from "../reader.ts";
import { jobLabel } from "./status.ts";

export interface SlotsOptions {
  readonly limit?: string;
  readonly since?: string;
  readonly json?: boolean;
}

const colours: Readonly<Record<SlotDecision["decision"], Colour>> = {
  run: "green",
  coalesce: "dim",
  skip: "yellow",
  miss: "red",
  move: "dim",
  pending: "blue",
};

export function slots(parts: CommandParts, jobText: string | undefined, options: SlotsOptions): ExitCode {
  const reader = createReader(parts);
  const { terminal } = parts;
  const nowMs = parts.system.clock.nowMs();
  const job = jobText === undefined ? null : reader.job(jobText);
  const found = reader.ledger().slots({
    limit: parseCount("--limit", options.limit ?? "200", 0),
    ...(job === null ? {} : { home: job.home, jobId: job.id }),
    ...(options.since === undefined
      ? {}
      : { sinceMs: parseTime("--since", options.since, nowMs, reader.zone(job?.home)) }),
  });
  if (options.json) {
    terminal.out(formatJson({ slots: found.map(slotJson) }));
    return exitCodes.done;
  }
  if (found.length === 0) {
    terminal.out("No slots\n");
    return exitCodes.done;
  }
  const homes = reader.homes();
  const zones = new Map(homes.map((home) => [home.name, home.zone]));
  const names = new Map(homes.flatMap((home) => home.jobs.map((each) => [`${home.name}/${each.id}`, each.name])));
  const hostZone = reader.zone();
  const rows = found.map((slot): Cell[] => [
    formatClock(slot.scheduledAtMs, nowMs, zones.get(slot.home) ?? hostZone),
    jobLabel(slot.home, names.get(`${slot.home}/${slot.jobId}`) ?? slot.jobId),
    { text: slot.decision, colour: colours[slot.decision] },
    slot.reason,
    slot.latenessMs === null ? "" : formatLength(slot.latenessMs),
    slot.runId ?? "",
  ]);
  const columns = [
    { title: "SCHEDULED" },
    { title: "JOB", shrinkTo: 10 },
    { title: "DECISION" },
    { title: "REASON" },
    { title: "LATE", align: "right" as const },
    { title: "RUN" },
  ];
  terminal.out(formatTable(terminal, columns, rows));
  return exitCodes.done;
}
