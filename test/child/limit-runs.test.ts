import { expect, test } from "vitest";
import { type Child, createChildTable } from "../../src/child/child-table.ts";
import { createLimitWatch } from "../../src/child/limit-runs.ts";
import { createFakeClock } from "../helpers/fake-clock.ts";

test("a run that is over is held to no limit while its end waits to be recorded", async () => {
  const clock = createFakeClock(0);
  const children = createChildTable();
  const limits = { idleTimeoutMs: 1000, memoryBytesMax: 1, outputBytesMax: 10, outputMaxAction: "stop" };
  for (const [runId, overAtMs] of Object.entries({ over: 0, open: null }))
    children.add({ runId, overAtMs, cause: null, limits } as Child);
  const stopped: string[] = [];
  const watch = createLimitWatch({ clock, files: { stat: () => ({ sizeBytes: 0 }) } } as never, children, "/state", {
    stop: (child, cause) => void stopped.push(`${child.runId} ${cause.reason}`),
    memoryBytes: async (measured) => new Map(measured.map(({ runId }) => [runId, 2])),
  });
  watch.start();
  for (let looks = 0; looks < 8; looks++) {
    clock.fireNext();
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(new Set(stopped)).toEqual(new Set(["open memory_limit", "open idle_timeout"]));
});

test("many runs are looked at in a few turns, and one that is gone by its turn is not", () => {
  const clock = createFakeClock(0);
  const children = createChildTable();
  const limits = { idleTimeoutMs: null, memoryBytesMax: null, outputBytesMax: 10, outputMaxAction: "stop" };
  const runIds = Array.from({ length: 25 }, (_, index) => `run ${index}`);
  for (const runId of runIds) children.add({ runId, overAtMs: null, cause: null, limits } as unknown as Child);
  const stopped: string[] = [];
  const watch = createLimitWatch({ clock, files: { stat: () => ({ sizeBytes: 20 }) } } as never, children, "/state", {
    stop: (child) => void stopped.push(child.runId),
    memoryBytes: async () => new Map(),
  });
  watch.start();
  const beganMs = clock.monotonicMs();
  clock.fireNext();
  expect(stopped).toEqual(runIds.slice(0, 10));
  children.remove("run 24");
  clock.fireNext();
  clock.fireNext();
  expect([stopped, clock.monotonicMs() - beganMs]).toEqual([runIds.slice(0, 24), 250]);
  clock.fireNext();
  expect([stopped.length, clock.monotonicMs() - beganMs]).toEqual([34, 500]);
});
