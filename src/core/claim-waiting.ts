import type { Gate } from "./admission.ts";
import { classifyLateness, latenessSeconds } from "./dispatch-lateness.ts";
import { lateGraceMs } from "./grace.ts";
import { formatInstant } from "./instant.ts";
import type { JobPatch } from "./job.ts";
import { nextAhead } from "./missed-occurrence.ts";
import { formatScheduleKey, sameInstantMs, slotLine } from "./observe-slots.ts";
import { follows, owe, owedOf, waitingSlots } from "./owed-slots.ts";
import { advance } from "./pass-over.ts";
import { runDecision } from "./run-decision.ts";
import type { OwedSlots, SlotCursor, SlotDecision } from "./slot.ts";
import { type Candidate, type Draft, policyOf, type Writable, wakeAt } from "./tick-draft.ts";

const waits: SlotDecision = { decision: "pending", reason: "capacity" };

/**
 * What a run of a recurring job is for: the oldest instant that waits, and those that fold into it. The others get a turn of their
 * own when it has ended.
 */
export function claimWaiting(
  draft: Draft,
  candidate: Candidate,
  gate: Gate,
  cursor: SlotCursor | undefined,
  patch: Writable<JobPatch>,
): void {
  const { job, schedule, next, recorded } = candidate;
  const { nowMs, zone } = draft.input;
  const { misfire } = policyOf(draft.input, job);
  const owed = owedOf(draft, job.id);
  const { instants, restFromMs } = waitingSlots(draft, job, schedule, cursor, recorded);
  const runsLeft = misfire.kind === "run_all" ? (owed?.runsLeft ?? misfire.runsMax) : 1;
  const queuedThroughMs = owed?.queuedThroughMs ?? Number.NEGATIVE_INFINITY;
  const takesAll = runsLeft <= 1;
  const lastMs = takesAll ? nowMs : Math.max(next.ms, queuedThroughMs) + sameInstantMs;
  const taken = instants.filter((atMs) => atMs <= lastMs);
  const left = instants.slice(taken.length);
  const isDue = recorded.ms <= nowMs;
  const leftFromMs = left[0] ?? restFromMs;
  // What does not follow the owed ones goes on waiting in the record.
  const staysRecorded = isDue && owed !== null && next.ms < recorded.ms && !follows(schedule, owed, recorded.ms, zone);
  const folded = (atMs: number): SlotDecision => ({
    decision: "coalesce",
    reason: atMs <= queuedThroughMs ? "queue_full" : "missed",
  });

  const graceMs = lateGraceMs(schedule, zone, nowMs);
  const decision = runDecision(draft.input, job.id, next.ms, graceMs, taken.length);
  draft.lines.push(slotLine(job, next.ms, decision, nowMs, gate.runId));
  for (const atMs of taken.slice(1)) draft.lines.push(slotLine(job, atMs, folded(atMs), nowMs, gate.runId));
  for (const atMs of left) {
    // What was owed before has such a line.
    if (atMs >= recorded.ms - sameInstantMs) draft.lines.push(slotLine(job, atMs, waits, nowMs));
  }

  const lastLeftMs = restFromMs === null || staysRecorded ? (instants.at(-1) ?? next.ms) : nowMs;
  const throughMs = Math.max(owed?.throughMs ?? lastLeftMs, lastLeftMs);
  const all: OwedSlots = {
    scheduleText: formatScheduleKey(schedule),
    fromMs: next.ms,
    throughMs,
    ...(runsLeft > 1 ? { runsLeft } : {}),
    ...(owed?.queuedThroughMs === undefined ? {} : { queuedThroughMs: owed.queuedThroughMs }),
  };
  const after = owedAfter();
  owe(draft, job.id, after, owed === null && after === null ? null : { runId: gate.runId, owed: all });

  const latenessMs = Math.max(0, nowMs - next.ms);
  patch.lastDispatch = {
    scheduledAt: next.text,
    dispatchedAt: formatInstant(nowMs, zone),
    latenessSeconds: latenessSeconds(latenessMs),
    kind: classifyLateness(latenessMs, graceMs),
  };
  if (!isDue || staysRecorded) {
    wakeAt(draft, recorded.ms);
    return;
  }
  const restMs = restFromMs === null ? null : Math.max(restFromMs, recorded.ms);
  const rest = takesAll ? { decision: folded(restMs ?? nowMs), runId: gate.runId } : { decision: waits, runId: null };
  patch.nextRunAt = advance(draft, job, schedule, recorded.ms, restMs, rest);

  function owedAfter(): OwedSlots | null {
    if (!takesAll) {
      const fromMs = leftFromMs ?? afterNow();
      const { queuedThroughMs: _, ...kept } = all;
      return fromMs === null ? null : { ...kept, fromMs, runsLeft: runsLeft - 1 };
    }
    const ownedThroughMs = Math.min(throughMs, nowMs, recorded.ms - sameInstantMs);
    if (restFromMs !== null && owed !== null && restFromMs <= ownedThroughMs) {
      wakeAt(draft, nowMs);
      const decided = { decision: folded(restFromMs), runId: gate.runId, throughMs: ownedThroughMs };
      return { ...all, fromMs: restFromMs, throughMs: owed.throughMs, decided };
    }
    const fromMs = afterNow();
    return fromMs === null ? null : { ...all, fromMs };
  }

  /** The first owed instant that a clock which was set back has made a coming one again. */
  function afterNow(): number | null {
    if (owed === null || owed.throughMs <= nowMs) return null;
    const laterMs = nextAhead(schedule, next.ms, nowMs, zone);
    return laterMs !== null && laterMs <= owed.throughMs ? laterMs : null;
  }
}
