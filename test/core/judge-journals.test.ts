import { expect, test } from "vitest";
import { judgeJournal, parseJournal } from "../../src/core/judge-journals.ts";
import type { Run } from "../../src/core/run.ts";
import type { RunState } from "../../src/core/run-states.ts";

function runs(states: Readonly<Record<string, RunState>>): readonly Run[] {
  return Object.entries(states).map(([id, state]) => ({ id, state }) as Run);
}

const cases: readonly (readonly [string, string, Readonly<Record<string, RunState>>, readonly string[]])[] = [
  ["all agrees", "start a\nend a\nstart b\nend b\n", { a: "completed", b: "failed" }, []],
  ["a killed run has no end", "start a\nstart b\nend b\n", { a: "failed", b: "completed" }, []],
  ["a void run never started", "", { a: "void" }, []],
  ["a void run started", "start a\n", { a: "void" }, ['Run "a" started, and is recorded as void']],
  ["a run is in no history", "start a\n", {}, ['Run "a" started, and the history has no such run']],
  ["a run started twice", "start a\nstart a\n", { a: "failed" }, ['Run "a" started twice']],
  [
    "a run overlaps the one before it",
    "start a\nstart b\nend a\nend b\n",
    { a: "completed", b: "completed" },
    ['Run "b" started before run "a" of the same job had ended'],
  ],
  ["a success never started", "", { a: "completed" }, ['Run "a" is recorded as completed, and never started']],
  [
    "a success never came to its end",
    "start a\n",
    { a: "completed" },
    ['Run "a" is recorded as completed, and did not come to its end'],
  ],
];

test.each(cases)("judgeJournal() tells when %s", (_, text, states, found) => {
  expect(judgeJournal(parseJournal(text), runs(states))).toEqual(found);
});

test("parseJournal() leaves out what is no line of its own", () => {
  expect(parseJournal("start a\n\nended b\nend\nend a")).toEqual([
    { event: "start", runId: "a" },
    { event: "end", runId: "a" },
  ]);
});
