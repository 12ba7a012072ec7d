import { expect, test } from "vitest";
import type { Job, JobPatch, PendingSlot } from "../../src/core/job.ts";
import { planTick, type SlotCursor, type TickInput } from "../../src/core/plan-tick.ts";
import type { SlotLine } from "../../src/core/slot.ts";
import { createZone } from "../../src/core/zone.ts";
import { at, claimBy, sampleGates, sampleJob, stored, tickInput, utc } from "../helpers/sample-job.ts";

const foreign = "host:777:bb";
const hourly = { kind: "interval", minutes: 60 } as const;

function once(clock: string, fields: Partial<Job> = {}): Job {
  const ms = at(clock);
  return sampleJob({ schedule: { kind: "once", runAtMs: ms }, nextRunAt: stored(ms), repeatTimes: 1, ...fields });
}

function cursor(fields: Partial<SlotCursor> = {}): SlotCursor {
  return {
    nextAtMs: at("10:00:00"),
    scheduleText: "cron */5 * * * *",
    enabled: true,
    lastRunAtMs: null,
    ...fields,
  };
}

/** `10:00:00 run late run-1`, one for each line. */
function show(lines: readonly SlotLine[]): readonly string[] {
  return lines.map(({ scheduledAtMs, decision, reason, runId }) =>
    [new Date(scheduledAtMs).toISOString().slice(11, 19), decision, reason, runId ?? ""].join(" ").trim(),
  );
}

interface Case {
  readonly fact: string;
  readonly job?: Job;
  readonly cursor?: SlotCursor;
  readonly input?: Partial<TickInput>;
  readonly claims?: readonly string[];
  readonly lines?: readonly string[];
  /** What of the patch is looked at; null when there must be none. */
  readonly patch?: JobPatch | null;
  readonly wake?: string | null;
}

const cases: readonly Case[] = [
  {
    fact: "claims what is due with everything that Hermes has to see",
    claims: ["schedule 10:00:00 run-1"],
    lines: ["10:00:00 run on_time run-1"],
    patch: {
      fireClaim: { at: "2026-06-15T10:00:01+00:00", by: "host:100:aa" },
      pendingSlot: "drop",
      nextRunAt: "2026-06-15T10:05:00+00:00",
      lastDispatch: {
        scheduledAt: "2026-06-15T10:00:00+00:00",
        dispatchedAt: "2026-06-15T10:00:01+00:00",
        latenessSeconds: 1,
        kind: "on_time",
      },
    },
    wake: "10:05:00",
  },
  { fact: "leaves alone what is not due", input: { nowMs: at("09:59:59") }, patch: null, wake: "10:00:00" },
  {
    fact: "folds missed slots into the oldest one, which is late within one period",
    input: { nowMs: at("10:04:59") },
    lines: ["10:00:00 run late run-1"],
  },
  {
    fact: "folds missed slots into the oldest one, which is a catch-up beyond one period",
    input: { nowMs: at("10:11:00") },
    claims: ["schedule 10:00:00 run-1"],
    lines: ["10:00:00 run catch_up run-1", "10:05:00 coalesce missed run-1", "10:10:00 coalesce missed run-1"],
    wake: "10:15:00",
  },
  {
    fact: "keeps the cadence of an interval, with its microseconds",
    job: sampleJob({
      schedule: hourly,
      nextRunAt: { text: "2026-06-15T10:00:00.123456+00:00", ms: at("10:00:00") + 0.123 },
    }),
    input: { nowMs: at("12:30:00") },
    lines: ["10:00:00 run catch_up run-1", "11:00:00 coalesce missed run-1", "12:00:00 coalesce missed run-1"],
    patch: { nextRunAt: "2026-06-15T13:00:00.000123+00:00" },
  },
  {
    fact: "says late as soon as another slot has come, however little time that is",
    job: sampleJob({ schedule: { kind: "cron", expression: "* * * * * */2" } }),
    input: { nowMs: at("10:00:03") },
    lines: ["10:00:00 run late run-1", "10:00:02 coalesce missed run-1"],
  },
  {
    fact: "claims a one-shot with its run claim and its count, and leaves its next_run_at",
    job: once("10:00:00"),
    claims: ["schedule 10:00:00 run-1"],
    lines: ["10:00:00 run on_time run-1"],
    patch: {
      fireClaim: { at: "2026-06-15T10:00:01+00:00", by: "host:100:aa" },
      runClaim: { at: "2026-06-15T10:00:01+00:00", by: "host:100" },
      repeatCompleted: 1,
      pendingSlot: "drop",
    },
    wake: null,
  },
  {
    fact: "runs a one-shot that is hours late once",
    job: once("06:00:00"),
    claims: ["schedule 06:00:00 run-1"],
    lines: ["06:00:00 run catch_up run-1"],
  },
  {
    fact: "leaves a late one-shot that somebody may have begun",
    job: once("06:00:00", { fireClaim: claimBy(foreign, at("06:00:00")) }),
    lines: ["06:00:00 run elsewhere"],
    patch: null,
  },
  {
    fact: "completes a one-shot whose count is used up and keeps its record",
    job: once("10:00:00", { repeatCompleted: 1 }),
    lines: ["10:00:00 miss repeat_used_up"],
    patch: { enabled: false, state: "completed", nextRunAt: null },
  },
  {
    fact: "leaves a one-shot with a live run claim until that ends",
    job: once("10:00:00", { runClaim: claimBy("host:777", at("09:59:00")) }),
    lines: ["10:00:00 pending lock"],
    patch: null,
    wake: "10:29:00",
  },
  {
    fact: "leaves a job with a live fire claim of somebody else until that ends",
    job: sampleJob({ fireClaim: claimBy(foreign, at("09:58:00")) }),
    lines: ["10:00:00 pending lock"],
    patch: null,
    wake: "10:03:00",
  },
  {
    fact: "takes a claim whose owner is dead for none",
    job: sampleJob({ fireClaim: claimBy(foreign, at("09:59:59")) }),
    input: { ownerState: (by) => (by === foreign ? "dead" : "unknown") },
    claims: ["schedule 10:00:00 run-1"],
  },
  {
    fact: "takes a claim of 300 s for none",
    job: sampleJob({ fireClaim: claimBy(foreign, at("09:55:01")) }),
    claims: ["schedule 10:00:00 run-1"],
  },
  {
    fact: "takes a claim of the future for none",
    job: sampleJob({ fireClaim: claimBy(foreign, at("10:00:02")) }),
    claims: ["schedule 10:00:00 run-1"],
  },
  {
    fact: "restores a slot that was taken off the schedule and never claimed",
    job: sampleJob({
      nextRunAt: stored(at("10:05:00")),
      pendingSlot: { ...claimBy("host:777", at("09:50:00")), scheduledAt: stored(at("10:00:00")) },
    }),
    claims: ["schedule 10:00:00 run-1"],
    lines: ["10:00:00 run on_time run-1"],
    patch: { pendingSlot: "drop", nextRunAt: "2026-06-15T10:05:00+00:00" },
  },
  {
    fact: "waits while the scheduler that took a slot off may still claim it",
    job: sampleJob({
      nextRunAt: stored(at("10:05:00")),
      pendingSlot: { ...claimBy("host:777", at("10:00:00")), scheduledAt: stored(at("10:00:00")) },
    }),
    cursor: cursor(),
    lines: ["10:00:00 pending lock"],
    patch: null,
    wake: "10:05:00",
  },
  {
    fact: "computes and writes a missing next_run_at",
    job: sampleJob({ nextRunAt: null, state: "error" }),
    patch: { nextRunAt: "2026-06-15T10:05:00+00:00", state: "scheduled" },
    wake: "10:05:00",
  },
  {
    fact: "gives no next_run_at to a one-shot whose time is over",
    job: once("09:00:00", { nextRunAt: null }),
    patch: null,
  },
  {
    fact: "re-anchors a cron instant that is none of its expression, without firing",
    job: sampleJob({ nextRunAt: stored(at("09:58:00")) }),
    lines: ["09:58:00 move reanchored"],
    patch: { nextRunAt: "2026-06-15T10:05:00+00:00" },
    wake: "10:05:00",
  },
  {
    fact: "fires an instant off the expression that Hermes parked there",
    job: sampleJob({ nextRunAt: stored(at("09:58:00")), parkedAt: "2026-06-15T09:58:00+00:00" }),
    claims: ["schedule 09:58:00 run-1"],
    lines: ["09:58:00 run late run-1", "10:00:00 coalesce missed run-1"],
  },
  {
    fact: "computes again when the zone moved under a cron instant whose wall clock is still to come",
    job: sampleJob({
      schedule: { kind: "cron", expression: "0 21 * * *" },
      nextRunAt: { text: "2026-06-15T21:00:00+12:00", ms: at("09:00:00") },
    }),
    lines: ["09:00:00 move clock"],
    patch: { nextRunAt: "2026-06-15T21:00:00+00:00" },
  },
  {
    fact: "gives each instant up to the present one a line when the zone moved under them",
    job: sampleJob({
      schedule: { kind: "cron", expression: "*/20 * * * *" },
      nextRunAt: { text: "2026-06-15T21:00:00+12:00", ms: at("09:00:00") },
    }),
    lines: ["09:00:00 move clock", "09:20:00 move clock", "09:40:00 move clock", "10:00:00 move clock"],
    patch: { nextRunAt: "2026-06-15T10:20:00+00:00" },
  },
  {
    fact: "switches off a job that is enabled and paused at once",
    job: sampleJob({ state: "paused" }),
    patch: {
      enabled: false,
      state: "paused",
      pausedAt: "2026-06-15T10:00:01+00:00",
      pausedReason: "auto-disabled: enabled+paused contradiction",
    },
    wake: null,
  },
  {
    fact: "keeps the reason that a half-paused job already has",
    job: sampleJob({ pausedAt: "2026-06-15T08:00:00+00:00", pausedReason: "by hand" }),
    patch: { enabled: false, state: "paused" },
  },
  { fact: "skips a completed job", job: sampleJob({ state: "completed" }), patch: null, wake: null },
  { fact: "skips a one-shot in state error", job: once("10:00:00", { state: "error" }), patch: null },
  {
    fact: "fires a recurring job in state error",
    job: sampleJob({ state: "error" }),
    claims: ["schedule 10:00:00 run-1"],
  },
  {
    fact: "brings a failed interval job forward that has not run for more than a period and a half",
    job: sampleJob({
      schedule: hourly,
      nextRunAt: stored(at("10:30:00")),
      lastStatus: "error",
      lastRunAt: stored(at("08:30:00")),
    }),
    claims: ["schedule 10:00:01 run-1"],
    lines: ["10:00:01 run on_time run-1"],
    patch: { nextRunAt: "2026-06-15T11:00:01+00:00" },
  },
  {
    fact: "leaves a failed job that is parked until its provider opens again",
    job: sampleJob({
      schedule: hourly,
      nextRunAt: stored(at("10:30:00")),
      lastStatus: "error",
      lastRunAt: stored(at("08:30:00")),
      quotaHoldUntil: stored(at("10:30:00")),
    }),
    patch: null,
    wake: "10:30:00",
  },
  {
    fact: "brings no failed job forward that is held back for failing at once",
    job: sampleJob({
      schedule: hourly,
      nextRunAt: stored(at("10:30:00")),
      lastStatus: "error",
      lastRunAt: stored(at("08:30:00")),
    }),
    cursor: cursor({ nextAtMs: at("10:30:00"), scheduleText: "interval 60" }),
    input: { heldUntilMs: () => at("11:00:00") },
    lines: [],
    patch: null,
    wake: "10:30:00",
  },
  {
    fact: "serves Hermes' own request without a slot and gives the schedule its instant back",
    job: sampleJob({ nextRunAt: stored(at("09:58:00")), manualRunAt: "2026-06-15T09:58:00+00:00" }),
    cursor: cursor({ nextAtMs: at("10:05:00") }),
    claims: ["manual 09:58:00 run-1"],
    lines: [],
    patch: { nextRunAt: "2026-06-15T10:05:00+00:00" },
    wake: "10:05:00",
  },
  {
    fact: "gives an interval its cadence back after a request",
    job: sampleJob({
      schedule: hourly,
      nextRunAt: stored(at("09:58:00")),
      manualRunAt: "2026-06-15T09:58:00+00:00",
      lastRunAt: stored(at("09:20:00")),
    }),
    claims: ["manual 09:58:00 run-1"],
    patch: { nextRunAt: "2026-06-15T10:20:00+00:00" },
  },
  {
    fact: "skips a slot that comes due together with a request",
    job: sampleJob({ nextRunAt: stored(at("09:58:00")), manualRunAt: "2026-06-15T09:58:00+00:00" }),
    cursor: cursor(),
    claims: ["manual 09:58:00 run-1"],
    lines: ["10:00:00 skip overlap"],
    patch: { nextRunAt: "2026-06-15T10:05:00+00:00" },
  },
  {
    fact: "runs a one-shot early on request and keeps its own time and count",
    job: once("12:00:00", { nextRunAt: stored(at("10:00:00")), manualRunAt: "2026-06-15T10:00:00+00:00" }),
    claims: ["manual 10:00:00 run-1"],
    lines: [],
    patch: {
      fireClaim: { at: "2026-06-15T10:00:01+00:00", by: "host:100:aa" },
      nextRunAt: "2026-06-15T12:00:00+00:00",
      pendingSlot: "drop",
    },
  },
  {
    fact: "takes a request for a one-shot whose time has come as its one run",
    job: once("09:59:00", { nextRunAt: stored(at("10:00:00")), manualRunAt: "2026-06-15T10:00:00+00:00" }),
    cursor: cursor({ nextAtMs: at("09:59:00"), scheduleText: `once ${at("09:59:00")}` }),
    claims: ["manual 10:00:00 run-1"],
    lines: ["09:59:00 run late run-1"],
    patch: { repeatCompleted: 1, runClaim: { at: "2026-06-15T10:00:01+00:00", by: "host:100" } },
  },
  {
    fact: "skips what comes due while a run of the job is open, also for a gateway",
    input: { nowMs: at("10:05:01"), openRuns: [{ id: "r", jobId: "a1" }] },
    lines: ["10:00:00 skip overlap", "10:05:00 skip overlap"],
    patch: { nextRunAt: "2026-06-15T10:10:00+00:00" },
    wake: "10:10:00",
  },
  {
    fact: "leaves what came due after the run was over until its end is recorded",
    input: { nowMs: at("10:00:01"), openRuns: [{ id: "r", jobId: "a1", overAtMs: at("09:59:59") }] },
    lines: [],
    patch: null,
    wake: null,
  },
  {
    fact: "skips what came due before the run was over, also when that is known by now",
    input: { nowMs: at("10:00:01"), openRuns: [{ id: "r", jobId: "a1", overAtMs: at("10:00:00.500") }] },
    lines: ["10:00:00 skip overlap"],
    patch: { nextRunAt: "2026-06-15T10:05:00+00:00" },
    wake: "10:05:00",
  },
  {
    fact: "keeps a request that comes while a run is open for its end",
    job: sampleJob({ nextRunAt: stored(at("09:58:00")), manualRunAt: "2026-06-15T09:58:00+00:00" }),
    cursor: cursor(),
    input: { openRuns: [{ id: "r", jobId: "a1" }] },
    lines: ["10:00:00 skip overlap"],
    patch: null,
    wake: "10:05:00",
  },
  {
    fact: "writes nothing about a one-shot whose run is open",
    job: once("10:00:00", { repeatCompleted: 1, runClaim: claimBy("host:100", at("10:00:00")) }),
    cursor: cursor({ nextAtMs: null, scheduleText: `once ${at("10:00:00")}` }),
    input: { openRuns: [{ id: "r", jobId: "a1" }] },
    lines: [],
    patch: null,
  },
  {
    fact: "claims nothing under a hold and says which",
    input: { hold: "estop", nowMs: at("10:05:01") },
    lines: ["10:00:00 pending estop", "10:05:00 pending estop"],
    patch: null,
    wake: "10:10:00",
  },
  {
    fact: "repairs nothing under a hold",
    job: sampleJob({ nextRunAt: stored(at("09:58:00")) }),
    input: { hold: "drain" },
    lines: ["09:58:00 pending drain", "10:00:00 pending drain"],
    patch: null,
  },
  {
    fact: "leaves a job whose fire fence is busy and tries again soon",
    input: { busyJobs: new Set(["a1"]) },
    lines: ["10:00:00 pending lock"],
    patch: null,
    wake: "10:00:01.250",
  },
  {
    fact: "writes an instant into a record that lost its own, though the fate of the last one is not known yet",
    job: sampleJob({ nextRunAt: null }),
    input: { nowMs: at("10:01:00") },
    cursor: cursor(),
    claims: [],
    lines: ["10:00:00 pending lock"],
    patch: { nextRunAt: "2026-06-15T10:05:00+00:00" },
    wake: "10:05:00",
  },
  {
    fact: "only watches a job that it cannot run",
    job: sampleJob({ kind: "prompt" }),
    lines: ["10:00:00 pending no_daemon"],
    patch: null,
    wake: null,
  },
  {
    fact: "drops slots later than their grace where Hermes is told not to catch up",
    input: { nowMs: at("10:11:00"), catchUpMissed: false },
    lines: ["10:00:00 miss too_late", "10:05:00 miss too_late", "10:10:00 miss too_late"],
    patch: { nextRunAt: "2026-06-15T10:15:00+00:00" },
  },
  {
    fact: "leaves an instant that Hermes' ledger knows as completed",
    input: { nowMs: at("10:06:00"), ranElsewhere: (_, ms) => ms === at("10:00:00") },
    claims: ["schedule 10:05:00 run-1"],
    lines: ["10:00:00 run elsewhere", "10:05:00 run late run-1"],
    patch: { nextRunAt: "2026-06-15T10:10:00+00:00" },
  },
  {
    fact: "says restored of a slot whose first claim was void",
    input: { restored: new Map([["a1", at("10:00:00")]]) },
    lines: ["10:00:00 run restored run-1"],
  },
  {
    fact: "waits with a job whose record is faulty",
    job: sampleJob({ fault: "The id is a number, expected a text" }),
    cursor: cursor(),
    lines: ["10:00:00 pending degraded"],
    patch: null,
  },
  {
    fact: "waits with a job whose expression cannot be evaluated",
    job: sampleJob({ schedule: { kind: "cron", expression: "61 * * * *" } }),
    lines: ["10:00:00 pending degraded"],
    patch: null,
    wake: null,
  },
  {
    fact: "claims a cron job for the last time when its expression names no other",
    job: sampleJob({ schedule: { kind: "cron", expression: "0 10 15 6 * 0 2026" } }),
    claims: ["schedule 10:00:00 run-1"],
    patch: { nextRunAt: null },
    wake: null,
  },
  {
    fact: "says that an edit moved the instant it waited for",
    job: sampleJob({ schedule: { kind: "cron", expression: "30 * * * *" }, nextRunAt: stored(at("10:30:00")) }),
    cursor: cursor(),
    lines: ["10:00:00 move edited"],
    wake: "10:30:00",
  },
  {
    fact: "says so of an instant that was still to come",
    job: sampleJob({ schedule: { kind: "cron", expression: "30 * * * *" }, nextRunAt: stored(at("10:30:00")) }),
    cursor: cursor({ nextAtMs: at("10:05:00") }),
    lines: ["10:05:00 move edited"],
  },
  {
    fact: "says so of an instant within a second of which the new rule names the whole one",
    job: sampleJob({ schedule: { kind: "cron", expression: "0 * * * *" }, nextRunAt: stored(at("09:00:00") + 0.25) }),
    cursor: cursor({ scheduleText: "interval 60", nextAtMs: at("10:00:00") + 0.25 }),
    lines: ["10:00:00 move edited", "09:00:00 run catch_up run-1", "10:00:00 coalesce missed run-1"],
  },
  {
    fact: "says nothing of an instant that the edited schedule still names",
    job: sampleJob({ schedule: { kind: "cron", expression: "*/2 * * * *" }, nextRunAt: stored(at("10:02:00")) }),
    cursor: cursor({ nextAtMs: at("10:10:00") }),
    lines: [],
  },
  {
    fact: "sees by its claim that somebody else runs the slot",
    job: sampleJob({ nextRunAt: stored(at("10:05:00")), fireClaim: claimBy(foreign, at("10:00:00")) }),
    cursor: cursor(),
    lines: ["10:00:00 run elsewhere"],
    patch: null,
    wake: "10:05:00",
  },
  {
    fact: "does not count one claim for two slots",
    job: sampleJob({ nextRunAt: stored(at("10:05:00")), fireClaim: claimBy(foreign, at("10:00:00")) }),
    cursor: cursor({ servedBy: foreign }),
    lines: ["10:00:00 skip overlap"],
  },
  {
    fact: "sees by its last run that somebody else ran the slot",
    job: sampleJob({ nextRunAt: stored(at("10:05:00")), lastRunAt: stored(at("10:00:01")) }),
    cursor: cursor(),
    lines: ["10:00:00 run elsewhere"],
  },
  {
    fact: "waits for a sign of who ran a slot that was moved past",
    job: sampleJob({ nextRunAt: stored(at("10:05:00")) }),
    cursor: cursor(),
    lines: ["10:00:00 pending lock"],
    patch: null,
    wake: "10:05:00",
  },
  {
    fact: "says that Hermes moved a slot when no sign came until the next one",
    job: sampleJob({ nextRunAt: stored(at("10:05:00")) }),
    cursor: cursor({ pending: { reason: "lock", throughMs: at("10:00:00"), count: 1 } }),
    input: { nowMs: at("10:05:00") },
    claims: ["schedule 10:05:00 run-1"],
    lines: ["10:00:00 move reanchored", "10:05:00 run on_time run-1"],
  },
  {
    fact: "says of an instant ahead that somebody moved the job past it",
    job: sampleJob({ nextRunAt: stored(at("10:05:00")) }),
    cursor: cursor(),
    input: { nowMs: at("09:59:00") },
    lines: ["10:00:00 move reanchored"],
  },
  {
    fact: "says who ran an instant that comes again after the clock was set back, as far as a claim or a row tells",
    job: sampleJob({ nextRunAt: stored(at("10:10:00")), fireClaim: claimBy(foreign, at("10:00:00")) }),
    cursor: cursor(),
    input: { nowMs: at("09:59:00"), ranElsewhere: () => true },
    lines: ["10:00:00 run elsewhere"],
  },
  {
    fact: "ends what waits ahead of a clock that was set back when an interval goes on at another pace",
    job: sampleJob({ schedule: { kind: "interval", minutes: 5 }, nextRunAt: stored(at("09:13:20")) }),
    cursor: cursor({
      scheduleText: "interval 5",
      pending: { reason: "capacity", throughMs: at("10:05:00"), count: 2 },
    }),
    input: { nowMs: at("09:09:00") },
    lines: ["10:00:00 move reanchored", "10:05:00 move reanchored"],
  },
  {
    fact: "says overlap of a slot that a gateway took while our run was open",
    job: sampleJob({
      nextRunAt: stored(at("10:05:00")),
      pendingSlot: { ...claimBy("host:777", at("10:00:00")), scheduledAt: stored(at("10:00:00")) },
    }),
    cursor: cursor(),
    input: { openRuns: [{ id: "r", jobId: "a1" }] },
    lines: ["10:00:00 skip overlap"],
  },
  {
    fact: "says so of no slot that a gateway dispatched before the end of our run was in the ledger",
    job: sampleJob({
      nextRunAt: stored(at("10:05:00")),
      fireClaim: claimBy(foreign, at("10:00:40")),
      lastDispatchOf: stored(at("10:00:00")),
    }),
    cursor: cursor(),
    input: { nowMs: at("10:00:41"), openRuns: [{ id: "r", jobId: "a1", overAtMs: at("10:00:20") }] },
    lines: ["10:00:00 run elsewhere"],
  },
  {
    fact: "names only the awaited instant of an interval that somebody anchored anew",
    job: sampleJob({
      schedule: { kind: "interval", minutes: 5 },
      nextRunAt: stored(at("10:33:00")),
      lastRunAt: stored(at("10:28:00")),
    }),
    cursor: cursor({ scheduleText: "interval 5" }),
    input: { nowMs: at("10:30:00") },
    lines: ["10:00:00 run elsewhere"],
  },
  {
    fact: "counts for somebody else all that came up to the last run of a scheduler that was alone meanwhile",
    job: sampleJob({ nextRunAt: stored(at("10:20:00")), lastRunAt: stored(at("10:10:01")) }),
    cursor: cursor(),
    input: { nowMs: at("10:16:00") },
    lines: ["10:00:00 run elsewhere", "10:05:00 run elsewhere", "10:10:00 run elsewhere", "10:15:00 move reanchored"],
  },
  {
    fact: "counts up to the instant that the record names as the last one dispatched, however late that was",
    job: sampleJob({
      nextRunAt: stored(at("10:20:00")),
      lastRunAt: stored(at("10:16:00")),
      lastDispatchOf: stored(at("10:05:00")),
    }),
    cursor: cursor(),
    input: { nowMs: at("10:17:00") },
    lines: ["10:00:00 run elsewhere", "10:05:00 run elsewhere", "10:10:00 move reanchored", "10:15:00 move reanchored"],
  },
  {
    fact: "says overlap of an instant that a gateway took off the schedule while its earlier claim of the job still held",
    job: sampleJob({
      nextRunAt: stored(at("10:15:00")),
      fireClaim: claimBy(foreign, at("10:05:30")),
      lastDispatchOf: stored(at("10:10:00")),
    }),
    cursor: cursor(),
    input: { nowMs: at("10:11:00"), ownerState: () => "alive" },
    lines: ["10:00:00 run elsewhere", "10:05:00 run elsewhere", "10:10:00 skip overlap"],
  },
  {
    fact: "says overlap of an instant of which Hermes' ledger says that its own run was under way",
    job: sampleJob({
      nextRunAt: stored(at("10:15:00")),
      lastRunAt: stored(at("10:10:30")),
      lastDispatchOf: stored(at("10:10:00")),
    }),
    cursor: cursor(),
    input: { nowMs: at("10:11:00"), wasBusyElsewhere: (_, ms) => ms === at("10:10:00") },
    lines: ["10:00:00 run elsewhere", "10:05:00 run elsewhere", "10:10:00 skip overlap"],
  },
  {
    fact: "leaves a dispatch out that was before the instant it waited for",
    job: sampleJob({
      nextRunAt: stored(at("10:10:00")),
      fireClaim: claimBy(foreign, at("10:05:00")),
      lastDispatchOf: stored(at("09:55:00")),
    }),
    cursor: cursor(),
    input: { nowMs: at("10:06:00") },
    lines: ["10:00:00 run elsewhere", "10:05:00 run elsewhere"],
  },
  {
    fact: "says overlap of no instant that came after our run was over, before its end stood in the record",
    job: sampleJob({ nextRunAt: stored(at("10:15:00")), lastRunAt: stored(at("10:10:01")) }),
    cursor: cursor(),
    input: { nowMs: at("10:11:00"), openRuns: [{ id: "r", jobId: "a1", overAtMs: at("09:58:00") }] },
    claims: [],
    lines: [],
  },
  {
    fact: "does not tell what others took off the schedule from overlaps before the end of our run, long over, stands in the record",
    job: sampleJob({ nextRunAt: stored(at("10:15:00")), fireClaim: claimBy(foreign, at("10:10:30")) }),
    cursor: cursor(),
    input: {
      nowMs: at("10:11:00"),
      ownerState: () => "alive",
      openRuns: [{ id: "r", jobId: "a1", overAtMs: at("10:02:00") }],
    },
    claims: [],
    lines: [],
  },
  {
    fact: "counts what Hermes' ledger alone says was claimed",
    job: sampleJob({ nextRunAt: stored(at("10:15:00")) }),
    cursor: cursor(),
    input: {
      nowMs: at("10:11:00"),
      claimedElsewhereMs: (_, fromMs) => (fromMs <= at("10:10:01") ? at("10:10:01") : null),
    },
    lines: ["10:00:00 run elsewhere", "10:05:00 run elsewhere", "10:10:00 run elsewhere"],
  },
  {
    fact: "counts no claim in Hermes' ledger for an instant that it was before or a later one",
    job: sampleJob({ nextRunAt: stored(at("10:15:00")) }),
    cursor: cursor(),
    input: { nowMs: at("10:15:02"), claimedElsewhereMs: () => at("10:15:01") },
    claims: ["schedule 10:15:00 run-1"],
    lines: [
      "10:00:00 move reanchored",
      "10:05:00 move reanchored",
      "10:10:00 move reanchored",
      "10:15:00 run on_time run-1",
    ],
  },
  {
    fact: "asks whether others were busy at an instant, up to the next one",
    job: sampleJob({ nextRunAt: stored(at("10:15:00")), fireClaim: claimBy(foreign, at("10:10:30")) }),
    cursor: cursor(),
    input: {
      nowMs: at("10:11:00"),
      ownerState: () => "alive",
      wasBusyElsewhere: (_, ms, nextMs) => ms === at("10:05:00") && nextMs === at("10:10:00"),
    },
    lines: ["10:00:00 run elsewhere", "10:05:00 skip overlap", "10:10:00 run elsewhere"],
  },
  {
    fact: "counts what somebody else ran of a job that completed meanwhile",
    job: sampleJob({
      enabled: false,
      state: "completed",
      nextRunAt: null,
      repeatTimes: 3,
      repeatCompleted: 3,
      lastRunAt: stored(at("10:05:01")),
    }),
    cursor: cursor(),
    input: { nowMs: at("10:11:00") },
    lines: ["10:00:00 run elsewhere", "10:05:00 run elsewhere", "10:10:00 miss repeat_used_up"],
  },
  {
    fact: "ends the slots of a job that is switched off",
    job: sampleJob({ enabled: false, state: "paused", pausedAt: "2026-06-15T10:00:00.500000+00:00" }),
    cursor: cursor(),
    input: { nowMs: at("10:07:00") },
    lines: ["10:00:00 move edited"],
    patch: null,
  },
  {
    fact: "says that the count was used up before a slot came",
    job: sampleJob({ enabled: false, state: "completed", nextRunAt: null, repeatTimes: 3, repeatCompleted: 3 }),
    cursor: cursor(),
    lines: ["10:00:00 miss repeat_used_up"],
  },
  {
    fact: "sees that somebody else ran a one-shot to its end",
    job: once("10:00:00", { enabled: false, state: "completed", nextRunAt: null, lastRunAt: stored(at("10:00:01")) }),
    cursor: cursor({ scheduleText: `once ${at("10:00:00")}` }),
    lines: ["10:00:00 run elsewhere"],
  },
  {
    fact: "gives no slots to the time of a pause",
    cursor: cursor({ nextAtMs: null, enabled: false }),
    input: { nowMs: at("10:11:00") },
    lines: ["10:00:00 run catch_up run-1"],
    wake: "10:15:00",
  },
  {
    fact: "gives slots to the time since a gateway went on with a job, though nobody saw the end of its pause",
    job: sampleJob({ nextRunAt: stored(at("10:20:00")), pendingSlot: takenAt("10:16:00", "10:00:00") }),
    cursor: cursor({ nextAtMs: null, enabled: false }),
    input: { nowMs: at("10:26:00") },
    lines: ["10:00:00 run catch_up run-1", "10:20:00 coalesce missed run-1", "10:25:00 coalesce missed run-1"],
    wake: "10:30:00",
  },
  {
    fact: "gives no slots to a pause that lies behind a slot which is put back",
    job: sampleJob({ nextRunAt: stored(at("10:20:00")), pendingSlot: takenAt("10:16:00", "10:00:00") }),
    cursor: cursor({ nextAtMs: at("10:20:00"), resumedAtMs: at("10:16:00") }),
    input: { nowMs: at("10:22:00") },
    lines: ["10:00:00 run catch_up run-1", "10:20:00 coalesce missed run-1"],
  },
  {
    fact: "takes in an instant that was kept over a pause where the slot of a void claim is put back",
    job: sampleJob(),
    cursor: cursor({
      nextAtMs: at("10:10:00"),
      resumedAtMs: at("10:16:00"),
      pending: { reason: "drain", throughMs: at("10:10:00"), count: 1 },
    }),
    input: { nowMs: at("10:17:00"), restored: new Map([["a1", at("10:00:00")]]) },
    lines: ["10:00:00 run restored run-1", ...["10:05:00", "10:10:00", "10:15:00"].map(folded)],
  },
];

function folded(clock: string): string {
  return `${clock} coalesce missed run-1`;
}

/** The mark of a gateway that took a slot off the schedule and claimed nothing. */
function takenAt(clock: string, slot: string): PendingSlot {
  return { ...claimBy("host:777", at(clock)), scheduledAt: stored(at(slot)) };
}

for (const { fact, input, claims, lines, patch, wake, ...rest } of cases) {
  test(`planTick() ${fact}`, () => {
    const job = rest.job ?? sampleJob();
    const cursors = new Map(rest.cursor === undefined ? [] : [[job.id, rest.cursor]]);
    const plan = planTick(tickInput({ jobs: [job], cursors, ...input }));
    const shown = plan.claims.map(
      (claim) => `${claim.trigger} ${new Date(claim.scheduledAtMs).toISOString().slice(11, 19)} ${claim.gate.runId}`,
    );
    if (claims !== undefined) expect(shown).toEqual(claims);
    if (lines !== undefined) expect(show(plan.slots)).toEqual(lines);
    if (patch === null) expect(plan.patches.size).toBe(0);
    else if (patch?.fireClaim !== undefined) expect(plan.patches.get("a1")).toEqual(patch);
    else if (patch !== undefined) expect(plan.patches.get("a1")).toMatchObject(patch);
    if (wake !== undefined) expect(plan.wakeAtMs).toBe(wake === null ? null : at(wake));
  });
}

test("planTick() admits the oldest first and lists one-shots in front", () => {
  const jobs = [
    sampleJob({ id: "new", nextRunAt: stored(at("10:00:00")) }),
    sampleJob({ id: "old", nextRunAt: stored(at("09:50:00")) }),
    once("09:59:00", { id: "shot" }),
  ];
  const plan = planTick(tickInput({ jobs }));
  expect(plan.claims.map((claim) => `${claim.jobId} ${claim.gate.runId}`)).toEqual(["shot run-2", "old run-1"]);
  expect([...plan.patches.keys()]).toEqual(["shot", "old"]);
  expect(show(plan.slots.filter((line) => line.jobId === "new"))).toEqual(["10:00:00 pending capacity"]);
  expect(plan).toMatchObject({ gatesMissing: { script: 1 }, waiting: 1 });
});

test("planTick() asks for no more gates than there is room", () => {
  const jobs = ["a", "b", "c", "d"].map((id) => sampleJob({ id }));
  expect(planTick(tickInput({ jobs, gates: [], capacity: 3 }))).toMatchObject({
    claims: [],
    gatesMissing: { script: 3 },
  });
  expect(planTick(tickInput({ jobs, gates: sampleGates(9), capacity: 0 }))).toMatchObject({
    claims: [],
    gatesMissing: { script: 0, prompt: 0 },
  });
});

test("planTick() says each wait once, and again when its reason changes or another slot comes", () => {
  const jobs = [sampleJob()];
  const cursors = new Map<string, SlotCursor>();
  const seen = [
    tickInput({ jobs, cursors, hold: "estop" }),
    tickInput({ jobs, cursors, hold: "estop", nowMs: at("10:00:09") }),
    tickInput({ jobs, cursors, hold: "estop", nowMs: at("10:05:09") }),
    tickInput({ jobs, cursors, hold: null, capacity: 0, nowMs: at("10:05:10") }),
  ].map((input) => {
    const plan = planTick(input);
    for (const [id, changed] of plan.cursors) cursors.set(id, changed);
    return show(plan.slots);
  });
  expect(seen).toEqual([
    ["10:00:00 pending estop"],
    [],
    ["10:05:00 pending estop"],
    ["10:00:00 pending capacity", "10:05:00 pending capacity"],
  ]);
});

test("planTick() says what a slot waits for beneath a request that waits, and says it once", () => {
  const text = "2026-06-15T10:00:20+00:00";
  const jobs = [sampleJob({ nextRunAt: { text, ms: at("10:00:20") }, manualRunAt: text })];
  const waited = cursor({ pending: { reason: "lock", throughMs: at("10:05:00"), count: 2 } });
  const first = planTick(tickInput({ jobs, cursors: new Map([["a1", waited]]), capacity: 0, nowMs: at("10:06:00") }));
  const second = planTick(tickInput({ jobs, cursors: first.cursors, capacity: 0, nowMs: at("10:06:01") }));
  expect([show(first.slots), show(second.slots)]).toEqual([
    ["10:00:00 pending capacity", "10:05:00 pending capacity"],
    [],
  ]);
});

test.each<[string, Partial<Job>, readonly string[]]>([
  ["another rule", {}, ["10:00:02 move edited"]],
  [
    "another instant",
    { schedule: { kind: "once", runAtMs: at("11:00:00") }, nextRunAt: stored(at("11:00:00")) },
    ["10:00:02 move edited"],
  ],
])("planTick() remembers what was made a one-shot during its run when it is given %s", (_, edit, lines) => {
  const input = { openRuns: [{ id: "r", jobId: "a1" }] };
  const made = planTick(
    tickInput({ ...input, jobs: [once("10:00:02")], cursors: new Map([["a1", cursor({ nextAtMs: at("10:05:00") })]]) }),
  );
  expect(show(made.slots)).toEqual(["10:05:00 move edited"]);
  const edited = sampleJob({ nextRunAt: stored(at("10:10:00")), ...edit });
  const cursors = made.cursors;
  const after = planTick(tickInput({ ...input, jobs: [edited], cursors, nowMs: at("10:00:09") }));
  expect(show(after.slots)).toEqual(lines);
});

test("planTick() counts the end of a run that it has counted for no slot that waited for it", () => {
  const waiting = sampleJob({ nextRunAt: stored(at("10:05:00")), fireClaim: claimBy(foreign, at("10:04:58")) });
  const ended = sampleJob({
    nextRunAt: stored(at("10:15:00")),
    lastRunAt: stored(at("10:10:01")),
    lastDispatchOf: stored(at("10:00:00")),
  });
  const cursors = new Map([["a1", cursor({ nextAtMs: at("10:05:00"), servedBy: foreign })]]);
  const seen = [
    tickInput({ jobs: [waiting], cursors, nowMs: at("10:05:00") }),
    tickInput({ jobs: [ended], cursors, nowMs: at("10:10:02") }),
    tickInput({ jobs: [ended], cursors, nowMs: at("10:15:00"), capacity: 0 }),
  ].map((input) => {
    const plan = planTick({ ...input, ownerState: () => "alive" });
    for (const [id, changed] of plan.cursors) cursors.set(id, changed);
    return show(plan.slots);
  });
  expect(seen).toEqual([
    ["10:05:00 pending lock"],
    ["10:10:00 pending lock"],
    ["10:05:00 move reanchored", "10:10:00 move reanchored", "10:15:00 pending capacity"],
  ]);
});

test("planTick() claims at once after a long sleep and writes its lines a thousand a tick", () => {
  const nowMs = at("10:00:00") + 2500 * 60_000 + 1;
  const job = sampleJob({ schedule: { kind: "cron", expression: "* * * * *" } });
  const first = planTick(tickInput({ jobs: [job], nowMs }));
  expect(first.claims).toHaveLength(1);
  expect(first.slots).toHaveLength(1000);
  expect(first.wakeAtMs).toBe(nowMs);
  const next = stored(Date.parse(String(first.patches.get("a1")?.nextRunAt)));
  const after = [sampleJob({ ...job, nextRunAt: next })];
  const openRuns = [{ id: "run-1", jobId: "a1" }];
  const second = planTick(tickInput({ jobs: after, nowMs, cursors: first.cursors, openRuns }));
  const third = planTick(tickInput({ jobs: after, nowMs, cursors: second.cursors, openRuns }));
  const fourth = planTick(tickInput({ jobs: after, nowMs, cursors: third.cursors, openRuns }));
  expect([second, third, fourth].map((plan) => [plan.slots.length, plan.claims.length])).toEqual([
    [1000, 0],
    [501, 0],
    [0, 0],
  ]);
  expect([third.wakeAtMs, fourth.wakeAtMs]).toEqual([next.ms, next.ms]);
  const lines = [first, second, third].flatMap((plan) => plan.slots);
  expect(new Set(lines.map((line) => line.scheduledAtMs)).size).toBe(2501);
  expect(new Set(lines.slice(1).map((line) => `${line.decision} ${line.runId}`))).toEqual(new Set(["coalesce run-1"]));
});

test("planTick() leaves out none of more than a thousand instants since a pause that somebody moved past twice", () => {
  const minutesMs = (count: number): number => at("10:00:00") + count * 60_000;
  const job = sampleJob({ schedule: { kind: "cron", expression: "* * * * *" }, nextRunAt: stored(minutesMs(1600)) });
  const waited = cursor({
    scheduleText: "cron * * * * *",
    resumedAtMs: minutesMs(60),
    pending: { reason: "no_daemon", throughMs: minutesMs(1059), count: 1000 },
    followingMs: minutesMs(1500),
  });
  const lines = new Map<number, string>();
  let cursors: ReadonlyMap<string, SlotCursor> = new Map([["a1", waited]]);
  for (let tick = 0; tick < 4; tick += 1) {
    const plan = planTick(tickInput({ jobs: [job], cursors, nowMs: minutesMs(1599) + 1 }));
    for (const line of plan.slots) lines.set(line.scheduledAtMs, line.decision);
    cursors = new Map([...cursors, ...plan.cursors]);
  }
  const moved = [...lines].filter(([, decision]) => decision === "move").map(([atMs]) => atMs);
  expect(moved).toEqual([0, ...Array.from({ length: 1439 }, (_, place) => 61 + place)].map(minutesMs));
});

test("planTick() ends what waited behind more than a thousand instants that are put back before it", () => {
  const minutesMs = (count: number): number => at("10:00:00") + count * 60_000;
  const job = sampleJob({ schedule: { kind: "cron", expression: "* * * * *" } });
  const plan = (before: number): readonly string[] => {
    const waited = cursor({
      scheduleText: "cron * * * * *",
      nextAtMs: minutesMs(before),
      pending: { reason: "drain", throughMs: minutesMs(before + 2), count: 3 },
    });
    const cursors = new Map([["a1", waited]]);
    const { slots } = planTick(tickInput({ jobs: [job], cursors, nowMs: minutesMs(before + 2) + 1, capacity: 0 }));
    return show(slots.filter((line) => line.decision !== "pending"));
  };
  expect(plan(997)).toEqual([]);
  expect(plan(1200)).toEqual(["06:00:00", "06:01:00", "06:02:00"].map((clock) => `${clock} move reanchored`));
});

test("planTick() serves what follows upon more known instants than one tick passes over", () => {
  const everyMinute = { kind: "cron", expression: "* * * * *" } as const;
  const servedUntilMs = at("10:00:00") + 1650 * 60_000;
  const nowMs = servedUntilMs + 90_000;
  let job = sampleJob({ schedule: everyMinute });
  let cursors: ReadonlyMap<string, SlotCursor> = new Map([["a1", cursor({ scheduleText: "cron * * * * *" })]]);
  const ticks = [1, 2].map(() => {
    const ranElsewhere = (_: string, ms: number): boolean => ms < servedUntilMs;
    const plan = planTick(tickInput({ jobs: [job], cursors, nowMs, ranElsewhere }));
    const text = plan.patches.get("a1")?.nextRunAt ?? expect.fail("the job is not moved on");
    job = { ...job, nextRunAt: { text, ms: Date.parse(text) } };
    cursors = plan.cursors;
    return [plan.slots.length, show(plan.slots.slice(-3)), text.slice(11, 19), plan.claims.length, plan.wakeAtMs];
  });
  expect(ticks).toEqual([
    [1000, ["02:37", "02:38", "02:39"].map((clock) => `${clock}:00 run elsewhere`), "02:40:00", 0, nowMs],
    [
      652,
      ["13:29:00 run elsewhere", "13:30:00 run late run-1", "13:31:00 coalesce missed run-1"],
      "13:32:00",
      1,
      nowMs + 30_000,
    ],
  ]);
});

test("planTick() closes what waited for a job that runs by a clock that was set back, and then is gone", () => {
  const jobs = [sampleJob()];
  const waits: SlotCursor = cursor({ pending: { reason: "lock", throughMs: at("10:10:00"), count: 3 } });
  const first = planTick(tickInput({ jobs, cursors: new Map([["a1", waits]]), nowMs: at("10:00:30") }));
  expect(show(first.slots)).toEqual(["10:00:00 run late run-1"]);
  const second = planTick(tickInput({ jobs: [], cursors: first.cursors, nowMs: at("10:00:40") }));
  expect(show(second.slots)).toEqual(["10:05:00 miss job_gone", "10:10:00 miss job_gone"]);
  // By a clock that goes on alone there is nothing left that waits.
  const later = planTick(tickInput({ jobs, cursors: new Map([["a1", waits]]), nowMs: at("10:11:00") }));
  expect(later.cursors.get("a1")?.pending).toBeUndefined();
});

test("planTick() misses the slot of a record that is gone and forgets its cursor", () => {
  const cursors = new Map([
    ["due", cursor()],
    ["future", cursor({ nextAtMs: at("11:00:00") })],
    // It waited, and then the clock went back.
    ["waits", cursor({ nextAtMs: at("11:00:00"), pending: { reason: "lock", throughMs: at("11:00:00"), count: 1 } })],
    ["ran", cursor()],
  ]);
  const plan = planTick(tickInput({ cursors, ranElsewhere: (id) => id === "ran" }));
  expect(plan.slots.map((line) => `${line.jobId} ${line.decision} ${line.reason}`)).toEqual([
    "due miss job_gone",
    "waits miss job_gone",
    "ran run elsewhere",
  ]);
  expect(plan.cursorsDropped).toEqual(["due", "future", "waits", "ran"]);
});

test("planTick() remembers which rule it followed without a break before an edit and a pause", () => {
  const hourly = { kind: "cron", expression: "30 * * * *" } as const;
  const edited = sampleJob({ schedule: hourly, nextRunAt: stored(at("10:30:00")) });
  const before = new Map([["a1", cursor({ nextAtMs: at("10:05:00"), sinceMs: at("09:00:00") })]]);
  const first = planTick(tickInput({ jobs: [edited], cursors: before }));
  const followed = { scheduleText: "cron */5 * * * *", sinceMs: at("09:00:00"), nextAtMs: at("10:05:00") };
  expect(first.cursors.get("a1")).toMatchObject({ sinceMs: at("10:30:00"), earlier: [followed] });
  const paused = sampleJob({ ...edited, enabled: false, state: "paused" });
  const second = planTick(tickInput({ jobs: [paused], cursors: first.cursors }));
  // Nothing came while the second rule held, so it tells of no instant.
  expect(second.cursors.get("a1")?.earlier).toEqual([followed]);
});

test("planTick() plans the first of two records with one id and leaves the second", () => {
  const plan = planTick(tickInput({ jobs: [sampleJob({ enabled: false }), sampleJob()] }));
  expect(plan.claims).toEqual([]);
});

test("planTick() runs a slot in the hour that the spring change leaves out at Hermes' instant", () => {
  const zone = createZone("America/New_York", 0);
  const job = sampleJob({
    schedule: { kind: "cron", expression: "30 2 * * *" },
    nextRunAt: { text: "2026-03-08T02:30:00-05:00", ms: Date.parse("2026-03-08T07:30:00Z") },
  });
  const plan = planTick(tickInput({ jobs: [job], zone, nowMs: Date.parse("2026-03-08T07:30:01Z") }));
  expect(plan.claims.map((claim) => claim.scheduledAtMs)).toEqual([job.nextRunAt?.ms]);
  expect(plan.patches.get("a1")?.nextRunAt).toBe("2026-03-09T02:30:00-04:00");
});

test("planTick() passes over 10,000 jobs of which none is due", () => {
  const jobs = Array.from({ length: 10_000 }, (_, place) =>
    sampleJob({ id: `job-${place}`, nextRunAt: stored(at("11:00:00") + place) }),
  );
  const cursors = new Map(planTick(tickInput({ jobs })).cursors);
  const plan = planTick(tickInput({ jobs, cursors }));
  expect([plan.cursors.size, plan.slots, plan.patches.size, plan.wakeAtMs]).toEqual([0, [], 0, at("11:00:00")]);
});

test("planTick() is free of any zone but the one it is given", () => {
  const plan = planTick(tickInput({ jobs: [sampleJob()], zone: createZone("Asia/Kolkata", 0) }));
  expect(plan.patches.get("a1")?.nextRunAt).toBe("2026-06-15T15:35:00+05:30");
  expect(utc.name).toBe("UTC");
});

test("a quiet plan asks nobody and holds until it wakes", () => {
  const asked = (): never => {
    throw new Error("A quiet plan asked");
  };
  const outside = {
    ownerState: asked,
    ranElsewhere: asked,
    wasBusyElsewhere: asked,
    claimedElsewhereMs: asked,
    isAliveElsewhere: asked,
    heldUntilMs: asked,
  };
  const paused = { enabled: false, state: "paused" };
  const jobs = [
    sampleJob({ id: "soon", nextRunAt: stored(at("10:05:00")) }),
    sampleJob({ id: "later", nextRunAt: stored(at("11:00:00")), fireClaim: claimBy(foreign, at("09:59:00")) }),
    sampleJob({ id: "paused", ...paused, nextRunAt: stored(at("09:00:00")) }),
  ];
  const cursors = new Map([
    ["soon", cursor({ nextAtMs: at("10:05:00") })],
    ["later", cursor({ nextAtMs: at("11:00:00") })],
    ["paused", cursor({ nextAtMs: null, enabled: false })],
  ]);
  const first = planTick(tickInput({ jobs, cursors, ...outside }));
  expect(first).toMatchObject({ isQuiet: true, wakeAtMs: at("10:05:00"), patches: new Map(), slots: [], claims: [] });
  const later = { nowMs: at("10:04:59"), hold: "estop", gates: [], capacity: 0 } as const;
  expect(planTick(tickInput({ jobs, cursors, ...outside, ...later }))).toEqual(first);
  expect(planTick(tickInput({ jobs, cursors, nowMs: at("10:05:00") }))).toMatchObject({ isQuiet: false });
});

test.each<[string, Partial<Job>, ReadonlyMap<string, SlotCursor>, Partial<TickInput>]>([
  ["has a job that nobody has seen yet", {}, new Map(), {}],
  ["has a job whose last run failed", { lastStatus: "error" }, new Map([["a1", cursor()]]), {}],
  ["has a job that was moved", {}, new Map([["a1", cursor({ nextAtMs: at("09:55:00") })]]), {}],
  [
    "misses a job",
    {},
    new Map([
      ["a1", cursor()],
      ["gone", cursor()],
    ]),
    {},
  ],
  [
    "has an attempt that is to come",
    {},
    new Map([["a1", cursor()]]),
    {
      retries: new Map([
        [
          "a1",
          { runId: "r1", jobId: "a1", attempt: 2, dueAtMs: at("11:00:00"), scheduledAtMs: at("09:55:00"), editKey: "" },
        ],
      ]) as unknown as NonNullable<TickInput["retries"]>,
    },
  ],
])("a plan is not quiet that %s", (_, fields, cursors, input) => {
  const quiet = tickInput({ nowMs: at("09:59:00"), jobs: [sampleJob()], cursors: new Map([["a1", cursor()]]) });
  expect(planTick(quiet).isQuiet).toBe(true);
  expect(planTick({ ...quiet, jobs: [sampleJob(fields)], cursors, ...input }).isQuiet).toBe(false);
});
