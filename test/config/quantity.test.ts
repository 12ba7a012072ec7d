import { expect, test } from "vitest";
import { formatDuration, formatSize, parseDuration, parseSize } from "../../src/config/quantity.ts";

const durations: readonly (readonly [text: string, ms: number | null])[] = [
  ["10 s", 10_000],
  ["10s", 10_000],
  ["2h", 7_200_000],
  ["90m", 5_400_000],
  ["1h 30m", 5_400_000],
  ["1 h 30 min", 5_400_000],
  ["1.5 h", 5_400_000],
  ["250 ms", 250],
  ["2 Days", 172_800_000],
  ["1 week", 604_800_000],
  ["0 s", 0],
  ["10", null],
  ["", null],
  ["s", null],
  ["-1 s", null],
  ["10 parsecs", null],
  ["1e3 s", null],
  ["1 h and 3 m", null],
  [`${"9".repeat(400)} d`, null],
];

test("parseDuration() reads lengths with their unit and nothing else", () => {
  for (const [text, ms] of durations) expect([text, parseDuration(text)]).toEqual([text, ms]);
});

const sizes: readonly (readonly [text: string, bytes: number | null])[] = [
  ["64 MiB", 67_108_864],
  ["64mib", 67_108_864],
  ["1.5 GB", 1_500_000_000],
  ["1 B", 1],
  ["1 kB", 1000],
  ["64", null],
  ["64 M", null],
  ["-1 B", null],
  ["9999999999 TiB", null],
];

test("parseSize() reads sizes with their unit and nothing else", () => {
  for (const [text, bytes] of sizes) expect([text, parseSize(text)]).toEqual([text, bytes]);
});

test("formatDuration() and formatSize() print what is read back", () => {
  for (const ms of [0, 1, 999, 1000, 61_000, 5_400_000, 90_061_001, 7_776_000_000])
    expect(parseDuration(formatDuration(ms))).toBe(ms);
  for (const bytes of [0, 1, 1023, 1024, 1025, 67_108_864, 5_000_000_000])
    expect(parseSize(formatSize(bytes))).toBe(bytes);
  expect([formatDuration(5_400_000), formatSize(67_108_864)]).toEqual(["1 h 30 m", "64 MiB"]);
});
