import { mkdtempSync, rmSync } from "node:fs";
import type { Server } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { type ControlActions, problem, type Sink } from "../../src/status/control-actions.ts";
import { createControlServer } from "../../src/status/control-server.ts";
import { listenOnSocket } from "../../src/system/socket.ts";
import { type RawClient, rawClient, rawRequest } from "../helpers/raw-client.ts";
import { until } from "../helpers/supervised-home.ts";

/** More than a socket takes at once. */
const large = Array.from({ length: 40 }, (_, index) => Buffer.alloc(64 * 1024, 97 + (index % 26)));
const limits = { connectionsMax: 16, streamsMax: 4, headerMs: 200, requestMs: 400, lookMs: 50 };

interface Served {
  readonly path: string;
  /** What reached the daemon. */
  readonly asked: string[];
  readonly sinks: Sink[];
  readonly stopped: () => number;
  readonly server: Server;
}

async function serve(given = limits, metrics = "metrics", more: Partial<ControlActions> = {}): Promise<Served> {
  const folder = mkdtempSync(join(tmpdir(), "control-"));
  const path = join(folder, "control.sock");
  const asked: string[] = [];
  const sinks: Sink[] = [];
  let stopped = 0;
  const say = (what: string): { status: 200; body: unknown } => {
    asked.push(what);
    return { status: 200, body: {} };
  };
  const actions: ControlActions = {
    health: () => say("health"),
    metrics: () => Promise.resolve({ status: 200, type: "text/plain", text: metrics }),
    description: () => ({ status: 200, type: "application/json", text: "{}" }),
    read: (name, query) =>
      name === "jobs" && query.has("parts")
        ? { status: 200, type: "application/json", parts: large }
        : say(`${name}?${query}`),
    run: (id) => (id === "gone" ? problem(404, "gone") : say(`run ${id}`)),
    log: (id) => say(`log ${id}`),
    request: (id) => say(`request ${id}`),
    runJob: (home, job) => Promise.resolve(say(`run job ${home}/${job}`)),
    stopRun: (id, now) => say(`stop ${id} ${now}`),
    events: () => ({
      status: 200,
      type: "text/event-stream",
      open(sink) {
        sinks.push(sink);
        sink.write("hello\n\n");
        return () => {
          stopped += 1;
        };
      },
    }),
    ...more,
  };
  const server = createControlServer(actions, undefined, given);
  await listenOnSocket(server.server, path);
  onTestFinished(() => {
    server.close();
    rmSync(folder, { recursive: true });
  });
  return { path, asked, sinks, stopped: () => stopped, server: server.server };
}

const detailOf = (text: string): string => (JSON.parse(text) as { detail: string }).detail;

test("the control server finds its way by the parts of a path as they stand", async () => {
  const { path, asked } = await serve();
  for (const address of [
    "GET /health",
    "GET /v1/status",
    "GET /v1/runs?job=a%26b&limit=3",
    "GET /v1/runs/r1",
    "GET /v1/runs/r1/log?follow=1",
    "GET /v1/runs/..%2F..%2Fetc%2Fpasswd",
    "POST /v1/jobs/team%20a/j1/run",
    "POST /v1/runs/r1/stop?now=1",
    "GET /v1/requests/5",
  ]) {
    expect([address, (await rawRequest(path, `${address} HTTP/1.1`)).status]).toEqual([address, 200]);
  }
  expect(asked).toEqual([
    "health",
    "status?",
    "runs?job=a%26b&limit=3",
    "run r1",
    "log r1",
    "run ../../etc/passwd",
    "run job team a/j1",
    "stop r1 true",
    "request 5",
  ]);
});

const parts = "The address has a part that names nothing, such as .. or a control character";
test.for([
  ["GET /v1/../v1/status", 400, parts],
  ["GET /v1/%2e%2e/status", 400, parts],
  ["GET /v1/runs/./log", 400, parts],
  ["GET /v1/runs/a%00b", 400, parts],
  ["GET /v1/runs/a%0ab/log", 400, parts],
  ["GET /v1/runs/%zz", 400, "The address is not valid percent-encoding"],
  ["GET /v1/runs/%ff", 400, "The address is not valid percent-encoding"],
  ["GET http://elsewhere/v1/status", 400, "The address is no path, expected one that begins with /"],
  ["OPTIONS *", 400, "The address is no path, expected one that begins with /"],
  ["GET //v1/status", 404, "There is nothing at //v1/status"],
  ["GET /v1/status/", 404, "There is nothing at /v1/status/"],
  ["GET /v1%2fstatus", 404, "There is nothing at /v1%2fstatus"],
  ["GET /V1/status", 404, "There is nothing at /V1/status"],
  ["GET /__proto__", 404, "There is nothing at /__proto__"],
  ["GET /v1/constructor", 404, "There is nothing at /v1/constructor"],
  ["DELETE /v1/runs/r1", 405, "DELETE is not known at /v1/runs/r1, expected GET"],
  ["GET /v1/runs/r1/stop", 405, "GET is not known at /v1/runs/r1/stop, expected POST"],
] as const)("the control server refuses %s", async ([line, status, detail]) => {
  const { path, asked } = await serve();
  const answer = await rawRequest(path, `${line} HTTP/1.1`);
  expect([answer.status, detailOf(answer.text), asked]).toEqual([status, detail, []]);
});

test("the control server sends an answer in parts whole, as fast as its reader takes it", async () => {
  const { path } = await serve();
  const whole = Buffer.concat(large).toString("utf8");
  const request = "GET /v1/jobs?parts=1 HTTP/1.1\r\nhost: supervisor\r\n";
  const slow = rawClient(path, `${request}\r\n${request}connection: close\r\n\r\n`);
  slow.socket.pause();
  const fast = await rawRequest(path, `${request.trimEnd()}`);
  expect([fast.status, fast.text === whole]).toEqual([200, true]);
  slow.socket.resume();
  // Both answers of a connection that is kept, one behind the other.
  const answers = (await slow.closed).split("HTTP/1.1 200 OK\r\n").slice(1);
  expect(answers.map((answer) => answer.split("\r\n\r\n")[1] === whole)).toEqual([true, true]);
  expect(answers[0]).toContain(`content-length: ${whole.length}\r\n`);
});

test("the control server breaks off an answer in parts that nobody takes", async () => {
  const { path, server } = await serve();
  const stuck = rawClient(path, "GET /v1/jobs?parts=1 HTTP/1.1\r\nhost: supervisor\r\n\r\n");
  stuck.socket.pause();
  const open = (): Promise<number> => new Promise((resolve) => server.getConnections((_, count) => resolve(count)));
  await expect.poll(open).toBe(1);
  await expect.poll(open, { timeout: 10_000 }).toBe(0);
  stuck.socket.resume();
  expect((await stuck.closed).length).toBeLessThan(Buffer.concat(large).length);
});

test("the control server refuses an address without end", async () => {
  const { path } = await serve();
  const { status, text } = await rawRequest(path, `GET /${"x".repeat(5000)} HTTP/1.1`);
  expect([status, detailOf(text)]).toEqual([400, "The address is longer than 4096 characters"]);
});

test("the control server takes a body that is a JSON object, and no other", async () => {
  const { path, asked } = await serve();
  const post = async (body: string): Promise<{ status: number; text: string }> =>
    await rawRequest(path, `POST /v1/runs/r1/stop HTTP/1.1\r\ncontent-length: ${Buffer.byteLength(body)}`, body);
  expect((await post('{"now": true}')).status).toBe(200);
  for (const body of ['{"now": tru', "[]", "null", "\u0000", "now=true"]) {
    const { status, text } = await post(body);
    expect([body, status, detailOf(text)]).toEqual([body, 400, "The body is not a JSON object"]);
  }
  const large = await post(`{"now": "${"x".repeat(70_000)}"}`);
  expect([large.status, detailOf(large.text)]).toEqual([413, "The body is larger than 65536 bytes"]);
  expect(asked).toEqual(["stop r1 true"]);
});

test("the control server answers what is no request, and a header without end, in one line", async () => {
  const { path } = await serve();
  const nonsense = await rawClient(path, "\u0016\u0003\u0001 hello\r\n\r\n").closed;
  expect(nonsense).toContain("HTTP/1.1 400 Bad request");
  expect(nonsense).toContain('"detail":"This is no HTTP request"');
  const client = rawClient(path, "GET /health HTTP/1.1\r\nx: ");
  const part = Buffer.alloc(65_536, 0x78);
  // A hundred megabytes, or as many as the other side puts up with.
  for (let sent = 0; sent < 1600 && !client.socket.destroyed && client.socket.writable; sent += 1) {
    if (!client.socket.write(part)) await new Promise((resolve) => setImmediate(resolve));
  }
  await client.closed;
  expect((await rawRequest(path, "GET /health HTTP/1.1")).status).toBe(200);
});

test("the control server lets go of clients that do not come to the point", async () => {
  const { path, asked } = await serve();
  const slow = [
    rawClient(path),
    rawClient(path, "GET /hea"),
    rawClient(path, "POST /v1/runs/r1/stop HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n{"),
    rawClient(path, "POST /v1/runs/r1/stop HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n1\r\n{\r\n"),
  ];
  await Promise.all(slow.map((client) => client.closed));
  expect(asked).toEqual([]);
});

test("a thousand connections keep nobody from an answer", async () => {
  const { path } = await serve({ ...limits, headerMs: 60_000, requestMs: 60_000 });
  const held: RawClient[] = [];
  for (let index = 0; index < 1000; index += 1) {
    const client = rawClient(path, index % 2 === 0 ? "" : "GET /v1/status HTTP/1.1\r\nhost:");
    held.push(client);
    if (index % 50 === 0) {
      const connected = new Promise((resolve) => client.socket.once("connect", resolve));
      await Promise.race([connected, client.closed]);
    }
  }
  expect((await rawRequest(path, "GET /health HTTP/1.1")).status).toBe(200);
  // Those that came last may stay, the others are gone.
  await Promise.all(held.slice(0, 900).map((client) => client.closed));
  for (const client of held) client.socket.destroy();
});

/** Asks, and leaves what comes where it is from the first piece on. */
async function askAndLeave(path: string, count: number): Promise<readonly RawClient[]> {
  const clients: RawClient[] = [];
  for (let index = 0; index < count; index += 1) {
    const client = rawClient(path, "GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n");
    clients.push(client);
    const begun = new Promise<void>((resolve) => {
      client.socket.once("data", () => {
        client.socket.pause();
        resolve();
      });
    });
    await Promise.race([begun, client.closed]);
  }
  return clients;
}

test("answers that nobody takes keep nobody from one", async () => {
  const metrics = "x".repeat(4_000_000);
  const { path } = await serve({ ...limits, headerMs: 60_000, requestMs: 60_000 }, metrics);
  const held = await askAndLeave(path, 60);
  expect((await rawRequest(path, "GET /metrics HTTP/1.1")).text).toBe(metrics);
  // Those that came last may stay, the others are cut off.
  const cutOff = held.slice(0, 40);
  for (const { socket } of cutOff) socket.resume();
  const lengths = await Promise.all(cutOff.map(async ({ closed }) => (await closed).length));
  expect(lengths.filter((length) => length > metrics.length)).toEqual([]);
  for (const { socket } of held) socket.destroy();
});

test("an answer that nobody takes is let go of", async () => {
  const metrics = "x".repeat(4_000_000);
  const { path, server } = await serve(limits, metrics);
  const [reader] = await askAndLeave(path, 1);
  const connections = (): Promise<number> =>
    new Promise((resolve) => server.getConnections((_, count) => resolve(count)));
  await expect.poll(connections).toBe(0);
  reader?.socket.destroy();
});

test("streams have a maximum, and one that is left is free again", async () => {
  const { path, sinks, stopped } = await serve();
  const request = "GET /v1/events HTTP/1.1\r\nhost: x\r\n\r\n";
  const readers = [1, 2, 3, 4].map(() => rawClient(path, request));
  await expect.poll(() => sinks.length).toBe(4);
  const fifth = await rawRequest(path, "GET /v1/events HTTP/1.1");
  expect([fifth.status, detailOf(fifth.text)]).toEqual([503, "There are 4 streams already, expected fewer"]);
  readers[0]?.socket.destroy();
  // Half open: it says that it sends nothing more, and is gone as far as we are concerned.
  readers[1]?.socket.end();
  await expect.poll(stopped).toBe(2);
  rawClient(path, request);
  await expect.poll(() => sinks.length).toBe(5);
});

test("streams that nobody reads make way for one that is read", async () => {
  const { path, sinks, stopped } = await serve();
  const request = "GET /v1/events HTTP/1.1\r\nhost: x\r\n\r\n";
  for (let index = 0; index < 4; index += 1) rawClient(path, request).socket.pause();
  await expect.poll(() => sinks.length).toBe(4);
  const [, second] = sinks;
  second?.write("x".repeat(4_000_000));
  second?.drained(() => undefined);
  rawClient(path, request);
  await expect.poll(() => [sinks.length, stopped()]).toEqual([5, 1]);
  expect(second?.write("more")).toBe(false);
});

test("a reader that takes nothing fills no memory", async () => {
  const { path, sinks, stopped } = await serve();
  const reader = rawClient(path, "GET /v1/events HTTP/1.1\r\nhost: x\r\n\r\n");
  reader.socket.pause();
  await expect.poll(() => sinks.length).toBe(1);
  const [sink] = sinks;
  while (sink?.write("x".repeat(65_536)) === true);
  expect(sink?.waitingBytes()).toBeGreaterThan(0);
  sink?.drop();
  expect([sink?.write("more"), stopped()]).toEqual([false, 1]);
});

test("requests that one connection sends at once are answered in turn, and nobody is asked for those of one that is gone", async () => {
  const { promise, resolve } = Promise.withResolvers<undefined>();
  const begun: string[] = [];
  const gone: (() => boolean)[] = [];
  const served = await serve(limits, "metrics", {
    read: async (_name, query, isGone) => {
      begun.push(String(query));
      gone.push(isGone);
      if (query.has("wait")) await promise;
      return { status: 200, body: String(query) };
    },
  });
  const get = (what: string): string => `GET /v1/runs?${what} HTTP/1.1\r\nhost: x\r\n\r\n`;
  const [patient, left] = [1, 2].map((which) => rawClient(served.path, get(`wait=${which}`) + get(`next=${which}`)));
  await until(() => begun.length === 2);
  left?.socket.destroy();
  await until(() => gone[begun.indexOf("wait=2")]?.());
  resolve(undefined);
  await until(() => patient?.received().includes("next=1"));
  expect(begun.toSorted()).toEqual(["next=1", "wait=1", "wait=2"]);
  expect(patient?.received().match(/"(wait|next)=1"/gu)).toEqual(['"wait=1"', '"next=1"']);
});

test("a connection that sends requests without end is closed, and next to nothing is made of them", async () => {
  const served = await serve();
  const flood = rawClient(served.path, "GET /v1/status HTTP/1.1\r\nhost: x\r\n\r\n".repeat(5000));
  await flood.closed;
  expect(served.asked.length).toBeLessThanOrEqual(1);
  expect((await rawRequest(served.path, "GET /health HTTP/1.1")).status).toBe(200);
});
