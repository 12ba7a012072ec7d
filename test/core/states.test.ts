import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { nextRunState, type RunEvent, type RunState, runStates } from "../../src/core/run-states.ts";
import { nextStopMove, type StopEvent, type StopState, stopLadder } from "../../src/core/stop-ladder.ts";
import { stateDocuments } from "../helpers/state-documents.ts";

const runEvents: readonly RunEvent[] = ["start", "adopt", "void", "complete", "fail"];
const stopEvents: readonly StopEvent[] = [
  "stop",
  "stop_now",
  "leader_ended",
  "grace_over",
  "found_asked",
  "found",
  "found_nobody",
  "bound_reached",
];

test("docs/states.md is what the tables print", () => {
  for (const [file, content] of stateDocuments()) {
    expect(
      readFileSync(new URL(`../../${file}`, import.meta.url), "utf8"),
      `${file}: run node test/write-state-documents.ts`,
    ).toBe(content);
  }
});

test("nextRunState() makes each move of the table and throws at every other", () => {
  for (const [state, moves] of Object.entries(runStates) as [RunState, (typeof runStates)[RunState]][]) {
    const legal = Object.keys(moves).join(", ");
    for (const event of runEvents) {
      const next = moves[event];
      if (next !== undefined) expect(nextRunState("r1", state, event)).toBe(next);
      else {
        expect(() => nextRunState("r1", state, event)).toThrow(
          `Cannot ${event} run "r1": it is ${state}, legal then are [${legal}]`,
        );
      }
    }
  }
});

test("a run that is over never moves again, and none is completed that was not started", () => {
  for (const state of ["completed", "failed", "void"] as const) {
    expect([...new Set(Object.values(runStates[state]))]).toEqual([state]);
  }
  const before = (Object.keys(runStates) as RunState[]).filter((state) => runStates[state].complete === "completed");
  expect(before).toEqual(["running", "completed"]);
});

test("nextStopMove() makes each move of the ladder and throws at every other", () => {
  for (const [state, moves] of Object.entries(stopLadder) as [StopState, (typeof stopLadder)[StopState]][]) {
    const legal = Object.keys(moves).join(", ");
    for (const event of stopEvents) {
      const move = moves[event];
      if (move !== undefined) expect(nextStopMove("r1", state, event)).toBe(move);
      else {
        expect(() => nextStopMove("r1", state, event)).toThrow(
          `Cannot end run "r1": ${event} came while ${state}, legal then are [${legal}]`,
        );
      }
    }
  }
});

test("each state of the stop ladder waits for something, and the run is empty only after two looks found nobody", () => {
  const waits = (state: StopState, event: StopEvent): readonly string[] => stopLadder[state][event]?.actions ?? [];
  for (const [state, moves] of Object.entries(stopLadder) as [StopState, (typeof stopLadder)[StopState]][]) {
    for (const [event, move] of Object.entries(moves) as [StopEvent, NonNullable<(typeof moves)[StopEvent]>][]) {
      if (move.state === state || move.state === "empty") continue;
      // Without an action that brings another event the ladder would stand still here.
      expect([`${state} ${event}`, waits(state, event).some((action) => /^(?:ask|look)/.test(action))]).toEqual([
        `${state} ${event}`,
        !(state === "asking" && move.state === "asking"),
      ]);
    }
    const toEmpty = Object.entries(moves).filter(([, move]) => move.state === "empty" && state !== "empty");
    expect(toEmpty.map(([event]) => event)).toEqual(state === "confirming" ? ["found_nobody"] : []);
  }
});
