import { expect, test } from "vitest";
import type { Job } from "../../src/core/job.ts";
import type { Retry } from "../../src/core/job-policy.ts";
import { planTick, type TickInput, type TickPlan } from "../../src/core/plan-tick.ts";
import { editKey, planRetryAfter, retryDelayMs, type WaitingRetry } from "../../src/core/retry.ts";
import type { RunReason } from "../../src/core/run.ts";
import { restoreJob, settleJob } from "../../src/core/settle-job.ts";
import { at, claimBy, sampleGates, sampleJob, stored, tickInput, utc } from "../helpers/sample-job.ts";

const policy: Retry = { attemptsMax: 2, backoffMs: 30_000, jitter: 0, causes: ["failed", "timeout", "orphaned"] };
const next = stored(at("10:05:00"));
const job = sampleJob({ nextRunAt: next, lastRunAt: stored(at("10:00:02")), lastStatus: "error" });
const first = { trigger: "schedule", attempt: 1, scheduledAtMs: at("10:00:00") } as const;
const seen = { startedAtMs: at("10:00:02"), failedAtMs: at("10:00:02"), job, isRetriedByHermes: false, chance: 0.5 };

test("planRetryAfter() follows the policy's causes and leaves what is no failure of the job", () => {
  const all: Retry = {
    ...policy,
    causes: ["failed", "timeout", "idle_timeout", "memory_limit", "output_limit", "orphaned"],
  };
  const table: readonly (readonly [RunReason, readonly string[]])[] = [
    ["exit", ["failed"]],
    ["signal", ["failed"]],
    ["error", ["failed"]],
    ["not_started", ["failed"]],
    ["timeout", ["timeout"]],
    ["idle_timeout", ["idle_timeout"]],
    ["memory_limit", ["memory_limit"]],
    ["output_limit", ["output_limit"]],
    ["orphaned", ["orphaned"]],
    ["stopped", []],
    ["replaced", []],
    ["superseded", []],
    ["blocked_config", []],
  ];
  for (const [reason, causes] of table) {
    const followed = all.causes.filter((cause) => planRetryAfter(first, reason, { ...all, causes: [cause] }, seen));
    expect([reason, followed]).toEqual([reason, causes]);
  }
  expect(planRetryAfter(first, "exit", null, seen)).toBeNull();
  expect(planRetryAfter(first, null, all, seen)).toBeNull();
  expect(planRetryAfter({ ...first, trigger: "manual" }, "exit", all, seen)).toBeNull();
});

const plans: readonly (readonly [string, Parameters<typeof planRetryAfter>, string])[] = [
  ["the first failure", [first, "exit", policy, seen], "attempt 2 at 10:00:32"],
  ["the second", [{ ...first, trigger: "retry", attempt: 2 }, "exit", policy, seen], "attempt 3 at 10:00:32"],
  ["the last", [{ ...first, trigger: "retry", attempt: 3 }, "exit", policy, seen], "used_up"],
  ["a delay beyond the next slot", [first, "exit", { ...policy, backoffMs: 298_000 }, seen], "next_slot"],
  ["a delay just before it", [first, "exit", { ...policy, backoffMs: 297_999 }, seen], "attempt 2 at 10:04:59"],
  [
    "an attempt that would run past the next slot, if it takes as long as the run that failed",
    [first, "exit", { ...policy, backoffMs: 200_000 }, { ...seen, failedAtMs: at("10:00:52") }],
    "next_slot",
  ],
  [
    "an attempt that would end just before it",
    [first, "exit", { ...policy, backoffMs: 197_999 }, { ...seen, failedAtMs: at("10:00:52") }],
    "attempt 2 at 10:04:09",
  ],
  [
    "a run that never began",
    [first, "not_started", policy, { ...seen, startedAtMs: null, failedAtMs: at("10:04:02") }],
    "attempt 2 at 10:04:32",
  ],
  [
    "a run whose end was seen long after it",
    [first, "orphaned", policy, { ...seen, failedAtMs: at("10:04:02") }],
    "attempt 2 at 10:04:32",
  ],
  ["Hermes' own retry", [first, "exit", policy, { ...seen, isRetriedByHermes: true }], "hermes_retries"],
  ["a job that is gone", [first, "exit", policy, { ...seen, job: null }], "job_gone"],
  ["a paused job", [first, "exit", policy, { ...seen, job: { ...job, state: "paused" } }], "paused"],
  [
    "a one-shot, which keeps its own instant while it runs",
    [first, "exit", policy, { ...seen, job: { ...job, nextRunAt: stored(at("10:00:00")) } }],
    "attempt 2 at 10:00:32",
  ],
  [
    "a request that stands in the place of the next slot",
    [
      first,
      "exit",
      policy,
      { ...seen, job: { ...job, nextRunAt: stored(at("10:00:03")), manualRunAt: stored(at("10:00:03")).text } },
    ],
    "attempt 2 at 10:00:32",
  ],
];

for (const [name, given, expected] of plans) {
  test(`planRetryAfter() decides on ${name}`, () => {
    const plan = planRetryAfter(...given);
    const told =
      plan?.dueAtMs == null
        ? plan?.reason
        : `attempt ${plan.attempt} at ${new Date(plan.dueAtMs).toISOString().slice(11, 19)}`;
    expect(told).toBe(expected);
  });
}

test("retryDelayMs() grows to its bound, and jitter moves it both ways and never below nothing", () => {
  const growing = { ...policy, backoffMs: 10_000, growth: { factor: 3, delayMsMax: 60_000 } };
  expect([1, 2, 3, 99].map((attempt) => retryDelayMs(growing, attempt, 0.5))).toEqual([10_000, 30_000, 60_000, 60_000]);
  expect([0, 0.5, 1].map((chance) => retryDelayMs({ ...policy, jitter: 0.1 }, 1, chance))).toEqual([
    27_000, 30_000, 33_000,
  ]);
  expect([0, 1].map((chance) => retryDelayMs({ ...policy, jitter: 1 }, 7, chance))).toEqual([0, 60_000]);
});

const retry: WaitingRetry = {
  runId: "failed",
  jobId: "a1",
  attempt: 2,
  scheduledAtMs: at("10:00:00"),
  failedAtMs: at("10:00:02"),
  dueAtMs: at("10:00:32"),
  editKey: editKey(job),
};

function tick(fields: Partial<TickInput>, record: Partial<Job> = {}): TickPlan {
  return planTick(
    tickInput({
      nowMs: at("10:00:40"),
      jobs: [{ ...job, ...record }],
      retries: new Map([["a1", retry]]),
      attemptsMax: () => 2,
      ...fields,
    }),
  );
}

test("planTick() claims an attempt that is due without touching schedule or count", () => {
  const plan = tick({});
  expect(plan.claims).toEqual([
    {
      jobId: "a1",
      gate: sampleGates(1)[0],
      scheduledAtMs: at("10:00:00"),
      trigger: "retry",
      latenessMs: 8000,
      claimedAtMs: at("10:00:40"),
      attempt: 2,
      retryOf: "failed",
    },
  ]);
  expect([...plan.patches]).toEqual([["a1", { fireClaim: { at: "2026-06-15T10:00:40+00:00", by: "host:100:aa" } }]]);
  expect([plan.slots, plan.retryEnds]).toEqual([[], []]);
});

const completed = { enabled: false, state: "completed", nextRunAt: null } as const;
const waits: readonly (readonly [string, Partial<TickInput>, Partial<Job>, string])[] = [
  ["until it is due", { nowMs: at("10:00:31") }, {}, "10:00:32"],
  ["while its job is held back", { heldUntilMs: () => at("10:01:00") }, {}, "10:01:00"],
  ["for a home on hold", { hold: "estop" }, {}, "10:05:00"],
  ["for a fence", { busyJobs: new Set(["a1"]) }, {}, "10:00:41"],
  ["for a claim of somebody else", {}, { fireClaim: claimBy("other:1:x", at("10:00:20")) }, "10:05:00"],
  ["for room", { capacity: 0 }, {}, "10:05:00"],
  ["for a gate", { gates: [] }, {}, "10:05:00"],
  ["for the end of the run before it", { openRuns: [{ id: "r", jobId: "a1" }] }, {}, "10:05:00"],
];

for (const [name, fields, record, wake] of waits) {
  test(`planTick() lets an attempt wait ${name}`, () => {
    const plan = tick(fields, record);
    expect([plan.claims, plan.retryEnds]).toEqual([[], []]);
    expect(new Date(plan.wakeAtMs ?? 0).toISOString().slice(11, 19)).toBe(wake);
  });
}

const ends: readonly (readonly [string, Partial<TickInput>, Partial<Job>, string])[] = [
  ["its job's next slot", { nowMs: at("10:05:00") }, {}, "next_slot"],
  ["a slot that is held up", { nowMs: at("10:05:00"), hold: "estop" }, {}, "next_slot"],
  ["a slot that waits for room", { nowMs: at("10:05:00"), capacity: 0 }, {}, "next_slot"],
  ["a pause", {}, { enabled: false, state: "paused", pausedAt: "x" }, "paused"],
  ["a job that is switched off", {}, { enabled: false }, "paused"],
  ["an edit of the schedule", {}, { schedule: { kind: "interval", minutes: 9 } }, "edited"],
  ["an edit of the script", {}, { script: "other.sh" }, "edited"],
  ["a record that nobody can read", {}, { fault: "bad" }, "edited"],
  ["a run since", {}, { lastRunAt: stored(at("10:00:20")) }, "ran_since"],
  ["the end of the job by another run", {}, { ...completed, lastRunAt: stored(at("09:00:00")) }, "completed"],
  ["a policy with fewer attempts", { attemptsMax: () => 0 }, {}, "policy"],
  ["the removal of the job", { jobs: [] }, {}, "job_gone"],
];

for (const [name, fields, record, reason] of ends) {
  test(`planTick() has an attempt give way to ${name}`, () => {
    expect(tick(fields, record).retryEnds).toEqual([{ runId: "failed", jobId: "a1", attempt: 2, reason }]);
  });
}

test("planTick() tries a job again that its failed run has ended, and a person's request before it", () => {
  expect(tick({}, completed).claims.map(({ trigger }) => trigger)).toEqual(["retry"]);
  const now = stored(at("10:00:39"));
  expect(tick({}, { nextRunAt: now, manualRunAt: now.text }).claims.map(({ trigger }) => trigger)).toEqual(["manual"]);
});

const owner = "host:100:aa";
const again = { owner, endedAtMs: at("10:00:50"), trigger: "retry", scheduledAtMs: at("10:00:00"), zone: utc } as const;

test("settleJob() of an attempt writes how it went and leaves schedule, count and streak", () => {
  const record = sampleJob({
    fireClaim: claimBy(owner, at("10:00:40")),
    nextRunAt: next,
    repeatTimes: 3,
    repeatCompleted: 3,
    failureStreak: 4,
  });
  const failed = settleJob(record, { success: false, error: "exit 3" }, again);
  expect(failed).toMatchObject({ lastStatus: "error", failureStreak: 4, fireClaim: null, state: "scheduled" });
  expect(failed).not.toHaveProperty("nextRunAt");
  expect(failed).not.toHaveProperty("repeatCompleted");
  expect(settleJob(record, { success: true, error: null }, again)).toMatchObject({
    lastStatus: "ok",
    failureStreak: 0,
  });
  const over = settleJob({ ...record, ...completed }, { success: true, error: null }, again);
  expect(over).toMatchObject({ lastStatus: "ok" });
  expect(over).not.toHaveProperty("state");
  expect(restoreJob(record, again)).toEqual({ fireClaim: null, pendingSlot: "drop" });
});

test("settleJob() pauses a job as Hermes does, but for one that is over or paused", () => {
  const record = sampleJob({ fireClaim: claimBy(owner, at("10:00:40")), nextRunAt: next });
  const outcome = { success: false, error: "exit 3", pauseReason: "three failures" };
  expect(settleJob(record, outcome, again)).toMatchObject({
    enabled: false,
    state: "paused",
    pausedAt: "2026-06-15T10:00:50+00:00",
    pausedReason: "three failures",
  });
  for (const state of [{ state: "paused" }, completed])
    expect(settleJob({ ...record, ...state }, outcome, again)).not.toHaveProperty("pausedReason");
});
