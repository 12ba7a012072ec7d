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

Both files are read again as soon as they change. A file with a mistake changes nothing: the last good one stays in force, and \`status\`
and \`hermes-supervisor config check\` say where and what the mistake is. Running jobs keep what they started with.

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
| runs of a home at once | \`HERMES_CRON_MAX_PARALLEL\`, \`HERMES_CRON_MAX_WORKERS\`, \`cron.max_parallel_jobs\`; 0 is unbounded | 4 |
| time limit of scripts | \`HERMES_CRON_SCRIPT_TIMEOUT\`, \`cron.script_timeout_seconds\` | 3600 s |
| documents kept for each job | \`cron.output_retention\`; 0 or less keeps all | 50 |
| time zone | \`HERMES_TIMEZONE\`, \`timezone\`; a name that is none means the server's | the server's |

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
