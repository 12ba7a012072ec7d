import { expect, test } from "vitest";
import { createChildTable } from "../../src/child/child-table.ts";
import { createGatePool } from "../../src/child/gate-pool.ts";
import type { WaitingBash } from "../../src/child/waiting-bash.ts";
import type { Job } from "../../src/core/job.ts";
import type { DaemonParts } from "../../src/daemon/daemon-parts.ts";
import type { HomeRuntime } from "../../src/daemon/home-runtime.ts";
import { createGatePreparer } from "../../src/daemon/prepare-gates.ts";
import type { StoreSnapshot } from "../../src/store/job-store.ts";
import type { ChildExit, SpawnRequest } from "../../src/system/processes.ts";
import type { System } from "../../src/system/system.ts";
import { createFakeClock } from "../helpers/fake-clock.ts";
import { at, sampleJob, stored } from "../helpers/sample-job.ts";

const dueMs = at("10:00:00");
const loadingMs = 1900;

/** A host whose workers load as fast as a core can, and a daemon's loop that only prepares gates. */
function createHost(aheadMs: number, availableBytes = 2 ** 34) {
  const clock = createFakeClock(dueMs - aheadMs);
  /** By folder, when its worker will have loaded; those that have left are not in it. */
  const workers = new Map<string, number>();
  const isLoading = (readyAtMs: number): boolean => readyAtMs > clock.nowMs();
  const spawnGated = ({ cwd }: SpawnRequest) => {
    workers.set(cwd, clock.nowMs() + loadingMs);
    let end: (exit: ChildExit) => void;
    const ended = new Promise<ChildExit>((resolve) => {
      end = resolve;
    });
    const discard = (): void => {
      workers.delete(cwd);
      end({ exitCode: 0, signal: null });
    };
    return { fingerprint: { pid: workers.size }, open: () => {}, discard, held: null, ended };
  };
  const system = {
    clock,
    files: {
      makeFolder: () => {},
      removeFolder: () => {},
      syncSoon: () => {},
      stat(path: string) {
        const readyAtMs = workers.get(path.replace(/\/loaded$/u, "")) ?? Number.POSITIVE_INFINITY;
        return isLoading(readyAtMs) ? null : { changedNs: BigInt(readyAtMs) * 1_000_000n };
      },
    },
    processes: { cores: 2, hostname: "host", groups: null, availableBytes: () => availableBytes, spawnGated },
    random: { token: () => String(++tokens), uuidHex: () => "uuid" },
    log: { warn: () => {}, debug: () => {} },
  } as unknown as System;
  let tokens = 0;
  const parts = {
    system,
    children: createChildTable(),
    settings: { openRunsMax: 16 },
    unopened: [],
    draining: false,
    stateFolder: "/state",
    workerPath: "/worker.py",
  } as unknown as DaemonParts;
  const homes = new Map<string, HomeRuntime>();
  const pool = (kind: Job["kind"]) => createGatePool(system, "/state/runs", "/launch.sh", {} as WaitingBash, kind);
  const snapshots = new Map<string, StoreSnapshot>();
  const gates = createGatePreparer(
    parts,
    () => homes,
    (_home, act) => act(),
    () => {},
  );
  const host = {
    workers,
    seen: { loadingMax: 0, startedAtMs: [] as number[], turns: 0 },
    loaded: (name: string) => homes.get(name)?.pools.prompt.ready().length ?? 0,
    setJobs(name: string, jobs: readonly Job[]) {
      snapshots.set(name, { jobs } as unknown as StoreSnapshot);
    },
    addHome(name: string, jobs: readonly Job[], parallelJobsMax = 16) {
      host.setJobs(name, jobs);
      homes.set(name, {
        name,
        state: { kind: "active" },
        wakeAtMs: dueMs,
        store: { latest: () => snapshots.get(name) ?? null },
        pools: { prompt: pool("prompt"), script: pool("script") },
        settings: {
          hermes: { python: "/python" },
          parallelJobsMax,
          environments: { prompt: { id: "1", variables: {} }, script: { id: "1", variables: {} } },
        },
      } as unknown as HomeRuntime);
    },
    changeEnvironment(name: string) {
      const settings = homes.get(name)?.settings as { environments: object };
      settings.environments = { ...settings.environments, prompt: { id: "2", variables: {} } };
    },
    /** Has the loop go on as it asks for until then. */
    live(untilMs: number) {
      for (;;) {
        const before = workers.size;
        const { wakeAtMs } = gates.prepare();
        host.seen.turns++;
        const loading = [...workers.values()].filter(isLoading).length;
        host.seen.loadingMax = Math.max(host.seen.loadingMax, loading);
        for (let n = before; n < workers.size; n++) host.seen.startedAtMs.push(clock.nowMs() - dueMs);
        expect(wakeAtMs).toBeGreaterThan(clock.nowMs());
        if (wakeAtMs > untilMs) break;
        clock.pass(wakeAtMs - clock.nowMs());
      }
      clock.pass(untilMs - clock.nowMs());
    },
  };
  return host;
}

const prompts = (count: number, from = 0): readonly Job[] =>
  Array.from({ length: count }, (_, index) =>
    sampleJob({ id: `j${from + index}`, kind: "prompt", nextRunAt: stored(dueMs) }),
  );

test("prepare() loads a worker for each of eight prompts of two homes before they are due, two at a time", () => {
  const host = createHost(60_000);
  host.addHome("one", prompts(5));
  host.addHome("two", prompts(3));
  host.live(dueMs - 1);
  expect([host.loaded("one"), host.loaded("two"), host.seen.loadingMax]).toEqual([5, 3, 2]);
  expect(Math.max(...host.workers.values())).toBeLessThanOrEqual(dueMs);
  expect(host.seen.startedAtMs).toEqual([-10_000, -10_000, -8000, -8000, -6000, -6000, -4000, -4000]);
  expect(host.seen.turns).toBeLessThan(20);
});

test("prepare() keeps two at a time also where the prompts come late", () => {
  const host = createHost(3000);
  host.addHome("one", prompts(8));
  host.live(dueMs - 1);
  expect([host.loaded("one"), host.seen.loadingMax]).toEqual([4, 2]);
});

test("prepare() leaves no worker where nothing is due, and no more than there is room for", () => {
  const host = createHost(60_000);
  host.addHome("one", prompts(4), 3);
  host.live(dueMs - 100);
  expect(host.loaded("one")).toBe(3);
  host.setJobs("one", prompts(1));
  host.live(dueMs - 50);
  expect([host.loaded("one"), host.workers.size]).toEqual([1, 1]);
  host.setJobs("one", [sampleJob({ kind: "prompt", nextRunAt: stored(dueMs + 3_600_000) })]);
  host.live(dueMs);
  expect([host.loaded("one"), host.workers.size]).toEqual([0, 0]);
  host.setJobs(
    "one",
    prompts(1).map((job) => ({ ...job, enabled: false })),
  );
  host.live(dueMs);
  expect(host.workers.size).toBe(0);
});

test("prepare() loads anew what was loaded with another environment", () => {
  const host = createHost(60_000);
  host.addHome("one", prompts(1));
  host.live(dueMs - 3000);
  const before = [...host.workers.keys()];
  host.changeEnvironment("one");
  host.live(dueMs - 1);
  expect([before.length, host.workers.size, host.workers.has(before[0] ?? "")]).toEqual([1, 1, false]);
});

test("prepare() loads no more ahead than there are cores where memory is short", () => {
  const host = createHost(60_000, 300 * 2 ** 20);
  host.addHome("one", prompts(8));
  host.live(dueMs - 1);
  expect([host.loaded("one"), host.seen.loadingMax]).toEqual([2, 2]);
});
