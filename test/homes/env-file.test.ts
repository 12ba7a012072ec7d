import { expect, test } from "vitest";
import { EnvFileError, parseEnvFile, resolveEnvFile } from "../../src/homes/env-file.ts";

function variables(text: string, base: Readonly<Record<string, string>> = {}): Readonly<Record<string, string>> {
  return resolveEnvFile(parseEnvFile(text, "/h/.env"), base);
}

const files: readonly (readonly [text: string, variables: Readonly<Record<string, string>>])[] = [
  ["A=1", { A: "1" }],
  ["A=1\nA=2\n", { A: "2" }],
  ["export A=1\nexport\tB=2\n", { A: "1", B: "2" }],
  ["  export A = 1  \n", { A: "1" }],
  ["A=1\r\nB=2\r\n", { A: "1", B: "2" }],
  ["A=1\rB=2", { A: "1", B: "2" }],
  ["A=b=c==\n", { A: "b=c==" }],
  ["A=\nB=''\nC=\"\"\n", { A: "", B: "", C: "" }],
  ["A\nB=1\n", { B: "1" }],
  ["A=1\nA\n", {}],
  ["# A=1\n\n  # x\nB=2 # two\nC=3#three\nD='#4' # four\n", { B: "2", C: "3#three", D: "#4" }],
  ["A='it\\'s \\n raw'\n", { A: "it's \\n raw" }],
  ['A="a\\tb\\nc\\"d\\\\e\\x"\n', { A: 'a\tb\nc"d\\e\\x' }],
  ['A="two\nlines"\nB=1\n', { A: "two\nlines", B: "1" }],
  ['A="open\nB=1\n', { B: "1" }],
  ["=1\nB=2\n", { B: "2" }],
  ["A=1 2 3\n", { A: "1 2 3" }],
  ["'A B'=1\n", { "A B": "1" }],
  ["A='x' y\nB=1\n", { B: "1" }],
  [`A=1\nB=\${A}2\nC='\${B}'\nD=\${NO}x\${NO:-y}\n`, { A: "1", B: "12", C: "12", D: "xy" }],
  [`PATH=/x:\${PATH}\nH=$HOME\n`, { PATH: "/x:/bin", H: "$HOME" }],
  ["\uFEFFA=1\n", { A: "1" }],
  ["A=\u00a01\u0085\n", { A: "1" }],
];

test("resolveEnvFile() gives what Hermes would load", () => {
  for (const [text, expected] of files) expect([text, variables(text, { PATH: "/bin" })]).toEqual([text, expected]);
});

test("parseEnvFile() names the lines that it skips", () => {
  expect(parseEnvFile("A=1\n\n=2\n'x\nB=\"\n", "/h/.env").badLines).toEqual([3, 4, 5]);
});

test("parseEnvFile() refuses a NUL character and says in which line", () => {
  expect(() => parseEnvFile("A=1\r\nB=2\rC=\0\n", "/h/.env")).toThrow(
    new EnvFileError("/h/.env", 3, "a NUL character is in it, expected text only"),
  );
  expect(new EnvFileError("/h/.env", 3, "x").message).toBe('Cannot read variables "/h/.env" at line 3: x');
});

test("parseEnvFile() reads UTF-16 with a mark, and Latin-1 where it is no UTF-8", () => {
  const read = (bytes: Uint8Array) => resolveEnvFile(parseEnvFile(bytes, "/h/.env"), {});
  expect(read(Buffer.from("\uFEFFA=é\n", "utf16le"))).toEqual({ A: "é" });
  expect(read(Buffer.from("\uFEFFA=é\n", "utf16le").swap16())).toEqual({ A: "é" });
  expect(read(Buffer.from("A=\x80é\n", "latin1"))).toEqual({ A: "\x80é" });
  expect(read(Buffer.from("\uFEFFA=é\n", "utf8"))).toEqual({ A: "é" });
});
