import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { makeState, startSupervisor, supervisorReady } from "./contenders.ts";
import { type BenchJob, jobId, makeHome, makeStampScript } from "./hermes-home.ts";
import { type Program, sleep, unixMs } from "./programs.ts";
import { readStamps } from "./stamps.ts";

export interface FairnessPlan {
  /** Homes beside the one with the flood. */
  readonly others: number;
  readonly floodJobs: number;
  readonly otherJobs: number;
  /** How many runs the host may have open. */
  readonly places: number;
  readonly runSeconds: number;
}

export interface FairnessResult {
  readonly order: "fair" | "oldest_first";
  /** From due to first instruction, in ms. */
  readonly floodWaits: readonly number[];
  readonly otherWaits: readonly number[];
  /** How long the others would have waited by their share of the starts that there were. */
  readonly fairWaits: readonly number[];
}

const floodHeadStartMs = 1000;
const prepareMs = 12_000;
const wholeMsMax = 300_000;

/** One home has far more due than there are places; a second later each of the others has a few. */
export async function measureFairness(
  folder: string,
  programPath: string,
  order: FairnessResult["order"],
  plan: FairnessPlan,
): Promise<FairnessResult> {
  const root = join(folder, "home");
  const state = join(folder, "state");
  const otherDueMs = Math.ceil(Date.now() / 1000) * 1000 + prepareMs;
  const floodDueMs = otherDueMs - floodHeadStartMs;
  const flood = makeWaitingHome(root, plan.floodJobs, floodDueMs, plan.runSeconds);
  const others = Array.from({ length: plan.others }, (_, index) =>
    makeWaitingHome(join(root, "profiles", `team-${index + 1}`), plan.otherJobs, otherDueMs, plan.runSeconds),
  );
  makeState(state);
  const config = `limits: {max_open_runs: ${plan.places}, order: ${order}}\n`;
  writeFileSync(join(state, "config.yaml"), config, { mode: 0o600 });
  const program = startSupervisor(programPath, root, state, join(folder, "log"));
  try {
    await supervisorReady(program, state);
    if (unixMs() > floodDueMs) throw new Error(`Cannot measure: the daemon was not ready within ${prepareMs} ms`);
    const floodStarts = await allStarts(program, [flood], plan.floodJobs);
    const otherStarts = await allStarts(program, others, plan.others * plan.otherJobs);
    const all = [...floodStarts, ...otherStarts].sort((a, b) => a - b);
    return {
      order,
      floodWaits: floodStarts.map((start) => start - floodDueMs),
      otherWaits: otherStarts.map((start) => start - otherDueMs),
      fairWaits: fairWaits(
        plan,
        all.map((start) => start - otherDueMs).filter((wait) => wait >= 0),
      ),
    };
  } finally {
    await program.stop();
  }
}

/**
 * What an equal share of the starts comes to: of eight homes that all wait, the second job of one starts with the sixteenth start at
 * the latest. So a machine that is slow at that moment is slow for both figures.
 */
function fairWaits({ others, otherJobs }: FairnessPlan, waitsOfAll: readonly number[]): readonly number[] {
  return Array.from({ length: otherJobs }, (_, index) => waitsOfAll[(others + 1) * (index + 1) - 1] ?? Number.NaN);
}

/** Returns where its jobs write down their starts. */
function makeWaitingHome(home: string, jobs: number, dueAtMs: number, runSeconds: number): string {
  const records = Array.from(
    { length: jobs },
    (_, index): BenchJob => ({
      id: jobId(index),
      script: "work.sh",
      schedule: { kind: "interval", minutes: 720, display: "every 720m" },
      nextRunAtMs: dueAtMs,
    }),
  );
  makeHome(home, "cron: {max_parallel_jobs: 0}\n", records);
  const { path, stamps } = makeStampScript(home, "work");
  writeFileSync(path, `echo "$EPOCHREALTIME start $$" >> "${stamps}"\nsleep ${runSeconds}\n`, { mode: 0o700 });
  return stamps;
}

async function allStarts(program: Program, stamps: readonly string[], count: number): Promise<readonly number[]> {
  const untilMs = unixMs() + wholeMsMax;
  for (;;) {
    program.check();
    const starts = stamps.flatMap(readStamps);
    if (starts.length >= count) return starts;
    if (unixMs() > untilMs) throw new Error(`Cannot measure: ${starts.length} of ${count} jobs started`);
    await sleep(100);
  }
}
