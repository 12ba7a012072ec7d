import { expect, test } from "vitest";
import { type Child, createChildTable } from "../../src/child/child-table.ts";
import type { LimitWatch } from "../../src/child/limit-runs.ts";
import type { RunStopper } from "../../src/child/stop-run.ts";
import { InvariantError } from "../../src/core/invariant-error.ts";
import type { Run } from "../../src/core/run.ts";
import type { DaemonParts } from "../../src/daemon/daemon-parts.ts";
import type { EndedRuns } from "../../src/daemon/ended-runs.ts";
import type { HomeRuntime } from "../../src/daemon/home-runtime.ts";
import { createLeftRuns } from "../../src/daemon/left-runs.ts";
import { createFakeClock } from "../helpers/fake-clock.ts";

const runOf = (id: string, state: Run["state"] = "running"): Run =>
  ({ id, home: id, jobId: "job", state, fingerprint: { bootId: "boot", pid: 1 } }) as unknown as Run;

/** Runs of as many homes, and what of each is on the disk. */
interface Left {
  readonly runs: readonly Run[];
  isThere(path: string): boolean;
  readonly ledger: Readonly<Record<string, unknown>>;
}

function leftRunsOf({ runs, isThere, ledger }: Left) {
  const [said, swept]: [unknown[], string[]] = [[], []];
  const clock = createFakeClock(0);
  const note = (message: string, fields: unknown): number => said.push([message, fields]);
  const parts = {
    system: {
      clock,
      files: { stat: (path: string) => (isThere(path) ? {} : null), list: () => [] },
      locks: { tryLock: () => null },
      processes: { bootId: () => "boot", groups: null, fingerprint: () => null },
      log: { info: () => {}, warn: note, error: note },
    },
    ledger: { openRuns: () => runs, runIds: () => new Set(), ...ledger },
    children: createChildTable(),
    stateFolder: "/state",
    settings: { orphans: "adopt" },
  } as unknown as DaemonParts;
  const homes = new Map(
    runs.map(({ home: name }) => [
      name,
      {
        name,
        recovering: 0,
        endsFault: null,
        restored: new Map(),
        store: { read: () => ({ jobs: [] }) },
        settings: { limits: () => ({}), timeoutMs: () => null },
      },
    ]),
  ) as unknown as ReadonlyMap<string, HomeRuntime>;
  const left = createLeftRuns(
    parts,
    () => homes,
    {} as RunStopper,
    { start: () => {} } as unknown as LimitWatch,
    { has: () => false, sweep: (child: Child) => swept.push(child.runId) } as unknown as EndedRuns,
    () => {},
    () => {},
  );
  return { clock, homes, left, said, swept };
}

test("recover() goes on to the runs of other homes when one cannot be decided, and looks at that one again", async () => {
  const adopted: string[] = [];
  let broken = true;
  const { clock, homes, left, said } = leftRunsOf({
    runs: [runOf("r1"), runOf("r2")],
    isThere: (path) => /\/(alive|started|r\d)$/u.test(path),
    ledger: {
      run: () => null,
      adopt(id: string) {
        if (broken && id === "r1") throw new InvariantError("Cannot adopt run: it is void");
        adopted.push(id);
      },
    },
  });

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

test("recover() calls no run orphaned that waits to be called void, while it polls the runs that it has adopted", () => {
  const runs = [runOf("r1", "claimed"), runOf("r2")];
  const { clock, left, swept } = leftRunsOf({
    runs,
    // Of r1 the launcher is gone and its gate never opened; r2 goes on.
    isThere: (path) => /\/r\d$|r2\/(alive|started)$/u.test(path),
    ledger: {
      run: (id: string) => runs.find((run) => run.id === id) ?? null,
      adopt: () => undefined,
      transaction() {
        throw new Error("database or disk is full");
      },
    },
  });

  left.recover(true);
  while (clock.monotonicMs() < 1_005_000 && clock.fireNext());
  // The PID of r2 is nobody's any more.
  expect(swept).toEqual(["r2"]);
  left.halt();
});
