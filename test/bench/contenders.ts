import { mkdirSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { join } from "node:path";
import { type BenchJob, jobId, makeHome, makeStampScript } from "./hermes-home.ts";
import type { NaiveJob } from "./naive-scheduler.ts";
import { type Program, plainVariables, sleep, startProgram, unixMs } from "./programs.ts";

/** What a contender is to run: `jobs` jobs, all due at each of these seconds of every minute (UTC). */
export interface Workload {
  readonly jobs: number;
  readonly seconds: readonly number[];
  readonly firstAtMs: number;
}

export interface Started {
  readonly program: Program;
  /** The files in which the jobs write down when they began. */
  readonly stamps: readonly string[];
}

export interface Contender {
  readonly name: string;
  start(folder: string, workload: Workload): Promise<Started>;
}

const readyMsMax = 20_000;

export function createSupervisor(programPath: string): Contender {
  return {
    name: "hermes-supervisor",
    async start(folder, { jobs, seconds, firstAtMs }) {
      const home = join(folder, "home");
      const state = join(folder, "state");
      const expr = `* * * * * ${seconds.join(",")}`;
      const names = Array.from({ length: jobs }, (_, index) => jobId(index));
      makeHome(
        home,
        "cron: {max_parallel_jobs: 50}\n",
        names.map(
          (id): BenchJob => ({
            id,
            script: `${id}.sh`,
            schedule: { kind: "cron", expr, display: expr },
            nextRunAtMs: firstAtMs,
          }),
        ),
      );
      const stamps = names.map((name) => makeStampScript(home, name).stamps);
      makeState(state);
      const program = startSupervisor(programPath, home, state, join(folder, "log"));
      await supervisorReady(program, state);
      return { program, stamps };
    },
  };
}

/** A state folder whose limits do not get in the way of 50 jobs at once. */
export function makeState(state: string): void {
  mkdirSync(state, { recursive: true, mode: 0o700 });
  writeFileSync(join(state, "config.yaml"), "limits: {max_open_runs: 100}\n", { mode: 0o600 });
}

export function startSupervisor(programPath: string, home: string, state: string, logPath: string): Program {
  const args = [programPath, "--home", home, "--state", state, "start"];
  return startProgram(process.execPath, args, plainVariables(), logPath);
}

/** Waits until the control socket answers and returns how long that took from the start, in ms. */
export async function supervisorReady(program: Program, state: string): Promise<number> {
  const socketPath = join(state, "control.sock");
  while (unixMs() - program.startedAtMs < readyMsMax) {
    program.check();
    if (await answers(socketPath)) return unixMs() - program.startedAtMs;
    await sleep(2);
  }
  throw new Error(`Cannot measure: the daemon does not answer at "${socketPath}" within ${readyMsMax} ms`);
}

async function answers(socketPath: string): Promise<boolean> {
  return await new Promise((resolve) => {
    const asked = request({ socketPath, path: "/health" }, (response) => {
      response.resume();
      response.on("end", () => resolve(true));
    });
    // Not there yet, or not listening yet.
    asked.on("error", () => resolve(false));
    asked.end();
  });
}

export function createSupercronic(path: string, version: string): Contender {
  return {
    name: `supercronic ${version}`,
    async start(folder, { jobs, seconds }) {
      const scripts = makeScripts(folder, jobs);
      const when = `${seconds.join(",")} * * * * * *`;
      return startSupercronic(path, folder, scripts, when);
    },
  };
}

/** Quiet and with the jobs' output passed through, which is the least that it can do for a job. */
export function startSupercronic(path: string, folder: string, scripts: Scripts, when: string): Started {
  const crontab = join(folder, "crontab");
  writeFileSync(crontab, scripts.paths.map((script) => `${when} bash ${script}\n`).join(""));
  const args = ["-quiet", "-passthrough-logs", crontab];
  return { program: startProgram(path, args, plainVariables(), join(folder, "log")), stamps: scripts.stamps };
}

export function createNaive(programPath: string): Contender {
  return {
    name: "naive Node timer",
    async start(folder, { jobs, seconds }) {
      const scripts = makeScripts(folder, jobs);
      return startNaive(
        programPath,
        folder,
        scripts,
        60_000,
        seconds.map((second) => second * 1000),
      );
    },
  };
}

export function startNaive(
  programPath: string,
  folder: string,
  scripts: Scripts,
  cycleMs: number,
  phasesMs: readonly number[],
): Started {
  const list = join(folder, "jobs.json");
  writeFileSync(list, JSON.stringify(scripts.paths.map((script): NaiveJob => ({ script, cycleMs, phasesMs }))));
  const program = startProgram(process.execPath, [programPath, list], plainVariables(), join(folder, "log"));
  return { program, stamps: scripts.stamps };
}

export interface Scripts {
  readonly paths: readonly string[];
  readonly stamps: readonly string[];
}

function makeScripts(folder: string, count: number): Scripts {
  for (const name of ["scripts", "stamps"]) mkdirSync(join(folder, name), { recursive: true });
  const scripts = Array.from({ length: count }, (_, index) => makeStampScript(folder, jobId(index)));
  return { paths: scripts.map((one) => one.path), stamps: scripts.map((one) => one.stamps) };
}
