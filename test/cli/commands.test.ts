import { readdirSync, symlinkSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { join } from "node:path";
import { afterEach, beforeEach, expect, onTestFinished, test } from "vitest";
import { zoneNote } from "../../src/core/home-history.ts";
import { createLocks } from "../../src/system/flock.ts";
import { type CliHome, claimedRun, completed, createCliHome, nowMs, record, slot } from "./cli-home.ts";

let home: CliHome;
let server: Server | null = null;

beforeEach(() => {
  home = createCliHome();
});

afterEach(async () => {
  await new Promise<void>((resolve) => (server === null ? resolve() : server.close(() => resolve())));
  server = null;
  home.remove();
});

/** Two homes: jobs of every kind of state, runs that ended in every way, slots. */
function prepare(): void {
  home.jobs([
    record("aaaa11112222", "nightly", { last_run_at: "2026-01-05T11:30:00+00:00", last_status: "ok" }),
    record("bbbb11112222", "backup 🚀", {
      last_run_at: "2026-01-05T11:30:00+00:00",
      last_status: "error",
      last_error: "disk full",
      failure_streak: 3,
    }),
    record("cccc11112222", "paused one", { enabled: false, state: "paused", next_run_at: null }),
    record("dddd11112222", "never", {
      schedule: { kind: "cron", expr: "0 0 30 2 *", display: "0 0 30 2 *" },
      schedule_display: "0 0 30 2 *",
      next_run_at: null,
    }),
  ]);
  home.jobs(
    [
      record("eeee11112222", "hourly", {
        schedule: { kind: "interval", minutes: 45, display: "every 45m" },
        schedule_display: "every 45m",
        next_run_at: "2026-01-05T12:10:00+00:00",
      }),
    ],
    "team",
  );
  home.ledger((ledger) => {
    ledger.claim([
      claimedRun("run000000001", "aaaa11112222", "nightly", {
        claimedAtMs: nowMs - 3_600_000,
        scheduledAtMs: nowMs - 3_600_001,
      }),
      claimedRun("run000000002", "bbbb11112222", "backup 🚀", { claimedAtMs: nowMs - 120_000 }),
      claimedRun("run000000003", "eeee11112222", "hourly", { home: "team" }),
      claimedRun("gone00000001", "ffff11112222", "deleted job", {
        trigger: "manual",
        scheduledAtMs: null,
        claimedAtMs: nowMs - 7_200_000,
      }),
    ]);
    ledger.start("run000000001", nowMs - 3_600_000 + 2.25);
    ledger.close("run000000001", completed({ endedAtMs: nowMs - 3_598_000, outputPath: "/x/output.log" }));
    ledger.start("run000000002", nowMs - 119_000);
    ledger.close(
      "run000000002",
      completed({
        state: "failed",
        reason: "exit",
        exitCode: 3,
        error: "Script exited with code 3\nno space",
        endedAtMs: nowMs - 110_000,
      }),
    );
    ledger.start("run000000003", nowMs - 30_000);
    ledger.close(
      "gone00000001",
      completed({ state: "void", reason: "not_started", error: "The gate never opened", exitCode: null }),
    );
    ledger.writeSlots("default", [
      slot("aaaa11112222", { decision: "run", reason: "on_time" }, { runId: "run000000001", latenessMs: 2.5 }),
      slot("bbbb11112222", { decision: "skip", reason: "overlap" }, { scheduledAtMs: nowMs - 30_000 }),
      slot("bbbb11112222", { decision: "miss", reason: "too_late" }, { scheduledAtMs: nowMs - 7_200_000 }),
    ]);
    ledger.writeSlots("team", [
      slot("eeee11112222", { decision: "run", reason: "late" }, { runId: "run000000003", latenessMs: 30_000 }),
    ]);
  });
}

const nightly = {
  id: "run000000001",
  home: "default",
  job_id: "aaaa11112222",
  job_name: "nightly",
  kind: "script",
  trigger: "schedule",
  scheduled_at: "2026-01-05T10:59:59.999Z",
  claimed_at: "2026-01-05T11:00:00.000Z",
  started_at: "2026-01-05T11:00:00.002Z",
  ended_at: "2026-01-05T11:00:02.000Z",
  lateness_ms: 3.25,
  attempt: 1,
  state: "completed",
  reason: null,
  exit_code: 0,
  signal: null,
  pid: 4242,
  fingerprint: { pid: 4242, start_ticks: 99, boot_id: "boot", pid_namespace: null },
  adopted: false,
  error: null,
  output_bytes: 3,
  output_path: "/x/output.log",
  document_path: null,
  delivery: null,
  retry: null,
};

/** A good config file as it is told of without a daemon. */
const readConfig = {
  state: "ok",
  error: null,
  line: null,
  column: null,
  snippet: null,
  generation: null,
  in_force_since: null,
};

const bound = (of: string | null, max: number, used: number) => ({
  home: of,
  of: "runs",
  name: null,
  max,
  in_use: used,
});

test("status --json tells everything without a daemon", async () => {
  prepare();
  const { out, exitCode, error } = await home.run("status", "--json");
  const status = JSON.parse(out);
  expect({ exitCode, error }).toEqual({ exitCode: 0, error: "" });
  expect(status.daemon).toEqual({ running: false, pid: null, version: null, started_at: null, ready: false });
  expect(status.homes).toEqual([
    {
      name: "default",
      path: home.root,
      state: "active",
      reason: null,
      jobs: 4,
      enabled_jobs: 3,
      open_runs: 0,
      waiting: 0,
      capacity: { limit: 4, in_use: 0, bounds: [bound(null, 16, 1), bound("default", 4, 0)] },
      next_due_at: "2026-01-05T12:30:00.000Z",
      tick_lock: { held: false, holder: null, since: null },
      config: { ...readConfig, path: join(home.root, "config.yaml"), content_hash: null },
      hermes: null,
    },
    {
      name: "team",
      path: join(home.root, "profiles/team"),
      state: "active",
      reason: null,
      jobs: 1,
      enabled_jobs: 1,
      open_runs: 1,
      waiting: 0,
      capacity: { limit: 4, in_use: 1, bounds: [bound(null, 16, 1), bound("team", 4, 1)] },
      next_due_at: "2026-01-05T12:10:00.000Z",
      tick_lock: { held: false, holder: null, since: null },
      config: {
        ...readConfig,
        path: join(home.root, "profiles/team/config.yaml"),
        content_hash: expect.stringMatching(/^[0-9a-f]{16}$/),
      },
      hermes: null,
    },
  ]);
  expect(status.open_runs.map((run: { id: string }) => run.id)).toEqual(["run000000003"]);
  expect(status.alerts).toEqual([
    {
      kind: "run_failed",
      home: "default",
      job_id: "bbbb11112222",
      message: 'Job "backup 🚀" failed: disk full',
      since: "2026-01-05T11:30:00.000Z",
    },
    {
      kind: "slot_missed",
      home: "default",
      job_id: "bbbb11112222",
      message: "The slot of 2026-01-05T10:00:00.000Z was missed",
      since: "2026-01-05T10:00:00.000Z",
    },
  ]);
});

test("status tells of an orphan as one for as long as it was the job's last run", async () => {
  const endedAtMs = nowMs - 40 * 3_600_000;
  const failed = { last_status: "error", last_error: "It was lost", last_run_at: new Date(endedAtMs).toISOString() };
  home.jobs([record("aaaa11112222", "weekly", failed)]);
  home.ledger((ledger) => {
    const claimedAtMs = endedAtMs - 60_000;
    ledger.claim([claimedRun("run000000009", "aaaa11112222", "weekly", { claimedAtMs })]);
    ledger.start("run000000009", claimedAtMs);
    ledger.close("run000000009", completed({ state: "failed", reason: "orphaned", error: "It was lost", endedAtMs }));
  });
  const { alerts } = JSON.parse((await home.run("status", "--json")).out);
  expect(alerts.map(({ kind }: { kind: string }) => kind)).toEqual(["run_orphaned"]);
});

test("times stay in the zone that the daemon has in force while a home's configuration cannot be read", async () => {
  home.jobs([record("aaaa11112222", "nightly")], "team");
  home.write("profiles/team/config.yaml", "timezone: [\n");
  home.ledger(() => undefined);
  expect((await home.run("jobs")).out).toContain("12:30:00 in 30 min");
  home.ledger((ledger) => ledger.setNote(zoneNote("team"), "Europe/Berlin"));
  expect((await home.run("jobs")).out).toContain("13:30:00 in 30 min");
});

test("status prints the daemon, homes, open runs and alerts", async () => {
  prepare();
  expect((await home.run("status")).out).toBe(
    `Daemon  not running, start it with hermes-supervisor start
State   ${home.state}
Last    backup 🚀 (run000000002) failed: exit 3 after 9.0 s, 2 min ago

HOME     STATE   ENABLED  RUNNING  WAITING  HERMES  NEXT
default  active   3 of 4   0 of 4        0  none    12:30:00 in 30 min
team     active   1 of 1   1 of 4        0  none    12:10:00 in 10 min

RUN           JOB          STATE     FOR   PID
run000000003  team/hourly  running  30 s  4242

ALERT        HOME     WHAT                                             SINCE
run_failed   default  Job "backup 🚀" failed: disk full                30 min ago
slot_missed  default  The slot of 2026-01-05T10:00:00.000Z was missed  2 h ago
`,
  );
});

test("status says whom due jobs wait for", async () => {
  home.jobs([record("aaaa11112222", "late", { next_run_at: "2026-01-05T11:59:30+00:00" })]);
  expect((await home.run("status")).out).toContain("default: 1 due job waits: no daemon is running\n");
  home.write("ESTOP", "");
  const { out } = await home.run("status", "--json");
  expect(JSON.parse(out).homes[0]).toMatchObject({
    state: "paused",
    reason: "estop",
    waiting: 1,
  });
  expect(JSON.parse(out).waiting).toEqual([
    {
      home: "default",
      job_id: "aaaa11112222",
      job_name: "late",
      trigger: "schedule",
      pressure: null,
      due_at: "2026-01-05T11:59:30.000Z",
      reason: "estop",
      limit: null,
      held_by: [],
    },
  ]);
  expect((await home.run("status")).out).toContain("default is paused: ESTOP is there, hermes resume removes it\n");
});

test("status shows a home that cannot be read and leaves the others alone", async () => {
  prepare();
  home.write("cron/jobs.json", '{"jobs": [');
  const status = JSON.parse((await home.run("status", "--json")).out);
  expect(status.homes.map((each: { name: string; state: string }) => [each.name, each.state])).toEqual([
    ["default", "degraded"],
    ["team", "active"],
  ]);
  expect(status.alerts[0]).toMatchObject({ kind: "home_degraded", home: "default" });
  home.write("cron/runtime.db", "");
  expect(JSON.parse((await home.run("status", "--json")).out).homes[0]).toMatchObject({
    state: "unsupported",
    reason: "cron/runtime.db belongs to a newer Hermes than this program knows",
  });
});

test("status takes the word of a daemon that answers, and of its lock while it does not", async () => {
  prepare();
  const lock = createLocks().tryLock(join(home.state, "daemon.lock"));
  const silent = JSON.parse((await home.run("status", "--json")).out);
  expect(silent.daemon).toMatchObject({ running: true, pid: process.pid, ready: false });
  expect((await home.run("status")).out).toMatch(/^Daemon {2}running, .*, does not answer now\n/u);
  const told = {
    daemon: { running: true, pid: 7, version: "1", started_at: null, ready: true },
    homes: [],
    open_runs: [],
    alerts: [],
  };
  const asked = await serve(200, told);
  expect(JSON.parse((await home.run("status", "--json")).out)).toEqual(told);
  expect(asked).toEqual(["GET /v1/status"]);
  lock?.release();
});

test("jobs prints every job of every home", async () => {
  prepare();
  expect((await home.run("jobs")).out).toBe(`default  ${home.root}
JOB           NAME        SCHEDULE    NEXT                LAST
aaaa11112222  nightly     30 * * * *  12:30:00 in 30 min  ok 30 min ago
bbbb11112222  backup 🚀   30 * * * *  12:30:00 in 30 min  failed 30 min ago (3 in a row)
cccc11112222  paused one  30 * * * *  paused
dddd11112222  never       0 0 30 2 *  never

team  ${join(home.root, "profiles/team")}
JOB           NAME    SCHEDULE   NEXT     LAST
eeee11112222  hourly  every 45m  running
`);
  const { jobs } = JSON.parse((await home.run("jobs", "--json")).out);
  expect(jobs).toHaveLength(5);
  expect(jobs[1]).toEqual({
    home: "default",
    id: "bbbb11112222",
    name: "backup 🚀",
    kind: "script",
    schedule: "30 * * * *",
    enabled: true,
    state: "scheduled",
    next_run_at: "2026-01-05T12:30:00.000Z",
    last_run_at: "2026-01-05T11:30:00.000Z",
    last_status: "error",
    last_error: "disk full",
    failure_streak: 3,
    repeat: { times: null, completed: 0 },
    open_run_id: null,
    fault: null,
  });
  expect(jobs[4]).toMatchObject({ home: "team", open_run_id: "run000000003" });
});

test("every table fits a terminal of 80 columns and shows no control characters", async () => {
  const name = `\x1b[2J\x07${"a very long name ".repeat(10)}🚀日本語\u202e`;
  home.jobs([
    record("aaaa11112222", name, {
      last_status: "error",
      last_error: `\x1b[31m${"why ".repeat(60)}`,
      last_run_at: "2026-01-05T11:00:00+00:00",
      failure_streak: 12,
    }),
  ]);
  home.ledger((ledger) => {
    ledger.claim([claimedRun("run000000001", "aaaa11112222", name)]);
    ledger.close(
      "run000000001",
      completed({ state: "failed", reason: "not_started", error: `\x1b[31m${"why ".repeat(60)}` }),
    );
    ledger.claim([claimedRun("run000000002", "aaaa11112222", name)]);
    ledger.writeSlots("default", [
      slot("aaaa11112222", { decision: "coalesce", reason: "missed" }, { runId: "run000000001", latenessMs: 1 }),
    ]);
  });
  for (const command of [["jobs"], ["runs"], ["slots"], ["next"], ["status"]]) {
    const { out, exitCode } = await home.runOnTerminal(...command);
    const bare = out.replaceAll(/\x1b\[\d+m/g, "");
    expect(exitCode).toBe(0);
    expect(bare, command[0]).not.toMatch(/[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]/);
    const long = bare.split("\n").filter((line) => line.length > 80 && !line.startsWith("State"));
    expect(long, command[0]).toEqual([]);
  }
});

test("next prints the coming occurrence of each job, in order", async () => {
  prepare();
  const { out, error, exitCode } = await home.run("next");
  expect(exitCode).toBe(0);
  expect(out).toBe(`AT                   IN         JOB           NAME
2026-01-05 12:10:00  in 10 min  eeee11112222  team/hourly
2026-01-05 12:30:00  in 30 min  aaaa11112222  nightly
2026-01-05 12:30:00  in 30 min  bbbb11112222  backup 🚀
`);
  expect(error).toBe('dddd11112222: Cannot find a next time of "never" (0 0 30 2 *): its schedule never comes\n');
});

test("next --json gives occurrences and errors, strictly after --at", async () => {
  prepare();
  const at = async (...commandLine: string[]): Promise<unknown> => {
    const document = JSON.parse((await home.run("next", ...commandLine, "--json")).out);
    return document.occurrences.map((each: { at: string }) => each.at);
  };
  expect(await at("nightly", "--count", "2")).toEqual(["2026-01-05T12:30:00.000Z", "2026-01-05T13:30:00.000Z"]);
  expect(await at("nightly")).toHaveLength(5);
  expect(await at("nightly", "--at", "2026-01-05T13:30:00Z", "--count", "1")).toEqual(["2026-01-05T14:30:00.000Z"]);
  expect(await at("nightly", "--at", "2026-01-05T13:29:59.999+00:00", "--count", "1")).toEqual([
    "2026-01-05T13:30:00.000Z",
  ]);
  expect(await at("nightly", "--at", "2h", "--count", "1")).toEqual(["2026-01-05T14:30:00.000Z"]);
  expect(await at("nightly", "--at", "+2h", "--count", "1")).toEqual(["2026-01-05T14:30:00.000Z"]);
  // An interval keeps the cadence of its stored time.
  expect(await at("team/hourly", "--count", "2")).toEqual(["2026-01-05T12:10:00.000Z", "2026-01-05T12:55:00.000Z"]);
  expect(await at("hourly", "--at", "2026-01-05T12:10", "--count", "1")).toEqual(["2026-01-05T12:55:00.000Z"]);
  const document = JSON.parse((await home.run("next", "--json")).out);
  expect(document.occurrences[0]).toEqual({
    home: "team",
    job_id: "eeee11112222",
    job_name: "hourly",
    at: "2026-01-05T12:10:00.000Z",
  });
  expect(document.errors).toEqual([
    {
      home: "default",
      job_id: "dddd11112222",
      message: 'Cannot find a next time of "never" (0 0 30 2 *): its schedule never comes',
    },
  ]);
  expect(JSON.parse((await home.run("next", "paused one", "--json")).out)).toEqual({
    occurrences: [],
    errors: [
      { home: "default", job_id: "cccc11112222", message: 'Cannot find a next time of "paused one": it is paused' },
    ],
  });
});

test("next says why a schedule is refused", async () => {
  home.jobs([
    record("aaaa11112222", "odd", { schedule: { kind: "cron", expr: "61 * * * *", display: "61 * * * *" } }),
    record("bbbb11112222", "five", { schedule: 5 }),
    record("cccc11112222", "used up", {
      schedule: { kind: "once", run_at: "2026-01-05T13:00:00+00:00", display: "once" },
      repeat: { times: 2, completed: 2 },
    }),
    record("dddd11112222", "last", { repeat: { times: 3, completed: 2 } }),
  ]);
  const { occurrences, errors } = JSON.parse((await home.run("next", "--count", "4", "--json")).out);
  expect(occurrences.map((each: { job_id: string }) => each.job_id)).toEqual(["dddd11112222"]);
  expect(errors.map((each: { job_id: string }) => each.job_id)).toEqual([
    "aaaa11112222",
    "bbbb11112222",
    "cccc11112222",
  ]);
  expect(errors[0].message).toContain("61");
  expect(errors[2].message).toBe('Cannot find a next time of "used up": it has had its 2 runs');
});

test("runs prints the history, newest first", async () => {
  prepare();
  expect(
    (await home.run("runs")).out,
  ).toBe(`RUN           JOB          STARTED               TOOK  STATE           ERROR
run000000003  team/hourly  11:59:30 30 s ago     30 s  running
run000000002  backup 🚀    11:58:01 2 min ago   9.0 s  failed: exit 3  no space
run000000001  nightly      11:00:00 60 min ago  2.0 s  completed
gone00000001  deleted job  10:00:00 2 h ago            void            The gate never opened
`);
});

test("runs --json filters by job, state, time and number", async () => {
  prepare();
  const ids = async (...commandLine: string[]): Promise<unknown> =>
    JSON.parse((await home.run("runs", ...commandLine, "--json")).out).runs.map((run: { id: string }) => run.id);
  expect(await ids()).toEqual(["run000000003", "run000000002", "run000000001", "gone00000001"]);
  expect(await ids("--limit", "1")).toEqual(["run000000003"]);
  expect(await ids("--limit", "0")).toHaveLength(4);
  expect(await ids("nightly")).toEqual(["run000000001"]);
  expect(await ids("bbbb")).toEqual(["run000000002"]);
  expect(await ids("team/hourly")).toEqual(["run000000003"]);
  expect(await ids("ffff11112222")).toEqual(["gone00000001"]);
  // The job is deleted, and its runs know what it was called.
  expect(await ids("deleted job")).toEqual(["gone00000001"]);
  expect(await ids("default/deleted job")).toEqual(["gone00000001"]);
  expect(await ids("--state", "failed")).toEqual(["run000000002"]);
  expect(await ids("--since", "10m")).toEqual(["run000000003", "run000000002"]);
  expect(await ids("--since", "2026-01-05T11:58")).toEqual(["run000000003", "run000000002"]);
  expect(JSON.parse((await home.run("runs", "nightly", "--json")).out)).toEqual({ runs: [nightly] });
});

test("slots prints and gives what became of each instant", async () => {
  prepare();
  expect((await home.run("slots")).out).toBe(`SCHEDULED          JOB          DECISION  REASON      LATE  RUN
11:59:30 30 s ago  backup 🚀    skip      overlap
11:59:00 60 s ago  team/hourly  run       late        30 s  run000000003
11:59:00 60 s ago  nightly      run       on_time   2.5 ms  run000000001
10:00:00 2 h ago   backup 🚀    miss      too_late
`);
  expect(JSON.parse((await home.run("slots", "nightly", "--since", "1h", "--json")).out)).toEqual({
    slots: [
      {
        home: "default",
        job_id: "aaaa11112222",
        scheduled_at: "2026-01-05T11:59:00.000Z",
        decision: "run",
        reason: "on_time",
        run_id: "run000000001",
        decided_at: "2026-01-05T11:59:00.001Z",
        lateness_ms: 2.5,
      },
    ],
  });
  expect(JSON.parse((await home.run("slots", "--limit", "1", "--json")).out).slots).toHaveLength(1);
});

test("a home that never ran anything has an empty history", async () => {
  home.jobs([record("aaaa11112222", "nightly")]);
  expect((await home.run("runs")).out).toBe("No runs\n");
  expect((await home.run("slots")).out).toBe("No slots\n");
  expect(JSON.parse((await home.run("runs", "--json")).out)).toEqual({ runs: [] });
  expect(await home.run("logs", "nightly")).toEqual({
    exitCode: 4,
    out: "",
    error: 'Cannot find a run of job "nightly": it has not run yet\n',
  });
});

test("jobs calls a run that its configuration kept from beginning failed, and a result that did not arrive no success", async () => {
  const last = { last_run_at: "2026-01-05T11:30:00+00:00" };
  home.jobs([
    record("aaaa11112222", "nightly", { ...last, last_status: "blocked_config", last_error: "No Hermes" }),
    record("bbbb11112222", "hourly", { ...last, last_status: "delivery_failed" }),
  ]);
  const [, blocked, unsent] = (await home.runOnTerminal("jobs")).out.split("\n");
  expect(blocked).toContain("\x1b[31mfailed 30 min ago\x1b[39m");
  expect(unsent).toContain("\x1b[33mdelivery_failed 30 min ago\x1b[39m");
});

test("where there is no home, each command says so, and not that there is nothing", async () => {
  const why = `There is no Hermes home at "${home.root}/none"; name one with --home, or see hermes-supervisor demo\n`;
  for (const command of ["jobs", "next", "runs", "slots"])
    expect(await home.run("--home", `${home.root}/none`, command)).toEqual({ exitCode: 0, out: why, error: "" });
  expect((await home.run("--home", `${home.root}/none`, "status")).out).toContain(why);
  expect((await home.run("--home", `${home.root}/none`, "explain", "nightly")).error).toBe(
    `Cannot find job "nightly": there is no Hermes home at "${home.root}/none", name one with --home\n`,
  );
});

test("where the profiles cannot be listed, each command says so beside what it knows", async () => {
  home.jobs([record("aaaa11112222", "nightly")]);
  symlinkSync("profiles", join(home.root, "profiles"));
  const why = `Cannot list the homes in "${home.root}": ELOOP, expected folders that this user can read\n`;
  for (const command of ["jobs", "status"]) {
    const { out } = await home.run(command);
    expect([command, out.includes(why), out.includes("12:30:00")]).toEqual([command, true, true]);
  }
  expect((await home.run("next")).error).toBe(why);
});

test("next tells of a home that cannot be read, and what comes in the others", async () => {
  home.write("cron/jobs.json", "{");
  const torn = new RegExp(`^Home "default" is degraded: Cannot read jobs "${home.root}/cron/jobs.json": .*\n$`, "u");
  expect(await home.run("next")).toEqual({ exitCode: 0, out: "", error: expect.stringMatching(torn) });
  home.write("profiles/team/config.yaml", "");
  home.jobs([record("cccc22220000", "hourly")], "team");
  const { out, error } = await home.run("next");
  expect([out.split("\n")[1], error]).toEqual([
    expect.stringMatching(/cccc22220000 +team\/hourly$/u),
    expect.stringMatching(torn),
  ]);
});

test("logs prints the output of a run, and of a job's latest", async () => {
  prepare();
  home.write("supervisor/runs/run000000001/output.log", "one\ntwo\nthree\nfour\n");
  const all = "one\ntwo\nthree\nfour\n";
  expect(await home.run("logs", "run000000001")).toEqual({ exitCode: 0, out: all, error: "" });
  expect((await home.run("logs", "nightly")).out).toBe(all);
  expect((await home.run("logs", "run000000001", "-f")).out).toBe(all);
  const tails: readonly (readonly [string, string])[] = [
    ["0", ""],
    ["1", "four\n"],
    ["3", "two\nthree\nfour\n"],
    ["4", all],
    ["99", all],
  ];
  for (const [lines, text] of tails) expect((await home.run("logs", "nightly", "--tail", lines)).out).toBe(text);
  const document = JSON.parse((await home.run("logs", "nightly", "--tail", "1", "--json")).out);
  expect(document).toEqual({ run: nightly, output: "four\n" });
});

/** What the daemon knows of an ended run. */
const resultText = (stdoutBytes: number): string =>
  JSON.stringify({
    end: { exitCode: 0, signal: null, signalNumber: null, cause: null, causeText: null },
    endedAtMs: 0,
    stdoutBytes,
    documentName: "1970-01-01_00-00-00",
  });

test("logs prints both streams of a run once, before and after they are joined", async () => {
  prepare();
  const folder = "supervisor/runs/run000000003";
  home.write(`${folder}/output.log`, "out\n");
  home.write(`${folder}/errors.log`, "err\n");
  expect((await home.run("logs", "hourly")).out).toBe("out\nerr\n");
  home.write(`${folder}/result.json`, resultText(4));
  expect((await home.run("logs", "hourly")).out).toBe("out\nerr\n");
  home.write(`${folder}/output.log`, "out\nerr\n");
  expect((await home.run("logs", "hourly")).out).toBe("out\nerr\n");
  expect((await home.run("logs", "hourly", "--tail", "1")).out).toBe("err\n");
});

test("logs lets a job give no orders to a terminal, unless --raw is given", async () => {
  prepare();
  home.write("supervisor/runs/run000000001/output.log", "\x1b]0;owned\x07\x1b[2Jdone\n");
  const safe = "\\x1b]0;owned\\x07\\x1b[2Jdone\n";
  expect((await home.runOnTerminal("logs", "nightly")).out).toBe(safe);
  expect((await home.runOnTerminal("logs", "-f", "nightly", "--tail", "1")).out).toBe(safe);
  expect((await home.runOnTerminal("logs", "--raw", "nightly")).out).toBe("\x1b]0;owned\x07\x1b[2Jdone\n");
  expect((await home.run("logs", "nightly")).out).toBe("\x1b]0;owned\x07\x1b[2Jdone\n");
});

test("logs -f ends with its run and leaves nothing out", async () => {
  prepare();
  const folder = "supervisor/runs/run000000003";
  home.write(`${folder}/output.log`, "first\n");
  const following = home.run("logs", "-f", "hourly");
  home.write(`${folder}/output.log`, "first\nsecond\n");
  home.write(`${folder}/errors.log`, "oh\n");
  home.write(`${folder}/result.json`, resultText(13));
  home.write(`${folder}/output.log`, "first\nsecond\noh\n");
  home.ledger((ledger) => {
    ledger.close("run000000003", completed());
  });
  expect((await following).out).toBe("first\nsecond\noh\n");
});

test("logs -f does not wait for an end that nobody is there to record", async () => {
  prepare();
  home.write("supervisor/runs/run000000003/output.log", "first\n");
  home.write("supervisor/runs/run000000003/alive", "");
  expect(await home.run("logs", "-f", "hourly")).toEqual({
    exitCode: 5,
    out: "first\n",
    error:
      'Cannot follow run "run000000003" to its end: no daemon is running and nothing of the run lives any more, hermes-supervisor start records how it ended\n',
  });
});

test("logs says what it cannot find", async () => {
  prepare();
  const cases: readonly (readonly [readonly string[], number, string])[] = [
    [["logs", "zzz"], 4, 'Cannot find run or job "zzz": see hermes-supervisor runs and hermes-supervisor jobs\n'],
    [
      ["logs", "run00000000"],
      4,
      'Cannot tell which run is "run00000000": 3 fit\n  run000000001 (nightly)\n  run000000002 (backup 🚀)\n  run000000003 (hourly)\n',
    ],
    [
      ["logs", "run000000002"],
      1,
      'Cannot read the output of run "run000000002": it is not kept any more, its document may be: none\n',
    ],
    [["logs", "nightly", "-f", "--json"], 2, ""],
    [["logs", "nightly", "--tail", "x"], 2, 'Cannot parse --tail "x": expected a whole number from 0 to 1000000000\n'],
  ];
  for (const [commandLine, exitCode, error] of cases) {
    const told = await home.run(...commandLine);
    expect(told.exitCode, commandLine.join(" ")).toBe(exitCode);
    if (commandLine.includes("--json")) {
      expect(JSON.parse(told.out).error).toEqual({
        code: "usage",
        message: "Cannot use --follow with --json: a document ends, and this would not",
      });
    } else expect(told.error).toBe(error);
  }
});

async function serve(status: number, body: unknown): Promise<string[]> {
  const asked: string[] = [];
  const listening = createServer((request, response) => {
    asked.push(`${request.method} ${request.url}`);
    response.writeHead(status, { "content-type": "application/json" });
    response.end(JSON.stringify(body));
  });
  server = listening;
  await new Promise<void>((resolve) => listening.listen(join(home.state, "control.sock"), resolve));
  return asked;
}

test("run asks the daemon, follows the output and ends as the run did", async () => {
  prepare();
  home.write("supervisor/runs/run000000001/output.log", "hello\n");
  const asked = await serve(201, { run: nightly });
  expect(await home.run("run", "nightly")).toEqual({
    exitCode: 0,
    out: "hello\n",
    error: "Run run000000001 completed in 2.0 s\n",
  });
  expect(asked).toEqual(["POST /v1/jobs/default/aaaa11112222/run"]);
  expect(JSON.parse((await home.run("run", "nightly", "--json")).out)).toEqual({ run: nightly });
  expect((await home.run("run", "nightly", "--detach")).out).toBe("run000000001\n");
  expect(JSON.parse((await home.run("run", "nightly", "--detach", "--json")).out)).toEqual({ run: nightly });
});

test("run ends with 1 when the run failed", async () => {
  prepare();
  await serve(201, { run: { ...nightly, id: "run000000002" } });
  expect(await home.run("run", "backup 🚀")).toEqual({
    exitCode: 1,
    out: "",
    error: 'Run run000000002 of job "backup 🚀" failed after 9.0 s: Script exited with code 3\\x0ano space\n',
  });
});

test("run passes on why the daemon refuses", async () => {
  prepare();
  await serve(409, { title: "Conflict", status: 409, detail: "it is already running" });
  expect(await home.run("run", "nightly")).toEqual({
    exitCode: 1,
    out: "",
    error: 'Cannot run job "nightly": it is already running\n',
  });
});

test("run needs the daemon", async () => {
  prepare();
  const message = `Cannot reach the daemon of "${home.state}": none is running, start it with hermes-supervisor start`;
  expect(await home.run("run", "nightly")).toEqual({ exitCode: 5, out: "", error: `${message}\n` });
  const told = await home.run("run", "nightly", "--json");
  expect(told).toMatchObject({ exitCode: 5, error: "" });
  expect(JSON.parse(told.out)).toEqual({ error: { code: "no_daemon", message } });
});

test("config check names every mistake and ends with 3", async () => {
  prepare();
  expect(await home.run("config", "check")).toEqual({
    exitCode: 0,
    out: `ok       ${home.state}/config.yaml (no such file: the defaults count)
ok       ${home.root}/config.yaml (no such file: the defaults count)
ok       ${home.root}/profiles/team/config.yaml
`,
    error: "",
  });
  home.write("supervisor/config.yaml", "limits:\n  max_open_runs: many\n");
  const told = await home.run("config", "check");
  expect(told.exitCode).toBe(3);
  expect(told.out.split("\n")[0]).toBe(`invalid  ${home.state}/config.yaml`);
  expect(told.error.split("\n")[0]).toBe(
    `Cannot read config "${home.state}/config.yaml" at line 2, column 18: limits.max_open_runs is "many", expected a whole number from 1 to 10000`,
  );
  const document = await home.run("config", "check", "--json");
  expect(document.exitCode).toBe(3);
  expect(JSON.parse(document.out)).toMatchObject({
    ok: false,
    files: [
      { home: null, state: "invalid", errors: [{ line: 2, column: 18 }] },
      { home: "default", state: "ok" },
      { home: "team", state: "ok" },
    ],
    error: { code: "config_invalid" },
  });
  expect((await home.run("config", "show")).exitCode).toBe(3);
  const { alerts } = JSON.parse((await home.run("status", "--json")).out);
  expect(alerts[0]).toMatchObject({ kind: "config_invalid", home: null });
});

test("config check and status warn of a setting of Hermes that is passed over, and that is no failure", async () => {
  const own = createCliHome({ HERMES_TIMEZONE: "" });
  onTestFinished(() => own.remove());
  own.write("config.yaml", "timezone: Mars/Phobos\ncron:\n  max_parallel_jobs: many\n");
  const passedOver =
    'cron.max_parallel_jobs is "many", expected a whole number from 0, which means unbounded; it is passed over';
  const zone = 'timezone is "Mars/Phobos", expected an IANA name such as Europe/Berlin; the server\'s own zone is used';
  expect(await own.run("config", "check")).toEqual({
    exitCode: 0,
    out: `ok       ${own.state}/config.yaml (no such file: the defaults count)
warning  ${own.root}/config.yaml: ${passedOver}
warning  ${own.root}/config.yaml: ${zone}
`,
    error: "",
  });
  expect(JSON.parse((await own.run("config", "check", "--json")).out)).toEqual({
    ok: true,
    files: [
      { path: `${own.state}/config.yaml`, home: null, state: "ok", errors: [], warnings: [] },
      { path: `${own.root}/config.yaml`, home: "default", state: "ok", errors: [], warnings: [passedOver, zone] },
    ],
    overrides: [],
  });
  const status = JSON.parse((await own.run("status", "--json")).out);
  expect(status.homes[0]).toMatchObject({ state: "active", config: { state: "ok", error: null } });
  expect(status.alerts).toEqual([
    { kind: "config_invalid", home: "default", job_id: null, message: passedOver, since: null },
    { kind: "config_invalid", home: "default", job_id: null, message: zone, since: null },
  ]);
  expect((await own.run("status")).out).toContain("Mars/Phobos");
});

test("config show gives each value with its source", async () => {
  prepare();
  home.write("supervisor/config.yaml", "limits:\n  max_open_runs: 3\n");
  home.write("profiles/team/config.yaml", "cron:\n  max_parallel_jobs: 2\nsupervisor:\n  stop:\n    grace: 5 s\n");
  const { out, exitCode } = await home.run("config", "show");
  expect(exitCode).toBe(0);
  expect(out).toMatch(new RegExp(`^limits\\.max_open_runs +3 +${home.state}/config\\.yaml:2$`, "m"));
  expect(out).toMatch(/^stop\.grace +10 s +default$/m);
  expect(out).toMatch(new RegExp(`^cron\\.max_parallel_jobs +2 +${home.root}/profiles/team/config\\.yaml:2$`, "m"));
  expect(out).toMatch(new RegExp(`^stop\\.grace +5 s +${home.root}/profiles/team/config\\.yaml:5$`, "m"));
  const document = JSON.parse((await home.run("config", "show", "--json")).out);
  expect(document.settings).toContainEqual({
    key: "limits.max_open_runs",
    value: 3,
    source: `${home.state}/config.yaml:2`,
  });
  expect(document.homes.map((each: { name: string }) => each.name)).toEqual(["default", "team"]);
});

test("config show writes groups as the configuration does", async () => {
  home.write(
    "supervisor/config.yaml",
    "defaults:\n  misfire: { within: 10 m }\n  retry: { max: 3, backoff: 30 s, jitter: 0, on: [failed, timeout] }\n  tags: [a, b]\n",
  );
  const { out } = await home.run("config", "show");
  expect(out).toMatch(/^defaults\.misfire +\{ within: 10 m \} /m);
  expect(out).toMatch(/^defaults\.retry +\{ max: 3, backoff: 30 s, jitter: 0, on: \[failed, timeout\] \} /m);
  expect(out).toMatch(/^defaults\.tags +\[a, b\] /m);
  const { settings } = JSON.parse((await home.run("config", "show", "--json")).out);
  const value = (key: string): unknown => settings.find((each: { key: string }) => each.key === key)?.value;
  expect(value("defaults.misfire")).toEqual({ within_ms: 600_000 });
  expect(value("defaults.retry")).toEqual({ max: 3, backoff_ms: 30_000, jitter: 0, on: ["failed", "timeout"] });
  home.write("supervisor/config.yaml", "");
  expect((await home.run("config", "show")).out).toMatch(/^defaults\.misfire +run_once +default$/m);
});

test("config path prints where the host's file is", async () => {
  expect((await home.run("config", "path")).out).toBe(`${home.state}/config.yaml\n`);
  expect((await home.run("--state", "/elsewhere", "config", "path")).out).toBe("/elsewhere/config.yaml\n");
  expect((await home.run("config", "path", "--home", "/other")).out).toBe("/other/supervisor/config.yaml\n");
  expect((await home.run("config", "path", "--state", "/behind")).out).toBe("/behind/config.yaml\n");
});

test("start refuses a home that is named and not there, and folders that are none, and makes nothing", async () => {
  home.write("file", "");
  symlinkSync("nowhere", join(home.root, "link"));
  symlinkSync("circle", join(home.root, "circle"));
  const at = (name: string): string => join(home.root, name);
  const missing = `Cannot serve home "${at("typo")}": there is no such folder, make it or name another`;
  const before = readdirSync(home.root);
  for (const [commandLine, message] of [
    [["--home", at("typo"), "start"], missing],
    [["start", "--once", "--home", at("typo")], missing],
    [["--home", at("file"), "start"], `Cannot serve home "${at("file")}": it is no folder, name another`],
    [["--state", at("file"), "start"], `Cannot use state folder "${at("file")}": it is no folder, name another`],
    [
      ["--state", at("file/in/it"), "start"],
      `Cannot use state folder "${at("file/in/it")}": "${at("file")}" is no folder, name another`,
    ],
    [["--state", at("link"), "start"], `Cannot use state folder "${at("link")}": it is no folder, name another`],
    [
      ["--state", at("circle"), "start"],
      `Cannot use "${at("circle")}": too many symbolic links encountered (ELOOP in stat), mend the link that leads in a circle`,
    ],
  ] as const) {
    const exitCode = commandLine.includes(at("circle")) ? 1 : 2;
    expect(await home.run(...commandLine)).toEqual({ exitCode, out: "", error: `${message}\n` });
  }
  const named = createCliHome({ HERMES_HOME: at("typo") });
  onTestFinished(() => named.remove());
  expect(await named.run("start")).toEqual({ exitCode: 2, out: "", error: `${missing}\n` });
  expect(readdirSync(home.root)).toEqual(before);
});

test("wrong usage ends with 2 and one line", async () => {
  home.jobs([record("aaaa11112222", "nightly")]);
  const cases: readonly (readonly [readonly string[], string])[] = [
    [["stat"], "Unknown command 'stat', did you mean start? See hermes-supervisor --help"],
    [["runs", "--xyzzy"], "Unknown option '--xyzzy'; see hermes-supervisor runs --help"],
    [["runs", "--limit", "-1"], 'Cannot parse --limit "-1": expected a whole number from 0 to 1000000000'],
    [
      ["runs", "--state", "odd"],
      'Cannot parse --state "odd": expected one of claimed, running, completed, failed, void',
    ],
    [
      ["runs", "--since", "soon"],
      'Cannot parse --since "soon": it is no time, expected something like 2026-01-31T08:00 or 2h',
    ],
    [["next", "--count", "0"], 'Cannot parse --count "0": expected a whole number from 1 to 100000'],
    [["logs"], "Missing required argument 'run|job'; see hermes-supervisor logs --help"],
    [["doctor", "--kills", "3"], "Cannot use --kills: it says how often --chaos kills, add --chaos"],
    [["--home", "", "status"], 'Cannot use --home "": expected the path of a folder'],
    [["--state", " ", "status"], 'Cannot use --state " ": expected the path of a folder'],
    [
      ["explain", "nightly", "soon"],
      'Cannot parse TIME "soon": it is no time, expected something like 2026-01-31T08:00, 2026-01-31T08:00Z, 8:00, 2h (ago) or +2h (ahead)',
    ],
    [["config", "shwo"], "Unknown command 'shwo', did you mean show? See hermes-supervisor config --help"],
  ];
  for (const [commandLine, message] of cases) {
    expect(await home.run(...commandLine)).toEqual({ exitCode: 2, out: "", error: `${message}\n` });
    const json = await home.run(...commandLine, "--json");
    expect({ ...json, out: JSON.parse(json.out) }).toEqual({
      exitCode: 2,
      out: { error: { code: "usage", message } },
      error: "",
    });
  }
  expect(await home.run("install", "upstart")).toEqual({
    exitCode: 2,
    out: "",
    error:
      "Command-argument value 'upstart' is invalid for argument 'kind'. Allowed choices are systemd, launchd, s6; see hermes-supervisor install --help\n",
  });
  const nothing = await home.run();
  expect(nothing).toMatchObject({ exitCode: 2, out: "" });
  expect(nothing.error.split("\n")[0]).toBe("Usage: hermes-supervisor [options] [command]");
});

test("a job that is not there ends with 4", async () => {
  prepare();
  for (const command of ["runs", "slots", "next", "run"]) {
    expect(await home.run(command, "nobody")).toEqual({
      exitCode: 4,
      out: "",
      error: 'Cannot find job "nobody": see hermes-supervisor jobs\n',
    });
    expect(JSON.parse((await home.run(command, "nobody", "--json")).out)).toEqual({
      error: { code: "not_found", message: 'Cannot find job "nobody": see hermes-supervisor jobs' },
    });
  }
});

test("a ledger of a newer version ends with 1 and is left alone", async () => {
  home.write("supervisor/supervisor.db", "this is no database".repeat(40));
  const told = await home.run("runs");
  expect(told).toMatchObject({ exitCode: 1, out: "" });
  expect(told.error).toBe(
    `Cannot open ledger "${home.state}/supervisor.db": file is not a database, expected the SQLite database of this program\n`,
  );
});

test("--version and --help go to standard output", async () => {
  expect(await home.run("--version")).toEqual({ exitCode: 0, out: "9.9.9\n", error: "" });
  for (const commandLine of [["--help"], ["help"], ["runs", "--help"], ["help", "runs"]]) {
    const { exitCode, out, error } = await home.run(...commandLine);
    expect({ exitCode, error }).toEqual({ exitCode: 0, error: "" });
    expect(out).toMatch(/^Usage: hermes-supervisor /);
  }
});
