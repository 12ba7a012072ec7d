import { expect, test } from "vitest";
import { waitLines } from "../../src/cli/wait-lines.ts";
import type { Job } from "../../src/core/job.ts";
import { boundsOf, noGroupLimits } from "../../src/core/room.ts";
import type { Run } from "../../src/core/run.ts";
import type { WaitsFor } from "../../src/core/share-room.ts";
import { allAtOnce } from "../../src/core/work.ts";
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
  readonly retryDueMs?: number;
  readonly isAsked?: boolean;
  readonly job?: Partial<Job>;
  readonly marker?: string;
  readonly isHeldBack?: boolean;
}

/** One job of home `team`, due and with the tag `db`, beside these open runs of it (`team/one`) and of others. */
function scene({ running = true, hostMax = 9, isLocked = false, open = [], waitsFor, isOwed = false, ...more }: Scene) {
  const openRuns = open.map((text, n) => {
    const [home = "", name = ""] = text.split("/");
    return { id: `run${n}`, home, jobId: name, jobName: name, kind: "script" } as unknown as Run;
  });
  const job = sampleJob({ id: "due", name: "due", nextRunAt: stored(nowMs - 1000), ...more.job });
  const home = {
    name: "team",
    state: "active",
    reason: more.marker ?? null,
    jobs: [job, sampleJob({ id: "later", nextRunAt: stored(nowMs + 1) })],
    tickLock: { held: isLocked },
    bounds: boundsOf("team", 2, db),
    tagsOf: () => ["db"],
    retries: new Map(more.retryDueMs === undefined ? [] : [[job.id, { dueAtMs: more.retryDueMs }]]),
    held:
      more.isHeldBack === true
        ? [{ jobId: job.id, sinceMs: 0, untilMs: nowMs + 1, isOver: false, why: "it fails" }]
        : [],
    owedSince: new Map(isOwed ? [[job.id, nowMs - 60_000]] : []),
    waitsFor: new Map(waitsFor === undefined ? [] : [[job.id, waitsFor]]),
  };
  const work = roomView({
    nowMs,
    daemon: { running },
    homes: [home],
    openRuns,
    tagsOfRun: ({ jobName }) => (jobName === "tagged" ? ["db"] : []),
    hostBounds: boundsOf(null, hostMax, noGroupLimits),
    requests: more.isAsked === true ? [{ home: "team", jobId: job.id, requestedAtMs: nowMs - 5000 }] : [],
  });
  const view = allAtOnce(work);
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
  [
    { waitsFor: { kind: "kept", bound } },
    'what is left for tag "db" of home "team" is kept for a job that waited longer',
  ],
  [
    { waitsFor: { kind: "pressure", bound: null, shortages: [{ of: "cpu", percent: 31.5, max: 20 }] } },
    "the machine is short of processors (programs waited 31.5 % of the last ten seconds, pressure.cpu_max is 20), and what is late waits",
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
      trigger: "schedule",
      due_at: "1970-01-01T00:16:39.000Z",
      reason: "capacity",
      limit: tag,
      pressure: null,
      held_by: ["run0"],
    },
  ]);
});

const ahead = { nextRunAt: stored(nowMs + 60_000) };
const due = stored(nowMs - 1000);
const asked = { nextRunAt: due, manualRunAt: due.text };
const full = 'the one place of home "team" for tag "db" is taken by tagged';
const open = ["team/tagged"];
const others: readonly [Scene, lines: readonly string[]][] = [
  [{ job: ahead, retryDueMs: nowMs - 1, open }, [`1 attempt after a failed run waits: ${full}`]],
  [{ job: ahead, retryDueMs: nowMs + 1, open }, []],
  [
    { job: ahead, retryDueMs: nowMs - 1, isHeldBack: true },
    ["1 attempt after a failed run waits: the job is held back for failing at once again and again"],
  ],
  [{ job: ahead, isAsked: true, open }, [`1 run that was asked for waits: ${full}`]],
  // Markers and the tick lock are about the schedule.
  [{ job: ahead, isAsked: true, open, marker: "estop", isLocked: true }, [`1 run that was asked for waits: ${full}`]],
  [
    { job: ahead, isAsked: true, open: ["team/due"] },
    ["1 run that was asked for waits: a run of the job is still open"],
  ],
  [{ job: asked, open: ["team/due"] }, ["1 run that was asked for waits: a run of the job is still open"]],
  [{ job: asked, open }, [`1 run that was asked for waits: ${full}`]],
  [{ retryDueMs: nowMs - 1, open }, [`1 due job waits: ${full}`, `1 attempt after a failed run waits: ${full}`]],
];

test("status says what attempts and runs that people asked for wait for, too", () => {
  for (const [given, lines] of others)
    expect([given, scene(given).lines]).toEqual([given, lines.map((line) => `team: ${line}`)]);
});
