import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { makeState, startNaive, startSupercronic, startSupervisor, supervisorReady } from "./contenders.ts";
import { type BenchJob, jobId, makeHome, makeStampScript, writeJobs } from "./hermes-home.ts";
import { readProcessFigures } from "./process-figures.ts";
import { type Program, sleep, unixMs } from "./programs.ts";
import { readStamps } from "./stamps.ts";

export interface ManyHomesPlan {
  readonly homes: number;
  readonly jobsPerHome: number;
  readonly starts: number;
  readonly settleMs: number;
  readonly idleMs: number;
}

export interface StartFigures {
  readonly readyMs: number;
  /** From the start of the daemon to the first instruction of a job that was overdue. */
  readonly firstJobMs: number;
}

export interface IdleFigures {
  readonly contender: string;
  readonly rssBytes: number;
  readonly pssBytes: number;
  readonly anonymousBytes: number;
  /** Share of one core. */
  readonly cpuShare: number;
  readonly wakeUpsPerSecond: number;
}

export interface ManyHomesResult {
  /** With an empty ledger, as on the day of the installation. */
  readonly firstStart: StartFigures;
  readonly laterStarts: readonly StartFigures[];
  readonly idle: readonly IdleFigures[];
}

const firstJobMsMax = 20_000;
const dayMs = 86_400_000;

/** Starts with all the homes there are, and what it costs to have them while nothing is due. */
export async function measureManyHomes(
  folder: string,
  programs: {
    readonly supervisor: string;
    readonly supercronic: { path: string; name: string } | null;
    readonly naive: string;
  },
  plan: ManyHomesPlan,
): Promise<ManyHomesResult> {
  const root = join(folder, "home");
  const state = join(folder, "state");
  const homes = Array.from({ length: plan.homes }, (_, index) =>
    index === 0 ? root : join(root, "profiles", `profile-${index}`),
  );
  // Nobody is due before the bench is long over, whatever the time of day.
  const quietAtMs = Math.ceil(Date.now() / 1000) * 1000 + dayMs / 2;
  for (const home of homes) makeHome(home, "cron: {max_parallel_jobs: 4}\n", quietJobs(plan.jobsPerHome, quietAtMs));
  const last = homes.at(-1) ?? root;
  const { stamps } = makeStampScript(last, "stamp");
  makeState(state);

  const starts: StartFigures[] = [];
  const running: Running[] = [];
  try {
    for (let start = 0; start <= plan.starts; start += 1) {
      // Each start has an instant of its own to serve: one that was served before is not served again.
      if (start > 0) await sleep(overdueMs + 1000);
      writeJobs(last, withOneOverdue(quietJobs(plan.jobsPerHome, quietAtMs)));
      rmSync(stamps, { force: true });
      const program = startSupervisor(programs.supervisor, root, state, join(folder, "log"));
      running.push({ contender: "hermes-supervisor", program });
      const readyMs = await supervisorReady(program, state);
      starts.push({ readyMs, firstJobMs: (await firstStamp(program, stamps)) - program.startedAtMs });
      if (start < plan.starts) await running.pop()?.program.stop();
    }
    running.push(...startPeers(folder, programs, plan.homes * plan.jobsPerHome, quietAtMs));
    const [firstStart, ...laterStarts] = starts;
    if (firstStart === undefined) throw new RangeError("Cannot measure a start: the plan asks for none");
    return { firstStart, laterStarts, idle: await watchIdle(running, plan) };
  } finally {
    await Promise.all(running.map(({ program }) => program.stop()));
  }
}

const overdueMs = 2000;

interface Running {
  readonly contender: string;
  readonly program: Program;
}

function startPeers(
  folder: string,
  programs: { readonly supercronic: { path: string; name: string } | null; readonly naive: string },
  count: number,
  quietAtMs: number,
): readonly Running[] {
  const script = makeStampScript(join(folder, "home"), "stamp");
  const scripts = { paths: Array.from({ length: count }, () => script.path), stamps: [] };
  const quiet = new Date(quietAtMs);
  const when = `${quiet.getUTCSeconds()} ${quiet.getUTCMinutes()} ${quiet.getUTCHours()} * * * *`;
  const own = (name: string): string => {
    const path = join(folder, name);
    mkdirSync(path, { recursive: true });
    return path;
  };
  const { supercronic } = programs;
  const naive = startNaive(programs.naive, own("naive"), scripts, dayMs, [quietAtMs % dayMs]);
  const peers = [{ contender: "naive Node timer", program: naive.program }];
  if (supercronic !== null) {
    const { program } = startSupercronic(supercronic.path, own("supercronic"), scripts, when);
    peers.unshift({ contender: supercronic.name, program });
  }
  return peers;
}

function quietJobs(count: number, quietAtMs: number): readonly BenchJob[] {
  const at = new Date(quietAtMs);
  const expr = `${at.getUTCMinutes()} ${at.getUTCHours()} * * * ${at.getUTCSeconds()}`;
  return Array.from(
    { length: count },
    (_, index): BenchJob => ({
      id: jobId(index),
      script: "stamp.sh",
      schedule: { kind: "cron", expr, display: expr },
      nextRunAtMs: quietAtMs,
    }),
  );
}

/** The last job of the file is overdue. */
function withOneOverdue(jobs: readonly BenchJob[]): readonly BenchJob[] {
  const overdueAtMs = Math.floor(Date.now() / 1000) * 1000 - overdueMs;
  return jobs.map((job, index) =>
    index === jobs.length - 1
      ? { ...job, schedule: { kind: "interval", minutes: 720, display: "every 720m" }, nextRunAtMs: overdueAtMs }
      : job,
  );
}

async function firstStamp(program: Program, stamps: string): Promise<number> {
  while (unixMs() - program.startedAtMs < firstJobMsMax) {
    program.check();
    const [stampMs] = readStamps(stamps);
    if (stampMs !== undefined) return stampMs;
    await sleep(5);
  }
  throw new Error(`Cannot measure: the overdue job did not start within ${firstJobMsMax} ms`);
}

/** All of them at once: who has nothing to do disturbs nobody. */
async function watchIdle(running: readonly Running[], plan: ManyHomesPlan): Promise<readonly IdleFigures[]> {
  await sleep(plan.settleMs);
  const before = running.map(({ program }) => readProcessFigures(program.pid));
  const beganMs = unixMs();
  await sleep(plan.idleMs);
  for (const { program } of running) program.check();
  const lengthMs = unixMs() - beganMs;
  return running.map(({ contender, program }, place) => {
    const after = readProcessFigures(program.pid);
    return {
      contender,
      rssBytes: after.rssBytes,
      pssBytes: after.pssBytes,
      anonymousBytes: after.anonymousBytes,
      cpuShare: (after.cpuMs - (before[place]?.cpuMs ?? 0)) / lengthMs,
      wakeUpsPerSecond: ((after.wakeUps - (before[place]?.wakeUps ?? 0)) / lengthMs) * 1000,
    };
  });
}
