import { renameSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { isoIn, makeSupervisedHome, scriptJob, until } from "../helpers/supervised-home.ts";

test("claims that the disk refuses are taken back, and their slots and requests served once when it takes them", async () => {
  const home = makeSupervisedHome();
  home.script("count.sh", "echo ran\n");
  const daemon = home.start();
  await daemon.said("ready");
  const log = join(home.state, "supervisor.db-wal");
  renameSync(log, `${log}.away`);
  const dueAt = isoIn(-500);
  const due = (id: string, more: Readonly<Record<string, unknown>>) =>
    scriptJob(id, 60, "count.sh", { next_run_at: dueAt, ...more });
  const minute = new Date(Math.floor(Date.now() / 60_000) * 60_000).toISOString();
  const once = { kind: "once", run_at: dueAt, display: "once" };
  home.writeJobs([
    due("aaaaaaaaaaaa", {}),
    due("bbbbbbbbbbbb", { schedule: once, repeat: { times: 1, completed: 0 } }),
    due("cccccccccccc", { manual_run_at: dueAt }),
    due("dddddddddddd", { schedule: { kind: "cron", expr: "* * * * *", display: "" }, next_run_at: minute }),
  ]);
  await daemon.said("a home cannot be served");
  renameSync(`${log}.away`, log);
  await until(() => home.runs().filter((run) => run.state === "completed").length >= 4);
  await until(() => home.readJobs().every((job) => job["last_status"] === "ok"));
  daemon.kill("SIGINT");
  await daemon.exited;
  const told = home
    .runs()
    .filter((run) => run.job_id !== "dddddddddddd")
    .map((run) => `${run.job_id[0]} ${run.trigger} ${run.state} ${run.error}`);
  const error = "The claim could not be brought to the disk, so nothing was started";
  expect(told.toSorted()).toEqual([
    "a schedule completed null",
    `a schedule void ${error}`,
    "b schedule completed null",
    `b schedule void ${error}`,
    "c manual completed null",
    `c manual void ${error}`,
  ]);
  const slots = home.slots().filter((slot) => slot.scheduled_at <= isoIn(0));
  expect(slots.filter((slot) => slot.decision !== "run" || slot.run_id === null)).toEqual([]);
  expect(home.job("bbbbbbbbbbbb")).toMatchObject({ state: "completed", repeat: { times: 1, completed: 1 } });
  const { laws } = home.ask("verify").json as { laws: readonly { readonly violations: readonly unknown[] }[] };
  expect(laws.flatMap((law) => law.violations)).toEqual([]);
});
