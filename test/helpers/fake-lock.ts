import { LockHeldError, type Locks } from "../../src/system/lock.ts";
import type { FakeFiles } from "./fake-files.ts";

/** Who holds what on one host, by real path. */
export type LockTable = Map<string, number>;

/** The locks of process `pid`. Processes that share `table` exclude each other; `files` holds the lock files. */
export function createFakeLocks(files: FakeFiles, table: LockTable, pid: number): Locks {
  const locks: Locks = {
    tryLock(path) {
      if (files.stat(path) === null) files.create(path, "", 0o644);
      const real = files.realPath(path);
      if (table.has(real)) return null;
      table.set(real, pid);
      let held = true;
      return {
        release() {
          if (held) table.delete(real);
          held = false;
        },
      };
    },
    lockWithin(path, waitMs) {
      // Nobody else can run while this waits, so waiting changes nothing.
      const lock = locks.tryLock(path);
      if (lock === null) throw new LockHeldError(path, locks.holderPid(path), waitMs);
      return lock;
    },
    holderPid: (path) => (files.stat(path) === null ? null : (table.get(files.realPath(path)) ?? null)),
  };
  return locks;
}
