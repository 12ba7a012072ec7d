import type { Release } from "./releases.ts";

// Where a job that we ran is on purpose not what that release would have left of it. The suite compares these lists with
// what it finds: a difference that is not here fails, and so does one that is here and no more.

interface Listed {
  readonly releases: readonly Release["name"][];
  readonly job: string;
  readonly reason: string;
}

/** In a job's record: JSON text of a field after masking; "(record)" is the record itself. */
export interface RecordDifference extends Listed {
  readonly field: string;
  readonly hermes: string;
  readonly ours: string;
}

const kept =
  "Nothing is deleted from a store: 0.19 shows a finished job that we keep as completed, and leaves it alone";
const lenient = "Output that is not UTF-8 fails the run before 0.22; ours is 0.22's answer on every home";
const notFound = "The text is 0.22's on every home";
const notFoundMore =
  ". Cron scripts are looked up only in this profile's folder (<home>/scripts); if the job was copied from another profile, copy the script there too, or edit the job with `hermes cron edit`.";
const undecodable =
  "Script execution failed: 'utf-8' codec can't decode byte 0xe9 in position 3: invalid continuation byte";

/** In the order in which the suite finds them: by the store's order, then by the field's name. */
export const recordDifferences: readonly RecordDifference[] = [
  {
    releases: ["0.19", "0.20"],
    job: "latin",
    field: "last_error",
    hermes: JSON.stringify(undecodable),
    ours: "null",
    reason: lenient,
  },
  { releases: ["0.19", "0.20"], job: "latin", field: "last_status", hermes: '"error"', ours: '"ok"', reason: lenient },
  {
    releases: ["0.19", "0.20"],
    job: "gone",
    field: "last_error",
    hermes: '"Script not found: <home>/scripts/gone.sh"',
    ours: `"Script not found: <home>/scripts/gone.sh${notFoundMore}"`,
    reason: notFound,
  },
  { releases: ["0.19"], job: "last", field: "(record)", hermes: "absent", ours: "kept", reason: kept },
  { releases: ["0.19"], job: "once", field: "(record)", hermes: "absent", ours: "kept", reason: kept },
];

/** In an output document: what Hermes writes, and what stands in its place in ours. */
export interface DocumentDifference extends Listed {
  readonly hermes: string;
  readonly ours: string;
}

export const documentDifferences: readonly DocumentDifference[] = [
  {
    releases: ["0.19", "0.20"],
    job: "latin",
    hermes: `**Status:** script failed\n\n${undecodable}\n`,
    ours: "\n---\n\ncaf\ufffd\n",
    reason: lenient,
  },
  {
    releases: ["0.19", "0.20", "0.22"],
    job: "where",
    hermes: "token=correct-horse-battery",
    ours: "token=***",
    reason:
      "Hermes knows secrets by their form; no secret of the home's .env shows in our documents, whatever its form",
  },
  {
    releases: ["0.19", "0.20"],
    job: "gone",
    hermes: "Script not found: <home>/scripts/gone.sh",
    ours: `Script not found: <home>/scripts/gone.sh${notFoundMore}`,
    reason: notFound,
  },
];

/** In a job's entry in `cron list --all`: what only Hermes' own has (null: it has no entry), and what only ours has. */
export interface EntryDifference extends Listed {
  readonly hermes: string | null;
  readonly ours: string;
}

export const entryDifferences: readonly EntryDifference[] = [
  { releases: ["0.19"], job: "last", hermes: null, ours: "[completed]\n", reason: kept },
  { releases: ["0.19"], job: "once", hermes: null, ours: "[completed]\n", reason: kept },
  {
    releases: ["0.19", "0.20"],
    job: "latin",
    hermes: `error: ${undecodable}`,
    ours: "Last run:  <now+0m>  ok",
    reason: lenient,
  },
  {
    releases: ["0.19", "0.20"],
    job: "gone",
    hermes: "error: Script not found: <home>/scripts/gone.sh\n",
    ours: `error: Script not found: <home>/scripts/gone.sh${notFoundMore}`,
    reason: notFound,
  },
];

/** In a run's row of Hermes' own ledger: the values of ours that are not those of Hermes. */
export interface ExecutionDifference extends Listed {
  readonly fields: Readonly<Record<string, unknown>>;
}

export const executionDifferences: readonly ExecutionDifference[] = [
  {
    releases: ["0.19", "0.20", "0.22"],
    job: "gone",
    fields: { started_at: null },
    reason: "Hermes notes the start of a run before it looks for the script; ours did not start",
  },
  { releases: ["0.19", "0.20"], job: "latin", fields: { status: "completed", error: null }, reason: lenient },
  {
    releases: ["0.19", "0.20"],
    job: "gone",
    fields: { error: `Script not found: <home>/scripts/gone.sh${notFoundMore}` },
    reason: notFound,
  },
];
