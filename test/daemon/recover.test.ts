import { expect, test } from "vitest";
import type { DaemonParts } from "../../src/daemon/daemon-parts.ts";
import { knownEnd, orphanEnd } from "../../src/daemon/recover.ts";
import { createFakeClock } from "../helpers/fake-clock.ts";
import { createFakeFiles } from "../helpers/fake-files.ts";
import { sampleRun } from "../helpers/sample-run.ts";

test("a run that the ledger knows to be over ended when the ledger says, wherever its end is looked for again", () => {
  const clock = createFakeClock(50_000);
  const files = createFakeFiles(clock.nowMs);
  files.makeFolder("/state/runs/r1", 0o700, true);
  const parts = { system: { clock, files }, stateFolder: "/state" } as unknown as DaemonParts;
  const open = sampleRun("r1", "default", "j");
  const closed = { ...open, state: "failed", reason: "exit", endedAtMs: 50_003.5 } as const;
  clock.pass(60_000);
  expect(orphanEnd(parts, open).endedAtMs).toBe(110_000);
  expect(orphanEnd(parts, closed).endedAtMs).toBe(50_003.5);
  clock.setWall(50_000);
  files.plant("/state/runs/r1/exit", "1\n");
  clock.setWall(110_000);
  expect(knownEnd(parts, open)?.endedAtMs).toBe(50_000);
  expect(knownEnd(parts, closed)?.endedAtMs).toBe(50_003.5);
});
