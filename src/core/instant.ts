import { formatOffset, instantOfWall, type Zone } from "./zone.ts";

/** A date and time as written. `wallMs` reads it as if it were UTC; `offsetMs` is null for a naive text. */
export interface WrittenTime {
  readonly wallMs: number;
  readonly offsetMs: number | null;
}

const yearOneMs = -62_135_596_800_000;
const yearTenThousandMs = 253_402_300_800_000;

/** Whether Python's `datetime` can hold the instant: years 1 to 9999. */
export function isWithinPythonYears(epochMs: number): boolean {
  return epochMs >= yearOneMs && epochMs < yearTenThousandMs;
}

/** Doubles carry whole microseconds exactly enough in these years, but sums of them do not: round what was computed. */
export function roundToMicrosecond(epochMs: number): number {
  return Math.round(epochMs * 1000) / 1000;
}

/**
 * What Python 3.11's `datetime.fromisoformat` accepts, as Unix milliseconds with a microsecond fraction, or null.
 * A text without an offset is read in `naiveZone`: for what is stored that is the server's offset, for what a person
 * types it is the home's zone.
 */
export function parseInstant(text: string, naiveZone: Zone): number | null {
  const written = parseWrittenTime(text);
  if (written === null) return null;
  const epochMs = instantOfWrittenTime(written, naiveZone);
  return isWithinPythonYears(epochMs) ? epochMs : null;
}

export function instantOfWrittenTime(written: WrittenTime, naiveZone: Zone): number {
  const { wallMs, offsetMs } = written;
  return roundToMicrosecond(offsetMs === null ? instantOfWall(wallMs, 0, naiveZone) : wallMs - offsetMs);
}

/** Python's `datetime.isoformat()` of the instant in that zone: six digits of microseconds, or none when they are 0. */
export function formatInstant(epochMs: number, zone: Zone): string {
  const offsetMs = zone.offsetMsAt(epochMs);
  return formatWrittenTime({ wallMs: epochMs + offsetMs, offsetMs });
}

/** Python's `astimezone(UTC).isoformat()`: the text by which Hermes' ledger knows an instant. */
export function formatUtcInstant(epochMs: number): string {
  return formatWrittenTime({ wallMs: epochMs, offsetMs: 0 });
}

export function formatWrittenTime({ wallMs, offsetMs }: WrittenTime): string {
  const totalMicroseconds = Math.round(wallMs * 1000);
  const seconds = Math.floor(totalMicroseconds / 1_000_000);
  const microseconds = totalMicroseconds - seconds * 1_000_000;
  // Years outside 0 to 9999 print as +010000-..., which no reader takes: such an instant must not reach a file.
  const clock = new Date(seconds * 1000).toISOString().slice(0, -5);
  const fraction = microseconds === 0 ? "" : `.${String(microseconds).padStart(6, "0")}`;
  return clock + fraction + (offsetMs === null ? "" : formatOffset(offsetMs));
}

const ASCII = { zero: 48, nine: 57, colon: 58, dash: 45, plus: 43, dot: 46, comma: 44, W: 87, Z: 90 };

function isDigit(byte: number): boolean {
  return byte >= ASCII.zero && byte <= ASCII.nine;
}

/** The number made of `count` digits at `at`, or -1. */
function readDigits(bytes: Uint8Array, at: number, count: number): number {
  let value = 0;
  for (let index = at; index < at + count; index += 1) {
    const byte = bytes[index] ?? 0;
    if (!isDigit(byte)) return -1;
    value = value * 10 + byte - ASCII.zero;
  }
  return value;
}

/** The text as Python's C code takes it apart, byte by byte, with what that lets pass: see the comments. */
export function parseWrittenTime(text: string): WrittenTime | null {
  // A hostile text has no business here: the longest that can be right is far shorter, save for digits cut off anyway.
  if (text.length < 7 || text.length > 1000) return null;
  const bytes = new TextEncoder().encode(text);
  const separatorAt = findSeparator(bytes);
  if (separatorAt < 0) return null;
  const dateMs = parseDate(bytes, separatorAt);
  if (dateMs === null) return null;
  if (bytes.length <= separatorAt) return { wallMs: dateMs, offsetMs: null };
  const time = parseTime(bytes, separatorAt + characterLength(bytes[separatorAt] ?? 0));
  return time === null ? null : { wallMs: roundToMicrosecond(dateMs + time.timeMs), offsetMs: time.offsetMs };
}

// Any one character may stand between date and time.
function characterLength(firstByte: number): number {
  if ((firstByte & 0x80) === 0) return 1;
  if ((firstByte & 0xf0) === 0xe0) return 3;
  return (firstByte & 0xf0) === 0xf0 ? 4 : 2;
}

function findSeparator(bytes: Uint8Array): number {
  const { length } = bytes;
  if (length === 7) return 7;
  if (bytes[4] === ASCII.dash) {
    if (bytes[5] !== ASCII.W) return 10;
    if (length < 8) return -1;
    if (length === 8 || bytes[8] !== ASCII.dash) return 8;
    if (length === 9) return -1;
    // YYYY-Www-## is read as a week, a hyphen for separator, and an hour.
    return length > 10 && isDigit(bytes[10] ?? 0) ? 8 : 10;
  }
  if (bytes[4] !== ASCII.W) return 8;
  let end = 7;
  while (end < length && isDigit(bytes[end] ?? 0)) end += 1;
  if (end < 9) return end;
  return end % 2 === 0 ? 7 : 8;
}

function parseDate(bytes: Uint8Array, end: number): number | null {
  const year = readDigits(bytes, 0, 4);
  if (year < 1) return null;
  let at = 4;
  const hasDashes = bytes[at] === ASCII.dash;
  if (hasDashes) at += 1;
  if (bytes[at] === ASCII.W) {
    const week = readDigits(bytes, at + 1, 2);
    at += 3;
    let weekday = 1;
    if (at < end) {
      if (hasDashes) {
        if (bytes[at] !== ASCII.dash) return null;
        at += 1;
      }
      weekday = readDigits(bytes, at, 1);
    }
    return dateOfWeek(year, week, weekday);
  }
  const month = readDigits(bytes, at, 2);
  at += 2;
  if (hasDashes) {
    if (bytes[at] !== ASCII.dash) return null;
    at += 1;
  }
  const day = readDigits(bytes, at, 2);
  if (month < 1 || month > 12 || day < 1) return null;
  const dateMs = utcMs(year, month, day);
  return new Date(dateMs).getUTCDate() === day ? dateMs : null;
}

function utcMs(year: number, month: number, day: number): number {
  return new Date(0).setUTCFullYear(year, month - 1, day);
}

function dateOfWeek(year: number, week: number, weekday: number): number | null {
  if (week < 1 || week > 53 || weekday < 1 || weekday > 7) return null;
  // Monday is 0. Week 1 is the one with the first Thursday.
  const firstWeekday = (new Date(utcMs(year, 1, 1)).getUTCDay() + 6) % 7;
  const isLeap = new Date(utcMs(year, 2, 29)).getUTCDate() === 29;
  if (week === 53 && firstWeekday !== 3 && !(firstWeekday === 2 && isLeap)) return null;
  const firstMondayDay = firstWeekday > 3 ? 8 - firstWeekday : 1 - firstWeekday;
  const dateMs = utcMs(year, 1, firstMondayDay + (week - 1) * 7 + weekday - 1);
  return isWithinPythonYears(dateMs) ? dateMs : null;
}

interface ClockReading {
  readonly hour: number;
  readonly minute: number;
  readonly second: number;
  readonly microsecond: number;
  /** Whether something follows that is no part of it. */
  readonly hasRest: boolean;
}

function parseTime(bytes: Uint8Array, start: number): { timeMs: number; offsetMs: number | null } | null {
  let zoneAt = start;
  do {
    const byte = bytes[zoneAt];
    if (byte === ASCII.plus || byte === ASCII.dash || byte === ASCII.Z) break;
    zoneAt += 1;
  } while (zoneAt < bytes.length);

  const clock = parseClock(bytes, start, zoneAt);
  if (clock === null || clock.hour > 23 || clock.minute > 59 || clock.second > 59) return null;
  const timeMs = (clock.hour * 3600 + clock.minute * 60 + clock.second) * 1000 + clock.microsecond / 1000;
  if (zoneAt >= bytes.length) return clock.hasRest ? null : { timeMs, offsetMs: null };
  // One stray character before the offset passes, as in "14:00 +02:00".
  if (bytes[zoneAt] === ASCII.Z) return zoneAt + 1 === bytes.length ? { timeMs, offsetMs: 0 } : null;
  const offset = parseClock(bytes, zoneAt + 1, bytes.length);
  if (offset === null || offset.hasRest) return null;
  const size = (offset.hour * 3600 + offset.minute * 60 + offset.second) * 1000 + offset.microsecond / 1000;
  // The parts of an offset are not checked one by one ("+02:99"), only its size is.
  if (size >= 86_400_000) return null;
  return { timeMs, offsetMs: size === 0 ? 0 : bytes[zoneAt] === ASCII.dash ? -size : size };
}

function parseClock(bytes: Uint8Array, start: number, end: number): ClockReading | null {
  const values: [number, number, number] = [0, 0, 0];
  let at = start;
  let hasSeparator = true;
  for (let index = 0; index < 3; index += 1) {
    const value = readDigits(bytes, at, 2);
    if (value < 0) return null;
    values[index] = value;
    at += 2;
    const byte = bytes[at] ?? 0;
    at += 1;
    if (index === 0) hasSeparator = byte === ASCII.colon;
    if (at >= end) return clockReading(values, 0, byte !== 0);
    if (hasSeparator && byte === ASCII.colon) continue;
    if (byte === ASCII.dot || byte === ASCII.comma) break;
    if (hasSeparator) return null;
    at -= 1;
  }
  const count = Math.min(end - at, 6);
  const fraction = readDigits(bytes, at, count);
  if (fraction < 0) return null;
  at += count;
  while (isDigit(bytes[at] ?? 0)) at += 1;
  return clockReading(values, fraction * 10 ** (6 - count), (bytes[at] ?? 0) !== 0);
}

function clockReading(values: readonly [number, number, number], microsecond: number, hasRest: boolean): ClockReading {
  return { hour: values[0], minute: values[1], second: values[2], microsecond, hasRest };
}
