import { expect, test } from "vitest";
import {
  type HealthEnd,
  healthAfterDeath,
  healthAfterOtherDeath,
  healthAfterRun,
  heldUntil,
  type JobHealth,
} from "../../src/core/job-health.ts";
import type { CrashLoopGuard } from "../../src/core/job-policy.ts";
import { at, sampleJob } from "../helpers/sample-job.ts";

const guard: CrashLoopGuard = { failures: 2, pauseMs: 10_000, pauseMsMax: 30_000 };
const policy = { streakPause: 3, crashLoop: guard };
const job = sampleJob();
const t0 = at("10:00:00");

interface Step extends Partial<HealthEnd> {
  readonly id?: string;
  readonly trigger?: "schedule" | "manual" | "retry";
  readonly edited?: true;
  /** The daemon dies beside this run before it ends. */
  readonly dies?: true;
}

const quick: Step = { endedAtMs: t0 + 100 };
const slow: Step = { endedAtMs: t0 + 5000 };
const good: Step = { success: true, reason: null };

function live(steps: readonly Step[], from?: JobHealth): JobHealth | undefined {
  let health = from;
  for (const [index, { id = `r${index}`, trigger = "schedule", edited, dies, ...end }] of steps.entries()) {
    const record = edited ? { ...job, script: "new.sh" } : job;
    if (dies) health = healthAfterDeath(health, id, record, t0, guard);
    const usual = {
      success: false,
      reason: "exit",
      startedAtMs: t0,
      endedAtMs: t0 + 5000,
      isTriedAgain: false,
    } as const;
    health = healthAfterRun(health, { id, trigger }, record, { ...usual, ...end }, policy) ?? undefined;
  }
  return health;
}

const held: readonly (readonly [string, readonly Step[], number | null])[] = [
  ["one quick failure", [quick], null],
  ["two quick failures", [quick, quick], 10_100],
  ["a third doubles the pause", [quick, quick, quick], 20_100],
  ["the pause has a bound", [quick, quick, quick, quick, quick, quick], 30_100],
  ["a success begins anew", [quick, good, quick], null],
  ["a slower failure begins anew", [quick, slow, quick], null],
  ["what a person tries counts for nothing", [quick, { ...quick, trigger: "manual" }], null],
  [
    "attempts count",
    [
      { ...quick, isTriedAgain: true },
      { ...quick, trigger: "retry" },
    ],
    10_100,
  ],
  ["an edit begins anew", [quick, { ...quick, edited: true }], null],
  ["a timeout is no crash", [quick, { ...quick, reason: "timeout" }], null],
  ["a stop by a person says nothing", [quick, { ...quick, reason: "stopped" }, quick], 10_100],
  ["one death of the daemon", [{ ...good, dies: true }], null],
  [
    "two deaths of the daemon, though the runs end well",
    [
      { ...good, dies: true },
      { ...good, dies: true },
    ],
    10_000,
  ],
  ["a good run between deaths begins anew", [{ ...good, dies: true }, good, { ...good, dies: true }], null],
];

for (const [name, steps, expected] of held) {
  test(`a job is held back or not: ${name}`, () => {
    const health = live(steps);
    expect(health?.heldUntilMs ?? null).toBe(expected === null ? null : t0 + expected);
  });
}

test("heldUntil() ends with the pause, an edit, another policy, and a clock that was set back", () => {
  const health = live([quick, quick]);
  const untilMs = t0 + 10_100;
  expect(heldUntil(health, job, guard, t0 + 200)).toBe(untilMs);
  expect(heldUntil(health, job, guard, untilMs)).toBeNull();
  expect(heldUntil(health, { ...job, script: "new.sh" }, guard, t0)).toBeNull();
  expect(heldUntil(health, job, null, t0)).toBeNull();
  expect(heldUntil(health, job, guard, t0 - 3_600_000)).toBeNull();
  expect(heldUntil(undefined, job, guard, t0)).toBeNull();
});

test("a run that the daemon died beside counts once, however often its end is looked at", () => {
  const once = healthAfterDeath(undefined, "r1", job, t0, guard);
  expect(healthAfterDeath(once, "r1", job, t0, guard)).toBe(once);
  expect(once.deaths).toBe(1);
});

test("a death of the daemon that a job had no part in clears it of those before", () => {
  const once = healthAfterDeath(undefined, "r1", job, t0, guard);
  const cleared = healthAfterOtherDeath(once);
  expect(cleared).toMatchObject({ deaths: 0, deathRunId: null });
  expect(cleared === null ? null : healthAfterOtherDeath(cleared)).toBeNull();
  expect(healthAfterDeath(cleared ?? undefined, "r2", job, t0, guard).heldUntilMs).toBeNull();
});

test("a streak counts slots that failed with all their attempts, and asks for a pause once", () => {
  const again = { ...slow, isTriedAgain: true };
  const two = live([again, slow, again, again, slow]);
  expect([two?.streak, two?.pausedBy]).toEqual([2, null]);
  const three = live([{ ...slow, id: "last" }], two);
  expect([three?.streak, three?.pausedBy]).toEqual([0, "last"]);
  const four = live([slow], three);
  expect([four?.streak, four?.pausedBy]).toEqual([1, null]);
  expect(live([slow, slow, good])).toBeUndefined();
});
