import { execFileSync } from "node:child_process";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { open } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { createWaitingBash } from "../../src/child/waiting-bash.ts";
import { readMarkedProcesses } from "../../src/output/marked-processes.ts";
import { packageRoot } from "../../src/system/package-root.ts";
import type { GatedChild } from "../../src/system/processes.ts";
import { createFiles } from "../../src/system/real-files.ts";
import { createProcesses } from "../../src/system/real-processes.ts";
import { formatGateOrder, type GateOrder } from "../../worker/protocol.ts";
import { isoIn, makeSupervisedHome, type SupervisedHome, scriptJob, until } from "../helpers/supervised-home.ts";

const base = realpathSync(mkdtempSync(join(tmpdir(), "supervisor-test-")));
const bash = "/bin/bash";
const gatePath = join(packageRoot(), "worker", "gate.bash");
const processes = createProcesses();
afterAll(() => rmSync(base, { recursive: true, force: true }));

interface Launcher {
  readonly child: GatedChild;
  readonly folder: string;
  /** Opens the gate for `script` and answers what came of it. */
  run(order?: Partial<GateOrder>): Promise<{ readonly output: string; readonly errors: string; readonly exit: string }>;
}

let launchers = 0;

/** A launcher for `<work>/script.sh`, with bash started ahead or not. */
function launch(
  work: string,
  ahead: boolean,
  variables: Readonly<Record<string, string>> = {},
  waitsIn = [gatePath],
): Launcher {
  const folder = join(base, `run-${++launchers}`);
  mkdirSync(folder);
  const script = join(work, "script.sh");
  const child = processes.spawnGated({
    runId: `run-${launchers}`,
    file: "/bin/sh",
    arguments: [
      join(packageRoot(), "worker", "launch.sh"),
      folder,
      "",
      ...(ahead ? [work, bash, script, ...waitsIn] : []),
    ],
    cwd: folder,
    environment: { PATH: "/usr/bin:/bin", HOME: base, HERMES_SUPERVISOR_RUN_DIR: folder, ...variables },
    outputPath: join(folder, "output.log"),
    errorPath: join(folder, "errors.log"),
    launcherPath: join(folder, "launcher.log"),
    lifelinePath: join(folder, "alive"),
  });
  const read = (name: string): string => readFileSync(join(folder, name), "utf8");
  return {
    child,
    folder,
    async run(order = {}) {
      const loaded = { folder: work, program: bash, argument: script };
      const plain = { jobId: "job", attempt: 1, scheduledAt: "", ...loaded, ...order };
      child.open(formatGateOrder(plain, ahead ? loaded : null));
      await child.ended;
      return { output: read("output.log"), errors: read("errors.log"), exit: read("exit") };
    },
  };
}

function makeWork(script: string): string {
  const work = mkdtempSync(join(base, "work-"));
  writeFileSync(join(work, "script.sh"), script);
  return work;
}

/** Everything that a script can find out about its shell, but for numbers that differ from process to process. */
const lookAround = `first=$_
echo "zero $0 count $# flags $- last $? underscore $first line $LINENO seconds $SECONDS"
echo "source \${BASH_SOURCE[*]} depth \${#FUNCNAME[*]} self $(( $$ == BASHPID ))"
set +o; shopt -p; trap -p; declare -F; alias; jobs; umask; ulimit -a; pwd; times >/dev/null
for one in /proc/$$/fd/*; do echo "\${one##*/} $(readlink "$one")"; done | sed "s/pipe:.*/pipe/; / $/d"
declare -p | grep -vE '^declare -[a-z-]* (BASHPID|BASH_ARGC|BASH_ARGV|EPOCHREALTIME|EPOCHSECONDS|PPID|RANDOM|SRANDOM|first|one|_)='
env | sort
nosuchcommand
echo to-errors >&2
exit 7
`;

test("a script for which bash waited finds the same shell as one whose bash is started when it is due", async () => {
  const work = makeWork(lookAround);
  const late = launch(work, false);
  const early = launch(work, true);
  const [expected, found] = [await late.run(), await early.run()];
  const plain = (text: string): string => text.replaceAll(late.folder, "RUN").replaceAll(early.folder, "RUN");
  expect(plain(found.output).split("\n")).toEqual(plain(expected.output).split("\n"));
  expect(found.errors).toBe(expected.errors);
  expect(found.errors).toContain("script.sh: line 8: nosuchcommand: command not found\nto-errors\n");
  expect(found.exit).toBe("7\n");
  expect(found.output).toContain("HERMES_SUPERVISOR_JOB_ID=job\n");
});

test("a launcher leaves variables alone whose names it could use itself", async () => {
  const names = ["argument", "folder", "go", "line", "order", "program", "run", "status"];
  const variables = Object.fromEntries(names.map((name) => [name, `of ${name}`]));
  const work = makeWork(`env | grep '=of ' | sort\n`);
  for (const ahead of [false, true]) {
    const { output } = await launch(work, ahead, variables).run();
    expect(output.trimEnd().split("\n")).toEqual(names.map((name) => `${name}=of ${name}`));
  }
});

test("bash reads its script only behind the gate", async () => {
  const work = makeWork("echo old\n");
  const launcher = launch(work, true);
  await waitsAtGate(launcher);
  writeFileSync(join(work, "script.sh"), "echo new\n");
  expect((await launcher.run()).output).toBe("new\n");
});

test("a gate that ends before it brought its order runs nothing", async () => {
  const work = makeWork(`echo ran >"${base}/ran"\n`);
  const torn = launch(work, true);
  torn.child.open("job\n1\n\n");
  const closed = launch(work, true);
  await waitsAtGate(closed);
  closed.child.discard();
  for (const { child, folder } of [torn, closed]) {
    expect(await child.ended).toEqual({ exitCode: 0, signal: null });
    expect(existsSync(join(folder, "started"))).toBe(false);
    expect(existsSync(join(folder, "exit"))).toBe(false);
  }
  expect(existsSync(join(base, "ran"))).toBe(false);
});

test("what the gate brings counts, not what bash was started for", async () => {
  const work = makeWork("echo wrong\n");
  const other = makeWork("");
  writeFileSync(join(other, "other.py"), "import os, sys\nprint(sys.argv[0], os.getcwd(), 'BASH_ENV' in os.environ)\n");
  const order = { program: "/usr/bin/python3", argument: join(other, "other.py"), folder: other };
  expect((await launch(work, true).run(order)).output).toBe(`${join(other, "other.py")} ${other} False\n`);
});

test("a folder that was replaced while bash waited is entered anew", async () => {
  const work = makeWork("pwd -P; ls\n");
  const launcher = launch(work, true);
  await waitsAtGate(launcher);
  renameSync(work, `${work}-old`);
  mkdirSync(work);
  writeFileSync(join(work, "script.sh"), "pwd -P; ls\n");
  writeFileSync(join(work, "new"), "");
  expect((await launcher.run()).output).toBe(`${work}\nnew\nscript.sh\n`);
});

test("a folder that is not there when bash would be started is a matter of the gate", async () => {
  const work = makeWork("echo wrong\n");
  rmSync(work, { recursive: true });
  const launcher = launch(work, true);
  await waitsAtGate(launcher, "sh");
  mkdirSync(work);
  writeFileSync(join(work, "script.sh"), "echo here\n");
  expect((await launcher.run()).output).toBe("here\n");
});

test("a bash is started ahead only where it was seen to wait", async () => {
  const posix = join(base, "posix-bash");
  writeFileSync(posix, `#!/bin/sh\nexec /bin/bash --posix "$@"\n`, { mode: 0o755 });
  const wrapper = join(base, "wrapper-bash");
  writeFileSync(wrapper, `#!/bin/sh\necho "started for $1" >>"${base}/wrapped"\nexec /bin/bash "$@"\n`, {
    mode: 0o755,
  });
  const waiting = createWaitingBash({ files: createFiles(), processes }, gatePath);
  const answer = async (program: string, variables: Readonly<Record<string, string>>): Promise<boolean> => {
    const environment = { id: JSON.stringify(variables), variables: { PATH: "/usr/bin:/bin", ...variables } };
    return waiting.waits(program, environment);
  };
  expect(await answer(bash, {})).toBe(true);
  expect(await answer(posix, {})).toBe(false);
  expect(await answer(wrapper, {})).toBe(false);
  expect(await answer("/bin/sh", {})).toBe(false);
  expect(await answer("/nonexistent/bash", {})).toBe(false);
  expect(await answer(bash, { POSIXLY_CORRECT: "1" })).toBe(false);
  expect(await answer(bash, { BASH_ENV: "/etc/profile" })).toBe(false);
  expect(await answer(bash, { SHELLOPTS: "xtrace" })).toBe(false);
  expect(await answer(bash, { "BASH_FUNC_read%%": "() { :; }" })).toBe(false);
  expect(await answer(bash, { TMOUT: "1" })).toBe(false);
  expect(existsSync(join(base, "wrapped"))).toBe(false);
});

test("a bash is started ahead from no folder whose name bash would take for commands", async () => {
  const odd = join(base, `a $(cd; touch executed) 'b`);
  mkdirSync(odd);
  copyFileSync(gatePath, join(odd, "gate.bash"));
  const waiting = createWaitingBash({ files: createFiles(), processes }, join(odd, "gate.bash"));
  const environment = { id: "", variables: { PATH: "/usr/bin:/bin", HOME: base } };
  expect(await waiting.waits(bash, environment)).toBe(false);
  expect(existsSync(join(base, "executed"))).toBe(false);
});

test("the daemon starts bash ahead of the jobs that are due next, and not where bash would not wait", async () => {
  const home = makeSupervisedHome();
  const ownEnvironment = `tr '\\0' '\\n' </proc/$$/environ | grep -c ^BASH_ENV=\n`;
  home.script("look.sh", ownEnvironment);
  home.script("where.sh", "pwd\n");
  home.file(".env", "");
  // A busy machine may have no time to start one ahead, so it is looked for among several.
  const often = "* * * * * */2";
  home.writeJobs([
    scriptJob("aaaaaaaaaaaa", often, "look.sh"),
    scriptJob("cccccccccccc", often, "where.sh", { workdir: "src" }),
  ]);
  const daemon = home.start();
  await until(() => outputsOf(home, "aaaaaaaaaaaa").includes("1\n") && outputsOf(home, "cccccccccccc").length > 0);
  // A folder that is not named from the root on would be another one for each process that reads it.
  expect(outputsOf(home, "cccccccccccc")[0]).toBe(`${join(home.path, "scripts")}\n`);
  daemon.kill("SIGINT");
  await daemon.exited;
  home.file(".env", "POSIXLY_CORRECT=1\n");
  home.writeJobs([scriptJob("bbbbbbbbbbbb", 60, "look.sh", { next_run_at: isoIn(4000) })]);
  home.start();
  await until(() => outputsOf(home, "bbbbbbbbbbbb").length > 0);
  expect(outputsOf(home, "bbbbbbbbbbbb")).toEqual(["0\n"]);
});

test("readMarkedProcesses() tells whose bash it is that was started before it was anybody's", async () => {
  const work = makeWork('read -r line <"$HOME/hold"\n');
  execFileSync("mkfifo", [join(base, "hold")]);
  const launcher = launch(work, true, { HERMES_SUPERVISOR_RUN_ID: "marked-run" });
  await waitsAtGate(launcher);
  const jobs = (): readonly (string | null)[] =>
    (readMarkedProcesses({ files: createFiles() }) ?? [])
      .filter((each) => each.runId === "marked-run")
      .toSorted((a, b) => a.pid - b.pid)
      .map((each) => each.jobId);
  expect(jobs()).toEqual([null, null]);
  const ended = launcher.run();
  const hold = await open(join(base, "hold"), "w");
  expect(jobs()).toEqual([null, "job"]);
  await hold.close();
  await ended;
});

function outputsOf(home: SupervisedHome, jobId: string): readonly string[] {
  return home
    .runs()
    .filter((run) => run.job_id === jobId && run.ended_at !== null)
    .map((run) => readFileSync(join(home.state, "runs", run.id, "output.log"), "utf8"));
}

test("a launcher that is not told how its program waits starts nothing ahead", async () => {
  const work = makeWork(`echo ran >>"${base}/ran-ahead"\n`);
  const launcher = launch(work, true, {}, []);
  await waitsAtGate(launcher, "sh");
  expect(existsSync(join(base, "ran-ahead"))).toBe(false);
  launcher.child.discard();
  await launcher.child.ended;
});

/** Until the program below the launcher has nothing more to load: it then sleeps in its read of the gate. */
async function waitsAtGate({ child }: Launcher, name = "bash"): Promise<void> {
  const pid = child.fingerprint.pid;
  for (;;) {
    const kids = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim();
    if (kids !== "" && readFileSync(`/proc/${kids}/comm`, "utf8") === `${name}\n`) {
      if (readFileSync(`/proc/${kids}/wchan`, "utf8").includes("pipe") || stateOf(kids) === "S") return;
    }
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

function stateOf(pid: string): string {
  return readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.[0] ?? "";
}

test("exitStatus() listens for no signal of ours, which would then be raised a second time", async () => {
  const signals = ["SIGTERM", "SIGINT", "SIGHUP"] as const;
  const count = () => signals.map((signal) => process.listenerCount(signal));
  const before = count();
  const ended = processes.exitStatus("/bin/sleep", ["0.2"], {});
  expect(count()).toEqual(before);
  expect(await ended).toBe(0);
});
