import type { IncomingMessage } from "node:http";
import { expect, test } from "vitest";
import { admitBearer } from "../../src/status/access.ts";

const admit = (host: string, token: string | null = "0123456789abcdef", port = 8377) =>
  admitBearer(host, port, () => token);

function request(headers: Readonly<Record<string, string>>, doubled: readonly string[] = []): IncomingMessage {
  const raw = [...Object.entries(headers), ...doubled.map((name) => [name, headers[name] ?? ""])].flat();
  return { headers, rawHeaders: raw } as unknown as IncomingMessage;
}

const good = { host: "127.0.0.1:8377", authorization: "Bearer 0123456789abcdef" };

test.for([
  [good],
  [{ ...good, host: "localhost:8377" }],
  [{ ...good, host: "LOCALHOST:8377" }],
  [{ ...good, host: "[::1]:8377" }],
  [{ ...good, authorization: "bearer  0123456789abcdef" }],
  [{ ...good, origin: "http://127.0.0.1:8377" }],
])("admitBearer() lets in $0", ([headers]) => {
  expect(admit("127.0.0.1")(request(headers ?? {}))).toBeNull();
});

test.for([
  ["a page whose name leads here", { ...good, host: "evil.example:8377" }, 403],
  ["a name that only begins as ours", { ...good, host: "localhost.evil.example:8377" }, 403],
  ["another port", { ...good, host: "127.0.0.1:80" }, 403],
  ["no port", { ...good, host: "127.0.0.1" }, 403],
  ["a name and a password", { ...good, host: "x@127.0.0.1:8377" }, 403],
  ["no host", { authorization: good.authorization }, 403],
  ["another site", { ...good, origin: "http://evil.example" }, 403],
  ["another scheme", { ...good, origin: "https://127.0.0.1:8377" }, 403],
  ["a page without a site", { ...good, origin: "null" }, 403],
  ["no token", { host: good.host }, 401],
  ["an empty token", { ...good, authorization: "Bearer " }, 401],
  ["the beginning of the token", { ...good, authorization: "Bearer 0123456789abcde" }, 401],
  ["more than the token", { ...good, authorization: "Bearer 0123456789abcdef0" }, 401],
  ["another scheme of authorization", { ...good, authorization: "Basic 0123456789abcdef" }, 401],
] as const)("admitBearer() refuses %s", ([, headers, status]) => {
  expect(admit("127.0.0.1")(request(headers))?.status).toBe(status);
});

test("admitBearer() refuses headers that say two things", () => {
  expect(admit("127.0.0.1")(request(good, ["host"]))?.status).toBe(403);
  const origin = { ...good, origin: "http://127.0.0.1:8377" };
  expect(admit("127.0.0.1")(request(origin, ["origin"]))?.status).toBe(403);
});

test("admitBearer() lets nobody in while the token's file cannot be used", () => {
  expect(admit("127.0.0.1", null)(request(good))?.status).toBe(503);
});
