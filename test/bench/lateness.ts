import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { Contender, Started } from "./contenders.ts";
import { sleep, unixMs } from "./programs.ts";
import { matchStamps, readStamps } from "./stamps.ts";

export interface LatenessPlan {
  readonly jobs: number;
  /** How many seconds of a round belong to one contender, and in how many of them its jobs are due. */
  readonly turnSeconds: number;
  readonly dueSeconds: number;
  readonly rounds: number;
}

export interface LatenessResult {
  readonly contender: string;
  /** By round: due → the job's first instruction, in ms, for every start. */
  readonly rounds: readonly (readonly number[])[];
  readonly missed: number;
  readonly repeated: number;
}

/** Time for the slowest contender to start before anything is due. */
const leadMs = 4000;
/** Places in a round: every contender keeps its own, also when one of them is not there. */
const turns = 3;

/**
 * All contenders are up for the whole measurement, and their jobs are due in turns: A B C A B C …, so that what the
 * machine does meanwhile meets all of them alike. A round's length divides a minute, so a list of seconds says it all.
 */
export async function measureLateness(
  folder: string,
  contenders: readonly Contender[],
  plan: LatenessPlan,
): Promise<readonly LatenessResult[]> {
  const roundSeconds = plan.turnSeconds * turns;
  if (60 % roundSeconds !== 0) throw new RangeError(`A round of ${roundSeconds} s does not divide a minute`);
  const beginMs = Math.ceil((unixMs() + leadMs) / 1000) * 1000;
  const endMs = beginMs + plan.rounds * roundSeconds * 1000;
  const started: Started[] = [];
  try {
    for (const [place, contender] of contenders.entries()) {
      const own = join(folder, String(place));
      mkdirSync(own, { recursive: true });
      const seconds = secondsOf(beginMs / 1000 + place * plan.turnSeconds, plan.dueSeconds, roundSeconds);
      const firstAtMs = beginMs + place * plan.turnSeconds * 1000;
      started.push(await contender.start(own, { jobs: plan.jobs, seconds, firstAtMs }));
    }
    if (unixMs() > beginMs) throw new Error("Cannot measure: the contenders took too long to start");
    while (unixMs() < endMs) {
      await sleep(Math.min(1000, endMs - unixMs()));
      for (const { program } of started) program.check();
    }
  } finally {
    await Promise.all(started.map(({ program }) => program.stop()));
  }
  return contenders.map((contender, place) => {
    const firstAtMs = beginMs + place * plan.turnSeconds * 1000;
    return resultOf(contender.name, started[place]?.stamps ?? [], firstAtMs, plan, roundSeconds * 1000);
  });
}

/** The seconds of a minute at which `count` consecutive ones from `first` on are due in every round. */
export function secondsOf(first: number, count: number, roundSeconds: number): readonly number[] {
  const seconds: number[] = [];
  for (let round = 0; round < 60 / roundSeconds; round += 1) {
    for (let step = 0; step < count; step += 1) seconds.push((first + round * roundSeconds + step) % 60);
  }
  return seconds.sort((a, b) => a - b);
}

function resultOf(
  contender: string,
  stampPaths: readonly string[],
  firstAtMs: number,
  plan: LatenessPlan,
  roundMs: number,
): LatenessResult {
  const rounds: number[][] = [];
  let missed = 0;
  let repeated = 0;
  const stamps = stampPaths.map(readStamps);
  for (let round = 0; round < plan.rounds; round += 1) {
    const roundAtMs = firstAtMs + round * roundMs;
    const instants = Array.from({ length: plan.dueSeconds }, (_, step) => roundAtMs + step * 1000);
    const samples: number[] = [];
    for (const ofJob of stamps) {
      // What comes later than its round's end counts for the next round, and as missed in its own.
      const found = matchStamps(ofJob, instants, roundMs - (plan.dueSeconds - 1) * 1000);
      for (const latenessMs of found.latenessMs) {
        if (latenessMs === null) missed += 1;
        else samples.push(latenessMs);
      }
      repeated += found.repeated;
    }
    rounds.push(samples);
  }
  return { contender, rounds, missed, repeated };
}
