import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { maskKeys } from "../../src/core/mask-keys.ts";
import { hermesPython, releases } from "./releases.ts";

const script = fileURLToPath(new URL("redact_answers.py", import.meta.url));
const body = "a1B2".repeat(12);
const hexadecimal = "0123456789abcdef".repeat(2);

/** Texts with credentials of forms that begin with nothing in particular, and texts that only look as if. */
const texts = [
  "nothing to hide: task-12 on disk-a1b2c3d4e5f6 is done, 80% of /usr/lib/x86_64-linux-gnu",
  "sk-pro...a1B2 was masked before",
  `${hexadecimal}.${body}`,
  `${hexadecimal}.sqlite3`,
  "Authorization: Bearer short",
  `Proxy-Authorization: ${body}`,
  `curl -H x-auth-token: ${body}`,
  `bot12345678:${body}`,
  "-----BEGIN EC PRIVATE KEY-----\nMIIE\n-----END EC PRIVATE KEY-----",
  "mongodb+srv://admin:hunter2@db/one",
  `https://${body}@example.org/x`,
  "https://user:pass@example.org/x",
  `eyJhbGciOiJIUzI1NiJ9.${body}.${body}`,
  `sk-${body}.\nghp_${body};xoxb-${body}`,
];

/** What the release lets pass and a later one masks. */
const later: Readonly<Record<string, readonly string[]>> = {
  "0.19": [`${hexadecimal}.${body}`],
  "0.20": [`${hexadecimal}.${body}`],
  "0.22": [],
};

for (const release of Object.values(releases)) {
  test(`keys of a known form are masked as ${release.name} masks them`, async () => {
    const asked = spawnSync(await hermesPython(release), [script], {
      input: JSON.stringify(texts),
      encoding: "utf8",
      env: { PATH: process.env["PATH"] ?? "", HERMES_HOME: "/nonexistent", HERMES_DISABLE_LAZY_INSTALLS: "1" },
    });
    expect(asked.stderr).toBe("");
    const answers = JSON.parse(asked.stdout) as readonly (readonly [text: string, redacted: string])[];
    expect(answers.length).toBeGreaterThan(texts.length + 40);
    const different = answers.filter(([text, redacted]) => maskKeys(text) !== redacted);
    expect(different).toEqual(later[release.name]?.map((text) => [text, text]));
  });
}
