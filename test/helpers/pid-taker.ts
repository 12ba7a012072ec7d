import { spawn, spawnSync } from "node:child_process";
import { readFileSync, readSync, writeFileSync, writeSync } from "node:fs";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const program = fileURLToPath(new URL("../fixtures/programs/takes-pids.py", import.meta.url));
const lastPid = "/proc/sys/kernel/ns_last_pid";

/** A process to be started with a PID of the test's choice, as leader of a session of its own. */
export interface Impostor {
  readonly argv: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly folder?: string;
  readonly errors?: string;
  /** Open as its descriptor 4. */
  readonly file?: string;
  /** Whether that descriptor carries the lock of the file. */
  readonly locks?: boolean;
}

export type TakerOrder =
  | ({ readonly do: "start"; readonly pid?: number } & Impostor)
  /** Kills `pid`, with its whole session if need be, and gives the number to a new process at once. */
  | ({ readonly do: "replace"; readonly pid: number; readonly whole?: boolean } & Impostor)
  | { readonly do: "signal"; readonly pid: number; readonly signal: number }
  | { readonly do: "end" | "look"; readonly pid: number };

/** `pid` is null where somebody else was given the number in between: possible without a PID namespace of our own only. */
export interface TakerAnswer {
  readonly pid: number | null;
  readonly startTicks: number;
  readonly alive: boolean;
}

/**
 * The command that runs `takes-pids.py` where PIDs can be chosen: as the first process of a PID namespace, or, where none may be
 * made, on the whole machine through its last PID.
 */
export function takerCommand(): readonly string[] {
  const namespace = ["--pid", "--fork", "--mount-proc", "--kill-child"];
  const ways = [namespace, ["--user", "--map-root-user", ...namespace]];
  const permitted = ways.find((way) => spawnSync("unshare", [...way, "true"]).status === 0);
  if (permitted === undefined && !canSetLastPid()) {
    throw new Error(
      `Cannot force the reuse of a PID: neither "unshare --pid" nor writing ${lastPid} is permitted here, expected to run as root`,
    );
  }
  return [...(permitted === undefined ? [] : ["unshare", ...permitted]), "python3", program];
}

function canSetLastPid(): boolean {
  try {
    writeFileSync(lastPid, readFileSync(lastPid));
    return true;
  } catch {
    return false;
  }
}

/** The taker that started this very program, asked without leaving the present moment. */
export function askParentTaker(order: TakerOrder): TakerAnswer {
  writeSync(3, `${JSON.stringify(order)}\n`);
  const part = Buffer.alloc(4096);
  let line = "";
  while (!line.endsWith("\n")) line += part.toString("latin1", 0, readSync(4, part));
  return JSON.parse(line);
}

/** A taker for a test that starts daemons through it. Everything that it started dies with it where it has a namespace. */
export function startTaker(): { ask(order: TakerOrder): Promise<TakerAnswer>; end(): void } {
  const [file = "", ...rest] = takerCommand();
  const child = spawn(file, rest, { stdio: ["pipe", "pipe", "inherit"] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    async ask(order) {
      child.stdin.write(`${JSON.stringify(order)}\n`);
      const { value, done } = await lines.next();
      if (done === true) throw new Error("The taker of PIDs ended before it answered");
      return JSON.parse(value);
    },
    end: () => child.stdin.end(),
  };
}
