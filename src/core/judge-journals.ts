import type { Run } from "./run.ts";

/** A line that a run wrote down by itself, as it began or as the last thing that it did. */
export interface JournalLine {
  readonly event: "start" | "end";
  readonly runId: string;
}

/** Takes the lines of a journal apart; what is none is left out. */
export function parseJournal(text: string): readonly JournalLine[] {
  return text.split("\n").flatMap((line) => {
    const [, event, runId] = /^(start|end) (\S+)$/u.exec(line) ?? [];
    return event === "start" || (event === "end" && runId !== undefined) ? [{ event, runId: runId ?? "" }] : [];
  });
}

/** Holds what the runs of one job wrote down against what is recorded of them. Each finding is a sentence. */
export function judgeJournal(journal: readonly JournalLine[], runs: readonly Run[]): readonly string[] {
  const byId = new Map(runs.map((run) => [run.id, run]));
  const findings: string[] = [];
  const begun = new Set<string>();
  const ended = new Set<string>();
  for (const [index, { event, runId }] of journal.entries()) {
    if (event === "end") {
      ended.add(runId);
      continue;
    }
    if (begun.has(runId)) findings.push(`Run "${runId}" started twice`);
    begun.add(runId);
    const run = byId.get(runId);
    if (run === undefined) findings.push(`Run "${runId}" started, and the history has no such run`);
    else if (run.state === "void") findings.push(`Run "${runId}" started, and is recorded as void`);
    const earlier = journal.slice(0, index).filter((line) => line.event === "start" && !ended.has(line.runId));
    for (const other of earlier) {
      const endsLater = journal.slice(index).some((line) => line.event === "end" && line.runId === other.runId);
      if (endsLater) findings.push(`Run "${runId}" started before run "${other.runId}" of the same job had ended`);
    }
  }
  for (const run of runs) {
    if (run.state !== "completed") continue;
    if (!begun.has(run.id)) findings.push(`Run "${run.id}" is recorded as completed, and never started`);
    else if (!ended.has(run.id)) findings.push(`Run "${run.id}" is recorded as completed, and did not come to its end`);
  }
  return findings;
}
