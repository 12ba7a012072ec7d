import type { CommandParts } from "./command-parts.ts";

/** Whether any process of a run can still be alive: it holds the lock of this file. */
export function isLifelineHeld({ system }: Pick<CommandParts, "system">, path: string): boolean {
  if (system.files.stat(path) === null) return false;
  try {
    const lock = system.locks.tryLock(path);
    lock?.release();
    return lock === null;
  } catch {
    // Another user's folder, or one that was deleted this moment.
    return false;
  }
}
