import { expect, test } from "vitest";
import { noGroupLimits } from "../../src/core/room.ts";
import type { Run } from "../../src/core/run.ts";
import { allAtOnce } from "../../src/core/work.ts";
import type { DaemonParts } from "../../src/daemon/daemon-parts.ts";
import type { HomeRuntime } from "../../src/daemon/home-runtime.ts";
import type { HomeTable } from "../../src/daemon/home-table.ts";
import { createStatusView, type DaemonFacts } from "../../src/daemon/status-view.ts";
import { statusSnapshot } from "../../src/status/snapshot.ts";
import { idleRetention, type StatusView } from "../../src/status/view.ts";
import { createFakeClock } from "../helpers/fake-clock.ts";
import { sampleJob, stored } from "../helpers/sample-job.ts";
import { sampleRun } from "../helpers/sample-run.ts";

const dueMs = Date.parse("2026-06-01T09:00:00Z");

/** A daemon of two homes, of whose first the one job falls due in a second. */
function world() {
  const clock = createFakeClock(dueMs - 1000);
  const ledger = { version: 0, open: [] as Run[], orphaned: [] as Run[] };
  const jobs = { first: [sampleJob({ nextRunAt: stored(dueMs) })], second: [] };
  const tags = new Map<string, readonly string[]>();
  const home = (name: keyof typeof jobs) =>
    ({
      name,
      path: `/homes/${name}`,
      state: { kind: "active" },
      lockBusy: null,
      endsFault: null,
      hold: () => null,
      diskShortage: () => null,
      store: { read: () => ({ jobs: jobs[name], strays: [] }) },
      settings: {
        zone: null,
        parallelJobsMax: 4,
        bounds: [],
        limits: () => ({ tags: [] }),
        policy: () => ({ crashLoop: null }),
        error: null,
        configFile: { path: "", error: null },
        hermesWarnings: [],
        hermes: null,
      },
      waiting: 0,
      waitsFor: new Map(),
      cursors: new Map(),
      retries: new Map(),
      health: new Map(),
    }) as unknown as HomeRuntime;
  const parts = {
    system: { clock, processes: { ownPid: 1 } },
    ledger: {
      version: () => String(ledger.version),
      openRuns: () => ledger.open,
      openRequests: () => [],
      orphanedRuns: () => ledger.orphaned,
      replacedRuns: () => [],
      missedSlots: () => [],
      troubledDeliveries: () => [],
      lives: () => [],
    },
    settings: { openRunsMax: 16, groupLimits: noGroupLimits },
    children: { get: (id: string) => (tags.has(id) ? { limits: { tags: tags.get(id) } } : undefined) },
  } as unknown as DaemonParts;
  const homes = new Map([
    ["first", home("first")],
    ["second", home("second")],
  ]);
  const facts = { hostConfig: { path: "", error: null }, portFault: null, retention: idleRetention };
  const view = createStatusView(
    parts,
    { homes: () => homes } as unknown as HomeTable,
    () => facts as unknown as DaemonFacts,
  );
  return { clock, ledger, jobs, tags, homes, view };
}

/** The view of a reader in the middle of whose answer something happens. */
function viewAcross(view: ReturnType<typeof world>["view"], happens: () => void): StatusView {
  const work = view();
  work.next();
  happens();
  return allAtOnce(work);
}

test("a job that runs between two pieces of a view waits for nothing in it", () => {
  const { clock, ledger, jobs, view } = world();
  const seen = viewAcross(view, () => {
    clock.pass(2000);
    jobs.first = [sampleJob({ nextRunAt: stored(dueMs + 3_600_000) })];
    ledger.version += 1;
  });
  const { waiting, homes } = allAtOnce(statusSnapshot(seen));
  expect([waiting, homes.map((home) => home.waiting)]).toEqual([[], [0, 0]]);
});

test("of a home that cannot be served the due jobs wait, whatever its last tick has counted", () => {
  const { clock, homes, view } = world();
  clock.pass(2000);
  const first = homes.get("first");
  if (first !== undefined) first.state = { kind: "degraded", reason: "torn" } as typeof first.state;
  const { waiting, homes: shown } = allAtOnce(statusSnapshot(allAtOnce(view())));
  expect([waiting.map(({ reason }) => reason), shown.map((home) => home.waiting)]).toEqual([["degraded"], [1, 0]]);
});

test("a run that ends between two pieces of a view is open in it with what it counts for, and an orphan is known as one", () => {
  const { ledger, tags, view } = world();
  ledger.open = [sampleRun("open", "first", "a1")];
  tags.set("open", ["heavy"]);
  const orphan = sampleRun("orphan", "second", "b1");
  const seen = viewAcross(view, () => {
    ledger.open = [];
    ledger.orphaned = [orphan];
    ledger.version += 1;
    tags.clear();
  });
  expect(seen.openRuns.map((run) => [run.id, seen.tagsOfRun(run)])).toEqual([["open", ["heavy"]]]);
  expect(seen.orphanedRuns).toEqual([orphan]);
});
