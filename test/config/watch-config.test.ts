import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type Loaded, loadHomeConfig, loadHostConfig } from "../../src/config/load-config.ts";
import type { ConfigLayer } from "../../src/config/parse-config.ts";
import { createClock } from "../../src/system/real-clock.ts";
import { createFiles } from "../../src/system/real-files.ts";
import { createWatch, type Watch } from "../../src/system/watch.ts";
import { watchFile } from "../../src/system/watch-file.ts";
import { createFakeFiles } from "../helpers/fake-files.ts";
import { createFacts, hears } from "../helpers/watch-facts.ts";

const system = { files: createFiles(), clock: createClock() };
const silent = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };
let root: string;
let watch: Watch;
let stops: (() => void)[];

beforeEach(() => {
  root = mkdtempSync(join(realpathSync(tmpdir()), "watch-"));
  watch = createWatch(system.clock, silent);
  stops = [];
});

afterEach(async () => {
  for (const stop of stops) stop();
  await watch.close();
  rmSync(root, { recursive: true, force: true });
});

/** Reads a config as the daemon does: now, and whenever the watch tells of it. */
function watchConfig(path: string, changed: (loaded: Loaded<ConfigLayer>) => void) {
  const watching = watchFile(system, watch, path, () => {
    const last = loaded;
    loaded = loadHostConfig(system, path, last);
    if (loaded !== last) changed(loaded);
  });
  let loaded = loadHostConfig(system, path, null);
  return { current: () => loaded, stop: watching.stop };
}

function mount(folder: string, version: string, content: string): void {
  // As Kubernetes does it: config.yaml → ..data/config.yaml, and ..data → a folder of each version.
  mkdirSync(join(folder, `..${version}`));
  writeFileSync(join(folder, `..${version}`, "config.yaml"), content);
  symlinkSync(`..${version}`, join(folder, "..data_tmp"));
  renameSync(join(folder, "..data_tmp"), join(folder, "..data"));
}

test("loadHostConfig() and watchFile() read the file again after a swapped link, a rename, and an edit behind a link", async () => {
  const state = join(root, "supervisor");
  mkdirSync(state);
  mount(state, "v1", "stop: {grace: 1 s}\n");
  symlinkSync("..data/config.yaml", join(state, "config.yaml"));
  const facts = createFacts();
  const config = watchConfig(join(state, "config.yaml"), (loaded) => {
    facts.add(`${loaded.state} ${loaded.value.values.stop?.grace}`);
  });
  stops.push(config.stop);
  expect(config.current().value.values.stop?.grace).toBe(1000);
  await hears(watch, state);

  mount(state, "v2", "stop: {grace: 2 s}\n");
  await facts.wait("ok 2000");
  await hears(watch, join(state, "..v2"));
  writeFileSync(join(state, "..v2/config.yaml"), "stop: {grace: 3 s}\n");
  await facts.wait("ok 3000");
  writeFileSync(join(state, "new"), "stop: {grace: 4 s}\n");
  renameSync(join(state, "new"), join(state, "config.yaml"));
  await facts.wait("ok 4000");
});

test("loadHostConfig() keeps the last good value through a bad file, and recovers by itself", async () => {
  const path = join(root, "config.yaml");
  writeFileSync(path, "stop: {grace: 1 s}\n");
  const facts = createFacts();
  const config = watchConfig(path, (loaded) => facts.add(`${loaded.state} ${loaded.value.values.stop?.grace}`));
  stops.push(config.stop);
  await hears(watch, root);
  writeFileSync(path, "stop: {grace: 1}\n");
  await facts.wait("invalid 1000");
  expect(config.current().error?.message).toBe(
    `Cannot read config "${path}" at line 1, column 15: stop.grace is 1, expected a length of time with its unit, such as 10 s, 90 m or 2 h`,
  );
  writeFileSync(path, "stop: {grace: 5 s}\n");
  await facts.wait("ok 5000");
  expect(config.current().error).toBeNull();
  unlinkSync(path);
  await facts.wait("ok undefined");
});

test("loadHostConfig() and watchFile() apply each of 100 edits, made in place and by rename", async () => {
  const path = join(root, "config.yaml");
  const facts = createFacts();
  const config = watchConfig(path, (loaded) => facts.add(String(loaded.value.values.stop?.grace)));
  stops.push(config.stop);
  await hears(watch, root);
  for (let edit = 1; edit <= 100; edit++) {
    if (edit % 2 === 0) {
      writeFileSync(path, `stop: {grace: ${edit} s}\n`);
    } else {
      writeFileSync(`${path}.new`, `stop: {grace: ${edit} s}\n`);
      renameSync(`${path}.new`, path);
    }
    await facts.wait(String(edit * 1000));
  }
});

test("loadHostConfig() waits for a file that is written in parts, and reads it once it is closed", async () => {
  const path = join(root, "config.yaml");
  writeFileSync(path, "stop: {grace: 1 s}\n");
  const facts = createFacts();
  const config = watchConfig(path, (loaded) => facts.add(`${loaded.state} ${loaded.value.values.stop?.grace}`));
  stops.push(config.stop);
  await hears(watch, root);
  const descriptor = openSync(path, "w");
  for (const part of ["stop:\n", "  grace: 1", "2 s\n", "limits:\n  max_open_runs: 3\n"]) {
    await hears(watch, root);
    // Looked at in the middle, as by a tick: half a file is no reading.
    expect(loadHostConfig(system, path, config.current())).toBe(config.current());
    writeSync(descriptor, part);
  }
  closeSync(descriptor);
  await facts.wait("ok 12000");
  expect(facts.seen()).toEqual(["ok 12000"]);
});

test("loadHostConfig() takes a file that is removed and made anew for one edit", async () => {
  const path = join(root, "config.yaml");
  writeFileSync(path, "stop: {grace: 1 s}\n");
  const facts = createFacts();
  const config = watchConfig(path, (loaded) => facts.add(`${loaded.state} ${loaded.value.values.stop?.grace}`));
  stops.push(config.stop);
  await hears(watch, root);
  unlinkSync(path);
  // It is gone, and yet what counts is what counted.
  await facts.wait("ok 1000");
  writeFileSync(path, "stop: {grace: 2 s}\n");
  await facts.wait("ok 2000");
  expect(facts.seen()).not.toContain("ok undefined");
});

test("loadHostConfig() counts a content once, however often it is saved", () => {
  const path = join(root, "config.yaml");
  writeFileSync(path, "stop: {grace: 1 s}\n");
  const first = loadHostConfig(system, path, null);
  utimesSync(path, 1, 1);
  const touched = loadHostConfig(system, path, first);
  writeFileSync(`${path}.new`, "stop: {grace: 1 s}\n");
  renameSync(`${path}.new`, path);
  const renamed = loadHostConfig(system, path, touched);
  writeFileSync(path, "stop: {grace: 1}\n");
  const bad = loadHostConfig(system, path, renamed);
  writeFileSync(path, "stop: {grace: 1 s}\n");
  const mended = loadHostConfig(system, path, bad);
  writeFileSync(path, "stop: {grace: 2 s}\n");
  const second = loadHostConfig(system, path, mended);
  const readings = [first, touched, renamed, bad, mended, second];
  expect(readings.map(({ state, inForce, value }) => [state, inForce.generation, value.values.stop?.grace])).toEqual([
    ["ok", 1, 1000],
    ["ok", 1, 1000],
    ["ok", 1, 1000],
    ["invalid", 1, 1000],
    ["ok", 1, 1000],
    ["ok", 2, 2000],
  ]);
  expect(readings.map(({ value }) => value === first.value)).toEqual([true, true, true, true, true, false]);
  expect(bad.contentHash).not.toBe(bad.inForce.hash);
  expect(second.contentHash).toBe(second.inForce.hash);
});

test("loadHomeConfig() takes Hermes' part of a file whose supervisor section is bad, and the section when it is mended", () => {
  const path = join(root, "config.yaml");
  const texts = [
    "timezone: UTC\nsupervisor: {stop: {grace: 1 s}}\n",
    "timezone: Asia/Tokyo\nsupervisor: {stop: {grace: 1}}\n",
    "timezone: Asia/Tokyo\nsupervisor: {stop: {grace: 2 s}}\n",
    "timezone: [\nsupervisor: {stop: {grace: 3 s}}\n",
    "timezone: Asia/Tokyo\nsupervisor: {stop: {grace: 2 s}}\n",
    "timezone: UTC\nsupervisor: [3]\n",
    "timezone: Asia/Tokyo\nsupervisor: {stop: {grace: 2 s}}\n",
  ];
  let loaded = null as ReturnType<typeof loadHomeConfig> | null;
  const seen = texts.map((text) => {
    writeFileSync(path, text);
    loaded = loadHomeConfig(system, path, loaded);
    return [loaded.state, loaded.value.hermes, loaded.value.section.values.stop?.grace];
  });
  expect(seen).toEqual([
    ["ok", expect.objectContaining({ timezone: "UTC" }), 1000],
    ["invalid", expect.objectContaining({ timezone: "Asia/Tokyo" }), 1000],
    ["ok", expect.objectContaining({ timezone: "Asia/Tokyo" }), 2000],
    ["invalid", expect.objectContaining({ timezone: "Asia/Tokyo" }), 2000],
    ["ok", expect.objectContaining({ timezone: "Asia/Tokyo" }), 2000],
    ["invalid", expect.objectContaining({ timezone: "UTC" }), 2000],
    ["ok", expect.objectContaining({ timezone: "Asia/Tokyo" }), 2000],
  ]);
});

const unusable: readonly (readonly [what: string, make: (path: string) => void, problem: string])[] = [
  ["a folder", (path) => mkdirSync(path), "it is no plain file but a folder"],
  ["a dead link", (path) => symlinkSync("nowhere", path), "it is a link that leads nowhere, expected one to a file"],
  [
    "a link in a circle",
    (path) => symlinkSync("config.yaml", path),
    "its link leads in a circle, expected one to a file",
  ],
  ["binary", (path) => writeFileSync(path, Uint8Array.of(0x1f, 0x8b, 8, 0, 0)), "it is not UTF-8"],
  ["huge", (path) => writeFileSync(path, "#".repeat(3_000_000)), "it has more than 1048576 bytes"],
];

test("loadHostConfig() keeps the last good value when a file becomes unusable, and says how", () => {
  for (const [what, make, problem] of unusable) {
    const path = join(root, "config.yaml");
    writeFileSync(path, "stop: {grace: 1 s}\n");
    const good = loadHostConfig(system, path, null);
    rmSync(path);
    make(path);
    const loaded = loadHostConfig(system, path, good);
    expect([what, loaded.state, loaded.value, loaded.inForce]).toEqual([what, "invalid", good.value, good.inForce]);
    expect(loaded.error?.message.startsWith(`Cannot read config "${path}"`)).toBe(true);
    expect([what, loaded.error?.message.includes(problem), loaded.error?.message]).toEqual([
      what,
      true,
      loaded.error?.message,
    ]);
    rmSync(path, { recursive: true });
  }
});

test("loadHostConfig() waits no longer than two seconds for who holds a file open", () => {
  let nowMs = 1_700_000_000_000;
  const files = createFakeFiles(() => nowMs);
  const fake = { files, clock: { ...system.clock, nowMs: () => nowMs } };
  files.plant("/config.yaml", "stop: {grace: 1 s}\n");
  const first = loadHostConfig(fake, "/config.yaml", null);
  nowMs += 60_000;
  files.plant("/config.yaml", "stop: {grace: 2 s}\n");
  files.writing.add("/config.yaml");
  nowMs += 1900;
  expect(loadHostConfig(fake, "/config.yaml", first)).toBe(first);
  nowMs += 200;
  expect(loadHostConfig(fake, "/config.yaml", first).value.values.stop?.grace).toBe(2000);
});
