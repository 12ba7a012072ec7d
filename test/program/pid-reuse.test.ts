import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { fileURLToPath } from "node:url";
import { expect, onTestFinished, test } from "vitest";
import type { PidReuseReport } from "../helpers/pid-reuse-rounds.ts";
import { startTaker, takerCommand } from "../helpers/pid-taker.ts";
import { isoIn, makeSupervisedHome, type SupervisedHome, scriptJob, until } from "../helpers/supervised-home.ts";

const rounds = fileURLToPath(new URL("../helpers/pid-reuse-rounds.ts", import.meta.url));
const program = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url));

function playRounds(command: readonly string[], count: number): Promise<PidReuseReport> {
  const folder = mkdtempSync(join(tmpdir(), "pid-reuse-"));
  mkdirSync(join(folder, "runs"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const [file = "", ...rest] = command;
  const child = spawn(file, [...rest, process.execPath, rounds, folder, String(count)], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  let [said, errors] = ["", ""];
  child.stdout.setEncoding("utf8").on("data", (part: string) => (said += part));
  child.stderr.setEncoding("utf8").on("data", (part: string) => (errors += part));
  return new Promise((resolve, reject) => {
    child.on("close", (code) => {
      if (code === 0) resolve(JSON.parse(said) as PidReuseReport);
      else reject(new Error(`The rounds ended with ${code}: ${errors}`));
    });
  });
}

const sum = (numbers: readonly number[]): number => numbers.reduce((all, one) => all + one, 0);

test("a PID that is given to a stranger 1,000 times, at every moment of judging and stopping, costs no stranger its life", async () => {
  const command = takerCommand();
  // Most of a round is waiting. Each namespace has PIDs of its own, so two can play beside each other.
  const players = command[0] === "unshare" ? 2 : 1;
  const reports = await Promise.all(Array.from({ length: players }, () => playRounds(command, 1000 / players)));
  for (const report of reports) {
    expect(report.strangersEnded).toEqual([]);
    expect(report.misjudged).toEqual([]);
  }
  expect(sum(reports.flatMap((report) => Object.values(report.rounds)))).toBe(1000);
  // Between taking hold of a process and its proof, and between its proof and the signal, above all.
  for (const call of ["list", "startedWith", "hold", "look", "signalGroup", "signal"]) {
    expect([call, sum(reports.map((report) => report.swappedBefore[call] ?? 0)) > 0]).toEqual([call, true]);
  }
  expect(sum(reports.map((report) => report.sameFingerprint))).toBeGreaterThan(500);
});

/** A daemon whose PIDs the test can take; it is given its orders by files and signals alone. */
async function startThrough(taker: ReturnType<typeof startTaker>, home: SupervisedHome): Promise<number> {
  const errors = join(home.state, "..", "daemon.log");
  const before = readText(errors).split('"ready"').length;
  const { pid } = await taker.ask({
    do: "start",
    argv: [process.execPath, program, "--home", home.path, "--state", home.state, "start"],
    environment: { PATH: process.env["PATH"] ?? "", HOME: home.path, TZ: "UTC" },
    errors,
  });
  await until(() => readText(errors).split('"ready"').length > before);
  return pid ?? 0;
}

function readText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

/** As if the stranger had been started in the very tick in which the launcher was. */
function forgeStartTicks(home: SupervisedHome, runId: string, startTicks: number): void {
  const ledger = new DatabaseSync(join(home.state, "supervisor.db"), { timeout: 5000 });
  ledger.prepare("UPDATE run SET start_ticks = ? WHERE id = ?").run(startTicks, runId);
  ledger.close();
}

test("a daemon judges runs whose PIDs are strangers' by now, and lets the strangers be", async () => {
  const home = makeSupervisedHome();
  const taker = startTaker();
  onTestFinished(() => taker.end());
  const scripts = ["lost.sh", "ended.sh", "adopted.sh"];
  for (const name of scripts)
    home.script(
      name,
      `echo $$ > ${home.path}/${name}.pid\nwhile [ ! -e ${home.path}/go ]; do sleep 0.05; done\nexit 5\n`,
    );
  home.hostConfig("stop: {grace: 200 ms}\n");
  home.writeJobs(
    scripts.map((name, index) => scriptJob(`${index}aaaaaaaaaaa`, 60, name, { name, next_run_at: isoIn(-500) })),
  );
  const strangers: number[] = [];
  /** Kills what is left of the run, and gives the launcher's PID to a stranger with its looks. */
  const take = async (name: string): Promise<void> => {
    const run = home.runs().find((one) => one.job_name === name);
    const folder = join(home.state, "runs", run?.id ?? "");
    const taken = await taker.ask({
      do: "replace",
      pid: run?.pid ?? 0,
      whole: true,
      argv: ["/bin/sh", "-c", "sleep 600; :", "launch.sh", folder],
      folder,
      file: join(folder, "alive"),
      environment: { HERMES_HOME: home.path },
    });
    expect(taken.pid).toBe(run?.pid);
    strangers.push(taken.pid ?? 0);
    forgeStartTicks(home, run?.id ?? "", taken.startTicks);
  };

  const first = await startThrough(taker, home);
  await until(() => scripts.every((name) => readText(join(home.path, `${name}.pid`)).endsWith("\n")));
  await until(() => home.runs().every((run) => run.state === "running"));
  await taker.ask({ do: "signal", pid: first, signal: 15 });
  await until(() => readText(join(home.state, "..", "daemon.log")).includes("handing over"));
  await taker.ask({ do: "end", pid: first });
  await take("lost.sh");
  const second = await startThrough(taker, home);
  await until(() => home.runs().find((run) => run.job_name === "lost.sh")?.ended_at);
  expect(
    home
      .runs()
      .filter((run) => run.adopted)
      .map((run) => run.job_name)
      .toSorted(),
  ).toEqual(["adopted.sh", "ended.sh"]);
  await take("adopted.sh");
  await until(() => home.runs().find((run) => run.job_name === "adopted.sh")?.ended_at);
  await taker.ask({ do: "end", pid: second });
  home.file("go", "");
  const ended = home.runs().find((run) => run.job_name === "ended.sh");
  await until(() => readText(join(home.state, "runs", ended?.id ?? "", "exit")) === "5\n");
  await take("ended.sh");
  await startThrough(taker, home);
  await until(() => home.runs().every((run) => run.ended_at !== null));
  await until(() => scripts.every((_, index) => home.job(`${index}aaaaaaaaaaa`)["fire_claim"] === null));

  expect(Object.fromEntries(home.runs().map((run) => [run.job_name, [run.state, run.reason, run.exit_code]]))).toEqual({
    "lost.sh": ["failed", "orphaned", null],
    "adopted.sh": ["failed", "orphaned", null],
    "ended.sh": ["failed", "exit", 5],
  });
  expect(strangers.length).toBe(3);
  for (const pid of strangers) expect(await taker.ask({ do: "look", pid })).toMatchObject({ alive: true });
});
