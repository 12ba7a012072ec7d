import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { type Ended, environmentOf, finish, type Home, start, until } from "./home.ts";

/** A real gateway without any chat platform, in a network of its own where the system allows that: it calls out when it can. */
export interface Gateway {
  /** Waits for two more rounds of its ticker: what it may dispatch is dispatched by then. */
  twoTicks(of?: Home): Promise<void>;
  stop(): Promise<Ended>;
  kill(): Promise<Ended>;
}

const networkPrefix = ((): readonly string[] => {
  try {
    execFileSync("unshare", ["-n", "true"], { stdio: "ignore" });
    return ["unshare", "-n", "sh", "-c", 'ip link set lo up 2>/dev/null; exec "$@"', "sh"];
  } catch {
    // Only root may, and not everywhere.
    return [];
  }
})();

/** 0.22 takes five seconds to start, and many times that on a machine that is busy with other tests. */
export const patienceMs = 120_000;

export async function startGateway(home: Home, tickSeconds = 0.5): Promise<Gateway> {
  const command = [...networkPrefix, home.python, "-m", "hermes_cli.main", "gateway", "run"];
  const child = start(command[0] ?? "", command.slice(1), {
    ...environmentOf(home),
    XDG_STATE_HOME: `${home.folder}/user/state`,
    HERMES_SUPERVISOR_TICK_SECONDS: String(tickSeconds),
  });
  const ended = finish(child);
  let early: Ended | null = null;
  void ended.then((end) => {
    early = end;
  });
  const heartbeat = (of: Home): string => {
    const path = `${of.path}/cron/ticker_heartbeat`;
    return existsSync(path) ? readFileSync(path, "utf8") : "";
  };
  const beat = async (of: Home, before: string): Promise<void> =>
    await until(
      "the gateway's ticker to go round",
      () => {
        if (early !== null) throw new Error(`Cannot run the gateway: it ended with ${early.code}: ${early.stderr}`);
        return heartbeat(of) !== before;
      },
      patienceMs,
    );
  await beat(home, heartbeat(home));
  return {
    async twoTicks(of = home) {
      // The first beat may end a round that had begun before this call.
      for (let round = 0; round < 3; round++) await beat(of, heartbeat(of));
    },
    async stop() {
      child.kill("SIGTERM");
      return await ended;
    },
    async kill() {
      child.kill("SIGKILL");
      return await ended;
    },
  };
}
