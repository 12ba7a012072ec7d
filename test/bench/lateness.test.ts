import { expect, test } from "vitest";
import { secondsOf } from "./lateness.ts";

test("secondsOf() lists the seconds of a minute that belong to one contender", () => {
  const cases: readonly [number, number, number, readonly number[]][] = [
    [0, 1, 12, [0, 12, 24, 36, 48]],
    [1_789_000_019, 1, 30, [29, 59]],
    [58, 4, 30, [0, 1, 28, 29, 30, 31, 58, 59]],
    [7, 1, 60, [7]],
  ];
  for (const [first, count, roundSeconds, expected] of cases) {
    expect(secondsOf(first, count, roundSeconds)).toEqual(expected);
  }
});
