import type { RunReason } from "../core/run.ts";
import type { System } from "../system/system.ts";
import type { Child } from "./child-table.ts";

/**
 * Ends a run by the ladder: asks its process group, waits out the grace, then kills the group and everything that
 * descends from its leader. Only the first cause counts; asking again with `now` cuts the grace short.
 */
export async function stopRun(
  system: System,
  child: Child,
  cause: { readonly reason: RunReason; readonly text: string },
  graceMs: number,
): Promise<void> {
  child.cause ??= cause;
  const askedAtMs = system.clock.monotonicMs();
  if (graceMs > 0) {
    system.processes.signalGroup(child.fingerprint, "SIGTERM");
    // A stopped process cannot act on SIGTERM.
    system.processes.signalGroup(child.fingerprint, "SIGCONT");
    await endOrGrace(system, child, graceMs);
  }
  if (system.processes.fingerprint(child.fingerprint.pid) === null) return;
  system.log.warn("a run did not end when asked; killing it", {
    run_id: child.runId,
    waited_ms: Math.round(system.clock.monotonicMs() - askedAtMs),
  });
  await system.processes.killTree(child.fingerprint);
}

function endOrGrace(system: System, child: Child, graceMs: number): Promise<void> {
  return new Promise((resolve) => {
    const timer = system.clock.after(graceMs, resolve);
    void child.ended?.then(() => {
      timer.cancel();
      resolve();
    });
  });
}
