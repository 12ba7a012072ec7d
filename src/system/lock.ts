/** A flock that we hold. */
export interface HeldLock {
  /** Releases it and closes its descriptor; safe to call again. The lock file itself stays. */
  release(): void;
}

export interface Locks {
  /**
   * Takes `flock(LOCK_EX | LOCK_NB)` on `path`, creating the file with mode 0644, or returns null when another holds it.
   * The same call on the same file as Python's `fcntl.flock`, so each excludes the other.
   */
  tryLock(path: string): HeldLock | null;
  /**
   * As `tryLock`, trying again for at most `waitMs` and throwing LockHeldError then. It stops the whole program meanwhile,
   * so it is for locks that are held for moments, and for waits of a few of them.
   */
  lockWithin(path: string, waitMs: number): HeldLock;
  /** The process that holds the lock on `path` according to the system, or null when that cannot be told. */
  holderPid(path: string): number | null;
}

/** A lock was still held by another process when the wait for it was over. */
export class LockHeldError extends Error {
  override readonly name = "LockHeldError";
  readonly path: string;
  readonly holderPid: number | null;
  constructor(path: string, holderPid: number | null, waitedMs: number) {
    const holder = holderPid === null ? "another process" : `process ${holderPid}`;
    super(`Cannot lock "${path}": still held by ${holder} after ${waitedMs} ms`);
    this.path = path;
    this.holderPid = holderPid;
  }
}
