import { existsSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterEach, describe, expect, test } from "vitest";
import type { RunJson } from "../../src/status/json.ts";
import { startGateway } from "./gateway.ts";
import {
  copyHome,
  createHome,
  createJob,
  editRecord,
  environmentOf,
  type Home,
  hermes,
  lines,
  removeHome,
  start,
  stopAll,
  storedJobs,
  until,
} from "./home.ts";
import { hermesPython, type Release, releases } from "./releases.ts";
import { readJson, startDaemon, supervisor } from "./supervisor.ts";

// Where results go and what the job's record then says, with the released Hermes on the other side.

const scripts = fileURLToPath(new URL("scripts", import.meta.url));
const gatewayPart = fileURLToPath(new URL("delivery_gateway.py", import.meta.url));
const sends = fileURLToPath(new URL("gateway_sends.py", import.meta.url));
const homes: Home[] = [];

afterEach(async () => {
  await stopAll();
  for (const home of homes.splice(0)) removeHome(home);
});

async function newHome(release: Release, env = ""): Promise<Home> {
  const home = createHome(await hermesPython(release), scripts, env);
  homes.push(home);
  return home;
}

async function addJob(home: Home, name: string, script: string, fields: Record<string, string>): Promise<void> {
  await createJob(home, "every 30m", "--no-agent", "--script", script, "--name", name);
  await editRecord(home, name, fields);
}

/** A machine that has much else to do needs so long to load Hermes a few times. */
const limitMs = 120_000;

/** A minute ago, in the zone of the test homes. */
function justDue(): string {
  return `${new Date(Date.now() - 60_000 + 330 * 60_000).toISOString().slice(0, 19)}+05:30`;
}

async function ended(home: Home, count: number): Promise<ReadonlyMap<string, RunJson["delivery"]>> {
  let runs: readonly RunJson[] = [];
  await until(
    "all deliveries to be over",
    async () => {
      runs = (await readJson<{ runs: readonly RunJson[] }>(home, "runs")).runs;
      const open = runs.filter(
        ({ ended_at, delivery }) => ended_at === null || ["pending", "sending"].includes(delivery?.state ?? ""),
      );
      return runs.length === count && open.length === 0;
    },
    limitMs,
  );
  return new Map(runs.map(({ job_name, delivery }) => [job_name, delivery]));
}

const recordsOf = (home: Home): ReadonlyMap<string, unknown> =>
  new Map(
    storedJobs(home).map(({ name, last_status, last_delivery_error }) => [name, [last_status, last_delivery_error]]),
  );

const targets = {
  "no origin": { deliver: "origin" },
  "no chat": { deliver: "telegram" },
  "no token": { deliver: "telegram:123" },
  "no platform": { deliver: "foo:1" },
};
const errors: Readonly<Record<keyof typeof targets, string | null>> = {
  "no origin": null,
  "no chat": "no delivery target resolved for deliver=telegram",
  "no token": "platform 'telegram' not configured/enabled",
  "no platform": "unknown platform 'foo'",
};

describe.each(Object.values(releases))("$name", (release) => {
  test("a result that cannot be delivered leaves the record that Hermes itself leaves", async () => {
    const ours = await newHome(release);
    for (const [name, fields] of Object.entries(targets)) await addJob(ours, name, "report.sh", fields);
    const theirs = copyHome(ours);
    homes.push(theirs);
    for (const name of Object.keys(targets)) await hermes(theirs, "cron", "run", name);
    for (const name of Object.keys(targets)) await editRecord(ours, name, { next_run_at: justDue() });
    const daemon = await startDaemon(ours);
    const deliveries = await ended(ours, Object.keys(targets).length);
    await until(
      "the records to say so",
      () => {
        const records = JSON.stringify([...recordsOf(ours)]);
        return !records.includes("delivery_queued") && records.includes("unknown platform");
      },
      limitMs,
    );
    for (const [name, error] of Object.entries(errors)) {
      const delivery = deliveries.get(name);
      expect([name, delivery?.state, delivery?.error ?? null]).toEqual([
        name,
        error === null ? undefined : "failed",
        error,
      ]);
    }
    await daemon.handOver();
    if (release.name === "0.19") {
      // `cron run` of 0.19 leaves the running to a gateway.
      await hermes(theirs, "cron", "tick");
    }
    expect(recordsOf(ours)).toEqual(recordsOf(theirs));
  });
});

describe.each([releases["0.19"], releases["0.20"]])("$name", (release) => {
  test("a result leaves once through the live adapter of an attached gateway", async () => {
    const home = await newHome(release, "TELEGRAM_BOT_TOKEN=123:abc\n");
    await addJob(home, "chat", "report.sh", { deliver: "telegram:123" });
    expect((await supervisor(home, "gateway", "attach", "--yes")).code).toBe(0);
    const daemon = await startDaemon(home);
    const gateway = start(home.python, [sends, `${home.path}/plugins/hermes-supervisor`], {
      ...environmentOf(home),
      TELEGRAM_BOT_TOKEN: "123:abc",
    });
    await until("the plugin", () => existsSync(`${home.path}/plugins/hermes-supervisor/loaded.json`), limitMs);
    writeFileSync(`${home.path}/gateway.pid`, JSON.stringify({ pid: gateway.pid, kind: "hermes-gateway" }));
    await editRecord(home, "chat", { next_run_at: justDue() });
    expect((await ended(home, 1)).get("chat")).toEqual({ state: "delivered", target: "telegram:123", error: null });
    expect(lines(home, "sent.log").map((line) => JSON.parse(line))).toEqual([
      { adapter: "default", chat: "123", text: expect.stringContaining("all is well"), loop: true },
    ]);
    writeFileSync(`${home.path}/stop`, "");
    await daemon.handOver();
  });
});

describe("0.22", () => {
  const release = releases["0.22"];

  test("a real gateway takes what lies in its queue, whoever put it there", async () => {
    const home = await newHome(release);
    await addJob(home, "chat", "report.sh", { deliver: "foo:1" });
    const gateway = await startGateway(home);
    const daemon = await startDaemon(home);
    await editRecord(home, "chat", { next_run_at: justDue() });
    const delivery = (await ended(home, 1)).get("chat");
    expect(delivery).toEqual({ state: "failed", target: "foo:1", error: "unknown platform 'foo'" });
    expect(existsSync(`${home.path}/cron/deliveries.db`)).toBe(true);
    await daemon.handOver();
    await gateway.stop();
  });

  test("a result leaves once through a live adapter, and one that the gateway died over is unknown", async () => {
    const home = await newHome(release, "TELEGRAM_BOT_TOKEN=123:abc\n");
    await addJob(home, "chat", "report.sh", { deliver: "telegram:123" });
    await addJob(home, "broken", "broken.sh", { deliver: "telegram:123" });
    writeFileSync(`${home.path}/scripts/hang.sh`, "echo hang\n");
    await addJob(home, "hang", "hang.sh", { deliver: "telegram:123" });
    const play = () => start(home.python, [gatewayPart], { ...environmentOf(home), TELEGRAM_BOT_TOKEN: "123:abc" });
    const gateway = play();
    await until("the gateway", () => existsSync(`${home.path}/serving`), limitMs);
    const daemon = await startDaemon(home);
    for (const name of ["chat", "broken"]) await editRecord(home, name, { next_run_at: justDue() });
    const deliveries = await ended(home, 2);
    const sent = () => lines(home, "sent.log").map((line): { text: string } => JSON.parse(line));
    expect([...deliveries.values()]).toEqual(
      ["chat", "broken"].map(() => ({ state: "delivered", target: "telegram:123", error: null })),
    );
    const texts = sent()
      .map(({ text }) => text.replace(/\(job_id: \w+\)/u, "(job_id: ID)"))
      .toSorted();
    expect(texts).toEqual([
      expect.stringMatching(
        /^Cronjob Response: broken\n\(job_id: ID\)\n-+\n\n⚠️ Cron 'broken' failed: Script exited with code/u,
      ),
      expect.stringMatching(/^Cronjob Response: chat\n\(job_id: ID\)\n-+\n\n/u),
    ]);
    await editRecord(home, "hang", { next_run_at: justDue() });
    await until("the third to be sent", () => sent().length === 3, limitMs);
    gateway.kill("SIGKILL");
    const lost = (await ended(home, 3)).get("hang");
    expect(lost).toMatchObject({ state: "unknown", target: "telegram:123" });
    writeFileSync(`${home.path}/stop`, "");
    await daemon.handOver();
    expect(sent()).toHaveLength(3);
  });
});
