import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { nextOutput, placeOfTail } from "../../src/output/read-output.ts";
import { createFiles } from "../../src/system/real-files.ts";

const files = createFiles();

/** A run that lives has two files; one that has ended has both streams in the first. */
function prepare(output: string, errors: string, hasEnded: boolean): string {
  const state = mkdtempSync(join(tmpdir(), "output-"));
  onTestFinished(() => rmSync(state, { recursive: true }));
  const folder = join(state, "runs/r1");
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "output.log"), hasEnded ? output + errors : output);
  if (!hasEnded) writeFileSync(join(folder, "errors.log"), errors);
  else {
    const result = { end: { exitCode: 0, cause: null }, endedAtMs: 1, stdoutBytes: output.length, documentName: "d" };
    writeFileSync(join(folder, "result.json"), JSON.stringify(result));
  }
  return state;
}

function readFrom(state: string, place: { outputBytes: number; errorsBytes: number }): string {
  const parts: Uint8Array[] = [];
  for (;;) {
    const part = nextOutput(files, state, "r1", place);
    if (part === null) return Buffer.concat(parts).toString("utf8");
    expect(part.length).toBeLessThanOrEqual(1 << 18);
    parts.push(part);
  }
}

const long = Array.from({ length: 100_000 }, (_, index) => `line ${index}\n`).join("");

test.for([
  ["", "", 3, ""],
  ["a\nb\nc\n", "", 2, "b\nc\n"],
  ["a\nb\nc", "", 2, "b\nc"],
  ["a\nb\n", "", 5, "a\nb\n"],
  ["a\nb\n", "", 0, ""],
  ["\n\n\n", "", 2, "\n\n"],
  ["a\nb\n", "x\ny\n", 3, "b\nx\ny\n"],
  ["a\nb\n", "x\ny\n", 2, "x\ny\n"],
  ["a\nb\n", "x\ny\n", 9, "a\nb\nx\ny\n"],
  ["", "x\ny", 1, "y"],
  [long, "", 2, "line 99998\nline 99999\n"],
  [long, "x\n", 3, "line 99998\nline 99999\nx\n"],
] as const)("placeOfTail() finds the last lines, case %#", ([output, errors, lines, tail]) => {
  for (const hasEnded of [false, true]) {
    const state = prepare(output, errors, hasEnded);
    expect(readFrom(state, placeOfTail(files, state, "r1", lines))).toBe(tail);
    expect(readFrom(state, { outputBytes: 0, errorsBytes: 0 })).toBe(output + errors);
  }
});

test("nextOutput() goes on where it was when the two streams become one file", () => {
  const state = prepare("out\n", "err\n", false);
  const place = { outputBytes: 0, errorsBytes: 0 };
  expect(readFrom(state, place)).toBe("out\nerr\n");
  const folder = join(state, "runs/r1");
  const result = { end: { exitCode: 0, cause: null }, endedAtMs: 1, stdoutBytes: 4, documentName: "d" };
  writeFileSync(join(folder, "result.json"), JSON.stringify(result));
  writeFileSync(join(folder, "output.log"), "out\nerr\nmore\n");
  rmSync(join(folder, "errors.log"));
  expect(readFrom(state, place)).toBe("more\n");
});

test("nextOutput() goes on behind the end of a file whose middle was taken out", () => {
  const state = prepare("0123456789", "", false);
  const place = { outputBytes: 0, errorsBytes: 0 };
  expect(readFrom(state, place)).toBe("0123456789");
  const path = join(state, "runs/r1/output.log");
  writeFileSync(path, "01…89");
  expect(readFrom(state, place)).toBe("");
  writeFileSync(path, "01…89next");
  expect(readFrom(state, place)).toBe("next");
});
