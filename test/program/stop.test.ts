import { spawn, spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, openSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, onTestFinished, test } from "vitest";
import type { RunJson } from "../../src/status/json.ts";
import {
  isAlive,
  isoIn,
  makeSupervisedHome,
  type SupervisedHome,
  scriptJob,
  until,
} from "../helpers/supervised-home.ts";

const programs = fileURLToPath(new URL("../fixtures/programs", import.meta.url));
const graceMs = 500;

/** Those that go on until they are stopped, and those that end and leave something behind. */
const stayers = [
  "ignores-sigterm",
  "double-forks",
  "forks-while-killed",
  "changes-its-group",
  "resets-its-environment",
  "closes-everything",
  "stops-itself",
];
const leavers = ["leaves-stdout-open", "helper-of-subprocess", "forks-in-a-session-of-its-own"];

const chain = readFileSync(join(programs, "forks-in-a-session-of-its-own.py"), "utf8");
/** 200 processes that end with it, each with descriptors to look through. */
const crowd = `
import subprocess, sys
files = [open("/dev/null") for _ in range(20)]
crowd = [subprocess.Popen(["sleep", "600"], pass_fds=[file.fileno() for file in files]) for _ in range(200)]
print("up", flush=True)
sys.stdin.read()
for one in crowd: one.kill()
`;

function makeHome(names: readonly string[], config = ""): SupervisedHome {
  const home = makeSupervisedHome();
  mkdirSync(home.state, { recursive: true });
  writeFileSync(join(home.state, "config.yaml"), `stop: {grace: ${graceMs} ms}\n${config}`);
  home.file("config.yaml", "cron: {max_parallel_jobs: 30}\n");
  for (const name of names) copyFileSync(join(programs, `${name}.py`), join(home.path, "scripts", `${name}.py`));
  home.writeJobs(
    names.map((name, index) =>
      scriptJob(`${index.toString(16).padStart(12, "a")}`, 60, `${name}.py`, { name, next_run_at: isoIn(-500) }),
    ),
  );
  onTestFinished(() => {
    for (const pid of processesOf(home)) spawnSync("kill", ["-KILL", String(pid)]);
  });
  return home;
}

/** Live processes whose command line names a script of this home. */
function processesOf(home: SupervisedHome, name = ""): readonly number[] {
  return readdirSync("/proc")
    .filter((entry) => /^\d+$/.test(entry))
    .map(Number)
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, "latin1").includes(`${home.path}/scripts/${name}`) && isAlive(pid);
      } catch {
        return false;
      }
    });
}

function commandOf(pid: number): string {
  return readFileSync(`/proc/${pid}/cmdline`, "latin1").replaceAll("\0", " ");
}

function outputOf(run: RunJson): string {
  return readFileSync(run.output_path ?? "", "utf8");
}

async function runsUp(home: SupervisedHome, count: number): Promise<readonly RunJson[]> {
  return await until(() => {
    const runs = home.runs();
    const up = runs.filter((run) => run.started_at !== null && run.output_path && outputOf(run).includes("up"));
    return up.length === count && runs;
  });
}

function stop(home: SupervisedHome, runId: string, now = false): Promise<number> {
  return new Promise((resolve, reject) => {
    const path = `/v1/runs/${runId}/stop${now ? "?now=1" : ""}`;
    request({ socketPath: join(home.state, "control.sock"), method: "POST", path }, (answer) => {
      answer.resume().on("end", () => resolve(answer.statusCode ?? 0));
    })
      .on("error", reject)
      .end();
  });
}

const machines = [
  { without: "", named: "with control groups, with marks and as a reaper" },
  { without: "groups,reaper", named: "with marks alone" },
  { without: "groups,marks", named: "as a reaper alone" },
  { without: "groups,reaper,marks", named: "with none of these" },
];

for (const { without, named } of machines) {
  test(`every program that resists is ended within its grace and 2 s, ${named}`, async () => {
    const hides = without.includes("reaper,marks") ? [] : ["hides"];
    const names = [...stayers, ...hides, ...leavers];
    const home = makeHome(names);
    home.start({ HERMES_SUPERVISOR_WITHOUT: without });
    const runs = await runsUp(home, names.length);
    const askedAtMs = Date.now();
    const stayed = runs.filter((run) => !leavers.includes(run.job_name));
    await Promise.all(stayed.map((run) => stop(home, run.id)));
    const ended = await until(() => {
      const all = home.runs();
      return all.every((run) => run.ended_at !== null) && all;
    });
    expect(processesOf(home).map(commandOf)).toEqual([]);
    expect(Date.now() - askedAtMs).toBeLessThan(graceMs + 2000 + 1000);
    for (const run of ended) {
      if (run.reason === "stopped") expect(Date.parse(run.ended_at!) - askedAtMs).toBeLessThan(graceMs + 2000);
    }
    expect(Object.fromEntries(ended.map((run) => [run.job_name, `${run.state} ${run.reason}`]))).toEqual({
      ...Object.fromEntries([...stayers, ...hides].map((name) => [name, "failed stopped"])),
      "leaves-stdout-open": "completed null",
      "helper-of-subprocess": "failed signal",
      "forks-in-a-session-of-its-own": "completed null",
    });
  });
}

test("a chain of processes is ended where a look at the machine takes longer than a link of it lives", async () => {
  const home = makeHome(["forks-in-a-session-of-its-own"]);
  // The job ends when the crowd is there, so that all of it is younger and wants a close look.
  home.script(
    "forks-in-a-session-of-its-own.py",
    `${chain}\nwhile not os.path.exists("${home.path}/go"): time.sleep(0.02)\n`,
  );
  const daemon = home.start({ HERMES_SUPERVISOR_WITHOUT: "groups,reaper" });
  await runsUp(home, 1);
  const others = spawn("python3", ["-c", crowd], { stdio: ["pipe", "pipe", "ignore"] });
  onTestFinished(() => void others.stdin.end());
  await new Promise((resolve) => others.stdout.once("data", resolve));
  home.file("go", "");
  const run = await until(() => home.runs().find((one) => one.ended_at !== null));
  expect([run.state, processesOf(home, "forks").map(commandOf)]).toEqual(["completed", []]);
  expect(daemon.log()).not.toContain("cannot be ended");
});

test("200 unrelated processes that look alike are left alone", async () => {
  const names = ["ignores-sigterm", "double-forks", "helper-of-subprocess"];
  const home = makeHome(names);
  home.script("twin.sh", "trap '' TERM\nread -r line <> \"$1\"\n");
  spawnSync("mkfifo", [join(home.path, "fifo")]);
  home.start();
  const runs = await runsUp(home, names.length);
  const folder = dirname(runs[0]!.output_path!);
  const lifeline = openSync(join(folder, "alive"), "r");
  // The same command line, each in a session of its own; the run's folder as their folder, its lifeline open, and the id of another run.
  const twins = Array.from({ length: 200 }, () =>
    spawn("bash", [join(home.path, "scripts/twin.sh"), join(home.path, "fifo")], {
      detached: true,
      cwd: folder,
      stdio: ["ignore", "ignore", "ignore", lifeline, lifeline],
      env: { PATH: process.env["PATH"], HERMES_SUPERVISOR_RUN_ID: "000000000000000000000000", HERMES_HOME: home.path },
    }),
  );
  onTestFinished(() => {
    for (const twin of twins) twin.kill("SIGKILL");
  });
  await until(() => processesOf(home, "twin.sh").length === 200);
  for (const run of runs) await stop(home, run.id, true);
  await until(() => home.runs().every((run) => run.ended_at !== null));
  expect(names.flatMap((name) => processesOf(home, name))).toEqual([]);
  expect(twins.filter((twin) => twin.pid === undefined || !isAlive(twin.pid) || twin.signalCode !== null)).toEqual([]);
});

test("what one run left behind is ended while another run and its helper go on", async () => {
  const home = makeHome(["double-forks", "leaves-stdout-open", "hides"]);
  home.start();
  const runs = await runsUp(home, 3);
  await until(() => home.runs().some((run) => run.state === "completed"));
  expect(processesOf(home, "leaves-stdout-open")).toEqual([]);
  expect(processesOf(home, "double-forks").length).toBe(2);
  expect(processesOf(home, "hides").length).toBe(2);
  for (const run of runs) await stop(home, run.id, true);
  await until(() => processesOf(home).length === 0);
});

test("stopping again at once cuts a running grace short, and the first cause stays", async () => {
  const home = makeHome(["ignores-sigterm"], "defaults: {stop_grace: 1 min}\n");
  home.start();
  const [run] = await runsUp(home, 1);
  await stop(home, run!.id);
  await stop(home, run!.id, true);
  const ended = await until(() => home.runs().find((one) => one.ended_at !== null));
  expect(ended).toMatchObject({ reason: "stopped", error: "Stopped because a person asked for it", exit_code: null });
});

test("a job with detach may leave processes behind, and a stop still ends them all", async () => {
  const home = makeHome(["leaves-stdout-open", "double-forks"], "defaults: {detach: true}\n");
  home.start();
  const runs = await runsUp(home, 2);
  await until(() => home.runs().some((run) => run.state === "completed"));
  for (const run of runs) await stop(home, run.id);
  await until(() => home.runs().every((run) => run.ended_at !== null));
  expect(processesOf(home, "double-forks")).toEqual([]);
  expect(processesOf(home, "leaves-stdout-open").length).toBe(1);
});

test("a run that was left by a daemon is swept after the next start, whatever it hid behind", async () => {
  const names = ["helper-of-subprocess", "double-forks", "ignores-sigterm", "hides"];
  const home = makeHome(names);
  const first = home.start({ HERMES_SUPERVISOR_WITHOUT: "reaper" });
  await until(() => processesOf(home, "helper-of-subprocess").length > 0 && processesOf(home, "hides").length === 2);
  await runsUp(home, names.length);
  first.kill("SIGKILL");
  await first.exited;
  home.start();
  await until(() => home.runs().every((run) => run.ended_at !== null));
  expect(processesOf(home)).toEqual([]);
});

test("limits of silence, memory and output stop a run and say so", async () => {
  const names = ["falls-silent", "takes-memory", "prints-much"];
  const limits = [
    "jobs:",
    "  falls-silent: {idle_timeout: 1 s}",
    "  takes-memory: {memory_max: 100 MB}",
    "  prints-much: {output_max: 10 MB, output_max_action: stop}",
  ].join("\n");
  const home = makeHome(names, `${limits}\n`);
  home.start();
  const runs = await until(() => {
    const all = home.runs();
    return all.length === 3 && all.every((run) => run.ended_at !== null) && all;
  });
  const said = runs.toSorted((a, b) => (a.job_id < b.job_id ? -1 : 1)).map((run) => [run.reason, run.error]);
  expect(said).toEqual([
    ["idle_timeout", "Stopped after 1 s without output (idle_timeout)"],
    [
      "memory_limit",
      expect.stringMatching(/^Stopped because it used [\d.]+ MiB of memory, more than [\d.]+ MiB \(memory_max\)$/),
    ],
    ["output_limit", expect.stringMatching(/^Stopped after it printed more than [\d.]+ MiB \(output_max\)$/)],
  ]);
  expect(processesOf(home)).toEqual([]);
});

test("of 200 MB of output the two ends are kept, and the daemon holds none of it", async () => {
  const home = makeHome(["prints-much"], "defaults: {output_max: 8 MiB}\n");
  home.script("little.sh", "echo little\n");
  home.writeJobs([
    scriptJob("aaaaaaaaaaaa", 60, "prints-much.py", { next_run_at: isoIn(4000) }),
    scriptJob("bbbbbbbbbbbb", 60, "little.sh", { next_run_at: isoIn(-500) }),
  ]);
  const daemon = home.start();
  // The first run of a daemon also loads code, whatever it prints.
  await until(() => home.runs().some((one) => one.state === "completed"));
  const resident = (): number =>
    Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${daemon.pid}/status`, "utf8"))?.[1]) / 1024;
  const before = resident();
  let most = before;
  const run = await until(() => {
    most = Math.max(most, resident());
    return home.runs().find((one) => one.job_id === "aaaaaaaaaaaa" && one.ended_at !== null);
  }, 60_000);
  expect(run).toMatchObject({ state: "completed", exit_code: 0 });
  const output = outputOf(run);
  const sizeBytes = statSync(run.output_path!).size;
  expect(sizeBytes).toBeLessThanOrEqual(8 * 1024 * 1024 + 8192);
  expect(output.startsWith("line 000000000 of")).toBe(true);
  expect(output.endsWith("\nthe end\n")).toBe(true);
  expect(output).not.toContain("\0");
  const cuts = [...output.matchAll(/\n\[… +(\d+) bytes left out …\]\n/g)];
  expect(cuts.length).toBe(1);
  expect(Number(cuts[0]![1]) + sizeBytes - Buffer.byteLength(cuts[0]![0])).toBe(981 * 204_000 + 8);
  expect(most - before).toBeLessThan(5);
});
