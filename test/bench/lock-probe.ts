/**
 * Watches a flock from outside: tries it every quarter of a millisecond, lets go at once, and prints as JSON what it saw held.
 * Called as: lock-probe.ts <lock file> <Unix ms to stop at>
 */
import { openSync } from "node:fs";
import { fileURLToPath } from "node:url";
import koffi from "koffi";
import { unixMs } from "./programs.ts";

/** One time that the lock was held: the two lengths between which the truth lies. */
export interface SeenHold {
  readonly atMs: number;
  readonly atLeastMs: number;
  readonly atMostMs: number;
}

export interface Probe {
  readonly beganMs: number;
  readonly endedMs: number;
  readonly busy: boolean;
}

const intervalMs = 0.25;
const [exclusive, withoutWaiting, unlock] = [2, 4, 8];

/** Joins probes that found the lock busy, one after another, into holds. One that was never seen to begin or end does not count. */
export function createHoldWatch(): { see(probe: Probe): void; readonly holds: readonly SeenHold[] } {
  const holds: SeenHold[] = [];
  let free: Probe | null = null;
  let first: Probe | null = null;
  let last: Probe | null = null;
  return {
    holds,
    see(probe) {
      if (probe.busy) {
        first ??= probe;
        last = probe;
        return;
      }
      if (free !== null && first !== null && last !== null) {
        holds.push({
          atMs: first.endedMs,
          atLeastMs: Math.max(0, last.beganMs - first.endedMs),
          atMostMs: probe.endedMs - free.beganMs,
        });
      }
      free = probe;
      first = null;
      last = null;
    },
  };
}

function watch(path: string, untilMs: number): readonly SeenHold[] {
  const flock = koffi.load(null).func("int flock(int descriptor, int operation)");
  const descriptor = openSync(path, "a");
  const seen = createHoldWatch();
  const pause = new Int32Array(new SharedArrayBuffer(4));
  for (let nowMs = unixMs(); nowMs < untilMs; nowMs = unixMs()) {
    const busy = Number(flock(descriptor, exclusive | withoutWaiting)) !== 0;
    if (!busy) flock(descriptor, unlock);
    seen.see({ beganMs: nowMs, endedMs: unixMs(), busy });
    Atomics.wait(pause, 0, 0, intervalMs);
  }
  return seen.holds;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [path = "", untilMs = ""] = process.argv.slice(2);
  process.stdout.write(JSON.stringify(watch(path, Number(untilMs))));
}
