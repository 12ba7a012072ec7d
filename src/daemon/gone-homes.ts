import type { RunStopper } from "../child/stop-run.ts";
import { slotLine } from "../core/observe-slots.ts";
import type { Timer } from "../system/clock.ts";
import type { DaemonParts } from "./daemon-parts.ts";
import type { EndedRuns } from "./ended-runs.ts";
import type { HomeRuntime } from "./home-runtime.ts";

/** A home that comes back within this time was only being changed: the file that makes it a profile was written anew. */
const goneForMs = 1000;

/** Sees to what homes leave behind that were deleted while we served them, or while no daemon was there. */
export interface GoneHomes {
  /** To be called at each turn. */
  look(): void;
}

export function createGoneHomes(
  parts: DaemonParts,
  homes: () => ReadonlyMap<string, HomeRuntime>,
  stopper: Pick<RunStopper, "stop">,
  ends: Pick<EndedRuns, "forgetHome">,
  wake: () => void,
): GoneHomes {
  const { system, ledger, children } = parts;
  /** Since when a home is gone (monotonic ms). */
  const since = new Map<string, number>();
  const stopped = new Set<string>();
  let timer: Timer | null = null;
  let served: ReadonlySet<string> = new Set([...ledger.homesWithRetries(), ...ledger.homesWithPending()]);

  function notice(): void {
    const now = new Set(homes().keys());
    const known = [...served, ...children.all().map((child) => child.home), ...since.keys()];
    for (const name of new Set(known)) {
      if (now.has(name)) since.delete(name);
      else if (!since.has(name)) since.set(name, system.clock.monotonicMs());
    }
    served = now;
  }

  function leave(name: string): void {
    ends.forgetHome(name);
    for (const { runId } of ledger.waitingRetries(name).values()) ledger.endRetry(runId, "home_gone");
    missPending(name);
    for (const child of children.inHome(name)) {
      if (parts.settings.onHomeRemoved !== "stop" || child.overAtMs !== null || stopped.has(child.runId)) continue;
      stopped.add(child.runId);
      system.log.warn("a run is stopped, for its home is gone", {
        home: name,
        job_id: child.jobId,
        run_id: child.runId,
      });
      const text = "Stopped because its home was removed";
      void stopper.stop(child, { reason: "stopped", text }, child.limits.stopGraceMs);
    }
    // Those of its runs that go on are seen to when they end.
    if (children.inHome(name).length > 0) return;
    since.delete(name);
  }

  /** What still waited is not served any more, unless the home comes back with what it had. */
  function missPending(name: string): void {
    const pending = ledger.pendingSlots(name);
    if (pending.length === 0) return;
    const nowMs = system.clock.nowMs();
    const gone = { decision: "miss", reason: "job_gone" } as const;
    const lines = pending.map(({ jobId, scheduledAtMs }) => slotLine({ id: jobId }, scheduledAtMs, gone, nowMs));
    ledger.transaction(() => void ledger.writeSlots(name, lines));
  }

  return {
    look() {
      notice();
      let nextMs = Number.POSITIVE_INFINITY;
      for (const [name, atMs] of since) {
        const leftMs = atMs + goneForMs - system.clock.monotonicMs();
        if (leftMs <= 0) leave(name);
        else nextMs = Math.min(nextMs, leftMs);
      }
      // Timers fire a little early, and nothing else may come for long.
      timer?.cancel();
      timer = nextMs === Number.POSITIVE_INFINITY ? null : system.clock.after(nextMs, wake);
      for (const runId of stopped) if (children.get(runId) === null) stopped.delete(runId);
    },
  };
}
