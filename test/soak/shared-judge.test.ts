import { expect, test } from "vitest";
import type { SlotJson } from "../../src/status/json.ts";
import { createSeededRandom } from "../helpers/seeded-random.ts";
import type { Mark } from "./evidence.ts";
import { iso, job, line, marks, run, zeroMs } from "./history-parts.ts";
import { planBlows } from "./plan-blows.ts";
import { makeSharedJobs } from "./shared-jobs.ts";
import { judgeShared, promptMarks, type SharedHistory, type SharedScene } from "./shared-judge.ts";

const name = "default/aaaaaaaaaaaa";
const scene: SharedScene = {
  daemonLives: [
    { startedMs: zeroMs - 500, endedMs: zeroMs + 3000, killed: true },
    { startedMs: zeroMs + 5000, endedMs: zeroMs + 9000, killed: false },
  ],
  gatewayKillsMs: [],
  untilMs: zeroMs + 7000,
};

function gatewayMarks(atMs: number, id = "elsewhere-7"): readonly Mark[] {
  return [
    { atMs: zeroMs + atMs, runId: id, what: "start", slotMs: null },
    { atMs: zeroMs + atMs + 90, runId: id, what: "end", code: 0 },
  ];
}

function elsewhere(atMs: number, decidedMs = atMs + 1200): SlotJson {
  return line(atMs, null, { reason: "elsewhere", decided_at: iso(decidedMs) });
}

/** The supervisor served 0 and 2, the gateway 4 while the daemon was gone, and the supervisor 6. */
const good: SharedHistory = {
  job,
  marks: [...marks("r0", 0), ...marks("r2", 2000), ...gatewayMarks(4300), ...marks("r6", 6000)],
  runs: [run("r0", 0), run("r2", 2000), run("r6", 6000)],
  slots: [line(0, "r0"), line(2000, "r2"), elsewhere(4000), line(6000, "r6")],
  record: { repeat: { times: null, completed: 4 } },
  taken: [{ claimedMs: zeroMs + 4100, finishedMs: zeroMs + 4400, instantMs: null }],
};

function judged(history: SharedHistory, change: Partial<SharedScene> = {}): readonly string[] {
  return judgeShared([history], { ...scene, ...change }).map(({ fault, text }) => `${fault}: ${text}`);
}

function withSlots(...slots: readonly SlotJson[]): SharedHistory {
  return { ...good, slots };
}

test("judgeShared() finds nothing where each instant was run once, by one of the two", () => {
  expect(judged(good)).toEqual([]);
  expect(
    judged({ ...good, taken: [{ claimedMs: zeroMs + 4100, finishedMs: zeroMs + 4400, instantMs: zeroMs + 4000 }] }),
  ).toEqual([]);
});

const moved = line(4000, null, { decision: "move", reason: "reanchored", decided_at: iso(5200) });

const cases: Readonly<Record<string, readonly [SharedHistory, ...string[]]>> = {
  "two runs at once": [
    { ...good, marks: [...good.marks, { atMs: zeroMs + 4310, runId: "elsewhere-8", what: "overlap" }] },
    `overlap: ${name}: run elsewhere-8 began beside a living process of another, at 2026-03-01T10:00:04.310Z`,
  ],
  "an instant without a line": [
    withSlots(line(0, "r0"), elsewhere(4000), line(6000, "r6")),
    `lost slot: ${name}: 2026-03-01T10:00:02.000Z has no line`,
  ],
  "an instant with two lines": [
    withSlots(...good.slots, line(6000, "r6")),
    `doubled slot: ${name}: 2026-03-01T10:00:06.000Z has 2 lines`,
  ],
  "a line for an instant that the rule does not name": [
    withSlots(...good.slots, line(3000, null, { decision: "skip", reason: "overlap" })),
    `other: ${name}: 2026-03-01T10:00:03.000Z has a line, and the rule does not name it`,
  ],
  "an instant that still waits": [
    withSlots(
      line(0, "r0"),
      line(2000, "r2"),
      elsewhere(4000),
      line(6000, null, { decision: "pending", reason: "lock" }),
    ),
    `lost slot: ${name}: 2026-03-01T10:00:06.000Z is pending (lock)`,
  ],
  "an instant that nobody ran and that the gateway is said to have": [
    { ...good, marks: good.marks.filter((mark) => mark.runId !== "elsewhere-7"), taken: [] },
    `lost slot: ${name}: 2026-03-01T10:00:04.000Z is run (elsewhere), and no gateway took it`,
  ],
  "an instant that nobody moved": [
    { ...withSlots(line(0, "r0"), line(2000, "r2"), moved, line(6000, "r6")), marks: marks("r6", 6000), taken: [] },
    `wrong outcome: ${name}: run r0 is completed, 0, and its job wrote no end`,
    `wrong outcome: ${name}: run r2 is completed, 0, and its job wrote no end`,
    `lost slot: ${name}: 2026-03-01T10:00:04.000Z is move (reanchored), and no gateway took it`,
  ],
  "a run of the gateway that the ledger has as something else": [
    withSlots(line(0, "r0"), line(2000, "r2"), moved, line(6000, "r6")),
    `wrong outcome: ${name}: the gateway ran it at 2026-03-01T10:00:04.300Z, and the ledger has 2026-03-01T10:00:04.000Z as move (reanchored)`,
  ],
  "an instant that both ran, the gateway second": [
    { ...good, marks: [...good.marks, ...gatewayMarks(6500, "elsewhere-8")] },
    `doubled slot: ${name}: the gateway began it at 2026-03-01T10:00:06.500Z, when every instant up to then had been served`,
    `wrong outcome: ${name}: the gateway ran it at 2026-03-01T10:00:06.500Z, and the ledger has no line of it`,
  ],
  "an instant that both ran, the gateway first, by Hermes' ledger": [
    {
      ...good,
      marks: [...good.marks, ...gatewayMarks(6001, "elsewhere-8")],
      taken: [...good.taken, { claimedMs: zeroMs + 6000, finishedMs: null, instantMs: zeroMs + 6000 }],
    },
    `doubled slot: ${name}: 2026-03-01T10:00:06.000Z was run by the gateway at 2026-03-01T10:00:06.001Z and the supervisor at 2026-03-01T10:00:06.006Z`,
    `wrong outcome: ${name}: the gateway ran it at 2026-03-01T10:00:06.001Z, and the ledger has 2026-03-01T10:00:06.000Z as run (on_time)`,
  ],
  "an instant that the gateway ran twice": [
    { ...good, marks: [...good.marks, ...gatewayMarks(4900, "elsewhere-8")] },
    `doubled slot: ${name}: the gateway began it at 2026-03-01T10:00:04.900Z, when every instant up to then had been served`,
    `wrong outcome: ${name}: the gateway ran it at 2026-03-01T10:00:04.900Z, and the ledger has no line of it`,
  ],
  "a success of ours that nobody saw": [
    { ...good, marks: good.marks.filter((mark) => mark.runId !== "r6" || mark.what === "start") },
    `wrong outcome: ${name}: run r6 is completed, 0, and its job wrote no end`,
  ],
  "a record that is gone": [{ ...good, record: null }, `other: ${name}: its record is gone from jobs.json`],
};

for (const [what, [history, ...expected]] of Object.entries(cases)) {
  test(`judgeShared() finds ${what}`, () => {
    expect(judged(history)).toEqual(expected);
  });
}

test("judgeShared() takes a moved instant for what a killed gateway had begun", () => {
  const history = withSlots(line(0, "r0"), line(2000, "r2"), moved, line(6000, "r6"));
  expect(judged(history, { gatewayKillsMs: [zeroMs + 4350] })).toEqual([]);
});

test("judgeShared() takes an instant for moved that came while the gateway's run went on", () => {
  const late = { ...line(6000, null, { decision: "move", reason: "reanchored", decided_at: iso(6400) }) } as const;
  const long: SharedHistory = {
    ...withSlots(line(0, "r0"), line(2000, "r2"), elsewhere(4000), late),
    marks: good.marks.filter((mark) => mark.runId !== "r6"),
    runs: good.runs.filter(({ id }) => id !== "r6"),
  };
  const lost = `lost slot: ${name}: 2026-03-01T10:00:06.000Z is move (reanchored), and no gateway took it`;
  expect(judged(long)).toEqual([lost]);
  const taken = [{ claimedMs: zeroMs + 4100, finishedMs: zeroMs + 6200, instantMs: null }];
  expect(judged({ ...long, taken })).toEqual([]);
  const marks = long.marks.map((mark) => (mark.atMs === zeroMs + 4390 ? { ...mark, atMs: zeroMs + 6200 } : mark));
  expect(judged({ ...long, marks })).toEqual([]);
});

test("judgeShared() takes the outcome of a run for true whose record the gateway had taken meanwhile", () => {
  const marks = good.marks.map((mark) =>
    mark.runId === "r6" && mark.what === "end" ? ({ ...mark, code: 3 } as const) : mark,
  );
  const superseded = (code: number): SharedHistory => ({
    ...good,
    marks,
    runs: good.runs.map((one) =>
      one.id === "r6" ? { ...one, state: "failed", reason: "superseded", exit_code: code } : one,
    ),
  });
  expect(judged(superseded(3))).toEqual([]);
  expect(judged(superseded(4))).toEqual([
    `wrong outcome: ${name}: run r6 is failed, exit, 4, and its job ended with 3`,
  ]);
});

test("judgeShared() leaves out what began beside a script of a killed gateway", () => {
  const overlap: Mark = { atMs: zeroMs + 6006, runId: "r6", what: "overlap" };
  const beside = { ...good, marks: [...good.marks.filter((mark) => mark.atMs !== zeroMs + 4390), overlap] };
  expect(judged(beside)).toEqual([
    `overlap: ${name}: run r6 began beside a living process of another, at 2026-03-01T10:00:06.006Z`,
  ]);
  expect(judged(beside, { gatewayKillsMs: [zeroMs + 5000] })).toEqual([]);
});

const minute: SharedHistory = {
  job: { ...job, rule: { kind: "interval", minutes: 1 } },
  marks: [...marks("r0", 0), ...gatewayMarks(70_000), ...marks("r1", 130_400)],
  runs: [run("r0", 0), run("r1", 130_400)],
  slots: [line(0, "r0"), elsewhere(60_000, 72_000), line(130_400, "r1")],
  record: {},
  taken: [{ claimedMs: zeroMs + 69_990, finishedMs: zeroMs + 70_400, instantMs: null }],
};
const minutes = { untilMs: zeroMs + 180_000 };

test("judgeShared() counts an interval from the end of what the gateway ran", () => {
  expect(judged(minute, minutes)).toEqual([]);
  expect(
    judged({ ...minute, slots: [line(0, "r0"), elsewhere(60_000, 72_000), line(145_000, "r1")] }, minutes),
  ).toContain(`lost slot: ${name}: nothing has a line between 2026-03-01T10:01:00.000Z and 2026-03-01T10:02:25.000Z`);
  expect(judged(minute, { untilMs: zeroMs + 300_000 })).toEqual([
    `lost slot: ${name}: nothing has a line between 2026-03-01T10:02:10.400Z and 2026-03-01T10:06:00.000Z`,
  ]);
});

test("judgeShared() finds an interval that both served", () => {
  const again = { ...minute, marks: [...minute.marks, ...gatewayMarks(131_000, "elsewhere-8")] };
  expect(judged(again, minutes)).toContain(
    `doubled slot: ${name}: the gateway began it at 2026-03-01T10:02:11.000Z, 600 ms after what the supervisor had served`,
  );
});

test("promptMarks() gives a request to the run that was open, and a second one is an overlap", () => {
  const runs = [run("r0", 0, { ended_at: iso(1500) }), run("r2", 2000, { state: "running", ended_at: null })];
  const requests = [400, 900, 1800, 2500].map((ms) => ({ atMs: zeroMs + ms }));
  expect(promptMarks(requests, runs)).toEqual([
    { what: "start", atMs: zeroMs + 400, runId: "r0", slotMs: zeroMs },
    { what: "end", atMs: zeroMs + 1500, runId: "r0", code: 0 },
    { what: "overlap", atMs: zeroMs + 900, runId: "r0" },
    { what: "start", atMs: zeroMs + 1800, runId: "elsewhere-2", slotMs: null },
    { what: "start", atMs: zeroMs + 2500, runId: "r2", slotMs: zeroMs + 2000 },
  ]);
});

test("planBlows() kills either side, five times in all, once so long that the other takes over", () => {
  for (let seed = 0; seed < 200; seed++) {
    const blows = planBlows(createSeededRandom(seed), 10);
    expect(blows).toHaveLength(5);
    expect(new Set(blows.map(({ side }) => side))).toEqual(new Set(["daemon", "gateway"]));
    expect(blows.some(({ side, pauseMs }) => side === "daemon" && pauseMs > 60_000)).toBe(true);
    for (const [index, { atMs, pauseMs }] of blows.entries()) {
      expect(atMs + pauseMs).toBeLessThan(blows[index + 1]?.atMs ?? 600_000);
    }
    expect(planBlows(createSeededRandom(seed), 10)).toEqual(blows);
  }
});

test("makeSharedJobs() makes 20 scripts and 5 prompts of 5 to 60 s", () => {
  const jobs = makeSharedJobs(zeroMs + 1, true);
  expect(jobs.filter(({ kind }) => kind === "script")).toHaveLength(20);
  expect(jobs.filter(({ kind }) => kind === "prompt")).toHaveLength(5);
  expect(new Set(jobs.map(({ id }) => id)).size).toBe(25);
  for (const { rule, firstMs } of jobs) {
    const seconds = rule.kind === "cron" ? rule.everySeconds : 60;
    expect(seconds).toBeGreaterThanOrEqual(5);
    expect(seconds).toBeLessThanOrEqual(60);
    expect(firstMs - zeroMs).toBeLessThanOrEqual(60_000);
  }
});
