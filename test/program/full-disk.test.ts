import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { expect, test } from "vitest";
import type { StatusJson } from "../../src/status/snapshot.ts";
import { createSeededRandom } from "../helpers/seeded-random.ts";
import { mountSmallDisk, type SmallDisk } from "../helpers/small-disk.ts";
import {
  type Daemon,
  isoIn,
  makeSupervisedHome,
  type SupervisedHome,
  scriptJob,
  until,
} from "../helpers/supervised-home.ts";

// The state folder and the home are on one small disk. The guard is off, so that every write is tried and fails.
const jobId = "aaaaaaaaaaaa";

interface DiskHome {
  readonly home: SupervisedHome;
  readonly disk: SmallDisk;
  /** Where the jobs keep their own evidence: it must not fail with the disk. */
  readonly evidence: string;
}

type OnFinished = (clean: () => Promise<void>) => void;

function makeDiskHome(onFinished: OnFinished): DiskHome {
  const home = makeSupervisedHome(onFinished);
  const outside = makeSupervisedHome(onFinished);
  const disk = mountSmallDisk(dirname(home.path), 3 * 1024 * 1024, onFinished);
  if (disk === null)
    throw new Error("Cannot mount a small disk: run these tests as root, or see the simulation's full disk");
  mkdirSync(join(home.path, "cron"), { recursive: true });
  mkdirSync(join(home.path, "scripts"));
  mkdirSync(home.state);
  writeFileSync(join(home.state, "config.yaml"), "disk: {free_min: 0 B}\n");
  return { home, disk, evidence: join(outside.path, "evidence") };
}

const startsOf = (evidence: string): number =>
  existsSync(evidence) ? readFileSync(evidence, "utf8").split("\n").length - 1 : 0;

/** A write failed and the daemon said so. */
const hasFailed = (daemon: Daemon): boolean => /ENOSPC|disk is full/.test(daemon.log());

function isHalted(pid: number): boolean {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  return stat.slice(stat.lastIndexOf(")") + 2).startsWith("T");
}

/** What must be true at any moment, full disk or not. */
function expectWhole({ home }: DiskHome): void {
  expect(() => home.readJobs()).not.toThrow();
  const database = new DatabaseSync(join(home.state, "supervisor.db"), { readOnly: true });
  try {
    expect(database.prepare("PRAGMA integrity_check").all()).toEqual([{ integrity_check: "ok" }]);
  } finally {
    database.close();
  }
}

const points = [
  "before-gates",
  "before-lock",
  "before-ledger-claim",
  "before-store-claim",
  "before-open",
  "before-running",
  "before-result",
  "before-document",
  "before-ledger-close",
  "before-settle",
];

test.concurrent("a disk that fills up and empties twenty times costs no run and no record", async ({
  onTestFinished,
}) => {
  const made = makeDiskHome(onTestFinished);
  const { home, disk, evidence } = made;
  const random = createSeededRandom(20);
  home.script("count.sh", `echo x >> ${evidence}; seq 300; seq 200 >&2; sleep 0.3\n`);
  home.script("fails.sh", "exit 3\n");
  home.writeJobs([
    scriptJob("aaaaaaaaaaaa", "* * * * * *", "count.sh"),
    scriptJob("bbbbbbbbbbbb", "* * * * * */2", "fails.sh"),
    scriptJob("cccccccccccc", "* * * * * *", "gone.sh"),
  ]);
  const daemon = home.start();
  await daemon.said('"ready"');
  let rounds = 0;
  for (; rounds < 20; rounds++) {
    await new Promise((resolve) => setTimeout(resolve, 300 * random()));
    disk.fill(Math.floor(random() * 5) * 4096);
    await new Promise((resolve) => setTimeout(resolve, 450 * random()));
    expectWhole(made);
    disk.free();
  }
  expect(hasFailed(daemon)).toBe(true);
  const freedAt = new Date().toISOString();
  await until(() => home.runs().filter((run) => run.state === "completed" && run.claimed_at > freedAt).length >= 2);
  daemon.kill("SIGINT");
  expect((await daemon.exited).code).toBe(0);
  const runs = home.runs();
  expect(runs.filter((run) => run.ended_at === null)).toEqual([]);
  const counted = runs.filter((run) => run.job_id === "aaaaaaaaaaaa" && run.state !== "void");
  expect(counted.filter((run) => run.state !== "completed")).toEqual([]);
  expect(counted.length).toBe(startsOf(evidence));
  expect(home.ask("verify").json).toMatchObject({ ok: true });
  expectWhole(made);
});

for (const point of points) {
  test.concurrent(`a disk that is full from ${point} on costs no run and no record`, async ({ onTestFinished }) => {
    const made = makeDiskHome(onTestFinished);
    const { home, disk, evidence } = made;
    home.script("count.sh", `echo x >> ${evidence}; echo done || true\n`);
    home.writeJobs([scriptJob(jobId, 60, "count.sh", { next_run_at: isoIn(3000) })]);
    // The first daemon on a home writes down where its slots begin; the disk is to fill up in the run and not in that.
    await home.start({}, ["--once"]).exited;
    const daemon = home.start({ HERMES_SUPERVISOR_FAULT: `${point}:1:SIGSTOP` });
    await until(() => isHalted(daemon.pid));
    disk.fill();
    daemon.kill("SIGCONT");
    const isSettled = (): boolean => home.job(jobId)["last_status"] === "ok";
    await until(() => hasFailed(daemon) || isSettled());
    expectWhole(made);
    if (!isSettled()) {
      const status = home.ask("status").json as StatusJson;
      expect(status.homes.map((one) => one.state)).toEqual(["degraded"]);
      expect(status.homes[0]?.reason).toMatch(/make room on its disk$/);
      expect(status.alerts.map((alert) => alert.kind)).toContain("home_degraded");
    }
    disk.free();
    await until(() => isSettled() && home.runs().every((run) => run.ended_at !== null));
    expect(home.runs().filter((run) => run.state !== "void")).toMatchObject([{ state: "completed", exit_code: 0 }]);
    expect(startsOf(evidence)).toBe(1);
    const [run] = home.runs().filter((one) => one.state === "completed");
    expect(readFileSync(run?.document_path ?? "", "utf8")).toContain(`**Job ID:** ${jobId}`);
    expect(home.slots().map((slot) => [slot.decision, slot.run_id])).toEqual([["run", run?.id]]);
    expect(home.job(jobId)).toMatchObject({ fire_claim: null, repeat: { completed: 1 } });
    expect(home.ask("verify").json).toMatchObject({ ok: true });
    expect(daemon.process.exitCode).toBe(null);
    expectWhole(made);
  });
}
