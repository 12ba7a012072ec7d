import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { createApiToken } from "../../src/daemon/api-token.ts";
import { createRandom } from "../../src/system/random.ts";
import { createFiles } from "../../src/system/real-files.ts";

function prepare(): { readonly path: string; readonly token: ReturnType<typeof createApiToken> } {
  const folder = mkdtempSync(join(tmpdir(), "token-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const path = join(folder, "api.token");
  return { path, token: createApiToken({ files: createFiles(), random: createRandom() }, path) };
}

test("a token that is not there is made, for this user alone", () => {
  const { path, token } = prepare();
  const made = token.value();
  expect(made).toMatch(/^[a-z0-9]{40}$/);
  expect([readFileSync(path, "utf8"), statSync(path).mode & 0o777]).toEqual([`${made}\n`, 0o600]);
  expect([token.value(), token.fault()]).toEqual([made, null]);
});

test("a token that others may read is refused, and taken again once they may not", () => {
  const { path, token } = prepare();
  writeFileSync(path, "0123456789abcdef\n", { mode: 0o644 });
  expect([token.value(), token.fault()]).toEqual([
    null,
    `Cannot use the token in "${path}": others may open it (mode 0644), expected 0600; chmod it, and change the token in it`,
  ]);
  chmodSync(path, 0o600);
  expect([token.value(), token.fault()]).toEqual(["0123456789abcdef", null]);
});

test("another token counts as soon as its file has changed", () => {
  const { path, token } = prepare();
  token.value();
  writeFileSync(path, "another-token-0123456789");
  expect(token.value()).toBe("another-token-0123456789");
});

test.for([
  ["", "expected one word of at least 16 characters"],
  ["short", "expected one word of at least 16 characters"],
  ["two words of enough characters", "expected one word of at least 16 characters"],
  ["x".repeat(5000), "it has 5000 bytes, expected one short line"],
])("a token file with %j is refused", ([text = "", says = ""]) => {
  const { path, token } = prepare();
  writeFileSync(path, text, { mode: 0o600 });
  expect([token.value(), token.fault()]).toEqual([null, `Cannot use the token in "${path}": ${says}`]);
});

test("a folder in the place of a token file is refused", () => {
  const { path, token } = prepare();
  mkdirSync(path, { mode: 0o700 });
  expect(token.fault()).toBe(`Cannot use the token in "${path}": it is a folder, expected a file`);
});
