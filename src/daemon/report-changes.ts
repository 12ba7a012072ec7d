import type { LedgerChange } from "../ledger/observed-ledger.ts";
import type { EventLog } from "../status/event-log.ts";
import { runJson, slotJson } from "../status/json.ts";
import type { Metrics } from "../status/metrics.ts";
import type { Clock } from "../system/clock.ts";

/** What was just started wants the processor first. */
const delayMs = 50;

/** Tells those who follow the events, and counts, what was written to the ledger: a moment later, so that nothing due waits for it. */
export function createChangeReports(
  clock: Clock,
  events: EventLog,
  metrics: Metrics,
): (changes: readonly LedgerChange[]) => void {
  let waiting: LedgerChange[] = [];

  function report(): void {
    const changes = waiting;
    waiting = [];
    for (const change of changes) {
      if (change.kind === "slot" || change.kind === "passed_on") {
        if (change.kind === "slot") metrics.slotDecided(change.slot);
        events.add("slot", slotJson(change.slot));
        continue;
      }
      if (change.kind === "started") metrics.runStarted(change.run);
      if (change.kind === "ended") metrics.runEnded(change.run);
      events.add("run", runJson(change.run));
    }
  }

  return (changes) => {
    if (waiting.length === 0) clock.after(delayMs, report);
    waiting.push(...changes);
  };
}
