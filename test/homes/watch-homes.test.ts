import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  renameSync,
  rmSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { findHomes } from "../../src/homes/find-homes.ts";
import { watchHomes } from "../../src/homes/watch-homes.ts";
import { createClock } from "../../src/system/real-clock.ts";
import { createFiles } from "../../src/system/real-files.ts";
import { createWatch, type Watch } from "../../src/system/watch.ts";
import { createFacts, hears } from "../helpers/watch-facts.ts";

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
    await hears(watch, join(root, folder));
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
    await hears(watch, join(path, "cron"));
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
    await hears(watch, join(fresh, "cron"));
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
  await hears(watch, join(root, "profiles/coder"));
  facts.clear();
  writeFileSync(join(root, "profiles/coder/config.yaml"), "c: 3\n");
  await facts.wait("coder config");
});
