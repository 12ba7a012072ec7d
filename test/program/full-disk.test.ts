import { execFile, spawn } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import type { StatusJson } from "../../src/status/snapshot.ts";
import { createSeededRandom } from "../helpers/seeded-random.ts";
import { canMount, mountSmallDisk, type SmallDisk } from "../helpers/small-disk.ts";
import {
  beginBefore,
  type Daemon,
  makeSupervisedHome,
  type SupervisedHome,
  scriptJob,
  until,
} from "../helpers/supervised-home.ts";
import { scene } from "../simulation/scenes.ts";
import { simulate } from "../simulation/simulate.ts";

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
  if (disk === null) throw new Error(`Cannot mount a small disk on "${dirname(home.path)}": it could be tried before`);
  mkdirSync(join(home.path, "cron"), { recursive: true });
  mkdirSync(join(home.path, "scripts"));
  mkdirSync(home.state);
  writeFileSync(join(home.state, "config.yaml"), "disk: {free_min: 0 B}\n");
  return { home, disk, evidence: join(outside.path, "evidence") };
}

/** As `home.ask`, and the other tests go on meanwhile. */
async function ask(home: SupervisedHome, command: string): Promise<unknown> {
  const [file = "", ...words] = home.command(command, "--json");
  // A command that finds something wrong ends with 1 and prints all the same.
  const { stdout } = await promisify(execFile)(file, words).catch((error: { readonly stdout: string }) => error);
  return JSON.parse(stdout);
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

function fillRealDisk(): void {
  test.concurrent("below disk.free_min nothing starts, an alert says so, and room is enough to go on", async ({
    onTestFinished,
  }) => {
    const { home, disk, evidence } = makeDiskHome(onTestFinished);
    home.hostConfig("disk: {free_min: 1 MiB}\n");
    home.script("count.sh", `echo x >> ${evidence}\n`);
    home.writeJobs([scriptJob(jobId, "* * * * * *", "count.sh")]);
    disk.fill();
    disk.free();
    const log = join(home.state, "daemon.log");
    // Its own log is on that disk, too.
    const daemon = spawn("/bin/sh", ["-c", `exec "$0" "$@" 2>> ${log}`, ...home.command("start")], { stdio: "ignore" });
    const exited = new Promise<number | null>((resolve) => daemon.once("exit", resolve));
    onTestFinished(async () => {
      daemon.kill("SIGKILL");
      await exited;
    });
    await until(() => startsOf(evidence) >= 2);
    disk.fill(512 * 1024);
    const look = async (): Promise<StatusJson> => (await ask(home, "status")) as StatusJson;
    let status = await look();
    while (status.homes[0]?.state !== "paused") status = await look();
    expect(status.homes[0]?.reason).toBe("disk");
    const [low, ...more] = status.alerts.filter((alert) => alert.kind === "disk_low");
    expect(more).toEqual([]);
    expect(low?.message.replace(/has \d+ bytes/, "has some bytes")).toBe(
      `The disk of "${home.state}" has some bytes free, expected at least 1048576 (disk.free_min): nothing new starts until there is room`,
    );
    const before = startsOf(evidence);
    const dueAt = Date.now() + 2000;
    await until(() => Date.now() > dueAt);
    expect(startsOf(evidence)).toBe(before);
    disk.free();
    await until(() => startsOf(evidence) >= before + 2);
    expect(await look()).toMatchObject({ homes: [{ state: "active", reason: null }], alerts: [] });
    expect(readFileSync(log, "utf8")).toContain("there is room on the disk again");
    disk.fill();
    // With no room for a note it still ends in time, and the next daemon decides what it left.
    daemon.kill("SIGTERM");
    expect(await exited).toBe(0);
    const refused = home.start();
    const { code } = await refused.exited;
    expect(code).toBe(1);
    expect(refused.log()).toMatch(/disk is full|ENOSPC/);
    expect(refused.log()).not.toContain("    at ");
    disk.free();
    const next = home.start();
    const restarted = startsOf(evidence);
    await until(() => startsOf(evidence) >= restarted + 2);
    next.kill("SIGINT");
    expect((await next.exited).code).toBe(0);
    expect(await ask(home, "verify")).toMatchObject({ ok: true });
  });

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
      await new Promise((resolve) => setTimeout(resolve, 200 * random()));
      disk.fill(Math.floor(random() * 5) * 4096);
      await new Promise((resolve) => setTimeout(resolve, 350 * random()));
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
    expect(await ask(home, "verify")).toMatchObject({ ok: true });
    expectWhole(made);
  });

  for (const point of points) {
    test.concurrent(`a disk that is full from ${point} on costs no run and no record`, async ({ onTestFinished }) => {
      // The disk is to fill up in the run, and not at the beginning of the home's history.
      const made = await beginBefore(8000, (dueAt) => {
        const disked = makeDiskHome(onTestFinished);
        disked.home.script("count.sh", `echo x >> ${disked.evidence}; echo done || true\n`);
        disked.home.writeJobs([scriptJob(jobId, 60, "count.sh", { next_run_at: dueAt })]);
        return disked;
      });
      const { home, disk, evidence } = made;
      const daemon = home.start({ HERMES_SUPERVISOR_FAULT: `${point}:1:SIGSTOP` });
      await until(() => isHalted(daemon.pid));
      disk.fill();
      daemon.kill("SIGCONT");
      const isSettled = (): boolean => home.job(jobId)["last_status"] === "ok";
      await until(() => hasFailed(daemon) || isSettled());
      expectWhole(made);
      if (!isSettled()) {
        const status = (await ask(home, "status")) as StatusJson;
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
      expect(await ask(home, "verify")).toMatchObject({ ok: true });
      expect(daemon.process.exitCode).toBe(null);
      expectWhole(made);
    });
  }
}

/** Where nothing can be mounted, the same daemon meets a full disk at every half second of a simulated run. */
function simulateFullDisk(): void {
  for (let atMs = 25_000; atMs <= 36_000; atMs += 500) {
    test(`a simulated disk that is full from ${atMs} ms on costs no run and no record`, async () => {
      const full = scene({ events: [{ atMs, kind: "full disk", forMs: 8000 }] });
      expect((await simulate(full)).findings).toEqual([]);
    });
  }
}

if (canMount()) fillRealDisk();
else simulateFullDisk();
