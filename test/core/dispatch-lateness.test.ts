import { expect, test } from "vitest";
import { classifyLateness, latenessSeconds } from "../../src/core/dispatch-lateness.ts";

// Each pair is Python's round(seconds, 1).
const rounded: readonly (readonly [number, number])[] = [
  [0, 0],
  [49, 0],
  [51, 0.1],
  [250, 0.2],
  [750, 0.8],
  [1250, 1.2],
  [350, 0.3],
  [2546_123.456, 2546.1],
  [90_059_250, 90_059.2],
  [90_059_750, 90_059.8],
];

test("latenessSeconds() rounds as Python does", () => {
  expect(rounded.map(([ms]) => latenessSeconds(ms))).toEqual(rounded.map(([, seconds]) => seconds));
});

test("classifyLateness() uses Hermes' words", () => {
  expect([0, 300_000, 300_001, 600_001].map((ms) => classifyLateness(ms, 600_000))).toEqual([
    "on_time",
    "on_time",
    "late",
    "catch_up",
  ]);
  expect(classifyLateness(121_000, 120_000)).toBe("catch_up");
});
