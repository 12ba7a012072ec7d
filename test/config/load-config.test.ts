import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { effectiveSettings, jobSettings } from "../../src/config/effective-settings.ts";
import { emptyLayer, parseHomeConfig, parseHostConfig } from "../../src/config/parse-config.ts";
import { settings } from "../../src/config/schema.ts";
import { ConfigError } from "../../src/config/yaml-text.ts";
import { configDocuments } from "../helpers/config-documents.ts";

const path = "/state/config.yaml";

function refused(
  content: string | Uint8Array,
  read: (content: string | Uint8Array, path: string) => unknown = parseHostConfig,
): ConfigError {
  try {
    read(content, path);
  } catch (error) {
    if (error instanceof ConfigError) return error;
    throw error;
  }
  throw new Error(`Cannot test "${String(content).slice(0, 40)}": it was accepted, expected a ConfigError`);
}

/** As a caller does who takes no part of a file. */
function readHome(content: string | Uint8Array, path: string): unknown {
  const config = parseHomeConfig(content, path);
  if (config.sectionError !== null) throw config.sectionError;
  return config;
}

const refusals: readonly (readonly [content: string, message: string])[] = [
  [
    "limits:\n\tmax_open_runs: 3\n",
    "at line 2, column 1: not valid YAML: a tab is used for indentation, expected spaces",
  ],
  ["stop:\n  grace: 1 s\n  grace: 2 s\n", 'at line 3, column 3: key "grace" is there twice, expected once'],
  [
    "limits: { max_open_runs: 99999999999999999999 }",
    "at line 1, column 26: limits.max_open_runs is 100000000000000000000, expected a whole number from 1 to 10000",
  ],
  [
    "defaults: { misfire: { run_all: 3, within: 10 m } }",
    'at line 1, column 36: "defaults.misfire.within" cannot stand beside the other keys of defaults.misfire, expected run_once, skip, run_all, { run_all: 5 } or { within: 10 m }',
  ],
  [
    'limits: { tags: { "a b": 2 } }',
    'at line 1, column 19: limits.tags has the key "a b", expected a mapping from tags to numbers, such as { database: 1 }, with a name of letters, digits, _, . and - for each',
  ],
  [
    "stop:\n  grace: 1 s\n---\nstop:\n",
    "at line 3, column 1: not valid YAML: a second document begins here, expected one document",
  ],
  [
    "limits: [1, 2\nstop: 3\n",
    "at line 2, column 1: not valid YAML: flow sequence in block collection must be sufficiently indented and end with a ]",
  ],
  ["stop:\n  grace: 1\0 s\n", "at line 2, column 11: a NUL character is in it, expected text only"],
  [
    "stop: {grace: 1 s\n\n\n",
    "at line 1, column 18: not valid YAML: flow map in block collection must be sufficiently indented and end with a }",
  ],
  ["a: &a [*a]\n", 'at line 1, column 8: alias "*a" stands inside its own anchor, expected another value'],
  ["a: *b\n", 'at line 1, column 4: alias "*b" has no anchor before it, expected "&b" above'],
  ["hello\n", 'at line 1, column 1: the configuration is "hello", expected a mapping'],
  ["- a\n", "at line 1, column 1: the configuration is a list, expected a mapping"],
  ["limits: 3\n", "at line 1, column 9: limits is 3, expected a mapping"],
  [
    "limits:\n  max_open_rnus: 3\n",
    'at line 2, column 3: unknown setting "limits.max_open_rnus", did you mean "limits.max_open_runs"?',
  ],
  ["grace: 10 s\n", 'at line 1, column 1: unknown setting "grace", did you mean "stop.grace"?'],
  [
    "colour: red\n",
    'at line 1, column 1: unknown setting "colour", expected one of limits, pressure, stop, recovery, homes, shutdown, hermes, environment, retention, disk, api, alerts, defaults, jobs',
  ],
  [
    "jobs:\n  a:\n    timout: 3 s\n",
    'at line 3, column 5: unknown setting "jobs.a.timout", did you mean "jobs.a.timeout"?',
  ],
  [
    "limits:\n  max_open_runs: 0\n",
    "at line 2, column 18: limits.max_open_runs is 0, expected a whole number from 1 to 10000",
  ],
  [
    "limits:\n  max_open_runs: -1\n",
    "at line 2, column 18: limits.max_open_runs is -1, expected a whole number from 1 to 10000",
  ],
  [
    "limits:\n  max_open_runs: 1.5\n",
    "at line 2, column 18: limits.max_open_runs is 1.5, expected a whole number from 1 to 10000",
  ],
  [
    "limits:\n  max_open_runs: 1e9\n",
    "at line 2, column 18: limits.max_open_runs is 1000000000, expected a whole number from 1 to 10000",
  ],
  [
    "limits:\n  max_open_runs:\n",
    "at line 2, column 17: limits.max_open_runs is empty, expected a whole number from 1 to 10000",
  ],
  [
    "limits:\n  classes: {promt: 1}\n",
    'at line 2, column 13: unknown setting "limits.classes.promt", did you mean "limits.classes.prompt"?',
  ],
  [
    "limits:\n  classes: {prompt: 0}\n",
    "at line 2, column 21: limits.classes.prompt is 0, expected a whole number from 1 to 10000",
  ],
  [
    "limits:\n  tags: {db: none}\n",
    'at line 2, column 14: limits.tags.db is "none", expected a whole number from 1 to 10000',
  ],
  [
    "limits:\n  tags: [db]\n",
    "at line 2, column 9: limits.tags is a list, expected a mapping from tags to numbers, such as { database: 1 }",
  ],
  ["limits:\n  wait_max: 0 s\n", 'at line 2, column 13: limits.wait_max is "0 s", expected 1 s to 7 d'],
  [
    "pressure:\n  cpu_max: 100\n",
    "at line 2, column 12: pressure.cpu_max is 100, expected a number from 1 to 99, in percent, or none",
  ],
  [
    "stop:\n  grace: 10\n",
    "at line 2, column 10: stop.grace is 10, expected a length of time with its unit, such as 10 s, 90 m or 2 h",
  ],
  [
    "stop:\n  grace: 10 parsecs\n",
    'at line 2, column 10: stop.grace is "10 parsecs", expected a length of time with its unit, such as 10 s, 90 m or 2 h',
  ],
  ["stop:\n  grace: 2 h\n", 'at line 2, column 10: stop.grace is "2 h", expected 0 s to 1 h'],
  ["defaults:\n  timeout: 0 s\n", 'at line 2, column 12: defaults.timeout is "0 s", expected 1 s to 365 d'],
  [
    "defaults:\n  memory_max: 64\n",
    "at line 2, column 15: defaults.memory_max is 64, expected a size with its unit, such as 64 MiB, or none",
  ],
  ["defaults:\n  memory_max: 1 B\n", 'at line 2, column 15: defaults.memory_max is "1 B", expected 1 MiB to 1024 TiB'],
  [
    "defaults:\n  overlap: queue\n",
    'at line 2, column 12: defaults.overlap is "queue", expected skip, queue_one or replace',
  ],
  [
    "defaults:\n  retry: {mx: 3}\n",
    'at line 2, column 11: unknown setting "defaults.retry.mx", did you mean "defaults.retry.max"?',
  ],
  [
    "defaults:\n  retry: {max: 3, backoff: {first: 1 m, facter: 3}}\n",
    'at line 2, column 41: unknown setting "defaults.retry.backoff.facter", did you mean "defaults.retry.backoff.factor"?',
  ],
  [
    "jobs:\n  a: {retry: {max: 3, backoff: {first: 1 m, factor: 0}}}\n",
    "at line 2, column 53: jobs.a.retry.backoff.factor is 0, expected a number from 1 to 100",
  ],
  [
    "defaults:\n  retry: {max: 3, backoff: {first: 10 m, max: 1 m}}\n",
    'at line 2, column 47: defaults.retry.backoff.max is "1 m", expected at least first (10 m)',
  ],
  [
    "defaults:\n  crash_loop: {pause: 10 m, pause_max: 5 m}\n",
    'at line 2, column 40: defaults.crash_loop.pause_max is "5 m", expected at least pause (10 m)',
  ],
  [
    "alerts:\n  notify: [{command: tell, timeout: 5}]\n",
    "at line 2, column 37: alerts.notify.0.timeout is 5, expected a length of time from 1 s to 5 m",
  ],
  [
    "defaults:\n  retry: {max: 0}\n",
    "at line 2, column 16: defaults.retry.max is 0, expected a whole number from 1 to 100",
  ],
  [
    "defaults:\n  misfire: {within: 3}\n",
    "at line 2, column 21: defaults.misfire.within is 3, expected a length of time with its unit, such as 10 s, 90 m or 2 h",
  ],
  [
    "defaults:\n  misfire: later\n",
    'at line 2, column 12: defaults.misfire is "later", expected run_once, skip, run_all, { run_all: 5 } or { within: 10 m }',
  ],
  [
    "environment:\n  pass: [A_*, 'b c']\n",
    'at line 2, column 15: environment.pass.1 is "b c", expected the name of a variable, with a * at its end or without',
  ],
];

test("parseHostConfig() says where and what is wrong, and what was expected", () => {
  for (const [content, message] of refusals)
    expect(refused(content).message).toBe(`Cannot read config "${path}" ${message}`);
});

test("ConfigError shows the line with a caret under the place", () => {
  expect(refused("# a comment\nlimits:\n  max_open_rnus: 3\n").snippet).toBe("3 |   max_open_rnus: 3\n  |   ^");
  expect(refused("stop: {grace: 10}\n").snippet).toBe("1 | stop: {grace: 10}\n  |               ^");
});

test("ConfigError keeps credentials of the line to itself", () => {
  const error = refused("model:\n  api_key: sk-123456789 # mine: [\n  - x\n", readHome);
  expect(error.snippet).not.toContain("sk-1");
  expect(refused("api_key: 'sk-123456789\n", readHome).snippet).not.toContain("sk-1");
});

test("ConfigError carries what else is wrong, in the order of the file", () => {
  const error = refused("stop:\n  grace: 10\nlimits:\n  max_open_runs: 0\ncolour: red\n");
  expect([error.line, ...error.others.map((other) => other.line)]).toEqual([2, 4, 5]);
});

test("parseHostConfig() refuses bytes that are not UTF-8 and says where", () => {
  const bytes = Uint8Array.from([...Buffer.from("stop:\n  grace: "), 0xff, 0x0a]);
  expect(refused(bytes).message).toBe(
    `Cannot read config "${path}" at line 2, column 10: it is not UTF-8, expected text in UTF-8`,
  );
  const spelt = Uint8Array.from([...Buffer.from("# \uFFFD é 😀\nx: "), 0xc3, 0x28]);
  expect(refused(spelt).message).toBe(
    `Cannot read config "${path}" at line 2, column 4: it is not UTF-8, expected text in UTF-8`,
  );
});

test("parseHostConfig() takes a BOM and Windows line ends", () => {
  expect(parseHostConfig("\uFEFFstop:\r\n  grace: 3 s\r\n", path).values.stop?.grace).toBe(3000);
});

test("parseHostConfig() refuses an alias bomb, deep nesting and a huge file", () => {
  const rows = Array.from(
    { length: 8 },
    (_, index) => `k${index + 1}: &k${index + 1} [${Array(10).fill(`*k${index}`).join(", ")}]`,
  );
  const bomb = ["k0: &k0 [x, x, x, x, x, x, x, x, x, x]", ...rows].join("\n");
  expect(refused(bomb).problem).toBe("its aliases expand to more than 200000 values, expected fewer");
  expect(refused("[".repeat(1_000_000)).problem).toBe("nested deeper than 100 levels, expected at most 100");
  expect(refused(`a: ${"[".repeat(200)}${"]".repeat(200)}`).problem).toBe(
    "nested deeper than 100 levels, expected at most 100",
  );
  expect(refused("#".repeat(1024 * 1024 + 1)).message).toBe(
    `Cannot read config "${path}": it has more than 1048576 bytes, expected at most that`,
  );
  const unknown = refused(Array.from({ length: 60_000 }, (_, index) => `k${index}: 1`).join("\n"));
  expect([unknown.line, unknown.others.length]).toEqual([1, 19]);
});

test("effectiveSettings() has the documented defaults", () => {
  const { shown, defaults, jobs, ...inForce } = effectiveSettings(emptyLayer, null, {});
  expect(inForce).toEqual({
    maxOpenRuns: 16,
    groupLimits: { classes: {}, tags: {} },
    hostGroupLimits: { classes: {}, tags: {} },
    order: "fair",
    waitMaxMs: 600_000,
    pressureMax: { memory: null, cpu: null },
    stopGraceMs: 10_000,
    orphans: "fail",
    onSigterm: "hand_over",
    onHomeRemoved: "stop",
    hermesPython: null,
    environmentPass: [],
    retention: { ageMaxMs: 7_776_000_000, runsMax: 1000, bytesMax: 4_294_967_296, ledgerBytesMax: 1_073_741_824 },
    freeBytesMin: 134_217_728,
    apiListen: null,
    apiTokenFile: null,
    notifiers: [],
    noticedKinds: null,
  });
  expect([defaults, [...jobs]]).toEqual([{}, []]);
  expect(new Set(shown.map(({ source }) => source))).toEqual(new Set(["default"]));
  expect(shown.map(({ key }) => key).sort()).toEqual(settings.map(({ key }) => key).sort());
});

test("the commented default file sets just what is in force without it", () => {
  const text = readFileSync(new URL("../../config/default.yaml", import.meta.url), "utf8");
  const withFile = effectiveSettings(parseHostConfig(text, path), null, {});
  const without = effectiveSettings(emptyLayer, null, {});
  expect(withFile.shown.map(({ key, value }) => [key, value])).toEqual(
    without.shown.map(({ key, value }) => [key, value]),
  );
});

test("effectiveSettings() puts the home's section over the host's file and names each source", () => {
  const host = parseHostConfig(
    "stop:\n  grace: 3 s\ndefaults:\n  timeout: 5 m\n  overlap: replace\njobs:\n  backup:\n    timeout: none\n    tags: [a]\n",
    path,
  );
  const home = parseHomeConfig(
    "model: x\nsupervisor:\n  stop: {grace: 4 s}\n  jobs:\n    backup: {tags: [b]}\n",
    "/home/config.yaml",
  ).section;
  const inForce = effectiveSettings(host, home, {});
  expect(inForce.stopGraceMs).toBe(4000);
  expect(jobSettings(inForce, 3_600_000, { id: "0123456789ab", name: "backup", kind: "script" })).toMatchObject({
    timeoutMs: null,
    overlap: "replace",
    tags: ["b"],
    stopGraceMs: 4000,
  });
  expect(inForce.shown.filter(({ source }) => source !== "default")).toEqual([
    { key: "stop.grace", value: 4000, source: "/home/config.yaml:3" },
    { key: "defaults.timeout", value: 300_000, source: `${path}:4` },
    { key: "defaults.overlap", value: "replace", source: `${path}:5` },
    { key: "defaults.stop_grace", value: 4000, source: "/home/config.yaml:3" },
    { key: "jobs.backup.timeout", value: null, source: `${path}:8` },
    { key: "jobs.backup.tags", value: ["b"], source: "/home/config.yaml:5" },
  ]);
});

test("effectiveSettings() takes HERMES_SUPERVISOR_PYTHON where no file names an interpreter", () => {
  const variables = { HERMES_SUPERVISOR_PYTHON: "/venv/bin/python" };
  expect(effectiveSettings(emptyLayer, null, variables).hermesPython).toBe("/venv/bin/python");
  expect(effectiveSettings(parseHostConfig("hermes: {python: /a}\n", path), null, variables).hermesPython).toBe("/a");
});

const timeouts: readonly (readonly [yaml: string, kind: "prompt" | "script", timeoutMs: number | null])[] = [
  ["", "script", 77_000],
  ["", "prompt", 7_200_000],
  ["defaults: {timeout: 5 m}", "script", 300_000],
  ["defaults: {timeout: 5 m}", "prompt", 900_000],
  ["defaults: {timeout: none}", "prompt", null],
  ["jobs: {'123456789012': {timeout: 1 h}, nightly: {timeout: 2 h}}", "script", 3_600_000],
  ["jobs: {123456789012: {timeout: 1h 30m}}", "script", 5_400_000],
  ["jobs: {nightly: {timeout: 2 h}}\ndefaults: {timeout: 1 s}", "script", 7_200_000],
];

test("jobSettings() finds the time limit by id, name, default and kind", () => {
  for (const [yaml, kind, timeoutMs] of timeouts) {
    const inForce = effectiveSettings(parseHostConfig(yaml, path), null, {});
    expect([yaml, jobSettings(inForce, 77_000, { id: "123456789012", name: "nightly", kind }).timeoutMs]).toEqual([
      yaml,
      timeoutMs,
    ]);
  }
});

test("jobSettings() reads every form of misfire and retry", () => {
  const read = (yaml: string) =>
    jobSettings(effectiveSettings(parseHostConfig(`defaults: {${yaml}}`, path), null, {}), 1, {
      id: "a",
      name: "b",
      kind: "script",
    });
  expect(read("misfire: skip").misfire).toEqual({ kind: "skip" });
  expect(read("misfire: run_all").misfire).toEqual({ kind: "run_all", runsMax: 10 });
  expect(read("misfire: {run_all: 5}").misfire).toEqual({ kind: "run_all", runsMax: 5 });
  expect(read("misfire: {within: 10 m}").misfire).toEqual({ kind: "within", withinMs: 600_000 });
  expect(read("retry: none").retry).toBeNull();
  expect(read("retry: {max: 2}").retry).toEqual({ attemptsMax: 2, backoffMs: 30_000, jitter: 0.1, causes: ["failed"] });
  expect(read("retry: {max: 2, backoff: {first: 5 s, factor: 3, max: 1 m}}").retry).toEqual({
    attemptsMax: 2,
    backoffMs: 5000,
    growth: { factor: 3, delayMsMax: 60_000 },
    jitter: 0.1,
    causes: ["failed"],
  });
  expect(read("retry: {max: 2, backoff: 1 m, jitter: 0, on: [timeout, orphaned]}").retry).toEqual({
    attemptsMax: 2,
    backoffMs: 60_000,
    jitter: 0,
    causes: ["timeout", "orphaned"],
  });
});

test("parseHomeConfig() leaves Hermes' own keys alone and checks the supervisor section", () => {
  const config = parseHomeConfig(
    "cron: {max_parallel_jobs: 2}\nwhatever: [1]\nsupervisor:\n  defaults: {detach: yes}\n",
    path,
  );
  expect(config.hermes).toMatchObject({ cron: { max_parallel_jobs: 2 }, whatever: [1] });
  expect(config.section.values.defaults?.detach).toBe(true);
  expect(parseHomeConfig("", path)).toMatchObject({ hermes: {}, section: { values: {} } });
  expect(parseHomeConfig("base: &b {x: 1}\ncron:\n  <<: *b\n  y: 2\n", path).hermes).toMatchObject({
    cron: { x: 1, y: 2 },
  });
  expect(
    parseHomeConfig("supervisor:\n  defaults: {retry: {max: 1, on: [timeout]}}\n", path).section.values.defaults?.retry
      ?.causes,
  ).toEqual(["timeout"]);
});

test("effectiveSettings() gives a home its own bounds, beside which those of the host stand", () => {
  const host = parseHostConfig("limits: {classes: {prompt: 4}, tags: {db: 2}, order: oldest_first}\n", path);
  const home = parseHomeConfig("supervisor:\n  limits: {tags: {db: 1}}\n", "/home/config.yaml").section;
  expect([effectiveSettings(host, null, {}), effectiveSettings(host, home, {})]).toMatchObject([
    { groupLimits: { classes: { prompt: 4 }, tags: { db: 2 } }, order: "oldest_first" },
    { groupLimits: { classes: {}, tags: { db: 1 } }, order: "oldest_first" },
  ]);
});

test("parseHomeConfig() refuses what concerns the whole host", () => {
  expect(refused("supervisor:\n  limits:\n    max_open_runs: 3\n", readHome).message).toBe(
    `Cannot read config "${path}" at line 3, column 5: limits.max_open_runs is set for one home, expected it in the host's config only`,
  );
  expect(refused("supervisor:\n  stop: {grase: 1 s}\n", readHome).message).toBe(
    `Cannot read config "${path}" at line 2, column 10: unknown setting "stop.grase", did you mean "stop.grace"?`,
  );
});

test("the generated files are as the table of settings makes them", () => {
  for (const [file, content] of configDocuments()) {
    expect(
      readFileSync(new URL(`../../${file}`, import.meta.url), "utf8"),
      `${file}: run node test/write-config-documents.ts`,
    ).toBe(content);
  }
});
