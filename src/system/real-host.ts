import { realpathSync } from "node:fs";
import { userInfo } from "node:os";
import { execa } from "execa";
import type { Host, ProgramAnswer } from "./host.ts";
import { createProcesses } from "./real-processes.ts";

const outputCharactersMax = 1 << 20;

export function createHost(): Host {
  const { uid, username } = userInfo();
  const environment = { ...process.env };
  return {
    platform: process.platform,
    nodeVersion: process.versions.node,
    nodePath: process.execPath,
    // A global installation puts a link on PATH; a service is better off with what it leads to.
    programPath: realpathSync(process.argv[1] ?? ""),
    user: { uid, name: username },
    processes: createProcesses(),
    run: (file, args, timeoutMs) => run(file, args, timeoutMs, environment),
  };
}

async function run(
  file: string,
  args: readonly string[],
  timeout: number,
  env: Readonly<Record<string, string | undefined>>,
): Promise<ProgramAnswer | null> {
  const options = { timeout, env, extendEnv: false, reject: false, all: true, maxBuffer: outputCharactersMax } as const;
  const result = await execa(file, [...args], { ...options, stdin: "ignore", killSignal: "SIGKILL" });
  if (result.exitCode === undefined && !result.timedOut && result.signal === undefined) return null;
  return { exitCode: result.exitCode ?? null, output: result.all };
}
