import { spawn } from "node:child_process";
import { closeSync, copyFileSync, fsyncSync, openSync, readFileSync, statSync, writeSync } from "node:fs";
import { join } from "node:path";
import { makeState, startSupervisor, supervisorReady } from "./contenders.ts";
import { type BenchJob, jobId, makeHome, makeStampScript } from "./hermes-home.ts";
import type { SeenHold } from "./lock-probe.ts";
import { plainVariables, sleep, unixMs } from "./programs.ts";

export interface TickLockPlan {
  readonly jobs: number;
  /** How many of them fall due while we look, one after another, this far apart. */
  readonly due: number;
  readonly everyMs: number;
  /** Whether to do the same to the file with JSON.parse and JSON.stringify between two ticks. */
  readonly compare: boolean;
}

export interface TickLockResult {
  readonly jobs: number;
  readonly due: number;
  readonly fileBytes: number;
  readonly holds: readonly SeenHold[];
  /** Read, parse, print, write and sync of the same file, in ms; empty when it was not asked for. */
  readonly rewriteMs: readonly number[];
}

const leadMs = 4000;

/** How long a daemon holds the tick lock of one home, seen by another process that tries the lock all the time. */
export async function measureTickLock(
  folder: string,
  programPath: string,
  plan: TickLockPlan,
): Promise<TickLockResult> {
  const home = join(folder, "home");
  const state = join(folder, "state");
  const beginMs = Math.ceil((unixMs() + leadMs) / 1000) * 1000;
  const endMs = beginMs + plan.due * plan.everyMs;
  const tomorrowMs = beginMs + 86_400_000;
  const jobs = Array.from({ length: plan.jobs }, (_, index): BenchJob => {
    // Spread over the file, so that no tick is lucky with where its record stands.
    const turn =
      index % Math.floor(plan.jobs / plan.due) === 0 ? Math.floor(index / Math.floor(plan.jobs / plan.due)) : -1;
    return {
      id: jobId(index),
      script: "stamp.sh",
      schedule: { kind: "interval", minutes: 60, display: "every 60m" },
      nextRunAtMs: turn >= 0 && turn < plan.due ? beginMs + turn * plan.everyMs : tomorrowMs,
    };
  });
  makeHome(home, "cron: {max_parallel_jobs: 50}\n", jobs);
  makeStampScript(home, "stamp");
  makeState(state);
  const program = startSupervisor(programPath, home, state, join(folder, "log"));
  try {
    await supervisorReady(program, state);
    const probing = runProbe(join(home, "cron", ".tick.lock"), endMs);
    const rewriteMs: number[] = [];
    for (let turn = 0; turn < plan.due; turn += 1) {
      // In the second half of the pause, when the tick and the end of its run are long over.
      await sleep(beginMs + (turn + 0.6) * plan.everyMs - unixMs());
      program.check();
      if (plan.compare) rewriteMs.push(rewrite(join(home, "cron", "jobs.json"), join(folder, "copy.json")));
    }
    const holds = (await probing).filter(({ atMs }) => atMs >= beginMs);
    const fileBytes = statSync(join(home, "cron", "jobs.json")).size;
    return { jobs: plan.jobs, due: plan.due, fileBytes, holds, rewriteMs };
  } finally {
    await program.stop();
  }
}

async function runProbe(lockPath: string, untilMs: number): Promise<readonly SeenHold[]> {
  const probePath = join(import.meta.dirname, "lock-probe.ts");
  const probe = spawn(process.execPath, [probePath, lockPath, String(untilMs)], {
    env: plainVariables(),
    stdio: ["ignore", "pipe", "inherit"],
    timeout: Math.ceil(untilMs - unixMs()) + 10_000,
  });
  let text = "";
  for await (const part of probe.stdout) text += String(part);
  return JSON.parse(text) as readonly SeenHold[];
}

/** What any program has to do that changes one field of the file: the floor that JSON gives. */
function rewrite(path: string, copy: string): number {
  copyFileSync(path, copy);
  const beganMs = performance.now();
  const text = JSON.stringify(JSON.parse(readFileSync(copy, "utf8")), null, 2);
  const descriptor = openSync(copy, "w");
  writeSync(descriptor, text);
  fsyncSync(descriptor);
  closeSync(descriptor);
  return performance.now() - beganMs;
}
