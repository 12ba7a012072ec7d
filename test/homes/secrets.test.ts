import { expect, test } from "vitest";
import { redactSecrets, secretsOf } from "../../src/homes/secrets.ts";

const secret: readonly (readonly [name: string, value: string])[] = [
  ["MY_TOKEN", "abcdefgh"],
  ["MYTOKEN", "correct-horse-battery"],
  ["A2A_PEER_TOKENS", "first,second"],
  ["OPENAI_API_KEY", "a plain sentence"],
  ["FAL_KEY", "12345678"],
  ["clientSecret", "hush"],
  ["PIN_SECRET", "1234"],
  ["EMAIL_PASSWORD", "tree"],
  ["DB_PASS", "/etc/hush"],
  ["DB_PW", "word"],
  ["AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"],
  ["AWS_KEY", "/wJalrXUtnFEMIK7MDENG/bPxRfiCYEXAMPLEKEY"],
  ["BASIC_AUTH", "admin:admin1"],
  ["DISCORD_WEBHOOK_URL", "https://discord.example/api/webhooks/1/abc"],
  // Whatever their names are.
  ["ANYTHING", "sk-proj-abcdefghij0123456789"],
  ["ANYTHING", "ghp_abcdefghij0123456789"],
  ["ANYTHING", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"],
  ["ANYTHING", "123456789:AAF_abcdefghijklmnopqrstuvwxyz01"],
  ["ANYTHING", "0123456789abcdef0123456789abcdef"],
  ["TOKEN_NAME", "Zx9Zx9Zx9Zx9Zx9Zx9Zx9"],
];

test("secretsOf() takes values whose name tells, and those that look like credentials", () => {
  for (const [name, value] of secret) expect([name, secretsOf({ [name]: value })]).toEqual([name, [value]]);
});

const plain: readonly (readonly [name: string, value: string])[] = [
  ["GREETING", "good morning, world"],
  ["LOG_FOLDER", "/var/log/my-application/production"],
  ["PROJECT", "my-rather-long-project-name"],
  ["MODEL", "anthropic/claude-sonnet-4.5"],
  ["OPENAI_BASE_URL", "https://api.example.com/v1/chat"],
  ["EMAIL_ADDRESS", "somebody@example.com"],
  ["TELEGRAM_HOME_CHANNEL", "-1001234567890"],
  ["MONKEY", "business-as-usual"],
  ["COMPASS", "north-by-northwest"],
  ["AUTHOR", "Jane Example"],
  ["KEYBOARD_LAYOUT", "us-international"],
  ["MAX_TOKENS", "8192"],
  ["TOKEN_LIMIT", "1000000000"],
  ["AUTH_MODE", "service_account"],
  ["SSH_AUTH_SOCK", "/run/user/1000/keyring/ssh"],
  ["GOOGLE_APPLICATION_CREDENTIALS", "/home/user/service-account.json"],
  ["API_KEY", "$OTHER_NAME"],
  ["FLAG_TOKEN", "true"],
  ["EMPTY_SECRET", ""],
];

test("secretsOf() leaves ordinary values, so that no word of a document is blotted out for them", () => {
  for (const [name, value] of plain) expect([name, secretsOf({ [name]: value })]).toEqual([name, []]);
});

test("secretsOf() takes the password of an address, as it stands and decoded, and not the address", () => {
  expect(secretsOf({ DATABASE_URL: "postgres://me:p%40ss@db.example:5432/app" })).toEqual(["p%40ss", "p@ss"]);
  expect(secretsOf({ REMOTE: "https://averylongtoken@git.example/x" })).toEqual(["averylongtoken"]);
  expect(secretsOf({ REMOTE: "ssh://git@git.example/x" })).toEqual([]);
});

test("redactSecrets() blots out every secret, the longest first, and a key of several lines line by line", () => {
  const secrets = secretsOf({
    MY_TOKEN: "abcdefgh",
    LONGER_TOKEN: "abcdefghij",
    MODE: "fast",
    KEY: "-----\nline one of it\n-----",
  });
  expect(redactSecrets("abcdefghij abcdefgh fast 1 | line one of it", secrets)).toBe("*** *** fast 1 | ***");
  expect(redactSecrets("nothing here", [])).toBe("nothing here");
});
