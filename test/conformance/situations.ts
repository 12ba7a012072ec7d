import type { Release } from "./releases.ts";

/** A job that is due, and what it meets. Each one is run by Hermes itself and by us, and what is left of both is compared. */
export interface Situation {
  readonly name: string;
  /** Where not every release can have it. */
  readonly releases?: readonly Release["name"][];
  /** What differs in the job's record from the one that `cron create` of the release makes. */
  readonly fields?: Readonly<Record<string, unknown>>;
  /** The text of the job's script. */
  readonly script?: string;
  /** What the model says to it. */
  readonly says?: string;
  /** How late it is: an interval by ten seconds unless something else is said; null leaves it for later. */
  readonly due?: "cron, long past" | "once" | "once, long past" | null;
  /** In a home without a model. */
  readonly isBare?: boolean;
}

const since20: readonly Release["name"][] = ["0.20", "0.22"];
const since22: readonly Release["name"][] = ["0.22"];

/** Known to Hermes by its form. */
const key = `sk-proj-${"a1B2".repeat(12)}`;

const failedBefore = {
  last_status: "error",
  last_error: "boom",
  last_run_at: "2026-11-01T10:00:00+05:30",
};
const failedThrice = { ...failedBefore, failure_streak: 3 };
const alerted = { ...failedBefore, last_status: "blocked_config", preflight_alerted: true };

/** Of the jobs that others take their context from: its output is there before. */
export const sourceId = "50a1ce000000";

const promptSituations: readonly Situation[] = [
  // These take longest: they come first.
  { name: "empty answer", fields: { model: "stub-empty" } },
  { name: "unreachable", fields: { provider: "dead", model: "stub" } },
  { name: "lost", fields: { provider: "lost", model: "stub", repeat: { times: 3, completed: 1 } } },
  { name: "answer" },
  { name: "silent", says: "[SILENT]" },
  { name: "silent in bold", says: "**[SILENT]**" },
  { name: "http 400", fields: { model: "stub-400" } },
  { name: "http 401", fields: { model: "stub-401" } },
  { name: "http 429", fields: { model: "stub-429", repeat: { times: 3, completed: 1 } } },
  { name: "http 500", fields: { model: "stub-500", ...failedThrice } },
  { name: "tool call", fields: { model: "stub-tool" } },
  { name: "context of a script", script: "echo 'seven deals'; echo noise >&2" },
  { name: "context of a script that fails", script: "echo half; echo why >&2; exit 3" },
  { name: "context of a script that does not wake it", script: `echo some; echo '{"wakeAgent": false}'` },
  { name: "context of a script that says nothing", script: "true" },
  { name: "context of a job", fields: { context_from: [sourceId] } },
  { name: "skill", fields: { skills: ["count-deals"], skill: "count-deals" } },
  { name: "working folder", fields: { workdir: "<home>/work", model: "stub-tool" } },
  { name: "empty prompt", fields: { prompt: "" } },
  { name: "naïve ☕ 日本", says: `Grüße ☕\r\n日本, the key is ${key}\n` },
  { name: "declared failure", says: "[CRON_FAILURE]\nthe child gave up\non the way", fields: failedThrice },
  { name: "recovered", fields: { ...alerted, failure_streak: 3 } },
  { name: "one-shot", due: "once" },
  { name: "one-shot that fails", due: "once", fields: { model: "stub-400" } },
  { name: "provider that nobody knows", fields: { provider: "nowhere", model: "stub" } },
  { name: "provider that nobody knows yet", fields: { provider: "nowhere", model: "stub", ...alerted } },
  { name: "another model than before", releases: ["0.19", "0.20"], fields: { model_snapshot: "other" } },
  { name: "to a platform that is not set up", fields: { deliver: "telegram:123" } },
  { name: "to an unknown platform", fields: { deliver: "foo:1" } },
  { name: "to no origin", fields: { deliver: "origin" } },
  { name: "failure to an unknown platform", fields: { deliver: "foo:1", model: "stub-400" } },
  {
    name: "unreachable again",
    releases: since22,
    fields: {
      provider: "lost",
      model: "stub",
      ...failedBefore,
      failure_streak: 1,
      unreachable_retry: { attempt: 1, at: "<due>", expr: null },
    },
  },
  {
    name: "reached at last",
    releases: since22,
    fields: { ...failedBefore, failure_streak: 1, unreachable_retry: { attempt: 1, at: "<due>", expr: null } },
  },
  { name: "asked for", releases: since22, fields: { manual_run_at: "<due>", manual_run_prompt: "And hurry." } },
  {
    name: "monitor that sees a change",
    releases: since20,
    script: "echo 7",
    fields: { script: null, monitor_script: "<script>" },
  },
  {
    name: "monitor that fails",
    releases: since20,
    script: "exit 3",
    fields: { script: null, monitor_script: "<script>" },
  },
  { name: "without a model", isBare: true },
];

const noAgent = { prompt: "", no_agent: true };

const scriptSituations: readonly Situation[] = (
  [
    { name: "prints", script: "echo hello" },
    { name: "prints nothing", script: "true" },
    { name: "prints blanks", script: "printf ' \\n\\t\\n'" },
    { name: "wakes nobody", script: `echo some; echo '{"wakeAgent": false}'` },
    { name: "wakes", script: `echo some; echo '{"wakeAgent": true}'` },
    { name: "wakes by zero", script: `echo '{"wakeAgent": 0}'` },
    { name: "says silent", script: "echo '[SILENT]'" },
    { name: "exits 3", script: "exit 3" },
    { name: "exits 255 with a word", script: "echo half; echo why >&2; exit 255" },
    { name: "kills itself", script: "echo half; kill -9 $$" },
    { name: "ends by SIGTERM", script: "kill $$; sleep 9" },
    { name: "complains", script: "echo fine; echo odd >&2" },
    { name: "Grüße ☕", script: "echo 'naïve ☕ 日本 👩‍👧'" },
    { name: "prints latin 1", script: "printf 'caf\\351\\n'" },
    { name: "prints carriage returns", script: "printf 'a\\r\\nb\\rc\\n\\n'" },
    { name: "prints colours", script: "printf '\\033[31mred\\033[0m\\n'" },
    { name: "prints NUL", script: "printf 'a\\0b\\n'" },
    { name: "prints 200 kB", script: "seq 1 36000" },
    { name: "prints a key", script: `echo 'the key is ${key}'` },
    { name: "fails with a key", script: `echo 'the key is ${key}' >&2; exit 1` },
    { name: "prints a secret of .env", script: 'echo "I know $MY_TOKEN"' },
    { name: "is gone", fields: { script: "gone.sh" } },
    { name: "is outside", fields: { script: "../config.yaml" } },
    { name: "is absolute and outside", fields: { script: "/etc/passwd" } },
    { name: "is a folder", fields: { script: "folder" } },
    { name: "has no script", fields: { script: null } },
    { name: "is a Python", fields: { script: "snake.py" } },
    { name: "looks where it is", script: "pwd" },
    { name: "has a working folder", script: "pwd", fields: { workdir: "<home>/work" } },
    { name: "has a working folder that is gone", script: "pwd", fields: { workdir: "<home>/nowhere" } },
    { name: "names no interpreter", releases: since22, fields: { script: "snake.py", interpreter: "python3" } },
    { name: "names a strange interpreter", releases: since22, fields: { script: "snake.py", interpreter: "/bin/sh" } },
    { name: "takes too long", script: "echo begun; sleep 60" },
    { name: "repeats for the last time", script: "echo x", fields: { repeat: { times: 3, completed: 2 } } },
    { name: "repeats once more", script: "echo x", fields: { repeat: { times: 3, completed: 1 } } },
    { name: "fails for the last time", script: "exit 1", fields: { repeat: { times: 1, completed: 0 } } },
    { name: "once", script: "echo x", due: "once" },
    { name: "once, failing", script: "exit 1", due: "once" },
    { name: "once, long past", script: "echo x", due: "once, long past" },
    { name: "cron, late", script: "echo x", due: "cron, long past" },
    { name: "fails again", script: "exit 4", fields: failedThrice },
    { name: "recovers", script: "echo x", fields: failedThrice },
    { name: "delivers to nowhere", script: "echo x", fields: { deliver: "telegram:123" } },
    { name: "delivers silence to nowhere", script: "true", fields: { deliver: "telegram:123" } },
    { name: "fails to nowhere", script: "exit 1", fields: { deliver: "foo:1" } },
    { name: "is paused", script: "echo x", fields: { enabled: false, state: "paused", paused_at: "<due>" } },
    { name: "is disabled", script: "echo x", fields: { enabled: false } },
    { name: "is completed", script: "echo x", fields: { enabled: false, state: "completed", next_run_at: null } },
    { name: "is not due", script: "echo x", due: null },
  ] satisfies readonly Situation[]
).map((situation: Situation) => ({ ...situation, fields: { ...noAgent, ...situation.fields } }));

export const situations: readonly Situation[] = [...promptSituations, ...scriptSituations];
