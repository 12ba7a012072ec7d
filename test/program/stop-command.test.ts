import { spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { expect, test } from "vitest";
import {
  isAlive,
  isoIn,
  makeSupervisedHome,
  type SupervisedHome,
  scriptJob,
  until,
} from "../helpers/supervised-home.ts";

interface Said {
  readonly status: number | null;
  readonly out: string;
  readonly error: string;
}

/** A command as a person types it, beside whatever else the test does meanwhile. */
function type(home: SupervisedHome, ...words: readonly string[]): Promise<Said> {
  const [file = "", ...rest] = home.command(...words);
  const child = spawn(file, rest, { stdio: ["ignore", "pipe", "pipe"] });
  let [out, error] = ["", ""];
  child.stdout.setEncoding("utf8").on("data", (part: string) => (out += part));
  child.stderr.setEncoding("utf8").on("data", (part: string) => (error += part));
  return new Promise((resolve) => child.on("close", (status) => resolve({ status, out, error })));
}

const withoutLengths = (said: Said): Said => ({ ...said, out: said.out.replace(/\bin [\d.]+ m?s\b/, "in <time>") });

test("stop says that it ended a run whose job was removed meanwhile", async () => {
  const home = makeSupervisedHome();
  home.script("long.sh", "exec sleep 300\n");
  home.writeJobs([scriptJob("aaaaaaaaaaaa", 60, "long.sh", { next_run_at: isoIn(-500) })]);
  home.start();
  const { id } = await until(() => home.runs().find(({ state }) => state === "running"));
  home.writeJobs([]);
  expect(withoutLengths(await type(home, "stop", id, "--now"))).toEqual({
    status: 0,
    out: `Run ${id} of job "job aaaaaaaaaaaa" stopped in <time>; its job was removed or belongs to another run by now\n`,
    error: `Stopping run ${id} of job "job aaaaaaaaaaaa"\n`,
  });
});

test("stop finds the open run of a job that was removed by the job's name, also where a new job has that name", async () => {
  const home = makeSupervisedHome();
  home.script("long.sh", "exec sleep 300\n");
  const due = { next_run_at: isoIn(-500) };
  const record = (id: string, name: string, more = {}): ReturnType<typeof scriptJob> =>
    scriptJob(id, 60, "long.sh", { name, ...more });
  home.writeJobs([
    record("aaaaaaaaaaaa", "report", due),
    record("bbbbbbbbbbbb", "again", due),
    record("cccccccccccc", "twin", due),
    record("dddddddddddd", "twin", due),
  ]);
  home.start();
  await until(() => home.runs().filter(({ state }) => state === "running").length === 4);
  const runOf = (job: string): string => home.runs().find((run) => run.job_id === job)?.id ?? "";
  home.writeJobs([record("eeeeeeeeeeee", "again")]);
  for (const [text, job, name] of [
    ["report", "aaaaaaaaaaaa", "report"],
    ["again", "bbbbbbbbbbbb", "again"],
    ["default/cccccccc", "cccccccccccc", "twin"],
  ] as const) {
    const said = withoutLengths(await type(home, "stop", text, "--now"));
    const what = "stopped in <time>; its job was removed or belongs to another run by now";
    expect(said).toEqual({
      status: 0,
      out: `Run ${runOf(job)} of job "${name}" ${what}\n`,
      error: `Stopping run ${runOf(job)} of job "${name}"\n`,
    });
  }
  expect((await type(home, "stop", "twin", "--now")).out).toContain(runOf("dddddddddddd"));
  expect(await type(home, "stop", "report")).toEqual({
    status: 0,
    out: `Run ${runOf("aaaaaaaaaaaa")} of job "report" ended before: failed, Stopped because a person asked for it\n`,
    error: "",
  });
  expect(await type(home, "stop", "reports")).toEqual({
    status: 4,
    out: "",
    error: 'Cannot find run or job "reports": see hermes-supervisor runs and hermes-supervisor jobs\n',
  });
});

test("stop ends a run by its name or its id, waits until nothing of it is left, and says what there was to stop", async () => {
  const home = makeSupervisedHome();
  const say = (name: string): string => `echo $$ > ${home.path}/${name}.pid\n`;
  home.script("polite.sh", `${say("polite")}sleep 300\n`);
  home.script("stubborn.sh", `trap '' TERM\n${say("stubborn")}sleep 300; sleep 300\n`);
  home.script("quick.sh", "true\n");
  home.hostConfig("stop: {grace: 1 min}\n");
  const due = { next_run_at: isoIn(-500) };
  home.writeJobs([
    scriptJob("aaaaaaaaaaaa", 60, "polite.sh", { name: "polite", ...due }),
    scriptJob("bbbbbbbbbbbb", 60, "stubborn.sh", { name: "stubborn", ...due }),
    scriptJob("cccccccccccc", 60, "quick.sh", { name: "quick", ...due }),
    scriptJob("dddddddddddd", 60, "quick.sh", { name: "later" }),
  ]);
  const daemon = home.start();
  const pids = await until(() => {
    const files = ["polite", "stubborn"].map((name) => join(home.path, `${name}.pid`));
    return (
      files.every((file) => existsSync(file) && readFileSync(file, "utf8").endsWith("\n")) &&
      files.map((file) => Number(readFileSync(file, "utf8")))
    );
  });
  await until(() => home.runs().find((run) => run.job_name === "quick" && run.ended_at !== null));
  const idOf = (name: string): string => home.runs().find((run) => run.job_name === name)?.id ?? "";

  expect(withoutLengths(await type(home, "stop", "polite"))).toEqual({
    status: 0,
    out: `Run ${idOf("polite")} of job "polite" stopped in <time>\n`,
    error: `Stopping run ${idOf("polite")} of job "polite"\n`,
  });
  const stopped = await type(home, "stop", idOf("stubborn"), "--now", "--json");
  expect([stopped.status, stopped.error]).toEqual([0, ""]);
  expect(JSON.parse(stopped.out)).toMatchObject({
    run: { id: idOf("stubborn"), state: "failed", reason: "stopped", error: "Stopped because a person asked for it" },
  });
  expect(pids.filter(isAlive)).toEqual([]);
  expect(await type(home, "stop", "quick")).toEqual({
    status: 0,
    out: `Run ${idOf("quick")} of job "quick" ended before: completed\n`,
    error: "",
  });
  const refusals: readonly (readonly [readonly string[], number, string])[] = [
    [["stop", "later"], 4, 'Cannot find a run of job "later": it has not run yet\n'],
    [["stop", "nobody"], 4, 'Cannot find run or job "nobody": see hermes-supervisor runs and hermes-supervisor jobs\n'],
    [["stop"], 2, "Missing required argument 'run|job'; see hermes-supervisor stop --help\n"],
  ];
  for (const [words, status, error] of refusals) {
    expect([words, await type(home, ...words)]).toEqual([words, { status, out: "", error }]);
  }
  daemon.kill("SIGTERM");
  await daemon.exited;
  expect((await type(home, "stop", "quick")).status).toBe(0);
});

test("stop needs the daemon for a run that is open, and verify says so of it and names what was tampered with", async () => {
  const home = makeSupervisedHome();
  home.script("long.sh", `echo $$ > ${home.path}/pid; sleep 300\n`);
  home.script("quick.sh", "true\n");
  const due = { next_run_at: isoIn(-500) };
  home.writeJobs([
    scriptJob("aaaaaaaaaaaa", 60, "long.sh", { name: "long", ...due }),
    scriptJob("bbbbbbbbbbbb", 60, "quick.sh", { name: "quick", ...due }),
  ]);
  const daemon = home.start();
  await until(() => existsSync(join(home.path, "pid")) && home.job("bbbbbbbbbbbb")["last_status"] === "ok");
  expect(await type(home, "verify")).toMatchObject({ status: 0, error: "" });
  daemon.kill("SIGKILL");
  await daemon.exited;
  expect(await type(home, "stop", "long")).toEqual({
    status: 5,
    out: "",
    error: `Cannot reach the daemon of "${home.state}": none is running, start it with hermes-supervisor start\n`,
  });
  const clean = await type(home, "verify");
  expect(clean.status).toBe(0);
  expect(clean.out.split("\n").filter((line) => line.startsWith("✓ L")).length).toBe(8);
  expect(clean.out).toContain("✓ L7 Bounded time: 1 open run; no daemon is running, the next one decides\n");

  const quick = home.runs().find((run) => run.job_name === "quick")?.id;
  const ledger = new DatabaseSync(join(home.state, "supervisor.db"), { timeout: 5000 });
  ledger
    .prepare(
      "UPDATE run SET state = 'failed', reason = 'timeout', error = 'It took too long', exit_code = NULL WHERE id = ?",
    )
    .run(quick ?? "");
  ledger.close();
  const broken = await type(home, "verify");
  expect(broken.status).toBe(1);
  const message = `Run "${quick}" is recorded as failed, timeout, and its result file says exit 0: report it`;
  expect(broken.out).toContain(`    bbbbbbbbbbbb: ${message}\n`);
  const told = home.ask("verify");
  expect(told.status).toBe(1);
  const { ok, laws } = told.json as {
    ok: boolean;
    laws: { law: string; violations: { message: string; run_id: string }[] }[];
  };
  expect(ok).toBe(false);
  expect(laws.map(({ law }) => law)).toEqual(["L1", "L2", "L3", "L4", "L5", "L6", "L7", "L8"]);
  expect(laws.flatMap(({ law, violations }) => violations.map((one) => [law, one.run_id]))).toContainEqual([
    "L4",
    quick,
  ]);
});
