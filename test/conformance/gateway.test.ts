import type { ChildProcess } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { createLocks } from "../../src/system/flock.ts";
import type { HeldLock } from "../../src/system/lock.ts";
import { patienceMs, startGateway } from "./gateway.ts";
import {
  addProfile,
  copyHome,
  createHome,
  createJob,
  editRecord,
  environmentOf,
  finish,
  type Home,
  hermes,
  lines,
  removeHome,
  start,
  stopAll,
  storedJob,
  storeText,
  until,
} from "./home.ts";
import { hermesPython, releases } from "./releases.ts";
import { readJson, supervisor } from "./supervisor.ts";

// Real gateways with our plugin. The daemon is its lock, held by the test; the ticker goes round twice a second.

const scripts = fileURLToPath(new URL("scripts", import.meta.url));
const locks = createLocks();

const sends = fileURLToPath(new URL("gateway_sends.py", import.meta.url));

interface Sent {
  readonly text: string;
}

interface GatewayStatus {
  readonly homes: readonly { readonly home: string; readonly attached: boolean; readonly ticks: string }[];
}

/** A minute ago, in the zone of the test homes. */
function justDue(): string {
  return `${new Date(Date.now() - 60_000 + 330 * 60_000).toISOString().slice(0, 19)}+05:30`;
}

function eventually(what: string, fact: () => boolean): Promise<void> {
  return until(what, fact, patienceMs);
}

/** When each home's job had last run as it was made due. */
const lastRunAt = new Map<Home, string | null>();

async function makeDue(home: Home): Promise<void> {
  lastRunAt.set(home, storedJob(home, "report").last_run_at);
  await editRecord(home, "report", { next_run_at: justDue() });
}

function stateOf(home: Home): string {
  return `${home.folder}/state`;
}

function holdAsDaemon(home: Home): HeldLock {
  mkdirSync(stateOf(home), { recursive: true });
  const lock = locks.tryLock(`${stateOf(home)}/daemon.lock`);
  if (lock === null) throw new Error("Cannot play the daemon: its lock is held by another");
  return lock;
}

/** A run that outlived its daemon. */
function leaveRun(home: Home, jobId: string): HeldLock {
  const folder = `${stateOf(home)}/runs/left`;
  mkdirSync(folder, { recursive: true });
  writeFileSync(`${folder}/started`, "");
  writeFileSync(`${folder}/spec.json`, JSON.stringify({ home_path: home.path, job_id: jobId }));
  const lock = locks.tryLock(`${folder}/alive`);
  if (lock === null) throw new Error("Cannot play a run: its lifeline is held by another");
  return lock;
}

async function attach(home: Home): Promise<void> {
  const ended = await supervisor(home, "gateway", "attach", "--yes");
  expect([ended.code, ended.stderr]).toEqual([0, ""]);
}

function runsOf(home: Home): number {
  return lines(home, "runs.log").length;
}

/** A script leaves its line before the gateway settles its job, which would undo what the test makes due in between. */
function hasRun(home: Home, runs: number): boolean {
  return runsOf(home) === runs && storedJob(home, "report").last_run_at !== lastRunAt.get(home);
}

describe.each(Object.values(releases))("$name", (release) => {
  const homes: Home[] = [];
  let base: Home;
  let jobId: string;
  const newHome = (): Home => {
    const home = copyHome(base);
    homes.push(home);
    return home;
  };

  beforeAll(async () => {
    base = createHome(await hermesPython(release), scripts);
    homes.push(base);
    jobId = await createJob(base, "every 30m", "--no-agent", "--script", "report.sh", "--name", "report");
  });
  afterEach(stopAll);
  afterAll(() => {
    for (const home of homes) removeHome(home);
  });

  test("the attached gateway runs jobs only while the daemon does not", async () => {
    const home = newHome();
    await makeDue(home);
    await attach(home);
    let daemon = holdAsDaemon(home);
    const gateway = await startGateway(home);
    await gateway.twoTicks();
    expect(runsOf(home)).toBe(0);
    const held = await readJson<GatewayStatus>(home, "gateway", "status");
    expect(held.homes).toEqual([expect.objectContaining({ home: "default", attached: true, ticks: "supervisor" })]);

    daemon.release();
    await eventually("the gateway to take over", () => hasRun(home, 1));
    const released = await readJson<GatewayStatus>(home, "gateway", "status");
    expect(released.homes).toEqual([expect.objectContaining({ ticks: "gateway" })]);

    daemon = holdAsDaemon(home);
    await makeDue(home);
    await gateway.twoTicks();
    expect(runsOf(home)).toBe(1);

    // What the daemon left alive is waited for.
    const run = leaveRun(home, jobId);
    daemon.release();
    const takeOvers = (): number =>
      readFileSync(`${home.path}/logs/agent.log`, "utf8").split("the supervisor is gone").length - 1;
    await eventually("the gateway to take over again", () => takeOvers() === 2);
    await gateway.twoTicks();
    expect(runsOf(home)).toBe(1);
    run.release();
    await eventually("the gateway to run the job again", () => hasRun(home, 2));

    // Detached while it runs: nothing holds it back any more.
    daemon = holdAsDaemon(home);
    await makeDue(home);
    await gateway.twoTicks();
    expect(runsOf(home)).toBe(2);
    expect((await supervisor(home, "gateway", "detach", "--yes")).code).toBe(0);
    await eventually("the detached gateway to run the job", () => hasRun(home, 3));
    daemon.release();
    await gateway.stop();
    expect(readFileSync(`${home.path}/config.yaml`)).toEqual(readFileSync(`${base.path}/config.yaml`));
    expect(existsSync(`${home.path}/plugins/hermes-supervisor`)).toBe(false);
  });

  test("the gateway answers each message once, and says of one that a crash left that nobody knows", async () => {
    const home = newHome();
    await attach(home);
    const daemon = holdAsDaemon(home);
    const outbox = `${stateOf(home)}/outbox`;
    mkdirSync(outbox);
    const job = { id: jobId, name: "report", deliver: "telegram:123" };
    const put = (name: string, text: string): void => {
      writeFileSync(`${outbox}/${name}.new`, text);
      renameSync(`${outbox}/${name}.new`, `${outbox}/${name}`);
    };
    const message = (home: string): string => JSON.stringify({ job, content: "hello", for_failure: false, home });
    put("broken.json", "{");
    put("left.sending", message("default"));
    put("other.json", message("elsewhere"));
    put("own.json", message("default"));
    put("silent.json", JSON.stringify({ job: { ...job, deliver: "local" }, content: "hello", home: "default" }));
    const gateway = await startGateway(home);
    const answers = ["broken.done", "left.done", "other.json", "own.done", "silent.done"];
    await eventually("all answers", () => readdirSync(outbox).sort().join() === answers.join());
    const read = (name: string): unknown => JSON.parse(readFileSync(`${outbox}/${name}.done`, "utf8"));
    expect(["broken", "left", "own", "silent"].map(read)).toEqual([
      { error: "ValueError: the message is no JSON object", unknown: false },
      { error: "The gateway ended while it sent this: it may have arrived or not", unknown: true },
      { error: "platform 'telegram' not configured/enabled", unknown: false },
      { error: null, unknown: false },
    ]);
    await gateway.stop();
    daemon.release();
  });

  test("messages leave once through the live adapter of their profile, and one that a crash cut off is unknown", async () => {
    const home = newHome();
    const second = addProfile(home, "two", "TELEGRAM_BOT_TOKEN=456:def\n");
    writeFileSync(`${home.path}/.env`, "TELEGRAM_BOT_TOKEN=123:abc\n");
    await attach(home);
    const daemon = holdAsDaemon(home);
    const outbox = `${stateOf(home)}/outbox`;
    mkdirSync(outbox);
    const put = (name: string, home: string, content: string): void => {
      const job = { id: jobId, name: "report", deliver: "telegram:123" };
      writeFileSync(`${outbox}/${name}.new`, JSON.stringify({ job, content, for_failure: false, home }));
      renameSync(`${outbox}/${name}.new`, `${outbox}/${name}.json`);
    };
    const read = (name: string): unknown => JSON.parse(readFileSync(`${outbox}/${name}.done`, "utf8"));
    put("a", "default", "first");
    put("b", "default", "hang");
    if (release.name !== "0.19") put("c", "two", "second");
    // A gateway loads the launch home's .env before anything else.
    const play = (): ChildProcess =>
      start(home.python, [sends, `${home.path}/plugins/hermes-supervisor`, `two=${second.path}`], {
        ...environmentOf(home),
        TELEGRAM_BOT_TOKEN: "123:abc",
      });
    const sent = (): readonly Sent[] => lines(home, "sent.log").map((line) => JSON.parse(line));
    const wanted = [
      { adapter: "default", chat: "123", text: expect.stringContaining("first"), loop: true },
      { adapter: "default", chat: "123", text: expect.stringContaining("hang"), loop: true },
      // 0.20 has no adapters but those of the launch profile.
      ...(release.name === "0.19"
        ? []
        : [
            {
              adapter: release.name === "0.20" ? "default" : "two",
              chat: "123",
              text: expect.stringContaining("second"),
              loop: true,
            },
          ]),
    ];
    const first = play();
    const firstEnded = finish(first);
    await eventually(
      "the messages to be sent",
      () => sent().length === wanted.length && existsSync(`${outbox}/a.done`),
    );
    if (release.name !== "0.19") await eventually("the second profile's answer", () => existsSync(`${outbox}/c.done`));
    expect([...sent()].sort((x, y) => (x.text < y.text ? -1 : 1))).toEqual(wanted);
    expect(read("a")).toEqual({ error: null, unknown: false });
    expect(existsSync(`${outbox}/b.sending`)).toBe(true);
    first.kill("SIGKILL");
    await firstEnded;
    play();
    await eventually("the message to be given up", () => existsSync(`${outbox}/b.done`));
    expect(read("b")).toEqual({
      error: "The gateway ended while it sent this: it may have arrived or not",
      unknown: true,
    });
    expect(sent().length).toBe(wanted.length);
    daemon.release();
  });

  // 0.19 knows no other way than the first, and 0.22 takes each for the second.
  test.each([
    ["two profiles", release.name === "0.22"] as const,
    ...(release.name === "0.20" ? [["multiplexed profiles", true] as const] : []),
  ])("the gateway of %s stands down for all that it serves", async (kind, servesBoth) => {
    const home = newHome();
    await makeDue(home);
    const second = addProfile(home, "two", "");
    // 0.20 takes jobs of two profiles with one id for the same.
    writeFileSync(`${second.path}/cron/jobs.json`, storeText(home).replaceAll(jobId, "0123456789ab"));
    if (kind === "multiplexed profiles") {
      const config = readFileSync(`${home.path}/config.yaml`, "utf8");
      writeFileSync(`${home.path}/config.yaml`, `${config}gateway: {multiplex_profiles: true}\n`);
    }
    await attach(home);
    const daemon = holdAsDaemon(home);
    const gateway = await startGateway(home);
    await gateway.twoTicks();
    expect([runsOf(home), runsOf(second)]).toEqual([0, 0]);
    daemon.release();
    const both = servesBoth ? 1 : 0;
    await eventually("the jobs of the homes that it serves", () => runsOf(home) + runsOf(second) === 1 + both);
    expect([runsOf(home), runsOf(second)]).toEqual([1, both]);
    await gateway.stop();
  });

  test.each([
    ["settings that cannot be read", "settings.json", "{"],
    ["a program that cannot be loaded", "__init__.py", "# CronScheduler\nraise RuntimeError\n"],
  ])("with %s Hermes' own ticker runs the jobs", async (_, file, text) => {
    const home = newHome();
    await makeDue(home);
    await attach(home);
    writeFileSync(`${home.path}/plugins/hermes-supervisor/${file}`, text);
    const daemon = holdAsDaemon(home);
    const gateway = await startGateway(home);
    await eventually("the job to run", () => runsOf(home) === 1);
    daemon.release();
    await gateway.stop();
  });

  test("hermes cron shows who runs the jobs", async () => {
    const home = newHome();
    await attach(home);
    const ask = async (): Promise<boolean> =>
      (await hermes(home, "cron", "status")).stdout.includes("Cron provider: hermes-supervisor");
    expect(await ask()).toBe(false);
    const daemon = holdAsDaemon(home);
    expect(await ask()).toBe(true);
    daemon.release();
  });
});
