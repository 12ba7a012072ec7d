import type { FairnessPlan, FairnessResult } from "./fairness.ts";
import type { LatenessResult } from "./lateness.ts";
import type { ManyHomesResult } from "./many-homes.ts";
import type { ProgramStart } from "./program-start.ts";
import type { PromptStart } from "./prompt-start.ts";
import type { ReadApiResult } from "./read-api.ts";
import { percentile, type Ratio, ratioByRound, summarize } from "./statistics.ts";
import { formatNumber, type Table } from "./table.ts";
import type { TickLockResult } from "./tick-lock.ts";

const mebibyte = 1024 ** 2;

/**
 * The first result is ours; the others are compared with it. The first round is everybody's first, with nothing warm yet:
 * it has a column of its own and stays out of all the others.
 */
export function latenessTable(title: string, results: readonly LatenessResult[], notes: readonly string[]): Table {
  const ours = results[0];
  return {
    title,
    columns: [
      "ms",
      "p50",
      "p99",
      "max",
      "first round, p99",
      "starts",
      "missed",
      "twice",
      "ours ÷ this, p50",
      "ours ÷ this, p99",
    ],
    rows: results.map((result) => {
      const samples = result.rounds.slice(1).flat();
      const first = result.rounds[0] ?? [];
      const firstP99 = first.length === 0 ? "–" : formatNumber(percentile(first, 0.99));
      const counts = [firstP99, String(samples.length + first.length), String(result.missed), String(result.repeated)];
      if (samples.length === 0) return [result.contender, "–", "–", "–", ...counts, "–", "–"];
      const { p50, p99, max } = summarize(samples);
      const ratios =
        ours === undefined || result === ours
          ? ["", ""]
          : [0.5, 0.99].map((share) => formatRatio(ratioByRound(ours.rounds.slice(1), result.rounds.slice(1), share)));
      return [result.contender, ...[p50, p99, max].map(formatNumber), ...counts, ...ratios];
    }),
    notes,
  };
}

function formatRatio(ratio: Ratio | null): string {
  if (ratio === null) return "–";
  return `${formatNumber(ratio.median)} (${formatNumber(ratio.min)}–${formatNumber(ratio.max)})`;
}

export function tickLockTable(results: readonly TickLockResult[], notes: readonly string[]): Table {
  return {
    title: "How long the tick lock is held, seen from another process",
    columns: ["ms", "p50", "p99", "max", "ticks seen", "÷ rewriting the file"],
    rows: results.flatMap((result) => {
      const size = `${formatNumber(result.fileBytes / mebibyte)} MiB`;
      const name = `${result.jobs} jobs in one home (${size})`;
      const seen = `${result.holds.length} of ${result.due}`;
      if (result.holds.length === 0) return [[name, "–", "–", "–", seen, ""]];
      const atMost = result.holds.map((hold) => hold.atMostMs);
      const { p50, p99, max } = summarize(atMost);
      const rewriteP50 = result.rewriteMs.length === 0 ? null : percentile(result.rewriteMs, 0.5);
      const ratio = rewriteP50 === null ? "" : formatNumber(p50 / rewriteP50);
      const row = [name, ...[p50, p99, max].map(formatNumber), seen, ratio];
      if (rewriteP50 === null) return [row];
      const floor = summarize(result.rewriteMs);
      const label = "  read, parse, print, write and sync of that file";
      return [row, [label, ...[floor.p50, floor.p99, floor.max].map(formatNumber), String(floor.count), "1"]];
    }),
    notes,
  };
}

export function readApiTable({ openRuns, writtenBytes, free, locked }: ReadApiResult, notes: readonly string[]): Table {
  const figures = (taken: readonly number[]): readonly string[] => {
    const { p50, p99, max } = summarize(taken);
    return [p50, p99, max].map(formatNumber);
  };
  const mebibytes = Math.round(writtenBytes / mebibyte);
  return {
    title: `Reads of the control API while ${openRuns} runs are open and ${mebibytes} MiB of output are written`,
    columns: ["ms", "p50", "p99", "max", "p50, tick lock held", "p99", "max", "answers"],
    rows: [...free].map(([path, taken]) => {
      const others = locked.get(path) ?? [];
      return [path, ...figures(taken), ...figures(others), String(taken.length + others.length)];
    }),
    notes,
  };
}

export function startTable(
  title: string,
  { firstStart, laterStarts }: ManyHomesResult,
  notes: readonly string[],
): Table {
  const middle = (figures: readonly number[]): string =>
    figures.length === 0 ? "–" : formatNumber(percentile(figures, 0.5));
  const most = (figures: readonly number[]): string =>
    figures.length === 0 ? "–" : formatNumber(Math.max(...figures));
  const ready = laterStarts.map((start) => start.readyMs);
  const first = laterStarts.map((start) => start.firstJobMs);
  return {
    title,
    columns: ["ms", "first start ever", "later starts, p50", "max", "starts"],
    rows: [
      [
        "until the control socket answers",
        formatNumber(firstStart.readyMs),
        middle(ready),
        most(ready),
        String(ready.length),
      ],
      [
        "until an overdue job's first instruction",
        formatNumber(firstStart.firstJobMs),
        middle(first),
        most(first),
        String(first.length),
      ],
    ],
    notes,
  };
}

export function idleTable(title: string, { idle }: ManyHomesResult, notes: readonly string[]): Table {
  return {
    title,
    columns: ["", "RSS, MiB", "PSS, MiB", "anonymous, MiB", "one core, %", "wake-ups a second"],
    rows: idle.map((figures) => [
      figures.contender,
      formatNumber(figures.rssBytes / mebibyte),
      formatNumber(figures.pssBytes / mebibyte),
      formatNumber(figures.anonymousBytes / mebibyte),
      (figures.cpuShare * 100).toFixed(3),
      formatNumber(figures.wakeUpsPerSecond),
    ]),
    notes,
  };
}

export function programStartTable(results: readonly ProgramStart[], notes: readonly string[]): Table {
  const floor = results.at(-1);
  return {
    title: "From the shell to the answer",
    columns: ["ms", "p50", "p99", "max", "starts", "÷ node -e 0"],
    rows: results.map((result) => {
      const { count, p50, p99, max } = summarize(result.rounds.flat());
      const ratio =
        floor === undefined || result === floor ? "" : formatRatio(ratioByRound(result.rounds, floor.rounds, 0.5));
      return [result.command, ...[p50, p99, max].map(formatNumber), String(count), ratio];
    }),
    notes,
  };
}

export function promptStartTable(results: readonly PromptStart[], notes: readonly string[]): Table {
  return {
    title: "Prompt jobs: from the opened gate to the first byte at the model",
    columns: ["s", "p50", "max", "runs"],
    rows: results.map(({ way, seconds }) => {
      const { p50, max } = summarize(seconds);
      return [way, formatNumber(p50), formatNumber(max), String(seconds.length)];
    }),
    notes,
  };
}

export function fairnessTable(plan: FairnessPlan, results: readonly FairnessResult[], notes: readonly string[]): Table {
  const seconds = (samples: readonly number[]): readonly string[] => {
    const { p50, p99, max } = summarize(samples);
    return [p50, p99, max].map((ms) => formatNumber(ms / 1000));
  };
  return {
    title: `Eight homes, one with ${plan.floodJobs} due jobs: from the due second to the first instruction`,
    columns: ["s", "p50", "p99", "max", "jobs", "fair share, p50", "fair share, p99"],
    rows: results.flatMap(({ order, floodWaits, otherWaits, fairWaits }) => {
      const fair = order === "fair" ? seconds(fairWaits).slice(0, 2) : ["", ""];
      const name = order === "fair" ? "homes in turn" : "oldest first";
      return [
        [`${name}: the other seven`, ...seconds(otherWaits), String(otherWaits.length), ...fair],
        [`${name}: the flood`, ...seconds(floodWaits), String(floodWaits.length), "", ""],
      ];
    }),
    notes,
  };
}
