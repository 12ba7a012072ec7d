import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import type { Writable } from "node:stream";
import { fileURLToPath } from "node:url";
import { type Answer, formatGateOrder, type JobFile, runFiles, runVariables } from "../../worker/protocol.ts";
import { environmentOf, finish, type Home, start } from "./home.ts";

const program = fileURLToPath(new URL("../../worker/hermes_worker.py", import.meta.url));
const unwarmed = fileURLToPath(new URL("misbehaving/unwarmed.py", import.meta.url));
const forked = fileURLToPath(new URL("misbehaving/forked.py", import.meta.url));

export interface WorkerEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** What the worker left in the run's folder; null when nothing. */
  readonly answer: Answer | null;
  /** What it printed, both streams. */
  readonly output: string;
}

/** One worker, without a daemon and without the launcher around it. */
export interface Worker {
  readonly run: string;
  readonly pid: number;
  readonly ended: Promise<WorkerEnd>;
  /** Gives a warm worker its order, as the daemon does. */
  open(order?: { readonly folder: string; readonly program: string; readonly argument: string }): void;
  /** Closes the gate without a word. */
  abandon(): void;
  kill(signal: NodeJS.Signals): void;
}

/** What the launcher has read from the gate before it starts a cold worker. */
const launched = { [runVariables.jobId]: "a1b2c3d4e5f6", [runVariables.attempt]: "1", [runVariables.scheduledAt]: "" };

let runs = 0;
const live = new Set<ChildProcess>();

/** A prompt job's record, with the fields that every release wants. */
export function promptJob(model: string, more: Readonly<Record<string, unknown>> = {}): Record<string, unknown> {
  return {
    id: "a1b2c3d4e5f6",
    name: "probe",
    prompt: "Say something.",
    model,
    schedule: { kind: "interval", minutes: 60, display: "every 60m" },
    schedule_display: "every 60m",
    repeat: { times: null, completed: 0 },
    enabled: true,
    state: "scheduled",
    deliver: "local",
    ...more,
  };
}

function makeRun(home: Home, job: unknown): string {
  const run = `${home.folder}/runs/${++runs}`;
  mkdirSync(run, { recursive: true });
  const file: JobFile = { job, execution_id: null };
  writeFileSync(`${run}/${runFiles.job}`, JSON.stringify(file), { mode: 0o600 });
  return run;
}

function readRun(run: string): Pick<WorkerEnd, "answer" | "output"> {
  const answer = `${run}/${runFiles.answer}`;
  return {
    answer: existsSync(answer) ? (JSON.parse(readFileSync(answer, "utf8")) as Answer) : null,
    // A test that failed may have removed its home already.
    output: existsSync(run) ? readFileSync(`${run}/${runFiles.output}`, "latin1") : "",
  };
}

/** Runs `job` once in each of these ways to misbehave, by workers that begin where Hermes is loaded already: it is loaded once for all. */
export async function misbehaveInEach<Way extends string>(
  home: Home,
  job: unknown,
  ways: readonly Way[],
  variables: Readonly<Record<string, string>>,
): Promise<ReadonlyMap<Way, Pick<WorkerEnd, "code" | "answer" | "output">>> {
  const folders = new Map(ways.map((way) => [way, makeRun(home, job)]));
  const [own = ""] = folders.values();
  const child = start(home.python, [forked, ...[...folders].flat()], {
    ...environmentOf(home),
    ...launched,
    ...variables,
    [runVariables.runFolder]: own,
    WORKER: program,
    MISBEHAVES: "",
  });
  const ended = await finish(child);
  if (ended.code !== 0) throw new Error(`Cannot misbehave: ${ended.stderr}`);
  const codes = JSON.parse(ended.stdout.split("\n").at(-2) ?? "") as Readonly<Record<Way, number>>;
  return new Map([...folders].map(([way, run]) => [way, { code: codes[way], ...readRun(run) }]));
}

/** Starts a worker on `job`: cold, with its gate open already; the same without loading anything ahead of Hermes; or warm, waiting at its gate. */
export function startWorker(
  home: Home,
  job: unknown,
  state: "cold" | "unwarmed" | "warm" = "cold",
  variables: Readonly<Record<string, string>> = {},
): Worker {
  const run = makeRun(home, job);
  const output = openSync(`${run}/${runFiles.output}`, "w");
  if (state !== "warm") writeFileSync(`${run}/${runFiles.started}`, "");
  const child = spawn(home.python, [state === "unwarmed" ? unwarmed : program], {
    cwd: run,
    env: {
      ...environmentOf(home),
      [runVariables.runFolder]: run,
      ...(state === "warm" ? { [runVariables.waitsFor]: program } : launched),
      ...(state === "unwarmed" ? { WORKER: program } : {}),
      ...variables,
    },
    stdio: ["ignore", output, output, ...(state === "warm" ? (["pipe"] as const) : [])],
    detached: true,
  });
  live.add(child);
  const gate = child.stdio[3] as Writable | null | undefined;
  // A worker that has ended takes its end of the gate along.
  gate?.on("error", () => {});
  const ended = new Promise<WorkerEnd>((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (code, signal) => {
      live.delete(child);
      resolve({ code, signal, ...readRun(run) });
    });
  });
  const loaded = { folder: run, program: home.python, argument: program };
  return {
    run,
    pid: child.pid ?? 0,
    ended,
    open(order = loaded) {
      gate?.end(
        formatGateOrder({ jobId: launched[runVariables.jobId] ?? "", attempt: 1, scheduledAt: "", ...order }, loaded),
      );
    },
    abandon() {
      gate?.end();
    },
    kill(signal) {
      child.kill(signal);
    },
  };
}

/** Puts a question to the Hermes of a home; throws what the worker says when it cannot answer. */
export async function ask<Reply>(home: Home, question: unknown): Promise<Reply> {
  const folder = `${home.folder}/asks/${++runs}`;
  mkdirSync(folder, { recursive: true });
  writeFileSync(`${folder}/question.json`, JSON.stringify(question));
  const output = openSync(`${folder}/output.log`, "w");
  const child = spawn(home.python, [program, "ask", `${folder}/question.json`, `${folder}/answer.json`], {
    cwd: folder,
    env: environmentOf(home),
    stdio: ["ignore", output, output],
    detached: true,
  });
  live.add(child);
  const code = await new Promise((resolve) => child.once("exit", resolve));
  live.delete(child);
  if (code !== 0) throw new Error(readFileSync(`${folder}/output.log`, "utf8"));
  const reply = JSON.parse(readFileSync(`${folder}/answer.json`, "utf8")) as Reply;
  rmSync(folder, { recursive: true });
  return reply;
}

/** Ends what a failed test left running. */
export function stopWorkers(): void {
  for (const { pid } of live) {
    if (pid === undefined) continue;
    try {
      process.kill(-pid, "SIGKILL");
    } catch {
      // It has just ended by itself.
    }
  }
}
