import { expect, test } from "vitest";
import type { Run } from "../../src/core/run.ts";
import { attemptProblems, lastAttempt } from "../../src/core/verify-attempts.ts";

function run(id: string, attempt: number, more: Partial<Run> = {}): Run {
  return {
    id,
    home: "default",
    jobId: "a",
    trigger: attempt === 1 ? "schedule" : "retry",
    scheduledAtMs: 1000,
    attempt,
    state: "failed",
    ...more,
  } as Run;
}

function tried(as: string): Pick<Run, "retry"> {
  return { retry: { state: "started", attempt: 2, dueAtMs: 2000, reason: null, runId: as } };
}

const table: readonly (readonly [string, readonly Run[], readonly string[]])[] = [
  ["a failure and its attempt", [run("f", 1, tried("a")), run("a", 2, { state: "completed" })], []],
  [
    "a failure whose attempt waits",
    [run("f", 1, { retry: { ...tried("").retry!, state: "waiting", runId: null } })],
    [],
  ],
  ["a void attempt, then another", [run("v", 2, { state: "void" }), run("f", 1, tried("a")), run("a", 2)], []],
  ["an attempt that nobody asked for", [run("f", 1), run("a", 2)], ["attempt_unasked"]],
  [
    "two attempts of one number",
    [run("f", 1, tried("a")), run("a", 2), run("b", 2)],
    ["attempt_twice", "attempt_unasked"],
  ],
  ["an attempt after a success", [run("f", 1, { ...tried("a"), state: "completed" }), run("a", 2)], ["attempt_unfit"]],
  ["an attempt of another slot", [run("f", 1, { ...tried("a"), scheduledAtMs: 1 }), run("a", 2)], ["attempt_unfit"]],
  ["an attempt that left no row", [run("f", 1, tried("a"))], ["attempt_lost"]],
];

for (const [name, runs, kinds] of table) {
  test(`attemptProblems() judges ${name}`, () => {
    expect(attemptProblems(runs, () => 0).map(({ kind }) => kind)).toEqual(kinds);
  });
}

test("attemptProblems() says nothing of what may have been deleted", () => {
  expect(attemptProblems([run("a", 2)], () => 1001)).toEqual([]);
});

test("lastAttempt() follows the attempts of a run that have begun, and no void one", () => {
  const runs = [
    run("f", 1, tried("a")),
    run("a", 2, { retry: { ...tried("b").retry!, attempt: 3 } }),
    run("b", 3, { state: "completed" }),
    run("g", 1, tried("v")),
    run("v", 2, { state: "void" }),
    run("h", 1, tried("gone")),
    run("loop", 2, tried("loop")),
  ];
  const byId = new Map(runs.map((each) => [each.id, each]));
  expect(runs.map((each) => lastAttempt(each, byId).id)).toEqual(["b", "b", "b", "g", "v", "h", "loop"]);
});
