import { statSync, utimesSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { isoIn, makeSupervisedHome, scriptJob, until } from "../helpers/supervised-home.ts";

test("a start and an end that are read from files are never recorded before the claim, though the clock of files lags behind", async () => {
  const home = makeSupervisedHome();
  home.script("quick.sh", "true\n");
  home.writeJobs([scriptJob("aaaaaaaaaaaa", 60, "quick.sh", { next_run_at: isoIn(-500) })]);
  const first = home.start({ HERMES_SUPERVISOR_FAULT: "after-open" });
  expect((await first.exited).signal).toBe("SIGKILL");
  const [run] = home.runs();
  expect(run?.state).toBe("claimed");
  const started = join(home.state, "runs", run!.id, "started");
  await until(() => statSync(join(home.state, "runs", run!.id, "exit"), { throwIfNoEntry: false })?.size);
  const laggingMs = Date.parse(run!.claimed_at) - 4;
  for (const file of [started, started.replace(/started$/, "exit")])
    utimesSync(file, laggingMs / 1000, laggingMs / 1000);
  home.start();
  const closed = await until(() => home.runs().find((one) => one.state === "completed"));
  expect([closed.started_at, closed.ended_at]).toEqual([run!.claimed_at, run!.claimed_at]);
  await until(() => home.job("aaaaaaaaaaaa")["last_status"] === "ok");
  expect(home.ask("verify").json).toMatchObject({ ok: true });
});
