import type { Files } from "../../src/system/files.ts";
import type { Logger } from "../../src/system/logger.ts";
import type { System } from "../../src/system/system.ts";
import type { FakeClock } from "./fake-clock.ts";
import type { FakeFiles } from "./fake-files.ts";
import { createFakeLocks, type LockTable } from "./fake-lock.ts";
import type { FakeHost, FakeProcess, ParentLife } from "./fake-processes.ts";
import { createFakeRandom, type Draw } from "./fake-random.ts";

/** Thrown in the place where a program is stopped. It is no Error, so that no code takes it for a failure that it could mend. */
export class Crash {
  readonly operation: string;
  constructor(operation: string) {
    this.operation = operation;
  }
}

/** One program from its start to its end on a fake host. When it is dead, nothing that is left of its code has any effect. */
export interface Life extends ParentLife {
  readonly system: System;
  isAlive(): boolean;
  /** SIGKILL: its locks are free and its gates closed. */
  end(): void;
}

export interface LifeParts {
  readonly clock: FakeClock;
  readonly files: FakeFiles;
  readonly locks: LockTable;
  readonly host: FakeHost;
  readonly draw: Draw;
  readonly log: Logger;
  /** Called at every operation; may call `end` of the life, or throw what a failing system answers. `bytes` is what would be written to `path`. */
  interrupt(life: Life, operation: string, path?: string, bytes?: Uint8Array): void;
  /** A timer of the program fired. */
  woke?(): void;
  /** The program threw something that nobody caught. */
  threw(life: Life, error: unknown): void;
}

export function createLife(parts: LifeParts): Life {
  const { clock, files, locks, host } = parts;
  const process: FakeProcess = host.start("daemon", null);
  const ownLocks = createFakeLocks(files, locks, process.pid);

  const pass = (operation: string, path?: string, bytes?: Uint8Array): void => {
    if (!process.alive) throw new Crash(operation);
    parts.interrupt(life, operation, path, bytes);
    if (!process.alive) throw new Crash(operation);
  };

  /** Runs a change of files with a stop before each part of it. */
  function changing<Result>(act: () => Result): Result {
    const before = files.beforeChange;
    files.beforeChange = (change, path, bytes) => pass(`file: ${change} ${path}`, path, bytes);
    try {
      return act();
    } finally {
      files.beforeChange = before;
    }
  }

  const ownFiles: Files = {
    stat: files.stat,
    statLink: files.statLink,
    realPath: files.realPath,
    list: files.list,
    read: files.read,
    readText: files.readText,
    readPart: files.readPart,
    hasWriter: files.hasWriter,
    freeBytes: files.freeBytes,
    dropMiddle: files.dropMiddle,
    syncData: files.syncData,
    syncSoon: files.syncSoon,
    create: (path, bytes, mode) => changing(() => files.create(path, bytes, mode)),
    replace: (path, name, bytes, mode) => changing(() => files.replace(path, name, bytes, mode)),
    stage(path, name, bytes, mode) {
      const staged = changing(() => files.stage(path, name, bytes, mode));
      return {
        ...staged,
        commit: () => changing(() => staged.commit()),
        discard: () => changing(() => staged.discard()),
      };
    },
    append: (path, bytes, mode) => changing(() => files.append(path, bytes, mode)),
    makeFolder: (path, mode, parents) => changing(() => files.makeFolder(path, mode, parents)),
    rename: (from, to) => changing(() => files.rename(from, to)),
    remove: (path) => changing(() => files.remove(path)),
    removeFolder: (path) => changing(() => files.removeFolder(path)),
    removeSoon: (path) => changing(() => files.removeSoon(path)),
  };

  const life: Life = {
    process,
    isAlive: () => process.alive,
    pass,
    step(act) {
      if (!process.alive) return;
      try {
        act();
      } catch (error) {
        if (!(error instanceof Crash)) parts.threw(life, error);
      }
    },
    end() {
      host.kill(process, { signal: "SIGKILL" });
      for (const [path, pid] of [...locks]) if (pid === process.pid) locks.delete(path);
    },
    system: {
      clock: {
        nowMs: clock.nowMs,
        monotonicMs: clock.monotonicMs,
        // Node's timers know whole milliseconds from 1 on, and are late by what else there is to do.
        after: (delayMs, act) =>
          clock.after(Math.max(1, Math.floor(delayMs)) + 2 * parts.draw.number() ** 4, () => {
            if (process.alive) parts.woke?.();
            life.step(act);
          }),
        wait(ms) {
          pass("wait");
          clock.pass(ms);
        },
      },
      files: ownFiles,
      locks: {
        tryLock(path) {
          pass(`lock: ${path}`);
          const lock = ownLocks.tryLock(path);
          if (lock === null) return null;
          return {
            release() {
              // The kernel has released it already, and it may be somebody else's now.
              if (process.alive) lock.release();
            },
          };
        },
        lockWithin(path, waitMs) {
          pass(`lock: ${path}`);
          if (locks.has(path)) clock.pass(waitMs);
          const lock = ownLocks.lockWithin(path, waitMs);
          return { release: () => process.alive && lock.release() };
        },
        holderPid: ownLocks.holderPid,
      },
      processes: host.processesOf({ process, step: (act) => life.step(act), pass }),
      random: createFakeRandom(parts.draw),
      log: parts.log,
    },
  };
  return life;
}
