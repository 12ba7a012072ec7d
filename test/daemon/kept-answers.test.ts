import { expect, test } from "vitest";
import { createKeptAnswers, keptWhile } from "../../src/daemon/kept-answers.ts";
import { type Answer, problem } from "../../src/status/control-actions.ts";

function text(body: unknown): unknown {
  return { status: 200, type: "application/json", text: `${JSON.stringify(body)}\n` };
}

test("createKeptAnswers() makes an answer once for as long as nothing is written", () => {
  let version = "1";
  const made: string[] = [];
  const ask = createKeptAnswers(() => version);
  const answer = (question: string): unknown =>
    ask(question, () => {
      made.push(`${question} at ${version}`);
      return { status: 200, body: { question, version } };
    });
  expect(answer("runs")).toEqual(text({ question: "runs", version: "1" }));
  expect(answer("runs")).toEqual(text({ question: "runs", version: "1" }));
  expect(answer("slots")).toEqual(text({ question: "slots", version: "1" }));
  version = "2";
  expect(answer("runs")).toEqual(text({ question: "runs", version: "2" }));
  expect(made).toEqual(["runs at 1", "slots at 1", "runs at 2"]);
});

test("keptWhile() makes a value again when something was written", () => {
  let version = "1";
  let made = 0;
  const value = keptWhile(
    () => version,
    () => (made += 1),
  );
  expect([value(), value()]).toEqual([1, 1]);
  version = "2";
  expect([value(), value()]).toEqual([2, 2]);
});

test("createKeptAnswers() keeps no refusal, no large answer and not many", () => {
  const ask = createKeptAnswers(() => "1");
  let made = 0;
  const count = (question: string, answer: Answer): number => {
    const before = made;
    ask(question, () => {
      made += 1;
      return answer;
    });
    return made - before;
  };
  const small = { status: 200, body: 1 };
  const large = { status: 200, body: "x".repeat(128 * 1024) };
  expect([count("a", problem(400, "no")), count("a", problem(400, "no"))]).toEqual([1, 1]);
  expect([count("b", large), count("b", large)]).toEqual([1, 1]);
  expect([count("c", small), count("c", small)]).toEqual([1, 0]);
  for (let index = 0; index < 16; index += 1) count(`other ${index}`, small);
  expect([count("other 15", small), count("c", small)]).toEqual([0, 1]);
});
