import { expect, test } from "vitest";
import { formatMarkdown, formatNumber, formatText, type Table } from "./table.ts";

const table: Table = {
  title: "Two things",
  columns: ["", "p50", "p99"],
  rows: [
    ["ours", "1.00", "12.5"],
    ["a | b", "10.0", "–"],
  ],
  notes: ["Less is better."],
};

test("formatText() puts names on the left and figures on the right", () => {
  expect(formatText(table)).toBe(
    [
      "Two things",
      "",
      "          p50   p99",
      "  ─────  ────  ────",
      "  ours   1.00  12.5",
      "  a | b  10.0     –",
      "  Less is better.",
      "",
    ].join("\n"),
  );
});

test("formatMarkdown() keeps a bar inside its cell", () => {
  expect(formatMarkdown(table)).toBe(
    [
      "## Two things",
      "",
      "|  | p50 | p99 |",
      "| --- | --: | --: |",
      "| ours | 1.00 | 12.5 |",
      "| a \\| b | 10.0 | – |",
      "",
      "Less is better.  ",
      "",
    ].join("\n"),
  );
});

test("formatNumber() shows three digits that count", () => {
  const cases: readonly [number, string][] = [
    [0, "0.00"],
    [0.034, "0.03"],
    [9.876, "9.88"],
    [98.76, "98.8"],
    [987.6, "988"],
    [12345.6, "12346"],
    [-12.34, "-12.3"],
    [Number.NaN, "–"],
  ];
  for (const [value, expected] of cases) expect(formatNumber(value)).toBe(expected);
});
