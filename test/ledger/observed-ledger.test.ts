import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import type { SlotLine } from "../../src/core/slot.ts";
import { type LedgerChange, observeLedger } from "../../src/ledger/observed-ledger.ts";
import { createRunLedger, type RunEnd, type RunLedger } from "../../src/ledger/run-ledger.ts";
import { createFiles } from "../../src/system/real-files.ts";
import { sampleRun } from "../helpers/sample-run.ts";

interface Observed {
  readonly ledger: RunLedger;
  /** The same ledger, with nobody looking. */
  readonly plain: RunLedger;
  /** What was told since the last call, in words. */
  told(): readonly string[];
  readonly changes: LedgerChange[];
}

function observed(): Observed {
  const folder = mkdtempSync(join(tmpdir(), "observed-"));
  const plain = createRunLedger({ files: createFiles() }, join(folder, "supervisor.db"));
  const changes: LedgerChange[] = [];
  let read = 0;
  const ledger = observeLedger(plain, (made) => changes.push(...made));
  onTestFinished(() => {
    plain.dispose();
    rmSync(folder, { recursive: true });
  });
  return {
    ledger,
    plain,
    changes,
    told() {
      const words = changes
        .slice(read)
        .map((change) =>
          "slot" in change
            ? `${change.kind} ${change.slot.decision} ${change.slot.runId}`
            : `${change.kind} ${change.run.id} ${change.run.state} ${change.run.reason}`,
        );
      read = changes.length;
      return words;
    },
  };
}

const end: RunEnd = {
  state: "failed",
  reason: "exit",
  exitCode: 1,
  signal: null,
  error: "no",
  endedAtMs: 3000,
  outputBytes: 5,
  outputPath: null,
  documentPath: null,
};
const line = (more: Partial<SlotLine> = {}): SlotLine =>
  ({
    jobId: "j",
    scheduledAtMs: 1000,
    runId: "r1",
    decidedAtMs: 1001,
    latenessMs: 1,
    decision: "run",
    reason: "on_time",
    ...more,
  }) as SlotLine;

test("each step of a run is told as the ledger then has it", () => {
  const { ledger, plain, changes, told } = observed();
  ledger.claim([{ ...sampleRun("r1", "default", "j"), outputPath: "/out" }]);
  ledger.start("r1", 2000);
  ledger.adopt("r1");
  expect(told()).toEqual(["claimed r1 claimed null", "started r1 running null", "adopted r1 running null"]);
  expect(ledger.close("r1", end)).toBe(true);
  const last = changes.at(-1);
  expect(last?.kind === "ended" ? last.run : null).toEqual(plain.run("r1"));
  // The first end is the one that counts.
  expect(ledger.close("r1", { ...end, state: "completed", reason: null })).toBe(false);
  ledger.supersede("r1");
  expect(told()).toEqual(["ended r1 failed exit", "superseded r1 failed superseded"]);
});

test("a run that an earlier daemon began is told as well", () => {
  const { ledger, plain, told } = observed();
  plain.claim([sampleRun("r1", "default", "j")]);
  plain.start("r1", 2000);
  ledger.close("r1", { ...end, reason: "orphaned" });
  expect(told()).toEqual(["ended r1 failed orphaned"]);
});

test("nothing is told before it is in force, and nothing of what was taken back", () => {
  const { ledger, told } = observed();
  const write = (id: string) => (): void => {
    ledger.claim([sampleRun(id, "default", "j")]);
    ledger.writeSlots("default", [line()]);
  };
  const staged = ledger.stage(write("r1"));
  expect(told()).toEqual([]);
  staged.rollback();
  staged.rollback();
  expect(told()).toEqual([]);
  const again = ledger.stage(write("r2"));
  again.commit();
  again.rollback();
  expect(told()).toEqual([]);
  ledger.sync();
  ledger.sync();
  expect(told()).toEqual(["claimed r2 claimed null", "slot run r1"]);
  expect(() =>
    ledger.transaction(() => {
      write("r3")();
      throw new Error("no room");
    }),
  ).toThrow("no room");
  ledger.transaction(() => {
    ledger.transaction(() => ledger.start("r2", 2000));
    expect(told()).toEqual([]);
  });
  expect(told()).toEqual(["started r2 running null"]);
});

test("what is in force and was never synced by itself is told before what comes upon it", () => {
  const { ledger, told } = observed();
  const staged = ledger.stage(() => {
    ledger.claim([sampleRun("r1", "default", "j")]);
    ledger.writeSlots("default", [line()]);
  });
  staged.commit();
  staged.rollback();
  ledger.close("r1", { ...end, state: "void", reason: "not_started" });
  expect(told()).toEqual(["claimed r1 claimed null", "slot run r1", "ended r1 void not_started"]);
  ledger.sync();
  expect(told()).toEqual([]);
});

test("a second line for an instant that changes nothing is not told", () => {
  const { ledger, told } = observed();
  ledger.writeSlots("default", [line({ decision: "pending", reason: "capacity", runId: null } as Partial<SlotLine>)]);
  ledger.writeSlots("default", [line(), line({ decision: "skip", reason: "overlap" } as Partial<SlotLine>)]);
  expect(told()).toEqual(["slot pending null", "slot run r1"]);
});

test("a slot that is passed on to another attempt is told, and is no new decision", () => {
  const { ledger, told } = observed();
  ledger.claim([sampleRun("r1", "default", "j")]);
  ledger.writeSlots("default", [line()]);
  ledger.close("r1", end);
  ledger.planRetry({
    runId: "r1",
    home: "default",
    jobId: "j",
    attempt: 2,
    scheduledAtMs: 1000,
    failedAtMs: 3000,
    dueAtMs: 4000,
    editKey: "",
    state: "waiting",
    reason: null,
  });
  told();
  ledger.startRetry("r1", "r2");
  expect(told()).toEqual(["passed_on run r2"]);
});
