import { InvariantError } from "../core/invariant-error.ts";
import { idleRetention, type RetentionStep, type RetentionView } from "../status/view.ts";
import type { Timer } from "../system/clock.ts";
import type { DaemonParts } from "./daemon-parts.ts";
import { createRetentionTasks, type Gauge, type Piece, type RetentionTask } from "./retention-tasks.ts";

/** Keeps runs, their output and the ledger within the bounds of the settings. */
export interface Retention {
  /** Looks whether there is anything to delete, and then goes on by itself until there is not. */
  look(): void;
  /** How far that has come. */
  progress(): RetentionView;
  halt(): void;
}

/** Between two pieces the loop is free. */
const pauseMs = 15;
/** Nothing is begun so shortly before something is due; on a host that always has something due, it waits no longer than `waitMsMax`. */
const quietMs = 60;
const waitMsMax = 2000;

/** `nextDueMs` answers when something is due next on this host. */
export function createRetention(parts: DaemonParts, nextDueMs: () => number): Retention {
  const { system } = parts;
  const tasks = createRetentionTasks(parts, remove);
  let timer: Timer | null = null;
  let pieces: Piece[] = [];
  let sinceMs: number | null = null;
  let current: { readonly step: RetentionStep; readonly gauge: Gauge } | null = null;
  let waitingSinceMs: number | null = null;
  let removing = 0;

  function measured({ step, begin, piece }: RetentionTask): Piece {
    let isBegun = false;
    return () => {
      if (!isBegun) current = { step, gauge: begin() };
      isBegun = true;
      return piece();
    };
  }

  /** Files first and rows second: what a crash leaves of it is a row whose folder is gone, and that goes with the next look. */
  function remove(paths: readonly string[], forget: () => void): void {
    for (const path of paths) {
      removing += 1;
      void system.files.removeSoon(path).then(
        () => {
          removing -= 1;
        },
        (error: unknown) => {
          removing -= 1;
          system.log.warn("what is too old could not be deleted; delete it by hand", { path, error: String(error) });
        },
      );
    }
    pieces.unshift(() => {
      if (removing > 0) return true;
      forget();
      return false;
    });
  }

  function isQuiet(): boolean {
    const nowMs = system.clock.monotonicMs();
    if (parts.unopened.length === 0 && nextDueMs() - system.clock.nowMs() > quietMs) {
      waitingSinceMs = null;
      return true;
    }
    waitingSinceMs ??= nowMs;
    if (nowMs - waitingSinceMs < waitMsMax) return false;
    waitingSinceMs = null;
    return true;
  }

  function work(): void {
    timer = null;
    if (isQuiet()) {
      const [piece] = pieces;
      try {
        if (piece !== undefined && !piece()) pieces.splice(pieces.indexOf(piece), 1);
      } catch (error) {
        if (!(error instanceof Error) || error instanceof InvariantError) throw error;
        // A disk that is full or a ledger that is busy: the next look tries again.
        system.log.error("what is too old could not be deleted", { error: error.message });
        pieces = [];
      }
    }
    if (pieces.length > 0) timer = system.clock.after(pauseMs, work);
  }

  return {
    look() {
      if (timer !== null) return;
      pieces = tasks().map(measured);
      sinceMs = system.clock.nowMs();
      current = null;
      timer = system.clock.after(pauseMs, work);
    },
    progress() {
      if (timer === null) return idleRetention;
      if (current === null) return { ...idleRetention, state: "running", sinceMs };
      const { step, gauge } = current;
      const total = gauge.total === 0 ? null : Math.ceil(gauge.total);
      return { state: "running", step, done: Math.floor(gauge.done()), total, sinceMs };
    },
    halt() {
      timer?.cancel();
      pieces = [];
    },
  };
}
