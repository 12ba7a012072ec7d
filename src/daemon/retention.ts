import { InvariantError } from "../core/invariant-error.ts";
import { runFolder } from "../output/run-folder.ts";
import { idleRetention, type RetentionStep, type RetentionView } from "../status/view.ts";
import type { Timer } from "../system/clock.ts";
import type { DaemonParts } from "./daemon-parts.ts";

/** Keeps runs, their output and the ledger within the bounds of the settings. */
export interface Retention {
  /** Looks whether there is anything to delete, and then goes on by itself until there is not. */
  look(): void;
  /** How far that has come. */
  progress(): RetentionView;
  halt(): void;
}

/** A piece is a few milliseconds of work, and the loop is free between two. */
const pauseMs = 15;
const runsPerPiece = 16;
const jobsPerPiece = 20;
const rowsPerPage = 1000;
const slotsPerPiece = 500;
const pagesPerPiece = 32;
/** Nothing is begun so shortly before something is due; on a host that always has something due, it waits no longer than `waitMsMax`. */
const quietMs = 60;
const waitMsMax = 2000;
/** What a run's folder takes beside its output. */
const folderBytes = 4096;

/** Does a bounded piece of work and says whether there is more. */
type Step = () => boolean;

/** How much of a step is done, and of what; null where nobody knows how much there is. */
interface Gauge {
  readonly done: () => number;
  readonly total: number | null;
}

const nothing: Gauge = { done: () => 0, total: null };

/** `nextDueMs` answers when something is due next on this host. */
export function createRetention(parts: DaemonParts, nextDueMs: () => number): Retention {
  const { system, ledger, stateFolder } = parts;
  let timer: Timer | null = null;
  let steps: Step[] = [];
  let sinceMs: number | null = null;
  let current: { readonly step: RetentionStep; readonly gauge: Gauge } | null = null;
  let waitingSinceMs: number | null = null;
  let removing = 0;
  /** Up to here the jobs' numbers of runs were looked at, for this bound. */
  let counted = { seq: 0, keep: 0 };
  let crowded: { readonly home: string; readonly jobId: string }[] = [];
  let weighed = { seq: -1, bytesMax: 0 };
  let saidTooLarge = false;

  function forgetBefore(beforeMs: number, decidedBeforeMs: number): boolean {
    const runIds = ledger.runsClaimedBefore(beforeMs, runsPerPiece);
    let slots = 0;
    ledger.transaction(() => {
      // Whoever checks the history must know from when on it is whole, also after a bound was raised.
      const forgottenMs = Number(ledger.note("history_from_ms") ?? Number.NEGATIVE_INFINITY);
      slots = ledger.deleteSlots(beforeMs, decidedBeforeMs, slotsPerPiece);
      if ((runIds.length > 0 || slots > 0) && beforeMs > forgottenMs) {
        ledger.setNote("history_from_ms", String(beforeMs));
      }
    });
    if (runIds.length > 0) remove(runIds.map(folderOf), () => ledger.transaction(() => ledger.forgetRuns(runIds)));
    return runIds.length > 0 || slots === slotsPerPiece;
  }

  function measured(step: RetentionStep, begin: () => Gauge, act: Step): Step {
    let isBegun = false;
    return () => {
      if (!isBegun) current = { step, gauge: begin() };
      isBegun = true;
      return act();
    };
  }

  const oldEndMs = (): number => system.clock.nowMs() - parts.settings.retention.ageMaxMs;

  const retireOld: Step = () => {
    const beforeMs = oldEndMs();
    return forgetBefore(beforeMs, beforeMs);
  };

  /** In milliseconds of history: nobody counts rows only to tell how many they are. */
  function oldGauge(): Gauge {
    const fromMs = ledger.oldestReachMs();
    const endMs = oldEndMs();
    if (fromMs === null || fromMs >= endMs) return nothing;
    return {
      done: () => Math.max(0, Math.min(ledger.oldestReachMs() ?? endMs, endMs) - fromMs),
      total: endMs - fromMs,
    };
  }

  const retireMany: Step = () => {
    const { runsMax } = parts.settings.retention;
    if (counted.keep !== runsMax) counted = { seq: 0, keep: runsMax };
    if (crowded.length === 0) {
      const page = ledger.jobsBehind(counted.seq, rowsPerPage);
      if (page === null) return false;
      crowded = [...page.jobs];
      counted = { seq: page.seq, keep: runsMax };
    }
    let job = crowded[0];
    let runIds: readonly string[] = [];
    for (let looked = 0; job !== undefined && looked < jobsPerPiece; looked++) {
      runIds = ledger.runsBeyond(job, runsMax, runsPerPiece);
      if (runIds.length > 0) break;
      crowded.shift();
      job = crowded[0];
    }
    if (job === undefined || runIds.length === 0) return true;
    const from = job;
    const newestMs = ledger.claimedAtMs(runIds.at(-1) ?? "") ?? 0;
    remove(runIds.map(folderOf), () =>
      ledger.transaction(() => {
        ledger.noteRunsKeptFrom(from, newestMs);
        ledger.forgetRuns(runIds);
      }),
    );
    return true;
  };

  function manyGauge(): Gauge {
    const { runsMax } = parts.settings.retention;
    const from = counted.keep === runsMax ? counted.seq : 0;
    const total = ledger.lastSeq() - from;
    return total <= 0 ? nothing : { done: () => Math.min(total, Math.max(0, counted.seq - from)), total };
  }

  /** Adds up what is kept from the newest run on; where that is more than there may be, the rest goes. */
  function weighOutput(): Step {
    const { bytesMax } = parts.settings.retention;
    const lastSeq = ledger.lastSeq();
    if (weighed.seq === lastSeq && weighed.bytesMax === bytesMax) return () => false;
    let seq = lastSeq + 1;
    let bytes = 0;
    const tooMuch: string[] = [];
    const gauge: Gauge = lastSeq === 0 ? nothing : { done: () => lastSeq + 1 - seq, total: lastSeq };
    const act: Step = () => {
      if (tooMuch.length > 0) {
        const runIds = ledger.withIdleOutput(tooMuch.splice(0, runsPerPiece));
        const paths = runIds.flatMap((runId) => {
          const { output, errors } = runFolder(stateFolder, runId);
          return [output, errors];
        });
        remove(paths, () => ledger.transaction(() => ledger.forgetOutputs(runIds)));
        return true;
      }
      const page = ledger.outputsBefore(seq, rowsPerPage);
      if (page === null) {
        weighed = { seq: lastSeq, bytesMax };
        return false;
      }
      seq = page.seq;
      for (const output of page.outputs) {
        bytes += output.bytes + folderBytes;
        if (bytes > bytesMax) tooMuch.push(output.runId);
      }
      return true;
    };
    return measured("output", () => gauge, act);
  }

  const retireLedger: Step = () => {
    const { ledgerBytesMax } = parts.settings.retention;
    if (ledger.usedBytes() <= ledgerBytesMax) {
      saidTooLarge = false;
      return false;
    }
    const reachMs = ledger.oldestReachMs();
    if (reachMs !== null && forgetBefore(reachMs + 1, system.clock.nowMs() + 1)) return true;
    if (!saidTooLarge && ledger.usedBytes() > ledgerBytesMax) {
      saidTooLarge = true;
      system.log.warn("the ledger is larger than retention.ledger_max, and what is in it is still needed", {
        bytes: ledger.usedBytes(),
      });
    }
    return false;
  };

  function ledgerGauge(): Gauge {
    const fromBytes = ledger.usedBytes();
    const total = fromBytes - parts.settings.retention.ledgerBytesMax;
    if (total <= 0) return nothing;
    return { done: () => Math.min(total, Math.max(0, fromBytes - ledger.usedBytes())), total };
  }

  let pages = 0;
  const giveBack: Step = () => {
    const hasMore = ledger.vacuum(pagesPerPiece);
    if (hasMore) pages += pagesPerPiece;
    return hasMore;
  };

  function vacuumGauge(): Gauge {
    pages = 0;
    return { done: () => pages, total: null };
  }

  function folderOf(runId: string): string {
    return runFolder(stateFolder, runId).path;
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
    steps.unshift(() => {
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
      const [step] = steps;
      try {
        if (step !== undefined && !step()) steps.splice(steps.indexOf(step), 1);
      } catch (error) {
        if (!(error instanceof Error) || error instanceof InvariantError) throw error;
        // A disk that is full or a ledger that is busy: the next look tries again.
        system.log.error("what is too old could not be deleted", { error: error.message });
        steps = [];
      }
    }
    if (steps.length > 0) timer = system.clock.after(pauseMs, work);
  }

  return {
    look() {
      if (timer !== null) return;
      steps = [
        measured("age", oldGauge, retireOld),
        measured("count", manyGauge, retireMany),
        weighOutput(),
        measured("ledger", ledgerGauge, retireLedger),
        measured("vacuum", vacuumGauge, giveBack),
      ];
      sinceMs = system.clock.nowMs();
      current = null;
      timer = system.clock.after(pauseMs, work);
    },
    progress() {
      if (timer === null) return idleRetention;
      if (current === null) return { ...idleRetention, state: "running", sinceMs };
      const { step, gauge } = current;
      const total = gauge.total === null ? null : Math.ceil(gauge.total);
      return { state: "running", step, done: Math.floor(gauge.done()), total, sinceMs };
    },
    halt() {
      timer?.cancel();
      steps = [];
    },
  };
}
