import type { ChildProcess } from "node:child_process";
import { fileURLToPath } from "node:url";
import { type Ended, environmentOf, finish, type Home, start, until } from "./home.ts";

// Node runs the sources as they are, so that the suite never tests an older build.
const program = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url));

/** Runs our own command line on a home, as its users do. */
export function supervisor(home: Home, ...args: readonly string[]): Promise<Ended> {
  return finish(startSupervisor(home, ...args));
}

export interface Daemon {
  /** Lets open runs come to their end (SIGINT). */
  drain(): Promise<Ended>;
  /** Leaves open runs to the next daemon (SIGTERM). */
  handOver(): Promise<Ended>;
  /** Ends it in the midst of whatever it does. */
  kill(): Promise<Ended>;
}

/** Starts the daemon and waits until it says that it is ready. */
export async function startDaemon(home: Home): Promise<Daemon> {
  const child = startSupervisor(home, "start");
  let isReady = false;
  child.stderr?.on("data", (chunk: Buffer | string) => {
    isReady ||= chunk.toString().includes("ready");
  });
  const ended = finish(child);
  let early: Ended | null = null;
  void ended.then((end) => {
    early = end;
  });
  await until("the daemon to be ready", () => {
    if (early !== null) throw new Error(`Cannot start the daemon: it ended with ${early.code}: ${early.stderr}`);
    return isReady;
  });
  return {
    async drain() {
      child.kill("SIGINT");
      return await ended;
    },
    async handOver() {
      child.kill("SIGTERM");
      return await ended;
    },
    async kill() {
      child.kill("SIGKILL");
      return await ended;
    },
  };
}

/** The document of a reading command. */
export async function readJson<Document>(home: Home, ...args: readonly string[]): Promise<Document> {
  const ended = await supervisor(home, ...args, "--json");
  if (ended.code !== 0)
    throw new Error(`Cannot read "${args.join(" ")}": exit ${ended.code}: ${ended.stdout}${ended.stderr}`);
  return JSON.parse(ended.stdout) as Document;
}

/** The same, with nothing but the environment to say where the home is. */
export function supervisorByEnvironment(home: Home, ...args: readonly string[]): Promise<Ended> {
  return finish(
    start(process.execPath, [program, ...args], { ...environmentOf(home), HERMES_SUPERVISOR_PYTHON: home.python }),
  );
}

function startSupervisor(home: Home, ...args: readonly string[]): ChildProcess {
  const { HERMES_HOME: _, ...environment } = environmentOf(home);
  // What an installed Hermes would be found by: these homes have theirs in no usual place.
  const variables = { ...environment, HERMES_SUPERVISOR_PYTHON: home.python };
  return start(process.execPath, [program, "--home", home.path, "--state", `${home.folder}/state`, ...args], variables);
}
