import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";

export interface Program {
  readonly pid: number;
  /** When it was started, in Unix ms with fractions. */
  readonly startedAtMs: number;
  /** Throws when the program has ended although nobody stopped it. */
  check(): void;
  /** Asks it to end, insists after 5 s, and returns when it is gone. */
  stop(): Promise<void>;
}

const insistMs = 5000;
const running = new Set<ChildProcess>();

/** Starts a program that goes on until it is stopped. What it prints goes to `logPath`. It never outlives the bench. */
export function startProgram(
  file: string,
  args: readonly string[],
  variables: Readonly<Record<string, string>>,
  logPath: string,
): Program {
  const log = openSync(logPath, "a");
  const startedAtMs = unixMs();
  const child = spawn(file, [...args], { env: { ...variables }, stdio: ["ignore", log, log] });
  closeSync(log);
  const { pid } = child;
  if (pid === undefined) throw new Error(`Cannot start "${file}": the system refused to make a process`);
  running.add(child);
  let stopping = false;
  let ended: string | null = null;
  const gone = new Promise<void>((resolve) => {
    child.once("exit", (code, signal) => {
      running.delete(child);
      ended = signal ?? `status ${code}`;
      resolve();
    });
  });
  return {
    pid,
    startedAtMs,
    check() {
      if (ended !== null && !stopping) {
        throw new Error(`"${[file, ...args].join(" ")}" ended by itself with ${ended}: see "${logPath}"`);
      }
    },
    async stop() {
      stopping = true;
      child.kill("SIGTERM");
      const insist = setTimeout(() => child.kill("SIGKILL"), insistMs);
      await gone;
      clearTimeout(insist);
    },
  };
}

/** For the end of the bench itself, however it comes. */
export function killPrograms(): void {
  for (const child of running) child.kill("SIGKILL");
}

export function unixMs(): number {
  return performance.timeOrigin + performance.now();
}

export async function sleep(ms: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, Math.max(0, ms)));
}

/** What every contender and every job of the bench starts with. */
export function plainVariables(): Record<string, string> {
  const { PATH = "/usr/bin:/bin", HOME = "/" } = process.env;
  return { PATH, HOME, LANG: "C.UTF-8", TZ: "UTC" };
}
