import { z } from "zod";
import { alertKinds } from "../core/alert-kinds.ts";
import type { Notifier } from "../core/notifier.ts";
import { duration, orNone, type SettingRules, second } from "./setting.ts";

const timeout = duration(second, 300 * second).optional();
const usualTimeoutMs = 30 * second;
const word = z.string().min(1).max(4096);

const notifier = z.union([
  z.strictObject({ command: z.union([word, z.array(z.string().max(4096)).min(1).max(64)]), timeout }).transform(
    ({ command, timeout: timeoutMs }): Notifier => ({
      kind: "command",
      // A line is for the shell, a list is taken word by word.
      words: typeof command === "string" ? ["/bin/sh", "-c", command] : command,
      timeoutMs: timeoutMs ?? usualTimeoutMs,
    }),
  ),
  z
    .strictObject({ webhook: z.url({ protocol: /^https?$/ }).max(4096), token_file: word.optional(), timeout })
    .transform(
      ({ webhook, token_file, timeout: timeoutMs }): Notifier => ({
        kind: "webhook",
        url: webhook,
        tokenFile: token_file ?? null,
        timeoutMs: timeoutMs ?? usualTimeoutMs,
      }),
    ),
]);

export const alertRules = {
  notify: {
    schema: orNone(z.union([notifier.transform((one): readonly Notifier[] => [one]), z.array(notifier).max(8)])),
    fallback: "none",
    expected:
      "none, { command: [/usr/local/bin/tell, me] }, { command: a line for the shell }, { webhook: https://… }, or a list of at most 8 of these",
    about:
      "Who is told when an alert comes up and when it is over. A command gets the notice as JSON on its standard input and as variables, a webhook gets it as the body of a POST. timeout (30 s) bounds each; token_file of a webhook names a file with a bearer token. See docs/alerts.md.",
    hostOnly: true,
    inside: {
      command: "a line for the shell, or a list of words",
      webhook: "an address that begins with https:// or http://",
      token_file: "the path of a file",
      timeout: "a length of time from 1 s to 5 m",
      "*": "{ command: … } or { webhook: … }",
    },
  },
  kinds: {
    schema: z.array(z.enum(alertKinds)).min(1),
    fallback: null,
    expected: `some of ${alertKinds.join(", ")}`,
    about:
      "Which alerts somebody is told of. Unless it is set: all. The others are in the log, in status and among the events as well.",
    hostOnly: true,
    inside: { "*": `one of ${alertKinds.join(", ")}` },
  },
} satisfies SettingRules;
