import { spawn, spawnSync } from "node:child_process";
import { copyFileSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, onTestFinished, test } from "vitest";
import {
  isAlive,
  makeSupervisedHome,
  type SupervisedHome,
  scriptJob,
  until,
  untilAnswering,
} from "../helpers/supervised-home.ts";

const programs = fileURLToPath(new URL("../fixtures/programs", import.meta.url));
const idOf = (index: number): string => index.toString(16).padStart(12, "a");

/** A home with jobs that run when they are asked to. */
function makeHome(scripts: Readonly<Record<string, string>>, config = ""): SupervisedHome {
  const home = makeSupervisedHome();
  home.hostConfig(`stop: {grace: 500 ms}\n${config}`);
  for (const [name, text] of Object.entries(scripts)) home.script(name, text);
  home.writeJobs(Object.keys(scripts).map((name, index) => scriptJob(idOf(index), 600, name, { name })));
  return home;
}

/** The PID that a process writes to a file of the home; it does not outlive the test. */
async function pidIn(home: SupervisedHome, name: string): Promise<number> {
  const path = join(home.path, name);
  const pid = await until(() => existsSync(path) && Number(readFileSync(path, "utf8").trim()));
  onTestFinished(() => {
    if (isAlive(pid)) process.kill(pid, "SIGKILL");
  });
  return pid;
}

/** Starts a job of the home; answers the id of the run. */
function run(home: SupervisedHome, name: string): string {
  const [file = "", ...words] = home.command("run", name, "--detach");
  const said = spawnSync(file, words, { encoding: "utf8" });
  expect([said.status, said.stderr]).toEqual([0, ""]);
  return said.stdout.trim();
}

const ended = (home: SupervisedHome, id: string): Promise<unknown> =>
  until(() => home.runs().find((one) => one.id === id)?.ended_at);

/** Starts the daemon as a shell's last word, so that what the shell left in the background is a child of the daemon. */
function startAfter(home: SupervisedHome, words: string, without: string): { stop(): Promise<void> } {
  const daemon = spawn("bash", ["-c", `${words}\nexec "$@"`, "bash", ...home.command("start")], {
    env: { PATH: process.env["PATH"], HOME: home.path, TZ: "UTC", HERMES_SUPERVISOR_WITHOUT: without },
    stdio: ["ignore", "ignore", "pipe"],
  });
  daemon.stderr.resume();
  const exited = new Promise<void>((resolve) => daemon.once("exit", () => resolve()));
  onTestFinished(async () => {
    daemon.kill("SIGKILL");
    await exited;
  });
  return {
    async stop() {
      daemon.kill("SIGTERM");
      await exited;
    },
  };
}

/** Double-forks into a session of its own and sheds all else, as late as the file `go` appears, and notes its PID. */
const hide = (folder: string, name: string, go = ""): string => `
import os, sys, time
${go === "" ? "" : `while not os.path.exists("${folder}/${go}"): time.sleep(0.02)`}
if os.fork() == 0:
    os.setsid()
    if os.fork() > 0:
        os._exit(0)
    os.closerange(0, 4096)
    write = "import os, time; open('${folder}/${name}.new', 'w').write(str(os.getpid())); os.rename('${folder}/${name}.new', '${folder}/${name}'); time.sleep(600)"
    os.execve(sys.executable, [sys.executable, "-c", write], {})
os.wait()
`;

for (const without of ["", "groups", "groups,marks"]) {
  test(`what was a child of the daemon before it began is left alone, with its later children, without "${without}"`, async () => {
    const home = makeHome({ "quick.sh": "true\n" });
    const service = join(home.path, "service.py");
    writeFileSync(service, `${hide(home.path, "late", "go")}\ntime.sleep(600)\n`);
    startAfter(
      home,
      `sleep 600 & echo $! >${home.path}/sleeper
      python3 ${service} & echo $! >${home.path}/service
      (while :; do sleep 0.1; done) & echo $! >${home.path}/loop`,
      without,
    );
    const before = await Promise.all(["sleeper", "service", "loop"].map((name) => pidIn(home, name)));
    await untilAnswering(home);
    await ended(home, run(home, "quick.sh"));
    home.file("go", "");
    const late = await pidIn(home, "late");
    await ended(home, run(home, "quick.sh"));
    expect([...before, late].map(isAlive)).toEqual([true, true, true, true]);
  });
}

test("a helper that only its parent proves is ended after its daemon was killed", async () => {
  const helper = `import subprocess, time
helper = subprocess.Popen(["sleep", "600"], start_new_session=True, env={})
open("HOME/helper", "w").write(str(helper.pid))
time.sleep(600)
`;
  const home = makeHome({});
  home.script("starts-a-helper.py", helper.replace("HOME", home.path));
  home.writeJobs([scriptJob(idOf(0), 600, "starts-a-helper.py", { name: "starts-a-helper.py" })]);
  const first = home.start({ HERMES_SUPERVISOR_WITHOUT: "groups" });
  await first.said("ready");
  const id = run(home, "starts-a-helper.py");
  const pid = await pidIn(home, "helper");
  first.kill("SIGKILL");
  await first.exited;
  home.start({ HERMES_SUPERVISOR_WITHOUT: "groups" });
  await ended(home, id);
  expect(isAlive(pid)).toBe(false);
});

test("what an ended run hid is ended while an older run goes on, and what that hid is not", async () => {
  const home = makeHome({ "older.py": "", "younger.py": "" });
  home.script("older.py", `${hide(home.path, "of-older", "go")}\ntime.sleep(600)\n`);
  const hidden = join(home.path, "of-younger");
  home.script(
    "younger.py",
    `${hide(home.path, "of-younger")}\nwhile not os.path.exists("${hidden}"): time.sleep(0.02)\n`,
  );
  const daemon = home.start({ HERMES_SUPERVISOR_WITHOUT: "groups" });
  await daemon.said("ready");
  const older = run(home, "older.py");
  await until(() => home.runs().find((one) => one.id === older)?.started_at);
  home.file("go", "");
  const kept = await pidIn(home, "of-older");
  await ended(home, run(home, "younger.py"));
  const younger = await pidIn(home, "of-younger");
  expect([kept, younger].map(isAlive)).toEqual([true, false]);
});

for (const without of ["groups", "groups,marks"]) {
  test(`what a job with detach forks long after its run is not ended with another run, without "${without}"`, async () => {
    const home = makeHome({ "quick.sh": "true\n", "detaches.py": "" }, "jobs: {detaches.py: {detach: true}}\n");
    home.script("service.py", `${hide(home.path, "late", "go")}\ntime.sleep(600)\n`);
    home.script(
      "detaches.py",
      `import subprocess, sys
service = subprocess.Popen([sys.executable, "${home.path}/scripts/service.py"], start_new_session=True, env={})
open("${home.path}/service", "w").write(str(service.pid))
`,
    );
    const daemon = home.start({ HERMES_SUPERVISOR_WITHOUT: without });
    await daemon.said("ready");
    await ended(home, run(home, "detaches.py"));
    const service = await pidIn(home, "service");
    await ended(home, run(home, "quick.sh"));
    home.file("go", "");
    const late = await pidIn(home, "late");
    await ended(home, run(home, "quick.sh"));
    expect([service, late].map(isAlive)).toEqual([true, true]);
  });
}

test("what hides from a daemon that is the first process of its PID namespace is ended", async () => {
  const home = makeHome({});
  copyFileSync(join(programs, "hides.py"), join(home.path, "scripts/hides.py"));
  home.writeJobs([scriptJob(idOf(0), 600, "hides.py", { name: "hides.py" })]);
  const words = ["-rpf", "--mount-proc", "--kill-child", ...home.command("start")];
  const daemon = spawn("unshare", words, {
    env: { PATH: process.env["PATH"], HOME: home.path, TZ: "UTC", HERMES_SUPERVISOR_WITHOUT: "groups" },
    stdio: ["ignore", "ignore", "pipe"],
  });
  daemon.stderr.resume();
  const exited = new Promise<void>((resolve) => daemon.once("exit", () => resolve()));
  onTestFinished(async () => {
    daemon.kill("SIGKILL");
    await exited;
  });
  const hidden = (): readonly string[] =>
    spawnSync("pgrep", ["-f", `^[^ ]*python[^ ]* ${home.path}/scripts/hides.py`], { encoding: "utf8" })
      .stdout.split("\n")
      .filter((pid) => pid !== "");
  await untilAnswering(home);
  const id = run(home, "hides.py");
  await until(() => hidden().length === 2);
  const [file = "", ...rest] = home.command("stop", id, "--now");
  expect(spawnSync(file, rest).status).toBe(0);
  expect(hidden()).toEqual([]);
});
