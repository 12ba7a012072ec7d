import { expect, test } from "vitest";
import { matchStamps, parseStamps } from "./stamps.ts";

test("parseStamps() reads bash's EPOCHREALTIME and passes over torn lines", () => {
  const text = "1789000000.123456 start 77\n1789000004,000900 start 78\n1789000008.1234";
  expect(parseStamps(text)).toEqual([1789000000123.456, 1789000004000.9]);
});

test("matchStamps() gives each start to the latest instant at or before it", () => {
  expect(matchStamps([1005, 2000, 3999], [1000, 2000, 3000], 1000)).toEqual({ latenessMs: [5, 0, 999], repeated: 0 });
});

test("matchStamps() tells instants that nothing started for from late ones", () => {
  expect(matchStamps([3010, 1020], [1000, 2000, 3000], 1000)).toEqual({ latenessMs: [20, null, 10], repeated: 0 });
});

test("matchStamps() counts a second start for one instant and keeps the first", () => {
  expect(matchStamps([1010, 1400], [1000, 2000], 1000)).toEqual({ latenessMs: [10, null], repeated: 1 });
});

test("matchStamps() leaves out what lies before the first instant or long after the last", () => {
  expect(matchStamps([999, 1001, 3000], [1000, 2000], 1000)).toEqual({ latenessMs: [1, null], repeated: 0 });
});
