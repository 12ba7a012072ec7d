import { chmodSync, mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { findHomes, readHolds, resolveRootHome } from "../../src/homes/find-homes.ts";
import { createFiles } from "../../src/system/real-files.ts";

const nowMs = Date.parse("2026-11-21T12:00:00Z");
const system = {
  files: createFiles(),
  clock: { nowMs: () => nowMs, monotonicMs: () => 0, after: () => ({ cancel: () => {} }), wait: () => {} },
};
let root: string;

beforeEach(() => {
  root = mkdtempSync(join(realpathSync(tmpdir()), "homes-"));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

function write(path: string, content = ""): void {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), content);
}

test("findHomes() finds the root home and every folder that Hermes takes for a profile", () => {
  write("profiles/coder/config.yaml");
  write("profiles/a-1_x/SOUL.md");
  write("profiles/db/state.db");
  mkdirSync(join(root, "profiles/linked"));
  symlinkSync("/nowhere", join(root, "profiles/linked/.env"));
  symlinkSync("coder", join(root, "profiles/alias"));
  write("profiles/ghost/cron/jobs.json");
  write("profiles/Upper/config.yaml");
  write("profiles/-dash/config.yaml");
  write(`profiles/${"x".repeat(65)}/config.yaml`);
  write("profiles/default/config.yaml");
  write("profiles/file");
  write("profiles/gone/config.yaml");
  write("profiles/.deleted/gone");
  mkdirSync(join(root, "profiles/foldermarker/config.yaml"), { recursive: true });
  expect(findHomes(system, root)).toEqual({
    homes: [
      { name: "default", path: root, state: "active", reason: null },
      ...["a-1_x", "alias", "coder", "db", "linked"].map((name) => ({
        name,
        path: join(root, "profiles", name),
        state: "active",
        reason: null,
      })),
    ],
    error: null,
  });
});

test("findHomes() finds nothing where there is no home", () => {
  expect(findHomes(system, join(root, "none"))).toEqual({ homes: [], error: null });
  write("plain");
  expect(findHomes(system, join(root, "plain"))).toEqual({ homes: [], error: null });
});

test("findHomes() marks a home with a newer layout as unsupported and leaves the others", () => {
  write("cron/runtime.db");
  mkdirSync(join(root, "profiles/coder/cron/admissions"), { recursive: true });
  write("profiles/coder/.env");
  write("profiles/other/.env");
  expect(findHomes(system, root).homes.map(({ name, state, reason }) => [name, state, reason])).toEqual([
    ["default", "unsupported", "cron/runtime.db belongs to a newer Hermes than this program knows"],
    ["coder", "unsupported", "cron/admissions belongs to a newer Hermes than this program knows"],
    ["other", "active", null],
  ]);
});

test("findHomes() keeps apart what is not there and what cannot be read", () => {
  write("profiles/coder/.env");
  const refuse = (part: string) => ({
    files: {
      ...system.files,
      stat: (path: string) => {
        if (path.includes(part)) throw Object.assign(new Error("refused"), { code: "EACCES" });
        return system.files.stat(path);
      },
    },
  });
  expect(findHomes(refuse("coder"), root).homes.map(({ name, state, reason }) => [name, state, reason])).toEqual([
    ["default", "active", null],
    ["coder", "degraded", `EACCES in "${join(root, "profiles/coder")}", expected a folder that this user can read`],
  ]);
  expect(findHomes(refuse("profiles"), root).error).toBe(
    `Cannot list the homes in "${root}": EACCES, expected folders that this user can read`,
  );
});

test("resolveRootHome() goes by flag, variable and user as Hermes does", () => {
  mkdirSync(join(root, ".hermes/profiles/coder"), { recursive: true });
  symlinkSync(".hermes", join(root, "link"));
  const native = join(root, ".hermes");
  const cases: readonly (readonly [variables: Readonly<Record<string, string>>, flag: string | null, home: string])[] =
    [
      [{}, null, native],
      [{ HERMES_HOME: "  " }, null, native],
      [{ HERMES_HOME: join(native, "profiles/coder") }, null, native],
      [{ HERMES_HOME: join(native, "anything") }, null, native],
      [{ HERMES_HOME: join(root, "link") }, null, native],
      [{ HERMES_HOME: "/srv/hermes" }, null, "/srv/hermes"],
      [{ HERMES_HOME: "/srv/hermes/" }, null, "/srv/hermes"],
      [{ HERMES_HOME: "/srv/hermes/profiles/coder" }, null, "/srv/hermes"],
      [{ HERMES_HOME: "~/other" }, null, join(root, "other")],
      [{ HERMES_HOME: `$DATA/\${WHERE}`, DATA: "/data", WHERE: "h" }, null, "/data/h"],
      [{ HERMES_HOME: "/srv/hermes" }, "/flag", "/flag"],
      [{}, "/flag/profiles/x", "/flag"],
      [{}, join(native, "inner"), join(native, "inner")],
      [{ HERMES_DATA_DIR_SUFFIX: "-dev" }, null, join(root, ".hermes-dev")],
    ];
  for (const [variables, flag, home] of cases) {
    expect([variables, flag, resolveRootHome(system.files, { HOME: root, ...variables }, flag)]).toEqual([
      variables,
      flag,
      home,
    ]);
  }
  expect(() => resolveRootHome(system.files, {}, null)).toThrow(
    new RangeError("Cannot find the Hermes home: HOME is not set, expected --home or HERMES_HOME"),
  );
});

const epoch = "/proc/sys/kernel/random/boot_id";
const drains: readonly (readonly [body: string, drains: boolean])[] = [
  ["", true],
  ["{", true],
  ["[]", true],
  ["{}", true],
  ['\uFEFF{"action": "drain"}', true],
  ['{"requested_at": "2026-11-21T11:00:00+00:00"}', true],
  ['{"requested_at": "2026-11-21T10:59:59.999+00:00"}', false],
  ['{"requested_at": "2026-11-21T10:59:59"}', false],
  ['{"requested_at": "2026-11-21T11:59:59+02:00"}', false],
  ['{"requested_at": "2027-01-01T00:00:00Z"}', true],
  ['{"requested_at": "soon"}', true],
  ['{"requested_at": 5}', true],
  ['{"epoch": "of another boot"}', false],
  ['{"epoch": ""}', true],
  ['{"epoch": null}', true],
];

test("readHolds() takes a drain request for active unless it is old or of another boot", () => {
  for (const [body, expected] of drains) {
    write(".drain_request.json", body);
    expect([body, readHolds(system, { name: "default", path: root }, root, false).map(({ kind }) => kind)]).toEqual([
      body,
      expected ? ["drain"] : [],
    ]);
  }
});

test("readHolds() knows its own boot and process 1", () => {
  const fake = {
    ...system,
    files: {
      ...system.files,
      readText: (path: string) => {
        if (path === epoch) return "boot-1\n";
        if (path === "/proc/1/stat")
          return `1 (a ) b) S ${Array.from({ length: 18 }, (_, index) => index).join(" ")} 4711 0`;
        return system.files.readText(path);
      },
    },
  };
  write(".drain_request.json", '{"epoch": "boot-1:4711"}');
  expect(readHolds(fake, { name: "default", path: root }, root, false)).toHaveLength(1);
  write(".drain_request.json", '{"epoch": "boot-1:4712"}');
  expect(readHolds(fake, { name: "default", path: root }, root, false)).toHaveLength(0);
});

test("readHolds() obeys the markers of the home and those of the root, the strongest first", () => {
  const coder = { name: "coder", path: join(root, "profiles/coder") };
  write("profiles/coder/config.yaml");
  expect(readHolds(system, coder, root, false)).toEqual([]);
  expect(readHolds(system, coder, root, true)).toEqual([
    { kind: "parked", reason: "gateway.standalone is true: the profile's own gateway runs its jobs" },
  ]);
  write("profiles/coder/gateway.parked", "anything");
  write("ESTOP", "{ not json");
  write(".drain_request.json");
  expect(readHolds(system, coder, root, false)).toEqual([
    { kind: "estop", reason: `${join(root, "ESTOP")} exists: hermes resume removes it` },
    { kind: "drain", reason: `${join(root, ".drain_request.json")} asks for quiet` },
    {
      kind: "parked",
      reason: `${join(coder.path, "gateway.parked")} exists: hermes -p coder gateway start removes it`,
    },
  ]);
});

test("readHolds() does not let a profile stop its root, nor park the root at all", () => {
  write("profiles/coder/ESTOP");
  write("gateway.parked");
  expect(readHolds(system, { name: "default", path: root }, root, true)).toEqual([]);
});

test("findHomes() and readHolds() write nothing", () => {
  write("profiles/coder/.env");
  chmodSync(join(root, "profiles/coder"), 0o500);
  chmodSync(root, 0o500);
  findHomes(system, root);
  readHolds(system, { name: "coder", path: join(root, "profiles/coder") }, root, false);
  expect(system.files.list(join(root, "profiles/coder"))).toEqual([".env"]);
  expect(system.files.list(root)).toEqual(["profiles"]);
  chmodSync(root, 0o700);
  chmodSync(join(root, "profiles/coder"), 0o700);
});
