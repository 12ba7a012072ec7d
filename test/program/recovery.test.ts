import { spawn } from "node:child_process";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { expect, onTestFinished, test } from "vitest";
import type { RunJson } from "../../src/status/json.ts";
import {
  type Daemon,
  isAlive,
  isoIn,
  makeSupervisedHome,
  type SupervisedHome,
  scriptJob,
  until,
} from "../helpers/supervised-home.ts";

// The five cases of docs/recovery.md, each with a real daemon that is killed and started again.

const id = "aaaaaaaaaaaa";

/** A script that says its PID, and then goes on until it is told to end. */
function writeWaiter(home: SupervisedHome, name: string, last = "exit 5"): void {
  const go = `while [ ! -e ${home.path}/go ]; do sleep 0.05; done`;
  home.script(
    `${name}.sh`,
    `echo $$ > ${home.path}/${name}.new; mv ${home.path}/${name}.new ${home.path}/${name}.pid\n${go}\n${last}\n`,
  );
}

async function pidOf(home: SupervisedHome, name: string): Promise<number> {
  const path = join(home.path, `${name}.pid`);
  return await until(() => existsSync(path) && Number(readFileSync(path, "utf8")));
}

/** A home with one job, whose run is under way. */
async function startOne(settings = ""): Promise<{ home: SupervisedHome; daemon: Daemon; pid: number; run: RunJson }> {
  const home = makeSupervisedHome();
  writeWaiter(home, "job");
  home.hostConfig(`stop: {grace: 500 ms}\n${settings}`);
  home.writeJobs([scriptJob(id, 60, "job.sh", { next_run_at: isoIn(-500) })]);
  const daemon = home.start();
  const pid = await pidOf(home, "job");
  const run = await until(() => home.runs().find((one) => one.state === "running"));
  return { home, daemon, pid, run };
}

async function end(daemon: Daemon, signal: NodeJS.Signals): Promise<void> {
  daemon.kill(signal);
  await daemon.exited;
}

async function settled(home: SupervisedHome): Promise<readonly RunJson[]> {
  await until(() => home.runs().every((run) => run.ended_at !== null));
  await until(() => home.readJobs().every((job) => (job["fire_claim"] ?? null) === null));
  return home.runs();
}

test("case 1: a run that ended while no daemon was there has its true outcome", async () => {
  const { home, daemon, run } = await startOne();
  await end(daemon, "SIGKILL");
  home.file("go", "");
  await until(() => existsSync(run.output_path!.replace("output.log", "exit")));
  home.start();
  expect(await settled(home)).toMatchObject([{ id: run.id, state: "failed", reason: "exit", exit_code: 5 }]);
  expect(home.job(id)).toMatchObject({ last_status: "error", repeat: { completed: 1 } });
});

test("case 2: a run whose gate never opened is void, and its slot is served once", async () => {
  const home = makeSupervisedHome();
  home.script("job.sh", `echo x >> ${home.path}/count\n`);
  home.writeJobs([scriptJob(id, 60, "job.sh", { next_run_at: isoIn(-500) })]);
  const daemon = home.start({ HERMES_SUPERVISOR_FAULT: "before-open" });
  expect((await daemon.exited).signal).toBe("SIGKILL");
  home.start();
  await until(() => home.runs().some((run) => run.state === "completed"));
  expect((await settled(home)).map((run) => [run.state, run.reason])).toEqual([
    ["completed", null],
    ["void", "not_started"],
  ]);
  expect(readFileSync(join(home.path, "count"), "utf8")).toBe("x\n");
  expect(home.slots().map((slot) => [slot.decision, slot.reason])).toEqual([["run", "restored"]]);
  expect(home.job(id)).toMatchObject({ last_status: "ok", repeat: { completed: 1 } });
});

test("case 3: a run whose lifeline is free is orphaned, and what is left of it on this boot is ended first", async () => {
  const home = makeSupervisedHome();
  // Python's subprocess closes the lifeline for what it starts.
  home.script(
    "job.py",
    `import os, subprocess, time
child = subprocess.Popen(["sleep", "600"])
open("${home.path}/child.pid", "w").write(str(child.pid))
time.sleep(600)
`,
  );
  home.writeJobs([scriptJob(id, 60, "job.py", { next_run_at: isoIn(-500) })]);
  const first = home.start({ HERMES_SUPERVISOR_WITHOUT: "reaper" });
  const left = await until(
    () => existsSync(join(home.path, "child.pid")) && Number(readFileSync(join(home.path, "child.pid"), "utf8")),
  );
  const run = await until(() => home.runs().find((one) => one.state === "running"));
  await end(first, "SIGKILL");
  const parent = Number(/ \S (\d+) /.exec(readFileSync(`/proc/${left}/stat`, "utf8"))?.[1]);
  for (const pid of [run.pid, parent]) process.kill(pid, "SIGKILL");
  await until(() => !isAlive(run.pid) && !isAlive(parent));
  expect(isAlive(left)).toBe(true);
  home.start();
  expect(await settled(home)).toMatchObject([{ id: run.id, state: "failed", reason: "orphaned", exit_code: null }]);
  expect(isAlive(left)).toBe(false);
});

test("case 3: a run of another boot is orphaned, and no process of this boot is touched for it", async () => {
  const { home, daemon, pid, run } = await startOne();
  onTestFinished(() => home.file("go", ""));
  await end(daemon, "SIGKILL");
  const ledger = new DatabaseSync(join(home.state, "supervisor.db"), { timeout: 5000 });
  ledger.prepare("UPDATE run SET boot_id = 'an-earlier-boot'").run();
  ledger.close();
  home.start();
  expect(await settled(home)).toMatchObject([{ id: run.id, state: "failed", reason: "orphaned" }]);
  expect(isAlive(pid)).toBe(true);
});

test("case 4: a run that was handed over is adopted, goes on, and its exit code is recorded", async () => {
  const { home, daemon, pid, run } = await startOne();
  await end(daemon, "SIGTERM");
  expect(isAlive(pid)).toBe(true);
  const second = home.start();
  await second.said('"ready"');
  await until(() => home.runs()[0]?.adopted);
  expect(home.runs()).toMatchObject([{ id: run.id, state: "running", ended_at: null }]);
  home.file("go", "");
  expect(await settled(home)).toMatchObject([{ id: run.id, reason: "exit", exit_code: 5, adopted: true }]);
});

test("case 5: after a crash a living run is stopped, and counts as a failed attempt in every place, one-shots too", async () => {
  const home = makeSupervisedHome();
  for (const name of ["often", "once"]) writeWaiter(home, name);
  home.hostConfig("stop: {grace: 500 ms}\n");
  const due = isoIn(-500);
  home.writeJobs([
    scriptJob(id, 60, "often.sh", { name: "often", next_run_at: due, failure_streak: 2, last_failure: null }),
    scriptJob("bbbbbbbbbbbb", 60, "once.sh", {
      name: "once",
      schedule: { kind: "once", run_at: due, display: "once" },
      repeat: { times: 1, completed: 0 },
      next_run_at: due,
    }),
  ]);
  const daemon = home.start();
  const pids = [await pidOf(home, "often"), await pidOf(home, "once")];
  await end(daemon, "SIGKILL");
  home.start();
  const runs = await settled(home);
  expect(pids.filter(isAlive)).toEqual([]);
  for (const run of runs) {
    expect(run).toMatchObject({ state: "failed", reason: "orphaned", exit_code: null, adopted: false });
    expect(readFileSync(run.document_path!, "utf8")).toContain("The supervisor died while this run was open");
  }
  const error = runs[0]?.error;
  expect(home.job(id)).toMatchObject({
    last_status: "error",
    last_error: error,
    failure_streak: 3,
    repeat: { times: null, completed: 1 },
    state: "scheduled",
  });
  expect(home.job("bbbbbbbbbbbb")).toMatchObject({
    last_status: "error",
    last_error: error,
    repeat: { times: 1, completed: 1 },
    state: "completed",
  });
  const status = home.ask("status").json as { alerts: { kind: string; job_id: string }[] };
  expect(status.alerts.map((alert) => [alert.kind, alert.job_id]).toSorted()).toEqual([
    ["run_orphaned", id],
    ["run_orphaned", "bbbbbbbbbbbb"],
  ]);
  expect(home.ask("verify")).toMatchObject({ status: 0, json: { ok: true } });
});

test("case 5: with recovery.orphans: adopt a living run goes on after a crash", async () => {
  const { home, daemon, pid, run } = await startOne("recovery: {orphans: adopt}\n");
  await end(daemon, "SIGKILL");
  home.start();
  await until(() => home.runs()[0]?.adopted);
  expect(isAlive(pid)).toBe(true);
  home.file("go", "");
  expect(await settled(home)).toMatchObject([{ id: run.id, reason: "exit", exit_code: 5, adopted: true }]);
});

test("case 5: a home's own recovery.orphans counts for its runs", async () => {
  const { home, daemon, pid, run } = await startOne("recovery: {orphans: fail}\n");
  home.file("config.yaml", "supervisor: {recovery: {orphans: adopt}}\n");
  await end(daemon, "SIGKILL");
  home.start();
  await until(() => home.runs()[0]?.adopted);
  expect(isAlive(pid)).toBe(true);
  home.file("go", "");
  expect(await settled(home)).toMatchObject([{ id: run.id, reason: "exit", exit_code: 5, adopted: true }]);
});

const causeCases = [
  { cause: "orphaned", end: "SIGTERM", byItself: true },
  { cause: "timeout", end: "SIGKILL", byItself: true },
  { cause: "stopped", end: "SIGKILL", byItself: true },
  { cause: "stopped", end: "SIGTERM", byItself: false },
] as const;
for (const { cause, end: signal, byItself } of causeCases) {
  test(`a run that was asked to end (${cause}) is ended for that cause by the next daemon too, after a ${signal} in its grace${byItself ? "" : ", and killed when it stays"}`, async () => {
    const home = makeSupervisedHome();
    const asked = join(home.path, "asked");
    const wait = (file: string): string => `while [ ! -e ${home.path}/${file} ]; do sleep 0.05; done`;
    home.script(
      "job.sh",
      `trap 'echo >> ${asked}; ${wait("go")}; exit 0' TERM\necho > ${home.path}/up\n${wait("never")}\n`,
    );
    home.hostConfig("stop: {grace: 1 min}\n");
    if (cause === "timeout") home.file("config.yaml", "cron: {script_timeout_seconds: 1}\n");
    home.writeJobs([scriptJob(id, 60, "job.sh", { next_run_at: isoIn(-500) })]);
    let daemon = home.start();
    await until(() => existsSync(join(home.path, "up")));
    const run = await until(() => home.runs().find((one) => one.state === "running"));
    if (cause === "orphaned") {
      await end(daemon, "SIGKILL");
      daemon = home.start();
    } else if (cause === "stopped") {
      const [file = "", ...words] = home.command("stop", run.id, "--json");
      const command = spawn(file, words, { stdio: "ignore" });
      onTestFinished(() => void command.kill("SIGKILL"));
    }
    await until(() => existsSync(asked));
    await daemon.said('"ready"');
    await end(daemon, signal);
    if (!byItself) home.hostConfig("stop: {grace: 200 ms}\n");
    const next = home.start();
    await next.said('"ready"');
    if (byItself) home.file("go", "");
    const error = {
      orphaned: "The supervisor died while this run was open; what was left of it was stopped",
      timeout: `Script timed out after 1s: ${home.path}/scripts/job.sh`,
      stopped: "Stopped because a person asked for it",
    }[cause];
    expect(await settled(home)).toMatchObject([{ id: run.id, state: "failed", reason: cause, error, adopted: false }]);
    expect(home.job(id)).toMatchObject({ last_status: "error", last_error: error });
    expect(isAlive(run.pid)).toBe(false);
    expect(home.ask("verify")).toMatchObject({ status: 0, json: { ok: true } });
  });
}

test("a run that was asked to end and did while no daemon was there has the cause, not the code that it ended with", async () => {
  const { home, daemon, pid, run } = await startOne("recovery: {orphans: adopt}\n");
  await end(daemon, "SIGKILL");
  const cause = { reason: "stopped", text: "Stopped by request", at: new Date().toISOString() };
  writeFileSync(run.output_path!.replace("output.log", "cause.json"), JSON.stringify(cause));
  home.file("go", "");
  await until(() => existsSync(run.output_path!.replace("output.log", "exit")) && !isAlive(pid));
  home.start();
  expect(await settled(home)).toMatchObject([{ id: run.id, state: "failed", reason: "stopped", exit_code: 5 }]);
});

test("a run whose cause cannot be written down is stopped all the same", async () => {
  const { home, daemon, pid, run } = await startOne();
  rmSync(run.output_path!.replace("/output.log", ""), { recursive: true });
  home.ask("stop", run.id);
  expect(await settled(home)).toMatchObject([{ id: run.id, state: "failed", reason: "stopped" }]);
  expect(isAlive(pid)).toBe(false);
  await daemon.said('"the cause for which a run is stopped could not be written down"');
});

for (const state of ["claimed", "running"] as const) {
  test(`a run that is ${state} and whose folder is gone is an orphan: what lives of it is ended, and it is not served again`, async () => {
    const home = makeSupervisedHome();
    home.script("job.sh", `echo $$ >> ${home.path}/pids\nsleep 600\n`);
    home.writeJobs([scriptJob(id, 60, "job.sh", { next_run_at: isoIn(-500) })]);
    const daemon = home.start(state === "claimed" ? { HERMES_SUPERVISOR_FAULT: "after-open" } : {});
    const path = join(home.path, "pids");
    const pid = await until(() => existsSync(path) && Number(readFileSync(path, "utf8")));
    const run = await until(() => home.runs().find((one) => one.state === state));
    daemon.kill("SIGKILL");
    await daemon.exited;
    rmSync(run.output_path!.replace("/output.log", ""), { recursive: true });
    const next = home.start();
    await next.said('"ready"');
    expect(await settled(home)).toMatchObject([{ id: run.id, state: "failed", reason: "orphaned", exit_code: null }]);
    expect(isAlive(pid)).toBe(false);
    expect(readFileSync(path, "utf8")).toBe(`${pid}\n`);
    expect(home.job(id)).toMatchObject({ last_status: "error", repeat: { completed: 1 } });
    expect(home.ask("verify")).toMatchObject({ status: 0, json: { ok: true } });
  });
}

test("a run that is running without its started file is decided all the same", async () => {
  const { home, daemon, run, pid } = await startOne();
  await end(daemon, "SIGKILL");
  rmSync(run.output_path!.replace("output.log", "started"));
  home.start();
  expect(await settled(home)).toMatchObject([{ id: run.id, state: "failed", reason: "orphaned" }]);
  expect(isAlive(pid)).toBe(false);
});

test("a run that ended well and is known to have by one file alone is completed, whatever a crash of the machine took", async () => {
  const home = makeSupervisedHome();
  home.script("job.sh", "true\n");
  home.writeJobs([scriptJob(id, 60, "job.sh", { next_run_at: isoIn(-500) })]);
  const daemon = home.start({ HERMES_SUPERVISOR_FAULT: "after-open" });
  await daemon.exited;
  const exit = home.runs()[0]!.output_path!.replace("output.log", "exit");
  await until(() => existsSync(exit) && readFileSync(exit, "utf8").endsWith("\n"));
  rmSync(exit.replace(/exit$/, "started"));
  await home.start().said('"ready"');
  expect(await settled(home)).toMatchObject([{ state: "completed", reason: null, exit_code: 0 }]);
});

for (const { text, exit, expected } of [
  { text: "", exit: "5\n", expected: { reason: "exit", exit_code: 5 } },
  { text: '{"end": {"exitC', exit: null, expected: { reason: "orphaned", exit_code: null } },
  { text: "[1]\n", exit: null, expected: { reason: "orphaned", exit_code: null } },
  { text: '{"end": {}, "endedAtMs": "now"}', exit: "0\n", expected: { state: "completed", exit_code: 0 } },
]) {
  test(`the result file ${JSON.stringify(text)} is none, and ${exit === null ? "without an exit file the run is an orphan" : "the exit file counts"}`, async () => {
    const { home, daemon, run, pid } = await startOne();
    await end(daemon, "SIGKILL");
    process.kill(-run.pid, "SIGKILL");
    await until(() => !isAlive(pid) && !isAlive(run.pid));
    const result = run.output_path!.replace("output.log", "result.json");
    writeFileSync(result, text);
    if (exit !== null) writeFileSync(result.replace("result.json", "exit"), exit);
    const next = home.start();
    expect(await settled(home)).toMatchObject([{ id: run.id, ...expected }]);
    expect(next.log()).toContain('"the result file of a run cannot be read; it counts as none"');
    expect(home.ask("verify")).toMatchObject({ status: 0, json: { ok: true } });
  });
}

test("a hand-over note that cannot be read is none", async () => {
  const { home, daemon, pid, run } = await startOne();
  await end(daemon, "SIGTERM");
  const ledger = new DatabaseSync(join(home.state, "supervisor.db"), { timeout: 5000 });
  ledger.prepare("UPDATE note SET value = '{\"boot_' WHERE key = 'hand_over'").run();
  ledger.close();
  await home.start().said('"ready"');
  expect(await settled(home)).toMatchObject([{ id: run.id, state: "failed", reason: "orphaned", adopted: false }]);
  expect(isAlive(pid)).toBe(false);
});

for (const kind of ["dead", "living"] as const) {
  test(`50 orphans that are ${kind} by the next start are all decided, and how fast is printed`, async () => {
    const home = makeSupervisedHome();
    const names = Array.from({ length: 50 }, (_, index) => `job${index}`);
    for (const name of names) writeWaiter(home, name);
    home.hostConfig("limits: {max_open_runs: 60}\n");
    home.file("config.yaml", "cron: {max_parallel_jobs: 60}\n");
    home.writeJobs(
      names.map((name, index) => scriptJob(`${100 + index}aaaaaaaaa`, 60, `${name}.sh`, { next_run_at: isoIn(-500) })),
    );
    const daemon = home.start();
    await until(() => names.every((name) => existsSync(join(home.path, `${name}.pid`))));
    await until(() => home.runs().filter((run) => run.state === "running").length === 50);
    await end(daemon, "SIGKILL");
    if (kind === "dead") {
      for (const run of home.runs()) process.kill(-run.pid, "SIGKILL");
      await until(() => home.runs().every((run) => !isAlive(run.pid)));
    }
    home.start();
    await until(() => home.runs().every((run) => run.ended_at !== null));
    const decidedAtMs = Date.now();
    const runs = await settled(home);
    expect(runs.map((run) => [run.state, run.reason])).toEqual(names.map(() => ["failed", "orphaned"]));
    const { daemon: next } = home.ask("status").json as { daemon: { started_at: string } };
    console.log(
      `50 ${kind} orphans: all decided ${decidedAtMs - Date.parse(next.started_at)} ms after the start of the daemon`,
    );
  });
}

test("a run whose home is gone when it has ended keeps its outcome in the ledger, wherever its daemon was killed", async () => {
  const home = makeSupervisedHome();
  home.writeJobs([]);
  const late = home.profile("late");
  home.script("job.sh", "sleep 0.2\n", late);
  home.writeJobs([scriptJob(id, 60, "job.sh", { next_run_at: isoIn(-500) })], late);
  // Its row says claimed, while the job ran.
  const daemon = home.start({ HERMES_SUPERVISOR_FAULT: "after-open" });
  expect((await daemon.exited).signal).toBe("SIGKILL");
  await until(() => existsSync(home.runs()[0]!.output_path!.replace("output.log", "exit")));
  rmSync(late, { recursive: true });
  home.start();
  await until(() => home.runs()[0]?.ended_at);
  expect(home.runs()).toMatchObject([{ state: "completed", exit_code: 0, home: "late" }]);
});

test("each case of docs/recovery.md has its test here", () => {
  const page = readFileSync(new URL("../../docs/recovery.md", import.meta.url), "utf8");
  const cases = [...page.matchAll(/^\| (\d) \|/gmu)].map((match) => match[1]);
  expect(cases).toEqual(["1", "2", "3", "4", "5"]);
  const tested = [...readFileSync(import.meta.filename, "utf8").matchAll(/^test\("case (\d): /gmu)];
  expect([...new Set(tested.map((match) => match[1]))]).toEqual(cases);
});
