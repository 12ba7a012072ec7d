import { readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { StatusJson } from "../../src/status/snapshot.ts";
import { installHermes, sentAlone, startGateway } from "../helpers/fake-chat.ts";
import {
  isoIn,
  type JobRecord,
  makeSupervisedHome,
  type SupervisedHome,
  scriptJob,
  until,
} from "../helpers/supervised-home.ts";

const jobId = "aaaaaaaaaaaa";
const chat = 12345678901234567890n;

/** A job whose result goes to a chat. The streak is there from Hermes 0.22 on. */
function chatJob(more: Record<string, unknown> = {}): JobRecord {
  return scriptJob(jobId, 60, "say.sh", {
    next_run_at: isoIn(0),
    deliver: "telegram:1",
    failure_streak: 0,
    last_delivery_error: null,
    ...more,
  });
}

function prepare(
  onFinished: Parameters<typeof makeSupervisedHome>[0],
  job: JobRecord = chatJob(),
  script = "echo Done",
): SupervisedHome {
  const home = makeSupervisedHome(onFinished);
  home.script("say.sh", `${script}\n`);
  home.writeJobs([job]);
  return home;
}

const deliveryOf = (home: SupervisedHome) => home.runs()[0]?.delivery ?? null;
/** The bound of `until` is for a machine that has less to do. */
const inTime = (find: () => boolean): Promise<boolean> => until(find, 90_000);
const isOver = (home: SupervisedHome): boolean =>
  ["delivered", "failed", "unknown", "suppressed"].includes(deliveryOf(home)?.state ?? "") &&
  home.job(jobId)["last_status"] !== "delivery_queued";
const alertsOf = (home: SupervisedHome): readonly string[] => {
  const { alerts }: StatusJson = home.ask("status").json;
  return alerts.filter(({ kind }) => kind === "delivery_failed").map(({ message }) => message);
};

// The daemon is killed at one step of a delivery and started again.
const steps = {
  rows: [
    "after-ledger-close",
    "after-settle",
    "before-delivery-hand",
    "after-delivery-hand",
    "after-delivery-put",
    "after-delivery-end",
    "before-delivery-record",
    "after-delivery-record",
  ],
  outbox: ["after-delivery-hand", "after-delivery-put", "after-delivery-end"],
  stand_alone: ["before-delivery-hand", "after-delivery-hand", "after-delivery-put", "after-delivery-end"],
} as const;
for (const way of ["rows", "outbox", "stand_alone"] as const) {
  for (const point of steps[way]) {
    test.concurrent(`kill -9 ${point} of a delivery by ${way} neither loses nor doubles it`, async ({
      onTestFinished,
    }) => {
      const home = prepare(onTestFinished);
      const python = installHermes(home);
      const gateway = way === "stand_alone" ? null : startGateway(home, way);
      const settings = { HERMES_SUPERVISOR_PYTHON: python };
      const first = home.start({ ...settings, HERMES_SUPERVISOR_FAULT: point });
      await inTime(() => {
        gateway?.drain();
        return first.process.signalCode !== null;
      });
      expect((await first.exited).signal).toBe("SIGKILL");
      home.start(settings);
      await inTime(() => {
        gateway?.drain();
        return isOver(home);
      });
      const sent = gateway?.sent ?? sentAlone(home);
      // A process that sends cannot be asked by the next daemon how far it came.
      const isLost = way === "stand_alone" && ["after-delivery-hand", "after-delivery-put"].includes(point);
      expect(home.runs().map(({ state, delivery }) => [state, delivery?.state])).toEqual([
        ["completed", isLost ? "unknown" : "delivered"],
      ]);
      if (isLost) expect(sent.length).toBeLessThanOrEqual(1);
      else expect(sent.map(({ content, job }) => [content, job.id])).toEqual([["Done", jobId]]);
      expect(home.job(jobId)).toMatchObject(
        isLost
          ? {
              last_status: "delivery_failed",
              last_delivery_error: "Whoever was sending it ended before it could say whether it was sent",
            }
          : { last_status: "ok", last_delivery_error: null, last_delivery_queued: null },
      );
    });
  }
}

test.concurrent("a target that does not exist fails the delivery and not the run", async ({ onTestFinished }) => {
  const home = prepare(onTestFinished, chatJob({ deliver: "foo:1" }));
  const gateway = startGateway(home, "rows");
  gateway.error = "unknown platform 'foo'";
  home.start();
  await inTime(() => {
    gateway.drain();
    return isOver(home);
  });
  expect(home.runs()[0]).toMatchObject({
    state: "completed",
    reason: null,
    error: null,
    delivery: { state: "failed", target: "foo:1", error: "unknown platform 'foo'" },
  });
  await inTime(() => home.job(jobId)["last_status"] === "delivery_failed");
  expect(home.job(jobId)).toMatchObject({
    last_error: null,
    failure_streak: 0,
    last_delivery_error: "unknown platform 'foo'",
  });
  expect(alertsOf(home)).toEqual([
    `The result of job "job ${jobId}" was not delivered to foo:1: unknown platform 'foo'`,
  ]);
  expect(gateway.sent).toHaveLength(1);
});

for (const way of ["rows", "outbox"] as const) {
  test.concurrent(`a gateway that dies over a delivery by ${way} leaves it unknown, and it is not sent again`, async ({
    onTestFinished,
  }) => {
    const home = prepare(onTestFinished);
    const python = installHermes(home);
    const gateway = startGateway(home, way);
    gateway.dies = true;
    home.start({ HERMES_SUPERVISOR_PYTHON: python });
    await inTime(() => {
      gateway.drain();
      return gateway.sent.length > 0;
    });
    rmSync(join(home.path, "gateway.pid"));
    await inTime(() => isOver(home));
    expect(deliveryOf(home)).toEqual({
      state: "unknown",
      target: "telegram:1",
      error: "Whoever was sending it ended before it could say whether it was sent",
    });
    expect([gateway.sent.length, sentAlone(home).length]).toEqual([1, 0]);
  });
}

test.concurrent("what a gateway has not taken when it ends is taken back and sent without one", async ({
  onTestFinished,
}) => {
  const home = prepare(onTestFinished);
  const python = installHermes(home);
  const gateway = startGateway(home, "outbox");
  home.start({ HERMES_SUPERVISOR_PYTHON: python });
  await inTime(() => deliveryOf(home)?.state === "sending");
  rmSync(join(home.path, "gateway.pid"));
  await inTime(() => isOver(home));
  gateway.drain();
  expect([deliveryOf(home)?.state, gateway.sent.length, sentAlone(home).length]).toEqual(["delivered", 0, 1]);
});

test.concurrent("without a gateway and a Hermes a result waits with an alert, and goes out once there is one", async ({
  onTestFinished,
}) => {
  const home = prepare(onTestFinished);
  const daemon = home.start();
  const error = "It waits: no gateway is running, and no Hermes was found that could send it";
  await inTime(() => deliveryOf(home)?.error === error);
  await inTime(() => home.job(jobId)["last_status"] === "delivery_queued");
  expect(home.job(jobId)["last_delivery_queued"]).toEqual({ "telegram:1": "queued" });
  expect(alertsOf(home)).toEqual([`The result of job "job ${jobId}" is not delivered to telegram:1 yet: ${error}`]);
  daemon.kill("SIGTERM");
  expect(await daemon.exited).toEqual({ code: 0, signal: null });
  expect(alertsOf(home)).toHaveLength(1);
  const gateway = startGateway(home, "outbox");
  home.start();
  await inTime(() => {
    gateway.drain();
    return isOver(home);
  });
  expect(home.job(jobId)).toMatchObject({ last_status: "ok", last_delivery_queued: null });
  expect([gateway.sent.length, alertsOf(home).length]).toEqual([1, 0]);
});

test.concurrent("start --once sends what its runs have to say before it ends", async ({ onTestFinished }) => {
  const home = prepare(onTestFinished, { ...chatJob(), origin: { chat_id: 1 } });
  const text = `{"jobs": [${JSON.stringify(chatJob()).replace('"telegram:1"', `"telegram:1", "big": ${chat}`)}]}`;
  home.file("cron/jobs.json", text);
  const python = installHermes(home);
  const daemon = home.start({ HERMES_SUPERVISOR_PYTHON: python }, ["--once"]);
  expect(await daemon.exited).toEqual({ code: 0, signal: null });
  expect(deliveryOf(home)).toEqual({ state: "delivered", target: "telegram:1", error: null });
  expect(home.job(jobId)).toMatchObject({ last_status: "ok" });
  expect(sentAlone(home)).toHaveLength(1);
});

test.concurrent("nothing is sent for a silent run, for local, and for an origin that the job does not have", async ({
  onTestFinished,
}) => {
  const home = makeSupervisedHome(onTestFinished);
  home.script("say.sh", "echo Done\n");
  home.script("quiet.sh", "true\n");
  home.script("asleep.sh", `echo '{"wakeAgent": false}'\n`);
  const jobs: readonly Record<string, unknown>[] = [
    { script: "quiet.sh" },
    { script: "asleep.sh" },
    { deliver: "local" },
    { deliver: null },
    { deliver: "origin" },
    { deliver: "origin", origin: "somebody" },
  ];
  home.writeJobs(jobs.map((more, index) => ({ ...chatJob(more), id: `aaaaaaaaaaa${index}` })));
  const python = installHermes(home);
  home.start({ HERMES_SUPERVISOR_PYTHON: python });
  await inTime(() => home.runs().length === jobs.length && home.runs().every(({ ended_at }) => ended_at !== null));
  await inTime(() => home.readJobs().every((job) => job["last_status"] === "ok"));
  expect(home.runs().map(({ state, delivery }) => [state, delivery])).toEqual(jobs.map(() => ["completed", null]));
  expect(sentAlone(home)).toEqual([]);
});

test.concurrent("a failed script is told of in Hermes' own words, and not again where people know of it", async ({
  onTestFinished,
}) => {
  const home = prepare(onTestFinished, chatJob(), "echo no >&2; exit 3");
  const python = installHermes(home);
  home.file("notice", '{"deliver": "It failed, says Hermes", "incident": "aaaaaa_01"}');
  home.start({ HERMES_SUPERVISOR_PYTHON: python });
  await inTime(() => isOver(home));
  expect(sentAlone(home)).toMatchObject([
    { content: "It failed, says Hermes", for_failure: true, incident: "aaaaaa_01" },
  ]);
  expect(home.runs()[0]).toMatchObject({ state: "failed", delivery: { state: "delivered" } });
  await inTime(() => home.job(jobId)["last_status"] === "error");
  home.file("notice", '{"deliver": null, "incident": "aaaaaa_01"}');
  home.ask("run", jobId);
  await inTime(() => home.runs().length === 2 && isOver(home));
  expect(home.runs().map(({ delivery }) => delivery?.state)).toEqual(["suppressed", "delivered"]);
  expect(sentAlone(home)).toHaveLength(1);
});

test.concurrent("where no Hermes can be asked a failed script is told of in our words", async ({ onTestFinished }) => {
  const home = prepare(onTestFinished, chatJob(), "echo no >&2; exit 3");
  const gateway = startGateway(home, "outbox");
  home.start();
  await inTime(() => {
    gateway.drain();
    return isOver(home);
  });
  expect(gateway.sent).toMatchObject([
    {
      content: `⚠️ Cron 'job ${jobId}' failed: Script exited with code 3 stderr: no`,
      for_failure: true,
    },
  ]);
});

test.concurrent("of failures that nobody could be told of only the last is told", async ({ onTestFinished }) => {
  const home = prepare(onTestFinished, chatJob(), "echo no >&2; exit 3");
  home.start();
  await inTime(() => deliveryOf(home)?.error?.startsWith("It waits") === true);
  home.ask("run", jobId);
  await inTime(() => home.runs().length === 2 && home.runs()[1]?.delivery?.state === "suppressed");
  const gateway = startGateway(home, "outbox");
  await inTime(() => {
    gateway.drain();
    return isOver(home);
  });
  expect(home.runs().map(({ delivery }) => [delivery?.state, delivery?.error])).toEqual([
    ["delivered", null],
    ["suppressed", "A later failure of the job is told of instead"],
  ]);
  expect(gateway.sent).toHaveLength(1);
});

test.concurrent("a delivery that hangs keeps no job waiting", async ({ onTestFinished }) => {
  const home = prepare(onTestFinished);
  const python = installHermes(home);
  home.file("hang", "");
  home.start({ HERMES_SUPERVISOR_PYTHON: python });
  await inTime(() => sentAlone(home).length === 1);
  expect(home.ask("run", jobId).status).toBe(0);
  expect(home.runs()).toHaveLength(2);
  rmSync(join(home.path, "hang"));
  await inTime(() => home.runs().every(({ delivery }) => delivery?.state === "delivered"));
});

test.concurrent("a planned end waits a moment for a process that sends, and does not wait for one that hangs", async ({
  onTestFinished,
}) => {
  const home = prepare(onTestFinished);
  const settings = { HERMES_SUPERVISOR_PYTHON: installHermes(home) };
  home.file("hang", "");
  const daemon = home.start(settings);
  await inTime(() => readdirSync(join(home.path, "sent")).length === 1);
  daemon.kill("SIGTERM");
  expect(await daemon.exited).toEqual({ code: 0, signal: null });
  home.start(settings);
  await inTime(() => isOver(home));
  expect([deliveryOf(home)?.state, sentAlone(home).length]).toEqual(["unknown", 1]);
  rmSync(join(home.path, "hang"));
});
