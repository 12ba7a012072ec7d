import type { IncomingMessage, Server, ServerResponse } from "node:http";
import { http } from "../system/http.ts";

/** An answer of the daemon: a status and a JSON document. */
export interface Answer {
  readonly status: number;
  readonly body: unknown;
}

/** What the control socket can ask of the daemon. Each is answered from memory or by one query: none waits for a run or a lock. */
export interface ControlActions {
  health(): Answer;
  /** `name` is one of `status`, `homes`, `jobs`, `runs`, `slots`, `next`. */
  read(name: string, query: URLSearchParams): Answer | null;
  run(runId: string): Answer;
  request(id: number): Answer;
  runJob(home: string, job: string): Answer | Promise<Answer>;
  stopRun(runId: string, now: boolean): Answer | Promise<Answer>;
}

const bodyBytesMax = 64 * 1024;

/** The HTTP server of the control socket, not listening yet. */
export function createControlServer(actions: ControlActions): Server {
  const server = http.createServer({ maxHeaderSize: 16 * 1024 }, (request, response) => {
    void answer(actions, request)
      .catch((error: unknown) => problem(500, error instanceof Error ? error.message : String(error)))
      .then((result) => send(response, result));
  });
  server.headersTimeout = 5000;
  server.requestTimeout = 10_000;
  server.keepAliveTimeout = 5000;
  server.maxConnections = 256;
  // A client that breaks off or talks nonsense is its own trouble.
  server.on("clientError", (_error, socket) => socket.destroy());
  return server;
}

export function problem(status: number, detail: string): Answer {
  return { status, body: { type: "about:blank", title: titles[status] ?? "Error", status, detail } };
}

const titles: Readonly<Record<number, string>> = {
  400: "Bad request",
  404: "Not found",
  405: "Method not allowed",
  409: "Conflict",
  413: "Too large",
  500: "Internal error",
  503: "Unavailable",
};

async function answer(actions: ControlActions, request: IncomingMessage): Promise<Answer> {
  const url = URL.parse(request.url ?? "/", "http://supervisor");
  if (url === null) return problem(400, "The request names no address that can be read");
  const parts = url.pathname.split("/").slice(1).map(decode);
  if (parts.includes(null)) return problem(400, "The address is not valid percent-encoding");
  await drainBody(request);
  const [first, second, third, fourth, fifth] = parts;
  if (request.method === "GET") {
    if (url.pathname === "/health") return actions.health();
    if (first === "v1" && second === "runs" && third != null && parts.length === 3) return actions.run(third);
    if (first === "v1" && second === "requests" && third != null && parts.length === 3) {
      return /^\d{1,15}$/.test(third) ? actions.request(Number(third)) : problem(404, `There is no request "${third}"`);
    }
    if (first === "v1" && second != null && parts.length === 2) {
      return actions.read(second, url.searchParams) ?? problem(404, `There is nothing at ${url.pathname}`);
    }
    return problem(404, `There is nothing at ${url.pathname}`);
  }
  if (request.method === "POST" && first === "v1") {
    if (second === "jobs" && third != null && fourth != null && fifth === "run" && parts.length === 5) {
      return actions.runJob(third, fourth);
    }
    if (second === "runs" && third != null && fourth === "stop" && parts.length === 4) {
      return actions.stopRun(third, url.searchParams.get("now") === "1" || url.searchParams.get("now") === "true");
    }
    return problem(404, `There is nothing to do at ${url.pathname}`);
  }
  return problem(405, `${request.method} is not known here, expected GET or POST`);
}

function decode(part: string): string | null {
  try {
    return decodeURIComponent(part);
  } catch {
    // Reported by the caller as a bad request.
    return null;
  }
}

/** No request has a body that matters, but one that is sent must be read before the answer. */
async function drainBody(request: IncomingMessage): Promise<void> {
  let bytes = 0;
  for await (const part of request) {
    bytes += (part as Buffer).length;
    if (bytes > bodyBytesMax) throw new RangeError(`The body is larger than ${bodyBytesMax} bytes`);
  }
}

function send(response: ServerResponse, result: Answer): void {
  const type = result.status >= 400 && result.status !== 503 ? "application/problem+json" : "application/json";
  const text = `${JSON.stringify(result.body)}\n`;
  response.writeHead(result.status, { "content-type": type, "content-length": Buffer.byteLength(text) });
  response.end(text);
}
