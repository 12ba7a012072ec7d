import { existsSync, linkSync, mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { listenOnSocket, socketAddress } from "../../src/system/socket.ts";
import { rawRequest } from "../helpers/raw-client.ts";

function folder(): string {
  const made = mkdtempSync(join(tmpdir(), "socket-"));
  onTestFinished(() => rmSync(made, { recursive: true, force: true }));
  return made;
}

function server(): Server {
  const made = createServer((_, response) => response.end("here"));
  onTestFinished(() => new Promise<void>((resolve) => made.close(() => resolve())));
  return made;
}

async function ask(path: string): Promise<string> {
  const address = socketAddress(path);
  if (address === null) throw new Error("There is no address");
  try {
    return (await rawRequest(address.path, "GET / HTTP/1.1")).text;
  } finally {
    address.release();
  }
}

test("listenOnSocket() makes a socket for this user alone, and takes it away at the end", async () => {
  const path = join(folder(), "state/control.sock");
  const one = createServer((_, response) => response.end("here"));
  await listenOnSocket(one, path);
  expect([await ask(path), statSync(path).mode & 0o777]).toEqual(["here", 0o600]);
  await new Promise<void>((resolve) => one.close(() => resolve()));
  expect(existsSync(path)).toBe(false);
});

test("listenOnSocket() and socketAddress() know a way to a path that is too long for an address", async () => {
  const path = join(folder(), "a-folder-with-a-long-name".repeat(5), "control.sock");
  const one = createServer((_, response) => response.end("far away"));
  await listenOnSocket(one, path);
  expect([await ask(path), statSync(path).mode & 0o777]).toEqual(["far away", 0o600]);
  await new Promise<void>((resolve) => one.close(() => resolve()));
  expect(existsSync(path)).toBe(false);
});

test("listenOnSocket() puts its own in the place of a dead daemon's socket, a file or a link, but of no folder", async () => {
  const state = folder();
  const left = createServer();
  await listenOnSocket(left, join(state, "first.sock"));
  // The other name of the socket stays when nobody listens any more.
  linkSync(join(state, "first.sock"), join(state, "stale.sock"));
  await new Promise<void>((resolve) => left.close(() => resolve()));
  writeFileSync(join(state, "file.sock"), "");
  writeFileSync(join(state, "target"), "kept");
  symlinkSync("target", join(state, "link.sock"));
  for (const name of ["stale.sock", "file.sock", "link.sock"]) {
    await listenOnSocket(server(), join(state, name));
    expect([name, await ask(join(state, name))]).toEqual([name, "here"]);
  }
  expect(existsSync(join(state, "target"))).toBe(true);
  mkdirSync(join(state, "folder.sock"));
  await expect(listenOnSocket(server(), join(state, "folder.sock"))).rejects.toThrow(
    `Cannot listen on "${join(state, "folder.sock")}": there is a folder, expected nothing or an old socket; take it away`,
  );
});
