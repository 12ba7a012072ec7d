import type { Child } from "../child/child-table.ts";
import type { LimitWatch } from "../child/limit-runs.ts";
import type { RunStopper } from "../child/stop-run.ts";
import { InvariantError } from "../core/invariant-error.ts";
import type { Run } from "../core/run.ts";
import { createZone, type Zone } from "../core/zone.ts";
import { readAnswer } from "../output/prompt-files.ts";
import { exitOf, joinOutput, readExit, runFolder } from "../output/run-folder.ts";
import { closeRuns, decidedEnd, type EndedRun, noteStart, settleLater, writeResult } from "./close-run.ts";
import type { DaemonParts } from "./daemon-parts.ts";
import { noteEndsFault } from "./home-fault.ts";
import type { HomeRuntime } from "./home-runtime.ts";

/** Ends recorded in one go: between two batches whatever is due starts. */
const endsPerTurn = 8;
const retryMs = 1000;

/** Runs that are over and not yet recorded to the last. Until then they count as open, so that their job does not start again. */
export interface EndedRuns {
  /** Waits for the end of a child of ours, and sees to it. */
  watch(runId: string): void;
  /** Ends what is left of a run whose leader is gone, then has its end recorded. */
  sweep(child: Child, end: EndedRun): void;
  /** Whether the end of this run is known already. */
  has(runId: string): boolean;
  add(end: EndedRun): void;
  /** Records a few ends, and calls `closed` if there were any. True while there are more. */
  closeSome(closed: () => void): boolean;
  /** An end that the ledger has and the job's record has not. */
  addUnsettled(end: EndedRun): void;
  /** Settles records of this home that could not be settled before. */
  settleWaiting(home: HomeRuntime): void;
  /** Leaves the records of a home that is gone: they could only be settled in it. */
  forgetHome(name: string): void;
  /** Writes down which records are settled. A daemon that dies before finds them so in the records themselves. */
  noteSettled(): void;
}

export function createEndedRuns(
  parts: DaemonParts,
  homes: () => ReadonlyMap<string, HomeRuntime>,
  stopper: RunStopper,
  limits: LimitWatch,
  wake: () => void,
): EndedRuns {
  const { system } = parts;
  const ended: EndedRun[] = [];
  /** Runs whose leader has ended and whose other processes are being ended. */
  const sweeping = new Set<string>();
  /** Runs whose end could not be recorded, until it is tried again. */
  const waiting = new Set<string>();
  /** By run. Somebody else held the job's fence, or the store could not be written. */
  const unsettled = new Map<string, EndedRun>();
  /** Runs whose record is settled, which the ledger does not know yet. */
  const settled = new Set<string>();
  /** Homes that are gone, and whose ends cannot be recorded now. */
  const missing = new Set<string>();

  function sweep(child: Child, end: EndedRun): void {
    if (sweeping.has(child.runId)) return;
    sweeping.add(child.runId);
    child.overAtMs = end.endedAtMs;
    void stopper
      .sweep(child)
      .then(() => limits.finish(child))
      .catch((error: unknown) =>
        system.log.error("what a run left could not be cleared away", { run_id: child.runId, error: String(error) }),
      )
      .then(() => {
        sweeping.delete(child.runId);
        ended.push(end);
        wake();
      });
  }

  function endOf(
    run: Run,
    child: Child,
    exit: { readonly exitCode: number | null; readonly signal: string | null },
  ): EndedRun {
    const endedAtMs = system.clock.nowMs();
    const folder = runFolder(parts.stateFolder, run.id);
    // The launcher ends as its job did, so what it could not write down is known all the same.
    const written = readExit(system, folder) ?? (exit.exitCode === null ? null : exitOf(system, folder, exit.exitCode));
    if (child.cause !== null) {
      const how = written ?? { exitCode: null, signal: exit.signal, signalNumber: null };
      return { run, endedAtMs, end: { ...how, cause: child.cause.reason, causeText: child.cause.text } };
    }
    if (written !== null && system.files.stat(folder.started) === null) {
      const text = "The launcher of this run could not begin it: its folder could not be written";
      return { run, endedAtMs, end: decidedEnd("not_started", text) };
    }
    if (written !== null) return { run, endedAtMs, end: written };
    // The launcher itself was killed, so nobody saw how the job ended; that it is over is all there is to say.
    const text = `The launcher of this run was ended by ${exit.signal ?? `status ${exit.exitCode}`} before it could record how the job ended`;
    return { run, endedAtMs, end: decidedEnd("orphaned", text) };
  }

  function closeIn(home: HomeRuntime, ends: readonly EndedRun[]): void {
    try {
      const late = new Set(closeRuns(parts, home, ends).map(({ run }) => run.id));
      for (const end of ends) {
        if (late.has(end.run.id)) unsettled.set(end.run.id, end);
        else done(end.run.id);
      }
    } catch (error) {
      if (!(error instanceof Error) || error instanceof InvariantError) throw error;
      // Most likely a full disk. Every step can be done again, so these ends wait and are tried again.
      noteEndsFault(system.log, home, error);
      tryLater(ends);
    }
    if (unsettled.size > 0) system.clock.after(retryMs, wake);
    home.dirty = true;
  }

  function done(runId: string): void {
    parts.children.remove(runId);
    settled.add(runId);
  }

  function noteSettled(): void {
    if (settled.size === 0) return;
    try {
      parts.ledger.settled([...settled]);
      settled.clear();
    } catch (error) {
      if (!(error instanceof Error) || error instanceof InvariantError) throw error;
      // A full disk: it is tried again, and the records say so by themselves.
    }
  }

  function tryLater(ends: readonly EndedRun[]): void {
    for (const { run } of ends) waiting.add(run.id);
    system.clock.after(retryMs, () => {
      for (const { run } of ends) waiting.delete(run.id);
      ended.push(...ends);
      wake();
    });
  }

  /** The profile was deleted while its run went on: the result stays in the ledger, and nothing is written to a home that is gone. */
  function closeWithoutHome(name: string, ends: readonly EndedRun[]): void {
    try {
      // No document is named by it: the zone went with the home.
      recordEnds(ends, createZone(null, 0));
    } catch (error) {
      if (!(error instanceof Error) || error instanceof InvariantError) throw error;
      if (!missing.has(name))
        system.log.error("ends of runs could not be recorded yet", { home: name, error: String(error) });
      missing.add(name);
      tryLater(ends);
      return;
    }
    missing.delete(name);
    for (const { run } of ends) done(run.id);
  }

  /** Nothing is written to a home of an unknown layout: its records are settled when it can be written again. */
  function closeUntouched(home: HomeRuntime, ends: readonly EndedRun[]): void {
    try {
      recordEnds(ends, home.settings.zone);
    } catch (error) {
      if (!(error instanceof Error) || error instanceof InvariantError) throw error;
      noteEndsFault(system.log, home, error);
      tryLater(ends);
      return;
    }
    for (const end of ends) unsettled.set(end.run.id, end);
  }

  function recordEnds(ends: readonly EndedRun[], zone: Zone): void {
    const written = ends.map((ended) => {
      const folder = runFolder(parts.stateFolder, ended.run.id);
      const { end, endedAtMs, stdoutBytes } = writeResult(parts, folder, ended, zone);
      return { run: ended.run, folder, end, endedAtMs, outputBytes: joinOutput(system, folder, stdoutBytes) };
    });
    parts.ledger.transaction(() => {
      for (const { run, folder, end, endedAtMs, outputBytes } of written) {
        const answer = run.kind === "prompt" ? readAnswer(system, folder) : null;
        const wentWell = run.kind === "prompt" ? answer?.success === true : end.exitCode === 0;
        const success = end.cause === null && wentWell;
        noteStart(parts, run, folder, success);
        parts.ledger.close(run.id, {
          state: success ? "completed" : "failed",
          reason: success ? null : (end.cause ?? (answer !== null ? "error" : end.signal === null ? "exit" : "signal")),
          exitCode: end.exitCode,
          signal: end.signal,
          error: success
            ? null
            : (end.causeText ?? answer?.error ?? `Script exited with code ${end.exitCode ?? end.signal}`),
          endedAtMs,
          outputBytes,
          outputPath: run.outputPath,
          documentPath: null,
        });
      }
    });
  }

  return {
    watch(runId) {
      const run = parts.ledger.run(runId);
      const child = parts.children.get(runId);
      if (run === null || child === null) return;
      void child.ended?.then((exit) => sweep(child, endOf(run, child, exit)));
    },
    sweep,
    has: (runId) =>
      sweeping.has(runId) || waiting.has(runId) || unsettled.has(runId) || ended.some(({ run }) => run.id === runId),
    add: (end) => void ended.push(end),
    closeSome(closed) {
      const batch = ended.splice(0, endsPerTurn);
      for (const name of new Set(batch.map(({ run }) => run.home))) {
        const ofHome = batch.filter(({ run }) => run.home === name);
        const home = homes().get(name);
        if (home === undefined) closeWithoutHome(name, ofHome);
        else if (home.state.kind === "unsupported") closeUntouched(home, ofHome);
        else closeIn(home, ofHome);
      }
      if (batch.length > 0) closed();
      // Room for one run is room for any home that waits for the host's limit.
      if (batch.length > 0) for (const home of homes().values()) if (home.waiting > 0) home.dirty = true;
      if (batch.length === 0) noteSettled();
      return ended.length > 0;
    },
    noteSettled,
    addUnsettled(end) {
      unsettled.set(end.run.id, end);
      const child = parts.children.get(end.run.id);
      if (child !== null) child.overAtMs = end.endedAtMs;
    },
    forgetHome(name) {
      for (const { run } of [...unsettled.values()].filter((end) => end.run.home === name)) {
        parts.ledger.supersede(run.id);
        unsettled.delete(run.id);
        done(run.id);
      }
    },
    settleWaiting(home) {
      const waiting = [...unsettled.values()].filter(({ run }) => run.home === home.name);
      if (waiting.length === 0) return;
      const late = new Set(settleLater(parts, home, waiting).map(({ run }) => run.id));
      for (const { run } of waiting) {
        if (late.has(run.id)) continue;
        unsettled.delete(run.id);
        done(run.id);
      }
      if (late.size > 0)
        system.clock.after(retryMs, () => {
          home.dirty = true;
          wake();
        });
    },
  };
}
