import type { Clock, Timer } from "../../src/system/clock.ts";

/** Time that moves only when a test moves it, for everybody on one host. */
export interface FakeClock extends Clock {
  /** Moves the wall clock alone, as an administrator or a suspended machine does. */
  setWall(nowMs: number): void;
  /** When the next timer fires (monotonic ms), or null. */
  nextMs(): number | null;
  /** Moves time to the next timer and fires it. False when there is none. */
  fireNext(): boolean;
  /** Moves time on without firing anything: somebody waits without yielding. */
  pass(ms: number): void;
}

interface Waiting {
  readonly atMs: number;
  readonly order: number;
  act: (() => void) | null;
}

export function createFakeClock(startMs: number): FakeClock {
  let monotonicMs = 1_000_000;
  let wallMinusMonotonicMs = startMs - monotonicMs;
  let order = 0;
  /** A binary heap, the earliest first. */
  const heap: Waiting[] = [];

  const isBefore = (a: Waiting, b: Waiting): boolean => a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);

  function push(waiting: Waiting): void {
    let at = heap.length;
    heap.push(waiting);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = heap[parent];
      if (above === undefined || !isBefore(waiting, above)) break;
      heap[at] = above;
      at = parent;
    }
    heap[at] = waiting;
  }

  function pop(): Waiting | undefined {
    const first = heap[0];
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return first;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      const right = heap[child + 1];
      const left = heap[child];
      if (left === undefined) break;
      if (right !== undefined && isBefore(right, left)) child++;
      const least = heap[child];
      if (least === undefined || !isBefore(least, last)) break;
      heap[at] = least;
      at = child;
    }
    heap[at] = last;
    return first;
  }

  /** Cancelled timers stay in the heap until their time comes to the top. */
  function dropCancelled(): void {
    while (heap[0] !== undefined && heap[0].act === null) pop();
  }

  return {
    nowMs: () => Math.round((monotonicMs + wallMinusMonotonicMs) * 1000) / 1000,
    monotonicMs: () => monotonicMs,
    after(delayMs, act): Timer {
      const waiting: Waiting = { atMs: monotonicMs + Math.max(0, delayMs), order: order++, act };
      push(waiting);
      return {
        cancel() {
          waiting.act = null;
        },
      };
    },
    wait(ms) {
      monotonicMs += ms;
    },
    setWall(nowMs) {
      wallMinusMonotonicMs = nowMs - monotonicMs;
    },
    nextMs() {
      dropCancelled();
      return heap[0]?.atMs ?? null;
    },
    fireNext() {
      dropCancelled();
      const waiting = pop();
      if (waiting === undefined) return false;
      monotonicMs = Math.max(monotonicMs, waiting.atMs);
      const { act } = waiting;
      waiting.act = null;
      act?.();
      return true;
    },
    pass(ms) {
      monotonicMs += ms;
    },
  };
}
