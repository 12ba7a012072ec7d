import { chmodSync, mkdirSync, rmSync } from "node:fs";
import type { Server } from "node:http";

/** What `listen` may use at most: the address of a unix socket is a fixed field of the system's. */
const socketPathBytesMax = process.platform === "darwin" ? 103 : 107;

/**
 * Listens on a unix socket that only this user can open. What a dead daemon left at `path` goes first; the caller holds
 * the lock that proves it dead.
 */
export async function listenOnSocket(server: Server, path: string): Promise<void> {
  if (Buffer.byteLength(path) > socketPathBytesMax) {
    throw new RangeError(
      `Cannot listen on "${path}": it is ${Buffer.byteLength(path)} bytes long, the system takes ${socketPathBytesMax}; choose a shorter --state folder`,
    );
  }
  mkdirSync(path.slice(0, path.lastIndexOf("/")), { recursive: true, mode: 0o700 });
  rmSync(path, { force: true });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(path, () => {
      server.off("error", reject);
      resolve();
    });
  });
  chmodSync(path, 0o600);
}
