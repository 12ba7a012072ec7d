import { DatabaseSync, type SQLOutputValue } from "node:sqlite";
import type { Delivery, SeenDelivery } from "../core/delivery.ts";
import type { System } from "../system/system.ts";

/** Hermes' own queue of a home, which gateways from 0.22 on send from. */
export interface HermesDeliveries {
  /** Whether there is a queue of a form that we know. */
  exists(): boolean;
  /** Makes the queue as Hermes would, where a gateway that looks for one has none yet. */
  make(): void;
  put(delivery: Delivery): void;
  look(delivery: Delivery): SeenDelivery;
  /** Takes the row back; false when a gateway was faster. */
  withdraw(delivery: Delivery): boolean;
}

/** What Hermes 0.22 makes at the first use. */
const layout = `
CREATE TABLE IF NOT EXISTS deliveries (
             execution_id TEXT PRIMARY KEY,
             job_json TEXT NOT NULL,
             content TEXT NOT NULL,
             for_failure INTEGER NOT NULL DEFAULT 0,
             status TEXT NOT NULL CHECK(status IN
               ('pending','delivering','delivered','failed','unknown','suppressed')),
             owner_process_id TEXT,
             owner_pid INTEGER,
             owner_started_at INTEGER,
             created_at TEXT NOT NULL,
             finished_at TEXT,
             error TEXT
           );
CREATE TABLE IF NOT EXISTS delivery_tombstones (
             execution_id TEXT PRIMARY KEY,
             terminal_status TEXT NOT NULL CHECK(terminal_status IN
               ('delivered','failed','unknown','suppressed')),
             finished_at TEXT
           );
`;

/** What we write and read. A queue without one of them is of a form that we do not know. */
const columns = [
  "execution_id",
  "job_json",
  "content",
  "for_failure",
  "status",
  "owner_pid",
  "owner_started_at",
  "created_at",
  "error",
];

/** Locks of this file last for moments, and whoever waits for one here makes every job wait. */
const busyMs = 20;

const ends = { delivered: "deliver", failed: "fail", unknown: "lose", suppressed: "suppress" } as const;

/** `nowText` is the present moment as Hermes writes it. */
export function createHermesDeliveries(
  system: Pick<System, "files" | "processes">,
  cronFolder: string,
  nowText: () => string,
): HermesDeliveries {
  const path = `${cronFolder}/deliveries.db`;

  /** Opened anew each time: the file may be replaced, and Hermes' own clean-up wants it closed. */
  function within<Result>(act: (database: DatabaseSync) => Result): Result {
    const database = new DatabaseSync(path, { timeout: busyMs });
    try {
      return act(database);
    } finally {
      database.close();
    }
  }

  function isKnown(database: DatabaseSync): boolean {
    const found = database
      .prepare("SELECT name FROM pragma_table_info('deliveries')")
      .all()
      .map(({ name }: { name?: SQLOutputValue }) => String(name));
    return columns.every((column) => found.includes(column));
  }

  function statusOf(database: DatabaseSync, id: string): SeenDelivery {
    const row: { status?: SQLOutputValue; error?: SQLOutputValue; pid?: SQLOutputValue; started?: SQLOutputValue } =
      database
        .prepare(
          "SELECT status, error, owner_pid AS pid, owner_started_at AS started FROM deliveries WHERE execution_id = ?",
        )
        .get(id) ?? {};
    const { status, error = null, pid = null, started = null } = row;
    if (status === "pending") return { kind: "untaken" };
    if (status === "delivering") return { kind: "taken", alive: isAlive(Number(pid), started) };
    const told = status ?? tombstone(database, id);
    if (told === null) return { kind: "absent" };
    const event = Object.entries(ends).find(([name]) => name === told)?.[1];
    if (event === undefined) return { kind: "gone" };
    return { kind: "ended", event, error: error === null ? null : String(error) };
  }

  function tombstone(database: DatabaseSync, id: string): SQLOutputValue | null {
    const isThere = database.prepare("SELECT 1 FROM sqlite_master WHERE name = 'delivery_tombstones'").get();
    if (isThere === undefined) return null;
    const row: { status?: SQLOutputValue } | undefined = database
      .prepare("SELECT terminal_status AS status FROM delivery_tombstones WHERE execution_id = ?")
      .get(id);
    return row?.status ?? null;
  }

  /** Hermes writes down when its process started, in the unit of `/proc/<pid>/stat`. */
  function isAlive(pid: number, startTicks: SQLOutputValue): boolean {
    const seen = system.processes.fingerprint(pid);
    return seen !== null && (startTicks === null || seen.startTicks === null || seen.startTicks === Number(startTicks));
  }

  return {
    exists() {
      const stat = system.files.stat(path);
      return stat !== null && stat.sizeBytes > 0 && within(isKnown);
    },
    make() {
      // SQLite gives its side files the mode of the database.
      if (system.files.stat(path) === null) system.files.create(path, "", 0o600);
      within((database) => database.exec(`BEGIN IMMEDIATE;${layout}COMMIT`));
    },
    put(delivery) {
      const { record, content, forFailure } = delivery;
      within((database) =>
        database
          .prepare(
            `INSERT OR IGNORE INTO deliveries (execution_id, job_json, content, for_failure, status, created_at)
              VALUES (?, ?, ?, ?, 'pending', ?)`,
          )
          .run(idOf(delivery), record, content, forFailure ? 1 : 0, nowText()),
      );
    },
    look(delivery) {
      if (system.files.stat(path) === null) return { kind: "gone" };
      return within((database) => (isKnown(database) ? statusOf(database, idOf(delivery)) : { kind: "gone" }));
    },
    withdraw: (delivery) =>
      within(
        (database) =>
          database.prepare("DELETE FROM deliveries WHERE execution_id = ? AND status = 'pending'").run(idOf(delivery))
            .changes === 1,
      ),
  };
}

/** A second row of a run has an id of its own: Hermes never takes one up again. */
function idOf({ runId, attempts }: Delivery): string {
  return attempts > 1 ? `${runId}.${attempts}` : runId;
}
