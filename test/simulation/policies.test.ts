import { expect, test } from "vitest";
import type { LedgerSlot } from "../../src/ledger/slots.ts";
import type { FakeProgram } from "../helpers/fake-processes.ts";
import { job, scene } from "./scenes.ts";
import { simulate } from "./simulate.ts";

const minute = 60_000;
const quick: FakeProgram = { durationMs: 400, end: { code: 0 }, onTerm: "dies", helper: null };

function tell(slots: readonly LedgerSlot[], jobId: string): readonly string[] {
  return slots
    .filter((slot) => slot.jobId === jobId)
    .map(({ scheduledAtMs, decision, reason }) =>
      [new Date(scheduledAtMs).toISOString().slice(11, 16), decision, reason].join(" "),
    );
}

test("a tick lock that somebody holds for 68 minutes costs no slot its line, and one late run comes at once", async () => {
  const every5 = job("a", { schedule: { kind: "cron", expression: "*/5 * * * *" }, programs: [quick] });
  const { findings, slots } = await simulate(
    scene({
      homes: [{ name: "default", parallelMax: 4, jobs: [every5] }],
      events: [{ atMs: 6 * minute, home: "default", kind: "lock", lock: "tick", forMs: 68 * minute }],
      lengthMs: 75 * minute,
    }),
  );
  expect(findings).toEqual([]);
  expect(tell(slots, every5.id)).toEqual([
    "10:05 run on_time",
    "10:10 run catch_up",
    ...["10:15", "10:20", "10:25", "10:30", "10:35", "10:40", "10:45", "10:50", "10:55"].map(
      (at) => `${at} coalesce missed`,
    ),
    ...["11:00", "11:05", "11:10"].map((at) => `${at} coalesce missed`),
    "11:15 run on_time",
  ]);
  const late = slots.find(({ reason }) => reason === "catch_up");
  const freeAtMs = scene().startMs + 74 * minute;
  expect((late?.decidedAtMs ?? 0) - freeAtMs).toBeLessThan(1000);
});

test("after a sleep of nine hours each job runs once, late, the longest due first, and every instant has its line", async () => {
  const expressions = ["*/30 * * * *", "0 * * * *", "*/10 * * * *", "15 * * * *", "45 * * * *", "5 * * * *"];
  const jobs = expressions.map((expression, index) =>
    job("abcdef"[index] ?? "", { schedule: { kind: "cron", expression }, programs: [quick] }),
  );
  const { findings, slots, openMax } = await simulate(
    scene({
      homes: [{ name: "default", parallelMax: 2, jobs }],
      events: [{ atMs: 10_000, kind: "clock", byMs: 9 * 60 * minute }],
      lengthMs: 60_000,
    }),
  );
  expect(findings).toEqual([]);
  const runs = slots.filter(({ decision }) => decision === "run");
  const late = runs.filter(({ reason }) => reason === "catch_up");
  expect(late.map(({ jobId }) => jobId[0]).sort()).toEqual(["a", "b", "c", "d", "e", "f"]);
  const inOrder = late.toSorted((a, b) => a.decidedAtMs - b.decidedAtMs);
  const dueOrder = inOrder.map(({ scheduledAtMs }) => scheduledAtMs);
  expect(dueOrder).toEqual(dueOrder.toSorted((a, b) => a - b));
  expect(openMax).toBe(2);
  // From 10:00 to 19:01: an instant that is not the late run's own is folded into it, and none is without a line.
  const minutes = [[0, 30], [0], [0, 10, 20, 30, 40, 50], [15], [45], [5]];
  for (const [index, { id }] of jobs.entries()) {
    const own = slots.filter(({ jobId }) => jobId === id);
    const served = own.find(({ reason }) => reason === "catch_up");
    const named = Array.from({ length: 10 }, (_, hour) => minutes[index]!.map((past) => (10 + hour) * 60 + past))
      .flat()
      .filter((past) => past > 10 * 60 && past <= 19 * 60)
      .map((past) => new Date(Date.UTC(2026, 4, 4, 0, past)).toISOString().slice(11, 16));
    const told = own.filter(({ scheduledAtMs }) => scheduledAtMs <= Date.UTC(2026, 4, 4, 19));
    expect([id, told.map(({ scheduledAtMs }) => new Date(scheduledAtMs).toISOString().slice(11, 16))]).toEqual([
      id,
      named,
    ]);
    expect(told.slice(1).every(({ decision, runId }) => decision === "coalesce" && runId === served?.runId)).toBe(true);
  }
});

test("while the machine is short what is on time starts, and what is late waits until it is not", async () => {
  const hourly = job("a", { schedule: { kind: "cron", expression: "0 * * * *" }, programs: [quick] });
  const each = job("b", { programs: [quick] });
  const { findings, slots } = await simulate(
    scene({
      // With one place the two compete.
      homes: [{ name: "default", parallelMax: 1, jobs: [hourly, each] }],
      cpuPressureMax: 20,
      events: [
        { atMs: 5000, kind: "pressure", cpuPercent: 50, forMs: 145_000 },
        { atMs: 10_000, kind: "clock", byMs: 120 * minute },
      ],
      lengthMs: 200_000,
    }),
  );
  expect(findings).toEqual([]);
  const decided = (jobId: string) =>
    slots
      .filter((slot) => slot.jobId === jobId && slot.decision === "run")
      .map(({ scheduledAtMs, decidedAtMs, waitedFor }) =>
        [
          new Date(scheduledAtMs).toISOString().slice(11, 16),
          new Date(decidedAtMs).toISOString().slice(11, 19),
          waitedFor ?? "-",
        ].join(" "),
      );
  // The missed instants of the one of every minute fold into the run that its next instant has at once.
  expect(decided(each.id).slice(0, 3)).toEqual(["10:01 12:01:00 pressure", "12:02 12:02:00 -", "12:03 12:03:00 -"]);
  const [first = ""] = decided(hourly.id);
  expect(first).toMatch(/^11:00 12:03:\d\d pressure$/u);
});

test("a job whose fence somebody holds keeps no other job from the room that it cannot use", async () => {
  const fenced = job("a", { programs: [quick] });
  const others = [
    job("b", { programs: [quick] }),
    job("c", { isPrompt: true, schedule: { kind: "once", inMs: 50_000 } }),
  ];
  const { findings, slots, wakesMax } = await simulate(
    scene({
      homes: [{ name: "default", parallelMax: 1, jobs: [fenced, ...others] }],
      events: [{ atMs: 20_000, home: "default", job: fenced.id, kind: "fence", forMs: 2 * minute }],
      lengthMs: 3 * minute,
    }),
  );
  expect(findings).toEqual([]);
  const early = slots.filter(({ scheduledAtMs }) => scheduledAtMs < scene().startMs + 2 * minute);
  expect(others.map(({ id }) => tell(early, id))).toEqual([
    ["10:01 run on_time", "10:02 run on_time"],
    ["10:01 run on_time"],
  ]);
  expect(tell(early, fenced.id)).toEqual(["10:01 run late", "10:02 coalesce missed"]);
  expect(wakesMax).toBeLessThan(50);
});

test.each([3_600_000, -90_000])(
  "a clock that is set by %i ms takes no job from a gateway that runs it",
  async (byMs) => {
    const place = { home: "default", job: job("a").id };
    const { findings, slots } = await simulate(
      scene({
        homes: [{ name: "default", parallelMax: 4, jobs: [job("a", { programs: [quick] })] }],
        events: [
          { ...place, atMs: 20_000, kind: "gateway", forMs: 2 * minute, dies: false },
          { atMs: 40_000, kind: "clock", byMs },
          // As soon as the daemon has seen it.
          { ...place, atMs: 42_000, kind: "resume" },
          { atMs: 45_000, kind: "kill", operations: 0, torn: false, downMs: 500 },
          { ...place, atMs: minute, kind: "run" },
        ],
        lengthMs: 4 * minute,
      }),
    );
    expect(findings).toEqual([]);
    expect(tell(slots, place.job)[0]).toBe("10:01 run elsewhere");
  },
);
