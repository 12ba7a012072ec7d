import { onTimeMs } from "./dispatch-lateness.ts";
import type { Shortage } from "./pressure.ts";
import type { Bound, Counted, Room } from "./room.ts";

/** A due job that nothing but room keeps from running. */
export interface Waiter extends Counted {
  readonly jobId: string;
  readonly dueAtMs: number;
  /** By this instant it is judged to be on time or late. */
  readonly newestAtMs: number;
  /** Since when it has been seen to wait. After a long sleep that is much later than its due time. */
  readonly sinceMs: number;
}

/** Who had its turn when: a number that grows with each. Who is not in it had none. */
export type Turns = ReadonlyMap<string, number>;

export interface ShareInput {
  readonly nowMs: number;
  readonly waiters: readonly Waiter[];
  readonly room: Room;
  /** `fair`: homes take turns. `oldest_first`: whoever is due longest, whichever home it is of. */
  readonly order: "fair" | "oldest_first";
  /** Who has waited so long is helped: see `keepRoom`. */
  readonly waitMaxMs: number;
  /** The turns of homes, and of homes with a job that had waited too long. */
  readonly turns: Turns;
  readonly agedTurns: Turns;
  /** With any of these, what is late already waits for better times. */
  readonly shortages: readonly Shortage[];
}

/** What a due job waits for: a bound that is full, a place that is kept for one that waited longer, or the machine. */
export type WaitsFor =
  | { readonly kind: "full" | "kept"; readonly bound: Bound }
  | { readonly kind: "pressure"; readonly bound: null; readonly shortages: readonly Shortage[] };

export interface RoomShare {
  /** Who may start now, in the order of their turns. */
  readonly granted: readonly Waiter[];
  readonly waiting: ReadonlyMap<Waiter, WaitsFor>;
}

/**
 * Who may start in the room that there is: deficit round robin between homes, the oldest due first within one. In each round a
 * home is given one place, and what its open runs hold is its debt: so of two homes that wait, the one that holds less comes first,
 * and of those that hold the same, the one whose last turn is longest ago. A home with long runs thus gets no more places than one
 * with short ones, and nobody saves up turns while it has nothing to do. No room is left that anybody could use, but for what
 * `keepRoom` keeps.
 */
export function shareRoom(input: ShareInput): RoomShare {
  const { nowMs, room, order } = input;
  const used = new Map(room.used);
  const held = new Map(room.heldBy);
  const turns = new Map(input.turns);
  let turn = Math.max(0, ...turns.values());
  const granted: Waiter[] = [];
  const waiting = new Map<Waiter, WaitsFor>();
  const kept = keepRoom(input);

  const blocker = (waiter: Waiter): WaitsFor | null => {
    const isLate = nowMs - waiter.newestAtMs > onTimeMs && nowMs - waiter.sinceMs < input.waitMaxMs;
    if (isLate && input.shortages.length > 0) return { kind: "pressure", bound: null, shortages: input.shortages };
    let behind: Bound | null = null;
    for (const bound of room.boundsOf(waiter)) {
      const taken = used.get(bound) ?? 0;
      if (taken >= bound.runsMax) return { kind: "full", bound };
      if (behind === null && taken + placesAhead(kept.get(bound), waiter) >= bound.runsMax) behind = bound;
    }
    return behind === null ? null : { kind: "kept", bound: behind };
  };

  const start = (waiter: Waiter): void => {
    granted.push(waiter);
    for (const bound of room.boundsOf(waiter)) {
      used.set(bound, (used.get(bound) ?? 0) + 1);
      const keepers = kept.get(bound);
      const place = keepers?.indexOf(waiter) ?? -1;
      if (place >= 0) keepers?.splice(place, 1);
    }
    held.set(waiter.home, (held.get(waiter.home) ?? 0) + 1);
    turn += 1;
    turns.set(waiter.home, turn);
  };

  const queues = queuesOf(input.waiters);
  const isBefore = (a: HomeQueue, b: HomeQueue): boolean => {
    if (order === "oldest_first") return (a.next()?.dueAtMs ?? 0) < (b.next()?.dueAtMs ?? 0);
    const debt = (held.get(a.home) ?? 0) - (held.get(b.home) ?? 0);
    return debt < 0 || (debt === 0 && (turns.get(a.home) ?? 0) < (turns.get(b.home) ?? 0));
  };
  let active = queues;
  while (active.length > 0) {
    const queue = active.reduce((first, other) => (isBefore(other, first) ? other : first));
    const waiter = queue.next();
    if (waiter === null) {
      active = active.filter((one) => one !== queue);
      continue;
    }
    // Room only shrinks from here on, so nobody needs to be asked twice.
    queue.pass();
    const waitsFor = blocker(waiter);
    if (waitsFor === null) start(waiter);
    else waiting.set(waiter, waitsFor);
  }
  return { granted, waiting };
}

interface HomeQueue {
  readonly home: string;
  next(): Waiter | null;
  pass(): void;
}

function queuesOf(waiters: readonly Waiter[]): readonly HomeQueue[] {
  const byHome = Map.groupBy(waiters, (waiter) => waiter.home);
  return [...byHome].map(([home, ofHome]): HomeQueue => {
    const oldestFirst = ofHome.toSorted((a, b) => a.dueAtMs - b.dueAtMs);
    let place = 0;
    return { home, next: () => oldestFirst[place] ?? null, pass: () => void place++ };
  });
}

/**
 * The oldest due job of a class or with tags that has waited too long, one of each home: by bound, those that its next places are
 * kept for. Without this a job that needs room in two groups at once could find one of them taken each time the other is free.
 * It asks for one after the other, the narrowest first, and keeps what it has: so nothing stands empty for it but what it will
 * have to itself next. Homes take turns here too, so that the many jobs of one that waited do not keep out the one of another.
 */
function keepRoom({ nowMs, waiters, room, waitMaxMs, agedTurns }: ShareInput): Map<Bound, Waiter[]> {
  const oldest = new Map<string, Waiter>();
  for (const waiter of waiters) {
    if (nowMs - waiter.sinceMs < waitMaxMs || groupsOf(room, waiter).length === 0) continue;
    const other = oldest.get(waiter.home);
    if (other === undefined || waiter.dueAtMs < other.dueAtMs) oldest.set(waiter.home, waiter);
  }
  const kept = new Map<Bound, Waiter[]>();
  const inTurn = [...oldest.values()].sort(
    (a, b) => (agedTurns.get(a.home) ?? 0) - (agedTurns.get(b.home) ?? 0) || a.dueAtMs - b.dueAtMs,
  );
  for (const waiter of inTurn) {
    for (const bound of groupsOf(room, waiter)) {
      const keepers = kept.get(bound) ?? [];
      kept.set(bound, [...keepers, waiter]);
      if ((room.used.get(bound) ?? 0) + keepers.length >= bound.runsMax) break;
    }
  }
  return kept;
}

/** Turns alone see to it that every home gets places; a group may be empty for none of them. */
function groupsOf(room: Room, waiter: Waiter): readonly Bound[] {
  return room.boundsOf(waiter).filter((bound) => bound.of !== "runs");
}

function placesAhead(keepers: readonly Waiter[] | undefined, waiter: Waiter): number {
  if (keepers === undefined) return 0;
  const place = keepers.indexOf(waiter);
  return place < 0 ? keepers.length : place;
}
