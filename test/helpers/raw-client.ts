import { connect, type Socket } from "node:net";

/** A client that says what it likes, byte by byte. */
export interface RawClient {
  readonly socket: Socket;
  readonly received: () => string;
  /** Resolves with all that was received once the other side has closed. */
  readonly closed: Promise<string>;
}

export function rawClient(path: string, text: string | Uint8Array = ""): RawClient {
  const socket = connect(path);
  let received = "";
  socket.setEncoding("utf8").on("data", (part: string) => {
    received += part;
  });
  // A connection that is cut off is what such a client deserves.
  socket.on("error", () => undefined);
  const closed = new Promise<string>((resolve) => {
    socket.once("close", () => resolve(received));
  });
  if (text.length > 0) socket.write(text);
  return { socket, received: () => received, closed };
}

/** One request, its answer as text. */
export async function rawRequest(path: string, head: string, body = ""): Promise<{ status: number; text: string }> {
  const answer = await rawClient(path, `${head}\r\nhost: supervisor\r\nconnection: close\r\n\r\n${body}`).closed;
  const [, text = ""] = answer.split("\r\n\r\n");
  return { status: Number(/^HTTP\/1\.1 (\d+)/.exec(answer)?.[1] ?? "0"), text };
}
