import { expect, test } from "vitest";
import type { Misfire } from "../../src/core/job-policy.ts";
import { newestDueMs } from "../../src/core/newest-due.ts";
import type { OwedSlots } from "../../src/core/slot.ts";
import type { Candidate } from "../../src/core/tick-draft.ts";
import { at, stored, utc } from "../helpers/sample-job.ts";

const everyMinute = { kind: "cron", expression: "* * * * *" } as const;
const runOnce: Misfire = { kind: "run_once" };
const owed = (until: string): OwedSlots => ({
  scheduleText: "cron * * * * *",
  fromMs: at("10:00:00"),
  throughMs: at(until),
});

/** By what the job waits for since 10:00: the instant that counts at 10:05:08. */
const cases: readonly (readonly [
  what: string,
  due: Partial<Candidate>,
  owed: OwedSlots | undefined,
  misfire: Misfire,
  newest: string | null,
])[] = [
  ["one run is for all that wait", {}, undefined, runOnce, "10:05:00"],
  ["each gets a run of its own", {}, undefined, { kind: "run_all", runsMax: 3 }, "10:00:00"],
  [
    "the next one is still to come",
    { schedule: { kind: "cron", expression: "0 * * * *" } },
    undefined,
    runOnce,
    "10:00:00",
  ],
  [
    "what waits off the record goes as far as now",
    { recorded: stored(at("10:06:00")) },
    owed("10:05:00"),
    runOnce,
    "10:05:00",
  ],
  [
    "what waits off the record ended long ago",
    { recorded: stored(at("10:06:00")) },
    owed("10:03:00"),
    runOnce,
    "10:00:00",
  ],
  ["a one-shot", { once: true }, undefined, runOnce, "10:00:00"],
  ["an attempt", { retry: {} as NonNullable<Candidate["retry"]> }, undefined, runOnce, "10:00:00"],
  ["a run that somebody asked for", { isManual: true }, undefined, runOnce, null],
];

test.each(cases)("newestDueMs() tells by which instant a job is on time: %s", (_, due, owedSlots, misfire, newest) => {
  const since = at("10:00:00");
  const plain = { dueAtMs: since, schedule: everyMinute, recorded: stored(since), isManual: false, once: false };
  const found = newestDueMs({ ...plain, ...due }, owedSlots, misfire, at("10:05:08"), utc);
  expect(found).toBe(newest === null ? Number.POSITIVE_INFINITY : at(newest));
});
