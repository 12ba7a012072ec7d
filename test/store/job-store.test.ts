import { execFile } from "node:child_process";
import {
  chmodSync,
  chownSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, onTestFinished, test } from "vitest";
import type { JobPatch } from "../../src/core/job.ts";
import { createZone } from "../../src/core/zone.ts";
import { createJobStore, type JobStore, type JobStoreOptions } from "../../src/store/job-store.ts";
import { CorruptStoreError, jobsFileBytesMax } from "../../src/store/jobs-file.ts";
import type { Clock } from "../../src/system/clock.ts";
import { LockHeldError } from "../../src/system/lock.ts";
import { createFakeFiles } from "../helpers/fake-files.ts";
import { createFakeLocks, type LockTable } from "../helpers/fake-lock.ts";
import { createStoreSystem } from "../helpers/store-system.ts";

const options: JobStoreOptions = { naiveZone: createZone("UTC", 0), nowText: () => "now" };
const waitMs = 20;
const run = promisify(execFile);

test("read() finds no jobs where there is no file, no folder and no home, and makes none of them", () => {
  const folder = createFolder();
  for (const path of [folder, join(folder, "cron"), join(folder, "none", "cron")]) {
    expect(openStore(path).read()).toEqual({ jobs: [], strays: [], features: { runFields: false }, identity: null });
  }
  expect(readdirSync(folder)).toEqual([]);
});

test("rest() changes nothing of what is read or written, also when the file changes meanwhile", () => {
  const folder = createFolder();
  const path = join(folder, "jobs.json");
  writeStore(path, ["a", "b"]);
  const store = openLaterStore(folder);
  const first = store.read();
  store.rest();
  expect(store.read()).toBe(first);
  const patches = new Map([["b", { state: "paused" }]]);
  const staged = store.stage(first, patches);
  store.update(() => patches, waitMs, staged);
  staged?.finish();
  expect(staged).not.toBeNull();
  expect(store.read().jobs.map(({ id, state }) => [id, state])).toEqual([
    ["a", "scheduled"],
    ["b", "paused"],
  ]);
  store.rest();
  expect(store.recordText("b")).toContain("paused");
  store.rest();
  writeStore(`${path}.new`, ["b", "c"]);
  renameSync(`${path}.new`, path);
  store.update(() => new Map([["c", { state: "paused" }]]), waitMs);
  expect(store.read().jobs.map(({ id, state }) => [id, state])).toEqual([
    ["b", "scheduled"],
    ["c", "paused"],
  ]);
});

test("read() gives the same snapshot until the file changes, and sees it come and go", () => {
  const folder = createFolder();
  const path = join(folder, "jobs.json");
  const store = openLaterStore(folder);
  expect(store.read().jobs).toEqual([]);
  writeStore(path, ["a"]);
  const first = store.read();
  expect(idsOf(store)).toEqual(["a"]);
  expect(store.read()).toBe(first);
  writeStore(`${path}.new`, ["a", "b"]);
  renameSync(`${path}.new`, path);
  expect(idsOf(store)).toEqual(["a", "b"]);
  rmSync(path);
  expect(store.read().jobs).toEqual([]);
});

test("update() puts what was staged in place if nothing changed meanwhile, and leaves nothing behind", () => {
  const folder = createFolder();
  const path = join(folder, "jobs.json");
  const store = openLaterStore(folder);
  writeStore(path, ["a", "b"]);
  const patches = new Map<string, JobPatch>([["a", { state: "paused" }]]);
  const staged = store.stage(store.read(), patches);
  const [temporary] = readdirSync(folder).filter((name) => name.endsWith(".tmp"));
  const inode = statSync(join(folder, temporary ?? "none")).ino;
  expect(store.read().jobs[0]?.state).toBe("scheduled");
  store.update(() => patches, waitMs, staged);
  staged?.finish();
  expect(store.read().jobs[0]?.state).toBe("paused");
  expect(statSync(path).ino).toBe(inode);
  expect(readdirSync(folder).filter((name) => name.endsWith(".tmp"))).toEqual([]);
});

test("update() leaves what was staged aside if the file or the patches are others by then", () => {
  const folder = createFolder();
  const path = join(folder, "jobs.json");
  const store = openLaterStore(folder);
  writeStore(path, ["a", "b"]);
  const patches = new Map<string, JobPatch>([["a", { state: "paused" }]]);
  const staged = store.stage(store.read(), patches);
  writeStore(path, ["a", "b", "c"]);
  store.update(() => patches, waitMs, staged);
  staged?.finish();
  expect(idsOf(store)).toEqual(["a", "b", "c"]);
  expect(store.read().jobs[0]?.state).toBe("paused");
  const other = store.stage(store.read(), new Map([["a", { state: "scheduled" }]]));
  store.update(() => new Map([["b", { state: "paused" }]]), waitMs, other);
  other?.finish();
  expect(store.read().jobs.map((job) => job.state)).toEqual(["paused", "paused", "scheduled"]);
  expect(readdirSync(folder).filter((name) => name.endsWith(".tmp"))).toEqual([]);
});

test("read() sees a rewrite in place of the same length, and with the old time put back", () => {
  const folder = createFolder();
  const path = join(folder, "jobs.json");
  const store = openStore(folder);
  for (const id of ["a", "b", "c", "d", "e"]) {
    writeStore(path, [id]);
    expect(idsOf(store)).toEqual([id]);
  }
  const { mtime, atime } = statSync(path);
  writeStore(path, ["f"]);
  utimesSync(path, atime, mtime);
  expect(idsOf(store)).toEqual(["f"]);
});

test("read() keeps the jobs whose records did not change, when others come, go and change", () => {
  const folder = createFolder();
  const path = join(folder, "jobs.json");
  const store = openStore(folder);
  writeStore(path, ["a", "b", "c", "d"]);
  const [a, b, c, d] = store.read().jobs;
  writeStore(path, ["a", "x", "y", "c", "d"]);
  const after = store.read().jobs;
  expect(after.map((job) => job.id)).toEqual(["a", "x", "y", "c", "d"]);
  expect([after[0], after[3], after[4]]).toEqual([a, c, d]);
  expect([after[0] === a, after[3] === c, after[4] === d]).toEqual([true, true, true]);
  writeStore(path, ["b", "a"]);
  expect(store.read().jobs).toEqual([b, a]);
  writeStore(path, []);
  expect(store.read().jobs).toEqual([]);
});

test("read() gives every job but the first of an id a fault, and says what is no job", () => {
  const folder = createFolder();
  writeFileSync(
    join(folder, "jobs.json"),
    `{"jobs": [${record("a")}, 7, {"name": "n"}, ${record("a")}, ${record("b")}, ${record("a")}]}`,
  );
  const { jobs, strays } = openStore(folder).read();
  const twin = 'Another job further up has the same id "a"';
  expect(jobs.map((job) => [job.id, job.fault])).toEqual([
    ["a", null],
    ["a", twin],
    ["b", null],
    ["a", twin],
  ]);
  expect(strays).toEqual(['Entry 2 of "jobs" is 7, expected an object', 'Record 2 of "jobs" has no id, give it one']);
});

test("read() refuses what is no file and what is too large, without reading it", () => {
  const folder = createFolder();
  const path = join(folder, "jobs.json");
  const store = openStore(folder);
  mkdirSync(path);
  const advice = "mend the file or put a good copy in its place";
  expect(() => store.read()).toThrow(new CorruptStoreError(path, "it is a folder, expected a file", null));
  expect(() => store.read()).toThrow(`Cannot read jobs "${path}": it is a folder, expected a file, ${advice}`);
  rmSync(path, { recursive: true });
  writeFileSync(path, "");
  truncateSync(path, jobsFileBytesMax + 1);
  expect(() => store.read()).toThrow(
    `Cannot read jobs "${path}": it has 33554433 bytes, expected at most 33554432, ${advice}`,
  );
});

test("read() refuses a file that holds something in place of the jobs, and a write leaves it as it is", () => {
  const folder = createFolder();
  const path = join(folder, "jobs.json");
  const store = openStore(folder);
  writeStore(path, ["a"]);
  expect(idsOf(store)).toEqual(["a"]);
  const noObjects = 'no entry of "jobs" is an object, expected one for each job';
  for (const [text, place, problem] of [
    ['{"jobs": null}', { line: 1, column: 10 }, '"jobs" is null, expected a list'],
    ['{\n  "jobs": 3}', { line: 2, column: 11 }, '"jobs" is 3, expected a list'],
    ['{"jobs": "x"}', { line: 1, column: 10 }, '"jobs" is "x", expected a list'],
    ["\ufeff \n[1, 2]", { line: 2, column: 1 }, noObjects],
    ['{"jobs": [null]}', { line: 1, column: 10 }, noObjects],
    ['{"updated_at": 1, "jobs": {"k": 5}}', { line: 1, column: 27 }, noObjects],
  ] as const) {
    writeFileSync(path, text);
    expect(() => store.read()).toThrow(new CorruptStoreError(path, problem, place));
    expect(() => store.update(() => new Map(), waitMs)).toThrow(CorruptStoreError);
    expect(readFileSync(path, "utf8")).toBe(text);
  }
  writeFileSync(path, "[]");
  expect(store.read().jobs).toEqual([]);
});

test("read() refuses a link that leads nowhere or in a circle, until it leads to a file", () => {
  const folder = createFolder();
  const path = join(folder, "jobs.json");
  const store = openStore(folder);
  symlinkSync(join(folder, "real.json"), path);
  const nowhere = "it is a link that leads nowhere, expected a file";
  expect(() => store.read()).toThrow(new CorruptStoreError(path, nowhere, null));
  writeStore(join(folder, "real.json"), ["a"]);
  expect(idsOf(store)).toEqual(["a"]);
  rmSync(join(folder, "real.json"));
  expect(() => store.read()).toThrow(new CorruptStoreError(path, nowhere, null));
  rmSync(path);
  symlinkSync(path, path);
  expect(() => store.read()).toThrow(
    new CorruptStoreError(path, "it is a link that leads in a circle, expected a file", null),
  );
});

test("update() tells of each next_run_at that it replaced and that nobody could read, once it is written", () => {
  const folder = createFolder();
  const path = join(folder, "jobs.json");
  const told: string[][] = [];
  const store = openStore(folder, { onMended: (id, fault, now) => told.push([id, fault, now]) });
  const unread = '{"id": "b", "next_run_at": "soon"}';
  writeFileSync(path, `{"jobs": [${record("a")}, ${unread}, {"id": "c", "next_run_at": 5}]}`);
  const patch = (id: string, nextRunAt: string | null) => store.update(() => new Map([[id, { nextRunAt }]]), waitMs);
  patch("a", "2026-11-21T09:00:00+00:00");
  expect(told).toEqual([]);
  patch("b", "2026-11-21T09:00:00+00:00");
  patch("b", "2026-11-21T10:00:00+00:00");
  const expected = "expected a time such as 2026-11-21T09:00:00+00:00";
  expect(told).toEqual([["b", `The next_run_at is "soon", ${expected}`, "2026-11-21T09:00:00+00:00"]]);
  patch("c", null);
  expect(told[1]).toEqual(["c", `The next_run_at is 5, ${expected}`, "none"]);
});

test("update() changes one record among 10,000 and no other byte but the time", () => {
  const folder = createFolder();
  const path = join(folder, "jobs.json");
  writeFileSync(path, largeStore());
  const before = readFileSync(path, "utf8").split("\n");
  openStore(folder).update(
    () => new Map([["job-7777", { lastStatus: "ok", fireClaim: { at: "t", by: "o" } }]]),
    waitMs,
  );
  const after = readFileSync(path, "utf8").split("\n");
  const added = ['      "fire_claim": {', '        "at": "t",', '        "by": "o"', "      }"];
  const at = after.indexOf(added[0] ?? "");
  expect(after.slice(at, at + 4)).toEqual(added);
  after.splice(at, 4);
  const different = after.flatMap((line, index) => (line === before[index] ? [] : [line]));
  expect(after.length).toBe(before.length);
  expect(different).toEqual(['      "last_status": "ok",', '      "workdir": null,', '  "updated_at": "now"']);
});

test("update() decides by what is in the file now, and gives back what is there after it", () => {
  const folder = createFolder();
  const path = join(folder, "jobs.json");
  writeStore(path, ["a"]);
  const store = openStore(folder);
  store.read();
  writeStore(path, ["a", "b"]);
  const seen: string[] = [];
  store.update((snapshot) => {
    seen.push(...snapshot.jobs.map((job) => job.id));
    return new Map([["b", { state: "completed" }]]);
  }, waitMs);
  expect(seen).toEqual(["a", "b"]);
  const after = store.read();
  expect(after.jobs.map((job) => job.state)).toEqual(["scheduled", "completed"]);
  expect(store.read()).toBe(after);
  expect(openStore(folder).read().jobs).toEqual(after.jobs);
});

test("update() writes nothing when nothing changes, and keeps its snapshot", () => {
  const folder = createFolder();
  const path = join(folder, "jobs.json");
  writeStore(path, ["a"]);
  const store = openLaterStore(folder);
  const before = statSync(path, { bigint: true });
  const snapshot = store.read();
  store.update(() => new Map(), waitMs);
  expect(store.read()).toBe(snapshot);
  store.update(() => new Map([["a", { enabled: true, state: "scheduled", runClaim: null }]]), waitMs);
  expect(store.read()).toBe(snapshot);
  expect(statSync(path, { bigint: true }).ctimeNs).toBe(before.ctimeNs);
  expect(readdirSync(folder).sort()).toEqual([".jobs.lock", "jobs.json"]);
});

test("update() goes on in the text that it wrote itself, many times over", () => {
  const folder = createFolder();
  const path = join(folder, "jobs.json");
  writeStore(path, ["a", "b", "c"]);
  const store = openStore(folder);
  for (let count = 1; count <= 30; count += 1) {
    const id = ["a", "b", "c"][count % 3] ?? "";
    store.update(
      () => new Map([[id, { lastError: "x".repeat(count), lastStatus: count % 2 ? "ok" : "error" }]]),
      waitMs,
    );
  }
  const own = store.read().jobs;
  expect(openStore(folder).read().jobs).toEqual(own);
  expect(own.map((job) => job.lastError?.length)).toEqual([30, 28, 29]);
  expect(JSON.parse(readFileSync(path, "utf8"))).toMatchObject({ updated_at: "now" });
});

test("update() refuses a patch for a job that is not there, and lets go of the lock", () => {
  const folder = createFolder();
  const path = join(folder, "jobs.json");
  writeStore(path, ["a"]);
  const store = openStore(folder);
  const before = readFileSync(path, "utf8");
  const patches = new Map<string, JobPatch>([
    ["a", { state: "x" }],
    ["b", { state: "x" }],
  ]);
  expect(() => store.update(() => patches, waitMs)).toThrow(
    new RangeError(`Cannot change job "b": "${path}" does not have it`),
  );
  expect(readFileSync(path, "utf8")).toBe(before);
  store.update(() => new Map([["a", { state: "y" }]]), 0);
  expect(store.read().jobs[0]?.state).toBe("y");
});

test("update() changes the first of two jobs with one id, and leaves the other", () => {
  const folder = createFolder();
  const path = join(folder, "jobs.json");
  writeFileSync(path, '{"jobs": [{"id": "a"}, {"id": "a"}], "updated_at": 1}');
  openStore(folder).update(() => new Map([["a", { state: "x" }]]), waitMs);
  expect(readFileSync(path, "utf8")).toBe('{"jobs": [{"id": "a", "state": "x"}, {"id": "a"}], "updated_at": "now"}');
});

test("update() writes the fields of 0.22 where a record of the store or the installed Hermes has them", () => {
  const patch = new Map([["a", { failureStreak: 3 }]]);
  const write = (text: string, more: Partial<JobStoreOptions>): string => {
    const folder = createFolder();
    writeFileSync(join(folder, "jobs.json"), text);
    openStore(folder, more).update(() => patch, waitMs);
    return readFileSync(join(folder, "jobs.json"), "utf8");
  };
  const old = '{"jobs": [{"id": "a"}, {"id": "b"}]}';
  expect(write(old, {})).toBe(old);
  expect(write(old, { installed: { runFields: true } })).toContain('{"id": "a", "failure_streak": 3}');
  expect(write('{"jobs": [{"id": "a"}, {"id": "b", "last_failure": null}]}', {})).toContain(
    '{"id": "a", "failure_streak": 3}',
  );
});

test("update() escapes new text in a store that 0.19 wrote, and only there", () => {
  for (const [name, written] of [
    ['"\\u00e9"', '"\\u2615"'],
    ['"é"', '"☕"'],
  ] as const) {
    const folder = createFolder();
    const path = join(folder, "jobs.json");
    writeFileSync(path, `{"jobs": [{"id": "a", "name": ${name}}], "updated_at": "x"}`);
    openStore(folder).update(() => new Map([["a", { lastError: "☕" }]]), waitMs);
    expect(readFileSync(path, "utf8")).toBe(
      `{"jobs": [{"id": "a", "name": ${name}, "last_error": ${written}}], "updated_at": "now"}`,
    );
  }
});

test("update() keeps a link, and the mode and the owner of the file that it points at", () => {
  const folder = createFolder();
  mkdirSync(join(folder, "elsewhere"));
  mkdirSync(join(folder, "cron"));
  const target = join(folder, "elsewhere", "store.json");
  writeStore(target, ["a"]);
  chmodSync(target, 0o640);
  if (process.geteuid?.() === 0) chownSync(target, 1234, 2345);
  symlinkSync("../elsewhere/store.json", join(folder, "cron", "jobs.json"));
  const before = statSync(target);
  openStore(join(folder, "cron")).update(() => new Map([["a", { state: "x" }]]), waitMs);
  const after = statSync(target);
  expect(lstatSync(join(folder, "cron", "jobs.json")).isSymbolicLink()).toBe(true);
  expect([after.mode, after.uid, after.gid]).toEqual([before.mode, before.uid, before.gid]);
  expect(readFileSync(target, "utf8")).toContain('"state": "x"');
  expect(readdirSync(join(folder, "elsewhere"))).toEqual(["store.json"]);
  expect(readdirSync(join(folder, "cron")).sort()).toEqual([".jobs.lock", "jobs.json"]);
});

test("update() never writes over a file that it cannot read, at whatever byte that is cut off", () => {
  const folder = createFolder();
  const path = join(folder, "jobs.json");
  writeStore(path, ["a"]);
  const whole = readFileSync(path);
  const store = openStore(folder);
  store.read();
  for (let length = 0; length < whole.length; length += 1) {
    writeFileSync(path, whole.subarray(0, length));
    expect(() => store.update(() => new Map([["a", { state: "x" }]]), waitMs)).toThrow(CorruptStoreError);
    expect(readFileSync(path).equals(whole.subarray(0, length))).toBe(true);
  }
  writeFileSync(path, whole);
  store.update(() => new Map([["a", { state: "x" }]]), waitMs);
  expect(store.read().jobs[0]?.state).toBe("x");
  expect(readdirSync(folder).sort()).toEqual([".jobs.lock", "jobs.json"]);
});

test("update() in a folder that is gone throws, and does not bring it back", () => {
  const folder = createFolder();
  const store = openStore(join(folder, "profiles", "gone", "cron"));
  expect(() => store.update(() => new Map(), waitMs)).toThrow(expect.objectContaining({ code: "ENOENT" }));
  expect(readdirSync(folder)).toEqual([]);
});

test("update() throws who holds the jobs lock, and asks for no decision", () => {
  const { files, table, store } = createFakeStore(["a"]);
  createFakeLocks(files, table, 7).tryLock("/tmp/cron/.jobs.lock");
  const decide = () => {
    throw new Error("asked");
  };
  expect(() => store.update(decide, 5)).toThrow(new LockHeldError("/tmp/cron/.jobs.lock", 7, 5));
});

test("updateWhenFree() waits for the lock, and throws when it has waited long enough", async () => {
  const { files, table, store, tick } = createFakeStore(["a"]);
  const theirs = createFakeLocks(files, table, 7).tryLock("/tmp/cron/.jobs.lock");
  const update = store.updateWhenFree(() => new Map([["a", { state: "x" }]]), 1000);
  await tick();
  expect(store.read().jobs[0]?.state).toBe("scheduled");
  theirs?.release();
  await tick();
  await update;
  expect(store.read().jobs[0]?.state).toBe("x");
  createFakeLocks(files, table, 7).tryLock("/tmp/cron/.jobs.lock");
  const late = expect(store.updateWhenFree(() => new Map(), 30)).rejects.toThrow(
    new LockHeldError("/tmp/cron/.jobs.lock", 7, 30),
  );
  await tick();
  await tick();
  await late;
});

test("update() on a full disk throws, changes nothing and works again later", () => {
  const { files, store } = createFakeStore(["a"]);
  const before = files.readText("/tmp/cron/jobs.json");
  const full = Object.assign(new Error("ENOSPC: no space left on device, write"), { code: "ENOSPC" });
  store.update(() => new Map(), waitMs);
  files.beforeChange = (_, path) => {
    if (path.endsWith(".tmp")) throw full;
  };
  expect(() => store.update(() => new Map([["a", { state: "x" }]]), waitMs)).toThrow(full);
  expect(files.readText("/tmp/cron/jobs.json")).toBe(before);
  expect(store.read().jobs[0]?.state).toBe("scheduled");
  files.beforeChange = () => undefined;
  store.update(() => new Map([["a", { state: "x" }]]), waitMs);
  expect(store.read().jobs[0]?.state).toBe("x");
  expect(files.list("/tmp/cron")).toEqual([".jobs.lock", "jobs.json"]);
});

test("read() trusts a file's times only once they are old enough to tell two writes apart", () => {
  const { files, store, setNow } = createFakeStore(["a"]);
  const stat = files.stat("/tmp/cron/jobs.json");
  const changedMs = Number((stat?.changedNs ?? 0n) / 1_000_000n);
  let text = storeText(["a"]);
  files.stat = () => stat;
  files.read = () => Buffer.from(text);
  const idAfter = (id: string): string | undefined => {
    text = storeText([id]);
    return store.read().jobs[0]?.id;
  };
  setNow(changedMs + 5);
  expect([idAfter("a"), idAfter("b")]).toEqual(["a", "b"]);
  setNow(changedMs + 1000);
  expect([idAfter("c"), idAfter("d")]).toEqual(["c", "c"]);
});

test("read() looks again when a file changes while it is read", () => {
  const { files, store } = createFakeStore(["a"]);
  const read = files.read;
  let reads = 0;
  files.read = (path) => {
    reads += 1;
    const whole = Buffer.from(read(path));
    if (reads > 2) return whole;
    files.replace(path, ".x", storeText(["a", `b${reads}`]), 0o600);
    return whole.subarray(0, 20);
  };
  expect(store.read().jobs.map((job) => job.id)).toEqual(["a", "b2"]);
  expect(reads).toBe(3);
});

test("update() in two processes at once, and in one of Python's, loses no change", async () => {
  const folder = createFolder();
  writeFileSync(
    join(folder, "jobs.json"),
    JSON.stringify({ jobs: ["a", "b", "c"].map((id) => ({ id, failure_streak: 0 })) }, null, 2),
  );
  const program = fileURLToPath(new URL("../fixtures/count-up.ts", import.meta.url));
  await Promise.all([
    run(process.execPath, [program, folder, "a", "40"]),
    run(process.execPath, [program, folder, "b", "40"]),
    run("python3", ["-c", countUp, folder, "c", "40"]),
  ]);
  const { jobs }: { readonly jobs: readonly object[] } = JSON.parse(readFileSync(join(folder, "jobs.json"), "utf8"));
  expect(jobs).toEqual(["a", "b", "c"].map((id) => ({ id, failure_streak: 40 })));
  expect(readdirSync(folder).sort()).toEqual([".jobs.lock", "jobs.json"]);
});

/** As Hermes does it: poll the lock, read, change, write beside, rename. */
const countUp = `
import fcntl, json, os, sys, time
folder, job_id, times = sys.argv[1], sys.argv[2], int(sys.argv[3])
path = os.path.join(folder, "jobs.json")
for _ in range(times):
    with open(os.path.join(folder, ".jobs.lock"), "a+") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError:
                time.sleep(0.002)
        with open(path) as f:
            store = json.load(f)
        next(j for j in store["jobs"] if j["id"] == job_id)["failure_streak"] += 1
        with open(path + ".py", "w") as f:
            json.dump(store, f, indent=2)
        os.replace(path + ".py", path)
    time.sleep(0.001)
`;

function openStore(folder: string, more: Partial<JobStoreOptions> = {}): JobStore {
  return createJobStore(createStoreSystem(), folder, { ...options, ...more });
}

function idsOf(store: JobStore): readonly string[] {
  return store.read().jobs.map((job) => job.id);
}

function createFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "store-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  return folder;
}

function record(id: string): string {
  return JSON.stringify({
    id,
    schedule: { kind: "interval", minutes: 5 },
    enabled: true,
    state: "scheduled",
    last_status: null,
    workdir: null,
  });
}

function storeText(ids: readonly string[]): string {
  const jobs = ids.map((id): unknown => JSON.parse(record(id)));
  return JSON.stringify({ jobs, updated_at: "x" }, null, 2);
}

function writeStore(path: string, ids: readonly string[]): void {
  writeFileSync(path, storeText(ids));
}

function largeStore(): string {
  return storeText(Array.from({ length: 10_000 }, (_, index) => `job-${index}`));
}

/** A store to which every file is old enough for its times to tell it from any later one. */
function openLaterStore(folder: string): JobStore {
  const system = createStoreSystem();
  const clock: Clock = { ...system.clock, nowMs: () => system.clock.nowMs() + 60_000 };
  return createJobStore({ ...system, clock }, folder, options);
}

/** A store in memory, and a clock whose timers fire when the test says so. */
function createFakeStore(ids: readonly string[]) {
  const files = createFakeFiles();
  files.makeFolder("/tmp/cron", 0o700, false);
  files.create("/tmp/cron/jobs.json", storeText(ids), 0o600);
  const table: LockTable = new Map();
  let nowMs = 0;
  let timers: { readonly atMs: number; readonly act: () => void }[] = [];
  const clock: Clock = {
    nowMs: () => nowMs,
    monotonicMs: () => nowMs,
    after(delayMs, act) {
      timers.push({ atMs: nowMs + delayMs, act });
      return { cancel: () => undefined };
    },
    wait(ms) {
      nowMs += ms;
    },
  };
  const tick = async (): Promise<void> => {
    const due = timers;
    timers = [];
    for (const timer of due) {
      nowMs = Math.max(nowMs, timer.atMs);
      timer.act();
    }
    await new Promise((resolve) => setImmediate(resolve));
  };
  const random = { uuidHex: () => "0".repeat(32), token: (length: number) => "x".repeat(length), number: () => 0 };
  const store = createJobStore({ clock, files, locks: createFakeLocks(files, table, 8), random }, "/tmp/cron", options);
  const setNow = (ms: number): void => {
    nowMs = ms;
  };
  return { files, table, store, tick, setNow };
}
