import { execFileSync } from "node:child_process";
import { expect, test } from "vitest";
import { parseScriptStart, plainPython, startedPython } from "../../src/homes/script-python.ts";

const text =
  'import sys, os\nprint(*map(os.fsencode, sys.argv[1:]), os.environb[b"NAMED"] == "☕".encode(), ascii("→ 🐍"))\n';
const start = { words: ["/venv/bin/python", "-c", text, "/src/naïve"], variables: { NAMED: "☕" } };

test("startedPython() starts a script by one word as Hermes does by several, in any locale", () => {
  const python = startedPython(start);
  expect(python?.program).toBe("/venv/bin/python");
  const argument = python?.argument("/h/scripts/it's 🐍 \n.py") ?? "";
  expect(argument).toMatch(/^[\x20-\x7e]+$/u);
  const environment = { PATH: process.env["PATH"], LC_ALL: "C", PYTHONUTF8: "0", PYTHONIOENCODING: "utf-8" };
  expect(execFileSync("python3", [argument], { encoding: "utf8", env: environment })).toBe(
    `b'/src/na\\xc3\\xafve' b"/h/scripts/it's \\xf0\\x9f\\x90\\x8d \\n.py" True '\\u2192 \\U0001f40d'\n`,
  );
});

test("startedPython() knows no other start, and then the interpreter alone is taken", () => {
  for (const words of [[], ["python"], ["python", "-m", "runner", "/src"], ["python", "-c"]])
    expect(startedPython({ words, variables: {} })).toBeNull();
  expect(plainPython("/usr/bin/python3").argument("/a b.py")).toBe("/a b.py");
});

test("parseScriptStart() reads what the worker says, and nothing else", () => {
  expect(parseScriptStart(start)).toEqual(start);
  expect(parseScriptStart({ words: ["a"], variables: { A: 1, B: "2" } })).toEqual({
    words: ["a"],
    variables: { B: "2" },
  });
  for (const value of [null, undefined, "python", {}, { words: "python" }, { words: [1] }])
    expect(parseScriptStart(value)).toBeNull();
});
