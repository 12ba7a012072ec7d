import { readFileSync } from "node:fs";

/** When the job whose log this is took its first step, by its own clock, in Unix ms. A line that is not whole does not count. */
export function readStamps(path: string): readonly number[] {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    // A job that never ran has no log.
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return [];
    throw error;
  }
  return parseStamps(text);
}

export function parseStamps(text: string): readonly number[] {
  return text.split("\n").flatMap((line) => {
    const found = /^(\d+)[.,](\d{6}) start \d+$/.exec(line);
    return found === null ? [] : [Number(found[1]) * 1000 + Number(found[2]) / 1000];
  });
}

export interface MatchedStamps {
  /** By instant, in the order given: how late the job was, or null when it did not start for it. */
  readonly latenessMs: readonly (number | null)[];
  /** Starts beyond the first for one instant. */
  readonly repeated: number;
}

/** Gives each start to the latest of the ascending `instantsMs` at or before it. What lies before the first one, or `withinMs` after the last, is left out. */
export function matchStamps(
  stampsMs: readonly number[],
  instantsMs: readonly number[],
  withinMs: number,
): MatchedStamps {
  const latenessMs: (number | null)[] = instantsMs.map(() => null);
  let repeated = 0;
  for (const stampMs of [...stampsMs].sort((a, b) => a - b)) {
    const index = instantsMs.findLastIndex((instantMs) => instantMs <= stampMs);
    const instantMs = instantsMs[index];
    if (instantMs === undefined || (index === instantsMs.length - 1 && stampMs - instantMs >= withinMs)) continue;
    if (latenessMs[index] === null) latenessMs[index] = stampMs - instantMs;
    else repeated += 1;
  }
  return { latenessMs, repeated };
}
