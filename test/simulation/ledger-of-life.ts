import type { RunLedger, StagedTransaction } from "../../src/ledger/run-ledger.ts";
import type { Life } from "../helpers/fake-system.ts";

const reads: ReadonlySet<string> = new Set([
  "openRuns",
  "run",
  "runs",
  "runsBeginning",
  "runsOpenAt",
  "runByOwner",
  "runIds",
  "openRequests",
  "request",
  "note",
  "slots",
  "pendingSlots",
  "homesWithPending",
  "isServed",
  "cursors",
  "delivery",
  "openDeliveries",
  "troubledDeliveries",
  "lives",
  "openSpells",
  "spells",
  "runsClaimedBefore",
  "runsBeyond",
  "jobsBehind",
  "lastSeq",
  "outputsBefore",
  "withIdleOutput",
  "runsKeptFromMs",
  "claimedAtMs",
  "oldestReachMs",
  "usedBytes",
  "retry",
  "waitingRetries",
  "homesWithRetries",
  "health",
]);

/**
 * The ledger as one daemon has it: each transaction can be stopped before it begins and before it is committed, which leaves
 * nothing of it, as SQLite does. The database itself outlives the daemon.
 */
export function ledgerOfLife(ledger: RunLedger, life: Life): RunLedger {
  let depth = 0;
  let isUnsynced = false;
  function transaction<Result>(name: string, act: () => Result): Result {
    if (depth > 0) return act();
    life.pass(`ledger: begin ${name}`);
    return ledger.transaction(() => {
      depth = 1;
      try {
        const result = act();
        life.pass(`ledger: commit ${name}`);
        return result;
      } finally {
        depth = 0;
      }
    });
  }
  function stage(act: () => void): StagedTransaction {
    life.pass("ledger: begin");
    const staged = ledger.stage(() => {
      depth = 1;
      try {
        act();
      } finally {
        depth = 0;
      }
    });
    return {
      commit() {
        life.pass("ledger: commit");
        staged.commit();
        isUnsynced = true;
      },
      // What a dead process had begun is taken back by its database.
      rollback: staged.rollback,
    };
  }
  return new Proxy(ledger, {
    get(target, name, receiver) {
      const value: unknown = Reflect.get(target, name, receiver);
      if (typeof value !== "function" || typeof name !== "string") return value;
      if (name === "stage") return stage;
      if (name === "sync") {
        return () => {
          if (isUnsynced) life.pass("ledger: sync");
          isUnsynced = false;
          target.sync();
        };
      }
      if (name === "transaction") return <Result>(act: () => Result) => transaction("", act);
      // The next daemon opens the same database.
      if (name === "dispose") return () => undefined;
      if (reads.has(name)) return value;
      return (...given: readonly unknown[]) => transaction(name, () => Reflect.apply(value, target, given));
    },
  });
}
