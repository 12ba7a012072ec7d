import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { createAskHermes, type HermesAnswer } from "../../src/child/ask-hermes.ts";
import { createRandom } from "../../src/system/random.ts";
import { createFiles } from "../../src/system/real-files.ts";
import { createProcesses } from "../../src/system/real-processes.ts";

interface Asked {
  readonly answer: HermesAnswer;
  readonly folder: string;
  readonly python: string;
}

/** Asks a stand-in for Python: a shell script that gets `worker ask question answer`. */
async function ask(
  script: string,
  options: { readonly timeoutMs?: number; readonly signal?: AbortSignal } = {},
): Promise<Asked> {
  const folder = mkdtempSync(join(tmpdir(), "ask-hermes-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const python = join(folder, "python");
  writeFileSync(python, `#!/bin/sh\n${script}\n`);
  chmodSync(python, 0o755);
  const system = { files: createFiles(), processes: createProcesses(), random: createRandom() };
  const answer = await createAskHermes(
    system,
    folder,
    "/opt/hermes_worker.py",
  )({
    python,
    question: { ask: "redact", text: "a b" },
    environment: { PATH: "/usr/bin:/bin", COLOUR: "blue" },
    timeoutMs: options.timeoutMs ?? 20_000,
    ...(options.signal === undefined ? {} : { signal: options.signal }),
  });
  return { answer, folder, python };
}

test("askHermes() brings the question in a file and the answer back, and leaves nothing behind", async () => {
  const { answer, folder } =
    await ask(`echo noise; printf '{"told": "%s", "text": %s, "colour": "%s", "home": "%s", "in": "%s"}' \\
    "$1 $2" "$(sed 's/.*"text"://; s/}$//' "$3")" "$COLOUR" "$(ls "$HERMES_HOME" | wc -l | tr -d ' ')" "$(cat)" > "$4"`);
  expect(answer).toEqual({
    ok: true,
    answer: { told: "/opt/hermes_worker.py ask", text: "a b", colour: "blue", home: "0", in: "" },
  });
  expect(readdirSync(join(folder, "ask"))).toEqual([]);
});

test.each([
  [
    "exit code 3: ModuleNotFoundError: No module named 'cron'",
    "echo Traceback; echo \"ModuleNotFoundError: No module named 'cron'\" >&2; echo; exit 3",
  ],
  ["exit code 1", "exit 1"],
  ["killed by SIGKILL: half", "echo half; kill -9 $$"],
  ["it ended without an answer", "exit 0"],
  ["its answer is not a JSON object", 'echo "[1]" > "$4"'],
  ["its answer is not a JSON object", 'head -c 64 /dev/urandom > "$4"'],
])("askHermes() says %s", async (reason, script) => {
  const { answer, python } = await ask(script);
  expect(answer).toEqual({ ok: false, error: `Cannot ask Hermes "redact" with "${python}": ${reason}` });
});

test("askHermes() says that the interpreter is gone", async () => {
  const system = { files: createFiles(), processes: createProcesses(), random: createRandom() };
  const folder = mkdtempSync(join(tmpdir(), "ask-hermes-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const python = join(folder, "gone");
  const question = { python, question: { ask: "probe" }, environment: {}, timeoutMs: 1000 };
  expect(await createAskHermes(system, folder, "/w.py")(question)).toEqual({
    ok: false,
    error: `Cannot start "${python}": spawn ${python} ENOENT`,
    isUnasked: true,
  });
});

test("askHermes() ends what takes too long, with all that it started", async () => {
  const { answer, python, folder } = await ask('sleep 600 & echo $! > "$(dirname "$0")/child"; wait', {
    timeoutMs: 500,
  });
  expect(answer).toEqual({ ok: false, error: `Cannot ask Hermes "redact" with "${python}": no answer after 0.5 s` });
  const pid = Number(createFiles().readText(join(folder, "child")));
  // It is an orphan, which whoever reaps it may do a moment later.
  await expect.poll(() => createProcesses().look(pid)).toBe(null);
});

test.each([
  ["printed", "while :; do head -c 1048576 /dev/zero; done"],
  ["answered", 'while :; do head -c 1048576 /dev/zero >> "$4"; done'],
])("askHermes() ends what %s without end", async (_, script) => {
  const { answer, python } = await ask(script);
  expect(answer).toEqual({
    ok: false,
    error: `Cannot ask Hermes "redact" with "${python}": it wrote more than 64 MiB`,
  });
});

test("askHermes() ends what is not waited for any more", async () => {
  const { answer, python } = await ask("sleep 600", { signal: AbortSignal.timeout(300) });
  expect(answer).toEqual({ ok: false, error: `Cannot ask Hermes "redact" with "${python}": it was not waited for` });
});

test("askHermes() sweeps what a killed daemon left", async () => {
  const folder = mkdtempSync(join(tmpdir(), "ask-hermes-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  mkdirSync(join(folder, "ask/left/home"), { recursive: true });
  const system = { files: createFiles(), processes: createProcesses(), random: createRandom() };
  const askHermes = createAskHermes(system, folder, "/w.py");
  await askHermes({ python: "/bin/true", question: { ask: "probe" }, environment: {}, timeoutMs: 5000 });
  expect(existsSync(join(folder, "ask/left"))).toBe(false);
});
