import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** One `POST …/chat/completions`, as it arrived. */
export interface ModelRequest {
  readonly model: string;
  /** Proves whose key a run used. */
  readonly authorization: string;
  /** The bytes, for comparing one request with another. */
  readonly body: string;
  readonly atMs: number;
}

/** A model's endpoint on loopback. What it does is chosen by the model's name: see `behave`. */
export interface StubModel {
  /** What `base_url` is to be set to. */
  readonly url: string;
  readonly requests: readonly ModelRequest[];
  /** Makes the model of this name answer so. */
  says(model: string, text: string): void;
  /** Ends the requests that hang, too. */
  close(): Promise<void>;
}

interface Message {
  readonly role: string;
  readonly content?: unknown;
}

interface Chat {
  readonly model: string;
  readonly stream?: boolean;
  readonly messages: readonly Message[];
}

type Reply =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "command"; readonly command: string }
  | { readonly kind: "error"; readonly status: number }
  | { readonly kind: "garbage" }
  | { readonly kind: "hang" };

export async function startStubModel(): Promise<StubModel> {
  const requests: ModelRequest[] = [];
  const texts = new Map<string, string>();
  const server = createServer((request, response) => {
    void serve(request, response, requests, texts).catch(() => response.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/v1`,
    requests,
    says(model, text) {
      texts.set(model, text);
    },
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}

/** The config of a home whose prompt jobs go to the stub, in every release; `more` are lines of YAML. */
export function stubConfig(url: string, more = ""): string {
  return `model: {default: stub, provider: stub, context_length: 200000}
providers:
  stub: {base_url: "${url}", key_env: STUB_API_KEY, api_mode: chat_completions}
security: {allow_lazy_installs: false, tirith_enabled: false}
plugins: {auto_update_check_hours: 0}
agent: {api_max_retries: 1, auto_recovery_cycles: 0}
timezone: Asia/Kolkata
${more}`;
}

async function serve(
  request: IncomingMessage,
  response: ServerResponse,
  requests: ModelRequest[],
  texts: ReadonlyMap<string, string>,
): Promise<void> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const atMs = performance.now();
  if (request.method !== "POST" || !request.url?.endsWith("/chat/completions")) {
    response.writeHead(404, { "content-type": "application/json" }).end('{"error": {"message": "not here"}}');
    return;
  }
  const body = Buffer.concat(chunks).toString();
  const chat = JSON.parse(body) as Chat;
  requests.push({ model: chat.model, authorization: request.headers.authorization ?? "", body, atMs });
  const said = texts.get(chat.model);
  await send(response, chat, said === undefined ? await behave(chat) : { kind: "text", text: said });
}

/** `stub` answers; `stub-wait-3` after 3 s; `stub-tool` and `stub-sleep-40` run a command first; `stub-500` fails; and so on. */
async function behave({ model, messages }: Chat): Promise<Reply> {
  const [, kind, amount] = /^stub-?([a-z]*|\d+)(?:-(\d+))?$/u.exec(model) ?? [];
  const results = messages.filter((message) => message.role === "tool");
  switch (kind) {
    case "wait":
      await new Promise((resolve) => setTimeout(resolve, Number(amount) * 1000));
      return { kind: "text", text: "stub answer" };
    case "tool":
      if (results.length === 0) return { kind: "command", command: "echo hi" };
      return { kind: "text", text: `the tool said ${String(results.at(-1)?.content)}` };
    case "folder":
      if (results.length === 0) return { kind: "command", command: "pwd" };
      return { kind: "text", text: `the tool said ${String(results.at(-1)?.content)}` };
    case "sleep":
      if (results.length === 0) return { kind: "command", command: `sleep ${amount}` };
      return { kind: "text", text: "stub answer" };
    case "empty":
      return { kind: "text", text: "" };
    case "silent":
      return { kind: "text", text: "[SILENT]" };
    case "garbage":
      return { kind: "garbage" };
    case "hang":
      return { kind: "hang" };
    case "":
    case undefined:
      return { kind: "text", text: "stub answer" };
    default:
      return { kind: "error", status: Number(kind) };
  }
}

async function send(response: ServerResponse, chat: Chat, reply: Reply): Promise<void> {
  switch (reply.kind) {
    case "hang":
      return;
    case "garbage":
      response.writeHead(200, { "content-type": "application/json" }).end("\u0000 no JSON");
      return;
    case "error":
      response
        .writeHead(reply.status, { "content-type": "application/json" })
        .end(JSON.stringify({ error: { message: `stub says ${reply.status}`, type: "stub" } }));
      return;
    case "text":
    case "command":
      if (chat.stream === true) stream(response, chat.model, reply);
      else whole(response, chat.model, reply);
  }
}

type Said = Extract<Reply, { readonly kind: "text" | "command" }>;

const usage = { prompt_tokens: 100, completion_tokens: 10, total_tokens: 110 };

function finishOf(reply: Said): "stop" | "tool_calls" {
  return reply.kind === "text" ? "stop" : "tool_calls";
}

function messageOf(reply: Said): object {
  if (reply.kind === "text") return { role: "assistant", content: reply.text };
  const call = { name: "terminal", arguments: JSON.stringify({ command: reply.command }) };
  return {
    role: "assistant",
    content: null,
    tool_calls: [{ index: 0, id: "call_1", type: "function", function: call }],
  };
}

function whole(response: ServerResponse, model: string, reply: Said): void {
  const choice = { index: 0, message: messageOf(reply), finish_reason: finishOf(reply) };
  const answer = { id: "stub", object: "chat.completion", created: 1, model, choices: [choice], usage };
  response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(answer));
}

function stream(response: ServerResponse, model: string, reply: Said): void {
  response.writeHead(200, { "content-type": "text/event-stream" });
  const chunk = (choices: readonly object[], more: object = {}): string =>
    `data: ${JSON.stringify({ id: "stub", object: "chat.completion.chunk", created: 1, model, choices, ...more })}\n\n`;
  response.write(chunk([{ index: 0, delta: messageOf(reply), finish_reason: null }]));
  response.write(chunk([{ index: 0, delta: {}, finish_reason: finishOf(reply) }]));
  response.write(chunk([], { usage }));
  response.end("data: [DONE]\n\n");
}
