import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import {
  type Daemon,
  isoIn,
  type JobRecord,
  makeSupervisedHome,
  type SupervisedHome,
  scriptJob,
  until,
  untilAnswering,
} from "../helpers/supervised-home.ts";

const everySecond = "* * * * * *";
const id = "aaaaaaaaaaaa";

function alertsOf(home: SupervisedHome, kind: string): readonly string[] {
  const { alerts } = home.ask("status").json as {
    alerts: readonly { readonly kind: string; readonly message: string }[];
  };
  return alerts.filter((alert) => alert.kind === kind).map(({ message }) => message);
}

function startMarked(home: SupervisedHome): Daemon {
  const daemon = home.start();
  writeFileSync(join(home.path, "pid"), String(daemon.pid));
  return daemon;
}

test("a job that kills the daemon is held back, also by the next daemon, until it works", async () => {
  const home = makeSupervisedHome();
  home.hostConfig("defaults: {crash_loop: {failures: 3}}\n");
  home.script("kills.sh", `kill -9 $(cat ${home.path}/pid)\n`);
  home.writeJobs([scriptJob(id, everySecond, "kills.sh", { next_run_at: isoIn(0) })]);
  for (let death = 1; death <= 3; death++) expect((await startMarked(home).exited).signal).toBe("SIGKILL");

  const fourth = startMarked(home);
  await fourth.said("a job is held back");
  await until(() => home.slots().filter(({ reason }) => reason === "crash_loop").length > 1);
  await untilAnswering(home);
  expect(alertsOf(home, "crash_loop")).toEqual([
    expect.stringMatching(
      /^Job "job a+" is held back until .*: the supervisor died 3 times in a row within 2 s of its start; edit it/,
    ),
  ]);
  fourth.kill("SIGTERM");
  await fourth.exited;
  const runs = home.runs().length;

  startMarked(home);
  const skips = home.slots().length;
  await until(() => home.slots().length > skips + 2);
  expect(home.runs()).toHaveLength(runs);
  home.script("kills.sh", "exit 0\n");
  await untilAnswering(home);
  expect(home.ask("run", id).status).toBe(0);
  await until(() => home.runs().some(({ trigger, state }) => trigger === "schedule" && state === "completed"));
  expect(alertsOf(home, "crash_loop")).toEqual([]);
});

test("a streak of failures pauses the job once, and whoever resumes it gives it as many again", async () => {
  const home = makeSupervisedHome();
  home.script("fails.sh", "echo no >&2; exit 3\n");
  home.hostConfig("defaults: {streak_pause: 2}\n");
  home.writeJobs([scriptJob(id, everySecond, "fails.sh", { next_run_at: isoIn(0) })]);
  const daemon = home.start();
  for (const count of [2, 4]) {
    await until(() => home.job(id)["state"] === "paused");
    expect(home.runs()).toHaveLength(count);
    expect(home.job(id)).toMatchObject({
      enabled: false,
      paused_reason: "hermes-supervisor: 2 failures in a row, the last: Script exited with code 3",
      last_status: "error",
    });
    await untilAnswering(home);
    expect(alertsOf(home, "job_paused")).toEqual([
      `Job "job ${id}" was paused after 2 failures in a row, the last: Script exited with code 3`,
    ]);
    const resumed = { enabled: true, state: "scheduled", paused_at: null, paused_reason: null, next_run_at: isoIn(0) };
    if (count === 2) home.writeJobs([{ ...home.job(id), ...resumed } as unknown as JobRecord]);
  }
  await until(() => daemon.log().split('"a job was paused"').length === 3);
});
