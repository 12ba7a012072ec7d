import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, openSync, statSync } from "node:fs";
import { unixMs } from "../bench/programs.ts";
import { environmentOf, type Home, until } from "../conformance/home.ts";

/** A real gateway that can reach the stub model on loopback, and nothing else by its proxies. */
export interface SoakGateway {
  /** Resolves once its ticker has gone round. */
  ready(): Promise<void>;
  kill(): Promise<void>;
  /** Asks it to end, and insists. */
  stop(): Promise<void>;
}

/** 0.22 takes five seconds to start on a machine at rest. */
const readyMsMax = 180_000;
const insistMs = 30_000;
const nowhere = "http://127.0.0.1:9";

export function startSoakGateway(home: Home, tickSeconds: number | null): SoakGateway {
  const log = openSync(`${home.folder}/gateway.log`, "a");
  const startedMs = unixMs();
  const child = spawn(home.python, ["-m", "hermes_cli.main", "gateway", "run"], {
    env: {
      ...environmentOf(home),
      XDG_STATE_HOME: `${home.folder}/user/state`,
      HTTP_PROXY: nowhere,
      HTTPS_PROXY: nowhere,
      NO_PROXY: "127.0.0.1,localhost",
      ...(tickSeconds === null ? {} : { HERMES_SUPERVISOR_TICK_SECONDS: String(tickSeconds) }),
    },
    stdio: ["ignore", log, log],
    detached: true,
  });
  closeSync(log);
  const exited = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  const forget = (): void => signalGroup(child, "SIGKILL");
  process.once("exit", forget);
  const hasEnded = (): boolean => child.exitCode !== null || child.signalCode !== null;
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    child.kill(signal);
    await exited;
    process.removeListener("exit", forget);
  };
  return {
    async ready() {
      await until(
        "the gateway's ticker",
        () => {
          if (hasEnded()) throw new Error(`Cannot run the gateway: it ended, see "${home.folder}/gateway.log"`);
          return beatMs(home) >= startedMs;
        },
        readyMsMax,
      );
    },
    kill: () => end("SIGKILL"),
    async stop() {
      const insist = setTimeout(() => child.kill("SIGKILL"), insistMs);
      await end("SIGTERM");
      clearTimeout(insist);
    },
  };
}

function beatMs(home: Home): number {
  return statSync(`${home.path}/cron/ticker_heartbeat`, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

function signalGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  try {
    process.kill(-child.pid, signal);
  } catch {
    // It ended in between.
  }
}
