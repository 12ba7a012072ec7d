import { expect, test } from "vitest";
import { percentile, ratioByRound, summarize } from "./statistics.ts";

const hundred = Array.from({ length: 100 }, (_, index) => 100 - index);

test("percentile() is the nearest rank, a value that was measured", () => {
  const cases: readonly [readonly number[], number, number][] = [
    [[7], 0, 7],
    [[7], 0.5, 7],
    [[7], 1, 7],
    [[1, 2], 0.5, 1],
    [[3, 1, 2], 0.5, 2],
    [[4, 1, 3, 2], 0.5, 2],
    [hundred, 0, 1],
    [hundred, 0.5, 50],
    [hundred, 0.99, 99],
    [hundred, 0.991, 100],
    [hundred, 1, 100],
    [[10, 9, 100], 0.99, 100],
  ];
  for (const [samples, share, expected] of cases) expect(percentile(samples, share)).toBe(expected);
});

test("percentile() leaves the order of its samples alone", () => {
  const samples = [3, 1, 2];
  percentile(samples, 0.5);
  expect(samples).toEqual([3, 1, 2]);
});

test("percentile() of no samples is an error, not a number", () => {
  expect(() => percentile([], 0.5)).toThrow(new RangeError("Cannot take a percentile: there are no samples"));
});

test("summarize() counts and takes the median, the 99th percentile and the greatest", () => {
  expect(summarize(hundred)).toEqual({ count: 100, p50: 50, p99: 99, max: 100 });
});

test("ratioByRound() compares within each round and gives the median with its range", () => {
  const ours = [[1, 2, 3], [10], [5]];
  const theirs = [[4, 4, 4], [10], [20]];
  expect(ratioByRound(ours, theirs, 0.5)).toEqual({ median: 0.5, min: 0.25, max: 1, rounds: 3 });
});

test("ratioByRound() passes over rounds that one side has nothing for", () => {
  expect(ratioByRound([[1], [], [3]], [[2], [5]], 0.5)).toEqual({ median: 0.5, min: 0.5, max: 0.5, rounds: 1 });
  expect(ratioByRound([[1]], [], 0.5)).toBeNull();
});
