import { onTimeMs } from "./dispatch-lateness.ts";
import { isSameInstant } from "./observe-slots.ts";
import type { SlotDecision } from "./slot.ts";
import type { TickInput } from "./tick-draft.ts";

/** How punctual a run is that takes in so many instants. */
export function runDecision(
  { nowMs, restored }: Pick<TickInput, "nowMs" | "restored">,
  jobId: string,
  scheduledAtMs: number,
  graceMs: number,
  takenCount: number,
): SlotDecision {
  const restoredMs = restored?.get(jobId);
  if (restoredMs !== undefined && isSameInstant(restoredMs, scheduledAtMs)) {
    return { decision: "run", reason: "restored" };
  }
  const latenessMs = nowMs - scheduledAtMs;
  if (latenessMs <= onTimeMs && takenCount === 1) return { decision: "run", reason: "on_time" };
  return { decision: "run", reason: latenessMs <= graceMs ? "late" : "catch_up" };
}
