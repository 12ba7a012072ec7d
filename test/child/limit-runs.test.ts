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
