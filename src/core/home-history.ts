/** One life of a daemon on a state folder, as far as the ledger saw it. */
export interface DaemonLife {
  readonly pid: number;
  readonly beganMs: number;
  /** When it was last known to live; it writes this down about once a minute. */
  readonly seenMs: number;
  /** When it ended by itself; null while it lives, and when it was killed. */
  readonly endedMs: number | null;
}

/** What keeps a home from starting runs, or shows that it was not itself. */
export type SpellKind =
  | "estop"
  | "drain"
  | "parked"
  | "disk"
  | "degraded"
  | "unsupported"
  | "config"
  | "lock"
  | "asleep";

/** A time over which something stood in the way of a home, or of all of them. */
export interface HomeSpell {
  /** Empty for what concerns every home. */
  readonly home: string;
  readonly kind: SpellKind;
  /** What is known of it: who holds the lock, why the home is degraded. */
  readonly detail: string | null;
  readonly beganMs: number;
  /** Null while it lasts. */
  readonly endedMs: number | null;
}

/** Names the note of the zone that a daemon goes on with while the configuration of this home cannot be read. */
export function zoneNote(home: string): string {
  return `zone:${home}`;
}

/** Names the note of the clock: how it stood to the steady one, and how it was set. */
export const clockNote = "clock";

/** A wall clock that was set back: what lies between the two came twice. */
export interface SetBack {
  /** Where it stood when that was noticed. */
  readonly toMs: number;
  /** Where it would have stood. */
  readonly fromMs: number;
}

/** The times that the wall clock is known to have been set back, from the note of the clock. */
export function readSetBacks(note: string | null): readonly SetBack[] {
  return note === null ? [] : (JSON.parse(note) as { readonly set_backs: readonly SetBack[] }).set_backs;
}

/** How often a daemon writes down that it lives. */
export const beatMs = 60_000;

/** When a life was over for sure. A daemon that was killed may have lived a little longer than its last sign. */
export function endOfLife(life: DaemonLife, isAlive: boolean): number {
  if (life.endedMs !== null) return life.endedMs;
  return isAlive ? Number.POSITIVE_INFINITY : life.seenMs;
}

/**
 * The stretch without a daemon that an instant lies in: from the end of the last life before it, null where none is known, to the
 * beginning of the next, null where none has come. Null when a daemon lived. `isAlive` is whether the newest one still does.
 */
export function stretchWithoutDaemon(
  lives: readonly DaemonLife[],
  atMs: number,
  isAlive: boolean,
): { readonly last: DaemonLife | null; readonly fromMs: number | null; readonly untilMs: number | null } | null {
  const ordered = lives.toSorted((a, b) => a.beganMs - b.beganMs);
  const newest = ordered.at(-1);
  let last: DaemonLife | null = null;
  for (const life of ordered) {
    if (life.beganMs > atMs)
      return { last, fromMs: last === null ? null : endOfLife(last, false), untilMs: life.beganMs };
    const isNewest = life === newest;
    if (atMs <= endOfLife(life, isNewest && isAlive)) return null;
    last = life;
  }
  if (last === null) return isAlive ? null : { last: null, fromMs: null, untilMs: null };
  return { last, fromMs: endOfLife(last, false), untilMs: null };
}
