import { expect, test } from "vitest";
import type { RunJson, SlotJson } from "../../src/status/json.ts";
import { parseMarks } from "./evidence.ts";
import { iso, job, line, marks, run, zeroMs } from "./history-parts.ts";
import { type DaemonLife, type JobHistory, judge } from "./judge.ts";

const untilMs = zeroMs + 5000;
const lives: readonly DaemonLife[] = [
  { startedMs: zeroMs - 500, endedMs: zeroMs + 2300, killed: true },
  { startedMs: zeroMs + 3500, endedMs: zeroMs + 9000, killed: false },
];

/** Ran at 0, was orphaned by the kill at 2.3 s, ran at 4. */
const good: JobHistory = {
  job,
  marks: [...marks("r0", 0), ...marks("r2", 2000, null), ...marks("r4", 4000)],
  runs: [
    run("r0", 0),
    run("r2", 2000, { state: "failed", reason: "orphaned", exit_code: null, ended_at: iso(3600), error: "gone" }),
    run("r4", 4000),
  ],
  slots: [line(0, "r0"), line(2000, "r2"), line(4000, "r4")],
  record: { repeat: { times: null, completed: 3 }, fire_claim: null, state: "scheduled" },
};

const withRuns = (change: (run: RunJson) => Partial<RunJson>): JobHistory => ({
  ...good,
  runs: good.runs.map((each) => ({ ...each, ...change(each) })),
});
const only = (id: string, more: Partial<RunJson>) => withRuns((each) => (each.id === id ? more : {}));
const withSlots = (...slots: readonly SlotJson[]): JobHistory => ({ ...good, slots });
const name = "default/aaaaaaaaaaaa";

test("judge() finds nothing where the record is as the jobs tell it", () => {
  expect(judge([good], lives, untilMs)).toEqual([]);
});

const cases: Readonly<Record<string, readonly [JobHistory, string]>> = {
  "a run beside a living process": [
    { ...good, marks: [...good.marks, { atMs: zeroMs + 4005, runId: "r4", what: "overlap" }] },
    `overlap: ${name}: run r4 began beside a living process of another, at 2026-03-01T10:00:04.005Z`,
  ],
  "evidence of a run that nobody recorded": [
    { ...good, marks: [...good.marks, { atMs: zeroMs + 4600, runId: "rx", what: "end", code: 0 }] },
    `other: ${name}: run rx left evidence, and the ledger has no such run`,
  ],
  "a void run that ran": [
    {
      ...good,
      marks: [...good.marks, { atMs: zeroMs + 3900, runId: "rv", what: "end", code: 0 }],
      runs: [...good.runs, run("rv", 4000, { state: "void", reason: "not_started" })],
    },
    `wrong outcome: ${name}: run rv is void, and left evidence of its end`,
  ],
  "a run that began before its claim": [
    only("r4", { claimed_at: iso(4050) }),
    `other: ${name}: run r4 began at 2026-03-01T10:00:04.006Z, before its claim at 2026-03-01T10:00:04.050Z`,
  ],
  "an instant without a line": [
    withSlots(line(0, "r0"), line(2000, "r2")),
    `lost slot: ${name}: 2026-03-01T10:00:04.000Z has no line`,
  ],
  "an instant that still waits": [
    withSlots(line(0, "r0"), line(2000, "r2"), line(4000, null, { decision: "pending", reason: "capacity" })),
    `lost slot: ${name}: 2026-03-01T10:00:04.000Z is pending (capacity)`,
  ],
  "an instant that somebody is said to have moved": [
    withSlots(line(0, "r0"), line(2000, "r2"), line(4000, null, { decision: "move", reason: "edited" })),
    `lost slot: ${name}: 2026-03-01T10:00:04.000Z is move (edited)`,
  ],
  "a line that names another instant's run": [
    withSlots(line(0, "r0"), line(2000, "r2"), line(4000, "r0")),
    `lost slot: ${name}: 2026-03-01T10:00:04.000Z is run (on_time) by r0, which was started for 2026-03-01T10:00:00.000Z`,
  ],
  "an instant folded into nothing": [
    withSlots(line(0, "r0"), line(2000, "r2"), line(4000, "rx", { decision: "coalesce", reason: "missed" })),
    `lost slot: ${name}: 2026-03-01T10:00:04.000Z is coalesce (missed) into rx, which never ran`,
  ],
  "an instant with two lines": [
    withSlots(...good.slots, line(4000, "r4")),
    `doubled slot: ${name}: 2026-03-01T10:00:04.000Z has 2 lines`,
  ],
  "a line for an instant that the rule does not name": [
    withSlots(...good.slots, line(3000, null, { decision: "skip", reason: "overlap" })),
    `other: ${name}: 2026-03-01T10:00:03.000Z has a line, and the rule does not name it`,
  ],
  "a job that began twice for one instant": [
    { ...good, marks: [...good.marks, { atMs: zeroMs + 4700, runId: "r4", what: "start", slotMs: zeroMs + 4000 }] },
    `doubled slot: ${name}: the job began 2 times for 2026-03-01T10:00:04.000Z`,
  ],
  "a success that nobody saw": [
    { ...good, marks: [...marks("r0", 0), ...marks("r2", 2000, null), ...marks("r4", 4000, null)] },
    `wrong outcome: ${name}: run r4 is completed, 0, and its job wrote no end`,
  ],
  "a success that was none": [
    { ...good, marks: [...marks("r0", 0), ...marks("r2", 2000, null), ...marks("r4", 4000, 3)] },
    `wrong outcome: ${name}: run r4 is completed, 0, and its job ended with 3`,
  ],
  "another exit code than the job's": [
    only("r0", { state: "failed", reason: "exit", exit_code: 5 }),
    `wrong outcome: ${name}: run r0 is failed, exit, 5, and its job ended with 0`,
  ],
  "a signal that nobody sent": [
    only("r4", { state: "failed", reason: "signal", exit_code: null, signal: "SIGKILL" }),
    `wrong outcome: ${name}: run r4 is failed, signal, SIGKILL, and its job ended with 0`,
  ],
  "an orphan of a daemon that lived": [
    only("r4", { state: "failed", reason: "orphaned", exit_code: null }),
    `wrong outcome: ${name}: run r4 is failed, orphaned, and no daemon was killed while it was open`,
  ],
  "an orphan whose end was on disk": [
    { ...good, marks: [...marks("r0", 0), ...marks("r2", 2000, 0, 200), ...marks("r4", 4000)] },
    `wrong outcome: ${name}: run r2 is failed, orphaned, and its job ended with 0 1300 ms before the daemon that says so was started`,
  ],
  "a run that nobody stopped and that is said to have been": [
    only("r4", { state: "failed", reason: "stopped", exit_code: null }),
    `wrong outcome: ${name}: run r4 is failed, stopped, and its job ended with 0`,
  ],
  "a run that is open for ever": [
    only("r4", { state: "running", exit_code: null, ended_at: null }),
    `wrong outcome: ${name}: run r4 is running, and nobody decided it`,
  ],
  "a record that miscounts": [
    { ...good, record: { ...good.record, repeat: { completed: 2 } } },
    `wrong outcome: ${name}: its record counts 2 runs, and the ledger has 3`,
  ],
  "a claim that stays": [
    { ...good, record: { ...good.record, fire_claim: { at: "x", by: "y" } } },
    `other: ${name}: its record still has a fire_claim`,
  ],
  "a record that is gone": [{ ...good, record: null }, `other: ${name}: its record is gone from jobs.json`],
};

for (const [what, [history, expected]] of Object.entries(cases)) {
  test(`judge() finds ${what}`, () => {
    expect(judge([history], lives, untilMs).map(({ fault, text }) => `${fault}: ${text}`)).toEqual([expected]);
  });
}

test("judge() finds an instant that two runs served", () => {
  const again = { ...good, marks: [...good.marks, ...marks("r5", 4000)], runs: [...good.runs, run("r5", 4000)] };
  expect(judge([again], lives, untilMs).map(({ fault }) => fault)).toEqual([
    "doubled slot",
    "doubled slot",
    "wrong outcome",
  ]);
});

test("judge() takes a stopped orphan's signal for true only after a kill", () => {
  const stopped = {
    state: "failed",
    reason: "signal",
    exit_code: null,
    signal: "SIGTERM",
    ended_at: iso(3600),
  } as const;
  expect(judge([only("r2", stopped)], lives, untilMs)).toEqual([]);
  const gentle = lives.map((life) => ({ ...life, killed: false }));
  expect(judge([only("r2", stopped)], gentle, untilMs).map(({ text }) => text)).toEqual([
    `${name}: run r2 is failed, signal, SIGTERM, and its job wrote no end`,
  ]);
});

test("parseMarks() reads what a job writes, and refuses anything else", () => {
  expect(
    parseMarks(
      "1.5 r1 start 2026-03-01T10:00:00.000Z\n1.6 r1 start -\n2.25 r1 end 137\n3 r2 end SIGKILL\n4 r2 overlap\n",
    ),
  ).toEqual([
    { atMs: 1500, runId: "r1", what: "start", slotMs: zeroMs },
    { atMs: 1600, runId: "r1", what: "start", slotMs: null },
    { atMs: 2250, runId: "r1", what: "end", code: 137 },
    { atMs: 3000, runId: "r2", what: "end", code: "SIGKILL" },
    { atMs: 4000, runId: "r2", what: "overlap" },
  ]);
  expect(() => parseMarks("1.5 r1 begin\n")).toThrow(
    new SyntaxError('Cannot read evidence "1.5 r1 begin": its third word is neither start, end nor overlap'),
  );
});
