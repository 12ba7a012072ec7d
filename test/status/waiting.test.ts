import { expect, test } from "vitest";
import { waitLines } from "../../src/cli/wait-lines.ts";
import { boundsOf, noGroupLimits } from "../../src/core/room.ts";
import type { Run } from "../../src/core/run.ts";
import type { WaitsFor } from "../../src/core/share-room.ts";
import type { StatusJson } from "../../src/status/snapshot.ts";
import { roomView } from "../../src/status/waiting.ts";
import { sampleJob, stored } from "../helpers/sample-job.ts";

const nowMs = 1_000_000;
const db = { ...noGroupLimits, tags: { db: 1 } };

interface Scene {
  readonly running?: boolean;
  readonly hostMax?: number;
  readonly isLocked?: boolean;
  readonly open?: readonly string[];
  readonly waitsFor?: WaitsFor;
  readonly isOwed?: boolean;
}

/** One job of home `team`, due and with the tag `db`, beside these open runs of it (`team/one`) and of others. */
function scene({ running = true, hostMax = 9, isLocked = false, open = [], waitsFor, isOwed = false }: Scene) {
  const openRuns = open.map((text, n) => {
    const [home = "", name = ""] = text.split("/");
    return { id: `run${n}`, home, jobId: name, jobName: name, kind: "script" } as unknown as Run;
  });
  const job = sampleJob({ id: "due", name: "due", nextRunAt: stored(nowMs - 1000) });
  const home = {
    name: "team",
    state: "active",
    reason: null,
    jobs: [job, sampleJob({ id: "later", nextRunAt: stored(nowMs + 1) })],
    tickLock: { held: isLocked },
    bounds: boundsOf("team", 2, db),
    tagsOf: () => ["db"],
    owedSince: new Map(isOwed ? [[job.id, nowMs - 60_000]] : []),
    waitsFor: new Map(waitsFor === undefined ? [] : [[job.id, waitsFor]]),
  };
  const view = roomView({
    nowMs,
    daemon: { running },
    homes: [home],
    openRuns,
    tagsOfRun: ({ jobName }) => (jobName === "tagged" ? ["db"] : []),
    hostBounds: boundsOf(null, hostMax, noGroupLimits),
  });
  const status = {
    waiting: view.waiting,
    homes: [{ name: "team", state: "active", waiting: 1, tick_lock: { holder: 77 } }],
    open_runs: openRuns.map((run) => ({ id: run.id, home: run.home, job_name: run.jobName })),
  } as unknown as StatusJson;
  return { ...view, lines: waitLines(status) };
}

const bound = { home: "team", of: "tag", name: "db", runsMax: 1 } as const;
const cases: readonly [Scene, line: string][] = [
  [{}, "the next tick takes them"],
  [{ running: false, open: ["team/tagged"] }, "no daemon is running"],
  [{ isLocked: true, open: ["team/tagged"] }, "process 77 holds the tick lock"],
  [{ open: ["team/tagged"] }, 'the one place of home "team" for tag "db" is taken by tagged'],
  [{ open: ["other/tagged"] }, "the next tick takes them"],
  [
    { open: ["team/due"], isOwed: true },
    "an earlier run of it is still open, and what came meanwhile runs after it (overlap in the settings)",
  ],
  [{ open: ["team/a", "team/b"] }, 'all 2 places of home "team" are taken by a, b'],
  [{ hostMax: 2, open: ["team/a", "other/b"] }, "all 2 places of this host are taken by a, other/b"],
  [{ waitsFor: { kind: "kept", bound } }, "what is left is kept for a job that waited longer (tag db)"],
  [
    { waitsFor: { kind: "pressure", bound: null } },
    "the machine is short of memory or processors, and what is late waits (pressure.* in the settings)",
  ],
];

test("status says which bound a due job waits for, and whose runs have taken it", () => {
  for (const [given, line] of cases) expect(scene(given).lines).toEqual([`team: 1 due job waits: ${line}`]);
});

test("roomView() tells what is taken of every bound, and names the runs that have it", () => {
  const { boundsOf: bounds, waiting } = scene({ open: ["team/tagged", "other/b"] });
  const tag = { home: "team", of: "tag", name: "db", max: 1, in_use: 1 };
  expect(bounds("team")).toEqual([
    { home: null, of: "runs", name: null, max: 9, in_use: 2 },
    tag,
    { home: "team", of: "runs", name: null, max: 2, in_use: 1 },
  ]);
  expect(waiting).toEqual([
    {
      home: "team",
      job_id: "due",
      job_name: "due",
      due_at: "1970-01-01T00:16:39.000Z",
      reason: "capacity",
      limit: tag,
      held_by: ["run0"],
    },
  ]);
});
