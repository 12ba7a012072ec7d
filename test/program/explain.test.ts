import { spawn } from "node:child_process";
import { existsSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { explained } from "../helpers/explained.ts";
import {
  isAlive,
  isoIn,
  type JobRecord,
  makeSupervisedHome,
  type SupervisedHome,
  scriptJob,
  until,
} from "../helpers/supervised-home.ts";

/** In minutes: an interval may be due at any time. */
const daily = 1440;
const far = { next_run_at: "2099-01-01T00:00:00+00:00" };
const soon = (): { readonly next_run_at: string } => ({ next_run_at: isoIn(300) });

/** One job per profile, so that what stands in the way of one home reaches no other. */
function addProfile(home: SupervisedHome, name: string, jobs: readonly JobRecord[]): string {
  const path = home.profile(name);
  home.script("quick.sh", "echo quick\n", path);
  home.script("long.sh", "sleep 600\n", path);
  home.writeJobs(jobs, path);
  return path;
}

/** Somebody else takes the tick lock of a home and keeps it. */
async function holdTickLock(path: string, onFinished: (clean: () => void) => void): Promise<void> {
  const lock = join(path, "cron/.tick.lock");
  const stranger = spawn("flock", [lock, "sh", "-c", `touch ${lock}.taken; exec sleep 600`], {
    stdio: "ignore",
    detached: true,
  });
  onFinished(() => {
    if (stranger.pid !== undefined && isAlive(stranger.pid)) process.kill(-stranger.pid, "SIGKILL");
  });
  await until(() => existsSync(`${lock}.taken`));
}

test.concurrent("explain names what stands in the way of a job that is due", async ({ onTestFinished }) => {
  const home = makeSupervisedHome(onTestFinished);
  home.writeJobs([]);
  const locked = addProfile(home, "locked", [scriptJob("aaaaaaaaaa01", daily, "quick.sh", soon())]);
  const full = addProfile(home, "full", [
    scriptJob("aaaaaaaaaa02", daily, "long.sh", soon()),
    scriptJob("aaaaaaaaaa03", daily, "quick.sh", { next_run_at: isoIn(900) }),
  ]);
  writeFileSync(join(full, "config.yaml"), "cron: {max_parallel_jobs: 1}\n");
  const stopped = addProfile(home, "stopped", []);
  writeFileSync(join(stopped, "ESTOP"), "");
  const parked = addProfile(home, "parked", [scriptJob("aaaaaaaaaa05", daily, "quick.sh", soon())]);
  writeFileSync(join(parked, "gateway.parked"), "");
  const broken = addProfile(home, "broken", [scriptJob("aaaaaaaaaa06", daily, "quick.sh", soon())]);
  writeFileSync(join(broken, "config.yaml"), "cron: {max_parallel_jobs: [\n");
  await holdTickLock(locked, onTestFinished);
  const daemon = home.start();
  await daemon.said('"msg":"ready"');
  const stoppedAtMs = Date.now();
  home.writeJobs([scriptJob("aaaaaaaaaa04", daily, "quick.sh", soon())], stopped);

  const first = async (job: string, cause: string): Promise<string> => {
    let told = await explained(home, job);
    for (const endMs = Date.now() + 20_000; told.cause !== cause && Date.now() < endMs; ) {
      await new Promise((resolve) => setTimeout(resolve, 100));
      told = await explained(home, job);
    }
    expect(told.sentences.length).toBeGreaterThanOrEqual(3);
    expect(told.sentences.length).toBeLessThanOrEqual(8);
    return told.sentences[0] ?? "";
  };
  expect(await first("aaaaaaaaaa01", "lock")).toMatch(
    /^Job "job aaaaaaaaaa01" is due since .* and waits because process \d+ \(\w+\) (?:holds|has held) the tick lock of home "locked"/,
  );
  expect(await first("aaaaaaaaaa03", "capacity")).toMatch(
    /^Job "job aaaaaaaaaa03" is due since .* and waits because the one place of home "full" is taken by "job aaaaaaaaaa02" \(run \w+, for /,
  );
  expect(await first("aaaaaaaaaa04", "estop")).toMatch(/ waits because ESTOP stands in its home\.$/);
  expect(await first("aaaaaaaaaa05", "parked")).toMatch(
    / waits because its home is parked, or left to a gateway of its own\.$/,
  );
  expect(await first("aaaaaaaaaa06", "config")).toMatch(
    / waits because the configuration of home "broken" is not valid and no good one was seen: .*config\.yaml/,
  );
  await until(() => Date.now() > stoppedAtMs + 2000);
  expect((await explained(home, "aaaaaaaaaa01")).evidence.spells.map(({ kind }) => kind)).toContain("lock");
  rmSync(join(stopped, "ESTOP"));
  await until(() => home.runs().find((run) => run.job_id === "aaaaaaaaaa04" && run.state === "completed"));
  expect((await explained(home, "aaaaaaaaaa04")).sentences[0]).toMatch(
    /^Job "job aaaaaaaaaa04" ran at .*, .* late for .* because ESTOP stood in its home \(until .*, from .*\), and completed in /,
  );
});

test.concurrent("explain names what a run ended of, and who asked for it", async ({ onTestFinished }) => {
  const home = makeSupervisedHome(onTestFinished);
  home.hostConfig("jobs: {bbbbbbbbbb01: {timeout: 1 s}, bbbbbbbbbb10: {overlap: queue_one}}\n");
  home.script("slow.sh", "sleep 600\n");
  home.script("ok.sh", "echo ok\n");
  home.script("url.sh", 'test "$TARGET_URL" = http://right\n');
  home.script("two.sh", "sleep 2.5\n");
  home.file(".env", "TARGET_URL=http://right\n");
  home.writeJobs([
    scriptJob("bbbbbbbbbb01", daily, "slow.sh", soon()),
    scriptJob("bbbbbbbbbb02", "* * * * * *", "two.sh", soon()),
    scriptJob("bbbbbbbbbb10", "* * * * * *", "slow.sh", soon()),
    scriptJob("bbbbbbbbbb03", daily, "gone.sh", soon()),
    scriptJob("bbbbbbbbbb04", daily, "url.sh", soon()),
    scriptJob("bbbbbbbbbb05", daily, "ok.sh", far),
    scriptJob("bbbbbbbbbb06", daily, "ok.sh", { ...soon(), repeat: { times: 1, completed: 0 } }),
    scriptJob("bbbbbbbbbb07", "0 0 30 2 *", "ok.sh"),
    scriptJob("bbbbbbbbbb08", daily, "ok.sh", {
      enabled: false,
      state: "paused",
      paused_at: "2026-01-02T03:04:05+00:00",
      paused_reason: "holidays",
    }),
    scriptJob("bbbbbbbbbb09", daily, "ok.sh", { next_run_at: isoIn(3_600_000), quota_hold_until: isoIn(3_600_000) }),
  ]);
  home.start();
  const ended = (id: string, state: string): Promise<unknown> =>
    until(() => home.runs().find((run) => run.job_id === id && run.state === state));
  const first = async (job: string, time: string | null = null): Promise<readonly [string, string]> => {
    const { cause, sentences } = await explained(home, job, time);
    expect(sentences.length).toBeGreaterThanOrEqual(3);
    expect(sentences.length).toBeLessThanOrEqual(8);
    return [cause, sentences[0] ?? ""];
  };

  await ended("bbbbbbbbbb04", "completed");
  home.file(".env", "TARGET_URL=http://wrong\nEXTRA=1\n");
  await until(() => {
    const { status } = home.ask("run", "bbbbbbbbbb04") as { readonly status: number | null };
    return status === 1;
  });
  const [changeCause, changeText] = await first("bbbbbbbbbb04");
  expect(changeCause).toBe("environment_changed");
  expect(changeText).toMatch(
    /failed after .*: Script exited with code 1; its environment has changed since its last success at .*: EXTRA, TARGET_URL\.$/,
  );
  expect(changeText).not.toContain("http");

  home.ask("run", "bbbbbbbbbb05");
  expect(await first("bbbbbbbbbb05")).toEqual([
    "manual",
    expect.stringMatching(
      /^Job "job bbbbbbbbbb05" ran at .* because somebody asked for a run then, not because of its schedule, and completed in /,
    ),
  ]);

  await ended("bbbbbbbbbb01", "failed");
  expect(await first("bbbbbbbbbb01")).toEqual([
    "timeout",
    expect.stringMatching(/was stopped after .* because it took longer than its time limit of 1\.0 s/),
  ]);

  const skipped = await until(() =>
    home.slots().find((slot) => slot.job_id === "bbbbbbbbbb02" && slot.decision === "skip"),
  );
  expect(await first("bbbbbbbbbb02", skipped.scheduled_at)).toEqual([
    "overlap",
    expect.stringMatching(
      /did not run at .* because its run \w+ of .* was still open.*: two runs of a job never overlap/,
    ),
  ]);

  await ended("bbbbbbbbbb03", "failed");
  expect(await first("bbbbbbbbbb03")).toEqual([
    "not_started",
    expect.stringMatching(/and could not start: Script not found: .*gone\.sh/),
  ]);

  expect(await first("bbbbbbbbbb10")).toEqual([
    "overlap",
    expect.stringMatching(
      / is due since .* and waits because its run \w+ of .* is still open, and the next begins when it has ended \(overlap: queue_one\)\.$/,
    ),
  ]);

  await until(() => home.job("bbbbbbbbbb06")["state"] === "completed");
  expect(await first("bbbbbbbbbb06")).toEqual([
    "repeat_used_up",
    'Job "job bbbbbbbbbb06" does not run: its count of repeats is used up (1 of 1 runs).',
  ]);
  expect(await first("bbbbbbbbbb07")).toEqual([
    "never",
    'Job "job bbbbbbbbbb07" never runs: its schedule "0 0 30 2 *" names no time that ever comes.',
  ]);
  expect(await first("bbbbbbbbbb08")).toEqual([
    "paused",
    'Job "job bbbbbbbbbb08" does not run: it is paused since 2026-01-02 03:04:05 (holidays), and has no slots until it is resumed.',
  ]);
  expect(await first("bbbbbbbbbb09")).toEqual([
    "quota_hold",
    expect.stringMatching(/does not run: the quota of its model is used up, and it is held until /),
  ]);
});

test.concurrent("explain names the time without a daemon, and what it left behind", async ({ onTestFinished }) => {
  const home = makeSupervisedHome(onTestFinished);
  home.script("long.sh", "sleep 600\n");
  home.script("ok.sh", "echo ok\n");
  home.writeJobs([
    scriptJob("cccccccccc01", daily, "long.sh", soon()),
    scriptJob("cccccccccc02", "* * * * * */2", "ok.sh", far),
    scriptJob("cccccccccc03", daily, "ok.sh", {
      ...far,
      schedule: { kind: "once", run_at: "2026-01-05T09:00:00+00:00", display: "once at 2026-01-05 09:00" },
      next_run_at: null,
    }),
  ]);
  const first = home.start();
  await until(() => home.runs().some((run) => run.state === "running"));
  first.kill("SIGKILL");
  await first.exited;
  const dead = await explained(home, "cccccccccc01");
  expect([dead.cause, dead.sentences[0]]).toEqual([
    "no_daemon",
    expect.stringMatching(
      /^Job "job cccccccccc01" has been running since .* as far as is known, but no daemon is running: the last one \(process \d+\) was killed after .*: the next one looks what became of it\.$/,
    ),
  ]);
  const dueMs = Math.ceil((Date.now() + 500) / 2000) * 2000;
  const jobs = home.readJobs() as unknown as readonly JobRecord[];
  home.writeJobs(
    jobs.map((job) => (job.id === "cccccccccc02" ? { ...job, next_run_at: new Date(dueMs).toISOString() } : job)),
  );
  await until(() => Date.now() > dueMs + 2500);
  const waiting = await explained(home, "cccccccccc02");
  expect([waiting.cause, waiting.sentences[0]]).toEqual([
    "no_daemon",
    expect.stringMatching(
      / is due since .* and waits because no daemon is running: the last one \(process \d+\) was killed after /,
    ),
  ]);

  home.hostConfig("limits: {max_open_runs: none}\n");
  const broken = home.start();
  expect((await broken.exited).code).toBe(3);
  const misset = await explained(home, "cccccccccc02");
  expect([misset.cause, misset.sentences[0]]).toEqual([
    "config",
    expect.stringMatching(
      / waits because no daemon is running, and none can start: .*config\.yaml.*limits\.max_open_runs/,
    ),
  ]);
  const missedMs = Date.now() - 20 * 60_000;
  const missed = { next_run_at: new Date(missedMs).toISOString() };
  home.writeJobs([
    ...(home.readJobs() as unknown as readonly JobRecord[]),
    scriptJob("cccccccccc04", 5, "ok.sh", missed),
  ]);
  home.hostConfig("jobs: {cccccccccc04: {misfire: skip}}\n");

  home.start();
  await until(() => home.runs().find((run) => run.reason === "orphaned"));
  const orphaned = await explained(home, "cccccccccc01");
  expect([orphaned.cause, orphaned.sentences[0]]).toEqual([
    "orphaned",
    expect.stringMatching(
      /, and was orphaned: the daemon died after .* while it was open, so nobody saw its end and it counts as failed\.$/,
    ),
  ]);
  await until(() => home.slots().find((slot) => slot.job_id === "cccccccccc02" && slot.decision === "run"));
  const down = await explained(home, "cccccccccc02", new Date(dueMs).toISOString());
  expect([down.cause, down.sentences[0]]).toEqual([
    "no_daemon",
    expect.stringMatching(
      /^Job "job cccccccccc02" ran at .* late for .* because no daemon was running: the last one \(process \d+\) was killed after .*, and the next began at /,
    ),
  ]);
  await until(() => home.slots().find((slot) => slot.job_id === "cccccccccc04" && slot.decision === "skip"));
  const skipped = await explained(home, "cccccccccc04", new Date(missedMs).toISOString());
  expect([skipped.cause, skipped.sentences[0]]).toEqual([
    "misfire",
    expect.stringMatching(
      / did not run at .* because no daemon was running: .*, and its policy then is to skip what was missed \(misfire: skip\)\.$/,
    ),
  ]);
  const expired = await explained(home, "cccccccccc03");
  expect([expired.cause, expired.sentences[0]]).toEqual([
    "once_expired",
    expect.stringMatching(
      /^Job "job cccccccccc03" does not run: it was to run once, at 2026-01-05 09:00, and expired: more than 2 min after its time a one-shot is not started any more/,
    ),
  ]);
});
