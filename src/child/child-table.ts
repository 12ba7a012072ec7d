import type { Fingerprint } from "../core/fingerprint.ts";
import type { JobKind } from "../core/job.ts";
import type { RunReason } from "../core/run.ts";
import type { Timer } from "../system/clock.ts";
import type { ChildExit, HeldProcess } from "../system/processes.ts";
import type { RunLimits } from "./run-limits.ts";

/** A run whose process we watch. */
export interface Child {
  readonly runId: string;
  readonly home: string;
  readonly jobId: string;
  readonly fingerprint: Fingerprint;
  /** Settles when the launcher has ended; null for a run that an earlier daemon started. */
  readonly ended: Promise<ChildExit> | null;
  readonly startedAtMs: number;
  /** The script that it runs; null where an earlier daemon started it. */
  readonly script: string | null;
  readonly kind: JobKind;
  /** Why we are ending it: the first cause stays. */
  cause: { readonly reason: RunReason; readonly text: string } | null;
  timeout: Timer | null;
  /** When its leader had ended, from the moment that this is known; its end is still to be recorded. */
  overAtMs: number | null;
  /** The launcher, held since it was started; null where an earlier daemon started it. */
  readonly held: HeldProcess | null;
  readonly limits: RunLimits;
}

export interface ChildTable {
  add(child: Child): void;
  remove(runId: string): void;
  get(runId: string): Child | null;
  all(): readonly Child[];
  inHome(home: string): readonly Child[];
}

export function createChildTable(): ChildTable {
  const children = new Map<string, Child>();
  return {
    add: (child) => void children.set(child.runId, child),
    remove(runId) {
      const child = children.get(runId);
      child?.timeout?.cancel();
      child?.held?.release();
      children.delete(runId);
    },
    get: (runId) => children.get(runId) ?? null,
    all: () => [...children.values()],
    inHome: (home) => [...children.values()].filter((child) => child.home === home),
  };
}
