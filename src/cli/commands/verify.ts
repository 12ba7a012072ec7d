import { type LawReport, persistingViolations, verifyLaws } from "../../core/verify-laws.ts";
import { isoTime } from "../../status/json.ts";
import type { CommandParts } from "../command-parts.ts";
import { type ExitCode, exitCodes } from "../exit-codes.ts";
import { gatherEvidence } from "../gather-evidence.ts";
import { formatJson, paint, printable, wrap } from "../print.ts";
import { createProgress } from "../progress.ts";
import { createReader, type Reader } from "../reader.ts";
import { jobLabel } from "../run-text.ts";

/**
 * What one look finds may be on its way: a claim between two writes, an end that is being recorded. A violation is what every
 * look finds, the last one later than the 2 s within which all must be decided.
 */
const againAfterMs = [300, 700, 1500];
const listedMax = 20;

export async function verify(parts: CommandParts, options: { readonly json?: boolean }): Promise<ExitCode> {
  const { terminal } = parts;
  const laws = await checkLaws(parts, createReader(parts));
  const ok = isClean(laws);
  terminal.out(options.json ? formatJson({ ok, laws: lawsJson(laws) }) : formatVerify(parts, laws));
  return ok ? exitCodes.done : exitCodes.failed;
}

/** What every law finds that still holds at a second look. */
export async function checkLaws(parts: CommandParts, reader: Reader): Promise<readonly LawReport[]> {
  const { system } = parts;
  const progress = createProgress(parts, "Checking runs");
  let laws = verifyLaws(gatherEvidence(parts, reader, progress.at));
  progress.end();
  for (const delayMs of againAfterMs) {
    if (isClean(laws)) break;
    await new Promise<void>((resolve) => system.clock.after(delayMs, resolve));
    laws = persistingViolations(laws, verifyLaws(gatherEvidence(parts, reader)));
  }
  return laws;
}

export function isClean(laws: readonly LawReport[]): boolean {
  return laws.every((law) => law.violations.length === 0);
}

export function lawsJson(laws: readonly LawReport[]): unknown {
  return laws.map(({ law, checked, violations }) => ({
    law,
    checked,
    violations: violations.map(({ message, home, jobId, runId, atMs }) => ({
      message,
      home,
      job_id: jobId,
      run_id: runId,
      at: isoTime(atMs),
    })),
  }));
}

export function formatVerify({ terminal }: CommandParts, laws: readonly LawReport[]): string {
  const lines = laws.flatMap(({ law, title, covers, violations }) => {
    const isKept = violations.length === 0;
    const mark = isKept ? paint(terminal, "green", "✓") : paint(terminal, "red", "✗");
    const found = isKept ? "" : paint(terminal, "red", `, ${violations.length} broken`);
    const listed = violations.slice(0, listedMax).map(({ home, jobId, message }) => {
      const whose = jobId === null ? home : jobLabel(home ?? "default", jobId);
      return `    ${whose === null ? "" : `${printable(whose)}: `}${printable(message)}`;
    });
    const rest = violations.length > listedMax ? [`    and ${violations.length - listedMax} more: see --json`] : [];
    return [`${mark} ${law} ${title}: ${printable(covers)}${found}`, ...listed, ...rest];
  });
  return wrap(`${lines.join("\n")}\n`, terminal.columns);
}
