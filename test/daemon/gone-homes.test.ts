import { expect, test } from "vitest";
import { createChildTable } from "../../src/child/child-table.ts";
import { createGoneHomes } from "../../src/daemon/gone-homes.ts";
import { createFakeClock } from "../helpers/fake-clock.ts";

test("what a home left is seen to a second after it went, though timers fire early", () => {
  const clock = createFakeClock(0);
  const beganMs = clock.monotonicMs();
  const early = { ...clock, after: (ms: number, act: () => void) => clock.after(ms > 5 ? ms - 5 : ms, act) };
  const children = createChildTable();
  children.add({ runId: "r1", home: "gone", jobId: "a1", overAtMs: null, limits: { stopGraceMs: 0 } } as never);
  const ledger = {
    homesWithRetries: () => [],
    homesWithPending: () => [],
    waitingRetries: () => new Map(),
    pendingSlots: () => [],
  };
  const stopped: string[] = [];
  const parts = {
    system: { clock: early, log: { warn: () => {} } },
    ledger,
    children,
    settings: { onHomeRemoved: "stop" },
  };
  const gone = createGoneHomes(
    parts as never,
    () => new Map(),
    { stop: async (child) => void stopped.push(`${child.runId} after ${clock.monotonicMs() - beganMs} ms`) },
    { forgetHome: () => {} },
    () => gone.look(),
  );
  gone.look();
  for (let timers = 0; timers < 10 && clock.nextMs() !== null; timers++) clock.fireNext();
  expect(stopped).toEqual(["r1 after 1000 ms"]);
});
