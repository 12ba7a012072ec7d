import { expect, test } from "vitest";
import { fireClaimLifeMs } from "../../src/core/claim-life.ts";
import { createClockSteps } from "../../src/daemon/clock-steps.ts";
import type { Processes } from "../../src/system/processes.ts";
import { createFakeClock } from "../helpers/fake-clock.ts";
import { at, claimBy } from "../helpers/sample-job.ts";

const dayMs = 86_400_000;

/** What every daemon of one host finds: its clock and its ledger. */
function host() {
  const clock = createFakeClock(at("10:00:30"));
  const notes = new Map<string, string>();
  const system = { ...clock, wait: clock.pass, after: () => ({ cancel: () => undefined }) };
  const ledger = {
    note: (key: string) => notes.get(key) ?? null,
    setNote: (key: string, value: string | null) => void notes.set(key, value ?? ""),
  };
  const start = (bootId = "boot-1") =>
    createClockSteps({ clock: system, processes: { bootId: () => bootId } as Processes }, ledger);
  return { clock, start };
}

const claim = claimBy("host:1", at("10:00:00"));

test.each([dayMs, -3_600_000])(
  "createClockSteps() knows of a clock that was set by %i ms while no daemon saw it, for as long as a claim lives",
  (byMs) => {
    const { clock, start } = host();
    start();
    clock.setWall(clock.nowMs() + byMs);
    const next = start();
    expect([next.stands(claim), next.take()]).toEqual([true, 0]);
    // Also the one after that, and one that starts when it is over.
    expect(start().stands(claim)).toBe(true);
    clock.pass(fireClaimLifeMs);
    expect(start().stands(claim)).toBe(false);
  },
);

test("createClockSteps() compares no clocks of two starts of the machine", () => {
  const { clock, start } = host();
  start();
  clock.setWall(clock.nowMs() + dayMs);
  expect(start("boot-2").stands(claim)).toBe(false);
});

test("createClockSteps() hands on what it saw, by the clock as it is now", () => {
  const { clock, start } = host();
  const first = start();
  clock.setWall(clock.nowMs() + dayMs);
  expect(first.take()).toBe(dayMs);
  clock.setWall(clock.nowMs() + dayMs);
  expect(start().stands(claim)).toBe(true);
});
