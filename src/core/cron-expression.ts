import { isDigits, splitOnBlanks, toAsciiDigits } from "./python-text.ts";

/** One field: the values it allows in ascending order, and whether a `*` among them allows all. */
interface CronField {
  readonly any: boolean;
  readonly values: readonly number[];
}

/** A cron expression as croniter 6.0.0 understands it, its habits included. */
export interface CronExpression {
  readonly text: string;
  readonly fieldCount: 5 | 6 | 7;
  readonly minute: CronField;
  readonly hour: CronField;
  readonly day: CronField;
  /** `L`: the last day of the month. */
  readonly dayLast: boolean;
  readonly month: CronField;
  readonly weekday: CronField;
  /** `2#3` and `L5`, by day of week; 0 stands for the last one. Empty: the plain days of week count. */
  readonly weekdayNth: readonly WeekdayNth[];
  readonly second: CronField;
  readonly year: CronField;
}

interface WeekdayNth {
  readonly weekday: number;
  readonly nths: readonly number[];
}

interface FieldRule {
  readonly name: string;
  readonly min: number;
  readonly max: number;
  readonly names: Readonly<Record<string, number>>;
  readonly hint: string;
}

const monthNames = {
  jan: 1,
  feb: 2,
  mar: 3,
  apr: 4,
  may: 5,
  jun: 6,
  jul: 7,
  aug: 8,
  sep: 9,
  oct: 10,
  nov: 11,
  dec: 12,
};
const weekdayNames = { sun: 0, mon: 1, tue: 2, wed: 3, thu: 4, fri: 5, sat: 6 };
const minuteIndex = 0;
const dayIndex = 2;
const weekdayIndex = 4;
const fieldRules: readonly [FieldRule, FieldRule, FieldRule, FieldRule, FieldRule, FieldRule, FieldRule] = [
  { name: "minute", min: 0, max: 59, names: {}, hint: "" },
  { name: "hour", min: 0, max: 23, names: {}, hint: "" },
  { name: "day of month", min: 1, max: 31, names: {}, hint: ", L" },
  { name: "month", min: 1, max: 12, names: monthNames, hint: ", jan-dec" },
  { name: "day of week", min: 0, max: 6, names: weekdayNames, hint: ", sun-sat, 2#3, L5" },
  { name: "second", min: 0, max: 59, names: {}, hint: "" },
  { name: "year", min: 1970, max: 2099, names: {}, hint: "" },
];

const aliases: Readonly<Record<string, string>> = {
  "@midnight": "0 0 * * *",
  "@hourly": "0 * * * *",
  "@daily": "0 0 * * *",
  "@weekly": "0 0 * * 0",
  "@monthly": "0 0 1 * *",
  "@yearly": "0 0 1 1 *",
  "@annually": "0 0 1 1 *",
};

const rangePattern = /^([^-]+)-([^-/]+)(?:\/(\p{Nd}+))?$/u;
const steppedPattern = /^(.+)\/(.+)$/u;
const weekdayPattern =
  /^(?:((?:(?:sun|mon|tue|wed|thu|fri|sat)(?:-(?:sun|mon|tue|wed|thu|fri|sat))?)|(?:(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)(?:-(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec))?)|[\p{L}\p{N}_]+)#|l)(\p{Nd}+)$/u;
const hashPattern = /^(h|r)(?:\((\p{Nd}+)-(\p{Nd}+)\))?(?:\/(\p{Nd}+))?$/u;

// Ten thousand jobs are parsed on every tick, so every expression of a large host must fit.
const cacheEntriesMax = 20_000;
const cachedTextMax = 256;
const cache = new Map<string, CronExpression>();

/** Throws a SyntaxError that says which field is wrong and what was expected. */
export function parseCronExpression(text: string): CronExpression {
  const known = cache.get(text);
  if (known !== undefined) return known;
  const expression = new CronParser(text).parse();
  if (text.length <= cachedTextMax) {
    if (cache.size >= cacheEntriesMax) cache.clear();
    cache.set(text, expression);
  }
  return expression;
}

class CronParser {
  readonly #text: string;
  readonly #weekdayNth = new Map<number, Set<number>>();
  #fields: readonly string[] = [];

  constructor(text: string) {
    this.#text = text;
  }

  parse(): CronExpression {
    const lower = this.#text.toLowerCase();
    this.#fields = splitOnBlanks(Object.hasOwn(aliases, lower) ? (aliases[lower] ?? lower) : lower);
    const count = this.#fields.length;
    if (count !== 5 && count !== 6 && count !== 7) {
      throw this.#error(`it has ${count} ${count === 1 ? "field" : "fields"}, expected 5, 6 or 7`);
    }
    const [minute, hour, day, month, weekday, second, year] = this.#fields.map((_, index) => this.#parseField(index));
    if (!minute || !hour || !day || !month || !weekday) throw new Error("Cannot parse five fields: one is missing");
    const weekdayNth = [...this.#weekdayNth].map(([key, nths]) => ({ weekday: key, nths: [...nths] }));
    if (weekdayNth.length > 0) this.#refuseMixedWeekdays(weekday);
    const dayValues = day.values.filter((value) => value !== lastDay);
    return {
      text: this.#text,
      fieldCount: count,
      minute,
      hour,
      day: { any: day.any, values: dayValues },
      dayLast: dayValues.length < day.values.length,
      month,
      weekday,
      weekdayNth,
      second: second ?? { any: false, values: [0] },
      year: year ?? { any: true, values: [] },
    };
  }

  #refuseMixedWeekdays(weekday: CronField): void {
    const plain = weekday.values.filter((value) => !this.#weekdayNth.has(value));
    if (plain.length > 0 && weekday.values.length + Number(weekday.any) !== 7) {
      const field = shorten(this.#fields[weekdayIndex] ?? "");
      throw this.#error(`day of week "${field}" mixes plain days with # or L, expected one or the other`);
    }
  }

  #parseField(index: number): CronField {
    const rule = ruleOf(index);
    let field = this.#expandHash(this.#fields[index] ?? "", index);
    if (field.includes("?")) {
      if (field !== "?" || (index !== dayIndex && index !== weekdayIndex)) {
        throw this.#error(`${rule.name} is "${shorten(field)}", expected ? only alone, as day of month or day of week`);
      }
      field = "*";
    }

    let any = false;
    const values = new Set<number>();
    for (const token of new Set(field.split(","))) {
      if (token === "*") any = true;
      else for (const value of this.#parseToken(token, index)) values.add(value);
    }
    // croniter drops a list that names every value in favour of *, unless that would change how the two day fields combine.
    const isFull = values.size + Number(any) === rule.max - rule.min + 1;
    const otherDays = index === dayIndex ? weekdayIndex : index === weekdayIndex ? dayIndex : null;
    if (isFull && (otherDays === null || this.#fields[otherDays]?.includes("*"))) return { any: true, values: [] };
    return { any, values: [...values].sort((left, right) => left - right) };
  }

  /** The values that one item of a list stands for. */
  #parseToken(token: string, index: number): readonly number[] {
    const rule = ruleOf(index);
    let item = token;
    let nth: number | null = null;
    if (index === weekdayIndex) {
      const special = weekdayPattern.exec(token);
      if (special !== null) {
        const [, days, digits = ""] = special;
        if (days === undefined) {
          item = digits;
          nth = lastNth;
        } else {
          item = days;
          nth = this.#toNumber(digits, index, token);
          if (nth < 1 || nth > 5)
            throw this.#error(`day of week is "${shorten(token)}", expected a number from 1 to 5 after #`);
        }
      }
    }
    const values = this.#parseRange(item, index, token) ?? [this.#parseSingle(item, index, token)];
    for (const value of values) {
      if (value !== lastDay && (value < rule.min || value > rule.max)) throw this.#outOfRange(value, rule);
      if (nth !== null) {
        // A range with L behind it is not croniter's syntax, so every value of a range takes its number.
        const nths = this.#weekdayNth.get(value) ?? new Set<number>();
        this.#weekdayNth.set(value, nths.add(nth));
      }
    }
    return values;
  }

  /** Null when the item is no range and has no step. */
  #parseRange(item: string, index: number, token: string): readonly number[] | null {
    const rule = ruleOf(index);
    const bounds = item.startsWith("*/") ? `${rule.min}-${rule.max}${item.slice(1)}` : item;
    const match = rangePattern.exec(bounds) ?? rangePattern.exec(item.replace(steppedPattern, `$1-${rule.max}/$2`));
    if (match === null) return null;
    const [, lowText = "", highText = "", stepText] = match;
    const low = this.#toBound(lowText, index, token);
    const high = this.#toBound(index === dayIndex && highText === "l" ? "31" : highText, index, token);
    const step = stepText === undefined ? 1 : this.#toNumber(stepText, index, token);
    if (Math.max(low, high) > rule.max) throw this.#outOfRange(Math.max(low, high), rule);
    if (step === 0) throw this.#error(`the step of ${rule.name} "${shorten(token)}" is 0, expected 1 or more`);
    if (low === high) return countUp(rule.min, rule.max, step);
    if (low < high) return countUp(low, high, step);

    // Backwards is around the end: to the field's last value, then on from its first, with the step carried over as
    // croniter carries it.
    const head = countUp(low, rule.max, step);
    const reached = head.at(-1) ?? low;
    const size = rule.max - rule.min + 1;
    const left = rule.max - reached;
    const skip = reached - rule.min + step > size && left < step ? step - left : 0;
    return [...head, ...countUp(rule.min + skip, high, step)];
  }

  #parseSingle(item: string, index: number, token: string): number {
    if (index === dayIndex && item === "l") return lastDay;
    return this.#toBound(item, index, token);
  }

  #toBound(item: string, index: number, token: string): number {
    const { names } = ruleOf(index);
    const value = Object.hasOwn(names, item) ? names[item] : undefined;
    return this.#alias(value ?? this.#toNumber(item, index, token), index);
  }

  #toNumber(item: string, index: number, token: string): number {
    const digits = isDigits(item) ? toAsciiDigits(item) : null;
    if (digits === null) {
      const { name, min, max, hint } = ruleOf(index);
      throw this.#error(`${name} is "${shorten(token)}", expected ${min}-${max}, *, a range, a step or a list${hint}`);
    }
    return Number(digits);
  }

  /** Sunday may be 7, and with six fields the first day of the month 0. */
  #alias(value: number, index: number): number {
    const count = this.#fields.length;
    if (index === weekdayIndex && value === 7 && count === 5) return 0;
    if (index === dayIndex && value === 0 && count === 6) return 1;
    return value;
  }

  #expandHash(field: string, index: number): string {
    const match = hashPattern.exec(field);
    if (match === null) return field;
    const rule = ruleOf(index);
    const [, kind, beginText, endText, divisorText] = match;
    if (kind === "h") {
      throw this.#error(`${rule.name} is "${shorten(field)}", expected no H: Hermes gives croniter nothing to hash`);
    }
    const begin = beginText === undefined ? rule.min : this.#toNumber(beginText, index, field);
    const end = endText === undefined ? rule.max : this.#toNumber(endText, index, field);
    if (endText !== undefined && begin >= end) {
      throw this.#error(`${rule.name} is "${shorten(field)}", expected the range to end after it begins`);
    }
    if (divisorText === undefined) return String(this.#draw(index, begin, end));
    const divisor = this.#toNumber(divisorText, index, field);
    if (divisor === 0) throw this.#error(`the step of ${rule.name} "${shorten(field)}" is 0, expected 1 or more`);
    const start = this.#draw(index, begin, begin + divisor - 1);
    return `${start}-${toAsciiDigits(endText ?? String(rule.max))}/${toAsciiDigits(divisorText)}`;
  }

  // croniter draws R anew each time it reads the expression; here one expression always means the same times, which the
  // slot ledger needs.
  #draw(index: number, begin: number, end: number): number {
    return ((crc32(this.#text) >>> index) % (end - begin + 1)) + begin;
  }

  #outOfRange(value: number, { name, min, max }: FieldRule): SyntaxError {
    return this.#error(`${name} is ${value}, expected ${min}-${max}`);
  }

  #error(reason: string): SyntaxError {
    return new SyntaxError(`Cannot parse schedule "${shorten(this.#text)}": ${reason}`);
  }
}

const lastDay = Number.POSITIVE_INFINITY;
const lastNth = 0;

function ruleOf(index: number): FieldRule {
  return fieldRules[index] ?? fieldRules[minuteIndex];
}

function countUp(from: number, to: number, step: number): number[] {
  const values: number[] = [];
  for (let value = from; value <= to; value += step) values.push(value);
  return values;
}

/** A text of any length as it can stand in a message. */
export function shorten(text: string): string {
  return text.length <= 80 ? text : `${text.slice(0, 77)}...`;
}

function crc32(text: string): number {
  let crc = 0xffffffff;
  for (const byte of new TextEncoder().encode(text)) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit += 1) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return ~crc >>> 0;
}

/** The first wall clock time after `wallMs` that the expression names, as if it were UTC; null when none comes within 50 years. */
export function nextWall(expression: CronExpression, wallMs: number): number | null {
  const found = stepWalls(expression, firstWallAfter(expression, wallMs), 1);
  return found === null ? null : Math.min(...found);
}

/** The last wall clock time before `wallMs` that the expression names; null when there was none for 50 years. */
export function previousWall(expression: CronExpression, wallMs: number): number | null {
  const found = stepWalls(expression, firstWallBefore(expression, wallMs), -1);
  return found === null ? null : Math.max(...found);
}

/** Where croniter begins to look forward from: a whole second, as time zones do not matter to it. */
export function firstWallAfter({ fieldCount }: CronExpression, wallMs: number): number {
  return (Math.floor(wallMs / 1000) + (fieldCount > 5 ? 1 : 60)) * 1000;
}

/** Where croniter begins to look back from. */
export function firstWallBefore({ fieldCount }: CronExpression, wallMs: number): number {
  const seconds = Math.ceil(wallMs / 1000);
  return (seconds - (fieldCount > 5 || modulo(seconds, 60) > 0 ? 1 : 60)) * 1000;
}

/**
 * The wall clock time at or past `startMs`, in the direction; two of them, of which the nearer counts, where both day
 * fields are given and either is enough. Null as soon as one of the two never comes, as in croniter.
 */
export function stepWalls(expression: CronExpression, startMs: number, direction: 1 | -1): readonly number[] | null {
  const { day, weekday } = expression;
  if (day.any || weekday.any) {
    const only = stepWall(expression, startMs, direction, day.any, weekday.any);
    return only === null ? null : [only];
  }
  const byDay = stepWall(expression, startMs, direction, false, true);
  if (byDay === null) return null;
  const byWeekday = stepWall(expression, startMs, direction, true, false);
  return byWeekday === null ? null : [byDay, byWeekday];
}

const yearsBetweenMax = 50;
const dayMs = 86_400_000;

/**
 * croniter's search: the fields from year to second in turn, each moving the clock to its next allowed value and starting
 * over when it did. It is repeated here move by move because its answers for short months follow from those moves.
 */
function stepWall(
  expression: CronExpression,
  startMs: number,
  direction: 1 | -1,
  anyDay: boolean,
  anyWeekday: boolean,
): number | null {
  const isBack = direction === -1;
  const { minute, hour, month, second, year, weekdayNth, fieldCount } = expression;
  let dayNumber = Math.floor(startMs / dayMs);
  let rest = Math.floor((startMs - dayNumber * dayMs) / 1000);
  let date = dateOfDayNumber(dayNumber);
  const startYear = date.year;
  const diff = isBack ? previousDiff : nextDiff;

  while (Math.abs(date.year - startYear) <= yearsBetweenMax && date.year >= 1 && date.year <= 9999) {
    if (!year.any) {
      const years = diff(date.year, year.values, null, false);
      if (years === null) return null;
      if (years !== 0) {
        date = isBack ? dateOf(date.year + years, 12, 31) : dateOf(date.year + years, 1, 1);
        dayNumber = dayNumberOf(date);
        rest = isBack ? dayEnd : 0;
        continue;
      }
    }
    if (!month.any) {
      const months = diff(date.month, month.values, 12, false) ?? 0;
      if (months !== 0) {
        const index = date.year * 12 + date.month - 1 + months;
        const targetYear = Math.floor(index / 12);
        const target = modulo(index, 12) + 1;
        date = dateOf(targetYear, target, isBack ? daysIn(targetYear, target) : 1);
        dayNumber = dayNumberOf(date);
        rest = isBack ? dayEnd : 0;
        continue;
      }
    }
    let days = anyDay ? 0 : daysToDay(expression, date, isBack);
    if (days === 0) {
      if (weekdayNth.length > 0) days = daysToNth(weekdayNth, date, dayNumber, isBack);
      else if (!anyWeekday) days = diff(weekdayOf(dayNumber), expression.weekday.values, 7, false) ?? 0;
    }
    if (days !== 0) {
      dayNumber += days;
      date = dateOfDayNumber(dayNumber);
      rest = isBack ? dayEnd : 0;
      continue;
    }
    const hourNow = Math.floor(rest / 3600);
    const hours = hour.any ? 0 : (diff(hourNow, hour.values, 24, false) ?? 0);
    if (hours !== 0) {
      rest = (hourNow + hours) * 3600 + (isBack ? 3599 : 0);
    } else {
      const minuteNow = Math.floor(rest / 60) % 60;
      const minutes = minute.any ? 0 : (diff(minuteNow, minute.values, 60, false) ?? 0);
      if (minutes !== 0) {
        rest = (Math.floor(rest / 60) + minutes) * 60 + (isBack ? 59 : 0);
      } else if (fieldCount === 5) {
        return dayNumber * dayMs + (rest - (rest % 60)) * 1000;
      } else {
        const seconds = second.any ? 0 : (diff(rest % 60, second.values, 60, false) ?? 0);
        if (seconds === 0) return dayNumber * dayMs + rest * 1000;
        rest += seconds;
      }
    }
    if (rest < 0 || rest >= daySeconds) {
      const carried = Math.floor(rest / daySeconds);
      dayNumber += carried;
      rest -= carried * daySeconds;
      date = dateOfDayNumber(dayNumber);
    }
  }
  return null;
}

const daySeconds = 86_400;
const dayEnd = daySeconds - 1;

function daysToDay({ day, dayLast }: CronExpression, date: CivilDate, isBack: boolean): number {
  const length = daysIn(date.year, date.month);
  if (dayLast && date.day === length) return 0;
  if (!isBack) return nextDiff(date.day, day.values, length, dayLast) ?? 0;
  // croniter takes February for 28 days long when it looks back.
  const previousLength = commonDays[modulo(date.month - 2, 12)] ?? 31;
  return previousDiff(date.day, day.values, previousLength, dayLast) ?? 0;
}

function daysToNth(weekdayNth: readonly WeekdayNth[], date: CivilDate, dayNumber: number, isBack: boolean): number {
  const length = daysIn(date.year, date.month);
  const firstWeekday = weekdayOf(dayNumber - date.day + 1);
  let nearest: number | null = null;
  for (const { weekday, nths } of weekdayNth) {
    const first = 1 + modulo(weekday - firstWeekday, 7);
    const count = Math.floor((length - first) / 7) + 1;
    for (const nth of nths) {
      if (nth > count) continue;
      const candidate = first + 7 * ((nth === lastNth ? count : nth) - 1);
      if (isBack ? candidate > date.day : candidate < date.day) continue;
      if (nearest === null || (isBack ? candidate > nearest : candidate < nearest)) nearest = candidate;
    }
  }
  if (nearest !== null) return nearest - date.day;
  return isBack ? -date.day : length - date.day + 1;
}

/** How far the next allowed value lies ahead, around the end of `range` if need be. Null: no range and nothing ahead. */
function nextDiff(from: number, values: readonly number[], range: number | null, hasLast: boolean): number | null {
  for (const value of values) if (value >= from) return value - from;
  if (range === null) return null;
  return (hasLast ? range : (values[0] ?? from) + range) - from;
}

/** The same looking back; never positive. */
function previousDiff(from: number, values: readonly number[], range: number | null, hasLast: boolean): number | null {
  for (let index = values.length - 1; index >= 0; index -= 1) {
    const value = values[index] ?? 0;
    if (value <= from) return value - from;
  }
  if (hasLast) return -from;
  if (range === null) return null;
  const candidate = values.findLast((value) => value <= range) ?? values.at(-1) ?? range;
  return candidate > range ? -range : candidate - from - range;
}

interface CivilDate {
  readonly year: number;
  readonly month: number;
  readonly day: number;
}

const commonDays = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

function daysIn(year: number, month: number): number {
  const isLeap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
  return month === 2 && isLeap ? 29 : (commonDays[month - 1] ?? 31);
}

function dateOf(year: number, month: number, day: number): CivilDate {
  return { year, month, day };
}

// Days since 1970-01-01 and back, by counting years from March so that the leap day comes last.
function dayNumberOf({ year, month, day }: CivilDate): number {
  const shifted = month <= 2 ? year - 1 : year;
  const era = Math.floor(shifted / 400);
  const yearOfEra = shifted - era * 400;
  const dayOfYear = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + day - 1;
  return (
    era * 146_097 + yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear - 719_468
  );
}

function dateOfDayNumber(dayNumber: number): CivilDate {
  const shifted = dayNumber + 719_468;
  const era = Math.floor(shifted / 146_097);
  const dayOfEra = shifted - era * 146_097;
  const yearOfEra = Math.floor(
    (dayOfEra - Math.floor(dayOfEra / 1460) + Math.floor(dayOfEra / 36_524) - Math.floor(dayOfEra / 146_096)) / 365,
  );
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const shiftedMonth = Math.floor((5 * dayOfYear + 2) / 153);
  const month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9;
  return {
    year: yearOfEra + era * 400 + (month <= 2 ? 1 : 0),
    month,
    day: dayOfYear - Math.floor((153 * shiftedMonth + 2) / 5) + 1,
  };
}

function weekdayOf(dayNumber: number): number {
  return modulo(dayNumber + 4, 7);
}

function modulo(value: number, divisor: number): number {
  return ((value % divisor) + divisor) % divisor;
}
