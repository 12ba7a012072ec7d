import { expect, test } from "vitest";
import { allAtOnce, type Work } from "../../src/core/work.ts";
import { createPieces } from "../../src/daemon/pieces.ts";
import { createFakeClock, type FakeClock } from "../helpers/fake-clock.ts";

/** Takes a millisecond for each step. */
function* steps(clock: FakeClock, name: string, count: number, done: string[]): Work<string> {
  for (let step = 1; step <= count; step += 1) {
    clock.pass(1);
    done.push(`${name}${step}`);
    yield;
  }
  return name;
}

test("createPieces() does what is short at once, and long work in pieces between which timers fire", async () => {
  const clock = createFakeClock(0);
  const pieces = createPieces(clock);
  const done: string[] = [];
  const results: string[] = [];
  pieces.start(
    steps(clock, "short", 1, done),
    (result) => results.push(result),
    () => undefined,
  );
  expect([done.splice(0), results.splice(0)]).toEqual([["short1"], ["short"]]);
  const long = pieces.run(steps(clock, "long", 5, done));
  clock.after(0, () => done.push("timer"));
  expect(done).toEqual(["long1", "long2"]);
  while (clock.fireNext());
  expect(done).toEqual(["long1", "long2", "long3", "long4", "timer", "long5"]);
  expect(await long).toBe("long");
});

test("createPieces() does one piece at a time, however many have work, and each in its turn", async () => {
  const clock = createFakeClock(0);
  const pieces = createPieces(clock);
  const done: string[] = [];
  const works = ["a", "b"].map((name) => pieces.run(steps(clock, name, 4, done)));
  works.push(pieces.pause().then(() => "paused"));
  expect(done).toEqual(["a1", "a2"]);
  const perTurn: string[][] = [];
  for (done.splice(0); clock.fireNext(); ) perTurn.push(done.splice(0));
  expect(perTurn).toEqual([["a3", "a4"], ["b1", "b2"], [], [], ["b3", "b4"], []]);
  expect(await Promise.all(works)).toEqual(["a", "b", "paused"]);
});

test("createPieces() hands on what goes wrong, and goes on with the others", async () => {
  const clock = createFakeClock(0);
  const pieces = createPieces(clock);
  function* broken(): Work<never> {
    clock.pass(2);
    yield;
    throw new Error("torn");
  }
  const done: string[] = [];
  const works = [pieces.run(broken()), pieces.run(steps(clock, "good", 1, done))];
  while (clock.fireNext());
  expect(await Promise.allSettled(works)).toEqual([
    { status: "rejected", reason: new Error("torn") },
    { status: "fulfilled", value: "good" },
  ]);
});

test("createPieces() gives up what nobody waits for any more", async () => {
  const clock = createFakeClock(0);
  const pieces = createPieces(clock);
  const done: string[] = [];
  let isGone = false;
  const left = pieces.run(steps(clock, "left", 9, done), () => isGone);
  const kept = pieces.run(steps(clock, "kept", 3, done));
  isGone = true;
  while (clock.fireNext());
  await expect(left).rejects.toThrow("Nobody waits for this any more");
  expect([await kept, done]).toEqual(["kept", ["left1", "left2", "kept1", "kept2", "kept3"]]);
});

test("allAtOnce() does all of it", () => {
  const clock = createFakeClock(0);
  const done: string[] = [];
  expect(allAtOnce(steps(clock, "x", 3, done))).toBe("x");
  expect(done).toEqual(["x1", "x2", "x3"]);
});
