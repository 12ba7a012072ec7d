import { CommandError, exitCodes } from "./exit-codes.ts";
import { clip, printable, shortName } from "./print.ts";

/** What a job can be called by. */
export interface NamedJob {
  readonly home: string;
  readonly id: string;
  readonly name: string;
}

const listedMax = 10;

/**
 * The job that a person means by an id, a name or the unique beginning of an id, each with or without `<profile>/` before it. What
 * fits whole comes before what merely begins so. Throws a `CommandError` when none or more than one fits.
 */
export function findJob<Found extends NamedJob>(jobs: readonly Found[], text: string): Found {
  const found = matchJobs(jobs, text);
  const [first] = found;
  if (first === undefined) throw notFound("job", text, "see hermes-supervisor jobs");
  if (found.length === 1) return first;
  throw ambiguous(
    "job",
    text,
    found.map((job) => `${job.home}/${job.id} (${job.name})`),
  );
}

export function matchJobs<Found extends NamedJob>(jobs: readonly Found[], text: string): readonly Found[] {
  if (text === "") return [];
  const slash = text.indexOf("/");
  const home = slash > 0 ? text.slice(0, slash) : null;
  // A name may hold a slash itself, so the text is also tried as it stands.
  const readings = [
    { candidates: jobs, key: text },
    ...(home === null ? [] : [{ candidates: jobs.filter((job) => job.home === home), key: text.slice(slash + 1) }]),
  ].filter(({ key }) => key !== "");
  const fits: readonly ((job: Found, key: string) => boolean)[] = [
    (job, key) => job.id === key,
    (job, key) => job.name === key,
    (job, key) => job.id.startsWith(key),
  ];
  for (const fit of fits) {
    const found = new Set(readings.flatMap(({ candidates, key }) => candidates.filter((job) => fit(job, key))));
    if (found.size > 0) return [...found];
  }
  return [];
}

export function notFound(what: string, text: string, advice: string): CommandError {
  return new CommandError(exitCodes.notFound, "not_found", `Cannot find ${what} "${shortName(text)}": ${advice}`);
}

export function ambiguous(what: string, text: string, matches: readonly string[]): CommandError {
  const listed = matches.slice(0, listedMax).map((match) => `\n  ${clip(printable(match), 160)}`);
  const rest = matches.length > listedMax ? `\n  and ${matches.length - listedMax} more` : "";
  const message = `Cannot tell which ${what} is "${shortName(text)}": ${matches.length} fit${listed.join("")}${rest}`;
  return new CommandError(exitCodes.notFound, "ambiguous", message);
}
