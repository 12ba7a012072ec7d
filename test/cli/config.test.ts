import { chmodSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type CliHome, createCliHome, record } from "./cli-home.ts";

let home: CliHome;

const daily = {
  schedule: { kind: "cron", expr: "0 3 * * *", display: "0 3 * * *" },
  schedule_display: "0 3 * * *",
  next_run_at: "2026-01-06T03:00:00+00:00",
};

beforeEach(() => {
  home = createCliHome({ HERMES_TIMEZONE: "" });
  home.write("config.yaml", "timezone: UTC\n");
  home.write("supervisor/config.yaml", "stop:\n  grace: 5 s\n");
  home.jobs([record("aaaa11112222", "nightly", daily)]);
  home.jobs([record("bbbb11112222", "digest", daily)], "team");
  home.write("profiles/team/config.yaml", "timezone: UTC\ncron:\n  max_parallel_jobs: 2\n");
});

afterEach(() => home.remove());

const at = (name: string): string => join(home.root, name);

test("config check FILE says everything that is wrong with a file that is not in its place", async () => {
  home.write("new.yaml", "stop:\n  grase: 6 s\nlimits:\n  max_open_runs: 0\n");
  const told = await home.run("config", "check", at("new.yaml"));
  expect(told).toEqual({
    exitCode: 3,
    out: `invalid  ${at("new.yaml")}\n`,
    error: `Cannot read config "${at("new.yaml")}" at line 2, column 3: unknown setting "stop.grase", did you mean "stop.grace"?
2 |   grase: 6 s
  |   ^
Cannot read config "${at("new.yaml")}" at line 4, column 18: limits.max_open_runs is 0, expected a whole number from 1 to 10000
4 |   max_open_runs: 0
  |                  ^
`,
  });
  const { files } = JSON.parse((await home.run("config", "check", at("new.yaml"), "--json")).out);
  expect(files.map((file: { path: string; home: unknown }) => [file.path, file.home])).toEqual([
    [at("new.yaml"), null],
  ]);
  expect(files[0].errors[0]).toMatchObject({ line: 2, column: 3, snippet: "2 |   grase: 6 s\n  |   ^" });
});

test("config check FILE warns of what cannot be met, and says what applies instead", async () => {
  home.write("new.yaml", "jobs:\n  nigthly:\n    timeout: 5 m\ndefaults:\n  timeout: 5 s\n");
  expect(await home.run("config", "check", at("new.yaml"))).toEqual({
    exitCode: 0,
    out: `warning  ${at("new.yaml")}: jobs.nigthly (${at("new.yaml")}): no job has this id or name, did you mean "nightly"?
warning  ${at("new.yaml")}: defaults.timeout (${at("new.yaml")}:5): 5 s is less than stop_grace (10 s); a run that does not end when asked lives for 15 s (job "nightly")
warning  ${at("new.yaml")}: defaults.timeout (${at("new.yaml")}:5): 5 s is less than stop_grace (10 s); a run that does not end when asked lives for 15 s (job "digest")
`,
    error: "",
  });
});

test("config check FILE warns of bounds that others keep from being reached", async () => {
  home.write("new.yaml", "limits:\n  tags: {db: 20}\n");
  const warning = "limits.max_open_runs of the host (16, default); 16 applies";
  expect(await home.run("config", "check", at("new.yaml"))).toEqual({
    exitCode: 0,
    out: `warning  ${at("new.yaml")}: limits.tags.db (${at("new.yaml")}:2): 20 is more than ${warning}\n`,
    error: "",
  });
  home.write("home.yaml", "cron: {max_parallel_jobs: 2}\nsupervisor:\n  limits: {classes: {script: 3}}\n");
  expect((await home.run("config", "check", at("home.yaml"), "--for", "team")).out).toBe(
    `warning  ${at("home.yaml")}: limits.classes.script (${at("home.yaml")}:3): 3 is more than cron.max_parallel_jobs of this home (2); 2 applies\n`,
  );
});

test("config check FILE takes Hermes' own keys for a home's file, and --for says whose it is", async () => {
  home.write("new.yaml", "timezone: UTC\nsupervisor:\n  limits: {max_open_runs: 3}\n");
  const problem = `Cannot read config "${at("new.yaml")}" at line 3, column 12: limits.max_open_runs is set for one home, expected it in the host's config only`;
  const told = await home.run("config", "check", at("new.yaml"));
  expect([told.exitCode, told.error.split("\n")[0]]).toEqual([3, problem]);
  const team = JSON.parse((await home.run("config", "check", at("new.yaml"), "--for", "team", "--json")).out);
  expect(team.files.map((file: { home: unknown }) => file.home)).toEqual(["team"]);
  const host = await home.run("config", "check", at("new.yaml"), "--for", "host");
  expect(host.error).toContain('unknown setting "timezone"');
  const nobody = await home.run("config", "check", at("new.yaml"), "--for", "nobody");
  expect([nobody.exitCode, nobody.error]).toEqual([
    2,
    `Cannot read config "${at("new.yaml")}" for "nobody": there is no such home, expected one of host, default, team\n`,
  ]);
});

test("config check FILE says what a path is that is no readable file", async () => {
  symlinkSync("nowhere", at("link"));
  home.write("secret", "");
  chmodSync(at("secret"), 0o000);
  const cases: [string, number, string][] = [
    ["nothing", 2, "there is no such file, expected one to check"],
    ["link", 3, "it is a link that leads nowhere, expected one to a file"],
    ["cron", 3, "it is no plain file but a folder, expected a file"],
  ];
  // Root may read everything.
  if (process.getuid?.() !== 0) cases.push(["secret", 3, "permission denied, expected a file that this user can read"]);
  for (const [name, exitCode, problem] of cases) {
    const told = await home.run("config", "check", at(name));
    expect([told.exitCode, told.error]).toEqual([exitCode, `Cannot read config "${at(name)}": ${problem}\n`]);
  }
});

test("config check and show take --set and variables, which count over every file", async () => {
  const told = await home.run("config", "check", "--set", "stop.grace=1", "--set", "limits.max_open_runs=3");
  expect([told.exitCode, told.error]).toEqual([
    3,
    'Cannot use --set "stop.grace=1": stop.grace is 1, expected a length of time with its unit, such as 10 s, 90 m or 2 h\n',
  ]);
  const other = createCliHome({ HERMES_SUPERVISOR_STOP_GRACE: "3 s", HERMES_SUPERVISOR_DISK_FREE_MIN: "1 GiB" });
  try {
    other.write("config.yaml", "supervisor: {stop: {grace: 4 s}}\n");
    const shown = await other.run("config", "show", "default", "--set", "disk.free_min=2 GiB");
    expect(shown.out).toMatch(/^stop\.grace +3 s +HERMES_SUPERVISOR_STOP_GRACE$/m);
    expect(shown.out).toMatch(/^disk\.free_min +2 GiB +--set disk\.free_min$/m);
  } finally {
    other.remove();
  }
});

test("config show JOB gives what counts for it, by id, by name and for all", async () => {
  home.write(
    "supervisor/config.yaml",
    "stop:\n  grace: 5 s\ndefaults:\n  overlap: replace\njobs:\n  nightly:\n    timeout: 4 h\n    tags: [a]\n  aaaa11112222:\n    tags: [b]\n",
  );
  const path = `${home.state}/config.yaml`;
  const { settings, job_id } = JSON.parse((await home.run("config", "show", "nightly", "--json")).out);
  const found = new Map(settings.map(({ key, ...rest }: { key: string }) => [key.split(".").at(-1), rest]));
  expect([job_id, found.get("timeout"), found.get("overlap"), found.get("tags"), found.get("stop_grace")]).toEqual([
    "aaaa11112222",
    { value: 14_400_000, source: `${path}:7` },
    { value: "replace", source: `${path}:4` },
    { value: ["b"], source: `${path}:10` },
    { value: 5000, source: `${path}:2` },
  ]);
  const { out } = await home.run("config", "show", "team/digest");
  expect(out.split("\n")[0]).toBe("team/digest  bbbb11112222");
  expect(out).toMatch(/^timeout +1 h +default$/m);
  expect((await home.run("config", "show", "nobody")).exitCode).toBe(4);
});

test("config diff FILE tells what a reload changes, key by key, and what moves in the next 24 hours", async () => {
  home.write(
    "new.yaml",
    "timezone: Asia/Tokyo\ncron:\n  max_parallel_jobs: 2\nsupervisor:\n  defaults: {overlap: replace}\n",
  );
  const told = await home.run("config", "diff", at("new.yaml"), "--for", "team");
  expect(told).toEqual({
    exitCode: 0,
    out: `FOR   SETTING           NOW   AFTER       FROM
team  defaults.overlap  skip  replace     ${at("new.yaml")}:5
team  timezone          UTC   Asia/Tokyo  ${at("new.yaml")}:1

Occurrences of the next 24 h: 1 moved, 0 gone, 0 new; times in Asia/Tokyo
team/digest: 01-06 12:00 → 01-06 03:00
`,
    error: "No daemon runs: this is against what the files say now\n",
  });
  const document = JSON.parse((await home.run("config", "diff", at("new.yaml"), "--for", "team", "--json")).out);
  expect(document).toMatchObject({
    daemon: false,
    changes: [
      { home: "team", key: "defaults.overlap", before: "skip", after: "replace", before_source: "default" },
      { home: "team", key: "timezone", before: "UTC", after: "Asia/Tokyo" },
    ],
    forecast: {
      from: "2026-01-05T12:00:00.000Z",
      until: "2026-01-06T12:00:00.000Z",
      jobs: [
        {
          home: "team",
          job_id: "bbbb11112222",
          moved: [{ from: "2026-01-06T03:00:00.000Z", to: "2026-01-05T18:00:00.000Z" }],
          vanished: [],
          appeared: [],
        },
      ],
      jobs_left_off: 0,
    },
  });
});

test("config diff says what the host's file changes once, and nothing where nothing changes", async () => {
  home.write("new.yaml", "stop:\n  grace: 7 s\njobs:\n  nightly: {timeout: none}\n");
  const { changes } = JSON.parse((await home.run("config", "diff", at("new.yaml"), "--json")).out);
  expect(
    changes.map(({ home: whose, key, before, after }: Record<string, unknown>) => [whose, key, before, after]),
  ).toEqual([
    [null, "stop.grace", 5000, 7000],
    [null, "defaults.stop_grace", 5000, 7000],
    [null, "jobs.nightly.timeout", null, null],
  ]);
  expect((await home.run("config", "diff")).out).toBe(
    "A reload changes no setting\n\nOccurrences of the next 24 h: all as they are\n",
  );
  home.write("new.yaml", "stop: [\n");
  const told = await home.run("config", "diff", at("new.yaml"));
  expect([told.exitCode, told.error.split(":")[0]]).toEqual([
    3,
    `Cannot read config "${at("new.yaml")}" at line 1, column 8`,
  ]);
});
