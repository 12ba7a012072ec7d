import { spawnSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
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

/** Every second of the good home's job has its run, and none was kept waiting. */
function expectOnTime(home: SupervisedHome): void {
  const slots = home
    .slots()
    .filter((slot) => slot.home === "other")
    .toSorted((a, b) => (a.scheduled_at < b.scheduled_at ? -1 : 1));
  const times = slots.map((slot) => Date.parse(slot.scheduled_at));
  expect(times).toEqual(times.map((_, index) => times[0]! + 1000 * index));
  expect(slots.filter((slot) => slot.decision !== "run").map((slot) => `${slot.decision} ${slot.reason}`)).toEqual([]);
  expect(Math.max(...slots.map((slot) => slot.lateness_ms ?? 0))).toBeLessThan(1000);
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
