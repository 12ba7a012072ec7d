import { jobSettings } from "../config/effective-settings.ts";
import type { Job } from "../core/job.ts";
import type { Run } from "../core/run.ts";
import type { LedgerSlot } from "../ledger/slots.ts";
import { runFolder } from "../output/run-folder.ts";
import type { Timer } from "../system/clock.ts";
import type { CommandParts } from "./command-parts.ts";
import { createEventLines, endingText, type View } from "./event-lines.ts";
import {
  type Cell,
  clip,
  formatDateTime,
  formatDistance,
  formatLength,
  formatTable,
  paint,
  printable,
  wrap,
} from "./print.ts";
import type { HomeReading, Reader } from "./reader.ts";
import { formatEnd, formatTook, jobLabel, stateColours } from "./run-text.ts";

const paintMs = 300;
const historyMax = 14;
/** A bar against a longer limit than this would not move. */
const barLimitMs = 900_000;
const barWidth = 10;
const spinner = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];
const recentRuns = 500;
const showCursor = "\n\x1b[?25h";

/** Shows what happens until it is stopped: a table that repaints itself on a terminal, else a line for each event. */
export function startLiveTable(parts: CommandParts, reader: Reader): { stop(): void } {
  return showView(parts, parts.terminal.isTerminal ? createTable(parts, reader) : createEventLines(parts, reader));
}

/** Prints a line for each event until it is stopped. */
export function startEventLines(parts: CommandParts, reader: Reader): { stop(): void } {
  return showView(parts, createEventLines(parts, reader));
}

function showView(parts: CommandParts, view: View): { stop(): void } {
  let timer: Timer | null = null;
  const show = (): void => {
    view.show();
    timer = parts.system.clock.after(paintMs, show);
  };
  parts.onInterrupt(() => view.interrupted());
  show();
  return {
    stop() {
      timer?.cancel();
      view.show();
      view.end();
    },
  };
}

function createTable(parts: CommandParts, reader: Reader): View {
  const { terminal } = parts;
  let paintedLines = 0;
  let frame = 0;
  let interrupts = 0;
  // Until the daemon minds these signals itself, and ends the table with it.
  parts.onEnd(() => terminal.out(showCursor));
  terminal.out("\x1b[?25l");
  return {
    show() {
      frame += 1;
      // A line too many would scroll, and so does one that the terminal breaks by itself: the next paint would start too low.
      const lines = wrap(tableText(parts, reader, frame, interrupts), terminal.columns)
        .split("\n")
        .slice(0, Math.max(1, (terminal.rows ?? 24) - 1));
      const up = paintedLines > 1 ? `\x1b[${paintedLines - 1}A` : "";
      terminal.out(`${up}\r\x1b[J${lines.join("\n")}`);
      paintedLines = lines.length;
    },
    interrupted() {
      interrupts += 1;
    },
    end: () => terminal.out(showCursor),
  };
}

function tableText(parts: CommandParts, reader: Reader, frame: number, interrupts: number): string {
  const { terminal, system } = parts;
  const nowMs = system.clock.nowMs();
  const homes = reader.homes();
  const runs = new Map(
    reader
      .ledger()
      .runs({ limit: recentRuns })
      .map((run) => [run.id, run]),
  );
  const open = [...runs.values()].filter((run) => run.state === "claimed" || run.state === "running");
  const zone = reader.zone();
  const rows = homes.flatMap((home) =>
    home.jobs.map((job) => jobRow(terminal, reader, home, job, runs, open, nowMs, frame, interrupts > 0)),
  );
  const columns = [
    { title: "JOB", shrinkTo: 10 },
    { title: "NOW", shrinkTo: 8, widthMin: 24 },
    { title: "LAST", shrinkTo: 8, widthMin: 7 },
    { title: "HISTORY", widthMin: historyMax },
    { title: "NEXT", widthMin: 8 },
  ];
  const ended = [...runs.values()];
  const count = (state: Run["state"]): number => ended.filter((run) => run.state === state).length;
  const skipped = reader
    .ledger()
    .slots({ limit: recentRuns })
    .filter((slot) => slot.decision === "skip").length;
  const limit = homes.reduce((sum, home) => sum + (home.hermes.maxParallelJobs ?? 0), 0);
  const facts = [
    paint(terminal, "blue", `▶ ${open.length} of ${limit} running`),
    // The signs are those of the history, which so explains itself.
    paint(terminal, "green", `✓ ${count("completed")} completed`),
    paint(terminal, "red", `✗ ${count("failed")} failed`),
    paint(terminal, "yellow", `– ${skipped} skipped`),
  ].join(" · ");
  const where = clip(printable(parts.rootHome), Math.max(10, (terminal.columns ?? 80) - 40));
  const title = `${paint(terminal, "bold", "Hermes Supervisor")} ${parts.version}  ${formatDateTime(nowMs, zone).slice(11)}  ${where}`;
  return [
    title,
    facts,
    "",
    formatTable(terminal, columns, rows).trimEnd(),
    "",
    outputLine(parts, [...runs.values()]),
    paint(terminal, interrupts > 0 ? "yellow" : "dim", endingText(interrupts)),
  ].join("\n");
}

function historyCell(
  terminal: CommandParts["terminal"],
  slots: readonly LedgerSlot[],
  runs: ReadonlyMap<string, Run>,
): Cell {
  const glyphs = slots.map((slot) => glyph(slot, runs)).reverse();
  return { text: glyphs.join(""), painted: glyphs.map((text) => paint(terminal, glyphColours[text], text)).join("") };
}

function jobRow(
  terminal: CommandParts["terminal"],
  reader: Reader,
  home: HomeReading,
  job: Job,
  runs: ReadonlyMap<string, Run>,
  open: readonly Run[],
  nowMs: number,
  frame: number,
  isEnding: boolean,
): readonly Cell[] {
  const own = (run: Run): boolean => run.home === home.name && run.jobId === job.id;
  const running = open.find(own);
  const last = [...runs.values()].find((run) => own(run) && run.endedAtMs !== null);
  const slots = reader.ledger().slots({ home: home.name, jobId: job.id, limit: historyMax });
  const nextMs = job.nextRunAt?.ms ?? null;
  const limitMs = jobSettings(home.settings, home.hermes.scriptTimeoutMs, job).timeoutMs;
  return [
    jobLabel(home.name, job.name),
    running === undefined ? "" : { text: progress(running, limitMs, nowMs, frame), colour: "blue" },
    last === undefined
      ? ""
      : {
          text: last.state === "completed" ? formatTook(last, nowMs) : formatEnd(last).replace("failed: ", ""),
          colour: stateColours[last.state],
        },
    historyCell(terminal, slots, runs),
    nextMs === null || !job.enabled || isEnding ? "" : formatDistance(nextMs, nowMs),
  ];
}

function progress(run: Run, limitMs: number | null, nowMs: number, frame: number): string {
  const forMs = nowMs - (run.startedAtMs ?? run.claimedAtMs);
  const length = formatLength(Math.max(1000, Math.floor(forMs / 1000) * 1000)).replace(".0 s", " s");
  if (limitMs === null || limitMs > barLimitMs) return `${spinner[frame % spinner.length]} ${length}`;
  const filled = Math.min(barWidth, Math.floor((forMs / limitMs) * barWidth));
  return `${"█".repeat(filled)}${"░".repeat(barWidth - filled)} ${length} of ${formatLength(limitMs)}`;
}

const glyphColours = {
  "✓": "green",
  "✗": "red",
  "▶": "blue",
  "–": "yellow",
  "!": "red",
  "~": "dim",
  "→": "dim",
  "·": "dim",
} as const;

function glyph(slot: LedgerSlot, runs: ReadonlyMap<string, Run>): keyof typeof glyphColours {
  switch (slot.decision) {
    case "run": {
      const state = slot.runId === null ? undefined : runs.get(slot.runId)?.state;
      return state === "completed" ? "✓" : state === "failed" ? "✗" : state === "running" ? "▶" : "·";
    }
    case "skip":
      return "–";
    case "miss":
      return "!";
    case "coalesce":
      return "~";
    case "move":
      return "→";
    case "pending":
      return "·";
  }
}

/** The newest line that any run printed. */
function outputLine(parts: CommandParts, runs: readonly Run[]): string {
  const { files } = parts.system;
  for (const run of runs.slice(0, 10)) {
    const path = runFolder(parts.stateFolder, run.id).output;
    const size = files.stat(path)?.sizeBytes ?? 0;
    if (size === 0) continue;
    const end = Buffer.from(files.readPart(path, Math.max(0, size - 512), 512)).toString("utf8");
    const line = end.trimEnd().split("\n").at(-1) ?? "";
    const text = clip(`${printable(run.jobName)}: ${printable(line)}`, (parts.terminal.columns ?? 80) - 1);
    return paint(parts.terminal, "dim", text);
  }
  return "";
}
