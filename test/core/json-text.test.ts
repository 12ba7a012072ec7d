import { execFileSync } from "node:child_process";
import { expect, test } from "vitest";
import {
  JsonTextError,
  memberNamed,
  membersOf,
  outlineDocument,
  placeOf,
  printString,
  spliceText,
  toValue,
} from "../../src/core/json-text.ts";
import { printAsPython } from "../helpers/python-json.ts";
import { createSeededRandom } from "../helpers/seeded-random.ts";

const refused: readonly (readonly [text: string, message: string, line: number, column: number])[] = [
  ["", "there is no text", 1, 1],
  [" \r\n\t ", "there is no text", 2, 3],
  ["\ufeff{}", "there is no value here", 1, 1],
  ["{", "a key in double quotes should stand here", 1, 2],
  ["{'a': 1}", "a key in double quotes should stand here", 1, 2],
  ['{"a": 1,}', "a key in double quotes should stand here", 1, 9],
  ['{"a" 1}', "a colon should stand here", 1, 6],
  ['{"a":', "the text ends where a value should stand", 1, 6],
  ['{"a":\n 1 2}', "a comma or a closing brace should stand here", 2, 4],
  ["[1 2]", "a comma or a closing bracket should stand here", 1, 4],
  ["[1,]", "there is no value here", 1, 4],
  ["[1] []", "there is more text after the end of the document", 1, 5],
  ["[01]", "a comma or a closing bracket should stand here", 1, 3],
  ["[+1]", "there is no value here", 1, 2],
  ["[1.]", "a comma or a closing bracket should stand here", 1, 3],
  ["[-]", "there is no value here", 1, 2],
  ["[nul]", "there is no value here", 1, 2],
  ["[True]", "there is no value here", 1, 2],
  ['["a', "the string that opens here never ends", 1, 2],
  ['["a\\', "the string that opens here never ends", 1, 2],
  ['["a\\"]', "the string that opens here never ends", 1, 2],
  ['["\\x41"]', "the backslash here begins no escape that JSON has", 1, 3],
  ['["\\u00g0"]', "four hexadecimal digits should follow here", 1, 4],
  ['["\\u0041', "the text ends in this escape", 1, 4],
  [`[${"1".repeat(4301)}]`, "the integer has more than 4300 digits", 1, 2],
  ["[".repeat(5000), "there are more than 980 levels in each other", 1, 981],
  ['{"a":'.repeat(5000), "there are more than 980 levels in each other", 1, 980 * 5 + 1],
];

for (const [text, message, line, column] of refused) {
  test(`outlineDocument() refuses ${JSON.stringify(text.slice(0, 20))} at line ${line}, column ${column}`, () => {
    const error = errorOf(() => outlineDocument(text, 0, 2));
    expect(error.message).toBe(message);
    expect(placeOf(text, error.offset)).toEqual({ line, column });
  });
}

const accepted: readonly (readonly [text: string, value: unknown])[] = [
  ["[NaN, Infinity, -Infinity]", [Number.NaN, Infinity, -Infinity]],
  ['{"a": NaN, "a": 2, "__proto__": 3}', JSON.parse('{"a": 2, "__proto__": 3}')],
  ['["a\u0000b\tc"]', ["a\u0000b\tc"]],
  ['["a\r\nb\rc"]', ["a\nb\nc"]],
  ['["\\ud83d", "\\u00e9", "é\\/"]', ["\ud83d", "é", "é/"]],
  ["[1e3, -0.5E-2, 12345678901234567890]", [1000, -0.005, Number("12345678901234567890")]],
  [`[${"1".repeat(4300)}]`, [Infinity]],
  [`[-${"1".repeat(4300)}]`, [-Infinity]],
  [` ${"[".repeat(980)}${"]".repeat(980)}\n`, null],
];

for (const [text, value] of accepted) {
  test(`toValue() reads ${JSON.stringify(text.slice(0, 30))}`, () => {
    const { root } = outlineDocument(text, 0, 1);
    if (value === null) expect(Array.isArray(toValue(text, root))).toBe(true);
    else expect(toValue(text, root)).toEqual(value);
  });
}

test("outlineDocument() says where the members and the items of the upper levels stand", () => {
  const text = '{"jobs": [ {"a": [1]}, 2 ], "x": {"y": 1}}';
  const { root, members, items } = outlineDocument(text, 0, 2);
  expect(root).toEqual({ start: 0, end: text.length });
  const keys = [...members].map(([start, list]) => [start, list.map((member) => member.key)]);
  expect(keys).toEqual([
    [0, ["jobs", "x"]],
    [33, ["y"]],
  ]);
  expect([...items.values()].flat().map((item) => text.slice(item.start, item.end))).toEqual(['{"a": [1]}', "2"]);
});

test("membersOf() keeps every repetition of a key, and memberNamed() takes the last, as Python does", () => {
  const text = '{"a": 1, "\\u0061" : 2, "b": 3}';
  const members = membersOf(text, 0);
  expect(members.map(({ key, start, end }) => [key, text.slice(start, end)])).toEqual([
    ["a", "1"],
    ["a", "2"],
    ["b", "3"],
  ]);
  expect(memberNamed(members, "a")?.start).toBe(text.indexOf("2"));
  expect(memberNamed(members, "c")).toBeNull();
});

test("printString() escapes as Python's json does, with and without ensure_ascii", () => {
  const value = 'a"\\/\b\f\n\r\t\u0001\u007fé☕\u{1f600}\u2028';
  expect(printString(value, false)).toBe('"a\\"\\\\/\\b\\f\\n\\r\\t\\u0001\u007fé☕\u{1f600}\u2028"');
  expect(printString(value, true)).toBe('"a\\"\\\\/\\b\\f\\n\\r\\t\\u0001\\u007f\\u00e9\\u2615\\ud83d\\ude00\\u2028"');
  expect(printString("\ud83d", true)).toBe('"\\ufffd"');
});

test("spliceText() replaces spans and keeps the rest", () => {
  const edits = [
    { start: 0, end: 1, text: "X" },
    { start: 3, end: 3, text: "--" },
    { start: 4, end: 6, text: "" },
  ];
  expect(spliceText("abcdefg", edits)).toBe("Xbc--dg");
  expect(spliceText("abc", [])).toBe("abc");
});

test("outlineDocument() accepts and refuses damaged texts exactly as Python's json does, at the same place", () => {
  const whole = [
    '{\n  "jobs": [\n    {\n      "id": "a\\u00e9\\n\\"x",\n      "n": -1.5e3, "m": [1, 2.0, {}, [], null, true, NaN]}\n  ]\n}',
    '[{"id":"a","s":"\\ud83d\\ude00 é \t", "f": -Infinity}]',
    '{"jobs": {"k": {"id": "", "big": 123456789012345678901}}, "x": 0.10e-05}',
  ];
  const random = createSeededRandom(20_261_121);
  const pick = (length: number) => Math.floor(random() * length);
  const inserts = [...'{}[]",:\\u0e-+.1 \n\ttrNaIfé\u0001\u0000'];
  const texts = Array.from({ length: 4000 }, () => {
    let text = whole[pick(whole.length)] ?? "";
    for (let change = pick(3); change >= 0; change -= 1) {
      const at = pick(text.length + 1);
      const insert = inserts[pick(inserts.length)] ?? "";
      const changed = [
        text.slice(0, at),
        text.slice(0, at) + insert + text.slice(at),
        text.slice(0, at) + insert + text.slice(at + 1),
      ];
      text = changed[pick(3)] ?? "";
    }
    return text;
  });
  const ours = texts.map((text) => {
    try {
      outlineDocument(text, 0, 2);
      return printAsPython(text, true);
    } catch (error) {
      if (!(error instanceof JsonTextError)) throw error;
      const { line, column } = placeOf(text, error.offset);
      return `${line}:${column}`;
    }
  });
  const theirs: unknown = JSON.parse(
    execFileSync("python3", ["-c", python], { input: JSON.stringify(texts), encoding: "utf8", maxBuffer: 1e8 }),
  );
  expect(ours).toEqual(theirs);
});

const python = `
import json, sys
def answer(text):
    try:
        return json.dumps(json.loads(text, strict=False), indent=2)
    except json.JSONDecodeError as error:
        return f"{error.lineno}:{error.colno}"
print(json.dumps([answer(text) for text in json.load(sys.stdin)]))
`;

function errorOf(act: () => unknown): JsonTextError {
  try {
    act();
  } catch (error) {
    if (error instanceof JsonTextError) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
}
