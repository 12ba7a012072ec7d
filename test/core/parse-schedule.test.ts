import { expect, test } from "vitest";
import { parseSchedule } from "../../src/core/parse-schedule.ts";
import { createZone } from "../../src/core/zone.ts";
import { createServerZone, readInstant, readVectors } from "../helpers/next-vectors.ts";

interface ParseVector {
  readonly id: string;
  readonly now: string;
  readonly tz: string | null;
  readonly systemTz?: string;
  readonly text: unknown;
  readonly expected: { readonly result?: unknown };
}

test("parseSchedule() answers all vectors of Hermes 0.22", () => {
  const { vectors } = readVectors("hermes-0.22.2.post1/parse.json") as { vectors: ParseVector[] };
  const ours = vectors.map(({ id, now, tz, systemTz, text }) => {
    const nowMs = readInstant(now);
    const zone = createZone(tz, createServerZone(systemTz, nowMs).offsetMsAt(nowMs) / 60_000);
    return { id, result: recordOf(() => parseSchedule(text as string, nowMs, zone).record) };
  });
  expect(ours).toEqual(vectors.map(({ id, expected }) => ({ id, result: expected.result ?? null })));
});

/** Null when it is refused; numbers past JavaScript's as the vectors write them. */
function recordOf(parse: () => unknown): unknown {
  try {
    const record = parse();
    return JSON.parse(JSON.stringify(record, (_, value) => (typeof value === "bigint" ? { $int: `${value}` } : value)));
  } catch {
    return null;
  }
}

const berlin = createZone("Europe/Berlin", 0);
const nowMs = readInstant("2026-06-15T08:30:15.250Z");

test.each([
  ["30m", { kind: "interval", minutes: 30 }, "every 30m"],
  ["every 2 hours", { kind: "interval", minutes: 120 }, "every 120m"],
  ["in 30m", { kind: "once", runAtMs: nowMs + 1_800_000 }, "once in 30m"],
  ["weekdays at 9:30pm", { kind: "cron", expression: "30 21 * * 1-5" }, "weekdays at 9:30pm"],
  ["0 9 * * MON", { kind: "cron", expression: "0 9 * * MON" }, "0 9 * * MON"],
  ["2026-07-01T09:00", { kind: "once", runAtMs: readInstant("2026-07-01T07:00Z") }, "once at 2026-07-01 09:00"],
])("parseSchedule() says which kind %j was taken for", (text, schedule, display) => {
  const parsed = parseSchedule(text, nowMs, berlin);
  expect([parsed.schedule, parsed.display]).toEqual([schedule, display]);
});

const forms = "30m, every 2h, in 30m, weekdays at 9am, 0 9 * * * or 2026-02-03T14:00:00";

test.each([
  ["whenever", `it is of no known form, expected one like ${forms}`],
  ["@daily", `it is of no known form, expected one like ${forms}`],
  ["", `it is of no known form, expected one like ${forms}`],
  ["every 10x", '"10x" is no duration, expected one like 30m, 2h or 1d'],
  ["in a minute", '"a minute" is no duration, expected one like in 30m or in 2h'],
  ["in 99999999999999m", "its time lies past the year 9999, expected a nearer one"],
  ["Tomorrow", "it is no ISO time, expected one like 2026-02-03T14:00:00"],
  ["61 * * * *", "minute is 61, expected 0-59"],
])("parseSchedule() says what is wrong with %j", (text, reason) => {
  expect(() => parseSchedule(text, nowMs, berlin)).toThrow(
    new SyntaxError(`Cannot parse schedule "${text}": ${reason}`),
  );
});
