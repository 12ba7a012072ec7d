import { expect, test } from "vitest";
import { hermesGraceMs, lateGraceMs } from "../../src/core/grace.ts";
import type { Schedule } from "../../src/core/schedule.ts";
import { createZone } from "../../src/core/zone.ts";

const newYork = createZone("America/New_York", 0);
const summerMs = Date.parse("2026-06-15T10:00:00Z");

const schedules: readonly (readonly [Schedule, number, number])[] = [
  [{ kind: "interval", minutes: 1 }, 120, 120],
  [{ kind: "interval", minutes: 10 }, 600, 300],
  [{ kind: "interval", minutes: 60 }, 3600, 1800],
  [{ kind: "interval", minutes: 1440 }, 7200, 7200],
  [{ kind: "interval", minutes: 0 }, 120, 120],
  [{ kind: "cron", expression: "*/5 * * * *" }, 300, 150],
  [{ kind: "cron", expression: "0 9 * * *" }, 7200, 7200],
  [{ kind: "cron", expression: "* * * * * */2" }, 120, 120],
  [{ kind: "cron", expression: "0 0 30 2 *" }, 120, 120],
  [{ kind: "cron", expression: "nonsense" }, 120, 120],
  [{ kind: "once", runAtMs: summerMs }, 120, 120],
];

test.each(schedules)("lateGraceMs() of %j is one period of %d s, Hermes' the half: %d s", (schedule, ours, theirs) => {
  expect([lateGraceMs(schedule, newYork, summerMs), hermesGraceMs(schedule, newYork, summerMs)]).toEqual([
    ours * 1000,
    theirs * 1000,
  ]);
});

test("lateGraceMs() is right before a clock change, where Hermes measures one hour for a day", () => {
  const schedule: Schedule = { kind: "cron", expression: "0 9 * * *" };
  const beforeMs = Date.parse("2026-03-07T15:00:00Z");
  expect([lateGraceMs(schedule, newYork, beforeMs), hermesGraceMs(schedule, newYork, beforeMs)]).toEqual([
    7_200_000, 1_800_000,
  ]);
});
