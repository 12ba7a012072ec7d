import { readdirSync, statSync, writeFileSync } from "node:fs";
import { Agent } from "node:http";
import { join } from "node:path";
import { createLocks } from "../../src/system/flock.ts";
import { askControl } from "./ask-control.ts";
import { makeState, startSupervisor, supervisorReady } from "./contenders.ts";
import { type BenchJob, jobId, makeHome } from "./hermes-home.ts";
import { plainVariables, sleep, startProgram, unixMs } from "./programs.ts";

export interface ReadApiPlan {
  readonly openRuns: number;
  /** How many of them print, and how much each of them, piece by piece for as long as we ask. */
  readonly printing: number;
  readonly printedBytes: number;
  readonly rounds: number;
}

export interface ReadApiResult {
  readonly openRuns: number;
  readonly writtenBytes: number;
  /**
   * By address, how long each answer took, in ms; `locked` while another process held the tick lock. `bareServer` stands for a
   * server beside ours that answers two bytes and does nothing else.
   */
  readonly free: ReadonlyMap<string, readonly number[]>;
  readonly locked: ReadonlyMap<string, readonly number[]>;
}

/** Enough of them that the printing outlasts the reads. */
const pieces = 400;
const pauseMs = 5;
const openMsMax = 60_000;
export const bareServer = "a bare Node server";

/** How long reads of the control API take while many runs are open and print. */
export async function measureReadApi(folder: string, programPath: string, plan: ReadApiPlan): Promise<ReadApiResult> {
  const home = join(folder, "home");
  const state = join(folder, "state");
  const dueMs = Math.ceil((unixMs() + 3000) / 1000) * 1000;
  const jobs = Array.from(
    { length: plan.openRuns },
    (_, index): BenchJob => ({
      id: jobId(index),
      script: index < plan.printing ? "print.sh" : "sleep.sh",
      schedule: { kind: "interval", minutes: 600, display: "every 600m" },
      nextRunAtMs: dueMs,
    }),
  );
  makeHome(home, `cron: {max_parallel_jobs: ${plan.openRuns}}\n`, jobs);
  const piece = Math.ceil(plan.printedBytes / pieces);
  // Without a process of its own for each piece: what is measured is what output costs, not what starting programs does.
  const print = `exec 9<> <(:)
printf -v piece '%${piece}s' x
for i in {1..${pieces}}; do printf '%s' "$piece"; read -rt 0.05 -u 9; done
exec sleep 600
`;
  writeFileSync(join(home, "scripts/print.sh"), print);
  writeFileSync(join(home, "scripts/sleep.sh"), "exec sleep 600\n");
  makeState(state);
  const limits = `limits: {max_open_runs: ${plan.openRuns}}\nshutdown: {on_sigterm: stop}\nstop: {grace: 1 s}\n`;
  writeFileSync(join(state, "config.yaml"), limits);
  const program = startSupervisor(programPath, home, state, join(folder, "log"));
  const bareSocket = join(folder, "bare.sock");
  const bare = startProgram(
    process.execPath,
    [join(import.meta.dirname, "bare-server.ts"), bareSocket],
    plainVariables(),
    join(folder, "log"),
  );
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const bareAgent = new Agent({ keepAlive: true, maxSockets: 1 });
  const ask = (path: string): Promise<string> =>
    path === bareServer
      ? askControl({ agent: bareAgent, socketPath: bareSocket, path: "/" })
      : askControl({ agent, socketPath: join(state, "control.sock"), path });
  try {
    await supervisorReady(program, state);
    const untilMs = unixMs() + openMsMax;
    let open: readonly { readonly id: string }[] = [];
    while (open.length < plan.openRuns) {
      program.check();
      if (unixMs() > untilMs) throw new Error(`Cannot measure reads: ${open.length} runs are open, see "${folder}"`);
      await sleep(100);
      open = (JSON.parse(await ask("/v1/runs?state=running&limit=0")) as { runs: typeof open }).runs;
    }
    const run = open[0]?.id ?? "";
    const paths = [
      "/v1/status",
      "/v1/jobs",
      "/v1/runs",
      "/v1/slots",
      "/v1/next",
      `/v1/runs/${run}`,
      "/health",
      "/metrics",
      bareServer,
    ];
    const free = await measure(paths, plan.rounds, ask);
    const lock = createLocks().lockWithin(join(home, "cron/.tick.lock"), 5000);
    const locked = await measure(paths, plan.rounds, ask);
    lock.release();
    return { openRuns: open.length, writtenBytes: written(state), free, locked };
  } finally {
    agent.destroy();
    bareAgent.destroy();
    await Promise.all([program.stop(), bare.stop()]);
  }
}

async function measure(
  paths: readonly string[],
  rounds: number,
  ask: (path: string) => Promise<string>,
): Promise<ReadonlyMap<string, readonly number[]>> {
  const taken = new Map<string, number[]>(paths.map((path) => [nameOf(path), []]));
  for (let round = 0; round < rounds; round += 1) {
    for (const path of paths) {
      const beganMs = performance.now();
      await ask(path);
      taken.get(nameOf(path))?.push(performance.now() - beganMs);
      await sleep(pauseMs);
    }
  }
  return taken;
}

function nameOf(path: string): string {
  return path.replace(/^\/v1\/runs\/.+/, "/v1/runs/ID");
}

function written(state: string): number {
  const runs = join(state, "runs");
  return readdirSync(runs).reduce(
    (sum, id) => sum + (statSync(join(runs, id, "output.log"), { throwIfNoEntry: false })?.size ?? 0),
    0,
  );
}
