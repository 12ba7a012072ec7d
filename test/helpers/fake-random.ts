import type { Random } from "../../src/system/random.ts";
import { createSeededRandom } from "./seeded-random.ts";

const alphabet = "abcdefghijklmnopqrstuvwxyz0123456789";

/** Draws that are the same for the same seed. */
export interface Draw {
  /** From 0, below 1. */
  number(): number;
  /** A whole number from `min` to `max`, both included. */
  whole(min: number, max: number): number;
  /** True once in `1 / share` times. */
  chance(share: number): boolean;
  one<Value>(values: readonly Value[]): Value;
}

export function createDraw(seed: number): Draw {
  const number = createSeededRandom(seed);
  const draw: Draw = {
    number,
    whole: (min, max) => min + Math.floor(number() * (max - min + 1)),
    chance: (share) => number() < share,
    one(values) {
      const value = values[Math.floor(number() * values.length)];
      if (value === undefined) throw new RangeError("Cannot draw one of no values");
      return value;
    },
  };
  return draw;
}

export function createFakeRandom(draw: Draw): Random {
  const text = (length: number, letters: string): string =>
    Array.from({ length }, () => letters[Math.floor(draw.number() * letters.length)]).join("");
  return {
    uuidHex: () => text(32, "0123456789abcdef"),
    token: (length) => text(length, alphabet),
    number: draw.number,
  };
}
