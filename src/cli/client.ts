import { join } from "node:path";
import { http } from "../system/http.ts";
import { type SocketAddress, socketAddress } from "../system/socket.ts";
import { CommandError, exitCodes } from "./exit-codes.ts";
import { printable } from "./print.ts";

export interface DaemonAnswer {
  readonly status: number;
  readonly body: unknown;
}

const answerMsMax = 10_000;

/** One request to the daemon's control socket. Throws a `CommandError` when no daemon listens there. */
export async function requestDaemon(stateFolder: string, method: "GET" | "POST", path: string): Promise<DaemonAnswer> {
  const socketPath = join(stateFolder, "control.sock");
  const address = reach(stateFolder, socketPath);
  const answer = new Promise<DaemonAnswer>((resolve, reject) => {
    const sent = http.request(
      { socketPath: address.path, method, path, headers: { host: "supervisor" } },
      (response) => {
        const parts: Buffer[] = [];
        response.on("data", (part: Buffer) => parts.push(part));
        response.on("error", reject);
        response.on("end", () => {
          const text = Buffer.concat(parts).toString("utf8");
          try {
            resolve({ status: response.statusCode ?? 0, body: JSON.parse(text) });
          } catch (cause) {
            const message = `Cannot read the daemon's answer to ${method} ${path}: it is no JSON, expected this program's daemon on "${socketPath}"`;
            reject(new CommandError(exitCodes.failed, "bad_answer", message, { cause }));
          }
        });
      },
    );
    sent.setTimeout(answerMsMax, () => {
      // What it has taken from the socket by then it does all the same, once it goes on.
      const later = method === "POST" ? " and may still do what was asked" : "";
      const message = `Cannot reach the daemon: "${socketPath}" did not answer within ${answerMsMax / 1000} s${later}, see its log`;
      sent.destroy(new CommandError(exitCodes.noDaemon, "no_daemon", message));
    });
    sent.on("error", (cause: NodeJS.ErrnoException) => {
      if (cause instanceof CommandError) reject(cause);
      else reject(noDaemon(stateFolder, cause));
    });
    sent.end();
  });
  return answer.finally(address.release);
}

function reach(stateFolder: string, socketPath: string): SocketAddress {
  let address: SocketAddress | null;
  try {
    address = socketAddress(socketPath);
  } catch (cause) {
    // Its folder cannot be opened, so there is no socket in it for us.
    throw noDaemon(stateFolder, cause as NodeJS.ErrnoException);
  }
  if (address !== null) return address;
  const message = `Cannot reach the daemon: "${socketPath}" is too long for the address of a socket, choose a shorter --state folder`;
  throw new CommandError(exitCodes.noDaemon, "no_daemon", message);
}

function noDaemon(stateFolder: string, cause: NodeJS.ErrnoException): CommandError {
  const why =
    cause.code === undefined || cause.code === "ENOENT" || cause.code === "ECONNREFUSED"
      ? "none is running"
      : `the socket answers ${cause.code}`;
  const isForbidden = cause.code === "EACCES" || cause.code === "EPERM";
  const advice = isForbidden ? "ask as the user that it runs as" : "start it with hermes-supervisor start";
  const message = `Cannot reach the daemon of "${printable(stateFolder)}": ${why}, ${advice}`;
  return new CommandError(exitCodes.noDaemon, "no_daemon", message, { cause });
}
