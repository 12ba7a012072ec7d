import { expect, test } from "vitest";
import { nextWall, parseCronExpression, previousWall } from "../../src/core/cron-expression.ts";
import { shortestTimeMs } from "../helpers/shortest-time.ts";

test.each([
  ["61 * * * *", "minute is 61, expected 0-59"],
  ["0 24 * * *", "hour is 24, expected 0-23"],
  ["0 0 0 * *", "day of month is 0, expected 1-31"],
  ["0 0 * 13 *", "month is 13, expected 1-12"],
  ["0 0 * * 8", "day of week is 8, expected 0-6"],
  ["0 0 * * 7 0", "day of week is 7, expected 0-6"],
  ["0 0 * * * 60", "second is 60, expected 0-59"],
  ["0 0 1 1 * 0 2100", "year is 2100, expected 1970-2099"],
  ["0 9 * *", "it has 4 fields, expected 5, 6 or 7"],
  ["@reboot", "it has 1 field, expected 5, 6 or 7"],
  ["", "it has 0 fields, expected 5, 6 or 7"],
  ["a * * * *", 'minute is "a", expected 0-59, *, a range, a step or a list'],
  ["-5 * * * *", 'minute is "-5", expected 0-59, *, a range, a step or a list'],
  ["0 0 15W * *", 'day of month is "15w", expected 1-31, *, a range, a step or a list, L'],
  ["0 0 * foo *", 'month is "foo", expected 1-12, *, a range, a step or a list, jan-dec'],
  ["0 0 * * FUNDAY", 'day of week is "funday", expected 0-6, *, a range, a step or a list, sun-sat, 2#3, L5'],
  ["0 0 * * 2#6", 'day of week is "2#6", expected a number from 1 to 5 after #'],
  ["0 0 * * 1,L5", 'day of week "1,l5" mixes plain days with # or L, expected one or the other'],
  ["*/0 * * * *", 'the step of minute "*/0" is 0, expected 1 or more'],
  ["R/0 * * * *", 'the step of minute "r/0" is 0, expected 1 or more'],
  ["R(5-5) * * * *", 'minute is "r(5-5)", expected the range to end after it begins'],
  ["H * * * *", 'minute is "h", expected no H: Hermes gives croniter nothing to hash'],
  ["? * * * *", 'minute is "?", expected ? only alone, as day of month or day of week'],
  ["0 0 1,? * *", 'day of month is "1,?", expected ? only alone, as day of month or day of week'],
])("parseCronExpression() says what is wrong with %j", (text, reason) => {
  expect(() => parseCronExpression(text)).toThrow(new SyntaxError(`Cannot parse schedule "${text}": ${reason}`));
});

test("parseCronExpression() shortens what it quotes", () => {
  const text = "9".repeat(1000);
  expect(() => parseCronExpression(text)).toThrow(
    new SyntaxError(`Cannot parse schedule "${"9".repeat(77)}...": it has 1 field, expected 5, 6 or 7`),
  );
});

function expand(text: string): unknown {
  const { minute, hour, day, month, weekday, second, year } = parseCronExpression(text);
  return [minute, hour, day, month, weekday, second, year].map(({ any, values }) => (any ? "*" : values.join()));
}

test.each([
  ["* * * * *", ["*", "*", "*", "*", "*", "0", "*"]],
  ["@Weekly", ["0", "0", "*", "*", "0", "0", "*"]],
  ["*/15 9-17/4 * JAN,jul MON-fri", ["0,15,30,45", "9,13,17", "*", "1,7", "1,2,3,4,5", "0", "*"]],
  ["10/20 * * * *", ["10,30,50", "*", "*", "*", "*", "0", "*"]],
  ["0-59 * * * *", ["*", "*", "*", "*", "*", "0", "*"]],
  // Backwards goes around the end, and a range of one value is the whole field.
  ["0 22-2 * nov-feb *", ["0", "0,1,2,22,23", "*", "1,2,11,12", "*", "0", "*"]],
  ["0 0 * * 5-7", ["0", "0", "*", "*", "0,5,6", "0", "*"]],
  ["7-7/20 * * * *", ["0,20,40", "*", "*", "*", "*", "0", "*"]],
  // All days of the month stay a list where the day of week is given: then either is enough.
  ["0 0 1-31 * *", ["0", "0", "*", "*", "*", "0", "*"]],
  ["0 0 ? * 1", ["0", "0", "*", "*", "1", "0", "*"]],
  ["0 0 0 * * 30", ["0", "0", "1", "*", "*", "30", "*"]],
  ["0 0 1 1 * 0 2027-2029", ["0", "0", "1", "1", "*", "0", "2027,2028,2029"]],
  ["\u0663 \uff19 * * *", ["3", "9", "*", "*", "*", "0", "*"]],
  ["\u{1d7d7} 0 * * *", ["9", "0", "*", "*", "*", "0", "*"]],
])("parseCronExpression() expands %j", (text, fields) => {
  expect(expand(text)).toEqual(fields);
});

test("parseCronExpression() draws R once for each text", () => {
  expect(expand("R R * * *")).toEqual(expand("R R * * *"));
  const minutes = Array.from({ length: 50 }, (_, index) => nextWall(parseCronExpression(`R ${index % 24} * * *`), 0));
  expect(new Set(minutes.map((wallMs) => (wallMs ?? 0) % 3_600_000)).size).toBeGreaterThan(5);
});

test.each([
  // The last day, the nth and the last weekday of a month.
  ["0 0 L * *", "2028-02-01T00:00", "2028-02-29T00:00"],
  ["0 0 * * 2#3", "2026-11-01T00:00", "2026-11-17T00:00"],
  ["0 0 * * L5", "2026-11-01T00:00", "2026-11-27T00:00"],
  ["0 0 29 2 *", "2026-11-01T00:00", "2028-02-29T00:00"],
  // croniter's own way with short months: it looks for the 31st in February and lands on 3 March.
  ["0 0 1,2,31 * *", "2026-02-03T00:00", "2026-03-31T00:00"],
  ["0 0 31,L * *", "2026-02-01T00:00", "2026-03-31T00:00"],
  // Either day field is enough, unless one of the two never comes.
  ["0 0 13 * 5", "2026-11-01T00:00", "2026-11-06T00:00"],
  ["0 0 30 2 1", "2026-11-01T00:00", null],
  ["* * * * * */7", "2026-11-01T00:00:56", "2026-11-01T00:01:00"],
])("nextWall() of %s after %s is %s", (text, after, next) => {
  const wallMs = nextWall(parseCronExpression(text), Date.parse(`${after}Z`));
  expect(wallMs).toBe(next === null ? null : Date.parse(`${next}Z`));
});

test("previousWall() turns nextWall() back", () => {
  for (const text of ["*/5 * * * *", "0 9 * * 1-5", "0 0 L * *", "0 0 29 2 *", "30 4 1,15 * 5", "* * * * * */10"]) {
    const expression = parseCronExpression(text);
    const first = nextWall(expression, Date.parse("2026-11-21T10:11:12Z")) ?? Number.NaN;
    const second = nextWall(expression, first) ?? Number.NaN;
    expect(previousWall(expression, second), text).toBe(first);
  }
});

const longTexts = {
  repeated: `${"1,".repeat(50_000)}1 * * * *`,
  ranges: `${Array.from({ length: 14_000 }, (_, i) => `${i % 60}-${i % 59}/${1 + (i % 40)}`).join()} * * * *`,
  years: `0 0 1 1 * 0 ${Array.from({ length: 9000 }, (_, i) => `1970-2099/${i + 1}`).join()}`,
  digits: `${"9".repeat(100_000)} * * * *`,
  slashes: `${"/".repeat(100_000)} * * * *`,
  dashes: `${"1-".repeat(50_000)} * * * *`,
  hashes: `* * * * ${"1#".repeat(50_000)}`,
  words: "a ".repeat(50_000),
  blanks: `*${"\t ".repeat(50_000)}* * * x`,
  script: `${"\u0663".repeat(4300)} * * * *`,
};

test.each(Object.entries(longTexts))("parseCronExpression() ends within 50 ms on 100 kB of %s", (_, text) => {
  let ended: unknown;
  const parse = (): void => {
    try {
      ended = parseCronExpression(text);
    } catch (error) {
      ended = error;
    }
  };
  expect(shortestTimeMs(parse)).toBeLessThan(50);
  expect(ended instanceof SyntaxError || typeof ended === "object").toBe(true);
});
