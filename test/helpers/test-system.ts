import { createLocks } from "../../src/system/flock.ts";
import type { Logger } from "../../src/system/logger.ts";
import type { Processes } from "../../src/system/processes.ts";
import { createRandom } from "../../src/system/random.ts";
import { createClock } from "../../src/system/real-clock.ts";
import { createFiles } from "../../src/system/real-files.ts";
import type { System } from "../../src/system/system.ts";

const silence: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
};

const noProcesses: Processes = {
  hostname: "host-a",
  ownPid: process.pid,
  bootId: () => "boot",
  spawnGated: () => {
    throw new Error("Cannot start a process: this test's system has none");
  },
  fingerprint: () => null,
  signalGroup: () => false,
  killTree: () => Promise.resolve(),
};

/** The real files, locks and clock, unless `parts` says otherwise, with a silent log and without processes. */
export function createTestSystem(parts: Partial<System> = {}): System {
  return {
    clock: createClock(),
    files: createFiles(),
    locks: createLocks(),
    processes: noProcesses,
    random: createRandom(),
    log: silence,
    ...parts,
  };
}
