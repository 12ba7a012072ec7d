import { expect, test } from "vitest";
import { comingOccurrences } from "../../src/core/coming-occurrences.ts";
import type { Job } from "../../src/core/job.ts";
import { at, sampleJob, stored, utc } from "../helpers/sample-job.ts";

const interval = (fields: Partial<Job> = {}): Job =>
  sampleJob({ schedule: { kind: "interval", minutes: 45 }, scheduleText: "every 45m", ...fields });
const once = (ms: number): Job =>
  sampleJob({ schedule: { kind: "once", runAtMs: ms }, scheduleText: "once", nextRunAt: stored(ms) });

const found: readonly (readonly [fact: string, job: Job, after: string, count: number, clocks: readonly string[]])[] = [
  ["a cron without a stored time", sampleJob({ nextRunAt: null }), "10:00:00", 2, ["10:05:00", "10:10:00"]],
  ["a cron that is overdue", sampleJob({ nextRunAt: stored(at("09:00:00")) }), "10:01:00", 1, ["10:05:00"]],
  ["an interval from its stored time", interval(), "09:30:00", 3, ["10:00:00", "10:45:00", "11:30:00"]],
  ["an interval at its stored time, strictly later", interval(), "10:00:00", 1, ["10:45:00"]],
  ["an overdue interval in its cadence", interval(), "11:10:00", 2, ["11:30:00", "12:15:00"]],
  ["an interval without a stored time", interval({ nextRunAt: null }), "10:00:00", 2, ["10:45:00", "11:30:00"]],
  ["a one-shot", once(at("12:00:00")), "10:00:00", 5, ["12:00:00"]],
  [
    "what the repeats leave",
    sampleJob({ repeatTimes: 3, repeatCompleted: 1 }),
    "10:00:00",
    5,
    ["10:05:00", "10:10:00"],
  ],
  [
    "the one run that a used up count does not keep off",
    sampleJob({ repeatTimes: 2, repeatCompleted: 2 }),
    "10:00:00",
    5,
    ["10:05:00"],
  ],
  ["no limit for a count of nothing", sampleJob({ repeatTimes: 0 }), "10:00:00", 2, ["10:05:00", "10:10:00"]],
  ["a recurring job in error", sampleJob({ state: "error" }), "10:00:00", 1, ["10:05:00"]],
];

for (const [fact, job, after, count, clocks] of found) {
  test(`comingOccurrences() gives ${fact}`, () => {
    expect(comingOccurrences(job, at(after), count, utc)).toEqual(clocks.map(at));
  });
}

const none: readonly (readonly [job: Job, why: string])[] = [
  [sampleJob({ fault: "Its id is bad" }), "Its id is bad"],
  [sampleJob({ schedule: null }), 'Cannot find a next time of "sample": its schedule is of no known kind'],
  [sampleJob({ enabled: false }), 'Cannot find a next time of "sample": it is disabled'],
  [sampleJob({ enabled: false, state: "paused" }), 'Cannot find a next time of "sample": it is paused'],
  [sampleJob({ pausedAt: "2026-06-15T09:00:00+00:00" }), 'Cannot find a next time of "sample": it is paused'],
  [sampleJob({ enabled: false, state: "completed" }), 'Cannot find a next time of "sample": it is completed'],
  [
    sampleJob({ enabled: false, state: "completed", repeatTimes: 2, repeatCompleted: 2 }),
    'Cannot find a next time of "sample": it has had its 2 runs',
  ],
  [once(at("09:00:00")), 'Cannot find a next time of "sample" (once): its time has passed'],
  [
    sampleJob({ schedule: { kind: "cron", expression: "0 0 30 2 *" }, scheduleText: "0 0 30 2 *" }),
    'Cannot find a next time of "sample" (0 0 30 2 *): its schedule never comes',
  ],
];

for (const [job, why] of none) {
  test(`comingOccurrences() says why there is none: ${why}`, () => {
    expect(comingOccurrences(job, at("10:00:00"), 5, utc)).toBe(why);
  });
}

test("comingOccurrences() gives the text of a schedule that is refused", () => {
  const refused = sampleJob({ schedule: { kind: "cron", expression: "61 * * * *" } });
  expect(comingOccurrences(refused, at("10:00:00"), 5, utc)).toMatch(/61/);
});
