import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseInstant } from "../../src/core/instant.ts";
import type { Schedule } from "../../src/core/schedule.ts";
import { createZone, type Zone } from "../../src/core/zone.ts";

const utc = createZone("UTC", 0);

interface ScheduleRecord {
  readonly kind?: unknown;
  readonly expr?: unknown;
  readonly minutes?: unknown;
  readonly run_at?: unknown;
}

/** One vector of `next.json`: see `test/fixtures/vectors/README.md`. */
interface NextVector {
  readonly id: string;
  readonly now: string;
  readonly tz: string | null;
  readonly systemTz?: string;
  readonly schedule: unknown;
  readonly last: string | null;
  readonly times?: number;
  readonly expected: {
    readonly result?: string | null;
    readonly error?: unknown;
    readonly chain?: readonly (string | null)[];
    readonly grace?: number;
  };
}

/** A vector in our words. `lastMs` is NaN for a time that nobody can read. */
export interface NextCase {
  readonly vector: NextVector;
  readonly schedule: Schedule | null;
  readonly lastMs: number | null;
  readonly nowMs: number;
  readonly zone: Zone;
  readonly serverZone: Zone;
  /** The answers that follow one another; null where Hermes answers None or raises. */
  readonly expectedMs: readonly (number | null)[];
  readonly expectedTexts: readonly (string | null)[];
}

export function readVectors(path: string): unknown {
  return JSON.parse(readFileSync(join(import.meta.dirname, "..", "fixtures", "vectors", path), "utf8"));
}

export function readNextCases(path: string): NextCase[] {
  return (readVectors(path) as { vectors: NextVector[] }).vectors.map(readNextCase);
}

function readNextCase(vector: NextVector): NextCase {
  const nowMs = readInstant(vector.now);
  const serverZone = createServerZone(vector.systemTz, nowMs);
  const { chain, result } = vector.expected;
  const expectedTexts = chain ?? [result ?? null];
  return {
    vector,
    schedule: readSchedule(vector.schedule, serverZone),
    lastMs: vector.last ? (parseInstant(vector.last, serverZone) ?? Number.NaN) : null,
    nowMs,
    zone: createZone(vector.tz, serverZone.offsetMsAt(nowMs) / 60_000),
    serverZone,
    expectedMs: expectedTexts.map((text) => (text === null ? null : parseInstant(text, serverZone))),
    expectedTexts,
  };
}

/** The fixed offset that Python gives a process in that zone, now. */
export function createServerZone(systemTz: string | undefined, nowMs: number): Zone {
  return createZone(null, createZone(systemTz ?? "UTC", 0).offsetMsAt(nowMs) / 60_000);
}

export function readInstant(text: string): number {
  const epochMs = parseInstant(text, utc);
  if (epochMs === null) throw new Error(`Cannot read instant "${text}": expected an ISO time`);
  return epochMs;
}

/** What a record's schedule means. Null: nothing that could be scheduled. */
function readSchedule(record: unknown, serverZone: Zone): Schedule | null {
  if (typeof record !== "object" || record === null) return null;
  const { kind, expr, minutes, run_at: runAt } = record as ScheduleRecord;
  if (kind === "cron" && typeof expr === "string" && expr !== "") return { kind, expression: expr };
  if (kind === "interval" && minutes != null) return { kind, minutes: Number(minutes) };
  if (kind === "once") return { kind, runAtMs: typeof runAt === "string" ? parseInstant(runAt, serverZone) : null };
  return null;
}
