import type { SlotCursor } from "./slot.ts";

/** The cursor from before a claim that came to nothing: it waits again for `instants`, the earliest first, which the run was for. */
export function rewindCursor(
  { backlog, taken, ...cursor }: SlotCursor,
  runId: string,
  instants: readonly number[],
): SlotCursor {
  if (taken?.runId === runId) {
    // They are owed again, wherever the record stands by now.
    const throughMs = Math.max(taken.owed.throughMs, cursor.owed?.throughMs ?? taken.owed.throughMs);
    return { ...cursor, nextAtMs: backlog?.untilMs ?? cursor.nextAtMs, owed: { ...taken.owed, throughMs } };
  }
  const [nextAtMs = null] = instants;
  const throughMs = instants.at(-1);
  if (nextAtMs === null || throughMs === undefined) return cursor;
  return { ...cursor, nextAtMs, pending: { reason: "no_daemon", throughMs, count: instants.length } };
}
