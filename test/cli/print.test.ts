import { expect, test } from "vitest";
import {
  clip,
  formatClock,
  formatDistance,
  formatJson,
  formatLength,
  formatTable,
  paint,
  printable,
  textWidth,
  wrap,
} from "../../src/cli/print.ts";
import { createZone } from "../../src/core/zone.ts";

const plain = { hasColour: false, columns: null };

test("textWidth() counts the columns that a terminal gives", () => {
  const cases: readonly (readonly [string, number])[] = [
    ["", 0],
    ["abc", 3],
    ["naïve", 5],
    ["nai\u0308ve", 5],
    ["日本語", 6],
    ["한글", 4],
    ["🚀", 2],
    ["👨‍👩‍👧", 2],
    ["🇩🇪", 2],
    ["❤️", 2],
    ["✓–…", 3],
    ["\x1b[31mred\x1b[39m", 3],
  ];
  for (const [text, width] of cases) expect(textWidth(text), text).toBe(width);
});

test("clip() cuts between characters and says so", () => {
  const cases: readonly (readonly [string, number, string])[] = [
    ["nightly", 7, "nightly"],
    ["nightly", 4, "nig…"],
    ["日本語", 6, "日本語"],
    ["日本語", 5, "日本…"],
    ["日本語", 4, "日…"],
    ["👨‍👩‍👧👨‍👩‍👧", 3, "👨‍👩‍👧…"],
    ["abc", 0, ""],
  ];
  for (const [text, columns, expected] of cases) expect(clip(text, columns)).toBe(expected);
});

test("printable() leaves nothing that moves the cursor or turns the writing", () => {
  expect(printable("a\x1b[31mb\nc\td\x9b2Je\u202ef\u2066g\u2028h\x00\x7f\ufeff")).toBe(
    "a\\x1b[31mb\\x0ac\\x09d\\x9b2Je\\u202ef\\u2066g\\u2028h\\x00\\x7f\\ufeff",
  );
  expect(printable("lone \ud800 half \udc00")).toBe("lone \\ud800 half \\udc00");
  expect(printable("日本 🚀 naïve 👨‍👩‍👧")).toBe("日本 🚀 naïve 👨‍👩‍👧");
});

test("formatTable() aligns columns by their width on the screen", () => {
  const text = formatTable(
    plain,
    [{ title: "NAME" }, { title: "N", align: "right" }, { title: "END" }],
    [
      ["日本", "1", "x"],
      ["🚀 go", "20", ""],
      ["plain", "300", "y\x1b[2J"],
    ],
  );
  expect(text).toBe("NAME     N  END\n日本     1  x\n🚀 go   20\nplain  300  y\\x1b[2J\n");
});

test("formatTable() cuts the widest columns that may give way until a line fits", () => {
  const columns = [{ title: "ID" }, { title: "NAME", shrinkTo: 4 }, { title: "ERROR", shrinkTo: 6 }];
  const rows = [["0123456789ab", "a rather long name", "an even longer error text"]];
  const lines = formatTable({ hasColour: false, columns: 40 }, columns, rows).split("\n");
  expect(lines[1]).toBe("0123456789ab  a rather lo…  an even lon…");
  expect(Math.max(...lines.map(textWidth))).toBeLessThanOrEqual(40);
  expect(formatTable({ hasColour: false, columns: 26 }, columns, rows).split("\n")[1]).toBe(
    "0123456789ab  a r…  an ev…",
  );
  expect(formatTable(plain, columns, rows).split("\n")[1]).toBe(
    "0123456789ab  a rather long name  an even longer error text",
  );
});

test("formatTable() cuts times last, and everything where a terminal is too narrow for it all", () => {
  const columns = [
    { title: "NAME", shrinkTo: 4 },
    { title: "NEXT", shrinkTo: 5, shrinksLast: true },
  ];
  const rows = [["short", "01-01 00:00 in 40 d"]];
  const cases: readonly (readonly [number, string])[] = [
    [26, "short  01-01 00:00 in 40 d"],
    [25, "sho…  01-01 00:00 in 40 d"],
    [20, "sho…  01-01 00:00 i…"],
    [8, "sh…  01…"],
  ];
  for (const [width, line] of cases) {
    expect(formatTable({ hasColour: false, columns: width }, columns, rows).split("\n")[1]).toBe(line);
  }
});

test("formatJson() sends no character that a terminal obeys, and means the same", () => {
  const value = { name: "a\x1b[31m\x9b2J\x7f\u202e\u2028 日本 🚀" };
  const text = formatJson(value);
  expect(text).toBe('{\n  "name": "a\\u001b[31m\\u009b2J\\u007f\\u202e\\u2028 日本 🚀"\n}\n');
  expect(JSON.parse(text)).toEqual(value);
});

test("formatTable() colours cells only where colours are wanted", () => {
  const columns = [{ title: "STATE", widthMin: 7 }, { title: "H" }];
  const rows = [
    [
      { text: "ok", colour: "green" as const },
      { text: "x", painted: "\x1b[31mx\x1b[39m" },
    ],
  ];
  expect(formatTable({ hasColour: true, columns: null }, columns, rows)).toBe(
    "\x1b[2mSTATE\x1b[22m    \x1b[2mH\x1b[22m\n\x1b[32mok\x1b[39m       \x1b[31mx\x1b[39m\n",
  );
  expect(paint(plain, "red", "x")).toBe("x");
});

test("formatLength() and formatDistance() say lengths in their largest unit", () => {
  const lengths: readonly (readonly [number, string])[] = [
    [0.04, "0 ms"],
    [3.456, "3.5 ms"],
    [12.3, "12 ms"],
    [999, "999 ms"],
    [1234, "1.2 s"],
    [12_345, "12 s"],
    [99_400, "99 s"],
    [120_000, "2 min"],
    [5_400_000, "2 h"],
    [86_400_000 * 3, "3 d"],
  ];
  for (const [ms, text] of lengths) expect(formatLength(ms)).toBe(text);
  const distances: readonly (readonly [number, string])[] = [
    [999, "now"],
    [-400, "now"],
    [3000, "in 3 s"],
    [-3400, "3 s ago"],
    [600_000, "in 10 min"],
    [-86_400_000 * 40, "40 d ago"],
  ];
  for (const [ms, text] of distances) expect(formatDistance(1e12 + ms, 1e12)).toBe(text);
});

test("formatClock() names as much of the date as is needed, in the zone", () => {
  const berlin = createZone("Europe/Berlin", 0);
  const now = Date.UTC(2026, 6, 1, 12);
  const cases: readonly (readonly [number, string])[] = [
    [Date.UTC(2026, 6, 1, 21, 59, 59), "23:59:59"],
    [Date.UTC(2026, 6, 1, 22), "07-02 00:00"],
    [Date.UTC(2025, 11, 31, 22, 59), "2025-12-31 23:59"],
    [Date.UTC(2025, 11, 31, 23), "01-01 00:00"],
    [1e300, "beyond all dates"],
  ];
  for (const [ms, text] of cases) expect(formatClock(ms, now, berlin)).toBe(text);
});

test("printable() shows what nobody would see, and keeps what people write", () => {
  const cases: readonly (readonly [string, string])[] = [
    ["a\u061cb\u00adc\u3164d", "a\\u061cb\\xadc\\u3164d"],
    ["tag\u{e0041}", "tag\\u{e0041}"],
    [`z${"\u0301".repeat(50)}`, `z${"\u0301".repeat(4)}`],
    [
      "\u05e9\u05dc\u05d5\u05dd 👩‍👩‍👧 🏴\u{e0067}\u{e0062}\u{e0065}\u{e006e}\u{e0067}\u{e007f}",
      "\u05e9\u05dc\u05d5\u05dd 👩‍👩‍👧 🏴\u{e0067}\u{e0062}\u{e0065}\u{e006e}\u{e0067}\u{e007f}",
    ],
  ];
  for (const [text, shown] of cases) expect(printable(text)).toBe(shown);
});

test("wrap() breaks lines between words, and words that are longer than a line", () => {
  expect(wrap("one two three\n\nfour", 8)).toBe("one two\nthree\n\nfour");
  expect(wrap("日本語の名前 x", 6)).toBe("日本語\nの名前\nx");
  expect(wrap("\x1b[31mabcdefgh\x1b[39m", 4)).toBe("\x1b[31mabcd\nefgh\x1b[39m");
  expect(wrap("as long as it is", null)).toBe("as long as it is");
});
