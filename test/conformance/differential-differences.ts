import type { Release } from "./releases.ts";

/** Where a run of ours leaves on purpose something else than that release's own tick would. */
interface Listed {
  readonly releases: readonly Release["name"][];
  readonly situations: readonly string[];
  readonly reason: string;
  /** By where it stands: what Hermes leaves, and what we leave. */
  readonly left: Readonly<Record<string, readonly [hermes: string, ours: string]>>;
}

const all: readonly Release["name"][] = ["0.19", "0.20", "0.22"];
const before22: readonly Release["name"][] = ["0.19", "0.20"];
const since22: readonly Release["name"][] = ["0.22"];

const json = (text: string): string => JSON.stringify(text);

const undecodable =
  "Script execution failed: 'utf-8' codec can't decode byte 0xe9 in position 3: invalid continuation byte";
const notFound = "Script not found: <home>/scripts/gone.sh";
const notFoundMore =
  ". Cron scripts are looked up only in this profile's folder (<home>/scripts); if the job was copied from another profile, copy the script there too, or edit the job with `hermes cron edit`.";
const noScript = "no_agent=True requires a script — with no agent and no script there is nothing for the job to run.";
const noScriptBefore = "no_agent=True but no script is set for this job";
const newest = "The text is 0.22's on every home";

export const differences: readonly Listed[] = [
  {
    releases: ["0.19"],
    situations: [
      ...["one-shot", "one-shot that fails", "once", "once, failing", "once, long past"],
      ...["repeats for the last time", "fails for the last time"],
    ],
    reason: "Nothing is deleted from a store: 0.19 shows a finished job that we keep as completed, and leaves it alone",
    left: { record: ["absent", "kept"] },
  },
  {
    releases: since22,
    situations: ["once, long past"],
    reason: "0.22 removes a one-shot unrun that it finds two minutes late; here it runs once, late",
    left: {
      record: ["absent", "kept"],
      row: ["absent", "1"],
      document: [
        [
          "# Cron job removed before firing (run time outside grace window)",
          "",
          "- job id: <id>",
          "- name: once, long past",
          "- scheduled run time: <-3h>",
          "- grace window: 120s",
          "- removed at: <+0h>",
          "",
          "This one-shot's run time is more than the grace window in the past (scheduler down past the window, host asleep, or jobs.json edited), which is outside the 'will never fire' contract enforced at create/update/resume time. The job was removed without running; recreate it (or use the Run button) to schedule it again.",
        ].join("\n"),
        "# Cron Job: once, long past\n\n**Job ID:** <id>\n**Run Time:** <time>\n**Mode:** no_agent (script)\n\n---\n\nx",
      ],
    },
  },
  {
    releases: all,
    situations: ["prints a secret of .env"],
    reason:
      "Hermes knows secrets by their form; no secret of the home's .env shows in our documents, whatever its form",
    left: { document: ["I know correct-horse-battery", "I know ***"] },
  },
  {
    releases: all,
    situations: ["is gone", "is outside", "is absolute and outside", "is a folder", "has no script"],
    reason: "Hermes notes the start of a run before it looks for the script; ours did not start",
    left: { "row started_at": ['"<time>"', "null"] },
  },
  {
    releases: since22,
    situations: ["names no interpreter", "names a strange interpreter"],
    reason: "Hermes notes the start of a run before it looks for the interpreter; ours did not start",
    left: { "row started_at": ['"<time>"', "null"] },
  },
  {
    releases: since22,
    situations: ["has no script"],
    reason: "No job is paused but by a person: whoever gives it a script need not think of resuming it",
    left: {
      document: [
        "**Status:** blocked (unrunnable job) — auto-paused",
        "**Mode:** no_agent (script)\n**Status:** script failed",
      ],
      "record enabled": ["false", "true"],
      "record state": ['"paused"', '"scheduled"'],
      "record paused_at": ['"<+0h>"', "null"],
      "record paused_reason": [json(`Auto-paused by scheduler: ${noScript}`), "null"],
    },
  },
  {
    releases: before22,
    situations: ["has no script"],
    reason: `${newest}; before, there was no document`,
    left: {
      document: [
        "",
        `# Cron Job: has no script\n\n**Job ID:** <id>\n**Run Time:** <time>\n**Mode:** no_agent (script)\n**Status:** script failed\n\n${noScript}`,
      ],
      "record last_error": [json(noScriptBefore), json(noScript)],
      "row error": [json(noScriptBefore), json(noScript)],
    },
  },
  {
    releases: before22,
    situations: ["is gone"],
    reason: newest,
    left: {
      document: [notFound, notFound + notFoundMore],
      "record last_error": [json(notFound), json(notFound + notFoundMore)],
      "row error": [json(notFound), json(notFound + notFoundMore)],
    },
  },
  {
    releases: before22,
    situations: ["prints latin 1"],
    reason: "Output that is not UTF-8 fails the run before 0.22; ours is 0.22's answer on every home",
    left: {
      document: [`**Status:** script failed\n\n${undecodable}`, "\n---\n\ncaf\ufffd"],
      "record last_error": [json(undecodable), "null"],
      "record last_status": ['"error"', '"ok"'],
      "row status": ['"failed"', '"completed"'],
      "row error": [json(undecodable), "null"],
    },
  },
  {
    releases: ["0.19"],
    situations: ["has a working folder"],
    reason: "0.19 knows working folders of prompt jobs only; the newer releases' way is ours on every home",
    left: { document: ["<home>/scripts", "<home>/work"] },
  },
  {
    releases: since22,
    situations: [
      ...["to a platform that is not set up", "to an unknown platform", "failure to an unknown platform"],
      ...["delivers to nowhere", "fails to nowhere"],
    ],
    reason:
      "A run's record does not wait for its delivery: while that is under way the field names it, and afterwards it is empty",
    left: { "record last_delivery_queued": ["absent", "null"] },
  },
  {
    releases: since22,
    situations: ["asked for"],
    reason: "A run that a person asked for is one more than the schedule has, so it does not count",
    left: { "record repeat": ['{"times":null,"completed":1}', '{"times":null,"completed":0}'] },
  },
  {
    releases: since22,
    situations: ["to no origin"],
    reason: "Nobody is told in either; that the job has no place to be told in is not kept with our runs",
    left: { "row delivery_outcome": ['"not_configured"', '"suppressed"'] },
  },
];
