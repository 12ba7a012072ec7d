import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { RunJson } from "../../src/status/json.ts";
import { isoIn, makeSupervisedHome, type SupervisedHome, scriptJob, until } from "../helpers/supervised-home.ts";

/** Fails until its third attempt, and writes down that it ran. */
const thirdTime = (home: SupervisedHome): string =>
  `echo "$HERMES_SUPERVISOR_ATTEMPT $HERMES_SUPERVISOR_SCHEDULED_AT" >> ${home.path}/ran\n[ "$HERMES_SUPERVISOR_ATTEMPT" = 3 ]\n`;

function violationsOf(home: SupervisedHome): readonly unknown[] {
  const { laws } = home.ask("verify").json as { laws: readonly { readonly violations: readonly unknown[] }[] };
  return laws.flatMap((law) => law.violations);
}

function shortOf({ trigger, attempt, state, retry }: RunJson): readonly unknown[] {
  return [trigger, attempt, state, retry?.state ?? null, retry?.reason ?? null];
}

function makeFailing(home: SupervisedHome, due: string): void {
  home.script("third.sh", thirdTime(home));
  home.hostConfig("defaults: {retry: {max: 5, backoff: {first: 100 ms, factor: 2}, jitter: 0}}\n");
  const once = { schedule: { kind: "once", run_at: due, display: "once" }, repeat: { times: 1, completed: 0 } };
  home.writeJobs([
    scriptJob("aaaaaaaaaaaa", 60, "third.sh", { next_run_at: due, repeat: { times: 1, completed: 0 } }),
    scriptJob("bbbbbbbbbbbb", 60, "third.sh", { next_run_at: due, failure_streak: 0 }),
    scriptJob("cccccccccccc", 60, "third.sh", { next_run_at: due, ...once }),
  ]);
}

const served = [
  ["retry", 3, "completed", null, null],
  ["retry", 2, "failed", "started", null],
  ["schedule", 1, "failed", "started", null],
];

function attemptsOf(home: SupervisedHome, jobId: string): readonly (readonly unknown[])[] {
  const runs = home.runs().filter((run) => run.job_id === jobId && run.state !== "void");
  return runs.map(shortOf);
}

test("a failed run is tried again until it works, and neither the schedule nor the count moves", async () => {
  const home = makeSupervisedHome();
  const due = isoIn(-300);
  makeFailing(home, due);
  const daemon = home.start();
  const ids = ["aaaaaaaaaaaa", "bbbbbbbbbbbb", "cccccccccccc"];
  await until(() => ids.every((id) => home.job(id)["last_status"] === "ok"));
  for (const id of ids) expect([id, attemptsOf(home, id)]).toEqual([id, served]);
  const [aRun] = home.runs();
  expect(home.runs().every((run) => run.scheduled_at === aRun!.scheduled_at)).toBe(true);
  expect(home.job("bbbbbbbbbbbb")).toMatchObject({ fire_claim: null, repeat: { completed: 1 }, failure_streak: 0 });
  expect(Date.parse(String(home.job("bbbbbbbbbbbb")["next_run_at"])) - Date.parse(due)).toBe(3_600_000);
  for (const id of ["aaaaaaaaaaaa", "cccccccccccc"])
    expect(home.job(id)).toMatchObject({
      state: "completed",
      enabled: false,
      repeat: { completed: 1 },
      next_run_at: null,
    });
  // The slot names the run that served it at last.
  expect(home.slots().map(({ decision, run_id }) => [decision, run_id])).toEqual(
    home
      .slots()
      .map(({ job_id }) => ["run", home.runs().find((run) => run.job_id === job_id && run.attempt === 3)!.id]),
  );
  expect(
    readFileSync(join(home.path, "ran"), "utf8")
      .split("\n")
      .filter((line) => line.startsWith("3 ")),
  ).toEqual(Array(3).fill(`3 ${aRun!.scheduled_at}`));
  daemon.kill("SIGTERM");
  await daemon.exited;
  expect(violationsOf(home)).toEqual([]);
});

// Each point is met a second time, by the attempt or by the end of the first run.
const points = [
  "before-ledger-close",
  "after-ledger-close",
  "after-ledger-claim:2",
  "after-store-claim:2",
  "after-open:2",
  "after-ledger-close:2",
];

for (const point of points) {
  test.concurrent(`kill -9 ${point} neither loses nor doubles an attempt`, async ({ onTestFinished }) => {
    const home = makeSupervisedHome(onTestFinished);
    home.script("third.sh", thirdTime(home));
    home.hostConfig("defaults: {retry: {max: 5, backoff: 100 ms, on: [failed, orphaned]}}\n");
    home.writeJobs([scriptJob("aaaaaaaaaaaa", 60, "third.sh", { next_run_at: isoIn(1500) })]);
    await home.start({}, ["--once"]).exited;
    expect((await home.start({ HERMES_SUPERVISOR_FAULT: point }).exited).signal).toBe("SIGKILL");
    const daemon = home.start();
    await until(() => home.job("aaaaaaaaaaaa")["last_status"] === "ok");
    expect(attemptsOf(home, "aaaaaaaaaaaa")).toEqual(served);
    const last = home.runs().find((run) => run.state === "completed");
    expect(home.slots().find((slot) => slot.scheduled_at === last!.scheduled_at)?.run_id).toBe(last!.id);
    const ran = readFileSync(join(home.path, "ran"), "utf8").trimEnd().split("\n");
    expect(ran.map((line) => line[0])).toEqual(["1", "2", "3"]);
    expect(home.job("aaaaaaaaaaaa")).toMatchObject({ fire_claim: null, repeat: { completed: 1 }, state: "scheduled" });
    daemon.kill("SIGTERM");
    await daemon.exited;
    expect(violationsOf(home)).toEqual([]);
  });
}
