import { expect, test } from "vitest";
import { resolveHermesSettings } from "../../src/homes/home-config.ts";

type Variables = Readonly<Record<string, string>>;

test("resolveHermesSettings() has Hermes' defaults, and four runs at once", () => {
  for (const hermes of [{}, null, [], "x", { cron: null, gateway: 3, timezone: 7, terminal: [] }]) {
    expect(resolveHermesSettings(hermes, {})).toEqual({
      maxParallelJobs: 4,
      catchUpMissed: true,
      scriptTimeoutMs: 3_600_000,
      outputRetention: 50,
      timezone: null,
      cronProvider: "",
      standalone: false,
      terminal: {},
      sources: {
        maxParallelJobs: "default",
        scriptTimeoutMs: "default",
        outputRetention: "default",
        timezone: "default",
      },
      warnings: [],
    });
  }
});

const parallel: readonly (readonly [
  cron: unknown,
  variables: Variables,
  limit: number | null,
  source: string,
  warnings: readonly string[],
])[] = [
  [2, {}, 2, "cron.max_parallel_jobs", []],
  ["3", {}, 3, "cron.max_parallel_jobs", []],
  [0, {}, null, "cron.max_parallel_jobs", []],
  [2, { HERMES_CRON_MAX_WORKERS: "5" }, 5, "HERMES_CRON_MAX_WORKERS", []],
  [2, { HERMES_CRON_MAX_WORKERS: "5", HERMES_CRON_MAX_PARALLEL: " 1 " }, 1, "HERMES_CRON_MAX_PARALLEL", []],
  [2, { HERMES_CRON_MAX_PARALLEL: "" }, 2, "cron.max_parallel_jobs", []],
  [
    2,
    { HERMES_CRON_MAX_PARALLEL: "many" },
    2,
    "cron.max_parallel_jobs",
    ['HERMES_CRON_MAX_PARALLEL is "many", expected a whole number from 0, which means unbounded; it is passed over'],
  ],
  [
    -1,
    {},
    4,
    "default",
    ["cron.max_parallel_jobs is -1, expected a whole number from 0, which means unbounded; it is passed over"],
  ],
  [`\${LIMIT}`, { LIMIT: "7" }, 7, "cron.max_parallel_jobs", []],
];

test("resolveHermesSettings() finds the number of runs at once", () => {
  for (const [limit, variables, expected, source, warnings] of parallel) {
    const found = resolveHermesSettings({ cron: { max_parallel_jobs: limit } }, variables);
    expect([found.maxParallelJobs, found.sources.maxParallelJobs, found.warnings]).toEqual([
      expected,
      source,
      warnings,
    ]);
  }
});

const timeouts: readonly (readonly [cron: unknown, variable: string, timeoutMs: number])[] = [
  [77, "", 77_000],
  ["77.9", "", 77_000],
  [0, "", 3_600_000],
  [-3, "", 3_600_000],
  ["soon", "", 3_600_000],
  [77, "5", 5000],
  [77, "1e1", 10_000],
  [77, "0", 77_000],
  [77, "0.5", 77_000],
  [77, "soon", 77_000],
  [77, "inf", 77_000],
];

test("resolveHermesSettings() finds the time limit of scripts", () => {
  for (const [configured, variable, timeoutMs] of timeouts) {
    const found = resolveHermesSettings(
      { cron: { script_timeout_seconds: configured } },
      { HERMES_CRON_SCRIPT_TIMEOUT: variable },
    );
    expect([configured, variable, found.scriptTimeoutMs]).toEqual([configured, variable, timeoutMs]);
  }
});

const zones: readonly (readonly [configured: unknown, variable: string, zone: string | null, source: string])[] = [
  ["Europe/Berlin", "", "Europe/Berlin", "timezone"],
  ["Europe/Berlin", " UTC ", "UTC", "HERMES_TIMEZONE"],
  ["Europe/Berlin", "Mars/Olympus", null, "HERMES_TIMEZONE"],
  ["+02:00", "", null, "timezone"],
  ["", "", null, "default"],
];

test("resolveHermesSettings() finds the time zone, and falls back to the server's for a wrong name", () => {
  for (const [configured, variable, zone, source] of zones) {
    const found = resolveHermesSettings({ timezone: configured }, { HERMES_TIMEZONE: variable });
    expect([configured, variable, found.timezone, found.sources.timezone]).toEqual([
      configured,
      variable,
      zone,
      source,
    ]);
  }
});

test("resolveHermesSettings() reads provider, retention, standalone and terminal", () => {
  const found = resolveHermesSettings(
    {
      cron: { provider: " supervisor ", output_retention: 0 },
      gateway: { standalone: "Yes" },
      terminal: {
        backend: "docker",
        timeout: 77,
        cwd: "~/w",
        docker_image: "i",
        docker_volumes: ["a"],
        persistent_shell: true,
        other: 1,
      },
    },
    { HOME: "/home/u" },
  );
  expect(found).toMatchObject({ cronProvider: "supervisor", outputRetention: 0, standalone: true });
  expect(found.terminal).toEqual({
    TERMINAL_ENV: "docker",
    TERMINAL_TIMEOUT: "77",
    TERMINAL_CWD: "/home/u/w",
    TERMINAL_DOCKER_IMAGE: "i",
    TERMINAL_DOCKER_IMAGE_PINNED: "1",
    TERMINAL_DOCKER_VOLUMES: '["a"]',
    TERMINAL_PERSISTENT_SHELL: "True",
  });
});
