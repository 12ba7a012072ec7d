import { expect, test } from "vitest";
import type { Job, JobPatch } from "../../src/core/job.ts";
import { mayBeClaimed, restoreJob, settleJob } from "../../src/core/settle-job.ts";
import { at, claimBy, sampleJob, stored, utc } from "../helpers/sample-job.ts";

const owner = "host:100:aa";
const success = { success: true, error: null };
const failure = { success: false, error: "exit 3" };

/** A job of every five minutes whose slot of 10:00 we claimed. */
function claimed(fields: Partial<Job> = {}): Job {
  return sampleJob({ fireClaim: claimBy(owner, at("10:00:00")), nextRunAt: stored(at("10:05:00")), ...fields });
}

function claimedOnce(fields: Partial<Job> = {}): Job {
  const ms = at("10:00:00");
  return claimed({
    schedule: { kind: "once", runAtMs: ms },
    nextRunAt: stored(ms),
    repeatTimes: 1,
    repeatCompleted: 1,
    runClaim: claimBy("host:100", ms),
    ...fields,
  });
}

const ended = {
  owner,
  endedAtMs: at("10:00:30"),
  trigger: "schedule",
  scheduledAtMs: at("10:00:00"),
  zone: utc,
} as const;

const completion: JobPatch = { enabled: false, state: "completed", nextRunAt: null };

test("settleJob() writes a success as Hermes does and leaves a next_run_at that lies ahead", () => {
  expect(settleJob(claimed({ failureStreak: 2, runClaim: null }), success, ended)).toEqual({
    lastRunAt: "2026-06-15T10:00:30+00:00",
    lastStatus: "ok",
    lastError: null,
    lastDeliveryError: null,
    lastDeliveryQueued: null,
    fireClaim: null,
    pendingSlot: "drop",
    unreachableRetry: "drop",
    quotaHoldUntil: "drop",
    quotaHoldExpression: "drop",
    manualRunAt: "drop",
    manualRunPrompt: "drop",
    failureStreak: 0,
    preflightAlerted: "drop",
    lastFireError: "drop",
    repeatCompleted: 1,
    state: "scheduled",
  });
});

test("settleJob() writes a failure with its streak and what was wrong", () => {
  const patch = settleJob(claimed({ failureStreak: 2 }), failure, ended);
  expect(patch).toMatchObject({
    lastStatus: "error",
    lastError: "exit 3",
    failureStreak: 3,
    lastFailure: { at: "2026-06-15T10:00:30+00:00", detail: "exit 3" },
  });
  expect(patch).not.toHaveProperty("preflightAlerted");
  expect(patch).not.toHaveProperty("nextRunAt");
});

const statuses: readonly (readonly [string, Parameters<typeof settleJob>[1], object, string])[] = [
  ["a run whose output could not be delivered", success, { deliveryError: "no channel" }, "delivery_failed"],
  ["a failed run whose output could not be delivered", failure, { deliveryError: "no channel" }, "error"],
  ["a run that its configuration forbids", { ...failure, reason: "blocked_config" }, {}, "blocked_config"],
  ["a run whose output is queued", success, { status: "delivery_queued" }, "delivery_queued"],
];

for (const [subject, outcome, more, status] of statuses) {
  test(`settleJob() gives ${subject} the status ${status}`, () => {
    expect(settleJob(claimed(), outcome, { ...ended, ...more })).toMatchObject({ lastStatus: status });
  });
}

const soon = "2026-06-15T10:03:00+00:00";
const retry = { attempt: 1, at: soon, expr: "*/5 * * * *" };
const unreached = { nextRunAt: soon, retry, holdUntil: null, holdExpression: null, expression: retry.expr };
const later = "2026-06-15T12:05:00+00:00";
const heldUp = { nextRunAt: later, retry: null, holdUntil: later, holdExpression: null, expression: retry.expr };
const nothing = { unreachableRetry: "drop", quotaHoldUntil: "drop", quotaHoldExpression: "drop" };

test("settleJob() has a job run again when its model may be reached, as Hermes plans it", () => {
  expect(settleJob(claimed(), { ...failure, postponed: unreached }, ended)).toMatchObject({
    ...nothing,
    unreachableRetry: retry,
    nextRunAt: soon,
    state: "scheduled",
  });
  expect(settleJob(claimed(), { ...failure, postponed: heldUp }, ended)).toMatchObject({
    ...nothing,
    quotaHoldUntil: later,
    nextRunAt: later,
  });
  const recovery = { ...heldUp, nextRunAt: soon, holdUntil: soon, holdExpression: retry.expr };
  expect(settleJob(claimed(), { ...failure, postponed: recovery }, ended)).toMatchObject({
    ...nothing,
    quotaHoldUntil: soon,
    quotaHoldExpression: retry.expr,
    nextRunAt: soon,
  });
});

test("settleJob() postpones nothing for a job that is over, paused, asked for, of another schedule or due before", () => {
  const jobs: readonly Job[] = [
    claimed({ repeatTimes: 1 }),
    claimed({ state: "paused", enabled: false }),
    claimed({ manualRunAt: stored(at("10:05:00")).text }),
    claimed({ schedule: { kind: "cron", expression: "*/7 * * * *" } }),
    claimed({ nextRunAt: stored(at("10:02:00")) }),
  ];
  for (const job of jobs) {
    const patch = settleJob(job, { ...failure, postponed: unreached }, ended);
    expect(patch).toMatchObject(nothing);
    expect(patch).not.toHaveProperty("nextRunAt", soon);
  }
});

test("settleJob() counts no run that tried an occurrence again", () => {
  const job = claimed({ repeatTimes: 3, repeatCompleted: 2 });
  const patch = settleJob(job, { ...success, isCounted: false }, ended);
  expect(patch).not.toHaveProperty("repeatCompleted");
  expect(patch).toMatchObject({ state: "scheduled" });
});

test("settleJob() touches nothing when the claim is another's or gone", () => {
  expect(settleJob(claimed({ fireClaim: claimBy("host:101:bb", at("10:00:20")) }), success, ended)).toBe("superseded");
  expect(settleJob(claimed({ fireClaim: null }), success, ended)).toBe("superseded");
});

test("settleJob() completes a recurring job with its last run", () => {
  const job = claimed({ repeatTimes: 3, repeatCompleted: 2 });
  expect(settleJob(job, failure, ended)).toMatchObject({ repeatCompleted: 3, ...completion });
  expect(settleJob({ ...job, repeatCompleted: 1 }, failure, ended)).toMatchObject({
    repeatCompleted: 2,
    state: "scheduled",
  });
});

test("settleJob() completes a one-shot without counting it twice, whether it succeeded or not", () => {
  for (const outcome of [success, failure]) {
    const patch = settleJob(claimedOnce(), outcome, ended);
    expect(patch).toMatchObject({ ...completion, runClaim: null });
    expect(patch).not.toHaveProperty("repeatCompleted");
  }
});

test("settleJob() leaves a job that was made a one-shot during its run to come at its own time, also when that has passed", () => {
  for (const clock of ["10:00:20", "12:00:00"]) {
    const edited = claimed({ schedule: { kind: "once", runAtMs: at(clock) }, nextRunAt: stored(at(clock)) });
    const patch = settleJob(edited, success, ended);
    expect(patch).toMatchObject({ state: "scheduled", repeatCompleted: 1 });
    expect(patch).not.toHaveProperty("nextRunAt");
    expect(patch).not.toHaveProperty("enabled");
    const counted = { ...edited, repeatTimes: 3, repeatCompleted: 1 };
    expect(settleJob(counted, success, ended)).toMatchObject({ state: "scheduled", repeatCompleted: 2 });
    expect(settleJob({ ...counted, repeatCompleted: 2 }, success, ended)).toMatchObject({
      ...completion,
      repeatCompleted: 3,
    });
  }
});

test("settleJob() keeps another instant that a one-shot was given during its run, and counts the run once", () => {
  const edited = { schedule: { kind: "once", runAtMs: at("12:00:00") }, nextRunAt: stored(at("12:00:00")) } as const;
  const patch = settleJob(claimedOnce({ ...edited, repeatTimes: null, repeatCompleted: 0 }), success, ended);
  expect(patch).toMatchObject({ state: "scheduled", runClaim: null });
  expect(patch).not.toHaveProperty("nextRunAt");
  const usedUp = settleJob(claimedOnce(edited), success, ended);
  expect(usedUp).toMatchObject(completion);
  expect(usedUp).not.toHaveProperty("repeatCompleted");
  const recurring = claimedOnce({ ...edited, schedule: { kind: "interval", minutes: 5 }, repeatTimes: 3 });
  expect(settleJob(recurring, success, ended)).not.toHaveProperty("repeatCompleted");
});

test("settleJob() lets a manual run use up nothing and move nothing", () => {
  const manual = { ...ended, trigger: "manual", scheduledAtMs: null } as const;
  const patch = settleJob(claimed({ repeatTimes: 1, manualRunAt: "2026-06-15T09:58:00+00:00" }), success, manual);
  expect(patch).toMatchObject({ state: "scheduled", manualRunAt: "drop" });
  expect(patch).not.toHaveProperty("repeatCompleted");
  expect(patch).not.toHaveProperty("nextRunAt");
});

test("settleJob() keeps a one-shot that ran early on request for its own time, also when that has come", () => {
  const manual = { ...ended, trigger: "manual", scheduledAtMs: null } as const;
  for (const clock of ["10:00:20", "12:00:00"]) {
    const job = claimedOnce({ nextRunAt: stored(at(clock)), repeatCompleted: 0, runClaim: null });
    const patch = settleJob(job, success, manual);
    expect(patch).toMatchObject({ state: "scheduled" });
    expect(patch).not.toHaveProperty("nextRunAt");
    expect(patch).not.toHaveProperty("repeatCompleted");
  }
});

test("settleJob() completes a one-shot whose own run somebody asked for", () => {
  const manual = { ...ended, trigger: "manual", scheduledAtMs: null } as const;
  expect(settleJob(claimedOnce(), success, manual)).toMatchObject(completion);
});

test("settleJob() leaves a job that was over before somebody ran it by hand as it was", () => {
  const manual = { ...ended, trigger: "manual", scheduledAtMs: null } as const;
  const over = {
    enabled: false,
    state: "completed",
    nextRunAt: null,
    runClaim: null,
    repeatTimes: 1,
    repeatCompleted: 1,
  };
  for (const job of [claimedOnce(over), claimed(over), claimedOnce({ ...over, state: "paused" })]) {
    const { lastStatus, lastError, state, enabled, nextRunAt, repeatCompleted } = settleJob(
      job,
      success,
      manual,
    ) as JobPatch;
    expect({ lastStatus, lastError, state, enabled, nextRunAt, repeatCompleted }).toEqual({
      lastStatus: "ok",
      lastError: null,
      state: undefined,
      enabled: undefined,
      nextRunAt: undefined,
      repeatCompleted: undefined,
    });
  }
});

test("settleJob() leaves a request that came during the run, and a slot that came, to the next tick", () => {
  const text = "2026-06-15T10:00:10+00:00";
  const asked = settleJob(claimed({ nextRunAt: stored(at("10:00:10")), manualRunAt: text }), success, ended);
  expect(asked).not.toHaveProperty("manualRunAt");
  expect(asked).not.toHaveProperty("nextRunAt");
  const passed = settleJob(claimed({ nextRunAt: stored(at("10:00:20")) }), success, ended);
  expect(passed).not.toHaveProperty("nextRunAt");
});

test("settleJob() moves a record on that still stands at the slot which ran, an interval at its own pace", () => {
  const cron = claimed({ nextRunAt: stored(at("10:00:00")) });
  expect(settleJob(cron, success, ended)).toMatchObject({ nextRunAt: "2026-06-15T10:05:00+00:00" });
  const interval = claimed({ nextRunAt: stored(at("10:00:00")), schedule: { kind: "interval", minutes: 7 } });
  const late = { ...ended, endedAtMs: at("10:15:00") };
  expect(settleJob(interval, success, late)).toMatchObject({ nextRunAt: "2026-06-15T10:21:00+00:00" });
});

test("settleJob() keeps a paused job paused", () => {
  const patch = settleJob(claimed({ enabled: false, state: "paused" }), success, ended);
  expect(patch).not.toHaveProperty("state");
  expect(patch).not.toHaveProperty("enabled");
});

const error =
  "Failed to compute next run for recurring schedule (is the 'croniter' package installed in the gateway's Python env?)";

test("settleJob() marks a recurring job without a next run as in error and leaves it enabled", () => {
  for (const expression of ["0 0 30 2 *", "61 * * * *"]) {
    const job = claimed({ nextRunAt: null, schedule: { kind: "cron", expression } });
    const patch = settleJob(job, success, ended);
    expect(patch).toMatchObject({ nextRunAt: null, state: "error", lastError: error });
    expect(patch).not.toHaveProperty("enabled");
    expect(settleJob(job, failure, ended)).toMatchObject({ state: "error", lastError: "exit 3" });
  }
});

test("settleJob() leaves the schedule of a record that nobody can read as it is", () => {
  const patch = settleJob(claimed({ schedule: null, fault: "The schedule is a text" }), success, ended);
  expect(patch).toMatchObject({ lastStatus: "ok", fireClaim: null });
  for (const field of ["nextRunAt", "state", "enabled"]) expect(patch).not.toHaveProperty(field);
});

test("mayBeClaimed() is false only where the record proves that the claim never got into it", () => {
  const claim = { owner, scheduledAtMs: at("10:00:00") };
  const before = claimed({ fireClaim: null, nextRunAt: stored(at("10:00:00")) });
  const onceBefore = claimedOnce({ fireClaim: null, runClaim: null, repeatCompleted: 0 });
  expect(mayBeClaimed(before, claim)).toBe(false);
  expect(mayBeClaimed(onceBefore, claim)).toBe(false);
  expect(mayBeClaimed(claimed(), claim)).toBe(true);
  expect(mayBeClaimed(claimedOnce(), claim)).toBe(true);
  // Whoever freed the claim left what it had moved.
  expect(mayBeClaimed(claimed({ fireClaim: null }), claim)).toBe(true);
  expect(mayBeClaimed(claimedOnce({ fireClaim: null }), claim)).toBe(true);
  // A request moves no slot, so there is nothing to see it by.
  expect(mayBeClaimed(before, { owner, scheduledAtMs: null })).toBe(true);
  expect(mayBeClaimed({ ...before, schedule: null }, claim)).toBe(true);
});

test("restoreJob() puts the slot of a void claim back", () => {
  const slot = { owner, trigger: "schedule", scheduledAtMs: at("10:00:00"), zone: utc } as const;
  expect(restoreJob(claimed(), slot)).toEqual({
    fireClaim: null,
    pendingSlot: "drop",
    nextRunAt: "2026-06-15T10:00:00+00:00",
  });
  expect(restoreJob(claimed({ fireClaim: null }), slot)).toBe("superseded");
});

test("restoreJob() leaves the instant of a schedule that was edited after the claim", () => {
  const slot = { owner, trigger: "schedule", scheduledAtMs: at("10:00:00"), zone: utc } as const;
  const nextRunAt = stored(at("10:00:20"));
  const edits: readonly Job["schedule"][] = [
    { kind: "once", runAtMs: at("10:00:20") },
    { kind: "interval", minutes: 5 },
    { kind: "cron", expression: "7 * * * *" },
  ];
  for (const schedule of edits)
    expect(restoreJob(claimed({ schedule, nextRunAt }), slot)).not.toHaveProperty("nextRunAt");
  const interval = claimed({ schedule: { kind: "interval", minutes: 5 }, nextRunAt: stored(at("10:15:00")) });
  expect(restoreJob(interval, slot)).toMatchObject({ nextRunAt: "2026-06-15T10:00:00+00:00" });
});

test("restoreJob() puts no instant of another rule into a record whose rule is cron now", () => {
  const claim = { owner, trigger: "schedule", scheduledAtMs: at("10:00:14.439"), zone: utc } as const;
  const record = claimed({
    schedule: { kind: "cron", expression: "* * * * * 15,45" },
    nextRunAt: stored(at("10:00:45")),
  });
  expect(restoreJob(record, { ...claim, scheduleText: "interval 1" })).not.toHaveProperty("nextRunAt");
  // What a hold or a hand put there is no instant of the rule either, and was claimed by it.
  expect(restoreJob(record, { ...claim, scheduleText: "cron * * * * * 15,45" })).toHaveProperty("nextRunAt");
  const named = { ...claim, scheduledAtMs: at("10:00:15"), scheduleText: "interval 1" };
  expect(restoreJob(record, named)).toHaveProperty("nextRunAt");
});

test("restoreJob() gives a one-shot its count back", () => {
  const slot = { owner, trigger: "schedule", scheduledAtMs: at("10:00:00"), zone: utc } as const;
  expect(restoreJob(claimedOnce(), slot)).toEqual({
    fireClaim: null,
    pendingSlot: "drop",
    runClaim: null,
    repeatCompleted: 0,
  });
});

test("restoreJob() renews the request of a void manual run", () => {
  const text = "2026-06-15T09:58:00+00:00";
  const manual = { owner, trigger: "manual", scheduledAtMs: null, zone: utc } as const;
  expect(restoreJob(claimed({ manualRunAt: text }), manual)).toMatchObject({ nextRunAt: text });
  expect(restoreJob(claimed(), manual)).not.toHaveProperty("nextRunAt");
});

test("restoreJob() puts no slot back that an edited schedule does not name, nor one before another", () => {
  const slot = { owner, trigger: "schedule", scheduledAtMs: at("10:00:00"), zone: utc } as const;
  const edited = claimed({ schedule: { kind: "cron", expression: "30 * * * *" }, nextRunAt: stored(at("10:30:00")) });
  expect(restoreJob(edited, slot)).not.toHaveProperty("nextRunAt");
  expect(restoreJob(claimed({ nextRunAt: stored(at("09:55:00")) }), slot)).not.toHaveProperty("nextRunAt");
});
