import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import type { RunJson } from "../../src/status/json.ts";
import { makeSupervisedHome, type SupervisedHome, scriptJob, until } from "../helpers/supervised-home.ts";

const everySecond = "* * * * * *";

/** Two state folders on one home, as when somebody starts a second daemon with `--state`. */
function makePair(): readonly [SupervisedHome, SupervisedHome] {
  const home = makeSupervisedHome();
  const other = makeSupervisedHome(onTestFinished, undefined, home);
  return [home, other];
}

/**
 * What each script begins with: it keeps a lock for as long as anything of it lives, and notes whether another had it, and each
 * of its starts.
 */
function evidence(home: SupervisedHome, name: string): string {
  const mark = join(home.path, name);
  return `exec 9>>${mark}.lock; flock -n 9 || echo "$HERMES_SUPERVISOR_SCHEDULED_AT" >> ${mark}.overlaps
echo "$HERMES_SUPERVISOR_SCHEDULED_AT" >> ${mark}.starts\n`;
}

function linesOf(home: SupervisedHome, name: string, kind: "starts" | "overlaps"): readonly string[] {
  const path = join(home.path, `${name}.${kind}`);
  return existsSync(path) ? readFileSync(path, "utf8").split("\n").filter(Boolean) : [];
}

function ended(pair: readonly SupervisedHome[]): readonly RunJson[] {
  return pair.flatMap((home) => home.runs()).filter((run) => run.ended_at !== null && run.state !== "void");
}

function expectSingle(home: SupervisedHome, names: readonly string[]): void {
  for (const name of names) {
    const starts = linesOf(home, name, "starts");
    expect([name, linesOf(home, name, "overlaps")]).toEqual([name, []]);
    expect([name, starts.length]).toEqual([name, new Set(starts).size]);
    expect([name, starts.length > 0]).toEqual([name, true]);
  }
}

test("two daemons with a state folder each on one home start every run once, also when one is killed and comes back", async () => {
  const [home, other] = makePair();
  const lengths = { quick: 0.1, steady: 0.6, long: 1.7, longer: 2.4 };
  const names = Object.keys(lengths);
  for (const [name, seconds] of Object.entries(lengths)) {
    home.script(`${name}.sh`, `${evidence(home, name)}sleep ${seconds}\n`);
  }
  home.file("config.yaml", "cron: {max_parallel_jobs: 8}\n");
  home.writeJobs(names.map((name, index) => scriptJob(`${index}aaaaaaaaaaa`, everySecond, `${name}.sh`, { name })));
  const pair = [home, other];
  const first = home.start();
  const second = other.start();
  await until(() => ended(pair).length >= 8);
  first.kill("SIGKILL");
  await first.exited;
  const before = ended([other]).length;
  await until(() => ended([other]).length >= before + 3);
  const third = home.start();
  await third.said('"ready"');
  const after = ended(pair).length;
  await until(() => ended(pair).length >= after + 6);
  for (const daemon of [second, third]) daemon.kill("SIGINT");
  expect(await Promise.all([second.exited, third.exited])).toEqual([
    { code: 0, signal: null },
    { code: 0, signal: null },
  ]);
  expectSingle(home, names);
  // An instant is served by one of the two; the other says that it was served elsewhere, or why it was not.
  for (const [index] of names.entries()) {
    const mine = pair.map((one) => one.slots().filter((slot) => slot.job_id === `${index}aaaaaaaaaaa`));
    const served = mine.map((slots) => slots.filter((slot) => slot.decision === "run" && slot.run_id !== null));
    const instants = served.flatMap((slots) => slots.map((slot) => slot.scheduled_at));
    expect(new Set(instants).size).toBe(instants.length);
  }
});

test("what another daemon ran while this one was down was run elsewhere, and verify finds nothing wrong with either", async () => {
  const [home, other] = makePair();
  home.script("quick.sh", evidence(home, "quick"));
  home.writeJobs([scriptJob("aaaaaaaaaaaa", everySecond, "quick.sh")]);
  const turns = [
    [home, "SIGTERM"],
    [other, "SIGINT"],
    [home, "SIGINT"],
  ] as const;
  for (const [one, signal] of turns) {
    const before = ended([one]).length;
    const daemon = one.start();
    await until(() => ended([one]).length >= before + 3);
    daemon.kill(signal);
    expect(await daemon.exited).toEqual({ code: 0, signal: null });
  }
  for (const one of [home, other]) expect(one.ask("verify").json).toMatchObject({ ok: true });
  const lineOf = new Map(home.slots().map((slot) => [slot.scheduled_at, slot]));
  const served = other.runs().filter((run) => run.state === "completed" && run.trigger === "schedule");
  const told = served.map(({ scheduled_at }) => lineOf.get(scheduled_at ?? "")).map((slot) => slot?.reason);
  expect(told).toEqual(served.map(() => "elsewhere"));
});

test("a run whose launcher is gone is not doubled by the other daemon while its processes are still being stopped", async () => {
  const [home, other] = makePair();
  // What it started ignores the request to end, so that it outlives the launcher by the grace.
  home.script(
    "stubborn.sh",
    `${evidence(home, "stubborn")}(trap '' TERM; sleep 30 & wait; sleep 30) & trap 'exit 9' TERM; sleep 30 & wait\n`,
  );
  home.file("config.yaml", "cron: {script_timeout_seconds: 1}\n");
  for (const one of [home, other]) one.hostConfig("stop: {grace: 2 s}\n");
  home.writeJobs([scriptJob("aaaaaaaaaaaa", everySecond, "stubborn.sh")]);
  home.start();
  await until(() => linesOf(home, "stubborn", "starts").length > 0);
  other.start();
  // Until the next run begins the instants wait or are passed over; none is started beside what is left.
  await until(() => linesOf(home, "stubborn", "starts").length === 2);
  expectSingle(home, ["stubborn"]);
  const first = await until(() => home.runs().find((run) => run.ended_at !== null));
  expect(first).toMatchObject({ state: "failed", reason: "timeout" });
});
