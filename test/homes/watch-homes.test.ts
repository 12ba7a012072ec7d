import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { watchHostConfig } from "../../src/config/watch-config.ts";
import { findHomes } from "../../src/homes/find-homes.ts";
import { watchHomes } from "../../src/homes/watch-homes.ts";
import { createClock } from "../../src/system/real-clock.ts";
import { createFiles } from "../../src/system/real-files.ts";
import { createWatch, type Watch } from "../../src/system/watch.ts";

const system = { files: createFiles(), clock: createClock() };
const silent = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };
let root: string;
let watch: Watch;
let stops: (() => void)[];

beforeEach(() => {
  root = mkdtempSync(join(realpathSync(tmpdir()), "watch-"));
  mkdirSync(join(root, "cron"));
  mkdirSync(join(root, "profiles/coder/cron"), { recursive: true });
  for (const home of [root, join(root, "profiles/coder")]) {
    writeFileSync(join(home, "config.yaml"), "a: 1\n");
    writeFileSync(join(home, ".env"), "A=1\n");
    writeFileSync(join(home, "cron/jobs.json"), "{}");
  }
  watch = createWatch(system.clock, silent);
  stops = [];
});
afterEach(async () => {
  for (const stop of stops) stop();
  await watch.close();
  rmSync(root, { recursive: true, force: true });
});

/** Facts that a callback reported, and a wait for each. */
function createFacts() {
  const facts: { readonly fact: string; readonly atMs: number }[] = [];
  let wake = () => {};
  return {
    add(fact: string): void {
      facts.push({ fact, atMs: performance.now() });
      wake();
    },
    clear(): void {
      facts.length = 0;
    },
    async wait(fact: string): Promise<number> {
      for (;;) {
        const found = facts.find((candidate) => candidate.fact === fact);
        if (found !== undefined) return found.atMs;
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    },
    seen: () => facts.map(({ fact }) => fact),
  };
}

/** Resolves when the watch of `folder` tells of what is done to it: only then does a missed event mean something. */
async function listening(folder: string): Promise<void> {
  const probe = join(folder, ".probe");
  await new Promise<void>((resolve) => {
    const timer = setInterval(() => writeFileSync(probe, String(performance.now())), 5);
    const watching = watch.folder(folder, (name) => {
      if (name !== ".probe") return;
      clearInterval(timer);
      watching.stop();
      resolve();
    });
  });
  unlinkSync(probe);
}

async function start() {
  const facts = createFacts();
  const homes = watchHomes(
    system,
    watch,
    root,
    (home, change) => facts.add(`${home} ${change}`),
    () => {
      homes.setHomes(findHomes(system, root).homes);
      facts.add(
        `homes: ${findHomes(system, root)
          .homes.map(({ name }) => name)
          .join(" ")}`,
      );
    },
  );
  stops.push(homes.stop);
  homes.setHomes(findHomes(system, root).homes);
  for (const folder of ["", "cron", "profiles", "profiles/coder", "profiles/coder/cron"])
    await listening(join(root, folder));
  return facts;
}

const edits: readonly (readonly [name: string, fact: string, edit: (home: string) => void])[] = [
  ["in place", "config", (home) => writeFileSync(join(home, "config.yaml"), "a: 2\n")],
  ["appended", "env", (home) => appendFileSync(join(home, ".env"), "B=2\n")],
  [
    "by rename",
    "jobs",
    (home) => {
      writeFileSync(join(home, "cron/.jobs_x.tmp"), '{"jobs": []}');
      renameSync(join(home, "cron/.jobs_x.tmp"), join(home, "cron/jobs.json"));
    },
  ],
  ["removed", "env", (home) => unlinkSync(join(home, ".env"))],
  ["made", "hold", (home) => writeFileSync(join(home, "ESTOP"), "")],
  ["drain", "hold", (home) => writeFileSync(join(home, ".drain_request.json"), "{}")],
  ["parked", "hold", (home) => writeFileSync(join(home, "gateway.parked"), "")],
  [
    "the cron folder replaced",
    "jobs",
    (home) => {
      renameSync(join(home, "cron"), join(home, "cron.old"));
      mkdirSync(join(home, "cron"));
      writeFileSync(join(home, "cron/jobs.json"), "{} ");
    },
  ],
];

test("watchHomes() tells of every way to change a file, in the root home and in a profile", async () => {
  const facts = await start();
  for (const [home, path] of [
    ["default", root],
    ["coder", join(root, "profiles/coder")],
  ] as const) {
    for (const [, change, edit] of edits) {
      facts.clear();
      edit(path);
      await facts.wait(`${home} ${change}`);
    }
    // And the new cron folder is watched like the old one.
    await listening(join(path, "cron"));
    facts.clear();
    writeFileSync(join(path, "cron/jobs.json"), '{"jobs":[]}');
    await facts.wait(`${home} jobs`);
  }
});

test("watchHomes() keeps quiet about what is none of its business", async () => {
  const facts = await start();
  facts.clear();
  writeFileSync(join(root, "cron/.tick.lock"), "");
  writeFileSync(join(root, "SOUL.md"), "x");
  writeFileSync(join(root, "cron/jobs.json"), "{ }");
  await facts.wait("default jobs");
  writeFileSync(join(root, "config.yaml"), "b: 1\n");
  await facts.wait("default config");
  // The profile of before may still be reported as new.
  const seen = facts.seen().filter((fact) => fact !== "homes: default coder");
  expect(new Set(seen)).toEqual(new Set(["default jobs", "default config"]));
});

test("watchHomes() sees profiles come, go and come back", async () => {
  const facts = await start();
  const fresh = join(root, "profiles/fresh");
  for (let round = 0; round < 3; round++) {
    facts.clear();
    mkdirSync(fresh);
    writeFileSync(join(fresh, "config.yaml"), "");
    await facts.wait("homes: default coder fresh");
    mkdirSync(join(fresh, "cron"));
    await listening(join(fresh, "cron"));
    writeFileSync(join(fresh, "cron/jobs.json"), "{}");
    await facts.wait("fresh jobs");
    facts.clear();
    mkdirSync(join(root, "profiles/.deleted"), { recursive: true });
    writeFileSync(join(root, "profiles/.deleted/fresh"), "deleted\n");
    await facts.wait("homes: default coder");
    facts.clear();
    rmSync(fresh, { recursive: true });
    rmSync(join(root, "profiles/.deleted"), { recursive: true });
    await facts.wait("homes: default coder");
  }
});

test("watchHomes() sees the whole root vanish and come back", async () => {
  const facts = await start();
  renameSync(root, `${root}.away`);
  await facts.wait("homes: ");
  facts.clear();
  renameSync(`${root}.away`, root);
  await facts.wait("homes: default coder");
  await listening(join(root, "profiles/coder"));
  facts.clear();
  writeFileSync(join(root, "profiles/coder/config.yaml"), "c: 3\n");
  await facts.wait("coder config");
});

function mount(folder: string, version: string, content: string): void {
  // As Kubernetes does it: config.yaml → ..data/config.yaml, and ..data → a folder of each version.
  mkdirSync(join(folder, `..${version}`));
  writeFileSync(join(folder, `..${version}`, "config.yaml"), content);
  symlinkSync(`..${version}`, join(folder, "..data_tmp"));
  renameSync(join(folder, "..data_tmp"), join(folder, "..data"));
}

test("watchHostConfig() reads the file again after a swapped link, a rename, and an edit behind a link", async () => {
  const state = join(root, "supervisor");
  mkdirSync(state);
  mount(state, "v1", "stop: {grace: 1 s}\n");
  symlinkSync("..data/config.yaml", join(state, "config.yaml"));
  const facts = createFacts();
  const config = watchHostConfig(system, watch, join(state, "config.yaml"), (loaded) => {
    facts.add(`${loaded.state} ${loaded.value.values.stop?.grace}`);
  });
  stops.push(config.stop);
  expect(config.current().value.values.stop?.grace).toBe(1000);
  await listening(state);

  mount(state, "v2", "stop: {grace: 2 s}\n");
  await facts.wait("ok 2000");
  await listening(join(state, "..v2"));
  writeFileSync(join(state, "..v2/config.yaml"), "stop: {grace: 3 s}\n");
  await facts.wait("ok 3000");
  writeFileSync(join(state, "new"), "stop: {grace: 4 s}\n");
  renameSync(join(state, "new"), join(state, "config.yaml"));
  await facts.wait("ok 4000");
});

test("watchHostConfig() keeps the last good value through a bad file, and recovers by itself", async () => {
  const path = join(root, "config.yaml");
  writeFileSync(path, "stop: {grace: 1 s}\n");
  const facts = createFacts();
  const config = watchHostConfig(system, watch, path, (loaded) =>
    facts.add(`${loaded.state} ${loaded.value.values.stop?.grace}`),
  );
  stops.push(config.stop);
  await listening(root);
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

test("watchHostConfig() applies each of 100 edits, made in place and by rename", async () => {
  const path = join(root, "config.yaml");
  const facts = createFacts();
  const config = watchHostConfig(system, watch, path, (loaded) => facts.add(String(loaded.value.values.stop?.grace)));
  stops.push(config.stop);
  await listening(root);
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
