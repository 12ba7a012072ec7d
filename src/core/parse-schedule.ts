import { parseCronExpression, shorten } from "./cron-expression.ts";
import {
  formatInstant,
  formatWrittenTime,
  instantOfWrittenTime,
  isWithinPythonYears,
  parseWrittenTime,
  roundToMicrosecond,
} from "./instant.ts";
import { splitOnBlanks, strip, toAsciiDigits } from "./python-text.ts";
import type { Schedule } from "./schedule.ts";
import { instantOfWall, type Zone } from "./zone.ts";

/** What a schedule text means: to us, to a person, and as the record that Hermes 0.22 would store. */
export interface ParsedSchedule {
  readonly schedule: Schedule;
  readonly display: string;
  readonly record: Readonly<Record<string, string | number | bigint>>;
}

const weekdayNumbers: Readonly<Record<string, string>> = {
  sunday: "0",
  sun: "0",
  monday: "1",
  mon: "1",
  tuesday: "2",
  tue: "2",
  tues: "2",
  wednesday: "3",
  wed: "3",
  weds: "3",
  thursday: "4",
  thu: "4",
  thur: "4",
  thurs: "4",
  friday: "5",
  fri: "5",
  saturday: "6",
  sat: "6",
};

const dayWords: Readonly<Record<string, string>> = {
  day: "*",
  daily: "*",
  everyday: "*",
  weekday: "1-5",
  weekdays: "1-5",
  weekend: "0,6",
  weekends: "0,6",
};

const durationPattern =
  /^(\p{Nd}*)[\t-\r\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]*(m|min|mins|minute|minutes|h|hr|hrs|hour|hours|d|day|days)$/u;
const unitMinutes: Readonly<Record<string, bigint>> = { m: 1n, h: 60n, d: 1440n };

/**
 * Hermes 0.22's `parse_schedule`, for what people type. Texts without an offset are read in `zone`. Throws a SyntaxError
 * for what Hermes refuses.
 */
export function parseSchedule(text: string, nowMs: number, zone: Zone): ParsedSchedule {
  const trimmed = strip(text);
  const lower = trimmed.toLowerCase();
  const isEvery = lower.startsWith("every ");
  const rest = isEvery ? strip(trimmed.slice(6)) : lower;

  const expression = cronOfDayPhrase(rest);
  if (expression !== null) return cronSchedule(expression, trimmed);
  if (isEvery) {
    const minutes = parseDuration(rest);
    if (minutes === null) throw refusal(text, `"${shorten(rest)}" is no duration, expected one like 30m, 2h or 1d`);
    return intervalSchedule(minutes);
  }

  const parts = splitOnBlanks(trimmed);
  if (parts.length >= 5 && parts.slice(0, 5).every((part) => /^[A-Za-z\p{Nd}*\-,/]+$/u.test(part))) {
    return cronSchedule(trimmed, trimmed);
  }
  if (trimmed.includes("T") || /^\p{Nd}{4}-\p{Nd}{2}-\p{Nd}{2}/u.test(trimmed)) return onceAt(text, trimmed, zone);
  if (lower.startsWith("in ")) return onceIn(text, strip(trimmed.slice(3)), nowMs, zone);

  const minutes = parseDuration(trimmed);
  if (minutes !== null) return intervalSchedule(minutes);
  throw refusal(
    text,
    "it is of no known form, expected one like 30m, every 2h, in 30m, weekdays at 9am, 0 9 * * * or 2026-02-03T14:00:00",
  );
}

function refusal(text: string, reason: string): SyntaxError {
  return new SyntaxError(`Cannot parse schedule "${shorten(text)}": ${reason}`);
}

function cronSchedule(expression: string, display: string): ParsedSchedule {
  parseCronExpression(expression);
  return {
    schedule: { kind: "cron", expression },
    display,
    record: { kind: "cron", expr: expression, display },
  };
}

function intervalSchedule(minutes: bigint): ParsedSchedule {
  const display = `every ${minutes}m`;
  return {
    schedule: { kind: "interval", minutes: Number(minutes) },
    display,
    record: { kind: "interval", minutes: toPlainNumber(minutes), display },
  };
}

function toPlainNumber(value: bigint): number | bigint {
  return value > BigInt(Number.MAX_SAFE_INTEGER) ? value : Number(value);
}

function onceAt(text: string, trimmed: string, zone: Zone): ParsedSchedule {
  const written = parseWrittenTime(trimmed);
  if (written === null) throw refusal(text, "it is no ISO time, expected one like 2026-02-03T14:00:00");
  const runAtMs = instantOfWrittenTime(written, zone);
  // The time is kept as it was written, also where the spring change leaves it out.
  const offsetMs = written.offsetMs ?? written.wallMs - instantOfWall(written.wallMs, 0, zone);
  const [date = "", clock = ""] = formatWrittenTime({ wallMs: written.wallMs, offsetMs: null }).split("T");
  const display = `once at ${date.replace(/^0+/, "")} ${clock.slice(0, 5)}`;
  return {
    schedule: { kind: "once", runAtMs },
    display,
    record: { kind: "once", run_at: formatWrittenTime({ wallMs: written.wallMs, offsetMs }), display },
  };
}

function onceIn(text: string, duration: string, nowMs: number, zone: Zone): ParsedSchedule {
  const minutes = parseDuration(duration);
  if (minutes === null) {
    throw refusal(text, `"${shorten(duration)}" is no duration, expected one like in 30m or in 2h`);
  }
  const runAtMs = roundToMicrosecond(nowMs + Number(minutes) * 60_000);
  if (!isWithinPythonYears(runAtMs)) throw refusal(text, "its time lies past the year 9999, expected a nearer one");
  const display = `once in ${duration}`;
  return {
    schedule: { kind: "once", runAtMs },
    display,
    record: { kind: "once", run_at: formatInstant(runAtMs, zone), display },
  };
}

function parseDuration(text: string): bigint | null {
  const match = durationPattern.exec(strip(text).toLowerCase());
  if (match === null) return null;
  const [, count = "", unit = ""] = match;
  const digits = count === "" ? "1" : toAsciiDigits(count);
  const factor = unitMinutes[unit.charAt(0)];
  return digits === null || factor === undefined ? null : BigInt(digits) * factor;
}

/** `monday, friday at 9:30am` as a cron expression, or null. */
function cronOfDayPhrase(text: string): string | null {
  const tokens = splitOnBlanks(text.toLowerCase().replaceAll(",", " "));
  const [first = ""] = tokens;
  let weekdays = Object.hasOwn(dayWords, first) ? dayWords[first] : undefined;
  let index = 1;
  if (weekdays === undefined) {
    const days = new Set<string>();
    for (index = 0; index < tokens.length; index += 1) {
      const token = tokens[index] ?? "";
      if (token === "and") continue;
      const day = Object.hasOwn(weekdayNumbers, token) ? weekdayNumbers[token] : undefined;
      if (day === undefined) break;
      days.add(day);
    }
    if (days.size === 0) return null;
    weekdays = [...days].join(",");
  }
  if (tokens[index] === "at") index += 1;
  const clock = parseClockTime(tokens.slice(index).join(""));
  return clock === null ? null : `${clock.minute} ${clock.hour} * * ${weekdays}`;
}

function parseClockTime(text: string): { readonly hour: number; readonly minute: number } | null {
  if (text === "noon" || text === "midday") return { hour: 12, minute: 0 };
  if (text === "midnight") return { hour: 0, minute: 0 };
  const match = /^(\p{Nd}{1,2})(?::(\p{Nd}{2}))?(am|pm)?$/u.exec(text);
  if (match === null) return null;
  const [, hourDigits = "", minuteDigits = "0", half] = match;
  let hour = Number(toAsciiDigits(hourDigits));
  const minute = Number(toAsciiDigits(minuteDigits));
  if (half !== undefined) {
    if (hour < 1 || hour > 12) return null;
    hour = (hour % 12) + (half === "pm" ? 12 : 0);
  }
  return hour > 23 || minute > 59 ? null : { hour, minute };
}
