import { spawn, spawnSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { createRunLedger } from "../../src/ledger/run-ledger.ts";
import { createFiles } from "../../src/system/real-files.ts";
import { isAlive, isoIn, type JobRecord, makeSupervisedHome, scriptJob, until } from "../helpers/supervised-home.ts";

const everySecond = "* * * * * *";
const yearly = "0 0 1 1 *";

test("a due script job runs in a process of its own, with its record, row, slot and document", async () => {
  const home = makeSupervisedHome();
  home.script(
    "say.sh",
    'echo "hello from $HERMES_SUPERVISOR_JOB_ID, attempt $HERMES_SUPERVISOR_ATTEMPT, in $HERMES_HOME"; pwd\n',
  );
  home.writeJobs([scriptJob("aaaaaaaaaaaa", 60, "say.sh", { next_run_at: isoIn(-1000) })]);
  home.start();
  const [run] = await until(() => home.runs().filter((one) => one.state === "completed")[0] && home.runs());
  expect(run).toMatchObject({ job_id: "aaaaaaaaaaaa", state: "completed", reason: null, exit_code: 0, signal: null });
  const said = `hello from aaaaaaaaaaaa, attempt 1, in ${home.path}\n${home.path}/scripts`;
  expect(readFileSync(run!.output_path!, "utf8")).toBe(`${said}\n`);
  const document = readFileSync(run!.document_path!, "utf8");
  expect(document.replace(/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d/, "<time>")).toBe(
    `# Cron Job: job aaaaaaaaaaaa\n\n**Job ID:** aaaaaaaaaaaa\n**Run Time:** <time>\n**Mode:** no_agent (script)\n\n---\n\n${said}\n`,
  );
  expect(statSync(run!.document_path!).mode & 0o777).toBe(0o600);
  const job = await until(() => home.job("aaaaaaaaaaaa")["last_status"] !== null && home.job("aaaaaaaaaaaa"));
  expect(job).toMatchObject({
    last_status: "ok",
    last_error: null,
    fire_claim: null,
    repeat: { times: null, completed: 1 },
  });
  expect(home.slots()).toMatchObject([
    { decision: "run", reason: "on_time", run_id: run!.id, scheduled_at: run!.scheduled_at },
  ]);
});

test("exit codes, signals and silence are told apart", async () => {
  const home = makeSupervisedHome();
  const due = { next_run_at: isoIn(-500) };
  home.script("three.sh", "echo out; echo err >&2; exit 3\n");
  home.script("code137.sh", "exit 137\n");
  home.script("killed.sh", "kill -KILL $$\n");
  home.script("silent.sh", "true\n");
  home.script("asleep.py", 'print("noted")\nprint(\'{"wakeAgent": false}\')\n');
  home.writeJobs(
    ["three.sh", "code137.sh", "killed.sh", "silent.sh", "asleep.py"].map((name, index) =>
      scriptJob(`${index}aaaaaaaaaaa`, 60, name, due),
    ),
  );
  home.file("config.yaml", "cron: {max_parallel_jobs: 8}\n");
  home.start();
  await until(() => home.runs().filter((run) => run.ended_at !== null).length === 5);
  const rows = home.runs().toSorted((a, b) => (a.job_id < b.job_id ? -1 : 1));
  expect(rows.map((run) => [run.state, run.reason, run.exit_code, run.signal, run.error])).toEqual([
    ["failed", "exit", 3, null, "Script exited with code 3: err"],
    ["failed", "exit", 137, null, "Script exited with code 137"],
    ["failed", "signal", null, "SIGKILL", "Script was ended by SIGKILL"],
    ["completed", null, 0, null, null],
    ["completed", null, 0, null, null],
  ]);
  const documents = rows.map((run) => readFileSync(run.document_path!, "utf8").split("(script)\n")[1]);
  expect(documents).toEqual([
    "**Status:** script failed\n\nScript exited with code 3\nstderr:\nerr\nstdout:\nout\n",
    "**Status:** script failed\n\nScript exited with code 137\n",
    "**Status:** script failed\n\nScript exited with code -9\n",
    "**Status:** silent (empty output)\n",
    "**Status:** silent (wakeAgent=false)\n",
  ]);
  await until(() => home.job("0aaaaaaaaaaa")["last_status"] === "error");
  expect(home.job("0aaaaaaaaaaa")["last_error"]).toBe("Script exited with code 3\nstderr:\nerr\nstdout:\nout");
  expect(readFileSync(rows[0]!.output_path!, "utf8")).toBe("out\nerr\n");
});

test("each home's runs see their own environment and no other's, and secrets reach no record", async () => {
  const home = makeSupervisedHome();
  const team = home.profile("team");
  const show = 'echo "$MINE|$ONLY_ROOT|$OPENAI_API_KEY|$HERMES_HOME|$DAEMON_ONLY"; cat /proc/$$/environ >/dev/null\n';
  for (const at of [home.path, team]) {
    home.script("show.sh", show, at);
    home.writeJobs([scriptJob("aaaaaaaaaaaa", 60, "show.sh", { next_run_at: isoIn(-500) })], at);
  }
  home.file(".env", "MINE=root\nONLY_ROOT=yes\nOPENAI_API_KEY=sk-of-root-123456\n");
  home.file("profiles/team/.env", "MINE=team\nOPENAI_API_KEY=sk-of-team-123456\n");
  home.start({ DAEMON_ONLY: "secret-of-daemon" });
  await until(() => home.runs().filter((run) => run.state === "completed").length === 2);
  const printed = Object.fromEntries(
    home.runs().map((run) => [run.home, readFileSync(run.output_path!, "utf8").trim()]),
  );
  expect(printed).toEqual({ default: `root|yes||${home.path}|`, team: `team|||${team}|` });
  const [spec] = home.runs().map((run) => readFileSync(run.output_path!.replace("output.log", "spec.json"), "utf8"));
  expect(spec).toContain('"MINE"');
  const kept = spawnSync(
    "grep",
    ["-rl", "-e", "sk-of-", "-e", "secret-of-daemon", home.state, join(home.path, "cron")],
    { encoding: "utf8" },
  );
  expect(kept.stdout).toBe("");
});

test("a job never overlaps itself: the instants that pass meanwhile are skips with a line", async () => {
  const home = makeSupervisedHome();
  home.script("slow.sh", "sleep 2.4\n");
  home.writeJobs([scriptJob("aaaaaaaaaaaa", everySecond, "slow.sh")]);
  home.start();
  await until(() => home.runs().filter((run) => run.state === "completed").length >= 2);
  const slots = home.slots().toSorted((a, b) => (a.scheduled_at < b.scheduled_at ? -1 : 1));
  const times = slots.map((slot) => Date.parse(slot.scheduled_at));
  expect(times).toEqual(times.map((_, index) => times[0]! + 1000 * index));
  expect(slots.slice(0, 4).map((slot) => `${slot.decision} ${slot.reason}`)).toEqual([
    "run on_time",
    "skip overlap",
    "skip overlap",
    "run on_time",
  ]);
});

test("max_parallel_jobs 1 is serial, and those that wait say so", async () => {
  const home = makeSupervisedHome();
  home.script("note.sh", `exec 9>${home.path}/one; flock -n 9 || touch ${home.path}/overlapped; sleep 0.3\n`);
  home.writeJobs([1, 2, 3].map((n) => scriptJob(`${n}aaaaaaaaaaa`, 60, "note.sh", { next_run_at: isoIn(-1000 * n) })));
  home.file("config.yaml", "cron: {max_parallel_jobs: 1}\n");
  home.start();
  await until(() => home.slots().some((slot) => slot.decision === "pending" && slot.reason === "capacity"));
  await until(() => home.runs().filter((run) => run.state === "completed").length === 3);
  expect(existsSync(join(home.path, "overlapped"))).toBe(false);
  const order = home.runs().toSorted((a, b) => (a.started_at! < b.started_at! ? -1 : 1));
  expect(order.map((run) => run.job_id[0])).toEqual(["3", "2", "1"]);
  expect(home.slots().map((slot) => slot.decision)).toEqual(["run", "run", "run"]);
});

test("after kill -9 an open run is stopped, recorded as orphaned, and its job does not start beside it", async () => {
  const home = makeSupervisedHome();
  home.script("long.sh", `echo $$ >> ${home.path}/pids; trap '' TERM; sleep 60 & wait; sleep 60\n`);
  home.writeJobs([scriptJob("aaaaaaaaaaaa", 60, "long.sh", { next_run_at: isoIn(-500) })]);
  mkdirSync(home.state, { recursive: true });
  writeFileSync(join(home.state, "config.yaml"), "stop: {grace: 500 ms}\n");
  const first = home.start();
  const pid = await until(
    () => existsSync(join(home.path, "pids")) && Number(readFileSync(join(home.path, "pids"), "utf8")),
  );
  first.kill("SIGKILL");
  await first.exited;
  expect(isAlive(pid)).toBe(true);
  home.start();
  const run = await until(() => home.runs().find((one) => one.state === "failed"));
  expect(run).toMatchObject({ reason: "orphaned", exit_code: null });
  expect(isAlive(pid)).toBe(false);
  await until(() => home.job("aaaaaaaaaaaa")["last_status"] === "error");
  expect(home.job("aaaaaaaaaaaa")).toMatchObject({ fire_claim: null, repeat: { completed: 1 } });
  expect(readFileSync(run.document_path!, "utf8")).toContain("The supervisor died while this run was open");
});

test("a run that ends while no daemon is there keeps its true outcome", async () => {
  const home = makeSupervisedHome();
  home.script("five.sh", `touch ${home.path}/began; sleep 0.7; echo late; exit 5\n`);
  home.writeJobs([scriptJob("aaaaaaaaaaaa", 60, "five.sh", { next_run_at: isoIn(-500) })]);
  const first = home.start();
  await until(() => existsSync(join(home.path, "began")));
  first.kill("SIGKILL");
  await first.exited;
  const [open] = home.runs();
  await until(() => existsSync(open!.output_path!.replace("output.log", "exit")));
  home.start();
  const run = await until(() => home.runs().find((one) => one.ended_at !== null));
  expect(run).toMatchObject({ state: "failed", reason: "exit", exit_code: 5 });
});

test("an instant that came after such a run was over is served, not called an overlap", async () => {
  const home = makeSupervisedHome();
  home.script("count.sh", `echo one >> ${home.path}/began; sleep 0.3\n`);
  const began = (): number => readFileSync(join(home.path, "began"), "utf8").length / 4;
  home.writeJobs([scriptJob("aaaaaaaaaaaa", 60, "count.sh", { next_run_at: isoIn(-500) })]);
  const first = home.start();
  await until(() => existsSync(join(home.path, "began")));
  first.kill("SIGKILL");
  await first.exited;
  const [open] = home.runs();
  await until(() => existsSync(open!.output_path!.replace("output.log", "exit")));
  const again = isoIn(0);
  home.writeJobs([scriptJob("aaaaaaaaaaaa", 60, "count.sh", { next_run_at: again })]);
  home.start();
  await until(() => home.runs().filter((one) => one.ended_at !== null).length === 2);
  expect(began()).toBe(2);
  expect(home.slots().map((slot) => slot.decision)).toEqual(["run", "run"]);
});

test("SIGTERM hands over: the run goes on, the next daemon adopts it and records its exit code", async () => {
  const home = makeSupervisedHome();
  home.script("seven.sh", `cd ${home.path}; touch began; for i in {1..300}; do [ -e go ] && exit 7; sleep 0.1; done\n`);
  home.writeJobs([scriptJob("aaaaaaaaaaaa", 60, "seven.sh", { next_run_at: isoIn(-500) })]);
  const first = home.start();
  await until(() => existsSync(join(home.path, "began")));
  first.kill("SIGTERM");
  expect(await first.exited).toEqual({ code: 0, signal: null });
  expect(isAlive(home.runs()[0]!.pid)).toBe(true);
  await home.start().said('"ready"');
  writeFileSync(join(home.path, "go"), "");
  const run = await until(() => home.runs().find((one) => one.ended_at !== null));
  expect(run).toMatchObject({ state: "failed", reason: "exit", exit_code: 7, adopted: true });
});

test("SIGINT waits for the runs and claims nothing more", async () => {
  const home = makeSupervisedHome();
  home.script("two.sh", `echo x >> ${home.path}/began; sleep 1.5\n`);
  home.writeJobs([scriptJob("aaaaaaaaaaaa", everySecond, "two.sh")]);
  const daemon = home.start();
  await until(() => existsSync(join(home.path, "began")));
  daemon.kill("SIGINT");
  expect(await daemon.exited).toEqual({ code: 0, signal: null });
  expect(home.runs().map((run) => run.state)).toEqual(["completed"]);
});

test("a second daemon on one state folder exits 6 and says who holds it", async () => {
  const home = makeSupervisedHome();
  home.writeJobs([]);
  const first = home.start();
  await first.said('"ready"');
  const second = home.start();
  expect((await second.exited).code).toBe(6);
  expect(second.log()).toBe(
    `Cannot start in "${home.state}": another daemon holds this state folder; see hermes-supervisor status, or choose another --state\n`,
  );
});

test("a damaged jobs.json degrades its home alone, is not written over, and works again once it is good", async () => {
  const home = makeSupervisedHome();
  const team = home.profile("team");
  home.script("ok.sh", "echo ok\n", team);
  home.script("ok.sh", "echo ok\n");
  home.writeJobs([scriptJob("bbbbbbbbbbbb", everySecond, "ok.sh")], team);
  const damaged = '{\n  "jobs": [\n    {"id": "aaaaaaaaaaaa", ';
  writeFileSync(join(home.path, "cron/jobs.json"), damaged);
  const daemon = home.start();
  await until(() => home.runs().filter((run) => run.home === "team" && run.state === "completed").length >= 2);
  const status = home.ask("status").json as {
    homes: { name: string; state: string; reason: string }[];
    alerts: { kind: string }[];
  };
  const root = status.homes.find((one) => one.name === "default");
  expect(root?.state).toBe("degraded");
  expect(root?.reason).toMatch(
    /^Cannot read jobs ".*cron\/jobs.json": line 3, column \d+: .*, mend the file or put a good copy in its place$/,
  );
  expect(status.alerts.map((alert) => alert.kind)).toContain("home_degraded");
  expect(readFileSync(join(home.path, "cron/jobs.json"), "utf8")).toBe(damaged);
  expect(daemon.log().split("a home cannot be served").length).toBe(2);
  home.writeJobs([scriptJob("aaaaaaaaaaaa", 60, "ok.sh", { next_run_at: isoIn(-500) })]);
  await until(() => home.runs().some((run) => run.home === "default" && run.state === "completed"));
});

test("a home with an unknown layout is shown as unsupported, never written, and said to have been so", async () => {
  const home = makeSupervisedHome();
  home.script("ok.sh", "echo ok\n");
  home.writeJobs([scriptJob("aaaaaaaaaaaa", everySecond, "ok.sh")]);
  writeFileSync(join(home.path, "cron/runtime.db"), "");
  const before = readFileSync(join(home.path, "cron/jobs.json"), "utf8");
  const daemon = home.start();
  await daemon.said('"ready"');
  await new Promise((resolve) => setTimeout(resolve, 2200));
  expect(readFileSync(join(home.path, "cron/jobs.json"), "utf8")).toBe(before);
  expect(existsSync(join(home.path, "cron/.tick.lock"))).toBe(false);
  const status = home.ask("status").json as { homes: { state: string }[] };
  expect(status.homes[0]?.state).toBe("unsupported");
  expect(home.runs()).toEqual([]);
  const atMs = Date.now() - 1000;
  rmSync(join(home.path, "cron/runtime.db"));
  await until(() => home.runs().length > 0);
  const ledger = createRunLedger({ files: createFiles() }, join(home.state, "supervisor.db"), { readOnly: true });
  onTestFinished(() => ledger.dispose());
  expect(ledger.spells("default", atMs, atMs)).toMatchObject([{ kind: "unsupported", endedMs: expect.any(Number) }]);
});

test("scripts that are missing, outside scripts/ or unreadable fail their run with Hermes' words", async () => {
  const home = makeSupervisedHome();
  const due = { next_run_at: isoIn(-500) };
  writeFileSync(join(home.path, "outside.sh"), "echo no\n");
  symlinkSync(join(home.path, "outside.sh"), join(home.path, "scripts/link.sh"));
  mkdirSync(join(home.path, "scripts/folder.sh"));
  home.file("config.yaml", "cron: {max_parallel_jobs: 8}\n");
  home.writeJobs([
    scriptJob("1aaaaaaaaaaa", 60, "gone.sh", due),
    scriptJob("2aaaaaaaaaaa", 60, "../outside.sh", due),
    scriptJob("3aaaaaaaaaaa", 60, "link.sh", due),
    scriptJob("4aaaaaaaaaaa", 60, "folder.sh", due),
  ]);
  home.start();
  await until(() => home.runs().filter((run) => run.state === "failed").length === 4);
  const rows = home.runs().toSorted((a, b) => (a.job_id < b.job_id ? -1 : 1));
  const scripts = `${home.path}/scripts`;
  expect(rows.map((run) => [run.reason, run.error])).toEqual([
    [
      "not_started",
      `Script not found: ${scripts}/gone.sh. Cron scripts are looked up only in this profile's folder (${scripts}); if the job was copied from another profile, copy the script there too, or edit the job with \`hermes cron edit\`.`,
    ],
    ["not_started", `Blocked: script path resolves outside the scripts directory (${scripts}): '../outside.sh'`],
    ["not_started", `Blocked: script path resolves outside the scripts directory (${scripts}): 'link.sh'`],
    ["not_started", `Script path is not a file: ${scripts}/folder.sh`],
  ]);
});

test("ESTOP holds what is due, with a line, and its removal runs it", async () => {
  const home = makeSupervisedHome();
  home.script("ok.sh", "echo ok\n");
  home.file("ESTOP", "");
  home.writeJobs([scriptJob("aaaaaaaaaaaa", 60, "ok.sh", { next_run_at: isoIn(-500) })]);
  home.start();
  await until(() => home.slots().some((slot) => slot.decision === "pending" && slot.reason === "estop"));
  const status = home.ask("status").json as { homes: { state: string; reason: string }[] };
  expect(status.homes[0]).toMatchObject({ state: "paused", reason: "estop" });
  spawnSync("rm", [join(home.path, "ESTOP")]);
  await until(() => home.runs().some((run) => run.state === "completed"));
  expect(home.slots()).toMatchObject([{ decision: "run" }]);
});

test("a tick lock that a stranger holds delays a run and loses no instant", async () => {
  const home = makeSupervisedHome();
  home.script("ok.sh", "echo ok\n");
  home.writeJobs([scriptJob("aaaaaaaaaaaa", everySecond, "ok.sh")]);
  const holder = spawn("flock", [join(home.path, "cron/.tick.lock"), "sleep", "2.5"], { stdio: "ignore" });
  onTestFinished(() => void holder.kill());
  const daemon = home.start();
  await daemon.said('"ready"');
  await until(() => home.runs().filter((run) => run.state === "completed").length >= 2);
  const slots = home.slots().toSorted((a, b) => (a.scheduled_at < b.scheduled_at ? -1 : 1));
  const times = slots.map((slot) => Date.parse(slot.scheduled_at));
  expect(times).toEqual(times.map((_, index) => times[0]! + 1000 * index));
  for (const slot of slots) expect(["run", "coalesce", "pending"]).toContain(slot.decision);
});

test("a run that passes its timeout is stopped and says so", async () => {
  const home = makeSupervisedHome();
  home.script("slow.sh", "echo started; sleep 60\n");
  home.file("config.yaml", "cron: {script_timeout_seconds: 1}\n");
  home.writeJobs([scriptJob("aaaaaaaaaaaa", 60, "slow.sh", { next_run_at: isoIn(-500) })]);
  home.start();
  const run = await until(() => home.runs().find((one) => one.state === "failed"));
  expect(run).toMatchObject({ reason: "timeout", error: `Script timed out after 1s: ${home.path}/scripts/slow.sh` });
});

test("a profile that appears is served, and one that vanishes is not written to again", async () => {
  const home = makeSupervisedHome();
  home.writeJobs([]);
  const daemon = home.start();
  await daemon.said('"ready"');
  const late = home.profile("late");
  home.script("ok.sh", "echo ok\n", late);
  home.writeJobs([scriptJob("aaaaaaaaaaaa", everySecond, "ok.sh")], late);
  await until(() => home.runs().some((run) => run.home === "late" && run.state === "completed"));
  // In one step: a run's last write between the steps of rm would keep the folder there.
  renameSync(late, join(home.path, "taken-away"));
  await daemon.said("a home is gone");
  await new Promise((resolve) => setTimeout(resolve, 1500));
  expect(existsSync(late)).toBe(false);
});

test("fields, key order and numbers that we do not know come back token for token", async () => {
  const home = makeSupervisedHome();
  home.script("ok.sh", "echo ok\n");
  const record = JSON.stringify(scriptJob("aaaaaaaaaaaa", 60, "ok.sh", { next_run_at: isoIn(-500) }), null, 2);
  const strange = `"10": 1, "9": 2.0, "big": 123456789012345678901234567890, "nan": NaN, "esc": "\\u00e9\\/"`;
  const text = `{\n "version": 7,\n  "jobs": [\n${record.slice(0, -2)},\n ${strange}\n}, {"id": "bbbbbbbbbbbb", "schedule": 5, "x": 1e5}\n ]\n}`;
  writeFileSync(join(home.path, "cron/jobs.json"), text);
  home.start();
  await until(() => readFileSync(join(home.path, "cron/jobs.json"), "utf8").includes('"last_status": "ok"'));
  const after = readFileSync(join(home.path, "cron/jobs.json"), "utf8");
  expect(after).toContain(strange);
  expect(after).toContain('{"id": "bbbbbbbbbbbb", "schedule": 5, "x": 1e5}');
  expect(after).toContain('"version": 7');
});

test("start --once runs what is due, waits for it and ends", async () => {
  const home = makeSupervisedHome();
  home.script("ok.sh", "sleep 0.3; echo ok\n");
  home.writeJobs([
    scriptJob("aaaaaaaaaaaa", 60, "ok.sh", { next_run_at: isoIn(-500) }),
    scriptJob("bbbbbbbbbbbb", yearly, "ok.sh"),
  ]);
  const daemon = home.start({}, ["--once"]);
  expect((await daemon.exited).code).toBe(0);
  expect(home.runs().map((run) => [run.job_id, run.state])).toEqual([["aaaaaaaaaaaa", "completed"]]);
  expect(home.job("aaaaaaaaaaaa")["last_status"]).toBe("ok");
});

test("the state folder and what is in it is for its owner alone", async () => {
  const home = makeSupervisedHome();
  home.script("ok.sh", "echo ok\n");
  home.writeJobs([scriptJob("aaaaaaaaaaaa", 60, "ok.sh", { next_run_at: isoIn(-500) })]);
  const daemon = home.start();
  await until(() => home.runs().some((run) => run.state === "completed"));
  const folder = home.runs()[0]!.output_path!.replace("/output.log", "");
  const modes = (path: string): string => (statSync(path).mode & 0o777).toString(8);
  expect([home.state, `${home.state}/runs`, folder].map(modes)).toEqual(["700", "700", "700"]);
  expect(["supervisor.db", "control.sock"].map((name) => modes(join(home.state, name)))).toEqual(["600", "600"]);
  expect(["output.log", "spec.json", "result.json", "alive"].map((name) => modes(join(folder, name)))).toEqual([
    "600",
    "600",
    "600",
    "600",
  ]);
  expect(daemon.process.exitCode).toBe(null);
  chmodSync(folder, 0o700);
});

test("of two records with one id the first runs, and the second is left alone", async () => {
  const home = makeSupervisedHome();
  for (const name of ["first", "second"]) home.script(`${name}.sh`, `echo ${name}\n`);
  home.writeJobs([
    { ...scriptJob("aaaaaaaaaaaa", 60, "first.sh", { next_run_at: isoIn(-500) }), name: "first" },
    { ...scriptJob("aaaaaaaaaaaa", 60, "second.sh", { next_run_at: isoIn(3_600_000) }), name: "second" },
  ]);
  home.start();
  const run = await until(() => home.runs().find((one) => one.ended_at !== null));
  expect([run.job_name, readFileSync(run.output_path!, "utf8")]).toEqual(["first", "first\n"]);
});

test("a script that cannot even be looked at fails its own run alone", async () => {
  const home = makeSupervisedHome();
  symlinkSync("loop.sh", join(home.path, "scripts/loop.sh"));
  home.script("good.sh", "echo good\n");
  const due = { next_run_at: isoIn(-500) };
  home.writeJobs([
    scriptJob("aaaaaaaaaaaa", 60, "loop.sh", due),
    scriptJob("bbbbbbbbbbbb", 60, `${"long".repeat(100)}.sh`, due),
    scriptJob("cccccccccccc", 60, "good.sh", due),
  ]);
  home.start();
  await until(() => home.runs().length === 3 && home.runs().every((run) => run.ended_at !== null));
  const states = home.runs().map((run) => [run.job_id[0], run.state, run.reason]);
  expect(states.toSorted()).toEqual([
    ["a", "failed", "not_started"],
    ["b", "failed", "not_started"],
    ["c", "completed", null],
  ]);
});

test("an older copy of jobs.json that is put back makes nothing run again", async () => {
  const home = makeSupervisedHome();
  const once = { kind: "once", run_at: isoIn(-500), display: "once" };
  home.script("count.sh", `echo x >> ${home.path}/count\n`);
  home.writeJobs([
    scriptJob("aaaaaaaaaaaa", 60, "count.sh", { next_run_at: isoIn(-500) }),
    { ...scriptJob("bbbbbbbbbbbb", 60, "count.sh", { next_run_at: once.run_at }), schedule: once },
    scriptJob("cccccccccccc", 60, "count.sh", { next_run_at: isoIn(4000) }),
  ]);
  const copy = readFileSync(join(home.path, "cron/jobs.json"), "utf8");
  home.start();
  await until(() => home.runs().filter((run) => run.ended_at !== null).length === 2);
  writeFileSync(join(home.path, "cron/jobs.json"), copy);
  await until(() => home.runs().filter((run) => run.ended_at !== null).length === 3);
  expect(
    home
      .runs()
      .map((run) => run.job_id[0])
      .toSorted(),
  ).toEqual(["a", "b", "c"]);
  expect(readFileSync(join(home.path, "count"), "utf8")).toBe("x\nx\nx\n");
});

test("an instant of the year 1600 is served, and its ledger can be read", async () => {
  const home = makeSupervisedHome();
  home.script("ok.sh", "echo ok\n");
  home.writeJobs([scriptJob("aaaaaaaaaaaa", yearly, "ok.sh", { next_run_at: "1600-01-01T00:00:00+00:00" })]);
  home.start();
  const run = await until(() => home.runs().find((one) => one.ended_at !== null));
  expect([run.state, Date.parse(run.scheduled_at!) < Date.now()]).toEqual(["completed", true]);
  expect(home.slots().at(-1)?.scheduled_at).toBe("1600-01-01T00:00:00.000Z");
});

test("a daemon whose state folder is taken away says so and ends", async () => {
  const home = makeSupervisedHome();
  home.script("ok.sh", "echo ok\n");
  home.writeJobs([scriptJob("aaaaaaaaaaaa", everySecond, "ok.sh")]);
  const daemon = home.start();
  await until(() => home.runs().some((run) => run.ended_at !== null));
  rmSync(home.state, { recursive: true, force: true, maxRetries: 20 });
  expect((await daemon.exited).code).toBe(1);
  expect(daemon.log()).toContain("is gone or another one, and the history with it");
});

test("a run whose record was taken or removed meanwhile keeps its end as superseded, and verify has nothing to say", async () => {
  const home = makeSupervisedHome();
  home.script("wait.sh", `touch ${home.path}/began-$HERMES_SUPERVISOR_JOB_ID; sleep 1.5; exit 3\n`);
  const due = { next_run_at: isoIn(-500) };
  home.writeJobs([scriptJob("aaaaaaaaaaaa", 60, "wait.sh", due), scriptJob("bbbbbbbbbbbb", 60, "wait.sh", due)]);
  const daemon = home.start();
  await until(() => ["a", "b"].every((id) => existsSync(join(home.path, `began-${id.repeat(12)}`))));
  const taken = { ...home.job("aaaaaaaaaaaa"), fire_claim: { at: isoIn(0), by: "elsewhere:1:x" } };
  home.writeJobs([taken as unknown as JobRecord]);
  await until(() => home.runs().every((run) => run.ended_at !== null));
  await until(() => home.runs().every((run) => run.reason === "superseded"));
  expect(home.runs().map((run) => [run.state, run.exit_code])).toEqual([
    ["failed", 3],
    ["failed", 3],
  ]);
  expect(home.readJobs()).toEqual([taken]);
  // Who removes a job removes its documents.
  expect(["a", "b"].map((id) => existsSync(join(home.path, "cron/output", id.repeat(12))))).toEqual([true, false]);
  daemon.kill("SIGINT");
  await daemon.exited;
  const { laws } = home.ask("verify").json as { laws: readonly { readonly violations: readonly unknown[] }[] };
  expect(laws.flatMap((law) => law.violations)).toEqual([]);
});
