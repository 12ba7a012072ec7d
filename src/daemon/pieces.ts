import type { Work } from "../core/work.ts";
import type { Clock } from "../system/clock.ts";

/** A run that falls due, or another reader, waits no longer than this for a piece. */
const pieceMs = 2;

/** Does long work in pieces, one at a time for all who have some: between two of them the loop goes round. */
export interface Pieces {
  /** What takes no longer than a piece is done when this returns. An error of the work is one of the promise, and so is its end before it is done, once `isGone`. */
  run<Result>(work: Work<Result>, isGone?: () => boolean): Promise<Result>;
  /** As `run`, and calls `done` from within what does the work, at once if that is short. */
  start<Result>(work: Work<Result>, done: (result: Result) => void, failed: (error: unknown) => void): void;
  /** For work that waits by itself: resolves when it may go on. */
  pause(): Promise<void>;
}

export function createPieces(clock: Pick<Clock, "monotonicMs" | "after">): Pieces {
  const waiting: (() => void)[] = [];
  let isArmed = false;

  function wait(act: () => void): void {
    waiting.push(act);
    arm();
  }

  function arm(): void {
    if (isArmed) return;
    isArmed = true;
    clock.after(0, () => {
      isArmed = false;
      waiting.shift()?.();
      if (waiting.length > 0) arm();
    });
  }

  function start<Result>(
    work: Work<Result>,
    done: (result: Result) => void,
    failed: (error: unknown) => void,
    isGone: () => boolean = () => false,
  ): void {
    const piece = (): void => {
      const untilMs = clock.monotonicMs() + pieceMs;
      try {
        if (isGone()) throw new Error("Nobody waits for this any more");
        for (;;) {
          const step = work.next();
          if (step.done === true) {
            done(step.value);
            return;
          }
          if (clock.monotonicMs() >= untilMs) break;
        }
      } catch (error) {
        failed(error);
        return;
      }
      wait(piece);
    };
    // Many who begin in one turn of the loop would hold it up as one long piece does.
    if (waiting.length === 0) piece();
    else wait(piece);
  }

  return {
    start,
    run: (work, isGone) => new Promise((resolve, reject) => start(work, resolve, reject, isGone)),
    pause: () => new Promise((resolve) => wait(resolve)),
  };
}
