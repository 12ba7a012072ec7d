import { closeSync, constants, openSync, readFileSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import { constants as osConstants } from "node:os";
import { type HeldLock, LockHeldError, type Locks } from "./lock.ts";

const exclusive = 2;
const withoutWaiting = 4;
const retryMs = 1;

interface Library {
  flock(descriptor: number, operation: number): number;
  errorNumber(): number;
}

let library: Library | undefined;

/** Locks of flock(2), which Hermes' `fcntl.flock` takes and which a lock of fcntl(2) does not exclude. */
export function createLocks(): Locks {
  return { tryLock, lockWithin, holderPid };
}

function tryLock(path: string): HeldLock | null {
  const descriptor = openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_APPEND, 0o644);
  try {
    if (!flock(path, descriptor)) {
      closeSync(descriptor);
      return null;
    }
  } catch (error) {
    closeSync(descriptor);
    throw error;
  }
  let held = true;
  return {
    release() {
      // The descriptor's number may belong to another file by the second call.
      if (held) closeSync(descriptor);
      held = false;
    },
  };
}

function lockWithin(path: string, waitMs: number): HeldLock {
  const startedMs = performance.now();
  for (;;) {
    const lock = tryLock(path);
    if (lock !== null) return lock;
    const waitedMs = performance.now() - startedMs;
    if (waitedMs >= waitMs) throw new LockHeldError(path, holderPid(path), Math.round(waitedMs));
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, Math.min(retryMs, waitMs - waitedMs));
  }
}

/** Locks an open descriptor; the lock then lives until its last copy, in whatever process, is closed. False when another has it. */
export function flock(path: string, descriptor: number): boolean {
  library ??= loadLibrary();
  const { EINTR, EWOULDBLOCK } = osConstants.errno;
  for (;;) {
    if (library.flock(descriptor, exclusive | withoutWaiting) === 0) return true;
    const code = library.errorNumber();
    if (code === EWOULDBLOCK) return false;
    if (code === EINTR) continue;
    const name = Object.entries(osConstants.errno).find(([, value]) => value === code)?.[0] ?? `errno ${code}`;
    throw Object.assign(new Error(`Cannot lock "${path}": flock answers ${name}`), { code: name, errno: -code, path });
  }
}

/** Loaded at the first lock, because it takes longer than a `--help` should. */
function loadLibrary(): Library {
  const koffi: typeof import("koffi") = createRequire(import.meta.url)("koffi");
  const flockOfSystem = koffi.load(null).func("int flock(int descriptor, int operation)");
  return {
    flock: (descriptor, operation) => Number(flockOfSystem(descriptor, operation)),
    errorNumber: () => koffi.errno(),
  };
}

/** Linux lists each lock with its owner and `major:minor:inode`; elsewhere, and for owners of another PID namespace, nobody can tell. Whoever only looks takes a shared lock. */
function holderPid(path: string): number | null {
  let locks: string;
  try {
    locks = readFileSync("/proc/locks", "utf8");
  } catch {
    return null;
  }
  const stat = statSync(path, { bigint: true, throwIfNoEntry: false });
  if (stat === undefined) return null;
  const major = ((stat.dev >> 8n) & 0xfffn) | ((stat.dev >> 32n) & ~0xfffn);
  const minor = (stat.dev & 0xffn) | ((stat.dev >> 12n) & ~0xffn);
  for (const line of locks.split("\n")) {
    const found = /^\d+: FLOCK +\S+ +WRITE +(-?\d+) +([0-9a-f]+):([0-9a-f]+):(\d+) /.exec(line);
    if (found === null) continue;
    const [pid, lockMajor, lockMinor, inode] = [Number(found[1]), `0x${found[2]}`, `0x${found[3]}`, String(found[4])];
    if (BigInt(inode) !== stat.ino || BigInt(lockMajor) !== major || BigInt(lockMinor) !== minor) continue;
    return pid > 0 ? pid : null;
  }
  return null;
}
