import { expect, test } from "vitest";
import { effectiveSettings } from "../../src/config/effective-settings.ts";
import { limitWarnings } from "../../src/config/limit-warnings.ts";
import { parseHomeConfig, parseHostConfig } from "../../src/config/parse-config.ts";
import { policyWarnings, strayJobEntries, type WarnedJob } from "../../src/config/policy-warnings.ts";

const script: WarnedJob = { id: "0123456789ab", name: "nightly", kind: "script" };
const prompt: WarnedJob = { id: "ba9876543210", name: "digest", kind: "prompt" };
const path = "/state/config.yaml";

function warningsOf(
  yaml: string,
  jobs = [script],
  periodMs: number | null = 60_000,
  maxParallelJobs: number | null = 4,
) {
  const inForce = effectiveSettings(parseHostConfig(yaml, path), null, {});
  return policyWarnings(
    jobs,
    inForce,
    { scriptTimeoutMs: 3_600_000, maxParallelJobs, catchUpMissed: true },
    () => periodMs,
  );
}

const cases: readonly (readonly [yaml: string, job: WarnedJob, warning: string])[] = [
  [
    "defaults: {timeout: 5 m}",
    prompt,
    `defaults.timeout (${path}:1): 5 m is less than a prompt always has; 15 m applies (job "digest")`,
  ],
  [
    "jobs:\n  nightly:\n    timeout: 5 s",
    script,
    `jobs.nightly.timeout (${path}:3): 5 s is less than stop_grace (10 s); a run that does not end when asked lives for 15 s (job "nightly")`,
  ],
  [
    "jobs:\n  0123456789ab: {timeout: 1 m, idle_timeout: 1 m}",
    script,
    `jobs.0123456789ab.idle_timeout (${path}:2): 1 m is not less than timeout (1 m), which ends every run first; only timeout applies (job "nightly")`,
  ],
  [
    "defaults: {idle_timeout: 2 h}",
    script,
    `defaults.idle_timeout (${path}:1): 2 h is not less than timeout (1 h), which ends every run first; only timeout applies (job "nightly")`,
  ],
  [
    "defaults: {misfire: {within: 1 s}}",
    script,
    `defaults.misfire (${path}:1): within 1 s is shorter than others may hold the tick lock (5 s); a slot that is later is skipped, with a line (job "nightly")`,
  ],
  [
    "defaults: {retry: {max: 3, backoff: 20 s}}",
    script,
    `defaults.retry (${path}:1): 3 attempts take 1 m of waiting, which is not less than the time to the next slot (1 m); a retry that would run past it gives way to it (job "nightly")`,
  ],
];

test("policyWarnings() says what cannot be met, where it is set, and what applies instead", () => {
  for (const [yaml, job, warning] of cases) expect(warningsOf(yaml, [job])).toEqual([warning]);
});

test("policyWarnings() adds up the waits of a retry that grow", () => {
  const yaml = "defaults: {retry: {max: 3, backoff: {first: 10 s, factor: 2, max: 1 h}, jitter: 0}}";
  expect(warningsOf(yaml, [script], 71_000)).toEqual([]);
  expect(warningsOf(yaml, [script], 70_000)[0]).toContain("3 attempts take 1 m 10 s of waiting");
});

test("policyWarnings() says nothing of what can be met", () => {
  for (const yaml of [
    "",
    "defaults: {retry: {max: 2, backoff: 20 s}}",
    "defaults: {timeout: none, idle_timeout: 10 d, misfire: {within: 5 s}}",
    "defaults: {timeout: 10 s, idle_timeout: 9 s}",
  ]) {
    expect([yaml, warningsOf(yaml)]).toEqual([yaml, []]);
  }
  expect(warningsOf("defaults: {retry: {max: 100, backoff: 1 d}}", [script], null)).toEqual([]);
  expect(warningsOf("defaults: {timeout: 15 m}", [prompt])).toEqual([]);
});

test("policyWarnings() says one thing once, for however many jobs", () => {
  const jobs = Array.from({ length: 500 }, (_, index) => ({ ...script, id: `${index}`, name: `n${index}` }));
  expect(warningsOf("defaults: {timeout: 5 s}", jobs)).toEqual([
    `defaults.timeout (${path}:1): 5 s is less than stop_grace (10 s); a run that does not end when asked lives for 15 s (jobs "n0", "n1", "n2" and 497 more)`,
  ]);
});

test("policyWarnings() says when a home may run more than its host", () => {
  expect(warningsOf("limits: {max_open_runs: 2}")).toEqual([
    `cron.max_parallel_jobs: 4 is more than limits.max_open_runs of the host (2, ${path}:1); 2 applies`,
  ]);
  expect(warningsOf("limits: {max_open_runs: 2}", [], 1, null)).toEqual([]);
});

const limitCases: readonly (readonly [yaml: string, warning: string])[] = [
  [
    "limits: { classes: { script: 40, prompt: 16 } }",
    `limits.classes.script (${path}:1): 40 is more than limits.max_open_runs of the host (16, default); 16 applies`,
  ],
  [
    "limits:\n  max_open_runs: 2\n  tags: { database: 3 }",
    `limits.tags.database (${path}:3): 3 is more than limits.max_open_runs of the host (2, ${path}:2); 2 applies`,
  ],
];

test("limitWarnings() says when a class or tag may run more than its host", () => {
  const said = (yaml: string) => limitWarnings(effectiveSettings(parseHostConfig(yaml, path), null, {}));
  for (const [yaml, warning] of limitCases) expect(said(yaml)).toEqual([warning]);
  expect(said("limits: { classes: { script: 16 }, tags: { database: 1 } }")).toEqual([]);
});

test("policyWarnings() says when a class or tag of a home may run more than the home or its host", () => {
  const homePath = "/home/config.yaml";
  const said = (hostYaml: string, homeYaml: string, maxParallelJobs: number | null) => {
    const section = parseHomeConfig(`supervisor:\n  ${homeYaml}`, homePath).section;
    const inForce = effectiveSettings(parseHostConfig(hostYaml, path), section, {});
    return policyWarnings([], inForce, { scriptTimeoutMs: 1, maxParallelJobs, catchUpMissed: true }, () => null);
  };
  expect(said("", "limits: { classes: { script: 8 } }", 4)).toEqual([
    `limits.classes.script (${homePath}:2): 8 is more than cron.max_parallel_jobs of this home (4); 4 applies`,
  ]);
  expect(said("limits: { tags: { db: 2 } }", "limits: { tags: { db: 3, web: 3 } }", 4)).toEqual([
    `limits.tags.db (${homePath}:2): 3 is more than limits.tags.db of the host (2); 2 applies`,
  ]);
  expect(said("", "limits: { tags: { db: 30 } }", null)).toEqual([
    `limits.tags.db (${homePath}:2): 30 is more than limits.max_open_runs of the host (16, default); 16 applies`,
  ]);
  expect(said("limits: { tags: { db: 2 } }", "limits: { tags: { db: 2 } }", null)).toEqual([]);
});

test("policyWarnings() says when more runs catch up than the history keeps", () => {
  expect(warningsOf("retention: { runs_max: 20 }\ndefaults: { misfire: { run_all: 50 } }")).toEqual([
    `defaults.misfire (${path}:2): run_all 50 is more than retention.runs_max (20, ${path}:1); all of them run, and the history keeps the last 20 (job "nightly")`,
  ]);
  expect(warningsOf("defaults: { misfire: { run_all: 1000 } }")).toEqual([]);
});

test("policyWarnings() says when Hermes' own setting drops what a job is to catch up with", () => {
  const said = (yaml: string) =>
    policyWarnings(
      [script],
      effectiveSettings(parseHostConfig(yaml, path), null, {}),
      { scriptTimeoutMs: 3_600_000, maxParallelJobs: 4, catchUpMissed: false },
      () => 60_000,
    );
  expect(said("defaults: { misfire: { run_all: 5 } }")).toEqual([
    `defaults.misfire (${path}:1): run_all 5 cannot hold beside cron.catch_up_missed: false of Hermes; what is later than its grace (2 m) is missed (job "nightly")`,
  ]);
  expect(said("defaults: { misfire: { within: 10 m } }")).toEqual([
    `defaults.misfire (${path}:1): within 10 m cannot hold beside cron.catch_up_missed: false of Hermes; what is later than its grace (2 m) is missed (job "nightly")`,
  ]);
  for (const yaml of ["", "defaults: { misfire: { within: 2 m } }", "defaults: { misfire: skip }"])
    expect(said(yaml)).toEqual([]);
});

test("strayJobEntries() names entries for jobs that are not there", () => {
  expect(strayJobEntries([script, prompt], ["nightly", "0123456789ab", "nigthly", "backup"], path)).toEqual([
    `jobs.nigthly (${path}): no job has this id or name, did you mean "nightly"?`,
    `jobs.backup (${path}): no job has this id or name, it counts for none until there is one`,
  ]);
});
