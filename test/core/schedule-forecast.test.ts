import { expect, test } from "vitest";
import type { Job } from "../../src/core/job.ts";
import { forecastJob } from "../../src/core/schedule-forecast.ts";
import { createZone, type Zone } from "../../src/core/zone.ts";
import { sampleJob, utc } from "../helpers/sample-job.ts";

const dayMs = 86_400_000;
const tokyo = createZone("Asia/Tokyo", 0);
const berlin = createZone("Europe/Berlin", 0);

function forecast(fields: Partial<Job>, before: Zone, after: Zone, from: string): unknown {
  const fromMs = Date.parse(from);
  const found = forecastJob(sampleJob(fields), before, after, fromMs, fromMs + dayMs);
  if (found === null) return null;
  const text = (ms: number): string => new Date(ms).toISOString().slice(0, 16);
  return {
    moved: found.moved.map(({ fromMs: one, toMs }) => `${text(one)} → ${text(toMs)}`),
    vanished: found.vanished.map(text),
    appeared: found.appeared.map(text),
  };
}

const cron = (expression: string): Partial<Job> => ({ schedule: { kind: "cron", expression } });

const cases: readonly (readonly [
  what: string,
  fields: Partial<Job>,
  before: Zone,
  after: Zone,
  from: string,
  result: unknown,
])[] = [
  ["the same zone", cron("0 3 * * *"), utc, utc, "2026-01-05T12:00Z", null],
  ["a rule that is the same in both", cron("*/5 * * * *"), utc, tokyo, "2026-01-05T12:00Z", null],
  ["an interval", { schedule: { kind: "interval", minutes: 45 } }, utc, tokyo, "2026-01-05T12:00Z", null],
  ["a job that does not run", { ...cron("0 3 * * *"), enabled: false }, utc, tokyo, "2026-01-05T12:00Z", null],
  [
    "another hour",
    cron("0 3 * * *"),
    utc,
    tokyo,
    "2026-01-05T12:00Z",
    { moved: ["2026-01-06T03:00 → 2026-01-05T18:00"], vanished: [], appeared: [] },
  ],
  [
    "one that falls on another day",
    cron("0 23 5 * *"),
    utc,
    tokyo,
    "2026-01-05T20:00Z",
    { moved: [], vanished: ["2026-01-05T23:00"], appeared: [] },
  ],
  [
    "one that comes only in the new zone",
    cron("0 1 6 1 *"),
    tokyo,
    berlin,
    "2026-01-05T20:00Z",
    { moved: [], vanished: [], appeared: ["2026-01-06T00:00"] },
  ],
  [
    "the last run that is left",
    { ...cron("0 3,15 * * *"), repeatTimes: 5, repeatCompleted: 4 },
    utc,
    tokyo,
    "2026-01-05T12:00Z",
    { moved: ["2026-01-05T15:00 → 2026-01-05T18:00"], vanished: [], appeared: [] },
  ],
];

test("forecastJob() tells which occurrences move, vanish and appear", () => {
  for (const [what, fields, before, after, from, result] of cases)
    expect([what, forecast(fields, before, after, from)]).toEqual([what, result]);
});

test("forecastJob() compares only what both lists cover of a job with very many occurrences", () => {
  const fields = cron("* 0-11 * * * */1");
  const fromMs = Date.parse("2026-01-05T00:00Z");
  const found = forecastJob(sampleJob(fields), utc, tokyo, fromMs, fromMs + 7 * dayMs);
  expect(
    (found?.moved.length ?? 0) + (found?.vanished.length ?? 0) + (found?.appeared.length ?? 0),
  ).toBeLessThanOrEqual(10_000);
});
