import { expect, test } from "vitest";
import { createHoldWatch } from "./lock-probe.ts";

/** Probes of 0.1 ms, one each ms, from 10 on. `x` is busy. */
function seen(pattern: string) {
  const watch = createHoldWatch();
  for (const [index, letter] of [...pattern].entries()) {
    watch.see({ beganMs: 10 + index, endedMs: 10.125 + index, busy: letter === "x" });
  }
  return watch.holds;
}

test("createHoldWatch() bounds a hold by the probes inside it and those around it", () => {
  expect(seen(".xxx..x.")).toEqual([
    { atMs: 11.125, atLeastMs: 1.875, atMostMs: 4.125 },
    { atMs: 16.125, atLeastMs: 0, atMostMs: 2.125 },
  ]);
});

test("createHoldWatch() leaves out a hold whose beginning or end it did not see", () => {
  expect(seen("xx..xx")).toEqual([]);
});
