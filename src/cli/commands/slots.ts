import type { SlotDecision } from "../../core/slot.ts";
import type { LedgerSlot } from "../../ledger/slots.ts";
import { slotJson } from "../../status/json.ts";
import type { CommandParts } from "../command-parts.ts";
import type { ExitCode } from "../exit-codes.ts";
import { noHomeText } from "../home-faults.ts";
import { parseCount, parseTime } from "../parse-time.ts";
import { type Cell, type Colour, formatLength, formatTable, formatWhen } from "../print.ts";
import { createReader, type Reader } from "../reader.ts";
import { jobLabel } from "../run-text.ts";
import { type ShowOptions, show } from "../show.ts";

export interface SlotsOptions extends ShowOptions {
  readonly limit?: string;
  readonly since?: string;
}

const colours: Readonly<Record<SlotDecision["decision"], Colour>> = {
  run: "green",
  coalesce: "dim",
  skip: "yellow",
  miss: "red",
  move: "dim",
  pending: "blue",
};

export function slots(parts: CommandParts, jobText: string | undefined, options: SlotsOptions): Promise<ExitCode> {
  const reader = createReader(parts);
  const limit = parseCount("--limit", options.limit ?? "200", 0);
  const job = jobText === undefined ? null : reader.job(jobText);
  const find = (): readonly LedgerSlot[] => {
    const nowMs = parts.system.clock.nowMs();
    return reader.ledger().slots({
      limit,
      ...(job === null ? {} : { home: job.home, jobId: job.id }),
      ...(options.since === undefined
        ? {}
        : { sinceMs: parseTime("--since", options.since, nowMs, reader.zone(job?.home)) }),
    });
  };
  return show(parts, options, {
    json: () => ({ slots: find().map(slotJson) }),
    text: () => formatSlots(parts, reader, find()),
  });
}

function formatSlots(parts: CommandParts, reader: Reader, found: readonly LedgerSlot[]): string {
  if (found.length === 0) return `${noHomeText(parts, reader) ?? "No slots"}\n`;
  const nowMs = parts.system.clock.nowMs();
  const homes = reader.homes();
  const zones = new Map(homes.map((home) => [home.name, home.zone]));
  const names = new Map(homes.flatMap((home) => home.jobs.map((each) => [`${home.name}/${each.id}`, each.name])));
  const hostZone = reader.zone();
  const rows = found.map((slot): Cell[] => [
    formatWhen(slot.scheduledAtMs, nowMs, zones.get(slot.home) ?? hostZone),
    jobLabel(slot.home, names.get(`${slot.home}/${slot.jobId}`) ?? slot.jobId),
    { text: slot.decision, colour: colours[slot.decision] },
    slot.reason,
    slot.latenessMs === null ? "" : formatLength(slot.latenessMs),
    slot.runId ?? "",
  ]);
  const columns = [
    { title: "SCHEDULED", shrinkTo: 11, shrinksLast: true },
    { title: "JOB", shrinkTo: 10 },
    { title: "DECISION" },
    { title: "REASON" },
    { title: "LATE", align: "right" as const },
    { title: "RUN" },
  ];
  return formatTable(parts.terminal, columns, rows);
}
