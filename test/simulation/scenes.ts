import type { FakeProgram } from "../helpers/fake-processes.ts";
import type { PlannedJob, Scenario } from "./scenario.ts";

const plain: FakeProgram = { durationMs: 4000, end: { code: 0 }, onTerm: "dies", helper: null };

export function job(id: string, more: Partial<PlannedJob> = {}): PlannedJob {
  return {
    id: id.repeat(12).slice(0, 12),
    schedule: { kind: "cron", expression: "* * * * *" },
    repeatTimes: null,
    programs: [plain],
    ...more,
  };
}

export function scene(more: Partial<Scenario> = {}): Scenario {
  return {
    seed: 1,
    startMs: Date.parse("2026-05-04T10:00:30.250Z"),
    zone: "Etc/UTC",
    homes: [{ name: "default", parallelMax: 4, jobs: [job("a")] }],
    events: [],
    lengthMs: 110_000,
    quietMs: 50_000,
    orphans: "fail",
    timeoutMs: null,
    reaping: "none",
    hasControlGroups: false,
    ...more,
  };
}

const long: FakeProgram = { ...plain, durationMs: 75_000 };
const failing: FakeProgram = { ...plain, durationMs: 200, end: { code: 3 } };

/** Small scenes in which the daemon is stopped at every single operation. */
export const scenes: Readonly<Record<string, Scenario>> = {
  "a job of every minute": scene(),
  "instants that wait for a run's end": scene({
    homes: [{ name: "default", parallelMax: 4, jobs: [job("a", { programs: [long], overlap: "queue_one" })] }],
  }),
  "runs that make way": scene({
    homes: [
      {
        name: "default",
        parallelMax: 4,
        jobs: [job("a", { programs: [{ ...long, onTerm: "ignores" }], overlap: "replace" })],
      },
    ],
  }),
  "a one-shot that makes way for a run that somebody asks for": scene({
    events: [{ atMs: 30_000, home: "default", job: "aaaaaaaaaaaa", kind: "run" }],
    homes: [
      {
        name: "default",
        parallelMax: 4,
        jobs: [
          job("a", {
            schedule: { kind: "once", inMs: 20_000 },
            repeatTimes: 1,
            programs: [long, failing],
            overlap: "replace",
          }),
        ],
      },
    ],
  }),
  "missed instants one after another": scene({
    events: [{ atMs: 20_000, kind: "clock", byMs: 190_000 }],
    homes: [{ name: "default", parallelMax: 4, jobs: [job("a", { misfire: { run_all: 2 } })] }],
  }),
  "a one-shot": scene({
    homes: [
      {
        name: "default",
        parallelMax: 4,
        jobs: [job("a", { schedule: { kind: "once", inMs: 20_000 }, repeatTimes: 1 })],
      },
    ],
  }),
  "a run longer than its period": scene({
    homes: [{ name: "default", parallelMax: 4, jobs: [job("a", { programs: [long] })] }],
  }),
  "failures, counted": scene({
    homes: [{ name: "default", parallelMax: 4, jobs: [job("a", { programs: [failing], repeatTimes: 2 })] }],
  }),
  "orphans are adopted": scene({
    orphans: "adopt",
    homes: [{ name: "default", parallelMax: 4, jobs: [job("a", { programs: [long] })] }],
  }),
  "a pause while no daemon is there": scene({
    events: [{ atMs: 31_000, home: "default", job: "aaaaaaaaaaaa", kind: "pause" }],
  }),
  "a power cut": scene({ events: [{ atMs: 30_500, kind: "reboot", downMs: 1000 }] }),
  "made a one-shot during its run": scene({
    events: [
      { atMs: 31_000, home: "default", job: "aaaaaaaaaaaa", kind: "edit", schedule: { kind: "once", inMs: 10_000 } },
    ],
  }),
  "removed during its run": scene({
    events: [{ atMs: 31_000, home: "default", job: "aaaaaaaaaaaa", kind: "delete" }],
    homes: [{ name: "default", parallelMax: 4, jobs: [job("a", { programs: [{ ...long, onTerm: "ignores" }] })] }],
  }),
  "a launcher that is taken from a job that detaches": scene({
    events: [{ atMs: 31_000, home: "default", job: "aaaaaaaaaaaa", kind: "out of memory", takes: "launcher" }],
    homes: [{ name: "default", parallelMax: 4, jobs: [job("a", { detach: true, programs: [long] })] }],
  }),
  "a hand-over": scene({
    events: [{ atMs: 31_000, kind: "sigterm", downMs: 1000 }],
    homes: [{ name: "default", parallelMax: 4, jobs: [job("a", { programs: [long] })] }],
  }),
  "a run that ends just before its timeout": scene({
    lengthMs: 60_000,
    timeoutMs: 20_000,
    homes: [{ name: "default", parallelMax: 4, jobs: [job("a", { programs: [{ ...plain, durationMs: 19_996 }] })] }],
  }),
  "two jobs and room for one": scene({
    homes: [{ name: "default", parallelMax: 1, jobs: [job("a"), job("b", { programs: [failing] })] }],
  }),
};
