import { type ChildProcess, spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import { request } from "node:http";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, onTestFinished, test } from "vitest";
import { createLocks } from "../../src/system/flock.ts";
import {
  isoIn,
  type JobRecord,
  makeSupervisedHome,
  type SupervisedHome,
  scriptJob,
  until,
  untilAnswering,
} from "../helpers/supervised-home.ts";

const program = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url));
const yearly = "0 0 1 1 *";

/** One place, and a job that keeps it until the file `go` is there. */
function makeBusyHome(): SupervisedHome {
  const home = makeSupervisedHome();
  home.script("long.sh", `until [ -e ${home.path}/go ]; do sleep 0.05; done\n`);
  home.script("short.sh", "echo short\n");
  home.file("config.yaml", "cron: {max_parallel_jobs: 1}\n");
  const next = { next_run_at: "2099-01-01T00:00:00+00:00" };
  home.writeJobs([scriptJob("aaaaaaaaaaaa", yearly, "long.sh", next), scriptJob("bbbbbbbbbbbb", 60, "short.sh", next)]);
  return home;
}

async function startLong(home: SupervisedHome): Promise<void> {
  await untilAnswering(home);
  expect(home.ask("run", "aaaaaaaaaaaa", "--detach").status).toBe(0);
  await until(() => home.runs().some((run) => run.state === "running"));
}

function runShort(home: SupervisedHome): { readonly child: ChildProcess; readonly error: () => string } {
  const child = spawn(process.execPath, [program, "--home", home.path, "--state", home.state, "run", "bbbbbbbbbbbb"], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  let error = "";
  child.stderr?.setEncoding("utf8").on("data", (part: string) => {
    error += part;
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  return { child, error: () => error };
}

function get(home: SupervisedHome, path: string): Promise<unknown> {
  return new Promise((resolve, reject) => {
    request({ socketPath: join(home.state, "control.sock"), path }, (answer) => {
      let text = "";
      answer.setEncoding("utf8").on("data", (part: string) => {
        text += part;
      });
      answer.on("end", () => resolve(JSON.parse(text)));
    })
      .on("error", reject)
      .end();
  });
}

const waits = 'Waiting: the one place of home "default" is taken. The request stays if you leave\n';

test("a request that finds no room outlives its caller and the daemon, and is served once", async () => {
  const home = makeBusyHome();
  const first = home.start();
  await startLong(home);
  expect(home.ask("run", "aaaaaaaaaaaa")).toMatchObject({
    status: 1,
    json: { error: { code: "conflict", message: 'Cannot run job "job aaaaaaaaaaaa": it is already running' } },
  });
  const asked = runShort(home);
  await until(() => asked.error().includes("Waiting"));
  expect(asked.error()).toBe(waits);
  asked.child.kill("SIGINT");
  // Who asks again joins the request that waits.
  const again = runShort(home);
  await until(() => again.error().includes("Waiting"));
  first.kill("SIGTERM");
  await until(() => again.error().includes("the daemon has ended"));
  await first.exited;

  home.start();
  await until(() => home.runs().some((run) => run.adopted));
  writeFileSync(join(home.path, "go"), "");
  const served = await until(() =>
    home.runs().find((run) => run.job_id === "bbbbbbbbbbbb" && run.state === "completed"),
  );
  expect(served).toMatchObject({ trigger: "manual", scheduled_at: null });
  // The ledger knows of the end before the record does.
  await until(() => home.job("bbbbbbbbbbbb")["last_status"] !== null);
  expect(home.job("bbbbbbbbbbbb")).toMatchObject({
    next_run_at: "2099-01-01T00:00:00+00:00",
    repeat: { times: null, completed: 0 },
    last_status: "ok",
  });
  expect(await get(home, "/v1/requests/2")).toEqual({
    request: { id: 2, state: "served", reason: null, run_id: served.id },
  });
  // The third request is only served after all that came before it.
  expect(home.ask("run", "bbbbbbbbbbbb").status).toBe(0);
  expect(home.runs().filter((run) => run.job_id === "bbbbbbbbbbbb")).toHaveLength(2);
});

test("whoever waits for room follows the run once there is some", async () => {
  const home = makeBusyHome();
  home.start();
  await startLong(home);
  const asked = runShort(home);
  let out = "";
  asked.child.stdout?.setEncoding("utf8").on("data", (part: string) => {
    out += part;
  });
  const status = new Promise((resolve) => asked.child.on("close", resolve));
  await until(() => asked.error().includes("Waiting"));
  writeFileSync(join(home.path, "go"), "");
  expect(await status).toBe(0);
  expect(out).toBe("short\n");
  expect(asked.error()).toMatch(/^Waiting: .*\nRun \S+ completed in \d/);
});

test("GET /v1/next answers what `next --json` prints", async () => {
  const home = makeBusyHome();
  home.start();
  await untilAnswering(home);
  const at = "2030-01-01T00:00:00Z";
  const all = await get(home, `/v1/next?at=${at}&count=3`);
  expect(all).toEqual(home.ask("next", "--at", at, "--count", "3").json);
  expect(await get(home, `/v1/next?at=${at}&job=bbbbbbbbbbbb`)).toEqual(
    home.ask("next", "bbbbbbbbbbbb", "--at", at).json,
  );
});

/** Asks for a run as Hermes 0.22 does from its dashboard. */
function askThroughHermes(home: SupervisedHome, id: string): string {
  const now = isoIn(-1);
  home.writeJobs(
    home
      .readJobs()
      .map((job) =>
        job["id"] === id ? { ...job, next_run_at: now, manual_run_at: now } : job,
      ) as unknown as JobRecord[],
  );
  return now;
}

test("Hermes' own request runs once while another process holds the tick lock, and leaves schedule, count and slots", async () => {
  const home = makeSupervisedHome();
  home.script("short.sh", "echo short\n");
  const next = new Date(Math.ceil(Date.now() / 3_600_000 + 1) * 3_600_000).toISOString().replace(".000Z", "+00:00");
  const fields = { next_run_at: next, repeat: { times: 2, completed: 0 }, failure_streak: 0 };
  home.writeJobs([
    scriptJob("aaaaaaaaaaaa", "0 * * * *", "short.sh", fields),
    scriptJob("bbbbbbbbbbbb", 60, "short.sh"),
  ]);
  home.start();
  await until(() => home.job("bbbbbbbbbbbb")["next_run_at"] !== null);
  const lock = createLocks().tryLock(join(home.path, "cron/.tick.lock"));
  onTestFinished(() => lock?.release());
  askThroughHermes(home, "aaaaaaaaaaaa");
  await until(() => home.job("aaaaaaaaaaaa")["last_status"] === "ok");
  const record = home.job("aaaaaaaaaaaa");
  expect(record).toMatchObject({ next_run_at: next, repeat: { times: 2, completed: 0 }, fire_claim: null });
  expect(record).not.toHaveProperty("manual_run_at");
  expect(home.runs().map(({ trigger, scheduled_at, state }) => [trigger, scheduled_at, state])).toEqual([
    ["manual", null, "completed"],
  ]);
  lock?.release();
  expect(home.slots().filter(({ job_id }) => job_id === "aaaaaaaaaaaa")).toEqual([]);
});
