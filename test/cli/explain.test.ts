import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { planTick } from "../../src/core/plan-tick.ts";
import type { Run } from "../../src/core/run.ts";
import { createZone } from "../../src/core/zone.ts";
import { createRunLedger, type RunEnd, type RunLedger } from "../../src/ledger/run-ledger.ts";
import { createJobStore } from "../../src/store/job-store.ts";
import { createLocks } from "../../src/system/flock.ts";
import { createRandom } from "../../src/system/random.ts";
import { createFiles } from "../../src/system/real-files.ts";
import type { System } from "../../src/system/system.ts";
import { type Explained, explained } from "../helpers/explained.ts";
import { claimedRun, completed, createCliHome, record, slot } from "./cli-home.ts";

const jobId = "aaaa11112222";

/** A home whose clock stands wherever a test puts it, with the real store, plan and ledger. */
interface TimedHome {
  readonly ledger: RunLedger;
  jobs(records: readonly object[]): void;
  /** Leaves a `jobs.json` that nobody can read. */
  tear(): void;
  /** What a daemon does at that moment: it claims what is due, and each run is over a second later. */
  tick(at: string): void;
  explain(at: string, time?: string): Promise<Explained>;
}

function makeTimedHome(zoneName = "UTC"): TimedHome {
  const path = mkdtempSync(join(tmpdir(), "explain-"));
  const state = join(path, "supervisor");
  const files = createFiles();
  mkdirSync(join(path, "cron"));
  mkdirSync(state);
  writeFileSync(join(path, "config.yaml"), `timezone: ${zoneName}\n`);
  const ledger = createRunLedger({ files }, join(state, "supervisor.db"));
  onTestFinished(() => {
    ledger.dispose();
    rmSync(path, { recursive: true });
  });
  const zone = createZone(zoneName, 0);
  let nowMs = 0;
  const system = {
    files,
    locks: createLocks(),
    random: createRandom(),
    clock: { nowMs: () => nowMs },
  } as unknown as System;
  const store = createJobStore(system, join(path, "cron"), {
    naiveZone: zone,
    nowText: () => new Date(nowMs).toISOString(),
  });
  let gates = 0;
  return {
    ledger,
    tear: () => writeFileSync(join(path, "cron/jobs.json"), "{"),
    jobs: (records) => writeFileSync(join(path, "cron/jobs.json"), JSON.stringify({ jobs: records, updated_at: "" })),
    tick(at) {
      nowMs = Date.parse(at);
      store.update((snapshot) => {
        gates += 1;
        const gate = { runId: `run${gates}`, kind: "script" as const, jobId: null, owner: `host:${gates}:aa` };
        const plan = planTick({
          nowMs,
          zone,
          jobs: snapshot.jobs,
          cursors: ledger.cursors("default"),
          openRuns: [],
          gates: [gate],
          capacity: 4,
          ownerState: () => "dead",
          canRun: () => true,
          hold: null,
        });
        ledger.claim(
          plan.claims.map(
            (claim): Run =>
              claimedRun(claim.gate.runId, claim.jobId, "nightly", {
                scheduledAtMs: claim.scheduledAtMs,
                claimedAtMs: nowMs,
              }),
          ),
        );
        ledger.writeSlots("default", plan.slots);
        ledger.writeCursors("default", plan.cursors, plan.cursorsDropped);
        for (const claim of plan.claims) {
          ledger.start(claim.gate.runId, nowMs + 5);
          ledger.close(claim.gate.runId, completed({ endedAtMs: nowMs + 1005 }));
        }
        return plan.patches;
      }, 100);
    },
    explain: (at, time) => explained({ path, state }, jobId, time ?? null, () => Date.parse(at)),
  };
}

function daily(at: string, nextRunAt: string, changes: object = {}): object {
  const [hour, minute] = at.split(":").map(Number);
  const expr = `${minute} ${hour} * * *`;
  return record(jobId, "nightly", {
    schedule: { kind: "cron", expr, display: expr },
    schedule_display: expr,
    next_run_at: nextRunAt,
    ...changes,
  });
}

/** The cause and the first sentence, once the whole is as long as it may be. */
function answer({ cause, sentences }: Explained): readonly [string, string | undefined] {
  expect(sentences.length).toBeGreaterThanOrEqual(3);
  expect(sentences.length).toBeLessThanOrEqual(8);
  return [cause, sentences[0]];
}

test("explain says that a time did not exist where clocks went forward", async () => {
  const home = makeTimedHome("Europe/Berlin");
  home.jobs([daily("2:30", "2026-03-28T02:30:00+01:00")]);
  home.tick("2026-03-28T01:29:00Z");
  home.tick("2026-03-28T01:30:00Z");
  const gap =
    "02:30 does not exist on 2026-03-29, as clocks in Europe/Berlin go forward from 02:00 to 03:00, so 03:30 stands in for it";
  expect(answer(await home.explain("2026-03-28T12:00:00Z", "2026-03-29T02:30"))).toEqual([
    "coming_blocked",
    expect.stringContaining(`Job "nightly" will run at 2026-03-29 03:30 (in 14 h): ${gap}`),
  ]);
  home.tick("2026-03-29T01:30:00Z");
  const told = ["clock_gap", `Job "nightly" ran at 03:30, on time: ${gap}, and completed in 1.0 s.`];
  expect(answer(await home.explain("2026-03-29T07:00:00Z", "2:30"))).toEqual(told);
  expect(answer(await home.explain("2026-03-29T07:00:00Z"))).toEqual(told);
});

test("explain says that a job whose count is used up runs once more where it is still on, as its last run", async () => {
  const home = makeTimedHome();
  const usedUp = { repeat: { times: 2, completed: 2 } };
  home.jobs([daily("9:00", "2026-03-05T09:00:00+00:00", usedUp)]);
  const although = "although its count of repeats is used up (2 of 2 runs), which Hermes looks at behind a run";
  expect(answer(await home.explain("2026-03-05T08:00:00Z"))).toEqual([
    "coming_blocked",
    expect.stringContaining(`Job "nightly" will run at 09:00 (in 60 min) ${although}, but only if`),
  ]);
  expect(answer(await home.explain("2026-03-05T08:00:00Z", "2026-03-07T09:00"))).toEqual([
    "repeat_used_up",
    'Job "nightly" will not run at 2026-03-07 09:00: its last run is that of 09:00, as its count of repeats is used up (2 of 2 runs).',
  ]);
  home.tick("2026-03-05T08:59:00Z");
  home.tick("2026-03-05T09:00:00Z");
  expect(home.ledger.runs({ limit: 9 })).toHaveLength(1);
  home.jobs([daily("9:00", "2026-03-06T09:00:00+00:00", { ...usedUp, enabled: false, state: "paused" })]);
  expect((await home.explain("2026-03-05T12:00:00Z")).cause).toBe("paused");
  home.jobs([daily("9:00", "", { ...usedUp, next_run_at: null, enabled: false, state: "completed" })]);
  expect((await home.explain("2026-03-05T12:00:00Z")).cause).toBe("repeat_used_up");
});

test("explain says that a time came twice where clocks were set back", async () => {
  const home = makeTimedHome("Europe/Berlin");
  home.jobs([daily("2:30", "2026-10-24T02:30:00+02:00")]);
  home.tick("2026-10-24T00:29:00Z");
  home.tick("2026-10-24T00:30:00Z");
  home.tick("2026-10-25T00:30:00Z");
  home.tick("2026-10-25T01:30:00Z");
  const twice = "02:30 comes twice on 2026-10-25, as clocks in Europe/Berlin are set back (from +02:00 to +01:00)";
  const ahead = await home.explain("2026-10-24T12:00:00Z", "2026-10-25T02:30");
  expect(ahead.sentences[0]).toContain(
    `Job "nightly" will run at 2026-10-25 02:30 (in 13 h): ${twice}, and it counts at the first, `,
  );
  const now = "2026-10-25T08:00:00Z";
  expect(answer(await home.explain(now, "2026-10-25T02:30"))).toEqual([
    "clock_repeat",
    `Job "nightly" ran at 02:30, on time, the first of two: ${twice}, and completed in 1.0 s.`,
  ]);
  expect(answer(await home.explain(now, "2026-10-25T02:30:00+01:00"))).toEqual([
    "clock_repeat",
    `Job "nightly" did not run at this 02:30: ${twice}, and a time that comes twice counts once, at the first.`,
  ]);
});

test("explain tells of a quota hold only where the job has no earlier time", async () => {
  const home = makeTimedHome();
  const hold = { quota_hold_until: "2026-01-05T16:00:00+00:00" };
  const now = "2026-01-05T13:00:00Z";
  for (const [next, cause, told] of [
    ["2026-01-05T16:00:00+00:00", "quota_hold", 'Job "nightly" does not run: the quota of its model is used up, '],
    ["2026-01-05T14:00:00+00:00", "coming_blocked", 'Job "nightly" will run at 14:00 (in 60 min), '],
  ] as const) {
    home.jobs([daily("14:00", next, hold)]);
    expect(answer(await home.explain(now))).toEqual([cause, expect.stringContaining(told)]);
  }
});

test("explain says what the misfire policy decided, and why there was something to decide", async () => {
  const home = makeTimedHome();
  home.jobs([daily("9:00", "2026-01-06T09:00:00+00:00")]);
  const [nineMs, noonMs] = [Date.parse("2026-01-05T09:00:00Z"), Date.parse("2026-01-05T12:00:00Z")];
  const life = home.ledger.beginLife(77, nineMs - 86_400_000);
  home.ledger.endLife(life, nineMs - 3_600_000);
  home.ledger.beginLife(78, noonMs);
  home.ledger.writeSlots("default", [
    slot(jobId, { decision: "skip", reason: "policy" }, { scheduledAtMs: nineMs, decidedAtMs: noonMs + 100 }),
  ]);
  expect(answer(await home.explain("2026-01-05T13:00:00Z", "9:00"))).toEqual([
    "misfire",
    'Job "nightly" did not run at 09:00 because no daemon was running: the last one (process 77) ended at 08:00, and the next began at 12:00, and its policy then is to skip what was missed (misfire: run_once).',
  ]);
});

test("explain tells what lies ahead, and what would be in its way", async () => {
  const home = makeTimedHome();
  home.jobs([daily("9:00", "2026-01-06T09:00:00+00:00")]);
  const now = "2026-01-05T13:00:00Z";
  const [cause, first] = answer(await home.explain(now));
  expect([cause, first]).toEqual([
    "coming_blocked",
    'Job "nightly" will run at 2026-01-06 09:00 (in 20 h), but only if this changes by then: no daemon is running: none has run here yet.',
  ]);
  expect(answer(await home.explain(now, "+1h"))).toEqual([
    "not_scheduled",
    'Job "nightly" will not run at 14:00: its schedule "0 9 * * *" does not name that time; the next time is 2026-01-06 09:00 (in 20 h).',
  ]);
  expect(answer(await home.explain(now, "8:15"))[1]).toBe(
    'Job "nightly" was not to run at 08:15: its schedule "0 9 * * *" does not name that time, the next that it names is 09:00.',
  );
});

test("explain tells what became of slots without a run of their own", async () => {
  const home = makeTimedHome();
  home.jobs([daily("9:00", "2026-01-06T09:00:00+00:00")]);
  const at = (hour: number): number => Date.parse(`2026-01-05T${String(hour).padStart(2, "0")}:00:00Z`);
  home.ledger.claim([claimedRun("late1", jobId, "nightly", { scheduledAtMs: at(1), claimedAtMs: at(5) })]);
  home.ledger.start("late1", at(5) + 10);
  home.ledger.close("late1", completed({ endedAtMs: at(6) }));
  const decided = { decidedAtMs: at(5) };
  home.ledger.writeSlots("default", [
    slot(jobId, { decision: "coalesce", reason: "missed" }, { ...decided, scheduledAtMs: at(2), runId: "late1" }),
    slot(jobId, { decision: "coalesce", reason: "queue_full" }, { ...decided, scheduledAtMs: at(3), runId: "late1" }),
    slot(jobId, { decision: "miss", reason: "too_late" }, { ...decided, scheduledAtMs: at(4) }),
    slot(jobId, { decision: "skip", reason: "quota_hold" }, { ...decided, scheduledAtMs: at(7) }),
    slot(jobId, { decision: "skip", reason: "crash_loop" }, { ...decided, scheduledAtMs: at(8) }),
    slot(jobId, { decision: "move", reason: "edited" }, { ...decided, scheduledAtMs: at(9) }),
    slot(jobId, { decision: "move", reason: "clock" }, { ...decided, scheduledAtMs: at(10) }),
    slot(jobId, { decision: "move", reason: "reanchored" }, { ...decided, scheduledAtMs: at(11) }),
    slot(jobId, { decision: "run", reason: "elsewhere" }, { ...decided, scheduledAtMs: at(12) }),
  ]);
  const told = async (hour: number): Promise<readonly [string, string | undefined]> =>
    answer(await home.explain("2026-01-05T13:00:00Z", `${hour}:00`));
  const first = 'Job "nightly" did not run at';
  expect(await told(2)).toEqual([
    "missed",
    `${first} 02:00: it was folded into one later run with what else was missed, the one of 05:00 (run late1).`,
  ]);
  expect(await told(3)).toEqual([
    "queue_full",
    `${first} 03:00, because its run before was still open and one was waiting already: it was folded into the one of 05:00 (run late1).`,
  ]);
  expect(await told(4)).toEqual([
    "too_late",
    `${first} 04:00, and by 05:00 it was too late: cron.catch_up_missed is false in its home.`,
  ]);
  expect(await told(7)).toEqual([
    "quota_hold",
    `${first} 07:00 because the quota of its model was used up, and it was held until more is there.`,
  ]);
  expect(await told(8)).toEqual([
    "crash_loop",
    `${first} 08:00 because it had failed too often in a row and was held back.`,
  ]);
  expect(await told(9)).toEqual([
    "edited",
    `${first} 09:00 because somebody edited, paused or completed it first: that instant was taken off its schedule.`,
  ]);
  expect(await told(10)).toEqual([
    "clock",
    `${first} 10:00 because the clock or the time zone changed, and its schedule names another instant since.`,
  ]);
  expect(await told(11)).toEqual([
    "reanchored",
    `${first} 11:00 because its schedule does not name that time: its record had it as its next run and was moved on, and nothing tells that it ran.`,
  ]);
  expect(await told(12)).toEqual([
    "elsewhere",
    'Job "nightly" was run for 12:00 by somebody else: a gateway, or a person with Hermes, took it before this daemon did.',
  ]);
});

test("explain says that a job was not made yet", async () => {
  const home = makeTimedHome("Europe/Berlin");
  home.jobs([daily("9:00", "2026-01-06T09:00:00+01:00", { created_at: "2026-01-05T10:00:00+01:00" })]);
  home.tick("2026-01-05T09:00:01Z");
  expect(answer(await home.explain("2026-01-05T13:00:00Z", "9:00"))).toEqual([
    "not_made_yet",
    'Job "nightly" did not run at 09:00: it was made only at 10:00.',
  ]);
});

test("explain does not blame a pause for what was before it, and tells when it began in the home's time", async () => {
  const home = makeTimedHome("Europe/Berlin");
  const pause = {
    enabled: false,
    state: "paused",
    paused_at: "2026-01-05T10:00:00.123456+00:00",
    paused_reason: "holidays",
  };
  home.jobs([daily("9:00", "2026-01-06T09:00:00+01:00", pause)]);
  home.tick("2026-01-05T12:00:00Z");
  const now = "2026-01-05T13:00:00Z";
  expect(answer(await home.explain(now))).toEqual([
    "paused",
    'Job "nightly" does not run: it is paused since 11:00 (holidays), and has no slots until it is resumed.',
  ]);
  expect(answer(await home.explain(now, "9:00"))[0]).not.toBe("paused");
});

test("explain says that an instant was none of its job's schedule", async () => {
  const home = makeTimedHome();
  home.jobs([daily("9:00", "2026-01-05T10:17:00+00:00")]);
  home.tick("2026-01-05T10:17:01Z");
  expect(answer(await home.explain("2026-01-05T13:00:00Z", "10:17"))).toEqual([
    "reanchored",
    'Job "nightly" did not run at 10:17 because its schedule does not name that time: its record had it as its next run and was moved on, and nothing tells that it ran.',
  ]);
});

test("explain names no time limit that a run did not reach", async () => {
  const home = makeTimedHome();
  home.jobs([daily("9:00", "2026-01-06T09:00:00+00:00")]);
  const claimedAtMs = Date.parse("2026-01-05T09:00:00Z");
  home.ledger.claim([claimedRun("run1", jobId, "nightly", { scheduledAtMs: claimedAtMs, claimedAtMs })]);
  home.ledger.start("run1", claimedAtMs);
  const end = completed({ endedAtMs: claimedAtMs + 3000 });
  home.ledger.close("run1", { ...end, state: "failed", reason: "timeout", error: "Script timed out after 3s" });
  expect(answer(await home.explain("2026-01-05T13:00:00Z"))).toEqual([
    "timeout",
    'Job "nightly" ran at 09:00, on time, and was stopped after 3.0 s because it took longer than its time limit: Script timed out after 3s.',
  ]);
});

test("explain cuts a long error with one sign", async () => {
  const home = makeTimedHome();
  const changes = {
    scheduledAtMs: Date.parse("2026-01-05T12:00:00Z"),
    claimedAtMs: Date.parse("2026-01-05T12:00:00Z"),
  };
  home.jobs([daily("12:00", "2026-01-06T12:00:00+00:00")]);
  home.ledger.claim([claimedRun("run000000001", jobId, "nightly", changes)]);
  home.ledger.start("run000000001", changes.claimedAtMs);
  const end = {
    state: "failed",
    reason: "error",
    error: "no model ".repeat(60),
    endedAtMs: changes.claimedAtMs + 1000,
  };
  home.ledger.close("run000000001", completed(end as Partial<RunEnd>));
  expect((await home.explain("2026-01-05T13:00:00Z")).sentences[0]).toMatch(/no model no m?[a-z ]*…$/u);
});

test("explain knows a job that is gone by its id", async () => {
  const home = makeTimedHome();
  home.jobs([]);
  home.ledger.writeSlots("default", [slot(jobId, { decision: "miss", reason: "job_gone" })]);
  expect(answer(await home.explain("2026-01-05T13:00:00Z"))).toEqual([
    "job_gone",
    `Job "${jobId}" did not run at 11:59 because its record was removed from jobs.json before anything ran it (Hermes removes a one-shot that it finds more than 2 min late).`,
  ]);
});

test("explain says that a home cannot be read where that may be why it knows no such job", async () => {
  const home = createCliHome();
  onTestFinished(() => home.remove());
  home.write("cron/jobs.json", "{ torn");
  const { exitCode, error } = await home.run("explain", "nightly");
  expect(exitCode).toBe(4);
  expect(error).toMatch(/^Cannot find job "nightly": home "default" cannot be read: .*jobs\.json/);
});

test("explain tells of the attempts before the one that served a slot at last", async () => {
  const home = makeTimedHome();
  const due = Date.parse("2026-01-05T12:30:00Z");
  home.jobs([daily("12:30", "2026-01-05T12:30:00+00:00")]);
  const claim = (id: string, attempt: number, claimedAtMs: number): void => {
    const trigger = attempt === 1 ? "schedule" : "retry";
    home.ledger.claim([
      claimedRun(id, jobId, "nightly", { trigger, attempt, scheduledAtMs: due, claimedAtMs, owner: id }),
    ]);
    home.ledger.start(id, claimedAtMs);
  };
  claim("first", 1, due);
  home.ledger.writeSlots("default", [
    slot(jobId, { decision: "run", reason: "on_time" }, { scheduledAtMs: due, runId: "first", decidedAtMs: due }),
  ]);
  const failure = { state: "failed", reason: "exit", exitCode: 1, error: "no such host" } as const;
  home.ledger.close("first", completed({ ...failure, endedAtMs: due + 2000 }));
  home.ledger.planRetry({
    runId: "first",
    home: "default",
    jobId,
    attempt: 2,
    scheduledAtMs: due,
    failedAtMs: due + 2000,
    dueAtMs: due + 60_000,
    editKey: "",
    state: "waiting",
    reason: null,
  });
  claim("second", 2, due + 60_000);
  home.ledger.startRetry("first", "second");
  home.ledger.close("second", completed({ endedAtMs: due + 61_000 }));
  const told = await home.explain("2026-01-05T13:00:00Z", "12:30");
  expect(answer(told)).toEqual([
    "retry",
    'Job "nightly" ran at 12:31 as attempt 2 of its run of 12:30, after the one before it had failed, and completed in 1.0 s.',
  ]);
  expect(told.sentences).toContain("Run first, attempt 1 of 12:30, failed after 2.0 s: no such host.");
});

test("explain names the oldest instant that waits, whichever is asked for, and what an attempt waits for", async () => {
  const home = makeTimedHome();
  const due = Date.parse("2026-01-05T10:00:00Z");
  const every5 = { kind: "cron", expr: "*/5 * * * *", display: "*/5 * * * *" };
  home.jobs([
    record(jobId, "nightly", {
      schedule: every5,
      schedule_display: every5.display,
      next_run_at: "2026-01-05T10:00:00+00:00",
    }),
  ]);
  const waits = { decision: "pending", reason: "capacity" } as const;
  const minutes = [0, 5, 10];
  home.ledger.writeSlots(
    "default",
    minutes.map((minute) => {
      const atMs = due + minute * 60_000;
      return slot(jobId, waits, { scheduledAtMs: atMs, decidedAtMs: atMs });
    }),
  );
  const cursor = { nextAtMs: due, scheduleText: "cron */5 * * * *", enabled: true, lastRunAtMs: null };
  const pending = { reason: "capacity", throughMs: due + 600_000, count: 3 } as const;
  home.ledger.writeCursors("default", new Map([[jobId, { ...cursor, pending }]]), []);
  const why = "because no daemon is running: none has run here yet.";
  const now = "2026-01-05T10:12:00Z";
  expect(answer(await home.explain(now))[1]).toBe(`Job "nightly" is due since 10:00 (12 min ago) and waits ${why}`);
  expect(answer(await home.explain(now, "10:05"))[1]).toBe(
    `Job "nightly" has not run for 10:05 yet: it waits since 10:00 (12 min ago) ${why}`,
  );

  home.ledger.claim([
    claimedRun("failed", jobId, "nightly", { scheduledAtMs: due - 300_000, claimedAtMs: due - 300_000 }),
  ]);
  home.ledger.close("failed", completed({ state: "failed", reason: "exit", exitCode: 1, error: "no", endedAtMs: due }));
  home.ledger.planRetry({
    runId: "failed",
    home: "default",
    jobId,
    attempt: 2,
    scheduledAtMs: due - 300_000,
    failedAtMs: due,
    dueAtMs: due + 60_000,
    editKey: "",
    state: "waiting",
    reason: null,
  });
  const requestedAtMs = due + 120_000;
  home.ledger.addRequest({ kind: "run", home: "default", jobId, runId: null, requestedAtMs });
  const { sentences } = await home.explain(now);
  expect(sentences).toContain(`The next attempt is due since 10:01, and waits ${why}`);
  expect(sentences).toContain(`A run that somebody asked for at 10:02 waits ${why}`);
});

test("explain says of a one-shot when it runs, and never that its time has passed before it has run", async () => {
  const home = makeTimedHome();
  const once = { kind: "once", run_at: "2026-03-05T09:00:00+00:00", display: "once" };
  const next = { schedule: once, schedule_display: "once", repeat: { times: 1, completed: 0 } };
  home.jobs([daily("9:00", "2026-03-05T09:00:00+00:00", next)]);
  expect(answer(await home.explain("2026-03-04T09:00:00Z", "2026-03-07T09:00"))).toEqual([
    "not_scheduled",
    'Job "nightly" will not run at 2026-03-07 09:00: it runs only once, at 2026-03-05 09:00 (in 24 h).',
  ]);
  home.tick("2026-03-05T08:59:00Z");
  const due = await home.explain("2026-03-05T09:00:20Z");
  expect([due.cause, due.sentences.at(-1)]).toEqual(["no_daemon", "It runs only once, at 09:00 (20 s ago)."]);
});

test("explain says once what stands in the way", async () => {
  const home = makeTimedHome();
  home.jobs([daily("9:00", "2026-03-05T09:00:00+00:00")]);
  home.tick("2026-03-05T08:59:00Z");
  expect((await home.explain("2026-03-05T09:00:20Z")).sentences).toEqual([
    'Job "nightly" is due since 09:00 (20 s ago) and waits because no daemon is running: none has run here yet.',
    'Its schedule is "0 9 * * *" in UTC, which named 09:00.',
    "It will run next at 2026-03-06 09:00 (in 24 h), but only if that has changed by then.",
  ]);
});

test("explain calls no job deleted while its home cannot be read", async () => {
  const home = makeTimedHome();
  home.jobs([daily("9:00", "2026-03-05T09:00:00+00:00")]);
  home.tick("2026-03-05T08:59:00Z");
  home.tick("2026-03-05T09:00:00Z");
  home.tear();
  const torn = expect.stringMatching(
    /^.* home "default" cannot be served: Cannot read jobs ".*jobs\.json": .*[^.]\.$/u,
  );
  const now = await home.explain("2026-03-05T09:10:00Z");
  expect([now.cause, ...now.sentences]).toEqual([
    "degraded",
    expect.stringContaining('Job "nightly" does not run: home "default" cannot be served: Cannot read jobs "'),
    "Its schedule is not known as long as that lasts.",
    "It will not run again before that is mended.",
  ]);
  const then = await home.explain("2026-03-05T09:10:00Z", "9:00");
  expect(then.sentences[0]).toBe('Job "nightly" ran at 09:00, on time, and completed in 1.0 s.');
  expect(then.sentences.slice(-2)).toEqual([torn, "It will not run again before that is mended."]);
  for (const [time, cause, beginning] of [
    ["9:05", "degraded", 'Nothing is known of job "nightly" at 09:05: home'],
    ["+1h", "degraded", 'Job "nightly" will not run at 10:10 as things are: home'],
  ] as const) {
    const told = answer(await home.explain("2026-03-05T09:10:00Z", time));
    expect(told).toEqual([cause, expect.stringContaining(beginning)]);
  }
});

test("explain tells a profile that is gone from one that cannot be looked for", async () => {
  const home = createCliHome();
  onTestFinished(() => home.remove());
  home.ledger((ledger) => {
    ledger.claim([claimedRun("run1", jobId, "nightly", { home: "team" })]);
    ledger.start("run1", 0);
    ledger.close("run1", completed());
  });
  const lastOf = async (): Promise<readonly string[]> =>
    (await explained({ path: home.root, state: home.state }, jobId, "+1h")).sentences.map((text) =>
      text.replace(/ at [0-9: -]*[0-9]/u, ""),
    );
  expect(await lastOf()).toEqual([
    'Job "nightly" will not run: its home "team" is gone.',
    'Its home "team" is gone.',
    "It will not run again.",
  ]);
  symlinkSync("profiles", join(home.root, "profiles"));
  expect(await lastOf()).toEqual([
    `Job "nightly" will not run as things are: home "team" cannot be served: Cannot list the homes in "${home.root}": ELOOP, expected folders that this user can read.`,
    "Its schedule is not known as long as that lasts.",
    "It will not run again before that is mended.",
  ]);
});

test("explain tells once of a configuration that lets no daemon start, and ends no question with a full stop", async () => {
  const home = createCliHome();
  onTestFinished(() => home.remove());
  home.jobs([record(jobId, "nightly")]);
  home.write("supervisor/config.yaml", "limits:\n  max_open_run: 3\n");
  const { sentences } = await explained({ path: home.root, state: home.state }, "nightly", "2099-01-01T00:30");
  const meant = 'did you mean "limits.max_open_runs"?';
  expect(sentences.filter((text) => text.includes(meant)).map((text) => text.endsWith(meant))).toEqual([true]);
});
