import { expect, test } from "vitest";
import { createChildTable } from "../../src/child/child-table.ts";
import type { LimitWatch } from "../../src/child/limit-runs.ts";
import type { RunStopper } from "../../src/child/stop-run.ts";
import { InvariantError } from "../../src/core/invariant-error.ts";
import type { Run } from "../../src/core/run.ts";
import type { DaemonParts } from "../../src/daemon/daemon-parts.ts";
import type { EndedRuns } from "../../src/daemon/ended-runs.ts";
import type { HomeRuntime } from "../../src/daemon/home-runtime.ts";
import { createLeftRuns } from "../../src/daemon/left-runs.ts";
import { createFakeClock } from "../helpers/fake-clock.ts";

const runOf = (id: string): Run =>
  ({ id, home: id, jobId: "job", state: "running", fingerprint: { bootId: "boot" } }) as unknown as Run;

test("recover() goes on to the runs of other homes when one cannot be decided, and looks at that one again", async () => {
  const [adopted, said]: [string[], unknown[]] = [[], []];
  let broken = true;
  const clock = createFakeClock(0);
  const note = (message: string, fields: unknown): number => said.push([message, fields]);
  const parts = {
    system: {
      clock,
      files: { stat: (path: string) => (/\/(alive|started|r\d)$/u.test(path) ? {} : null), list: () => [] },
      locks: { tryLock: () => null },
      processes: { bootId: () => "boot", groups: null },
      log: { info: () => {}, warn: note, error: note },
    },
    ledger: {
      openRuns: () => [runOf("r1"), runOf("r2")],
      runIds: () => new Set(),
      run: () => null,
      adopt(id: string) {
        if (broken && id === "r1") throw new InvariantError("Cannot adopt run: it is void");
        adopted.push(id);
      },
    },
    children: createChildTable(),
    stateFolder: "/state",
    settings: { orphans: "adopt" },
  } as unknown as DaemonParts;
  const homes = new Map(
    ["r1", "r2"].map((name) => [
      name,
      {
        name,
        recovering: 0,
        endsFault: null,
        store: { read: () => ({ jobs: [] }) },
        settings: { limits: () => ({}), timeoutMs: () => null },
      },
    ]),
  ) as unknown as ReadonlyMap<string, HomeRuntime>;
  const limits = { start: () => {} } as unknown as LimitWatch;
  const left = createLeftRuns(
    parts,
    () => homes,
    {} as RunStopper,
    limits,
    { has: () => false } as unknown as EndedRuns,
    () => {},
    () => {},
  );

  left.recover(true);
  expect([adopted, homes.get("r1")?.recovering, homes.get("r2")?.recovering]).toEqual([["r2"], 1, 0]);
  expect(said).toEqual([
    ["ends of runs could not be recorded yet", { home: "r1", error: "Cannot adopt run: it is void" }],
  ]);
  broken = false;
  while (adopted.length < 2 && clock.fireNext());
  expect([adopted, homes.get("r1")?.recovering, homes.get("r1")?.endsFault]).toEqual([["r2", "r1"], 0, null]);
  left.halt();
});
