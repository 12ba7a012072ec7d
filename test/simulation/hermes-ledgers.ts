import { DatabaseSync } from "node:sqlite";
import { threadId } from "node:worker_threads";
import type { OpenExecutions } from "../../src/ledger/hermes-executions.ts";
import { executionsSchemas } from "../helpers/executions-schemas.ts";
import type { Draw } from "../helpers/fake-random.ts";
import type { Life } from "../helpers/fake-system.ts";

/** A row of Hermes' own ledger, as far as a law speaks of it. */
export interface HermesRow {
  readonly id: string;
  readonly job_id: string;
  readonly status: string;
}

/** Hermes' own ledgers of one host: real ones, in memory, that outlive every daemon. */
export interface HermesLedgers {
  /** Makes that of the home whose ledger has this path. */
  make(path: string): void;
  rows(path: string): readonly HermesRow[];
  /** As a daemon opens it: it can be stopped before each transaction begins and before it is committed, or find it locked. */
  openAs(life: Life, draw: Draw): OpenExecutions;
  dispose(): void;
}

interface Keeper {
  readonly name: string;
  readonly database: DatabaseSync;
  /** How often it was found locked since it was last begun upon. */
  lockedInRow: number;
}

let made = 0;
/** More tries in a row than these would find it locked for longer than the laws wait for a row. */
const lockedMax = 3;

export function createHermesLedgers(): HermesLedgers {
  /** By path. Each keeps its memory as long as it is open. */
  const keepers = new Map<string, Keeper>();

  function keeperOf(path: string): Keeper {
    const keeper = keepers.get(path);
    if (keeper === undefined) throw new Error(`Cannot open "${path}": there is no such ledger`);
    return keeper;
  }

  return {
    make(path) {
      // The memory of one name is shared by all threads of a process.
      const name = `file:hermes-ledger-${threadId}-${made++}?mode=memory&cache=shared`;
      const database = new DatabaseSync(name);
      database.exec(executionsSchemas["0.22"]);
      keepers.set(path, { name, database, lockedInRow: 0 });
    },
    rows: (path) =>
      keeperOf(path).database.prepare("SELECT id, job_id, status FROM executions").all() as unknown as HermesRow[],
    openAs: (life, draw) => (path) => {
      life.pass(`executions: open ${path}`);
      const keeper = keeperOf(path);
      const database = new DatabaseSync(keeper.name);
      const exec = database.exec.bind(database);
      database.exec = (text) => {
        life.pass(`executions: ${text.slice(0, 50)}`);
        if (text.includes("BEGIN")) {
          keeper.lockedInRow = draw.chance(0.05) && keeper.lockedInRow < lockedMax ? keeper.lockedInRow + 1 : 0;
          if (keeper.lockedInRow > 0) throw Object.assign(new Error("database is locked"), { errcode: 5 });
        }
        exec(text);
      };
      return database;
    },
    dispose() {
      for (const { database } of keepers.values()) database.close();
    },
  };
}
