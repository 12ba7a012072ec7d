import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import {
  isAlive,
  isoIn,
  makeSupervisedHome,
  type SupervisedHome,
  scriptJob,
  until,
} from "../helpers/supervised-home.ts";

const everySecond = "* * * * * *";

/** A profile with a run that goes on until the file `go` is there, and one that comes each second. */
async function startLong(home: SupervisedHome): Promise<string> {
  const late = home.profile("late");
  home.script("long.sh", `echo begun >&2\nuntil [ -e ${home.path}/go ]; do sleep 0.05; done\n`, late);
  home.script("ok.sh", "echo ok\n", late);
  home.writeJobs(
    [
      scriptJob("aaaaaaaaaaaa", 60, "long.sh", { next_run_at: isoIn(-500) }),
      scriptJob("bbbbbbbbbbbb", everySecond, "ok.sh", { next_run_at: isoIn(0) }),
    ],
    late,
  );
  home.script("ok.sh", "echo ok\n");
  home.writeJobs([scriptJob("cccccccccccc", everySecond, "ok.sh", { next_run_at: isoIn(0) })]);
  return late;
}

function longRun(home: SupervisedHome) {
  return home.runs().find((run) => run.job_id === "aaaaaaaaaaaa");
}

/** Some more slots of another home have come and gone, and with them any wake of the daemon. */
async function goesOn(home: SupervisedHome): Promise<void> {
  const count = (): number => home.runs().filter((run) => run.home === "default" && run.state === "completed").length;
  const before = count();
  await until(() => count() >= before + 3);
}

test("the runs of a profile that is deleted are stopped, and nothing brings it back", async () => {
  const home = makeSupervisedHome();
  const late = await startLong(home);
  const daemon = home.start();
  const { pid } = await until(() => longRun(home)?.state === "running" && longRun(home));
  rmSync(late, { recursive: true, maxRetries: 20 });
  await daemon.said("a home is gone");
  const run = await until(() => longRun(home)?.ended_at != null && longRun(home));
  expect(run).toMatchObject({ state: "failed", reason: "stopped", error: "Stopped because its home was removed" });
  expect(isAlive(pid)).toBe(false);
  await goesOn(home);
  expect(existsSync(late)).toBe(false);
  const status = home.ask("status").json as {
    open_runs: readonly { home: string }[];
    homes: readonly { name: string }[];
  };
  expect(status.homes.map(({ name }) => name)).toEqual(["default"]);
  expect(status.open_runs.filter((open) => open.home === "late")).toEqual([]);
  expect(readFileSync(String(run.output_path), "utf8")).toBe("begun\n");
  const { json } = home.ask("verify");
  expect(json).toMatchObject({ ok: true });
});

test("what waits in a profile that is taken away is missed, and served when the profile is put back", async () => {
  const home = makeSupervisedHome();
  const late = home.profile("late");
  home.script("ok.sh", "echo ok\n", late);
  home.writeJobs([scriptJob("aaaaaaaaaaaa", everySecond, "ok.sh", { next_run_at: isoIn(0) })], late);
  writeFileSync(join(late, "ESTOP"), "");
  const daemon = home.start();
  const lines = () => home.slots().map(({ decision, reason }) => `${decision} ${reason}`);
  await until(() => lines().filter((line) => line === "pending estop").length >= 2);
  renameSync(late, join(home.path, "away"));
  await daemon.said("a home is gone");
  await until(() => !lines().includes("pending estop"));
  expect(new Set(lines())).toEqual(new Set(["miss job_gone"]));
  expect((home.ask("status").json as { alerts: readonly unknown[] }).alerts).toEqual([]);
  const first = home.slots().at(-1)?.scheduled_at;
  rmSync(join(home.path, "away/ESTOP"));
  renameSync(join(home.path, "away"), late);
  await until(() => home.runs().some((run) => run.state === "completed"));
  expect(home.runs().at(-1)?.scheduled_at).toBe(first);
  expect(lines().filter((line) => line.startsWith("miss") || line.startsWith("pending"))).toEqual([]);
  expect(home.ask("verify").json).toMatchObject({ ok: true });
});

test("with homes.on_removed: finish they go on to their end", async () => {
  const home = makeSupervisedHome();
  home.hostConfig("homes: {on_removed: finish}\n");
  const late = await startLong(home);
  const daemon = home.start();
  await until(() => longRun(home)?.state === "running");
  rmSync(late, { recursive: true, maxRetries: 20 });
  await daemon.said("a home is gone");
  await goesOn(home);
  expect(longRun(home)?.state).toBe("running");
  writeFileSync(join(home.path, "go"), "");
  const run = await until(() => longRun(home)?.ended_at != null && longRun(home));
  expect([run.state, run.exit_code, existsSync(late)]).toEqual(["completed", 0, false]);
});

test("a profile with Hermes' mark of deletion is not written to any more, though its folder is still there", async () => {
  const home = makeSupervisedHome();
  home.hostConfig("defaults: {retry: {max: 5, backoff: 30 s}}\n");
  const late = home.profile("late");
  home.script("fails.sh", "exit 3\n", late);
  home.writeJobs([scriptJob("aaaaaaaaaaaa", 60, "fails.sh", { next_run_at: isoIn(-500) })], late);
  const daemon = home.start();
  await until(() => home.job("aaaaaaaaaaaa", late)["last_status"] === "error");
  expect(home.runs()[0]?.retry).toMatchObject({ state: "waiting", attempt: 2 });
  mkdirSync(join(home.path, "profiles/.deleted"), { recursive: true });
  writeFileSync(join(home.path, "profiles/.deleted/late"), "");
  await daemon.said("a home is gone");
  const before = readFileSync(join(late, "cron/jobs.json"), "utf8");
  await until(() => home.runs()[0]?.retry?.reason === "home_gone");
  expect(home.ask("run", "late/aaaaaaaaaaaa").status).toBe(4);
  expect(readFileSync(join(late, "cron/jobs.json"), "utf8")).toBe(before);
  expect(home.runs()).toHaveLength(1);
});
