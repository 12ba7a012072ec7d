import { expect, test } from "vitest";
import { isoIn, makeSupervisedHome, scriptJob, until } from "../helpers/supervised-home.ts";

/** What a job does last, with the exit code and the signal that are recorded of it. The numbers of signals are those of Linux. */
const ends: readonly (readonly [string, number | null, string | null])[] = [
  ["kill -TERM $$", null, "SIGTERM"],
  ["kill -16 $$", null, "SIGSTKFLT"],
  ["kill -27 $$", null, "SIGPROF"],
  ["kill -34 $$", null, "SIGRTMIN"],
  ["kill -40 $$", null, "SIGRTMIN+6"],
  ["kill -64 $$", null, "SIGRTMIN+30"],
  ["exit 143", 143, null],
  ["exit 162", 162, null],
  ["exit 255", 255, null],
  // No shell names these two, and a script may well end with the code: see docs/decisions/0004-exit-file-without-rename.md
  ["kill -INT $$", 130, null],
  ["kill -PIPE $$", 141, null],
  ["set -o pipefail; yes | head -n 1", 141, null],
];

test("a death by signal has the signal's name and no exit code, and an exit code above 128 stays one", async () => {
  const home = makeSupervisedHome();
  home.hostConfig("limits: {max_open_runs: 20}\n");
  home.file("config.yaml", "cron: {max_parallel_jobs: 20}\n");
  const jobs = ends.map(([last], index) => {
    home.script(`job${index}.sh`, `${last}\n`);
    return scriptJob(`${100 + index}aaaaaaaaa`, 60, `job${index}.sh`, { name: last, next_run_at: isoIn(-500) });
  });
  home.writeJobs(jobs);
  home.start();
  await until(() => home.runs().filter((run) => run.ended_at !== null).length === ends.length);
  const runs = new Map(home.runs().map((run) => [run.job_name, run]));
  const found = ends.map(([last]) => [last, runs.get(last)?.exit_code, runs.get(last)?.signal]);
  expect(found).toEqual(ends);
  for (const [last, code] of ends) expect(runs.get(last)).toMatchObject({ reason: code === null ? "signal" : "exit" });
});
