import { spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import type { StatusJson } from "../../src/status/snapshot.ts";
import { makeReadOnly, mountSmallDisk } from "../helpers/small-disk.ts";
import {
  isoIn,
  type JobRecord,
  makeSupervisedHome,
  type SupervisedHome,
  scriptJob,
  until,
} from "../helpers/supervised-home.ts";

// One daemon meets every kind of bad input at once, each in a profile of its own, beside a good home whose job runs each second.
// Nothing bad may be written over, reach another home, or need a restart once it is mended.
const everySecond = "* * * * * *";
const jobId = "aaaaaaaaaaaa";

const storeText = (jobs: readonly unknown[]): string =>
  JSON.stringify({ jobs, updated_at: "2026-01-01T00:00:00+00:00" }, null, 2);
const goodJob = (): JobRecord => scriptJob(jobId, 60, "ok.sh", { next_run_at: isoIn(-500) });
const goodStore = (): string => storeText([goodJob()]);
const sampleStore = storeText([scriptJob(jobId, 60, "ok.sh", { next_run_at: "2026-01-01T00:00:00+00:00" })]);

interface BadFile {
  readonly file: "cron/jobs.json" | "config.yaml" | ".env";
  readonly content: string | Uint8Array;
  /** What status and log say behind `Cannot read … "<path>"`. */
  readonly says: string;
}

const mend = ", mend the file or put a good copy in its place";
const jobs = (content: string | Uint8Array, says: string): BadFile => ({
  file: "cron/jobs.json",
  content,
  says: `: ${says}${mend}`,
});
const config = (content: string | Uint8Array, says: string): BadFile => ({ file: "config.yaml", content, says });
const variables = (content: string | Uint8Array, says: string): BadFile => ({ file: ".env", content, says });

const bombLevels = Array.from(
  { length: 9 },
  (_, index) => `l${index + 1}: &l${index + 1} [${Array(10).fill(`*l${index}`).join(", ")}]\n`,
);

/** By profile. */
const badFiles: Readonly<Record<string, BadFile>> = {
  "jobs-empty": jobs("", "line 1, column 1: there is no text"),
  "jobs-one-byte": jobs("{", "line 1, column 2: a key in double quotes should stand here"),
  "jobs-cut-in-half": jobs(
    sampleStore.slice(0, sampleStore.indexOf("prompt") + 3),
    "line 6, column 7: the string that opens here never ends",
  ),
  "jobs-cut-at-the-end": jobs(
    sampleStore.slice(0, -1),
    `line ${sampleStore.split("\n").length}, column 1: a comma or a closing brace should stand here`,
  ),
  "jobs-binary": jobs(
    Buffer.from([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1, 0, 0xff, 0xfe, 0x80]),
    "line 1, column 9: this is not UTF-8 text",
  ),
  "jobs-zeros": jobs(Buffer.alloc(4096), "line 1, column 1: there is no value here"),
  "jobs-zero-behind": jobs(
    `${sampleStore}\0`,
    `line ${sampleStore.split("\n").length}, column 2: there is more text after the end of the document`,
  ),
  "jobs-50-mb": jobs(
    `${sampleStore}${" ".repeat(50_000_000 - sampleStore.length)}`,
    "it has 50000000 bytes, expected at most 33554432",
  ),
  "jobs-null": jobs("null", 'line 1, column 1: the document is null, expected an object with a list "jobs"'),
  "jobs-number": jobs("7", 'line 1, column 1: the document is 7, expected an object with a list "jobs"'),
  "jobs-string": jobs('"jobs"', 'line 1, column 1: the document is "jobs", expected an object with a list "jobs"'),
  "jobs-no-list": jobs('{"jobs": null}', 'line 1, column 10: "jobs" is null, expected a list'),
  "jobs-no-objects": jobs("[1, 2]", 'line 1, column 1: no entry of "jobs" is an object, expected one for each job'),
  "config-tab": config(
    "cron:\n\tmax_parallel_jobs: 2\n",
    " at line 2, column 1: not valid YAML: a tab is used for indentation, expected spaces",
  ),
  "config-twice": config(
    "timezone: UTC\ncron: {}\ntimezone: Asia/Tokyo\n",
    ' at line 3, column 1: key "timezone" is there twice, expected once',
  ),
  "config-bomb": config(
    `l0: &l0 [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]\n${bombLevels.join("")}`,
    " at line 6, column 10: its aliases expand to more than 200000 values, expected fewer",
  ),
  "config-latin": config(
    Buffer.from("# ok\nname: caf\xe9\n", "latin1"),
    " at line 2, column 10: it is not UTF-8, expected text in UTF-8",
  ),
  "config-list": config("- cron\n", " at line 1, column 1: the top level is a list, expected a mapping"),
  "config-unknown": config(
    "supervisor:\n  defaults:\n    timeout: soon\n",
    ' at line 3, column 14: defaults.timeout is "soon", expected a length of time with its unit, such as 10 s, 90 m or 2 h, or none',
  ),
  "env-zero": variables("A=1\nB=\0two\n", " at line 2: a NUL character is in it, expected text only"),
};

const pathOf = (home: SupervisedHome, name: string): string => join(home.path, "profiles", name);

function whole({ file, says }: BadFile, home: SupervisedHome, name: string): string {
  const what = { "cron/jobs.json": "jobs", "config.yaml": "config", ".env": "variables" }[file];
  return `Cannot read ${what} "${join(pathOf(home, name), file)}"${says}`;
}

interface LogLine {
  readonly level: string;
  readonly msg: string;
  readonly home?: string;
  readonly job_id?: string;
  readonly error?: string;
}

function logLines(log: string): readonly LogLine[] {
  return log
    .split("\n")
    .filter((line) => line.startsWith("{"))
    .map((line) => JSON.parse(line) as LogLine);
}

function makeProfile(home: SupervisedHome, name: string): string {
  const path = home.profile(name);
  home.script("ok.sh", "true\n", path);
  writeFileSync(join(path, "cron/jobs.json"), goodStore());
  return path;
}

const statusOf = (home: SupervisedHome): StatusJson => home.ask("status").json as StatusJson;
const completed = (home: SupervisedHome, name: string): number =>
  home.runs().filter((run) => run.home === name && run.state === "completed").length;

test("what is bad in one home is said once and clearly, harms no other, is kept, and is taken up by itself when mended", async () => {
  const home = makeSupervisedHome();
  mkdirSync(home.state, { recursive: true });
  writeFileSync(join(home.state, "config.yaml"), "disk: {free_min: 64 KiB}\n");
  const other = home.profile("other");
  home.script("ok.sh", "true\n", other);
  home.writeJobs([scriptJob(jobId, everySecond, "ok.sh")], other);
  for (const [name, { file, content }] of Object.entries(badFiles)) {
    writeFileSync(join(makeProfile(home, name), file), content);
  }
  const unsupported = makeProfile(home, "newer");
  writeFileSync(join(unsupported, "cron/runtime.db"), "");
  const before = listing(unsupported);
  const readOnly = makeProfile(home, "read-only");
  const makeWritable = makeReadOnly(readOnly, onTestFinished) ?? blockLocks(readOnly);
  const fullDisk = fillDisk(makeProfile(home, "full"));

  const daemon = home.start();
  await daemon.said('"ready"');
  await until(() => completed(home, "other") >= 2);
  const status = statusOf(home);
  const homes = Object.fromEntries(status.homes.map((one) => [one.name, one]));
  const text = spawnText(home);
  for (const [name, bad] of Object.entries(badFiles)) {
    const error = whole(bad, home, name);
    expect([name, homes[name]?.state, homes[name]?.reason]).toEqual([name, "degraded", error]);
    expect(status.alerts.filter((alert) => alert.home === name).map((alert) => alert.message)).toContain(error);
    expect(text).toContain(`${name} is degraded: ${error}\n`);
    const said = logLines(daemon.log()).filter((line) => line.home === name && line.error === error);
    expect([name, said.map((line) => line.level)]).toEqual([name, ["error"]]);
  }
  expect(homes["other"]).toMatchObject({ state: "active", reason: null });
  expect(homes["newer"]).toMatchObject({
    state: "unsupported",
    reason: "cron/runtime.db belongs to a newer Hermes than this program knows",
  });
  expect(homes["read-only"]?.state).toBe("degraded");
  expect(homes["read-only"]?.reason).toMatch(
    /^Cannot serve home "read-only": (?:EROFS|EPERM|EACCES|EISDIR): .*, make the folder writable for this user$/,
  );
  expect(homes["full"]?.state).toBe(fullDisk.state);
  for (const name of ["read-only", "full"]) {
    expect([
      name,
      logLines(daemon.log()).filter((line) => line.home === name && line.level === "error").length,
    ]).toEqual([name, 1]);
  }

  for (const [name, { file, content }] of Object.entries(badFiles)) {
    expect([name, readFileSync(join(pathOf(home, name), file)).equals(Buffer.from(content))]).toEqual([name, true]);
    expect(readdirSync(join(pathOf(home, name), "cron")).filter((entry) => entry.endsWith(".tmp"))).toEqual([]);
  }
  expect(listing(unsupported)).toEqual(before);
  expect(home.runs().filter((run) => run.home !== "other" && run.state !== "void")).toEqual([]);

  // All is mended at once, and nobody tells the daemon.
  for (const [name, { file }] of Object.entries(badFiles)) {
    writeFileSync(
      join(pathOf(home, name), file),
      file === "cron/jobs.json" ? goodStore() : file === ".env" ? "" : "{}\n",
    );
  }
  rmSync(join(unsupported, "cron/runtime.db"));
  makeWritable();
  fullDisk.free();
  const all = [...Object.keys(badFiles), "newer", "read-only", "full"];
  await until(() => all.every((name) => completed(home, name) === 1));
  const after = statusOf(home);
  expect(after.homes.filter((one) => one.state !== "active").map((one) => [one.name, one.state, one.reason])).toEqual(
    [],
  );
  expect(after.alerts).toEqual([]);
  expectOnTime(home);
}, 60_000);

/** Jobs of one home that cannot run, by id: what status says of each. The others of the home go on. */
const badRecords: readonly { readonly record: unknown; readonly id: string | null; readonly says: string }[] = [
  {
    record: { ...goodJob(), id: "../../outside" },
    id: "../../outside",
    says: 'The id "../../outside" holds a slash, and it names the job\'s output folder',
  },
  {
    record: { ...goodJob(), id: "bell\u0007" },
    id: "bell\u0007",
    says: 'The id "bell\\u0007" holds a control character',
  },
  { record: { ...goodJob(), id: ".." }, id: "..", says: 'The id ".." cannot name the job\'s output folder' },
  { record: { ...goodJob(), id: 7 }, id: "7", says: "The id is 7, expected a text" },
  {
    record: { ...goodJob(), id: "moon", schedule: { kind: "lunar" } },
    id: "moon",
    says: 'The schedule\'s kind is "lunar", expected "cron", "interval" or "once"',
  },
  { record: { ...goodJob(), id: "five", schedule: 5 }, id: "five", says: "The schedule is 5, expected an object" },
  {
    record: { ...goodJob(), id: "late", schedule: { kind: "cron", expr: "61 * * * *" } },
    id: "late",
    says: 'Cannot parse schedule "61 * * * *": minute is 61, expected 0-59',
  },
  {
    record: { ...goodJob(), id: "twin", name: "second" },
    id: "twin",
    says: 'Another job further up has the same id "twin"',
  },
  { record: "no record", id: null, says: 'Entry 10 of "jobs" is "no record", expected an object' },
];

/** Scripts that cannot be run fail their run, in the words of Hermes. */
const badScripts: Readonly<Record<string, string>> = {
  "gone.sh": "Script not found: ",
  "../outside.sh": "Blocked: script path resolves outside the scripts directory (",
  "link.sh": "Blocked: script path resolves outside the scripts directory (",
  "dangling.sh": "Script not found: ",
  "folder.sh": "Script path is not a file: ",
};

test("one bad record or script stops its own job and no other, and what turns bad while it runs is taken up again", async () => {
  const home = makeSupervisedHome();
  mkdirSync(home.state, { recursive: true });
  const hostConfig = join(home.state, "config.yaml");
  writeFileSync(hostConfig, "limits: {max_open_runs: 32}\n");
  const seconds = [scriptJob(jobId, everySecond, "ok.sh")];
  const live = ["other", "live-jobs", "live-config", "live-variables", "live-cron", "live-home"];
  for (const name of live) home.writeJobs(seconds, makeProfile(home, name));
  const records = makeProfile(home, "records");
  const twin = { ...goodJob(), id: "twin" };
  // Times that Hermes mends or reads by the server's clock.
  const naive = {
    ...goodJob(),
    id: "naive",
    next_run_at: new Date(Date.now() - 500).toISOString().replace("Z", "000"),
  };
  const nonsense = { ...seconds[0], id: "nonsense", next_run_at: "soon" };
  const bad = badRecords.map(({ record }) => record);
  writeFileSync(
    join(records, "cron/jobs.json"),
    storeText([...bad.slice(0, 7), twin, ...bad.slice(7), naive, nonsense]),
  );
  const scripts = makeProfile(home, "scripts");
  writeFileSync(join(scripts, "outside.sh"), "echo no\n");
  symlinkSync(join(scripts, "outside.sh"), join(scripts, "scripts/link.sh"));
  symlinkSync(join(scripts, "scripts/nowhere.sh"), join(scripts, "scripts/dangling.sh"));
  mkdirSync(join(scripts, "scripts/folder.sh"));
  home.writeJobs(
    Object.keys(badScripts).map((script, index) =>
      scriptJob(`${index}aaaaaaaaaaa`, 60, script, { next_run_at: isoIn(-500) }),
    ),
    scripts,
  );
  // All of it is good, though it may not look so.
  const odd = makeProfile(home, "odd-variables");
  writeFileSync(
    join(odd, ".env"),
    `export A='one two'\r\nB="x=y=z"\r\n# note\r\nC=a=b==\r\nD=\${B}!\r\nnonsense here\r\n`,
  );
  home.script("ok.sh", 'echo "$A|$B|$C|$D"\n', odd);

  const daemon = home.start();
  await daemon.said('"ready"');
  await until(() => ["records", "odd-variables", ...live].every((name) => completed(home, name) >= 1));
  await until(() => home.runs().filter((run) => run.home === "scripts" && run.ended_at !== null).length === 5);
  const ran = (name: string): readonly string[] => [
    ...new Set(
      home
        .runs()
        .filter((run) => run.home === name)
        .map((run) => run.job_id),
    ),
  ];
  await until(() => ran("records").length === 3);
  expect(ran("records").toSorted()).toEqual(["naive", "nonsense", "twin"]);
  expect(existsSync(join(home.path, "profiles/outside"))).toBe(false);
  const status = statusOf(home);
  const alerts = status.alerts.filter((alert) => alert.home === "records");
  for (const { id, says } of badRecords) {
    expect(alerts.filter((alert) => alert.message === says)).toMatchObject([{ kind: "job_invalid", job_id: id }]);
    const said = logLines(daemon.log()).filter((line) => line.home === "records" && line.error === says);
    expect(said).toMatchObject([{ level: "error", job_id: id }]);
  }
  const anew = logLines(daemon.log()).filter((line) => line.home === "records" && line.job_id === "nonsense");
  expect(anew).toMatchObject([
    {
      level: "warn",
      msg: "the next run of a job could not be read and was computed anew",
      error: 'The next_run_at is "soon", expected a time such as 2026-11-21T09:00:00+00:00',
    },
  ]);
  expect(status.homes.filter((one) => one.state !== "active")).toEqual([]);
  const written = JSON.parse(readFileSync(join(records, "cron/jobs.json"), "utf8")).jobs as readonly unknown[];
  for (const record of bad) expect(written).toContainEqual(record);
  for (const [index, [, text]] of Object.entries(badScripts).entries()) {
    const { last_status: ended, last_error: error } = home.job(`${index}aaaaaaaaaaa`, scripts);
    expect([ended, String(error).startsWith(text)]).toEqual(["error", true]);
  }
  const oddRun = home.runs().find((run) => run.home === "odd-variables");
  expect(readFileSync(oddRun?.output_path ?? "", "utf8")).toBe("one two|x=y=z|a=b==|x=y=z!\n");
  expect(logLines(daemon.log()).filter((line) => line.home === "odd-variables" && line.level === "warn")).toMatchObject(
    [{ msg: ".env line 6 is not understood and skipped, expected NAME=value" }],
  );

  // Now good homes turn bad under the daemon. Settings have a last good version, and so their jobs go on.
  const at = (name: string, ...more: readonly string[]): string => join(pathOf(home, name), ...more);
  const cut = readFileSync(at("live-jobs", "cron/jobs.json")).subarray(0, 100);
  writeFileSync(at("live-jobs", "cron/jobs.json"), cut);
  writeFileSync(at("live-config", "config.yaml"), "cron:\n\tmax_parallel_jobs: 2\n");
  writeFileSync(at("live-variables", ".env"), "A=\0\n");
  renameSync(at("live-cron", "cron"), at("live-cron", "cron-away"));
  renameSync(at("live-home"), join(home.path, "away"));
  writeFileSync(hostConfig, "limits: {max_open_runs: 32, max_open_runs: 1}\n");
  const isDegraded = (): boolean => {
    const now = new Map(statusOf(home).homes.map((one) => [one.name, one.state]));
    const degraded = ["live-jobs", "live-config", "live-variables", "live-cron"];
    return !now.has("live-home") && degraded.every((name) => now.get(name) === "degraded");
  };
  await until(isDegraded);
  const goneOn = ["other", "live-config", "live-variables"];
  const before = goneOn.map((name) => completed(home, name));
  await until(() => goneOn.every((name, index) => completed(home, name) >= before[index]! + 2));
  const during = statusOf(home);
  expect(
    Object.fromEntries(during.homes.filter((one) => one.state !== "active").map((one) => [one.name, one.reason])),
  ).toEqual({
    "live-jobs": `Cannot read jobs "${at("live-jobs", "cron/jobs.json")}": line 6, column 19: a comma or a closing brace should stand here${mend}`,
    "live-config": `Cannot read config "${at("live-config", "config.yaml")}" at line 2, column 1: not valid YAML: a tab is used for indentation, expected spaces`,
    "live-variables": `Cannot read variables "${at("live-variables", ".env")}" at line 1: a NUL character is in it, expected text only`,
    "live-cron": `Cannot serve home "live-cron": ENOENT: no such file or directory, realpath '${at("live-cron", "cron")}', put the folder back`,
  });
  expect(during.alerts.find((alert) => alert.kind === "config_invalid" && alert.home === null)?.message).toBe(
    `Cannot read config "${hostConfig}" at line 1, column 29: key "max_open_runs" is there twice, expected once`,
  );
  const shown = home.ask("config", "show");
  const { settings, error } = shown.json as {
    readonly settings: readonly { readonly key: string; readonly value: unknown }[];
    readonly error: { readonly code: string };
  };
  expect([shown.status, error.code, settings.find(({ key }) => key === "limits.max_open_runs")?.value]).toEqual([
    3,
    "config_invalid",
    32,
  ]);
  expect(readFileSync(at("live-jobs", "cron/jobs.json"))).toEqual(cut);
  expect(existsSync(at("live-cron", "cron"))).toBe(false);
  expect(existsSync(at("live-home"))).toBe(false);

  home.writeJobs(seconds, pathOf(home, "live-jobs"));
  writeFileSync(at("live-config", "config.yaml"), "{}\n");
  writeFileSync(at("live-variables", ".env"), "A=1\n");
  renameSync(at("live-cron", "cron-away"), at("live-cron", "cron"));
  renameSync(join(home.path, "away"), at("live-home"));
  writeFileSync(hostConfig, "limits: {max_open_runs: 32}\n");
  const mended = live.map((name) => completed(home, name));
  await until(() => live.every((name, index) => completed(home, name) >= mended[index]! + 2));
  const after = statusOf(home);
  expect(after.homes.filter((one) => one.state !== "active")).toEqual([]);
  expect(after.alerts.filter((alert) => alert.kind.startsWith("config") || alert.kind.startsWith("home"))).toEqual([]);
  expect(home.ask("verify").json).toMatchObject({ ok: true });
  expectOnTime(home);
}, 60_000);

/** Twenty homes that are mended at one moment share the processor and the disk with it: what is in trouble stays so for longer. */
const sharedMs = 4000;

/** Every second of the good home's job has its run, unless the one before it took longer, and none waited for a home in trouble. */
function expectOnTime(home: SupervisedHome): void {
  const slots = home
    .slots()
    .filter((slot) => slot.home === "other")
    .toSorted((a, b) => (a.scheduled_at < b.scheduled_at ? -1 : 1));
  const times = slots.map((slot) => Date.parse(slot.scheduled_at));
  expect(times).toEqual(times.map((_, index) => times[0]! + 1000 * index));
  const spans = home
    .runs()
    .filter((run) => run.home === "other")
    .map((run) => [Date.parse(run.claimed_at), run.ended_at === null ? Date.now() : Date.parse(run.ended_at)] as const);
  const isOverlap = (atMs: number): boolean => spans.some(([fromMs, toMs]) => fromMs < atMs && atMs <= toMs);
  const others = slots.filter(
    ({ decision, reason, scheduled_at }) =>
      decision !== "run" && decision !== "coalesce" && !(reason === "overlap" && isOverlap(Date.parse(scheduled_at))),
  );
  expect(others).toEqual([]);
  const waitedMs = slots.map((slot) => Date.parse(slot.decided_at) - Date.parse(slot.scheduled_at));
  expect(Math.max(...waitedMs)).toBeLessThan(sharedMs);
}

function spawnText(home: SupervisedHome): string {
  const program = new URL("../../src/cli/main.ts", import.meta.url).pathname;
  const options = ["--home", home.path, "--state", home.state, "status"];
  return spawnSync(process.execPath, [program, ...options], { encoding: "utf8" }).stdout;
}

/** Every file below a folder with its bytes and times. */
function listing(folder: string): readonly string[] {
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .sort()
    .map((name) => {
      const stat = statSync(join(folder, name), { bigint: true });
      return `${name} ${stat.isFile() ? readFileSync(join(folder, name), "latin1") : "folder"} ${stat.ino} ${stat.ctimeNs}`;
    });
}

/** Where nothing can be mounted, a folder in the place of the lock's file keeps everybody from writing. */
function blockLocks(path: string): () => void {
  mkdirSync(join(path, "cron/.tick.lock"));
  return () => rmSync(join(path, "cron/.tick.lock"), { recursive: true });
}

/** Puts the home's cron folder on a disk of its own that has no byte left. */
function fillDisk(path: string): { readonly state: string; readonly free: () => void } {
  const store = readFileSync(join(path, "cron/jobs.json"));
  const disk = mountSmallDisk(join(path, "cron"), 256 * 1024, onTestFinished);
  if (disk === null) {
    const free = blockLocks(path);
    return { state: "degraded", free };
  }
  writeFileSync(join(path, "cron/jobs.json"), store);
  disk.fill();
  return { state: "paused", free: disk.free };
}
