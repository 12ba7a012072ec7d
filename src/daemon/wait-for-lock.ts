import { planTick } from "../core/plan-tick.ts";
import type { DaemonParts } from "./daemon-parts.ts";
import type { HomeRuntime } from "./home-runtime.ts";
import { tickInput } from "./tick-input.ts";

const lockRetryMs = 100;
/** Where somebody has held it for long already. */
const lockPatientMs = 250;
const lockSaidMs = 5000;

/** Somebody else ticks this home. That is ordinary for a moment beside a gateway, and worth a line when it lasts. */
export function waitForLock(parts: DaemonParts, home: HomeRuntime): void {
  const { system } = parts;
  const now = system.clock.monotonicMs();
  home.retryAtMonotonicMs = now + (home.lockBusy?.said === true ? lockPatientMs : lockRetryMs);
  home.lockBusy ??= {
    sinceMonotonicMs: now,
    sinceMs: system.clock.nowMs(),
    notedAtMonotonicMs: now,
    holderPid: null,
    said: false,
  };
  // Each lock of a gateway is let go of soon; only where it is not, a line helps anybody.
  if (now - home.lockBusy.notedAtMonotonicMs >= lockSaidMs) {
    home.lockBusy.notedAtMonotonicMs = now;
    noteLockWait(parts, home);
  }
  if (home.lockBusy.said || now - home.lockBusy.sinceMonotonicMs < lockSaidMs) return;
  home.lockBusy.said = true;
  home.lockBusy.holderPid = system.locks.holderPid(`${home.cronFolder}/.tick.lock`);
  system.log.warn("the tick lock is held by another process; due jobs of this home wait for it", {
    home: home.name,
    holder_pid: home.lockBusy.holderPid,
  });
}

/**
 * Writes down that what is due waits for somebody else's tick lock: whoever looks meanwhile, or after an edit, finds a line for each
 * instant that came. Everything else is left to the tick that gets the lock: half of what that somebody does may stand in the file.
 */
function noteLockWait(parts: DaemonParts, home: HomeRuntime): void {
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
