import { expect, test } from "vitest";
import { isoIn, makeSupervisedHome, scriptJob, until } from "../helpers/supervised-home.ts";

test("a home with many due jobs leaves the others their turns, and each slot that waits has its line", async () => {
  const home = makeSupervisedHome();
  home.hostConfig("limits: {max_open_runs: 2}\n");
  home.file("config.yaml", "cron: {max_parallel_jobs: 0}\n");
  const dueIn = (ms: number) => ({ next_run_at: isoIn(ms) });
  // Those of the flood are due longest, so whoever went by that alone would start them all first.
  home.script("step.sh", "true\n");
  home.writeJobs(Array.from({ length: 20 }, (_, n) => scriptJob(`aaaa000000${n + 10}`, 60, "step.sh", dueIn(-60_000))));
  for (const name of ["b", "c"]) {
    const profile = home.profile(name);
    home.script("step.sh", "true\n", profile);
    home.writeJobs(
      ["01", "02"].map((n) => scriptJob(`${name}00000000${n}0`, 60, "step.sh", dueIn(-5000))),
      profile,
    );
  }
  home.start();
  await until(() => home.runs().filter(({ state }) => state === "completed").length === 24);
  const homes = home
    .runs()
    .toSorted((a, b) => a.claimed_at.localeCompare(b.claimed_at))
    .map((run) => run.home);
  expect(homes.slice(8).filter((name) => name !== "default")).toEqual([]);
  expect(home.slots().map(({ decision }) => decision)).toEqual(Array.from({ length: 24 }, () => "run"));
});

test("a bound on a tag counts in all homes, and a new one from the next claim on, whatever runs", async () => {
  const home = makeSupervisedHome();
  const tagged = (max: number): string =>
    `limits: {tags: {db: ${max}}}\njobs: {${["a", "b", "c"].map((name) => `job ${name}00000000000: {tags: [db]}`).join(", ")}}\n`;
  home.hostConfig(tagged(1));
  const job = (name: string) =>
    scriptJob(`${name}00000000000`, 60, "wait.sh", { next_run_at: isoIn(name === "c" ? -1000 : -2000) });
  const script = 'while [ ! -e "$HERMES_HOME/go" ]; do sleep 0.05; done\n';
  home.script("wait.sh", script);
  home.writeJobs([job("a"), job("c")]);
  const other = home.profile("other");
  home.script("wait.sh", script, other);
  home.writeJobs([job("b")], other);
  home.start();
  const open = () =>
    home
      .runs()
      .filter(({ state }) => state === "running")
      .map((run) => run.job_id)
      .sort();
  await until(() => open().length === 1);
  await until(() => home.slots().filter(({ reason }) => reason === "capacity").length === 2);
  const [first = ""] = open();
  const { json } = home.ask("status");
  const { waiting } = json as { waiting: { job_id: string; limit: unknown; held_by: string[] }[] };
  expect(waiting.map(({ limit }) => limit)).toEqual([
    { home: null, of: "tag", name: "db", max: 1, in_use: 1 },
    { home: null, of: "tag", name: "db", max: 1, in_use: 1 },
  ]);
  expect(new Set(waiting.flatMap((one) => one.held_by))).toEqual(new Set(home.runs().map(({ id }) => id)));
  home.hostConfig(tagged(2));
  await until(() => open().length === 2);
  expect(open()).toContain(first);
  home.hostConfig(tagged(1));
  home.file("go", "");
  home.file("profiles/other/go", "");
  await until(() => home.runs().filter(({ state }) => state === "completed").length === 3);
});
