import { expect, test } from "vitest";
import { effectiveSettings } from "../../src/config/effective-settings.ts";
import { readOverrides, variableOf } from "../../src/config/overrides.ts";
import { parseHomeConfig, parseHostConfig } from "../../src/config/parse-config.ts";
import { settings } from "../../src/config/schema.ts";

const host = parseHostConfig("stop: {grace: 1 s}\nlimits: {max_open_runs: 2}\n", "/state/config.yaml");
const home = parseHomeConfig("supervisor: {stop: {grace: 2 s}}\n", "/home/config.yaml").section;

function graceWith(flags: readonly string[], variables: Readonly<Record<string, string>>): unknown {
  const { layers, errors } = readOverrides(flags, variables);
  expect(errors).toEqual([]);
  return effectiveSettings(host, home, {}, layers).shown.find(({ key }) => key === "stop.grace");
}

test("readOverrides() puts a flag over a variable over the home over the host", () => {
  const variables = { HERMES_SUPERVISOR_STOP_GRACE: "3 s" };
  expect(graceWith([], {})).toEqual({ key: "stop.grace", value: 2000, source: "/home/config.yaml:1" });
  expect(graceWith([], variables)).toEqual({ key: "stop.grace", value: 3000, source: "HERMES_SUPERVISOR_STOP_GRACE" });
  expect(graceWith(["stop.grace=4s"], variables)).toEqual({
    key: "stop.grace",
    value: 4000,
    source: "--set stop.grace",
  });
  expect(graceWith(["stop.grace=4s", "stop.grace = 5 s"], variables)).toMatchObject({ value: 5000 });
});

test("readOverrides() takes every value as a file writes it", () => {
  const flags = [
    "environment.pass=[A, B_*]",
    "defaults.retry={ max: 2, backoff: 1 m }",
    "defaults.idle_timeout=none",
    "jobs.a.b c.timeout=4 h",
    "jobs.a.b c.tags=[x]",
  ];
  const { layers, errors } = readOverrides(flags, { HERMES_SUPERVISOR_LIMITS_MAX_OPEN_RUNS: "8" });
  const inForce = effectiveSettings(host, null, {}, layers);
  expect(errors).toEqual([]);
  expect([inForce.environmentPass, inForce.maxOpenRuns, inForce.defaults, [...inForce.jobs]]).toEqual([
    ["A", "B_*"],
    8,
    { retry: { attemptsMax: 2, backoffMs: 60_000, jitter: 0.1, causes: ["failed"] }, idle_timeout: null },
    [["a.b c", { timeout: 14_400_000, tags: ["x"] }]],
  ]);
});

const refusals: readonly (readonly [flag: string, message: string])[] = [
  ["stop.grace", 'Cannot use --set "stop.grace": expected KEY=VALUE, such as stop.grace=30s'],
  ["=3", 'Cannot use --set "=3": expected KEY=VALUE, such as stop.grace=30s'],
  ["stop.grase=3 s", 'Cannot use --set "stop.grase=3 s": unknown setting "stop.grase", did you mean "stop.grace"?'],
  [
    "limits.max_open_runs=0",
    'Cannot use --set "limits.max_open_runs=0": limits.max_open_runs is 0, expected a whole number from 1 to 10000',
  ],
  [
    "limits.max_open_runs=",
    'Cannot use --set "limits.max_open_runs=": limits.max_open_runs is empty, expected a whole number from 1 to 10000',
  ],
  ["limits=3", 'Cannot use --set "limits=3": limits is 3, expected a mapping'],
  ["limits=", 'Cannot use --set "limits=": "limits" sets nothing, expected a setting such as stop.grace and its value'],
  ["environment.pass=[A", 'Cannot use --set "environment.pass=[A": not valid YAML: flow sequence must end with a ]'],
  [
    "jobs.nightly.timout=1 h",
    'Cannot use --set "jobs.nightly.timout=1 h": unknown setting "jobs.nightly.timout", did you mean "jobs.nightly.timeout"?',
  ],
  [
    "defaults.retry.max=0",
    'Cannot use --set "defaults.retry.max=0": defaults.retry.max is 0, expected a whole number from 1 to 100',
  ],
];

test("readOverrides() says what is wrong with a flag", () => {
  for (const [flag, message] of refusals) expect(readOverrides([flag], {})).toEqual({ layers: [], errors: [message] });
});

test("readOverrides() says what is wrong with a variable, and leaves alone what is none of a setting", () => {
  const variables = {
    HERMES_SUPERVISOR_STATE: "/x",
    HERMES_SUPERVISOR_PYTHON: "/y",
    HERMES_SUPERVISOR_RUN_ID: "z",
    HERMES_SUPERVISOR_STOP_GRACE: "10",
    HERMES_SUPERVISOR_STOP_GRASE: "10 s",
    HERMES_SUPERVISOR_DISK_FREE_MIN: "",
  };
  expect(readOverrides([], variables)).toEqual({
    layers: [],
    errors: [
      "Cannot use variable HERMES_SUPERVISOR_STOP_GRACE: stop.grace is 10, expected a length of time with its unit, such as 10 s, 90 m or 2 h",
      "Cannot use variable HERMES_SUPERVISOR_STOP_GRASE: no setting has this name, did you mean HERMES_SUPERVISOR_STOP_GRACE?",
    ],
  });
});

test("no two settings share a variable, and none has one that means something else", () => {
  const taken = ["STATE", "PYTHON", "FAULT", "WITHOUT", "RUN_ID", "JOB_ID", "ATTEMPT", "SCHEDULED_AT", "RUN_DIR"];
  const names = [...settings.map(({ key }) => variableOf(key)), ...taken.map((name) => `HERMES_SUPERVISOR_${name}`)];
  expect(names.length).toBe(new Set(names).size);
});
