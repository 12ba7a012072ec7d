import { onTimeMs } from "./dispatch-lateness.ts";
import type { Misfire } from "./job-policy.ts";
import { nextAhead } from "./missed-occurrence.ts";
import type { OwedSlots } from "./slot.ts";
import type { Candidate } from "./tick-draft.ts";
import type { Zone } from "./zone.ts";

/**
 * By which instant a due job is judged to be on time. Where one run is for all that waits, that is the newest: it would start now
 * anyhow, and the missed ones fold into it. What a person asked for is never late.
 */
export function newestDueMs(
  due: Pick<Candidate, "dueAtMs" | "schedule" | "recorded" | "isManual" | "once" | "retry">,
  owed: OwedSlots | undefined,
  misfire: Misfire,
  nowMs: number,
  zone: Zone,
): number {
  const { dueAtMs, schedule, recorded } = due;
  if (due.isManual) return Number.POSITIVE_INFINITY;
  if (due.once || due.retry !== undefined || misfire.kind === "run_all") return dueAtMs;
  const isRecorded = recorded.ms <= nowMs;
  const fromMs = isRecorded ? recorded.ms : (owed?.fromMs ?? dueAtMs);
  const throughMs = isRecorded ? nowMs : Math.min(nowMs, owed?.throughMs ?? dueAtMs);
  const newestMs = nextAhead(schedule, fromMs, nowMs - onTimeMs - 1, zone);
  return newestMs !== null && newestMs <= throughMs ? Math.max(dueAtMs, newestMs) : dueAtMs;
}
