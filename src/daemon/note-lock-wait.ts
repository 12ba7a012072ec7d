import { planTick } from "../core/plan-tick.ts";
import type { DaemonParts } from "./daemon-parts.ts";
import type { HomeRuntime } from "./home-runtime.ts";
import { tickInput } from "./tick-input.ts";

/**
 * Writes down that what is due waits for somebody else's tick lock: whoever looks meanwhile, or after an edit, finds a line for each
 * instant that came. Everything else is left to the tick that gets the lock: half of what that somebody does may stand in the file.
 */
export function noteLockWait(parts: DaemonParts, home: HomeRuntime): void {
  const input = tickInput(parts, home, home.store.read().jobs);
  const plan = planTick({ ...input, hold: input.hold ?? "lock", gates: [], capacity: 0 });
  const decided = new Set(plan.slots.filter(({ decision }) => decision !== "pending").map(({ jobId }) => jobId));
  const waits = plan.slots.filter(({ jobId }) => !decided.has(jobId));
  if (waits.length === 0) return;
  const waiting = new Set(waits.map(({ jobId }) => jobId));
  const cursors = new Map([...plan.cursors].filter(([jobId]) => waiting.has(jobId)));
  parts.ledger.transaction(() => {
    parts.ledger.writeSlots(home.name, waits);
    parts.ledger.writeCursors(home.name, cursors, []);
  });
  for (const [jobId, cursor] of cursors) home.cursors.set(jobId, cursor);
}
