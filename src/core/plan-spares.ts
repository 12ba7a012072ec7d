/** A home as the planning of its spares sees it: workers that load Hermes ahead of its prompt jobs. */
export interface SpareHome {
  readonly name: string;
  /** When its prompt jobs come due (Unix ms), the earliest first, and no more of them than it has room for. */
  readonly dueAtMs: readonly number[];
  /** Spares that it has, loaded or loading: they serve the earliest. */
  readonly spares: number;
}

export interface SpareLimits {
  /** Spares that may load at once: each takes a core for itself. */
  readonly cores: number;
  readonly loading: number;
  /** Spares of all homes that there is room and memory for. */
  readonly sparesMax: number;
  /** How long one loads while no more load than there are cores. */
  readonly loadingMs: number;
}

export interface SparePlan {
  /** The homes to start one in, once for each, the earliest due first. */
  readonly start: readonly string[];
  /** When to plan again (Unix ms), or null when there is nothing to start. */
  readonly wakeAtMs: number | null;
}

/** Spares are loaded this long before they are needed: a busy machine takes longer than another time. */
const marginMs = 2000;
/** So long before its due time the first of many starts, at most: what has been loaded for longer would be thrown away again. */
export const spareLeadMsMax = 20_000;
/** A spare that could not have loaded enough by its due time is not started. */
const worthwhileMs = 300;
/** Timers fire a little early. The turn that is meant to start a spare must not find that it is not time yet. */
const earlyMs = 5;
/** Whether a core has come free is looked at this often. */
const pollMs = 100;

/**
 * Which spares to start now. Each starts as late as it can and still have loaded in time, so the first of many that are due
 * together starts early: they load one after the other, on all cores.
 */
export function planSpares(homes: readonly SpareHome[], limits: SpareLimits, nowMs: number): SparePlan {
  const made = homes.reduce((sum, home) => sum + home.spares, 0);
  const wanted = homes
    .flatMap(({ name, dueAtMs, spares }) => dueAtMs.slice(spares).map((dueMs) => ({ name, dueMs })))
    .filter(({ dueMs }) => dueMs > nowMs + worthwhileMs)
    .toSorted((a, b) => a.dueMs - b.dueMs)
    .slice(0, Math.max(0, limits.sparesMax - made));
  const startAtMs = latestStarts(
    wanted.map(({ dueMs }) => dueMs),
    limits,
  );
  const isTime = startAtMs.filter((atMs) => atMs <= nowMs + earlyMs).length;
  const start = wanted.slice(0, Math.min(isTime, Math.max(0, limits.cores - limits.loading)));
  const next = startAtMs[isTime];
  const wakeAtMs = start.length < isTime ? nowMs + pollMs : (next ?? null);
  return { start: start.map(({ name }) => name), wakeAtMs };
}

/** From the last to the first: each has to end in time, and before its core has to begin with a later one. */
function latestStarts(dueAtMs: readonly number[], { cores, loadingMs }: SpareLimits): readonly number[] {
  const neededAtMs = new Array<number>(cores).fill(Number.POSITIVE_INFINITY);
  return dueAtMs
    .toReversed()
    .map((dueMs, place) => {
      // All take equally long, so the cores take turns.
      const core = place % cores;
      const endMs = Math.min(dueMs - marginMs, neededAtMs[core] ?? 0);
      const startMs = Math.max(endMs - loadingMs, dueMs - spareLeadMsMax);
      neededAtMs[core] = startMs;
      return startMs;
    })
    .toReversed();
}
