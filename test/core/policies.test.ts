import { expect, test } from "vitest";
import { days, misfires, overlaps, playDay } from "../helpers/policy-days.ts";

/** The rows of what waits for a run's end: what is late by then runs still, or the newest alone does. */
function queued(lines: (last: "late" | "catch_up") => readonly string[]): Readonly<Record<string, readonly string[]>> {
  const rows = Object.keys(misfires).flatMap((misfire) => {
    const told = lines(misfire === "skip" || misfire.startsWith("within") ? "late" : "catch_up");
    return [
      [`${misfire} + queue_one`, told],
      [`${misfire} + replace`, [...told, "stop 1"]],
    ] as const;
  });
  return Object.fromEntries(rows);
}

/** By day and by what the job is told for missed and for overlapping instants: what becomes of each of them. */
const table: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>> = {
  "on time": {
    any: ["10:00 run on_time 1"],
  },
  "late within its grace": {
    "run_once + any": ["10:00 run late 1"],
    "skip + any": ["10:00 run late 1"],
    "run_all 2 + any": ["10:00 run late 1"],
    "within 3 m + any": ["10:00 skip policy"],
  },
  "beyond its grace": {
    "run_once + any": ["10:00 run catch_up 1", "10:05 coalesce missed 1", "10:10 coalesce missed 1"],
    "skip + any": ["10:00 skip policy", "10:05 skip policy", "10:10 run late 1"],
    "run_all 2 + any": ["10:00 run catch_up 1", "10:05 run catch_up 2", "10:10 coalesce missed 2"],
    "within 3 m + any": ["10:00 skip policy", "10:05 skip policy", "10:10 run late 1"],
  },
  running: {
    "any + skip": ["10:00 run on_time 1", "10:05 skip overlap", "10:10 run on_time 2"],
    "any + queue_one": ["10:00 run on_time 1", "10:05 run late 2", "10:10 run on_time 3"],
    "any + replace": ["10:00 run on_time 1", "10:05 run late 2", "10:10 run on_time 3", "stop 1"],
  },
  queued: {
    "any + skip": ["10:00 run on_time 1", "10:05 skip overlap", "10:10 skip overlap", "10:15 run on_time 2"],
    "run_once + queue_one": [
      "10:00 run on_time 1",
      "10:05 run catch_up 2",
      "10:10 coalesce queue_full 2",
      "10:15 run on_time 3",
    ],
    "run_once + replace": [
      "10:00 run on_time 1",
      "10:05 run catch_up 2",
      "10:10 coalesce queue_full 2",
      "10:15 run on_time 3",
      "stop 1",
    ],
    "skip + queue_one": ["10:00 run on_time 1", "10:05 skip policy", "10:10 run late 2", "10:15 run on_time 3"],
    "skip + replace": ["10:00 run on_time 1", "10:05 skip policy", "10:10 run late 2", "10:15 run on_time 3", "stop 1"],
    "run_all 2 + queue_one": [
      "10:00 run on_time 1",
      "10:05 run catch_up 2",
      "10:10 coalesce queue_full 2",
      "10:15 run on_time 3",
    ],
    "run_all 2 + replace": [
      "10:00 run on_time 1",
      "10:05 run catch_up 2",
      "10:10 coalesce queue_full 2",
      "10:15 run on_time 3",
      "stop 1",
    ],
    "within 3 m + queue_one": ["10:00 run on_time 1", "10:05 skip policy", "10:10 run late 2", "10:15 run on_time 3"],
    "within 3 m + replace": [
      "10:00 run on_time 1",
      "10:05 skip policy",
      "10:10 run late 2",
      "10:15 run on_time 3",
      "stop 1",
    ],
  },
  "a restart in between": {
    "any + skip": ["10:00 run on_time 1", "10:05 skip overlap", "10:10 skip overlap"],
    "run_once + queue_one": ["10:00 run on_time 1", "10:05 run catch_up 2", "10:10 coalesce queue_full 2"],
    "run_once + replace": ["10:00 run on_time 1", "10:05 run catch_up 2", "10:10 coalesce queue_full 2", "stop 1"],
    "skip + queue_one": ["10:00 run on_time 1", "10:05 skip policy", "10:10 run late 2"],
    "skip + replace": ["10:00 run on_time 1", "10:05 skip policy", "10:10 run late 2", "stop 1"],
    "run_all 2 + queue_one": ["10:00 run on_time 1", "10:05 run catch_up 2", "10:10 coalesce queue_full 2"],
    "run_all 2 + replace": ["10:00 run on_time 1", "10:05 run catch_up 2", "10:10 coalesce queue_full 2", "stop 1"],
    "within 3 m + queue_one": ["10:00 run on_time 1", "10:05 skip policy", "10:10 run late 2"],
    "within 3 m + replace": ["10:00 run on_time 1", "10:05 skip policy", "10:10 run late 2", "stop 1"],
  },
  "a clock that goes forward": {
    "run_once + any": [
      "10:00 run on_time 1",
      "10:05 run catch_up 2",
      "10:10 coalesce missed 2",
      "10:15 coalesce missed 2",
      "10:20 coalesce missed 2",
      "10:25 coalesce missed 2",
      "10:30 coalesce missed 2",
    ],
    "skip + any": [
      "10:00 run on_time 1",
      "10:05 skip policy",
      "10:10 skip policy",
      "10:15 skip policy",
      "10:20 skip policy",
      "10:25 skip policy",
      "10:30 run late 2",
    ],
    "run_all 2 + any": [
      "10:00 run on_time 1",
      "10:05 run catch_up 2",
      "10:10 run catch_up 3",
      "10:15 coalesce missed 3",
      "10:20 coalesce missed 3",
      "10:25 coalesce missed 3",
      "10:30 coalesce missed 3",
    ],
    "within 3 m + any": [
      "10:00 run on_time 1",
      "10:05 skip policy",
      "10:10 skip policy",
      "10:15 skip policy",
      "10:20 skip policy",
      "10:25 skip policy",
      "10:30 run late 2",
    ],
  },
  "a clock that goes back": {
    "any + skip": ["10:00 run on_time 1", "10:05 skip overlap", "10:10 run on_time 2"],
    "any + queue_one": ["10:00 run on_time 1", "10:05 run on_time 2", "10:10 run on_time 3"],
    "any + replace": ["10:00 run on_time 1", "10:05 run on_time 2", "10:10 run on_time 3", "stop 1"],
  },
  "clocks are set forward in spring": {
    "run_once + any": ["00:30 run catch_up 1", "01:30 coalesce missed 1", "02:30 coalesce missed 1"],
    "skip + any": ["00:30 skip policy", "01:30 skip policy", "02:30 run late 1"],
    "run_all 2 + any": ["00:30 run catch_up 1", "01:30 run catch_up 2", "02:30 coalesce missed 2"],
    "within 3 m + any": ["00:30 skip policy", "01:30 skip policy", "02:30 skip policy"],
  },
  "clocks are set back in autumn": {
    "run_once + any": ["00:30 run catch_up 1", "02:30 coalesce missed 1"],
    "skip + any": ["00:30 skip policy", "02:30 run late 1"],
    "run_all 2 + any": ["00:30 run catch_up 1", "02:30 run late 2"],
    "within 3 m + any": ["00:30 skip policy", "02:30 skip policy"],
  },
  "an interval, beyond its grace": {
    "run_once + any": [
      "10:00 run catch_up 1",
      "10:05 coalesce missed 1",
      "10:10 coalesce missed 1",
      "10:15 run on_time 2",
    ],
    "skip + any": ["10:00 skip policy", "10:05 skip policy", "10:10 run late 1", "10:15 run on_time 2"],
    "run_all 2 + any": [
      "10:00 run catch_up 1",
      "10:05 run catch_up 2",
      "10:10 coalesce missed 2",
      "10:15 run on_time 3",
    ],
    "within 3 m + any": ["10:00 skip policy", "10:05 skip policy", "10:10 run late 1", "10:15 run on_time 2"],
  },
  "a restart while missed ones are caught up with": {
    "run_once + any": ["10:00 run catch_up 1", "10:05 coalesce missed 1", "10:10 coalesce missed 1"],
    "skip + any": ["10:00 skip policy", "10:05 skip policy", "10:10 run late 1"],
    "run_all 2 + any": ["10:00 run catch_up 1", "10:05 run catch_up 2", "10:10 coalesce missed 2"],
    "within 3 m + any": ["10:00 skip policy", "10:05 skip policy", "10:10 run late 1"],
  },
  "a clock that goes forward while a run is open": {
    "any + skip": [
      "10:00 run on_time 1",
      "10:05 skip overlap",
      "10:10 skip overlap",
      "10:15 skip overlap",
      "10:20 skip overlap",
      "10:25 run on_time 2",
    ],
    ...queued((last) => [
      "10:00 run on_time 1",
      ...(last === "late"
        ? ["10:05 skip policy", "10:10 skip policy", "10:15 skip policy", "10:20 run late 2"]
        : [
            "10:05 run catch_up 2",
            "10:10 coalesce queue_full 2",
            "10:15 coalesce queue_full 2",
            "10:20 coalesce queue_full 2",
          ]),
      "10:25 run on_time 3",
    ]),
  },
  "a clock that goes back while some wait": {
    "any + skip": ["10:00 run on_time 1", "10:05 skip overlap", "10:10 skip overlap", "10:15 run on_time 2"],
    "any + queue_one": ["10:00 run on_time 1", "10:05 run on_time 2", "10:10 run on_time 3", "10:15 run on_time 4"],
    "any + replace": [
      "10:00 run on_time 1",
      "10:05 run on_time 2",
      "10:10 run on_time 3",
      "10:15 run on_time 4",
      "stop 1",
    ],
  },
  // 02:30 there is 03:30 then, and in autumn the first of the two.
  "a daily job in the hour that spring leaves out": { any: ["01:30 run on_time 1"] },
  "a daily job in the hour that autumn repeats": { any: ["00:30 run on_time 1"] },
  "a run is open while clocks are set forward": {
    "any + skip": ["00:30 run on_time 1", "01:30 skip overlap", "02:30 skip overlap", "03:30 run on_time 2"],
    ...queued((last) => [
      "00:30 run on_time 1",
      ...(last === "late"
        ? ["01:30 skip policy", "02:30 run late 2"]
        : ["01:30 run catch_up 2", "02:30 coalesce queue_full 2"]),
      "03:30 run on_time 3",
    ]),
  },
  "a run is open while clocks are set back": {
    "any + skip": ["00:30 run on_time 1", "02:30 skip overlap", "03:30 run on_time 2"],
    "any + queue_one": ["00:30 run on_time 1", "02:30 run late 2", "03:30 run on_time 3"],
    "any + replace": ["00:30 run on_time 1", "02:30 run late 2", "03:30 run on_time 3", "stop 1"],
  },
  // An interval knows of no wall clock.
  "an interval over the hour that autumn repeats": {
    "run_once + any": [
      "00:30 run catch_up 1",
      "01:30 coalesce missed 1",
      "02:30 coalesce missed 1",
      "03:30 run on_time 2",
    ],
    "skip + any": ["00:30 skip policy", "01:30 skip policy", "02:30 run late 1", "03:30 run on_time 2"],
    "run_all 2 + any": [
      "00:30 run catch_up 1",
      "01:30 run catch_up 2",
      "02:30 coalesce missed 2",
      "03:30 run on_time 3",
    ],
    "within 3 m + any": ["00:30 skip policy", "01:30 skip policy", "02:30 skip policy", "03:30 run on_time 1"],
  },
  "a one-shot late within its grace": { any: ["10:00 run late 1"] },
  "a one-shot beyond its grace": {
    "run_once + any": ["10:00 run catch_up 1"],
    "skip + any": ["10:00 skip policy"],
    "run_all 2 + any": ["10:00 run catch_up 1"],
    "within 3 m + any": ["10:00 run catch_up 1"],
  },
  "a one-shot whose clock goes back": { any: ["10:00 run on_time 1"] },
  "somebody holds the tick lock": {
    "run_once + any": ["10:00 run catch_up 1", "10:05 coalesce missed 1", "10:10 coalesce missed 1"],
    "skip + any": ["10:00 skip policy", "10:05 skip policy", "10:10 run late 1"],
    "run_all 2 + any": ["10:00 run catch_up 1", "10:05 pending capacity", "10:10 pending capacity"],
    "within 3 m + any": ["10:00 skip policy", "10:05 skip policy", "10:10 run late 1"],
  },
  "ESTOP lies there": {
    "run_once + any": ["10:00 run catch_up 1", "10:05 coalesce missed 1"],
    "skip + any": ["10:00 skip policy", "10:05 run late 1"],
    "run_all 2 + any": ["10:00 run catch_up 1", "10:05 pending capacity"],
    "within 3 m + any": ["10:00 skip policy", "10:05 run late 1"],
  },
};

function expected(day: string, misfire: string, overlap: string): readonly string[] | undefined {
  const rows = table[day] ?? {};
  return rows[`${misfire} + ${overlap}`] ?? rows[`${misfire} + any`] ?? rows[`any + ${overlap}`] ?? rows["any"];
}

for (const [name, day] of Object.entries(days)) {
  test(`planTick() gives every instant what its policy says: ${name}`, () => {
    const policies = Object.entries(misfires).flatMap(([misfire, rule]) =>
      overlaps.map((overlap) => ({ misfire, overlap, policy: { misfire: rule, overlap } })),
    );
    const played = policies.map(({ misfire, overlap, policy }) => [`${misfire} + ${overlap}`, playDay(day, policy)]);
    const wanted = policies.map(({ misfire, overlap }) => [
      `${misfire} + ${overlap}`,
      expected(name, misfire, overlap),
    ]);
    expect(Object.fromEntries(played)).toEqual(Object.fromEntries(wanted));
  });
}
