import { mkdirSync, readFileSync } from "node:fs";
import { type IncomingMessage, request } from "node:http";
import { createServer } from "node:net";
import { join } from "node:path";
import { expect, test } from "vitest";
import { createRunLedger } from "../../src/ledger/run-ledger.ts";
import { findRoutes, routes } from "../../src/status/routes.ts";
import { eventShapes, shapes } from "../../src/status/shapes.ts";
import { createFiles } from "../../src/system/real-files.ts";
import { completed } from "../cli/cli-home.ts";
import { apiDocuments } from "../helpers/api-documents.ts";
import { type RawClient, rawClient } from "../helpers/raw-client.ts";
import { sampleRun } from "../helpers/sample-run.ts";
import { makeSupervisedHome, type SupervisedHome, scriptJob, until } from "../helpers/supervised-home.ts";

interface Answer {
  readonly status: number;
  readonly type: string;
  readonly text: string;
}

type Target = { readonly socketPath: string } | { readonly host: string; readonly port: number };

function ask(
  target: Target,
  method: string,
  path: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = request({ ...target, method, path, headers }, (response: IncomingMessage) => {
      let text = "";
      response.setEncoding("utf8").on("data", (part: string) => {
        text += part;
        // A stream has no end; what it begins with is enough.
        if (response.headers["content-type"]?.startsWith("text/event-stream") && text.includes("\n\n")) done();
      });
      const done = (): void => {
        const type = response.headers["content-type"] ?? "";
        resolve({ status: response.statusCode ?? 0, type: type.replace(/;.*/, ""), text });
        response.destroy();
      };
      response.on("end", done);
      response.on("error", () => undefined);
    });
    sent.on("error", reject);
    sent.end();
  });
}

const socketOf = (home: SupervisedHome): { socketPath: string } => ({ socketPath: join(home.state, "control.sock") });

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const probe = createServer().listen(0, "127.0.0.1", () => {
      const address = probe.address();
      probe.close(() => resolve(typeof address === "object" ? (address?.port ?? 0) : 0));
    });
  });
}

test("the description of the control API is as its routes make it", () => {
  for (const [path, content] of apiDocuments()) {
    expect(readFileSync(new URL(`../../${path}`, import.meta.url), "utf8")).toBe(content);
  }
});

test.concurrent("every route answers as its description says, on the socket and on the port", async ({
  onTestFinished,
}) => {
  const home = makeSupervisedHome(onTestFinished);
  const port = await freePort();
  home.hostConfig(`api:\n  listen: 127.0.0.1:${port}\n`);
  home.script("ok.sh", "echo hello\n");
  home.script("long.sh", "echo begun; exec sleep 1000\n");
  home.writeJobs([scriptJob("aaaaaaaaaaaa", 600, "ok.sh"), scriptJob("bbbbbbbbbbbb", 600, "long.sh")]);
  const daemon = home.start();
  await daemon.said("ready");
  await daemon.said("the control API has a port");
  const token = readFileSync(join(home.state, "api.token"), "utf8").trim();
  const socket = socketOf(home);
  const long = JSON.parse((await ask(socket, "POST", "/v1/jobs/default/bbbbbbbbbbbb/run")).text).run.id as string;
  const ended = JSON.parse((await ask(socket, "POST", "/v1/jobs/default/aaaaaaaaaaaa/run")).text).run.id as string;
  await until(() => home.runs().find(({ id, state }) => id === ended && state === "completed"));

  const calls: readonly (readonly [string, string, number])[] = [
    ["GET", "/health", 200],
    ["GET", "/metrics", 200],
    ["GET", "/openapi.json", 200],
    ["GET", "/v1/status", 200],
    ["GET", "/v1/config", 200],
    ["GET", "/v1/homes", 200],
    ["GET", "/v1/config", 200],
    ["GET", "/v1/jobs", 200],
    ["GET", "/v1/jobs?home=default&job=aaaaaaaaaaaa", 200],
    ["GET", "/v1/runs?state=completed&limit=1", 200],
    ["GET", "/v1/runs?state=done", 400],
    ["GET", "/v1/slots?since=2026-01-01T00:00:00Z", 200],
    ["GET", "/v1/slots?since=yesterday", 400],
    ["GET", `/v1/runs/${"x".repeat(5000)}`, 400],
    ["GET", "/v1/next?count=3", 200],
    ["GET", "/v1/next?count=many", 400],
    ["GET", `/v1/runs/${ended}`, 200],
    ["GET", "/v1/runs/nothing", 404],
    ["GET", `/v1/runs/${ended}/log`, 200],
    ["GET", `/v1/runs/${ended}/log?follow=1`, 200],
    ["GET", `/v1/runs/${ended}/log?tail=x`, 400],
    ["GET", "/v1/runs/..%2F..%2Fsupervisor.db/log", 404],
    ["GET", "/v1/requests/1", 200],
    ["GET", "/v1/requests/99", 404],
    ["GET", "/v1/events", 200],
    ["POST", "/v1/jobs/default/aaaaaaaaaaaa/run", 201],
    ["POST", "/v1/jobs/default/bbbbbbbbbbbb/run", 409],
    ["POST", "/v1/jobs/nowhere/aaaaaaaaaaaa/run", 404],
    ["POST", `/v1/runs/${ended}/stop`, 200],
    ["POST", `/v1/runs/${long}/stop?now=1`, 202],
    ["POST", "/v1/runs/nothing/stop", 404],
  ];
  const description = JSON.parse((await ask(socket, "GET", "/openapi.json")).text) as {
    readonly paths: Readonly<
      Record<string, Readonly<Record<string, { readonly responses: Readonly<Record<string, { content: object }>> }>>>
    >;
  };
  const met = new Set<string>();
  for (const [method, path, status] of calls) {
    for (const target of [socket, { host: "127.0.0.1", port }]) {
      const headers = "port" in target ? { authorization: `Bearer ${token}` } : {};
      const answer = await ask(target, method, path, headers);
      // The second stop or run of the same finds it done by the first.
      const also = path.includes("stop?now") ? 200 : path.endsWith("aaaaaaaaaaaa/run") ? 409 : status;
      expect([path, [status, also].includes(answer.status), answer.text]).toEqual([path, true, answer.text]);
      const parts = (path.split("?")[0] ?? "").slice(1).split("/").map(decodeURIComponent);
      const route = findRoutes(parts).routes.find((one) => one.method === method);
      met.add(`${method} ${route?.path}`);
      const { responses } = description.paths[route?.path ?? ""]?.[method.toLowerCase()] ?? { responses: {} };
      const { content } = responses[answer.status] ?? responses["default"] ?? { content: {} };
      expect([path, Object.keys(content)]).toEqual([path, [answer.type]]);
      const shape = route?.answers[answer.status] ?? "Problem";
      if (shape in shapes) {
        shapes[shape as keyof typeof shapes].parse(JSON.parse(answer.text));
        expect(answer.type).toBe(shape === "Problem" ? "application/problem+json" : "application/json");
      } else expect(answer.type).toBe(shape);
    }
  }
  expect([...met].toSorted()).toEqual(routes.map(({ method, path }) => `${method} ${path}`).toSorted());
  expect((await ask(socket, "GET", `/v1/runs/${ended}/log`)).text).toBe("hello\n");
  expect((await ask({ host: "127.0.0.1", port }, "GET", "/health")).status).toBe(401);
  expect((await ask({ host: "127.0.0.1", port }, "GET", "/health", { host: "evil.example" })).status).toBe(403);
  // The port goes with the setting.
  home.hostConfig("{}\n");
  for (let fault = ""; !fault.includes("ECONNREFUSED"); ) {
    fault = await ask({ host: "127.0.0.1", port }, "GET", "/health").then(() => "", String);
  }
});

test.concurrent("an answer holds a bounded piece of the history, and one that would hold more is refused", async ({
  onTestFinished,
}) => {
  const home = makeSupervisedHome(onTestFinished);
  home.writeJobs([]);
  const count = 1001;
  const ids = Array.from({ length: count }, (_, index) => `run${index}`);
  const nowMs = Date.now();
  mkdirSync(home.state, { recursive: true, mode: 0o700 });
  const ledger = createRunLedger({ files: createFiles() }, join(home.state, "supervisor.db"));
  ledger.transaction(() => {
    ledger.claim(
      // Retention keeps a thousand of one job.
      ids.map((id, index) => ({
        ...sampleRun(id, "default", index % 2 === 0 ? "aaaaaaaaaaaa" : "bbbbbbbbbbbb"),
        claimedAtMs: nowMs - 1000 * index,
      })),
    );
    for (const id of ids) {
      ledger.start(id, nowMs);
      ledger.close(id, completed({ endedAtMs: nowMs }));
    }
    ledger.writeSlots(
      "default",
      ids.map((id, index) => ({
        jobId: "aaaaaaaaaaaa",
        scheduledAtMs: nowMs - 1000 * index,
        decision: "run" as const,
        reason: "on_time" as const,
        runId: id,
        decidedAtMs: nowMs,
        latenessMs: 1,
      })),
    );
  });
  ledger.dispose();
  await home.start().said("ready");
  const told = async (address: string): Promise<readonly [number, number | string]> => {
    const { status, text } = await ask(socketOf(home), "GET", address);
    const body = JSON.parse(text) as { runs?: unknown[]; slots?: unknown[]; detail?: string };
    return [status, body.detail ?? body.runs?.length ?? body.slots?.length ?? -1];
  };
  const refusal = (what: string): string =>
    `These are more than 1000 ${what}, and an answer holds no more: expected a limit from 1 to 1000, or less by home, job${what === "runs" ? ", state" : ""} or since`;
  for (const what of ["runs", "slots"]) {
    expect(await told(`/v1/${what}?limit=1000`)).toEqual([200, 1000]);
    expect(await told(`/v1/${what}?limit=0`)).toEqual([400, refusal(what)]);
    expect(await told(`/v1/${what}?limit=999999`)).toEqual([400, refusal(what)]);
    // All of them are as many as there are.
    expect(await told(`/v1/${what}?limit=0&since=${new Date(nowMs - 9500).toISOString()}`)).toEqual([200, 10]);
    expect(await told(`/v1/${what}?limit=-1`)).toEqual([400, "limit is not a whole number from 0"]);
  }
});

test.concurrent("events tell of each step of a run, and a reader that was away resumes", async ({ onTestFinished }) => {
  const home = makeSupervisedHome(onTestFinished);
  home.script("ok.sh", "echo hello\n");
  home.writeJobs([scriptJob("aaaaaaaaaaaa", 600, "ok.sh")]);
  await home.start().said("ready");
  const { socketPath } = socketOf(home);
  const follow = (lastId: string): RawClient =>
    rawClient(socketPath, `GET /v1/events HTTP/1.1\r\nhost: x\r\nlast-event-id: ${lastId}\r\n\r\n`);
  const first = follow("");
  const begin = await until(() => /id: (\w+-\d+)/.exec(first.received())?.[1]);
  await ask({ socketPath }, "POST", "/v1/jobs/default/aaaaaaaaaaaa/run");
  await until(() => first.received().includes('"state":"completed"'));
  first.socket.destroy();
  const again = follow(begin);
  await until(() => again.received().includes('"state":"completed"'));
  const events = [...again.received().matchAll(/event: (\w+)\ndata: (.*)\n/g)].map(([, kind = "", data = ""]) => {
    eventShapes[kind as keyof typeof eventShapes].parse(JSON.parse(data));
    return kind === "run" ? `run ${(JSON.parse(data) as { state: string }).state}` : kind;
  });
  expect(events.filter((event) => event.startsWith("run"))).toEqual(["run claimed", "run running", "run completed"]);
  again.socket.destroy();
});

test.concurrent("hostile clients do not keep a job from its seconds", async ({ onTestFinished }) => {
  const home = makeSupervisedHome(onTestFinished);
  home.script("ok.sh", "echo hello\n");
  home.writeJobs([scriptJob("aaaaaaaaaaaa", "* * * * * *", "ok.sh", { next_run_at: null })]);
  const daemon = home.start();
  await daemon.said("ready");
  const { socketPath } = socketOf(home);
  await until(() => home.slots().length > 0);
  const began = Date.now();
  const clients: RawClient[] = [];
  const junk = Buffer.alloc(65_536, 0x78);
  let seconds = 0;
  while (seconds < 3) {
    for (let index = 0; index < 40; index += 1) {
      clients.push(rawClient(socketPath));
      clients.push(rawClient(socketPath, "GET /v1/status HTTP/1.1\r\nx-slow: "));
      clients.push(rawClient(socketPath, "GET /v1/events HTTP/1.1\r\nhost: x\r\n\r\n"));
      clients.push(
        rawClient(socketPath, "POST /v1/runs/x/stop HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n{nonsense"),
      );
      clients.push(rawClient(socketPath, "GET /v1/runs/..%00/log HTTP/1.1\r\nhost: x\r\n\r\n"));
    }
    const flood = rawClient(socketPath, "GET / HTTP/1.1\r\nx: ");
    clients.push(flood);
    for (let part = 0; part < 100 && flood.socket.writable; part += 1) flood.socket.write(junk);
    await new Promise((resolve) => setTimeout(resolve, 100));
    seconds = new Set(home.slots().map(({ scheduled_at: at }) => at)).size - 1;
  }
  expect((await ask({ socketPath }, "GET", "/v1/status")).status).toBe(200);
  for (const { socket } of clients) socket.destroy();
  // Each second since has its slot, all of them ran, and none was served late.
  const slots = home.slots().filter(({ scheduled_at: at }) => Date.parse(at) > began);
  expect(new Set(slots.map(({ decision, reason }) => `${decision} ${reason}`))).toEqual(new Set(["run on_time"]));
  const times = slots.map(({ scheduled_at: at }) => Date.parse(at)).toSorted((a, b) => a - b);
  expect(times.every((time, index) => index === 0 || time - (times[index - 1] ?? 0) === 1000)).toBe(true);
  expect(daemon.log()).not.toContain('"level":"error"');
});
