import type { Child } from "../child/child-table.ts";
import { createLimitWatch } from "../child/limit-runs.ts";
import type { RunLimits } from "../child/run-limits.ts";
import { createRunStopper } from "../child/stop-run.ts";
import type { Job } from "../core/job.ts";
import type { Run, RunReason } from "../core/run.ts";
import { restoreJob } from "../core/settle-job.ts";
import { readExit, runFolder } from "../output/run-folder.ts";
import type { Timer } from "../system/clock.ts";
import { closeRuns, decidedEnd, type EndedRun, settleLater } from "./close-run.ts";
import type { DaemonParts } from "./daemon-parts.ts";
import type { HomeRuntime } from "./home-runtime.ts";
import { claimRenewalMs, removeUnusedGates, renewClaims, retire } from "./housekeeping.ts";
import { launchRuns } from "./launch-run.ts";
import { adoptedChild, isLauncherAlive, knownEnd, orphanEnd, recoverRun } from "./recover.ts";
import { type DurableClaim, roomIn, tick } from "./tick.ts";

/** How long before a due time its launchers are started: room for a hundred of them on a slow machine. */
const prepareMs = 1000;
/** A launcher that was not needed goes after this long, so that nothing stands by between runs. */
const gateUnusedMsMax = 25_000;
/** Launchers started in one go before the loop looks at its timers again. */
const gatesPerTurn = 4;
/** Ends recorded in one go: between two batches whatever is due starts. */
const endsPerTurn = 8;
/** Files are looked at this often even when nothing was reported. A watch can miss a change; this cannot. */
const safetyMs = 30_000;
/** Jobs this close to each other are due together. */
const togetherMs = 50;
const lockRetryMs = 100;
const lockSaidMs = 5000;
const closeRetryMs = 1000;
/** Runs without a parent of ours are looked at this often. */
const adoptedPollMs = 250;
/** For a run whose job is gone. */
const usualLimits: RunLimits = {
  idleTimeoutMs: null,
  memoryBytesMax: null,
  outputBytesMax: 64 * 1024 ** 2,
  outputMaxAction: "truncate",
  stopGraceMs: 10_000,
  detach: false,
};

/** What the daemon's loop needs of the world that is not in `DaemonParts`. */
export interface DaemonOutlook {
  homes(): ReadonlyMap<string, HomeRuntime>;
  /** Reads settings, environment, markers and the list of homes again where their files changed. */
  refresh(): void;
  /** Called when the last run is over and the daemon is to end. */
  drained(): void;
}

export interface Daemon {
  /** Recovers what an earlier daemon left, then starts to tick. */
  begin(handedOver: boolean): void;
  /** Something changed for this home, or for all of them: look again as soon as possible. */
  nudge(home: string | null): void;
  stop(run: Run, cause: { readonly reason: RunReason; readonly text: string }, now: boolean): boolean;
  /** Starts claims that were made outside a tick. */
  launch(home: HomeRuntime, claims: readonly DurableClaim[]): void;
  /** Claims nothing more; `drained` is called when no run is open. */
  drain(): void;
  /** Stops the loop at once. Runs go on. */
  halt(): void;
}

const orphanCause = {
  reason: "orphaned",
  text: "The supervisor died while this run was open; what was left of it was stopped",
} as const;

export function createDaemon(parts: DaemonParts, outlook: DaemonOutlook): Daemon {
  const { system } = parts;
  const ended: EndedRun[] = [];
  const stopper = createRunStopper(system, parts.children, parts.stateFolder);
  const limitWatch = createLimitWatch(system, parts.children, parts.stateFolder, {
    stop: (child, cause) => void stopper.stop(child, cause, child.limits.stopGraceMs),
    memoryBytes: stopper.memoryBytes,
  });
  /** Runs whose launcher has ended and whose processes are being ended. */
  const sweeping = new Set<string>();
  /** Ends whose job record somebody else held at the time. */
  const unsettled = new Map<string, { readonly home: string; readonly ended: EndedRun }>();
  let timer: Timer | null = null;
  let timerAtMonotonicMs = Number.POSITIVE_INFINITY;
  let safetyAtMonotonicMs = 0;
  let wallMinusMonotonicMs = system.clock.nowMs() - system.clock.monotonicMs();
  let renewAtMonotonicMs = system.clock.monotonicMs() + claimRenewalMs;
  let halted = false;
  let drainReported = false;
  let adoptedTimer: Timer | null = null;

  function turn(): void {
    if (halted) return;
    timer = null;
    timerAtMonotonicMs = Number.POSITIVE_INFINITY;
    watchClock();
    if (system.clock.monotonicMs() >= safetyAtMonotonicMs) {
      safetyAtMonotonicMs = system.clock.monotonicMs() + safetyMs;
      guard(null, () => outlook.refresh());
      for (const home of outlook.homes().values()) home.dirty = true;
      guard(null, () => retire(parts, parts.settings.historyAgeMaxMs));
    }
    renewOpenClaims();
    tickDueHomes();
    closeSome();
    const preparing = prepareGates();
    arm(preparing || ended.length > 0);
    if (parts.draining && !drainReported && parts.children.all().length === 0 && ended.length === 0) {
      drainReported = true;
      outlook.drained();
    }
  }

  function renewOpenClaims(): void {
    const now = system.clock.monotonicMs();
    if (now < renewAtMonotonicMs) return;
    renewAtMonotonicMs = now + claimRenewalMs;
    for (const home of outlook.homes().values()) {
      if (parts.children.inHome(home.name).length === 0) continue;
      guard(home, () => {
        if (!renewClaims(parts, home)) renewAtMonotonicMs = now + 1000;
      });
    }
  }

  /** A step of the wall clock changes what is due, and no timer of ours notices it. */
  function watchClock(): void {
    const difference = system.clock.nowMs() - system.clock.monotonicMs();
    const jumpMs = difference - wallMinusMonotonicMs;
    wallMinusMonotonicMs = difference;
    if (Math.abs(jumpMs) < 1000) return;
    system.log.warn("the clock was set; looking at every job again", { by_ms: Math.round(jumpMs) });
    for (const home of outlook.homes().values()) home.dirty = true;
  }

  function tickDueHomes(): void {
    const nowMs = system.clock.nowMs();
    const due = [...outlook.homes().values()].filter((home) => isWanted(home, nowMs));
    // The longest overdue home first, so that a home with many jobs cannot keep another's waiting.
    due.sort((a, b) => (a.wakeAtMs ?? nowMs) - (b.wakeAtMs ?? nowMs));
    for (const home of due) guard(home, () => tickHome(home));
  }

  function isWanted(home: HomeRuntime, nowMs: number): boolean {
    if (home.state.kind === "unsupported" || home.recovering > 0) return false;
    if (home.retryAtMonotonicMs !== null) return system.clock.monotonicMs() >= home.retryAtMonotonicMs;
    return home.dirty || (home.wakeAtMs !== null && home.wakeAtMs <= nowMs);
  }

  function tickHome(home: HomeRuntime): void {
    home.dirty = false;
    home.retryAtMonotonicMs = null;
    settleWaiting(home);
    const report = tick(parts, home);
    if (home.state.kind === "degraded") {
      home.state = { kind: "active" };
      system.log.info("the home is readable again", { home: home.name });
    }
    if (report.kind === "locked") {
      lockBusy(home);
      return;
    }
    if (report.kind === "claimed") {
      home.lockBusy = null;
      launch(home, report.claims);
    }
  }

  /** Somebody else ticks this home. That is ordinary for a moment beside a gateway, and worth a line when it lasts. */
  function lockBusy(home: HomeRuntime): void {
    const now = system.clock.monotonicMs();
    home.retryAtMonotonicMs = now + lockRetryMs;
    home.lockBusy ??= { sinceMonotonicMs: now, sinceMs: system.clock.nowMs(), holderPid: null, said: false };
    if (home.lockBusy.said || now - home.lockBusy.sinceMonotonicMs < lockSaidMs) return;
    home.lockBusy.said = true;
    home.lockBusy.holderPid = system.locks.holderPid(`${home.cronFolder}/.tick.lock`);
    system.log.warn("the tick lock is held by another process; due jobs of this home wait for it", {
      home: home.name,
      holder_pid: home.lockBusy.holderPid,
    });
  }

  function launch(home: HomeRuntime, claims: readonly DurableClaim[]): void {
    if (claims.length === 0) return;
    const refused = launchRuns(parts, home, claims, childEnded);
    for (const { claim, text } of refused) {
      ended.push({ run: claim.run, end: decidedEnd("not_started", text), endedAtMs: system.clock.nowMs() });
    }
    for (const { run, job } of claims) {
      const child = parts.children.get(run.id);
      if (child !== null) armTimeout(child, home.settings.timeoutMs(job));
    }
    limitWatch.start();
  }

  function armTimeout(child: Child, timeoutMs: number | null): void {
    if (timeoutMs === null) return;
    const leftMs = Math.max(0, child.startedAtMs + timeoutMs - system.clock.nowMs());
    child.timeout = system.clock.after(leftMs, () => {
      const text = `Script timed out after ${timeoutMs / 1000}s: ${child.script ?? child.jobId}`;
      void stopper.stop(child, { reason: "timeout", text }, child.limits.stopGraceMs);
    });
  }

  function childEnded(runId: string): void {
    if (halted) return;
    const run = parts.ledger.run(runId);
    const child = parts.children.get(runId);
    if (run === null || child === null) return;
    void child.ended?.then((exit) => sweep(child, endOf(run, child, exit)));
  }

  /** A run stays open until nothing of it is left, so that the next one of its job cannot start beside it. */
  function sweep(child: Child, end: EndedRun): void {
    if (sweeping.has(child.runId)) return;
    sweeping.add(child.runId);
    void stopper
      .sweep(child)
      .then(() => limitWatch.finish(child))
      .then(() => {
        sweeping.delete(child.runId);
        ended.push(end);
        wakeSoon();
      });
  }

  function endOf(
    run: Run,
    child: Child,
    exit: { readonly exitCode: number | null; readonly signal: string | null },
  ): EndedRun {
    const endedAtMs = system.clock.nowMs();
    const written = readExit(system, runFolder(parts.stateFolder, run.id));
    if (child.cause !== null) {
      const how = written ?? { exitCode: null, signal: exit.signal, signalNumber: null };
      return { run, endedAtMs, end: { ...how, cause: child.cause.reason, causeText: child.cause.text } };
    }
    if (written !== null) return { run, endedAtMs, end: written };
    // The launcher itself was killed, so nobody saw how the job ended; that it is over is all there is to say.
    const text = `The launcher of this run was ended by ${exit.signal ?? `status ${exit.exitCode}`} before it could record how the job ended`;
    return { run, endedAtMs, end: { ...decidedEnd("orphaned", text), signal: null } };
  }

  function closeSome(): void {
    const batch = ended.splice(0, endsPerTurn);
    const homes = new Set(batch.map(({ run }) => run.home));
    for (const name of homes) {
      const ofHome = batch.filter(({ run }) => run.home === name);
      const home = outlook.homes().get(name);
      if (home === undefined) {
        closeWithoutHome(ofHome);
        continue;
      }
      try {
        for (const late of closeRuns(parts, home, ofHome)) unsettled.set(late.run.id, { home: name, ended: late });
      } catch (error) {
        // Most likely a full disk. Every step can be done again, so these ends wait and are tried again.
        system.log.error("ends of runs could not be recorded yet", { home: name, error: String(error) });
        system.clock.after(closeRetryMs, () => {
          ended.push(...ofHome);
          wakeSoon();
        });
      }
      home.dirty = true;
    }
    // Room for one run is room for any home that waits for the host's limit.
    if (batch.length > 0) for (const home of outlook.homes().values()) if (home.waiting > 0) home.dirty = true;
  }

  /** The profile was deleted while its run went on: the result stays in the ledger, and nothing is written to a home that is gone. */
  function closeWithoutHome(endedRuns: readonly EndedRun[]): void {
    parts.ledger.transaction(() => {
      for (const { run, end, endedAtMs } of endedRuns) {
        const success = end.cause === null && end.exitCode === 0;
        parts.ledger.close(run.id, {
          state: success ? "completed" : "failed",
          reason: success ? null : (end.cause ?? (end.signal === null ? "exit" : "signal")),
          exitCode: end.exitCode,
          signal: end.signal,
          error: success ? null : (end.causeText ?? `Script exited with code ${end.exitCode ?? end.signal}`),
          endedAtMs,
          outputBytes: null,
          outputPath: run.outputPath,
          documentPath: null,
        });
      }
    });
    for (const { run } of endedRuns) parts.children.remove(run.id);
  }

  function settleWaiting(home: HomeRuntime): void {
    const waiting = [...unsettled.values()].filter((one) => one.home === home.name).map((one) => one.ended);
    if (waiting.length === 0) return;
    for (const one of waiting) unsettled.delete(one.run.id);
    for (const late of settleLater(parts, home, waiting)) unsettled.set(late.run.id, { home: home.name, ended: late });
  }

  /** Starts launchers for what is due soon, a few at a time. True while there are more to start. */
  function prepareGates(): boolean {
    if (parts.draining) return false;
    const nowMs = system.clock.nowMs();
    let left = gatesPerTurn;
    let more = false;
    for (const home of outlook.homes().values()) {
      home.pool.discardStale(home.settings.environment.id, gateUnusedMsMax);
      if (home.wakeAtMs === null || home.state.kind !== "active" || home.wakeAtMs - nowMs > prepareMs) continue;
      const wanted = gatesWanted(home, home.wakeAtMs);
      const missing = wanted - home.pool.ready().length;
      if (missing <= 0) continue;
      const start = Math.min(missing, left);
      left -= start;
      more ||= missing > start;
      if (start > 0) guard(home, () => home.pool.fill(home.pool.ready().length + start, home.settings.environment));
    }
    return more;
  }

  /** How many jobs come due together with the first one, as far as there will be room for them. */
  function gatesWanted(home: HomeRuntime, wakeAtMs: number): number {
    const room = roomIn(parts, home);
    if (room === 0) return 0;
    const untilMs = Math.max(wakeAtMs, system.clock.nowMs()) + togetherMs;
    let wanted = 0;
    for (const job of home.store.read().jobs) {
      if (!job.enabled || job.kind !== "script" || job.nextRunAt === null || job.nextRunAt.ms > untilMs) continue;
      wanted++;
      if (wanted >= room) break;
    }
    return wanted;
  }

  function arm(soon: boolean): void {
    const nowMonotonic = system.clock.monotonicMs();
    const nowMs = system.clock.nowMs();
    let delayMs = soon ? 0 : Math.min(safetyAtMonotonicMs, renewAtMonotonicMs) - nowMonotonic;
    for (const home of outlook.homes().values()) {
      if (home.state.kind === "unsupported" || home.recovering > 0) continue;
      if (home.retryAtMonotonicMs !== null) delayMs = Math.min(delayMs, home.retryAtMonotonicMs - nowMonotonic);
      else if (home.dirty) delayMs = 0;
      else if (home.wakeAtMs !== null) {
        const dueInMs = home.wakeAtMs - nowMs;
        const prepared = home.pool.ready().length >= gatesWanted(home, home.wakeAtMs);
        delayMs = Math.min(delayMs, prepared || dueInMs < prepareMs ? dueInMs : dueInMs - prepareMs);
      }
    }
    wakeIn(Math.max(0, delayMs));
  }

  function wakeIn(delayMs: number): void {
    const atMs = system.clock.monotonicMs() + delayMs;
    if (timer !== null && timerAtMonotonicMs <= atMs) return;
    timer?.cancel();
    timerAtMonotonicMs = atMs;
    timer = system.clock.after(delayMs, turn);
  }

  function wakeSoon(): void {
    if (!halted) wakeIn(0);
  }

  /** What goes wrong in one home must not reach another. */
  function guard(home: HomeRuntime | null, act: () => void): void {
    try {
      act();
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      if (home === null) {
        system.log.error("could not look at the homes again", { error: error.message });
        return;
      }
      degrade(home, error);
    }
  }

  function degrade(home: HomeRuntime, error: Error): void {
    const before = home.state;
    home.state = { kind: "degraded", reason: error.message };
    home.wakeAtMs = null;
    home.retryAtMonotonicMs = system.clock.monotonicMs() + 1000;
    home.pool.discardAll();
    if (before.kind !== "degraded" || before.reason !== error.message) {
      system.log.error("a home cannot be served until this is mended", { home: home.name, error: error.message });
    }
  }

  function recover(handedOver: boolean): void {
    for (const run of parts.ledger.openRuns()) recoverOne(run, handedOver, 0);
  }

  function recoverOne(run: Run, handedOver: boolean, tries: number): void {
    const home = outlook.homes().get(run.home) ?? null;
    const found = recoverRun(parts, run, handedOver);
    system.log.info("found a run that an earlier daemon left open", {
      run_id: run.id,
      home: run.home,
      job_id: run.jobId,
      found: found.kind,
    });
    switch (found.kind) {
      case "ended":
        sweep(addAdopted(run), found.ended);
        return;
      case "void":
        voidRun(run, home);
        return;
      case "wait":
        // A launcher at a gate whose daemon died leaves by itself within milliseconds.
        addAdopted(run);
        if (home !== null) home.recovering++;
        system.clock.after(20, () => {
          if (home !== null) home.recovering--;
          parts.children.remove(run.id);
          if (tries < 250) recoverOne(run, handedOver, tries + 1);
          else void stopper.stop(addAdopted(run), orphanCause, 0).then(() => recoverOne(run, handedOver, 0));
          wakeSoon();
        });
        return;
      case "adopt":
        parts.ledger.adopt(run.id);
        watchAdopted(run);
        return;
      case "stop": {
        const child = watchAdopted(run);
        void stopper.stop(child, orphanCause, child.limits.stopGraceMs);
        return;
      }
    }
  }

  /** A crash between the end of a run in the ledger and in its job's record leaves our claim standing there. */
  function settleLeftClaims(home: HomeRuntime): void {
    for (const job of home.store.read().jobs) {
      const run = job.fireClaim === null ? null : parts.ledger.runByOwner(job.fireClaim.by);
      if (run === null || run.state === "claimed" || run.state === "running") continue;
      if (run.state === "void") restoreSlot(home, run);
      else unsettled.set(run.id, { home: home.name, ended: knownEnd(parts, run) ?? orphanEnd(parts, run) });
      home.dirty = true;
    }
  }

  function watchAdopted(run: Run): Child {
    const child = addAdopted(run);
    const home = outlook.homes().get(run.home);
    const job = jobOf(home, run.jobId);
    if (home !== undefined && job !== null) armTimeout(child, home.settings.timeoutMs(job));
    limitWatch.start();
    adoptedTimer ??= system.clock.after(adoptedPollMs, pollAdopted);
    return child;
  }

  function addAdopted(run: Run): Child {
    const home = outlook.homes().get(run.home);
    const job = jobOf(home, run.jobId);
    const child = adoptedChild(run, job === null ? usualLimits : (home?.settings.limits(job) ?? usualLimits));
    parts.children.add(child);
    return child;
  }

  function pollAdopted(): void {
    adoptedTimer = null;
    if (halted) return;
    let left = 0;
    for (const child of parts.children.all()) {
      if (child.ended !== null || sweeping.has(child.runId)) continue;
      if (ended.some(({ run }) => run.id === child.runId)) continue;
      const run = parts.ledger.run(child.runId);
      if (run === null) continue;
      if (isLauncherAlive(parts, run)) {
        left++;
        continue;
      }
      const seen = knownEnd(parts, run);
      const end = seen ?? orphanEnd(parts, run);
      const { cause } = child;
      sweep(child, cause === null ? end : { ...end, end: { ...end.end, cause: cause.reason, causeText: cause.text } });
    }
    if (left > 0) adoptedTimer = system.clock.after(adoptedPollMs, pollAdopted);
  }

  function voidRun(run: Run, home: HomeRuntime | null): void {
    parts.ledger.close(run.id, {
      state: "void",
      reason: "not_started",
      exitCode: null,
      signal: null,
      error: "The supervisor ended before this run's gate opened, so nothing ran",
      endedAtMs: system.clock.nowMs(),
      outputBytes: null,
      outputPath: null,
      documentPath: null,
    });
    if (home !== null) guard(home, () => restoreSlot(home, run));
  }

  function jobOf(home: HomeRuntime | undefined, jobId: string): Job | null {
    try {
      return home?.store.read().jobs.find((job) => job.id === jobId) ?? null;
    } catch {
      // The home's own tick says what is wrong with its store.
      return null;
    }
  }

  /** Gives back the slot of a claim whose gate never opened, so that it is served once after all. */
  function restoreSlot(home: HomeRuntime, run: Run): void {
    home.store.update((snapshot) => {
      const job = snapshot.jobs.find((one) => one.id === run.jobId);
      const patch = job === undefined ? "superseded" : restoreJob(job, { ...run, zone: home.settings.zone });
      return new Map(patch === "superseded" ? [] : [[run.jobId, patch]]);
    }, 1000);
    if (run.scheduledAtMs !== null) home.restored.set(run.jobId, run.scheduledAtMs);
    home.dirty = true;
  }

  return {
    begin(handedOver) {
      recover(handedOver);
      for (const home of outlook.homes().values()) guard(home, () => settleLeftClaims(home));
      guard(null, () => removeUnusedGates(parts));
      for (const runId of system.processes.groups?.list() ?? []) {
        if (parts.children.get(runId) === null) system.processes.groups?.remove(runId);
      }
      turn();
    },
    nudge(name) {
      for (const home of outlook.homes().values()) {
        if (name !== null && home.name !== name) continue;
        home.dirty = true;
        // What was wrong with it may be mended now.
        if (home.state.kind === "degraded") home.retryAtMonotonicMs = null;
      }
      wakeSoon();
    },
    stop(run, cause, now) {
      const child = parts.children.get(run.id);
      if (child === null) return false;
      void stopper.stop(child, cause, now ? 0 : child.limits.stopGraceMs);
      return true;
    },
    launch(home, claims) {
      launch(home, claims);
      wakeSoon();
    },
    drain() {
      parts.draining = true;
      for (const home of outlook.homes().values()) home.pool.discardAll();
      wakeSoon();
    },
    halt() {
      halted = true;
      timer?.cancel();
      adoptedTimer?.cancel();
      stopper.halt();
      limitWatch.halt();
      for (const home of outlook.homes().values()) home.pool.discardAll();
    },
  };
}
