import { expect, test } from "vitest";
import { maskKeys } from "../../src/core/mask-keys.ts";

const body = "a1B2".repeat(12);

const cases: readonly (readonly [text: string, masked: string])[] = [
  ["nothing to hide: task-12 on disk-a1b2c3d4e5f6 is done", "nothing to hide: task-12 on disk-a1b2c3d4e5f6 is done"],
  [`the key is sk-proj-${body}`, "the key is sk-pro...a1B2"],
  [`(sk-proj-${body}). Next`, "(sk-pro...a1B2). Next"],
  ["sk-pro...a1B2", "sk-pro...a1B2"],
  ["ghp_0123456789", "***"],
  [`a ghp_${body} b`, "a ghp_a1...a1B2 b"],
  [`xghp_${body}`, `xghp_${body}`],
  ["AKIAIOSFODNN7EXAMPLE", "AKIAIO...MPLE"],
  [`${"0123456789abcdef".repeat(2)}.${body}`, "012345...a1B2"],
  [`${"0123456789abcdef".repeat(2)}.sqlite3`, `${"0123456789abcdef".repeat(2)}.sqlite3`],
  ["Authorization: Bearer short", "Authorization: Bearer ***"],
  ['curl -H "authorization: Basic dXNlcjpwYXNzd29yZHM="', 'curl -H "authorization: Basic dXNlcj...ZHM="'],
  [`X-Api-Key: ${body}`, "X-Api-Key: a1B2a1...a1B2"],
  [`https://api.telegram.org/bot12345678:${body}/getMe`, "https://api.telegram.org/bot12345678:***/getMe"],
  [
    `12:34:56 ${"-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----"} ok`,
    "12:34:56 [REDACTED PRIVATE KEY] ok",
  ],
  ["postgres://admin:hunter2@db/one", "postgres://admin:***@db/one"],
  ["git clone https://0123456789abcdef01@example.org/x", "git clone https://012345...ef01@example.org/x"],
  ["https://user:pass@example.org/?token=abc", "https://user:pass@example.org/?token=abc"],
  [`eyJhbGciOiJIUzI1NiJ9.${body}.${body}`, "eyJhbG...a1B2"],
];

test("maskKeys() leaves of a credential what tells which it was", () => {
  expect(cases.map(([text]) => maskKeys(text))).toEqual(cases.map(([, masked]) => masked));
});
