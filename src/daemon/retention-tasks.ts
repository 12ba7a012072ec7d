import { runFolder } from "../output/run-folder.ts";
import type { RetentionStep } from "../status/view.ts";
import type { DaemonParts } from "./daemon-parts.ts";

const runsPerPiece = 16;
const jobsPerPiece = 20;
const rowsPerPage = 1000;
const slotsPerPiece = 500;
const pagesPerPiece = 32;
/** What a run's folder takes beside its output. */
const folderBytes = 4096;

/** A few milliseconds of work. Says whether there is more of it. */
export type Piece = () => boolean;

/** How much of a step is done, and of how much. */
export interface Gauge {
  readonly done: () => number;
  readonly total: number;
}

/** One bound of the settings, and the work that keeps to it. */
export interface RetentionTask {
  readonly step: RetentionStep;
  /** Asked once, before the first piece. */
  readonly begin: () => Gauge;
  readonly piece: Piece;
}

const nothing: Gauge = { done: () => 0, total: 0 };

/**
 * The tasks of a look, in their order. What a look has found out, the next one knows. `remove` deletes files and folders, and calls
 * `forget` when they are gone.
 */
export function createRetentionTasks(
  parts: DaemonParts,
  remove: (paths: readonly string[], forget: () => void) => void,
): () => readonly RetentionTask[] {
  const { system, ledger, stateFolder } = parts;
  /** Up to here the jobs' numbers of runs were looked at, for this bound. */
  let counted = { seq: 0, keep: 0 };
  let crowded: { readonly home: string; readonly jobId: string }[] = [];
  let weighed = { seq: -1, bytesMax: 0 };
  let saidTooLarge = false;

  function folderOf(runId: string): string {
    return runFolder(stateFolder, runId).path;
  }

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

  const oldEndMs = (): number => system.clock.nowMs() - parts.settings.retention.ageMaxMs;

  const retireOld: Piece = () => {
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

  const retireMany: Piece = () => {
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
  function outputTask(): RetentionTask {
    const { bytesMax } = parts.settings.retention;
    const lastSeq = ledger.lastSeq();
    const isKnown = weighed.seq === lastSeq && weighed.bytesMax === bytesMax;
    let seq = lastSeq + 1;
    let bytes = 0;
    const tooMuch: string[] = [];

    const piece: Piece = () => {
      if (isKnown) return false;
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

    const begin = (): Gauge => (isKnown ? nothing : { done: () => lastSeq + 1 - seq, total: lastSeq });
    return { step: "output", begin, piece };
  }

  const retireLedger: Piece = () => {
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

  function vacuumGauge(): Gauge {
    const total = ledger.freePages();
    return { done: () => Math.max(0, total - ledger.freePages()), total };
  }

  const giveBack: Piece = () => {
    if (ledger.freePages() === 0) return false;
    ledger.vacuum(pagesPerPiece);
    return true;
  };

  return () => [
    { step: "age", begin: oldGauge, piece: retireOld },
    { step: "count", begin: manyGauge, piece: retireMany },
    outputTask(),
    { step: "ledger", begin: ledgerGauge, piece: retireLedger },
    { step: "vacuum", begin: vacuumGauge, piece: giveBack },
  ];
}
