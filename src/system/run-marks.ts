import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { kernelCalls } from "./kernel-calls.ts";
import type { RunMarks } from "./processes.ts";

/**
 * The soft limit on realtime processes. Above 2^62 µs it binds none, so its number is free to say whose a process is. Every fork
 * inherits it, every exec keeps it, and only a process that sets this very limit loses it.
 */
const softLimit = /^Max realtime timeout +(\d+) /mu;
/** What we take on to hand it down, we must be able to put off again. */
const openHardLimit = /^Max realtime timeout +(?:\d+|unlimited) +unlimited /mu;
const lowest = 1n << 62n;

export interface RunMarker extends RunMarks {
  /** Whatever is started within `start` is born with the mark, so that it cannot have forked before it has it. */
  whileMarked<Started>(runId: string, start: () => Started): Started;
}

/** Null where the system has no such limit, does not show it or does not let us set it. */
export function createRunMarker(): RunMarker | null {
  const calls = kernelCalls();
  if (calls === null || !openHardLimit.test(readLimits("self") ?? "")) return null;
  const own = calls.softRealtimeLimit();
  if (own === null || !calls.setSoftRealtimeLimit(own)) return null;
  return {
    whileMarked(runId, start) {
      calls.setSoftRealtimeLimit(numberOf(runId));
      try {
        return start();
      } finally {
        calls.setSoftRealtimeLimit(own);
      }
    },
    of: (runId) => numberOf(runId).toString(),
    seenOn(pid) {
      const seen = softLimit.exec(readLimits(pid) ?? "")?.[1];
      return seen !== undefined && BigInt(seen) >= lowest ? seen : null;
    },
  };
}

function numberOf(runId: string): bigint {
  return lowest + (createHash("sha256").update(runId).digest().readBigUInt64BE(0) >> 2n);
}

function readLimits(pid: number | "self"): string | null {
  try {
    return readFileSync(`/proc/${pid}/limits`, "latin1");
  } catch {
    // It is gone, or this kernel keeps it to itself.
    return null;
  }
}
