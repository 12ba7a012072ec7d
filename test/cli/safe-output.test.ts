import { expect, test } from "vitest";
import type { Terminal } from "../../src/cli/print.ts";
import { createOutputPrinter } from "../../src/cli/safe-output.ts";

function shown(
  pieces: readonly (string | Uint8Array)[],
  { isTerminal = true, hasColour = true, isRaw = false } = {},
): string {
  let out = Buffer.alloc(0);
  const terminal: Terminal = {
    out(text) {
      out = Buffer.concat([out, Buffer.from(text as string)]);
    },
    error: () => undefined,
    taken: async () => undefined,
    isTerminal,
    isErrorTerminal: isTerminal,
    hasColour,
    columns: 80,
    rows: 24,
  };
  const printer = createOutputPrinter(terminal, isRaw);
  for (const piece of pieces) printer.write(Buffer.from(piece as string));
  printer.end();
  return out.toString("latin1");
}

const utf8 = (text: string): string => Buffer.from(text).toString("latin1");

test.for([
  ["lines, tabs and progress stay", "a\tb\r\n10 %\r20 %\r", "a\tb\r\n10 %\r20 %\r"],
  ["a title", "\x1b]0;owned\x07", "\\x1b]0;owned\\x07"],
  ["a question that the terminal answers", "\x1b[6n\x1bP$q\x1b\\", "\\x1b[6n\\x1bP$q\\x1b\\"],
  ["a screen that is cleared", "\x1b[2J\x1b[H\x1bc", "\\x1b[2J\\x1b[H\\x1bc"],
  ["eight-bit controls", "\u009b2J\b\x7f", "\\x9b2J\\x08\\x7f"],
  ["marks of direction", "a\u202eb", "a\\u202eb"],
  ["colours, which end with the output", "\x1b[1;31mred", "\x1b[1;31mred\x1b[0m"],
  ["a colour that never ends", `\x1b[${"1;".repeat(40)}m`, `\\x1b[${"1;".repeat(40)}m`],
] as const)("a terminal is shown %s", ([, text, expected]) => {
  expect(shown([text])).toBe(expected);
});

test("a terminal is shown the same wherever the output is cut", () => {
  const text = "é\x1b[31m€🚀\x1b[0m\x1b[2J\n";
  const whole = shown([text]);
  expect(whole).toBe(`${utf8("é\x1b[31m€🚀")}\x1b[0m\\x1b[2J\n\x1b[0m`);
  const bytes = Buffer.from(text);
  for (let cut = 0; cut <= bytes.length; cut++) {
    expect([cut, shown([bytes.subarray(0, cut), bytes.subarray(cut)])]).toEqual([cut, whole]);
  }
  expect(shown([...bytes].map((byte) => Uint8Array.of(byte)))).toBe(whole);
  // What was begun and never ended is shown for what it is.
  expect(shown(["a\x1b["])).toBe("a\\x1b[");
});

test("a terminal without colours is sent none", () => {
  expect(shown(["\x1b[31mred\x1b[0m\n"], { hasColour: false })).toBe("red\n");
});

test("a pipe, and a terminal on which somebody asks for it, get the bytes as they came", () => {
  const bytes = Uint8Array.of(0x1b, 0x5b, 0x32, 0x4a, 0xff, 0x00, 0xc3);
  const raw = Buffer.from(bytes).toString("latin1");
  expect(shown([bytes], { isTerminal: false })).toBe(raw);
  expect(shown([bytes], { isRaw: true })).toBe(raw);
});
