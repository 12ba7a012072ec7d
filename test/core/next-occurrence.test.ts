import { expect, test } from "vitest";
import { parseCronExpression, previousWall } from "../../src/core/cron-expression.ts";
import { hermesGraceMs } from "../../src/core/grace.ts";
import {
  computeNextRun,
  createZonedSteps,
  formatOccurrence,
  isOccurrence,
  nextInterval,
  nextOccurrence,
} from "../../src/core/next-occurrence.ts";
import type { Schedule } from "../../src/core/schedule.ts";
import { createZone, instantOfWall, wallOfInstant, type Zone } from "../../src/core/zone.ts";
import { generateCronExpression } from "../helpers/generate-cron-expression.ts";
import { type NextCase, readInstant, readNextCases, readVectors } from "../helpers/next-vectors.ts";
import { createSeededRandom } from "../helpers/seeded-random.ts";
import { shortestTimeMs } from "../helpers/shortest-time.ts";

const utc = createZone("UTC", 0);
const newYork = createZone("America/New_York", 0);

function cron(expression: string): Schedule {
  return { kind: "cron", expression };
}

type Compute = (schedule: Schedule, lastMs: number | null, nowMs: number, zone: Zone) => number | null;

/** A vector's answers by `compute`, each answer the next call's last and now. */
function answersOf({ schedule, lastMs, nowMs, zone, expectedMs }: NextCase, compute: Compute): (number | null)[] {
  const answers: (number | null)[] = [];
  let last = lastMs;
  let now = nowMs;
  while (answers.length < expectedMs.length) {
    const next = schedule === null ? null : orNull(() => compute(schedule, last, now, zone));
    answers.push(next);
    if (next === null) break;
    last = next;
    now = next;
  }
  return answers;
}

/** A refused schedule counts as one without a next time: that is how the vectors compare. */
function orNull(compute: () => number | null): number | null {
  try {
    return compute();
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}

interface CroniterCase {
  readonly id: number;
  readonly expr: string;
  readonly tz: string;
  readonly base: string;
  readonly refused: boolean;
  readonly next: readonly string[] | null;
  readonly nextUtc?: readonly string[] | null;
  readonly prevWall?: readonly string[] | null;
}

const croniterCases = (readVectors("croniter.json") as { cases: CroniterCase[] }).cases;

test("parseCronExpression() refuses what croniter refuses", () => {
  const refused = croniterCases.map(({ id, expr }) => ({ id, refused: isRefused(expr) }));
  expect(refused).toEqual(croniterCases.map(({ id, refused }) => ({ id, refused })));
});

function isRefused(text: string): boolean {
  try {
    parseCronExpression(text);
    return false;
  } catch {
    return true;
  }
}

test("nextOccurrence() answers all of croniter's vectors", () => {
  const accepted = croniterCases.filter(({ refused }) => !refused);
  const ours = accepted.map(({ id, expr, tz, base, nextUtc }) => {
    const zone = createZone(tz, 0);
    let atMs: number | null = readInstant(base);
    const next: (number | null)[] = [];
    while (atMs !== null && next.length < (nextUtc?.length ?? 1)) {
      atMs = nextOccurrence(cron(expr), atMs, zone);
      next.push(atMs);
    }
    return { id, next };
  });
  expect(ours).toEqual(accepted.map(({ id, nextUtc }) => ({ id, next: nextUtc?.map(readInstant) ?? [null] })));
});

test("previousWall() answers all of croniter's vectors", () => {
  const accepted = croniterCases.filter(({ prevWall }) => prevWall != null);
  const ours = accepted.map(({ id, expr, tz, base, prevWall }) => {
    let wallMs: number | null = wallOfInstant(readInstant(base), createZone(tz, 0));
    const previous = (prevWall ?? []).map(() => {
      wallMs = wallMs === null ? null : previousWall(parseCronExpression(expr), wallMs);
      return wallMs;
    });
    return { id, previous };
  });
  expect(ours).toEqual(accepted.map(({ id, prevWall }) => ({ id, previous: prevWall?.map(readInstant) })));
});

test("computeNextRun() answers all vectors of Hermes 0.22", () => {
  const cases = readNextCases("hermes-0.22.2.post1/next.json");
  const ours = cases.map((one) => ({ id: one.vector.id, answers: answersOf(one, computeNextRun) }));
  expect(ours).toEqual(cases.map(({ vector, expectedMs }) => ({ id: vector.id, answers: expectedMs })));
});

test("formatOccurrence() writes what Hermes 0.22 writes", () => {
  // A one-shot's text is the record's own and is never written anew.
  const cases = readNextCases("hermes-0.22.2.post1/next.json").filter(({ schedule }) => schedule?.kind !== "once");
  const ours = cases.map((one) => {
    const { schedule, zone, vector } = one;
    let afterMs = one.lastMs === null || Number.isNaN(one.lastMs) ? one.nowMs : one.lastMs;
    const texts = answersOf(one, computeNextRun).map((atMs) => {
      if (atMs === null || schedule === null) return null;
      const text = formatOccurrence(schedule, atMs, afterMs, zone);
      afterMs = atMs;
      return text;
    });
    return { id: vector.id, texts };
  });
  expect(ours).toEqual(cases.map(({ vector, expectedTexts }) => ({ id: vector.id, texts: expectedTexts })));
});

test("hermesGraceMs() measures as every Hermes does, its error near clock changes included", () => {
  for (const version of ["0.19.0", "0.20.1.2", "0.22.2.post1"]) {
    const cases = readNextCases(`hermes-${version}/next.json`).filter(
      ({ schedule, vector }) => schedule !== null && vector.expected.grace !== undefined,
    );
    const ours = cases.map(({ vector, schedule, zone, nowMs }) => ({
      id: vector.id,
      grace: schedule === null ? null : hermesGraceMs(schedule, zone, nowMs) / 1000,
    }));
    expect(ours).toEqual(cases.map(({ vector }) => ({ id: vector.id, grace: vector.expected.grace })));
  }
});

/**
 * Where Hermes 0.19 and 0.20 answer otherwise than we do, as `docs/hermes.md` lists and argues it. Each entry
 * foretells their answer, so that a difference for any other reason fails.
 */
const olderAnswers: readonly {
  readonly name: string;
  readonly kind: Schedule["kind"];
  readonly compute: Compute;
}[] = [
  {
    name: "cron from a zoned base",
    kind: "cron",
    compute: (schedule, lastMs, nowMs, zone) =>
      schedule.kind === "cron"
        ? (createZonedSteps(parseCronExpression(schedule.expression), baseOf(lastMs, nowMs), zone).next()?.atMs ?? null)
        : null,
  },
  {
    name: "interval on the wall clock",
    kind: "interval",
    compute: (schedule, lastMs, nowMs, zone) =>
      schedule.kind === "interval"
        ? instantOfWall(wallOfInstant(baseOf(lastMs, nowMs), zone) + schedule.minutes * 60_000, 0, zone)
        : null,
  },
];

function baseOf(lastMs: number | null, nowMs: number): number {
  return lastMs === null || Number.isNaN(lastMs) ? nowMs : lastMs;
}

/** Whether the zone changes its clock between the two instants or within a day of them. */
function hasClockChange(zone: Zone, fromMs: number, toMs: number): boolean {
  const dayMs = 86_400_000;
  for (let atMs = fromMs - dayMs; atMs <= toMs + dayMs; atMs += dayMs / 4) {
    if (zone.offsetMsAt(atMs) !== zone.offsetMsAt(fromMs)) return true;
  }
  return false;
}

test.each(["0.19.0", "0.20.1.2"])("computeNextRun() differs from Hermes %s only as listed", (version) => {
  const unlisted: unknown[] = [];
  for (const one of readNextCases(`hermes-${version}/next.json`)) {
    const ours = answersOf(one, computeNextRun);
    if (isEqual(ours, one.expectedMs)) continue;
    const listed = olderAnswers.find(
      ({ kind, compute }) => kind === one.schedule?.kind && isEqual(answersOf(one, compute), one.expectedMs),
    );
    const instants = [...ours, ...one.expectedMs, baseOf(one.lastMs, one.nowMs)].filter((atMs) => atMs !== null);
    const isNearChange = hasClockChange(one.zone, Math.min(...instants), Math.max(...instants));
    if (listed === undefined || !isNearChange) unlisted.push({ vector: one.vector, ours });
  }
  expect(unlisted).toEqual([]);
});

function isEqual(left: readonly (number | null)[], right: readonly (number | null)[]): boolean {
  return left.length === right.length && left.every((value, index) => value === right[index]);
}

test("nextOccurrence() comes strictly later, on the lattice, and skips nothing between", () => {
  const random = createSeededRandom(7);
  const zones = ["UTC", "America/New_York", "Europe/Dublin", "Australia/Lord_Howe", "Pacific/Chatham"];
  let checked = 0;
  while (checked < 3000) {
    const expression = generateCronExpression(random);
    if (isRefused(expression)) continue;
    const zone = createZone(zones[Math.floor(random() * zones.length)] ?? "UTC", 0);
    const afterMs = readInstant("2026-01-01T00:00Z") + Math.floor(random() * 31_557_600_000);
    const nextMs = nextOccurrence(cron(expression), afterMs, zone);
    checked += 1;
    if (nextMs === null) continue;
    expect(nextMs, expression).toBeGreaterThan(afterMs);
    expect(isOccurrence(cron(expression), nextMs, zone), `${expression} ${nextMs} ${zone.name}`).toBe(true);
    if (zone.name === "UTC") {
      expect(nextOccurrence(cron(expression), (afterMs + nextMs) / 2, zone), expression).toBe(nextMs);
      expect(nextOccurrence(cron(expression), nextMs - 1, zone), expression).toBe(nextMs);
    }
  }
});

test.each([
  ["0 9 * * *", "2026-10-31T13:00Z", "2026-11-01T14:00Z"],
  ["0 9 * * *", "2026-03-07T14:00Z", "2026-03-08T13:00Z"],
  // The spring change leaves 02:30 out: it counts on with winter's offset.
  ["30 2 * * *", "2026-03-08T05:00Z", "2026-03-08T07:30Z"],
  // The repeated hour: a daily time fires once, and */30 leaves its second pass out.
  ["30 1 * * *", "2026-11-01T05:30Z", "2026-11-02T06:30Z"],
  ["*/30 * * * *", "2026-11-01T05:30Z", "2026-11-01T07:00Z"],
])("nextOccurrence() keeps %s on New York's wall clock after %s", (expression, after, next) => {
  const nextMs = nextOccurrence(cron(expression), readInstant(after), newYork);
  expect(nextMs === null ? null : new Date(nextMs).toISOString()).toBe(new Date(readInstant(next)).toISOString());
});

test("nextOccurrence() says never for dates that never come, within 50 ms", () => {
  const hostile = [
    "0 0 30 2 *",
    "0 0 31 2,4,6,9,11 *",
    "0 0 30 2 1",
    "* * 31 2 * *",
    "0 0 29 2 1#1",
    "0 0 1 1 * 0 1999",
  ];
  for (const expression of hostile) {
    const search = (): number | null => nextOccurrence(cron(expression), readInstant("2026-06-15T10:00Z"), newYork);
    expect(search(), expression).toBe(null);
    // What is promised to whoever types such an expression.
    expect(shortestTimeMs(search), expression).toBeLessThan(50);
  }
});

test.each([
  ["* * * * *", "2026-11-21T10:00:00Z", true],
  ["*/5 * * * *", "2026-11-21T10:05:00Z", true],
  ["*/5 * * * *", "2026-11-21T10:05:00.250Z", true],
  ["*/5 * * * *", "2026-11-21T10:06:00Z", false],
  ["0 9 * * *", "2026-11-21T09:00:01Z", false],
  ["0 0 30 2 *", "2026-11-21T09:00:00Z", true],
  ["nonsense", "2026-11-21T09:00:00Z", true],
])("isOccurrence() of %s at %s is %s", (expression, at, expected) => {
  expect(isOccurrence(cron(expression), readInstant(at), utc)).toBe(expected);
});

test("isOccurrence() lets every interval and one-shot pass", () => {
  expect(isOccurrence({ kind: "interval", minutes: 5 }, 1, utc)).toBe(true);
  expect(isOccurrence({ kind: "once", runAtMs: 7 }, 1, utc)).toBe(true);
});

test.each([
  [0, 5, 0, 300_000],
  [0, 5, 299_999, 300_000],
  [0, 5, 300_000, 600_000],
  [0, 5, 86_400_001, 86_700_000],
  [1000, 5, -5_000_000, 301_000],
  [0, 0.1, 12_345, 18_000],
  [0, 0, 90_000, 120_000],
  [0.125, 1, 60_000.125, 120_000.125],
])("nextInterval() keeps the cadence: last %d, %d min, now %d", (lastMs, minutes, nowMs, nextMs) => {
  expect(nextInterval(lastMs, minutes, nowMs)).toBe(nextMs);
});

test("nextInterval() has no answer past the year 9999", () => {
  expect(nextInterval(0, 1e13, 0)).toBe(null);
});

test("nextInterval() is the smallest step ahead, for lengths that doubles cannot hold", () => {
  const random = createSeededRandom(3);
  for (let count = 0; count < 2000; count += 1) {
    const lastMs = readInstant("2026-01-01T00:00Z") + Math.floor(random() * 1e9) / 1000;
    const minutes = Math.floor(random() * 1e6) / 1000 + 0.001;
    const nowMs = lastMs + Math.floor(random() * 1e9);
    const nextMs = nextInterval(lastMs, minutes, nowMs) ?? Number.NaN;
    expect(nextMs).toBeGreaterThan(nowMs);
    expect(nextMs - minutes * 60_000).toBeLessThanOrEqual(nowMs + 0.01);
  }
});

test("computeNextRun() gives a one-shot 120 s, and none once it has run", () => {
  const schedule: Schedule = { kind: "once", runAtMs: 1_000_000 };
  expect(computeNextRun(schedule, null, 1_120_000, utc)).toBe(1_000_000);
  expect(computeNextRun(schedule, null, 1_120_001, utc)).toBe(null);
  expect(computeNextRun(schedule, 5, 1_000_000, utc)).toBe(null);
  expect(computeNextRun(schedule, Number.NaN, 1_000_000, utc)).toBe(null);
  expect(computeNextRun({ kind: "once", runAtMs: null }, null, 0, utc)).toBe(null);
});
