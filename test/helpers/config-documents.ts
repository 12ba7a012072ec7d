import { z } from "zod";
import { fileSchema, type Setting, settings } from "../../src/config/schema.ts";

/** What is generated from the table of settings: path in the repository, and content. */
export function configDocuments(): ReadonlyMap<string, string> {
  return new Map([
    ["config/default.yaml", defaultYaml()],
    ["config/config.schema.json", `${JSON.stringify(jsonSchema(), null, 2)}\n`],
    ["docs/config.md", markdown()],
  ]);
}

const sections = [...new Set(settings.map((setting) => sectionOf(setting)))];

function sectionOf(setting: Setting): string {
  return setting.key.split(".")[0] ?? "";
}

function leafOf(setting: Setting): string {
  return setting.key.split(".")[1] ?? "";
}

/** Unset until a person sets it: written as a comment, so that the file as it is changes nothing. */
function isUnset(setting: Setting): boolean {
  return setting.fallback === null;
}

function defaultYaml(): string {
  const lines = [
    "# yaml-language-server: $schema=./config.schema.json",
    "# Every setting of hermes-supervisor with its default. Copy what you want to change to <home>/supervisor/config.yaml,",
    "# or below `supervisor:` in a home's own config.yaml, where it counts for that home alone.",
    "# `hermes-supervisor config check` says what is wrong, `config show` what is in force and why.",
  ];
  for (const section of sections) {
    lines.push("", `${section}:`);
    for (const setting of settings.filter((candidate) => sectionOf(candidate) === section)) {
      lines.push(...wrap(setting.about, 112).map((text) => `  # ${text}`));
      lines.push(`  # Expected: ${setting.expected}.${setting.hostOnly ? " For the host only." : ""}`);
      lines.push(isUnset(setting) ? `  # ${leafOf(setting)}: …` : `  ${leafOf(setting)}: ${setting.fallback}`);
    }
  }
  lines.push(
    "",
    "# The same keys for one job, by its id or its name.",
    "jobs: {}",
    "# jobs:",
    "#   nightly-backup:",
    "#     timeout: 4 h",
    "#     overlap: queue_one",
    "",
  );
  return lines.join("\n");
}

interface SchemaNode {
  anyOf?: SchemaNode[];
  properties?: Record<string, SchemaNode>;
  additionalProperties?: SchemaNode | false;
  description?: string;
}

function jsonSchema(): object {
  const schema = z.toJSONSchema(fileSchema, { io: "input", reused: "inline" }) as SchemaNode;
  for (const setting of settings) {
    const section = property(schema, sectionOf(setting));
    const jobs = sectionOf(setting) === "defaults" ? property(schema, "jobs") : undefined;
    const job = jobs?.anyOf?.[0]?.additionalProperties;
    for (const holder of [section, job === false ? undefined : job]) {
      const leaf = holder === undefined ? undefined : property(holder, leafOf(setting));
      if (leaf !== undefined) leaf.description = setting.about;
    }
  }
  return { ...schema, title: "hermes-supervisor" };
}

function property(node: SchemaNode, name: string): SchemaNode | undefined {
  return node.anyOf?.find((choice) => choice.properties !== undefined)?.properties?.[name];
}

/** What of Hermes' own settings counts here, the most important name first. A test holds it against what is done. */
export const hermesRows = [
  {
    what: "runs of a home at once",
    order: ["HERMES_CRON_MAX_PARALLEL", "HERMES_CRON_MAX_WORKERS", "cron.max_parallel_jobs"],
    note: "; 0 is unbounded",
    fallback: "4",
  },
  {
    what: "time limit of scripts",
    order: ["HERMES_CRON_SCRIPT_TIMEOUT", "cron.script_timeout_seconds"],
    note: "",
    fallback: "3600 s",
  },
  {
    what: "documents kept for each job",
    order: ["cron.output_retention"],
    note: "; 0 or less keeps all",
    fallback: "50",
  },
  {
    what: "time zone",
    order: ["HERMES_TIMEZONE", "timezone"],
    note: "; a name that is none means the server's",
    fallback: "the server's",
  },
] as const;

function markdown(): string {
  const rows = settings.map(
    (setting) =>
      `| \`${setting.key}\`${setting.hostOnly ? " (host)" : ""} | \`${setting.fallback ?? "auto"}\` | ${setting.about} Expected: ${setting.expected.replaceAll("|", "\\|")}. |`,
  );
  return `<!-- Made from src/config/ by test/write-config-documents.ts. -->
# Settings

The host's settings are in \`<root home>/supervisor/config.yaml\` (or the folder that \`--state\` or \`HERMES_SUPERVISOR_STATE\` names). The
section \`supervisor:\` in a home's own \`config.yaml\` holds the same keys and counts for that home; those marked (host) are about the daemon and
cannot stand there. Nothing needs to be set.

A job's keys stand under \`jobs.<id or name>\`. For each key the entry by id wins over the entry by name, and that over \`defaults\`.

## Which one counts

The first of these that sets a key decides it; \`config show\` names it beside each value.

| | where | example |
| --- | --- | --- |
| 1 | a flag of \`start\`, for the host and every home; may be repeated | \`start --set stop.grace=30s --set jobs.nightly.timeout=4h\` |
| 2 | a variable of the daemon, for the host and every home: \`HERMES_SUPERVISOR_\`, then the key in capitals with \`_\` for each dot | \`HERMES_SUPERVISOR_STOP_GRACE=30s\` |
| 3 | the \`supervisor:\` section of the home's own \`config.yaml\` | \`supervisor: { stop: { grace: 30 s } }\` |
| 4 | the host's file | \`stop: { grace: 30 s }\` |
| 5 | the default | |

A value is written as in a file: \`8\`, \`10 s\`, \`[A, B_*]\`, \`{ max: 3, backoff: 1 m }\`. \`jobs.<id or name>.<key>\` can be a flag and no variable. A flag or
variable that cannot be used keeps the daemon from starting, with exit 3. \`HERMES_SUPERVISOR_PYTHON\` is no such variable but the default of
\`hermes.python\`.

## When a file changes

The files are read again as soon as they change, in whatever way: a rename as editors and \`sed -i\` do it, a write in place, a link that is swapped as
\`kubectl\` does it. SIGHUP reads them at once. A saved edit counts a few milliseconds later.

- A file that somebody still has open for writing is waited for, as long as that one wrote something within the last 2 s. A file that is
  removed and made anew within 50 ms is one edit. A file that is saved as it was changes nothing.
- A file with a mistake changes nothing: the last good one stays in force. The log, \`status\` and the alert \`config_invalid\` say what is
  wrong, with line and column, and the first two show the line with a caret. In a home's file a mistake in the \`supervisor:\` section does not
  keep Hermes' part from counting.
- A new limit counts from the next claim on. Open runs keep what they started with, and none is stopped by a reload.
- The log then says \`a new configuration is in force\` with each setting that \`changed\`. \`status --json\` has the \`content_hash\` (the first 16
  digits of the file's SHA-256) and \`generation\` of what is in force, and since when.

| \`npm run soak -- --scene config --seed 7\`, beside other work on 2 cores (load 23), 2026-11-21 | |
| --- | --- |
| edits of three files, one every 30 to 100 ms | 1,000: 333 by rename, 167 in place, 167 in place in two parts, 333 by a swapped link |
| in force | 1,000, each content whole |
| from the settled edit to its being in force | p50 7 ms, p99 41 ms, longest 98 ms |
| runs open throughout, disturbed | 20, none |
| the daemon's memory | 112 MiB at edit 500, 122 MiB at edit 1,000; 130 MiB at edit 2,400 and 121 MiB at edit 4,000, when garbage had been collected |

\`config check FILE\` says what is wrong with a file before it is saved, all of it at once. \`config diff FILE\` says what it would change, key by key,
and which occurrences of the next 24 h would move, vanish or appear (another \`timezone\` does that). The instant that a cron job's record names already can come as it
stands, as in Hermes, and the new zone counts from the one behind it.

## What cannot be met

Settings that are right each by itself and cannot be met together are warnings, of \`config check\` and in the log when they are read:

| what | what applies |
| --- | --- |
| a prompt's \`timeout\` under 15 m | 15 m |
| \`timeout\` less than \`stop_grace\` | both: a run that does not end when asked lives for their sum |
| \`idle_timeout\` not less than \`timeout\` | \`timeout\` |
| the waits of \`retry\` not less than the time to the next slot | a retry that would run past the next slot gives way to it |
| \`misfire: { within: … }\` under 5 s, as long as others may hold the tick lock | as it is set: a later slot is skipped, with a line |
| \`cron.max_parallel_jobs\` above \`limits.max_open_runs\` | the less of the two |
| a bound of \`limits.classes\` or \`limits.tags\` above \`limits.max_open_runs\`; a home's also above its \`cron.max_parallel_jobs\` or the host's for the same group | the least of them |
| \`misfire: { run_all: N }\` with N above \`retention.runs_max\` | all N run, and the history keeps the last |
| \`misfire: run_all\`, or \`within\` more than the grace, beside \`cron.catch_up_missed: false\` | Hermes' setting: what is later than its grace is missed |
| \`jobs.<entry>\` that is no job's id or name | nothing, until there is such a job |

## Every setting

Lengths of time and sizes carry their unit: \`10 s\`, \`90 m\`, \`1 h 30 m\`, \`64 MiB\`, \`1.5 GB\`.

| setting | default | meaning |
| --- | --- | --- |
${rows.join("\n")}

## An example

\`\`\`yaml
limits:
  max_open_runs: 8
environment:
  pass: [AWS_PROFILE, MY_APP_*]
defaults:
  timeout: 30 m
  misfire: { within: 10 m }
jobs:
  nightly-backup:
    timeout: 4 h
    overlap: queue_one
    retry: { max: 3, backoff: 1 m, on: [failed, timeout] }
\`\`\`

## What stays Hermes'

These keep their names and their meaning. A value that Hermes could not use is said in the log and passed over.

| what | first of these that is set | default |
| --- | --- | --- |
${hermesRows.map(({ what, order, note, fallback }) => `| ${what} | ${order.map((name) => `\`${name}\``).join(", ")}${note} | ${fallback} |`).join("\n")}

The variables are looked for in the home's \`.env\` first, then in the daemon's environment.
`;
}

function wrap(text: string, width: number): readonly string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else {
      line = line === "" ? word : `${line} ${word}`;
    }
  }
  return [...lines, line];
}
