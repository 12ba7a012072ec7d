import { chmodSync, closeSync, lstatSync, mkdirSync, openSync, rmSync } from "node:fs";
import type { Server } from "node:http";
import { basename, dirname } from "node:path";

/** What `listen` may use at most: the address of a unix socket is a fixed field of the system's. */
const socketPathBytesMax = process.platform === "darwin" ? 103 : 107;

/** Of those who knock at once, so many wait to be let in; the system may have a lower limit. */
const backlogMax = 4096;

/** A way to name a unix socket, to be released when it has been used. */
export interface SocketAddress {
  readonly path: string;
  release(): void;
}

/**
 * The address of the socket at `path`. On Linux one that is too long is reached through an open descriptor of its folder. Null when
 * there is no short way.
 */
export function socketAddress(path: string): SocketAddress | null {
  if (Buffer.byteLength(path) <= socketPathBytesMax) return { path, release: () => undefined };
  if (process.platform !== "linux") return null;
  const folder = openSync(dirname(path), "r");
  const short = `/proc/self/fd/${folder}/${basename(path)}`;
  if (Buffer.byteLength(short) <= socketPathBytesMax) return { path: short, release: () => closeSync(folder) };
  closeSync(folder);
  return null;
}

/**
 * Listens on a unix socket that only this user can open. What a dead daemon left at `path` goes first; the caller holds
 * the lock that proves it dead.
 */
export async function listenOnSocket(server: Server, path: string): Promise<void> {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const address = socketAddress(path);
  if (address === null) {
    throw new RangeError(
      `Cannot listen on "${path}": it is ${Buffer.byteLength(path)} bytes long, the system takes ${socketPathBytesMax}; choose a shorter --state folder`,
    );
  }
  // The server takes its socket away when it closes, and needs the address for that.
  server.once("close", address.release);
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found?.isDirectory() === true) {
    throw new Error(`Cannot listen on "${path}": there is a folder, expected nothing or an old socket; take it away`);
  }
  rmSync(path, { force: true });
  // From its first moment on nobody else may open it, wherever the folder is.
  const usual = process.umask(0o177);
  try {
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen({ path: address.path, backlog: backlogMax }, () => {
        server.off("error", reject);
        resolve();
      });
      process.umask(usual);
    });
  } finally {
    process.umask(usual);
  }
  chmodSync(path, 0o600);
}

/** Listens on a port of this machine alone. */
export async function listenOnPort(server: Server, host: string, port: number): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen({ host, port, backlog: backlogMax, exclusive: true }, () => {
      server.off("error", reject);
      resolve();
    });
  });
}
