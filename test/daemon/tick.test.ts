import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { createChildTable } from "../../src/child/child-table.ts";
import type { GatePool, ReadyGate } from "../../src/child/gate-pool.ts";
import { bringToDisk } from "../../src/daemon/bring-to-disk.ts";
import type { DaemonParts } from "../../src/daemon/daemon-parts.ts";
import type { HomeRuntime } from "../../src/daemon/home-runtime.ts";
import { lookAt, stageClaims } from "../../src/daemon/stage-claims.ts";
import { tick } from "../../src/daemon/tick.ts";
import { createRunLedger } from "../../src/ledger/run-ledger.ts";
import { fireFencePath } from "../../src/store/fire-fence.ts";
import { createJobStore } from "../../src/store/job-store.ts";
import { createFiles } from "../../src/system/real-files.ts";
import { createFakeClock } from "../helpers/fake-clock.ts";
import { createFakeFiles, type FakeFiles } from "../helpers/fake-files.ts";
import { createFakeLocks, type LockTable } from "../helpers/fake-lock.ts";
import { createDraw, createFakeRandom } from "../helpers/fake-random.ts";
import { at, sampleGates, stored, utc } from "../helpers/sample-job.ts";

const cronFolder = "/home/cron";
const jobsPath = `${cronFolder}/jobs.json`;
const dueMs = at("10:00:00");
const minuteMs = 60_000;

let folder = "";

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "tick-"));
});

afterEach(() => rmSync(folder, { recursive: true }));

function record(id: string, nextRunAtMs: number): object {
  const rule = { kind: "cron", expr: "*/5 * * * *", display: "*/5 * * * *" };
  const job = { id, name: id, script: "a.sh", no_agent: true, enabled: true, state: "scheduled" };
  return { ...job, schedule: rule, next_run_at: stored(nextRunAtMs).text };
}

function storeText(nextRunAtMs: number): string {
  return JSON.stringify({ jobs: [record("a1", nextRunAtMs)] });
}

/** A home whose only job is due at `dueMs`, a few milliseconds before that, with its claim written ahead. */
function homeAhead() {
  const clock = createFakeClock(dueMs - 5);
  const files = createFakeFiles(() => clock.nowMs() - 60_000);
  files.makeFolder(cronFolder, 0o700, true);
  files.plant(jobsPath, storeText(dueMs));
  const locks: LockTable = new Map();
  const system = {
    clock,
    files,
    locks: createFakeLocks(files, locks, 1),
    random: createFakeRandom(createDraw(1)),
    processes: { hostname: "host", fingerprint: () => null },
  } as unknown as DaemonParts["system"];
  const fingerprint = { pid: 100, startTicks: 1, bootId: "boot", pidNamespace: null };
  const gates = sampleGates(1).map((gate) => ({ ...gate, child: { fingerprint }, folder: `/runs/${gate.runId}` }));
  const pool = (ready: unknown): GatePool => ({ ready: () => ready as readonly ReadyGate[] }) as GatePool;
  const policy = { misfire: { kind: "within", withinMs: 60_000 }, overlap: "skip", retry: null, crashLoop: null };
  const home = {
    name: "default",
    path: "/home",
    cronFolder,
    store: createJobStore(system, cronFolder, { naiveZone: utc, nowText: () => "" }),
    pools: { script: pool(gates), prompt: pool([]) },
    hold: () => null,
    settings: { zone: utc, bounds: [], parallelJobsMax: 4, policy: () => policy, runClaimLifeMs: minuteMs },
    executions: { isCompleted: () => false, isOverlapped: () => false, claimedSinceMs: () => null },
    cursors: new Map(),
    restored: new Map(),
    retries: new Map(),
    health: new Map(),
    fencedUntilMonotonicMs: new Map(),
    unvoided: new Set(),
    waitsFor: new Map(),
    lockBusy: null,
  } as unknown as HomeRuntime;
  const ledger = createRunLedger({ files: createFiles() }, join(folder, "ledger.db"));
  const parts = {
    system,
    ledger,
    children: createChildTable(),
    settings: { openRunsMax: 16, groupLimits: { classes: {}, tags: {} } },
    unopened: [],
    draining: false,
    clockSteps: { stands: () => false },
    measure: { lockHeldMs: () => undefined },
    fault: () => undefined,
  } as unknown as DaemonParts;
  const look = lookAt(parts, home, home.store.read(), dueMs);
  const staged = stageClaims(parts, home, look);
  if (staged === null) throw new Error("Nothing was written ahead");
  return { clock, files, locks, home, ledger, parts, ahead: { home, look, staged } };
}

interface Between {
  readonly what: string;
  readonly passMs: number;
  happens?(files: FakeFiles, locks: LockTable): void;
  readonly kind: string;
  readonly slots: readonly string[];
}

test.each<Between>([
  { what: "puts in force what was written ahead", passMs: 5, kind: "claimed", slots: ["10:00 run on_time"] },
  {
    what: "decides anew where the machine slept over what was written ahead",
    passMs: 10.5 * minuteMs,
    kind: "claimed",
    slots: ["10:00 skip policy", "10:05 skip policy", "10:10 run late"],
  },
  {
    what: "decides anew where somebody moved the job",
    passMs: 5,
    happens: (files) => files.plant(jobsPath, storeText(dueMs + 5 * minuteMs)),
    kind: "claimed",
    slots: [],
  },
  {
    what: "decides anew where somebody removed the jobs",
    passMs: 5,
    happens: (files) => files.remove(jobsPath),
    kind: "claimed",
    slots: [],
  },
  {
    what: "writes nothing while somebody else ticks",
    passMs: 5,
    happens: (_, locks) => void locks.set(`${cronFolder}/.tick.lock`, 2),
    kind: "locked",
    slots: [],
  },
  {
    what: "writes nothing while somebody else writes jobs.json",
    passMs: 5,
    happens: (_, locks) => void locks.set(`${cronFolder}/.jobs.lock`, 2),
    kind: "locked",
    slots: [],
  },
])("tick() $what, and leaves nothing open", ({ passMs, happens, kind, slots }) => {
  const { clock, files, locks, home, ledger, parts, ahead } = homeAhead();
  clock.pass(passMs);
  happens?.(files, locks);
  expect(tick(parts, home, ahead).kind).toBe(kind);
  const told = ledger
    .slots({ home: "default", limit: 0 })
    .map(({ scheduledAtMs, decision, reason }) =>
      [new Date(scheduledAtMs).toISOString().slice(11, 16), decision, reason].join(" "),
    );
  expect(told.toSorted()).toEqual(slots);
  const claimed = ledger.runs({ limit: 0 }).map(({ claimedAtMs }) => claimedAtMs);
  expect(claimed).toEqual(slots.length === 0 ? [] : [clock.nowMs()]);
  expect(files.list(cronFolder).filter((name) => name.endsWith(".tmp"))).toEqual([]);
  // Within a transaction that was left open this throws.
  ledger.stage(() => undefined).rollback();
  ledger.dispose();
});

/** At each step the files of the locks that are held, by the part of their name that tells them apart. */
function watchLocks({
  parts,
  locks,
}: Pick<ReturnType<typeof homeAhead>, "parts" | "locks">): ReadonlyMap<string, string> {
  const held = new Map<string, string>();
  const note = (step: string): void => {
    const names = [...locks.keys()].map(
      (path) =>
        path
          .split("/")
          .at(-1)
          ?.replace(/-?[0-9a-f]{32}/, "") ?? path,
    );
    held.set(step, names.toSorted().join(" "));
  };
  Object.assign(parts, { fault: note });
  return held;
}

test("tick() holds the tick lock for what has to be done under it, and waits for the disk when it has let go of it", () => {
  const world = homeAhead();
  world.clock.pass(5);
  const held = watchLocks(world);
  expect(tick(world.parts, world.home, world.ahead).kind).toBe("claimed");
  expect(Object.fromEntries(held)).toEqual({
    "before-lock": "",
    "after-lock": ".fire.lock .tick.lock",
    "before-plan": ".fire.lock .jobs.lock .tick.lock",
    "after-plan": ".fire.lock .jobs.lock .tick.lock",
    "before-ledger-claim": ".fire.lock .jobs.lock .tick.lock",
    "after-ledger-claim": ".fire.lock .jobs.lock .tick.lock",
    "before-store-claim": ".fire.lock .jobs.lock .tick.lock",
    "after-store-claim": ".fire.lock .tick.lock",
    "before-release": ".fire.lock .tick.lock",
    "after-release": ".fire.lock",
  });
  expect([...world.locks]).toEqual([]);
  world.ledger.dispose();
});

test("tick() lets go of the fences where somebody else ticks", () => {
  const { clock, locks, home, parts, ahead, ledger } = homeAhead();
  clock.pass(5);
  locks.set(`${cronFolder}/.tick.lock`, 2);
  expect(tick(parts, home, ahead).kind).toBe("locked");
  expect([...locks]).toEqual([[`${cronFolder}/.tick.lock`, 2]]);
  ledger.dispose();
});

test("tick() claims what people asked for under the fence of each while somebody else ticks, also where more was due", () => {
  const { clock, files, locks, home, parts, ahead, ledger } = homeAhead();
  ahead.staged.finish();
  clock.pass(5);
  const requested = (id: string) => ({ ...record(id, dueMs), manual_run_at: stored(dueMs).text });
  files.plant(
    jobsPath,
    JSON.stringify({ jobs: [record("a1", dueMs - 5 * minuteMs), requested("b2"), requested("c3")] }),
  );
  const fingerprint = { pid: 100, startTicks: 1, bootId: "boot", pidNamespace: null };
  const gates = sampleGates(2).map((gate) => ({ ...gate, child: { fingerprint }, folder: `/runs/${gate.runId}` }));
  Object.assign(home.pools.script, { ready: () => gates });
  Object.assign(home.settings, { parallelJobsMax: 2 });
  locks.set(`${cronFolder}/.tick.lock`, 2);
  let held: readonly string[] = [];
  const look = (step: string): void => {
    if (step === "before-store-claim") held = [...locks.keys()];
  };
  Object.assign(parts, { fault: look });
  const report = tick(parts, home);
  expect(report.kind === "locked" && report.claims.map(({ run }) => [run.jobId, run.trigger])).toEqual([
    ["b2", "manual"],
    ["c3", "manual"],
  ]);
  const fences = ["b2", "c3"].map((id) => fireFencePath(cronFolder, id));
  expect(held.toSorted()).toEqual([...fences, `${cronFolder}/.jobs.lock`, `${cronFolder}/.tick.lock`].toSorted());
  expect([...locks]).toEqual([[`${cronFolder}/.tick.lock`, 2]]);
  ledger.dispose();
});

test("bringToDisk() starts nothing on claims that do not get to the disk", () => {
  const { clock, locks, home, parts, ahead, ledger } = homeAhead();
  clock.pass(5);
  const report = tick(parts, home, ahead);
  if (report.kind !== "claimed") throw new Error("Nothing was claimed");
  const discarded: string[] = [];
  Object.assign(home.pools.script, { take: (id: string) => ({ child: { discard: () => discarded.push(id) } }) });
  const error = new Error("EIO: i/o error, fdatasync");
  const broken = {
    ...ledger,
    sync: () => {
      throw error;
    },
  };
  const other = { name: "other" } as HomeRuntime;
  const said: unknown[] = [];
  const guard = (of: HomeRuntime, act: () => void): void => {
    try {
      act();
    } catch (problem) {
      said.push([of.name, problem]);
    }
  };
  const claimed = [{ home, claims: report.claims }];
  expect(bringToDisk({ ...parts, ledger: broken }, [other, home], claimed, guard)).toEqual([]);
  expect(said).toEqual([
    ["other", error],
    ["default", error],
  ]);
  expect(ledger.runs({ limit: 0 }).map(({ state, reason }) => [state, reason])).toEqual([["void", "not_started"]]);
  expect(ledger.slots({ home: "default", limit: 0 }).map(({ decision }) => decision)).toEqual(["pending"]);
  expect(discarded).toEqual(report.claims.map(({ run }) => run.id));
  expect([...locks]).toEqual([]);
  // The record holds the claim, and is cleared before the next one.
  expect(home).toMatchObject({ isCleared: false, dirty: true });
  expect(bringToDisk(parts, [home], claimed, guard)).toBe(claimed);
  ledger.dispose();
});
