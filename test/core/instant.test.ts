import { expect, test } from "vitest";
import { formatInstant, formatUtcInstant, parseInstant, parseWrittenTime } from "../../src/core/instant.ts";
import { createZone } from "../../src/core/zone.ts";

const newYork = createZone("America/New_York", 0);
const noonMs = Date.parse("2026-11-21T12:00:00Z");

// Answers of Python 3.11.
test.each([
  ["2026-11-21T12:00:00+00:00", noonMs],
  ["2026-11-21T12:00:00Z", noonMs],
  ["2026-11-21T07:00:00", noonMs],
  ["2026-11-21 12:00Z", noonMs],
  ["2026-11-21x12Z", noonMs],
  ["2026-11-21\u300012Z", noonMs],
  ["20261121T120000Z", noonMs],
  ["20261121T1200+0000", noonMs],
  ["2026-W47-6T12:00Z", noonMs],
  ["2026W476T12Z", noonMs],
  ["2026-11-21T12:00:00.25Z", noonMs + 250],
  ["2026-11-21T12:00:00,250Z", noonMs + 250],
  ["2026-11-21T12:00:00.000001Z", noonMs + 0.001],
  ["2026-11-21T12:00:00.1234569Z", noonMs + 123.456],
  ["2026-11-21T12:00 +00:00", noonMs],
  ["2026-11-21T13:30:10+01:30:10", noonMs],
  ["2026-11-21T14:39+01:99", noonMs],
  ["2026-11-21", noonMs - 7 * 3_600_000],
  ["2026-W47", Date.parse("2026-11-16T05:00Z")],
  ["2026-03-08T02:30", Date.parse("2026-03-08T07:30Z")],
  ["2026-11-01T01:30", Date.parse("2026-11-01T05:30Z")],
])("parseInstant() reads %j as Python does", (text, epochMs) => {
  expect(parseInstant(text, newYork)).toBe(epochMs);
});

test.each([
  "",
  "now",
  "2026",
  "2026-11",
  "2026-11-21T",
  "2026-11-21T24:00",
  "2026-11-21T12:60",
  "2026-11-21T12:00:60",
  "2026-02-29",
  "2026-13-01",
  "2026-11-00",
  "0000-01-01",
  "2026-W54",
  "2027-W53-1",
  "2026-W47-8",
  "2026-11-21T12:00Zx",
  "2026-11-21T12:00+24:00",
  "2026-11-21T12:00+2",
  "2026-11-21T12:00  +02:00",
  "2026-11-21T12:00:00.",
  "2026-11-21T1:00",
  "2026-1-5T10:00",
  "10000-01-01T00:00",
  "\uff12026-11-21T12:00",
  " 2026-11-21",
  "0001-01-01T00:00:00+05:00",
  "9999-12-31T23:00:00-05:00",
  "1".repeat(1001),
])("parseInstant() refuses %j", (text) => {
  expect(parseInstant(text, newYork)).toBe(null);
});

test("parseWrittenTime() keeps a text's own clock and offset", () => {
  expect(parseWrittenTime("2026-11-21T12:00:00.5+05:30")).toEqual({ wallMs: noonMs + 500, offsetMs: 19_800_000 });
  expect(parseWrittenTime("2026-11-21T12:00")).toEqual({ wallMs: noonMs, offsetMs: null });
});

test.each([
  [noonMs, "2026-11-21T07:00:00-05:00", "2026-11-21T12:00:00+00:00"],
  [noonMs + 0.001, "2026-11-21T07:00:00.000001-05:00", "2026-11-21T12:00:00.000001+00:00"],
  [noonMs + 250, "2026-11-21T07:00:00.250000-05:00", "2026-11-21T12:00:00.250000+00:00"],
  [noonMs + 999.999, "2026-11-21T07:00:00.999999-05:00", "2026-11-21T12:00:00.999999+00:00"],
  [-0.001, "1969-12-31T18:59:59.999999-05:00", "1969-12-31T23:59:59.999999+00:00"],
  [-62_135_596_800_000 + 86_400_000, "0001-01-01T19:03:58-04:56:02", "0001-01-02T00:00:00+00:00"],
])("formatInstant() and formatUtcInstant() print %d as Python does", (epochMs, local, universal) => {
  expect([formatInstant(epochMs, newYork), formatUtcInstant(epochMs)]).toEqual([local, universal]);
});

test("parseInstant() gives back every microsecond that formatInstant() printed", () => {
  for (let micros = 0; micros < 1_000_000; micros += 997) {
    const epochMs = noonMs + micros / 1000;
    expect(parseInstant(formatInstant(epochMs, newYork), newYork)).toBe(epochMs);
  }
});
