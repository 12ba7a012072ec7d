import type { CommandParts } from "../command-parts.ts";
import { type ChaosReport, runChaos } from "../doctor/chaos.ts";
import { CommandError, type ExitCode, exitCodes } from "../exit-codes.ts";
import { parseCount } from "../parse-time.ts";
import { formatJson, formatLength, paint, printable } from "../print.ts";
import { createProgress } from "../progress.ts";
import { formatVerify, isClean, lawsJson } from "./verify.ts";

const killsUsual = 40;
const boundMs = 42_000;
const listedMax = 20;

export interface ChaosCommandOptions {
  readonly json?: boolean;
  readonly kills?: string;
}

/** Shows on a copy that a daemon may be killed at any moment. */
export async function doctorChaos(parts: CommandParts, options: ChaosCommandOptions): Promise<ExitCode> {
  const { terminal } = parts;
  const killsWanted = options.kills === undefined ? killsUsual : parseCount("--kills", options.kills, 1);
  let stopped = false;
  parts.onInterrupt(() => {
    stopped = true;
  });
  const host = await parts.loadHost();
  if (host.platform !== "linux" && !options.json) {
    terminal.error("Without /proc it cannot be seen whether a process was left; the rest is shown\n");
  }
  if (!options.json) {
    terminal.out("Killing daemons on a copy in a temporary folder; your own home is not touched, and Ctrl-C ends it\n");
  }
  const progress = createProgress(parts, "Killing");
  const report = await runChaos(parts, host, {
    kills: killsWanted,
    boundMs,
    isStopped: () => stopped,
    progress: (kills) => progress.at(kills, killsWanted),
  });
  progress.end();
  if (stopped) throw new CommandError(exitCodes.failed, "stopped", "Stopped before the end; the copy is deleted");
  const ok = isClean(report.laws) && report.findings.length === 0;
  terminal.out(options.json ? formatJson(chaosJson(ok, report)) : formatChaos(parts, report));
  return ok ? exitCodes.done : exitCodes.failed;
}

function chaosJson(ok: boolean, { laws, findings, tookMs, handOvers, ...counts }: ChaosReport): unknown {
  return { ok, ...counts, hand_overs: handOvers, took_ms: Math.round(tookMs), findings, laws: lawsJson(laws) };
}

function formatChaos(parts: CommandParts, report: ChaosReport): string {
  const { terminal } = parts;
  const { kills, handOvers, jobs, runs, orphaned, tookMs, findings } = report;
  const mark = (isGood: boolean): string => (isGood ? paint(terminal, "green", "✓") : paint(terminal, "red", "✗"));
  const listed = findings.slice(0, listedMax).map((finding) => `    ${printable(finding)}\n`);
  const rest = findings.length > listedMax ? [`    and ${findings.length - listedMax} more: see --json\n`] : [];
  return [
    `${kills - handOvers} kills and ${handOvers} planned restarts in ${formatLength(tookMs)}, amid ${runs} runs of ${jobs} jobs, of which ${orphaned} were orphaned and recorded as failed\n`,
    formatVerify(parts, report.laws),
    `${mark(findings.length === 0)} What the runs wrote down themselves agrees with the history, and nothing of them is left\n`,
    ...listed,
    ...rest,
  ].join("");
}
