import type { Run } from "../core/run.ts";
import { CommandError, exitCodes } from "./exit-codes.ts";
import { ambiguous, matchJobs, notFound } from "./find-job.ts";
import { shortName } from "./print.ts";
import type { JobReading, Reader } from "./reader.ts";

/** A run by its id or a unique beginning of it, or the latest run of a job; of a job that is gone, the open one. */
export function findRun(reader: Reader, text: string): Run {
  const ledger = reader.ledger();
  const exact = text === "" ? null : ledger.run(text);
  if (exact !== null) return exact;
  const job = ((): JobReading | null => {
    try {
      return reader.job(text);
    } catch (error) {
      if (error instanceof CommandError && error.code === "not_found") return null;
      throw error;
    }
  })();
  const open = job !== null && job.job !== null ? null : onlyRun(openRunsOfGone(reader, text), text);
  if (open !== null) return open;
  if (job !== null) {
    const [latest] = ledger.runs({ home: job.home, jobId: job.id, limit: 1 });
    if (latest !== undefined) return latest;
    const message = `Cannot find a run of job "${shortName(job.name)}": it has not run yet`;
    throw new CommandError(exitCodes.notFound, "not_found", message);
  }
  const found = onlyRun(beginningWith(reader, text), text);
  if (found !== null) return found;
  throw notFound("run or job", text, "see hermes-supervisor runs and hermes-supervisor jobs");
}

/** The run that `stop` is about: of a job the open one, if there is one, also where its record is gone and another job has its name. */
export function findRunToStop(reader: Reader, text: string): Run {
  const gone = (): Run | null => onlyRun(openRunsOfGone(reader, text), text);
  let run: Run;
  try {
    run = findRun(reader, text);
  } catch (error) {
    const ofGone = error instanceof CommandError && error.code === "not_found" ? gone() : null;
    if (ofGone === null) throw error;
    return ofGone;
  }
  if (isOpen(run) || run.id.startsWith(text)) return run;
  // A newer row may be of a claim that came to nothing.
  const open = reader.ledger().openRuns(run.home);
  return open.find((each) => each.jobId === run.jobId) ?? gone() ?? run;
}

export function isOpen(run: { readonly state: Run["state"] }): boolean {
  return run.state === "claimed" || run.state === "running";
}

function beginningWith(reader: Reader, text: string): readonly Run[] {
  return text === "" ? [] : reader.ledger().runsBeginning(text, 11);
}

/** Open runs of jobs that no store has any more, by what those jobs were called when their runs began. */
function openRunsOfGone(reader: Reader, text: string): readonly Run[] {
  const present = new Set(reader.homes().flatMap(({ name, jobs }) => jobs.map(({ id }) => `${name}/${id}`)));
  const gone = reader
    .ledger()
    .openRuns()
    .filter((run) => !present.has(`${run.home}/${run.jobId}`));
  const named = gone.map((run) => ({ home: run.home, id: run.jobId, name: run.jobName, run }));
  return matchJobs(named, text).map(({ run }) => run);
}

/** Null when there is none. */
function onlyRun(found: readonly Run[], text: string): Run | null {
  if (found.length > 1) {
    throw ambiguous(
      "run",
      text,
      found.map((run) => `${run.id} (${run.jobName})`),
    );
  }
  return found[0] ?? null;
}
