import { formatDistance } from "../time-text.ts";
import type { ExplainEvidence, ToldSlot } from "./explain-evidence.ts";
import { moment, obstacleNow, obstaclesBetween, who } from "./explain-obstacle.ts";
import type { Told } from "./explain-run.ts";
import { pausedSinceMs, standstillText } from "./explain-standstill.ts";

/** An instant that has come and that nobody has decided. */
export function tellDue(evidence: ExplainEvidence, dueMs: number, slot: ToldSlot | null): Told {
  const { job, knownFromMs, nowMs } = evidence;
  const at = moment(evidence, dueMs);
  const awaitedMs = job?.nextRunAt?.ms ?? null;
  const isOwed = evidence.owed !== null && evidence.owed.fromMs <= dueMs && evidence.owed.throughMs >= dueMs;
  const isAwaited = slot !== null || isOwed || (awaitedMs !== null && awaitedMs <= dueMs + 1000);
  if (!isAwaited && job?.createdAt !== undefined && dueMs < job.createdAt.ms) {
    const made = moment(evidence, job.createdAt.ms);
    return {
      cause: "not_made_yet",
      answer: `${who(evidence)} did not run at ${at}: it was made only at ${made}.`,
      facts: [],
    };
  }
  const stand = job === null ? null : standstillText(evidence, job);
  // A pause that began later says nothing of an instant before it.
  const isLaterPause = job !== null && dueMs < (pausedSinceMs(evidence, job) ?? dueMs);
  if (stand !== null && !(stand.cause === "paused" && isLaterPause))
    return { cause: stand.cause, answer: `${who(evidence)} did not run at ${at}: ${stand.text}.`, facts: [] };
  if (!isAwaited && knownFromMs !== null && dueMs < knownFromMs) {
    return {
      cause: "forgotten",
      answer: `${who(evidence)} may have run at ${at}, but nothing is kept from before ${moment(evidence, knownFromMs)}.`,
      facts: [],
    };
  }
  if (!isAwaited) {
    const [obstacle] = obstaclesBetween(evidence, dueMs, nowMs, null);
    const why =
      obstacle === undefined
        ? "the job, its schedule or this supervisor was not there then, or the job was paused"
        : obstacle.text;
    return {
      cause: obstacle?.cause ?? "unrecorded",
      answer: `${who(evidence)} has no line for ${at}: ${why}.`,
      facts: [],
    };
  }
  const obstacle = obstacleNow(evidence, dueMs, slot);
  const { waitsSinceMs } = evidence;
  const oldestMs = waitsSinceMs === null || waitsSinceMs > dueMs - 1 ? dueMs : waitsSinceMs;
  const since = `${moment(evidence, oldestMs)} (${formatDistance(oldestMs, nowMs)})`;
  const answer =
    oldestMs === dueMs
      ? `${who(evidence)} is due since ${since} and waits because ${obstacle.text}.`
      : `${who(evidence)} has not run for ${at} yet: it waits since ${since} because ${obstacle.text}.`;
  const wasWaiting =
    slot === null
      ? []
      : [
          {
            atMs: slot.decidedAtMs,
            text: `The ledger says that it waits for ${waitWords[slot.reason] ?? slot.reason} since ${moment(evidence, slot.decidedAtMs)}.`,
          },
        ];
  return { cause: obstacle.cause, answer, facts: wasWaiting };
}

const waitWords: Readonly<Record<string, string>> = {
  capacity: "a place or the end of its own run",
  pressure: "the machine to have memory and processors to spare",
  estop: "ESTOP to be removed",
  drain: "its home to be let go on",
  parked: "its home to be let go on",
  disk: "room on the disk",
  lock: "a lock or claim of somebody else",
  no_daemon: "a daemon to claim it again",
  degraded: "its home or schedule to be mended",
};
