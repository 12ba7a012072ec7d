import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { expect, test } from "vitest";
import { executionsSchemas } from "../helpers/executions-schemas.ts";
import {
  isAlive,
  isoIn,
  makeSupervisedHome,
  type SupervisedHome,
  scriptJob,
  until as untilSoon,
} from "../helpers/supervised-home.ts";

// Hermes' own ledger beside a daemon, in the layouts of its releases, without Hermes.

/** Five daemons at once on a machine that is busy with other things need their time. */
const until = <Found>(find: () => Found | null | undefined | false): Promise<Found> => untilSoon(find, 100_000);

interface Row {
  readonly id: string;
  readonly job_id: string;
  readonly status: string;
  readonly pid: number;
  readonly process_started_at: number;
  readonly error: string | null;
  readonly [column: string]: unknown;
}

function executionsOf(home: SupervisedHome): string {
  return join(home.path, "cron/executions.db");
}

function makeExecutions(home: SupervisedHome, schema: keyof typeof executionsSchemas): void {
  withExecutions(home, (database) => database.exec(executionsSchemas[schema]));
}

function withExecutions<Result>(home: SupervisedHome, act: (database: DatabaseSync) => Result): Result {
  const database = new DatabaseSync(executionsOf(home), { timeout: 5000 });
  try {
    return act(database);
  } finally {
    database.close();
  }
}

function rows(home: SupervisedHome): readonly Row[] {
  return withExecutions(
    home,
    (database) => database.prepare("SELECT * FROM executions ORDER BY claimed_at, job_id").all() as unknown as Row[],
  );
}

const instant = /^2\d{3}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{6})?\+00:00$/u;

for (const schema of ["0.19", "0.20", "0.22"] as const) {
  test.concurrent(`each run has one row in the ledger of a Hermes ${schema}`, async ({ onTestFinished }) => {
    const home = makeSupervisedHome(onTestFinished);
    makeExecutions(home, schema);
    home.script("fine.sh", "echo fine\n");
    home.script("bad.sh", "echo said; echo complained >&2; exit 3\n");
    home.script("long.sh", `echo $$ > ${home.path}/pid; while [ ! -e ${home.path}/go ]; do sleep 0.05; done\n`);
    const due = isoIn(1500);
    home.writeJobs([
      scriptJob("aaaaaaaaaaaa", 60, "fine.sh", { next_run_at: due }),
      scriptJob("bbbbbbbbbbbb", 60, "bad.sh", { next_run_at: due }),
      scriptJob("cccccccccccc", 60, "long.sh", { next_run_at: due }),
    ]);
    home.start();
    const open = await until(() =>
      rows(home).length === 3 && rows(home).filter(({ status }) => status === "running").length === 1
        ? rows(home).find(({ status }) => status === "running")
        : null,
    );
    // It names the launcher, so that whoever looks at this process looks at the run.
    const stat = readFileSync(`/proc/${open.pid}/stat`, "utf8");
    expect(open).toMatchObject({
      job_id: "cccccccccccc",
      process_started_at: Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19]),
      error: null,
      finished_at: null,
    });
    expect(isAlive(open.pid)).toBe(true);
    writeFileSync(join(home.path, "go"), "");
    await until(() => rows(home).every(({ status }) => status !== "running"));
    const found = rows(home);
    expect(found.map(({ job_id, status, error }) => [job_id, status, error])).toEqual([
      ["aaaaaaaaaaaa", "completed", null],
      ["bbbbbbbbbbbb", "failed", "Script exited with code 3\nstderr:\ncomplained\nstdout:\nsaid"],
      ["cccccccccccc", "completed", null],
    ]);
    const claims = home.runs();
    expect(new Set(found.map(({ pid }) => pid))).toEqual(new Set(claims.map(({ pid }) => pid)));
    for (const row of found) {
      expect(row).toMatchObject({ source: "supervisor", id: expect.stringMatching(/^[0-9a-f]{32}$/u) });
      for (const column of ["claimed_at", "started_at", "finished_at"])
        expect([column, row[column]]).toEqual([column, expect.stringMatching(instant)]);
      if (schema === "0.22") {
        expect(row["scheduled_instant"]).toBe(due);
        expect(row["handoff_pending"]).toBe(0);
      }
    }
    if (schema === "0.22")
      expect(found.map((row) => row["delivery_outcome"])).toEqual(["suppressed", "suppressed", "suppressed"]);
  });
}

for (const point of ["after-open", "before-running", "before-ledger-close", "after-ledger-close"]) {
  test.concurrent(`kill -9 ${point} of a run leaves one row of it`, async ({ onTestFinished }) => {
    const home = makeSupervisedHome(onTestFinished);
    makeExecutions(home, "0.22");
    home.script("count.sh", `echo x >> ${home.path}/count; sleep 0.2\n`);
    home.writeJobs([scriptJob("aaaaaaaaaaaa", 60, "count.sh", { next_run_at: isoIn(1500) })]);
    const first = home.start({ HERMES_SUPERVISOR_FAULT: point });
    expect((await first.exited).signal).toBe("SIGKILL");
    home.start();
    const [row] = await until(() => (rows(home).some(({ status }) => status === "completed") ? rows(home) : null));
    expect(rows(home)).toHaveLength(1);
    const served = home.runs().find((run) => run.state === "completed");
    expect(row).toMatchObject({ status: "completed", error: null, pid: served?.pid });
    expect(readFileSync(join(home.path, "count"), "utf8")).toBe("x\n");
  });
}

test.concurrent("a run that died with its daemon is failed in Hermes' ledger, whatever Hermes made of it", async ({
  onTestFinished,
}) => {
  const home = makeSupervisedHome(onTestFinished);
  makeExecutions(home, "0.22");
  home.script("long.sh", "sleep 600\n");
  home.writeJobs([scriptJob("aaaaaaaaaaaa", 60, "long.sh", { next_run_at: isoIn(1500) })]);
  const first = home.start();
  const open = await until(() => rows(home)[0]);
  first.kill("SIGKILL");
  process.kill(-open.pid, "SIGKILL");
  await until(() => !isAlive(open.pid));
  // As Hermes does at the start of its ticker.
  withExecutions(home, (database) =>
    database.exec("UPDATE executions SET status = 'unknown', finished_at = claimed_at, error = 'Scheduler restarted'"),
  );
  home.start();
  const row = await until(() => rows(home).find(({ status }) => status === "failed"));
  expect(row).toMatchObject({
    id: open.id,
    error: "orphaned: The supervisor died while this run was open and nobody saw how it ended",
  });
  expect(rows(home)).toHaveLength(1);
});

test.concurrent("a ledger of Hermes that somebody holds keeps no run waiting, and has its row afterwards", async ({
  onTestFinished,
}) => {
  const home = makeSupervisedHome(onTestFinished);
  makeExecutions(home, "0.22");
  home.script("fine.sh", "echo fine\n");
  home.writeJobs([scriptJob("aaaaaaaaaaaa", 60, "fine.sh", { next_run_at: isoIn(2500) })]);
  const holder = new DatabaseSync(executionsOf(home));
  holder.exec("BEGIN EXCLUSIVE");
  home.start();
  await until(() => home.job("aaaaaaaaaaaa")["last_status"] === "ok");
  holder.exec("ROLLBACK");
  holder.close();
  const row = await until(() => rows(home)[0]);
  expect(row).toMatchObject({ status: "completed" });
});

test.concurrent("a ledger of Hermes that nobody knows is left as it is and said once", async ({ onTestFinished }) => {
  const home = makeSupervisedHome(onTestFinished);
  makeExecutions(home, "0.22");
  withExecutions(home, (database) => database.exec("ALTER TABLE executions ADD COLUMN lease TEXT"));
  const before = readFileSync(executionsOf(home));
  home.script("fine.sh", "echo fine\n");
  home.writeJobs([
    scriptJob("aaaaaaaaaaaa", 60, "fine.sh", { next_run_at: isoIn(1500) }),
    scriptJob("bbbbbbbbbbbb", 60, "fine.sh", { next_run_at: isoIn(3500) }),
  ]);
  const daemon = home.start();
  await until(() => home.job("bbbbbbbbbbbb")["last_status"] === "ok");
  daemon.kill("SIGINT");
  await daemon.exited;
  expect(readFileSync(executionsOf(home))).toEqual(before);
  expect(daemon.log().split("Hermes' own ledger is left alone")).toHaveLength(2);
  expect(daemon.log()).toContain('its table has the column \\"lease\\", which this version does not know');
});

test.concurrent("an instant that Hermes completed is not run again", async ({ onTestFinished }) => {
  const home = makeSupervisedHome(onTestFinished);
  makeExecutions(home, "0.22");
  home.script("count.sh", `echo "$HERMES_SUPERVISOR_JOB_ID" >> ${home.path}/count\n`);
  const due = isoIn(2500);
  home.writeJobs([
    scriptJob("aaaaaaaaaaaa", 60, "count.sh", { next_run_at: due }),
    scriptJob("bbbbbbbbbbbb", 60, "count.sh", { next_run_at: due }),
  ]);
  withExecutions(home, (database) =>
    database
      .prepare(
        `INSERT INTO executions (id, job_id, source, process_id, pid, status, claimed_at, finished_at, scheduled_instant)
         VALUES ('x', 'aaaaaaaaaaaa', 'builtin', 'p', 1, 'completed', ?, ?, ?)`,
      )
      .run(due, due, due),
  );
  home.start();
  await until(() => home.job("bbbbbbbbbbbb")["last_status"] === "ok");
  expect(readFileSync(join(home.path, "count"), "utf8")).toBe("bbbbbbbbbbbb\n");
  expect(
    home
      .slots()
      .map(({ job_id, decision, reason }) => [job_id, decision, reason === "elsewhere"])
      .toSorted(),
  ).toEqual([
    ["aaaaaaaaaaaa", "run", true],
    ["bbbbbbbbbbbb", "run", false],
  ]);
  expect(Date.parse(String(home.job("aaaaaaaaaaaa")["next_run_at"]))).toBe(Date.parse(due) + 3_600_000);
});

test.concurrent("no ledger of Hermes is made where there is no Hermes", async ({ onTestFinished }) => {
  const home = makeSupervisedHome(onTestFinished);
  home.script("fine.sh", "echo fine\n");
  home.writeJobs([scriptJob("aaaaaaaaaaaa", 60, "fine.sh", { next_run_at: isoIn(-1000) })]);
  expect((await home.start({}, ["--once"]).exited).code).toBe(0);
  expect(home.job("aaaaaaaaaaaa")["last_status"]).toBe("ok");
  expect(existsSync(executionsOf(home))).toBe(false);
});
