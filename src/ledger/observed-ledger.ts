import type { Run } from "../core/run.ts";
import type { RunLedger } from "./run-ledger.ts";
import type { LedgerSlot } from "./slots.ts";

/** What was written to the ledger and is in force. */
export type LedgerChange =
  /** `run` is how it stands after it. */
  | { readonly kind: "claimed" | "started" | "adopted" | "ended" | "superseded"; readonly run: Run }
  | { readonly kind: "slot"; readonly slot: LedgerSlot }
  /** What was decided before, and names the run of another attempt now. */
  | { readonly kind: "passed_on"; readonly slot: LedgerSlot };

type RunChange = Extract<LedgerChange, { readonly run: Run }>;

/**
 * The ledger, with a word about each change of a run or a slot once it is durable. `tell` is called where locks may be held: it is
 * to put the changes aside and nothing more.
 */
export function observeLedger(ledger: RunLedger, tell: (changes: readonly LedgerChange[]) => void): RunLedger {
  /** Runs that are open, as far as this program has written about them. */
  const open = new Map<string, Run>();
  let depth = 0;
  let noted: (() => LedgerChange | null)[] = [];
  /** Of transactions that are in force, and told once they are on the disk. */
  let committed: typeof noted = [];

  function flush(): void {
    const changes = [...committed, ...noted].map((make) => make()).filter((change) => change !== null);
    committed = [];
    noted = [];
    if (changes.length > 0) tell(changes);
  }

  function note(make: () => LedgerChange | null): void {
    noted.push(make);
    if (depth === 0) flush();
  }

  /** `make` is called when the change is in force. */
  function noteRun(kind: RunChange["kind"], runId: string, make: (before: Run) => Run): void {
    note(() => {
      const before = open.get(runId) ?? ledger.run(runId);
      if (before === null) return null;
      const run = make(before);
      if (run.state === "claimed" || run.state === "running") open.set(runId, run);
      else open.delete(runId);
      return { kind, run };
    });
  }

  return {
    ...ledger,
    transaction(act) {
      const isOuter = depth === 0;
      depth += 1;
      try {
        const result = ledger.transaction(act);
        depth -= 1;
        if (isOuter) flush();
        return result;
      } catch (error) {
        depth -= 1;
        if (isOuter) noted = [];
        throw error;
      }
    },
    stage(act) {
      depth += 1;
      let own: typeof noted = [];
      let staged: ReturnType<RunLedger["stage"]>;
      try {
        staged = ledger.stage(act);
        own = noted;
      } finally {
        depth -= 1;
        noted = [];
      }
      return {
        commit() {
          staged.commit();
          committed.push(...own);
          own = [];
        },
        rollback() {
          staged.rollback();
          own = [];
        },
      };
    },
    sync() {
      try {
        ledger.sync();
      } finally {
        flush();
      }
    },
    claim(runs) {
      ledger.claim(runs);
      for (const run of runs) {
        note(() => {
          open.set(run.id, run);
          return { kind: "claimed", run };
        });
      }
    },
    start(runId, startedAtMs) {
      ledger.start(runId, startedAtMs);
      noteRun("started", runId, (run) => ({
        ...run,
        state: "running",
        startedAtMs: Math.max(startedAtMs, run.claimedAtMs),
      }));
    },
    adopt(runId) {
      ledger.adopt(runId);
      noteRun("adopted", runId, (run) => ({ ...run, adopted: true }));
    },
    close(runId, end) {
      const isClosed = ledger.close(runId, end);
      if (isClosed) {
        noteRun("ended", runId, (run) => ({
          ...run,
          ...end,
          endedAtMs: Math.max(end.endedAtMs, run.startedAtMs ?? run.claimedAtMs),
          outputPath: end.outputPath ?? run.outputPath,
        }));
      }
      return isClosed;
    },
    supersede(runId) {
      ledger.supersede(runId);
      noteRun("superseded", runId, (run) => run);
    },
    startRetry(runId, nextRunId) {
      const passed = ledger.startRetry(runId, nextRunId);
      for (const slot of passed) note(() => ({ kind: "passed_on", slot }));
      return passed;
    },
    writeSlots(home, lines) {
      const written = ledger.writeSlots(home, lines);
      for (const line of written) note(() => ({ kind: "slot", slot: { ...line, home } }));
      return written;
    },
  };
}
