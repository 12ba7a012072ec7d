import type { Run } from "./run.ts";

export interface AttemptProblem {
  readonly run: Run;
  readonly kind: string;
  readonly message: string;
}

/**
 * Each attempt follows one failed run of its slot, which names it, and no number comes twice: a crash can neither lose an attempt
 * nor double it. What is older than `keptFrom` may have been deleted.
 */
export function attemptProblems(runs: readonly Run[], keptFrom: (run: Run) => number): readonly AttemptProblem[] {
  const problems: AttemptProblem[] = [];
  const byId = new Map(runs.map((run) => [run.id, run]));
  const before = new Map(runs.flatMap((run) => (run.retry?.runId == null ? [] : [[run.retry.runId, run] as const])));
  const seen = new Map<string, Run>();
  for (const run of runs) {
    if (run.retry?.state === "started" && !byId.has(run.retry.runId ?? "")) {
      const message = `Run "${run.id}" was tried again as run "${run.retry.runId}", which the history does not have: report it`;
      problems.push({ run, kind: "attempt_lost", message });
    }
    if (run.state === "void" || run.trigger !== "retry" || (run.scheduledAtMs ?? 0) <= keptFrom(run)) continue;
    const key = JSON.stringify([run.home, run.jobId, run.scheduledAtMs, run.attempt]);
    const twin = seen.get(key);
    seen.set(key, run);
    if (twin !== undefined) {
      const message = `Runs "${twin.id}" and "${run.id}" are both attempt ${run.attempt} of one slot, expected one: report it`;
      problems.push({ run, kind: "attempt_twice", message });
    }
    const failed = before.get(run.id);
    if (failed === undefined) {
      const message = `Run "${run.id}" is attempt ${run.attempt}, and no failed run before it names it: report it`;
      problems.push({ run, kind: "attempt_unasked", message });
    } else if (!follows(run, failed)) {
      const message = `Run "${run.id}" is attempt ${run.attempt}, and does not fit to run "${failed.id}" (attempt ${failed.attempt}, ${failed.state}), which it follows: report it`;
      problems.push({ run, kind: "attempt_unfit", message });
    }
  }
  return problems;
}

/** The last attempt that follows a run, which is the one that served its slot at last; the run itself where none does. */
export function lastAttempt(run: Run, runs: ReadonlyMap<string, Run>): Run {
  let last = run;
  for (;;) {
    const next = last.retry?.state === "started" ? runs.get(last.retry.runId ?? "") : undefined;
    if (next === undefined || next.state === "void" || next.attempt <= last.attempt) return last;
    last = next;
  }
}

function follows(run: Run, failed: Run): boolean {
  return (
    failed.state === "failed" &&
    failed.home === run.home &&
    failed.jobId === run.jobId &&
    failed.scheduledAtMs === run.scheduledAtMs &&
    failed.attempt + 1 === run.attempt
  );
}
