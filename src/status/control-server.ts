import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { http } from "../system/http.ts";
import { type Answer, type ControlActions, problem, type Reply, type StreamAnswer } from "./control-actions.ts";
import { createPipelining } from "./pipelining.ts";
import { findRoutes } from "./routes.ts";

const headerBytesMax = 16 * 1024;
const bodyBytesMax = 64 * 1024;
const addressCharsMax = 4096;

export interface ServerLimits {
  /** Beyond these, the connection that has been idle for longest, or a stream that nobody reads, is closed for each new one: nobody can lock others out by holding many. */
  readonly connectionsMax: number;
  readonly streamsMax: number;
  readonly headerMs: number;
  /** For a request to come, and for its answer to be taken further. */
  readonly requestMs: number;
  /** Node looks only so often for what is over its time; half a minute is its default. */
  readonly lookMs: number;
}

const usualLimits: ServerLimits = {
  connectionsMax: 128,
  streamsMax: 64,
  headerMs: 5000,
  requestMs: 10_000,
  lookMs: 5000,
};

export interface ControlServer {
  readonly server: Server;
  /** Ends every connection, streams too. */
  close(): void;
}

/**
 * The HTTP server of the control socket, not listening yet. `admit` turns away a request before anything is made of it. Whatever a
 * client does or leaves undone has a bound: the size of what it sends, how long it takes, and how many there are.
 */
export function createControlServer(
  actions: ControlActions,
  admit: (request: IncomingMessage) => Answer | null = () => null,
  limits: ServerLimits = usualLimits,
): ControlServer {
  const { connectionsMax, streamsMax } = limits;
  const streams = new Set<() => void>();
  /** Those whose reader has not taken what was written to it, the longest ago first. */
  const stuck = new Set<() => void>();
  /** Those that no complete request has come from yet, or whose last one is answered, taken or not, the longest ago first. */
  const idle = new Set<Socket>();
  const sockets = new Set<Socket>();
  const turnOf = createPipelining();

  const server = http.createServer(
    { maxHeaderSize: headerBytesMax, connectionsCheckingInterval: limits.lookMs },
    (request, response) => {
      response.once("close", () => {
        if (sockets.has(request.socket)) idle.add(request.socket);
      });
      // The reader is gone; there is nobody to tell.
      response.on("error", () => response.destroy());
      void turnOf(request.socket, response)
        ?.then(() => (request.socket.destroyed ? null : reply(request)))
        .catch((error: unknown) => problem(500, error instanceof Error ? error.message : String(error)))
        .then((made) => made !== null && send(request, response, made));
    },
  );
  server.headersTimeout = limits.headerMs;
  server.requestTimeout = limits.requestMs;
  server.keepAliveTimeout = limits.headerMs;
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    idle.add(socket);
    socket.once("close", () => {
      sockets.delete(socket);
      idle.delete(socket);
    });
    if (sockets.size <= connectionsMax + streams.size) return;
    const [oldest] = idle;
    if (oldest === undefined) return;
    // It is told later that it is closed, and others may come until then.
    sockets.delete(oldest);
    idle.delete(oldest);
    oldest.destroy();
  });
  server.on("clientError", refuse);

  async function reply(request: IncomingMessage): Promise<Reply> {
    const refused = admit(request);
    if (refused !== null) return refused;
    const address = parseAddress(request.url ?? "");
    if (typeof address === "string") return problem(400, address);
    const { routes, path } = findRoutes(address.parts);
    if (routes.length === 0) return problem(404, `There is nothing at ${address.path}`);
    const route = routes.find(({ method }) => method === request.method);
    if (route === undefined) {
      const methods = routes.map(({ method }) => method).join(" or ");
      return problem(405, `${request.method} is not known at ${address.path}, expected ${methods}`);
    }
    const body = await readBody(request);
    if ("status" in body) return body;
    idle.delete(request.socket);
    return await route.act(actions, {
      path,
      query: address.query,
      body: body.value,
      lastEventId: lastEventId(request),
      isGone: () => request.socket.destroyed,
    });
  }

  function send(request: IncomingMessage, response: ServerResponse, made: Reply): void {
    if (response.destroyed) return;
    if ("open" in made) {
      const [oldest] = streams.size >= streamsMax ? stuck : [];
      oldest?.();
      if (streams.size >= streamsMax) made = problem(503, `There are ${streamsMax} streams already, expected fewer`);
      else {
        openStream(response, made);
        return;
      }
    }
    const [type, parts] = printed(made);
    const bytes = parts.reduce((sum, part) => sum + Buffer.byteLength(part), 0);
    // What was not read of the request would be taken for the next one.
    const headers = { ...fixedHeaders, "content-type": type, "content-length": bytes };
    const extra = made.status === 401 ? { "www-authenticate": "Bearer" } : {};
    const allow = made.status === 405 ? { allow: allowed(request) } : {};
    response.writeHead(made.status, {
      ...headers,
      ...extra,
      ...allow,
      ...(request.complete ? {} : { connection: "close" }),
    });
    writeParts(response, parts, 0);
    // An answer that its reader does not take stays in memory: it keeps no other from one, and not for long.
    const { socket } = request;
    if (!sockets.has(socket)) return;
    idle.delete(socket);
    idle.add(socket);
    if (response.writableLength > 0 || !response.writableEnded) socket.setTimeout(limits.requestMs);
  }

  function openStream(response: ServerResponse, stream: StreamAnswer): void {
    response.writeHead(stream.status, { ...fixedHeaders, "content-type": stream.type });
    response.flushHeaders();
    response.socket?.setKeepAlive(true, 30_000);
    let stop: (() => void) | null = null;
    let isOver = false;
    const over = (): void => {
      if (isOver) return;
      isOver = true;
      streams.delete(drop);
      stuck.delete(drop);
      stop?.();
    };
    const drop = (): void => {
      response.destroy();
      over();
    };
    streams.add(drop);
    response.once("close", over);
    stop = stream.open({
      write: (part) => !response.destroyed && response.write(part),
      drained(act) {
        stuck.add(drop);
        response.once("drain", () => {
          stuck.delete(drop);
          act();
        });
      },
      waitingBytes: () => response.writableLength,
      end: () => {
        response.end();
        over();
      },
      drop,
    });
    // It may have come to its end while it was opened.
    if (isOver) stop();
  }

  return {
    server,
    close() {
      server.close();
      for (const drop of [...streams]) drop();
      server.closeAllConnections();
    },
  };
}

const fixedHeaders = { "cache-control": "no-store", "x-content-type-options": "nosniff" };

/** One part after another, each when the reader has taken the one before. */
function writeParts(response: ServerResponse, parts: readonly (string | Uint8Array)[], from: number): void {
  for (let index = from; index < parts.length - 1; index += 1) {
    if (response.write(parts[index])) continue;
    response.once("drain", () => writeParts(response, parts, index + 1));
    return;
  }
  response.end(parts.at(-1));
}

/** The type and the content of an answer. */
function printed(made: Exclude<Reply, StreamAnswer>): readonly [type: string, parts: readonly (string | Uint8Array)[]] {
  if ("text" in made) return [made.type, [made.text]];
  if ("parts" in made) return [made.type, made.parts];
  return [isProblem(made) ? "application/problem+json" : "application/json", [`${JSON.stringify(made.body)}\n`]];
}

/** Health is red by its status, and yet the request was answered. */
function isProblem({ status, body }: Answer): boolean {
  return status >= 400 && typeof body === "object" && body !== null && "detail" in body;
}

/** The parts of a path as they were meant, or a sentence about what is wrong with it. Nothing is tidied up: a path is taken as it stands. */
function parseAddress(
  url: string,
): { readonly path: string; readonly parts: readonly string[]; readonly query: URLSearchParams } | string {
  if (url.length > addressCharsMax) return `The address is longer than ${addressCharsMax} characters`;
  const end = url.indexOf("?");
  const path = end === -1 ? url : url.slice(0, end);
  if (!path.startsWith("/")) return "The address is no path, expected one that begins with /";
  const parts = path.slice(1).split("/").map(decode);
  if (parts.some((part) => part === null)) return "The address is not valid percent-encoding";
  const bad = parts.find((part) => part === "." || part === ".." || /[\x00-\x1f\x7f]/u.test(part ?? ""));
  if (bad !== undefined) return "The address has a part that names nothing, such as .. or a control character";
  return {
    path: path.slice(0, 200),
    parts: parts.map((part) => part ?? ""),
    query: new URLSearchParams(end === -1 ? "" : url.slice(end + 1)),
  };
}

function decode(part: string): string | null {
  try {
    return decodeURIComponent(part);
  } catch {
    // Reported by the caller as a bad request.
    return null;
  }
}

function allowed(request: IncomingMessage): string {
  const address = parseAddress(request.url ?? "");
  return typeof address === "string"
    ? ""
    : findRoutes(address.parts)
        .routes.map(({ method }) => method)
        .join(", ");
}

function lastEventId(request: IncomingMessage): string | null {
  const header = request.headers["last-event-id"];
  return typeof header === "string" ? header : null;
}

/** No request needs a body; one that is sent must be a JSON object, and is read before the answer. */
async function readBody(request: IncomingMessage): Promise<Answer | { readonly value: Record<string, unknown> }> {
  // Hardly any request has one, and to wait for what does not come takes a while, too.
  const { headers } = request;
  if (headers["content-length"] === undefined && headers["transfer-encoding"] === undefined) return { value: {} };
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of request.iterator({ destroyOnReturn: false })) {
    bytes += (part as Buffer).length;
    if (bytes > bodyBytesMax) return problem(413, `The body is larger than ${bodyBytesMax} bytes`);
    parts.push(part as Buffer);
  }
  if (bytes === 0) return { value: {} };
  try {
    const value: unknown = JSON.parse(Buffer.concat(parts).toString("utf8"));
    if (typeof value === "object" && value !== null && !Array.isArray(value)) {
      return { value: value as Record<string, unknown> };
    }
  } catch {
    // Said below.
  }
  return problem(400, "The body is not a JSON object");
}

/** A request that Node could not read has no `response`, so the answer is written by hand. */
function refuse(error: NodeJS.ErrnoException, socket: Socket): void {
  if (!socket.writable || error.code === "ECONNRESET") {
    socket.destroy();
    return;
  }
  const { status, body } =
    error.code === "HPE_HEADER_OVERFLOW"
      ? problem(431, `The header is larger than ${headerBytesMax} bytes`)
      : error.code === "ERR_HTTP_REQUEST_TIMEOUT"
        ? problem(408, "The request did not come to its end in time")
        : problem(400, "This is no HTTP request");
  const text = `${JSON.stringify(body)}\n`;
  const { title } = body as { readonly title: string };
  const head = `HTTP/1.1 ${status} ${title}\r\ncontent-type: application/problem+json\r\ncontent-length: ${Buffer.byteLength(text)}\r\nconnection: close\r\n\r\n`;
  // Without the callback a client that goes on sending would keep the socket.
  socket.end(head + text, () => socket.destroy());
}
