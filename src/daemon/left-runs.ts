import type { Child } from "../child/child-table.ts";
import type { LimitWatch } from "../child/limit-runs.ts";
import type { RunLimits } from "../child/run-limits.ts";
import type { RunStopper } from "../child/stop-run.ts";
import type { Job, StoredClaim } from "../core/job.ts";
import { isSameInstant } from "../core/observe-slots.ts";
import type { Run } from "../core/run.ts";
import { isOwnerOf } from "../core/run-owner.ts";
import { mayBeClaimed, restoreJob } from "../core/settle-job.ts";
import type { Timer } from "../system/clock.ts";
import { noteDeaths } from "./attempts.ts";
import { noteSuperseded } from "./close-run.ts";
import type { DaemonParts } from "./daemon-parts.ts";
import type { EndedRuns } from "./ended-runs.ts";
import { noteEndsFault } from "./home-fault.ts";
import type { HomeRuntime, NamedJob } from "./home-runtime.ts";
import { findUnusedGates, removeUnusedGates } from "./housekeeping.ts";
import { adoptedChild, isLauncherAlive, knownEnd, orphanCause, orphanEnd, recoverRun } from "./recover.ts";
import { lockWaitMs } from "./tick.ts";
import { voidRuns } from "./void-run.ts";

/** Runs without a parent of ours are looked at this often. */
const adoptedPollMs = 250;
const gateLeavesMs = 20;
const undecidedRetryMs = 1000;
const gateLooksMax = 250;
/** For a run whose home is gone. */
const usualLimits: RunLimits = {
  idleTimeoutMs: null,
  memoryBytesMax: null,
  outputBytesMax: 64 * 1024 ** 2,
  outputMaxAction: "truncate",
  stopGraceMs: 10_000,
  detach: false,
  tags: [],
};

/** Runs and claims that an earlier daemon left behind. */
export interface LeftRuns {
  /** Decides every open run of the ledger, and clears away what no run needs. */
  recover(handedOver: boolean): void;
  /** Gives back the claims of ours that still stand in this home's records, once the home can be read. */
  clearClaims(home: HomeRuntime): void;
  halt(): void;
}

export function createLeftRuns(
  parts: DaemonParts,
  homes: () => ReadonlyMap<string, HomeRuntime>,
  stopper: RunStopper,
  limits: LimitWatch,
  ends: EndedRuns,
  armTimeout: (child: Child, timeoutMs: number | null) => void,
  wake: () => void,
): LeftRuns {
  const { system } = parts;
  /** Runs that could not be decided at first, and were told of. */
  const undecided = new Set<string>();
  /** Runs of which nothing is known yet but that they are to be looked at again: they may have been none. */
  const waiting = new Set<string>();
  /** Gates that nobody had opened when this daemon came, and of which the ledger says nothing. */
  let unusedGates: readonly string[] = [];
  let timer: Timer | null = null;
  let halted = false;

  /**
   * A run that cannot be decided, most likely because the disk is full, keeps its home waiting and is looked at again. Even a broken
   * invariant does only that: ending for it would end every daemon to come at the same run, and serve no other home ever again.
   */
  function recoverOne(run: Run, handedOver: boolean, looks: number): void {
    try {
      decide(run, handedOver, looks);
      const home = homes().get(run.home);
      if (home?.recovering === 0) noteEndsFault(system.log, home, null);
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      const home = homes().get(run.home);
      if (home !== undefined) noteEndsFault(system.log, home, error);
      else if (!undecided.has(run.id))
        system.log.error("a run could not be decided yet", { run_id: run.id, error: error.message });
      undecided.add(run.id);
      lookAgain(run, undecidedRetryMs, () => recoverOne(run, handedOver, looks));
    }
  }

  function lookAgain(run: Run, inMs: number, look: () => void): void {
    const home = homes().get(run.home);
    add(run);
    waiting.add(run.id);
    if (home !== undefined) home.recovering++;
    system.clock.after(inMs, () => {
      waiting.delete(run.id);
      if (home !== undefined) home.recovering--;
      parts.children.remove(run.id);
      if (!halted) look();
      wake();
    });
  }

  function decide(run: Run, handedOver: boolean, looks: number): void {
    const home = homes().get(run.home) ?? null;
    const job = jobOf(home ?? undefined, run.jobId);
    const { orphans } = homes().get(run.home)?.settings ?? parts.settings;
    const found = recoverRun(parts, run, handedOver || orphans === "adopt", job === null || mayBeClaimed(job, run));
    if ((found.kind !== "wait" || looks === 0) && !undecided.has(run.id)) {
      system.log.info("found a run that an earlier daemon left open", {
        run_id: run.id,
        home: run.home,
        job_id: run.jobId,
        found: found.kind,
      });
    }
    switch (found.kind) {
      case "ended":
        ends.sweep(add(run), found.ended);
        return;
      case "void":
        voidRuns(parts, home, [run], "The supervisor ended before this run's gate opened, so nothing ran");
        return;
      case "wait":
        // A launcher at a gate whose daemon died leaves by itself within milliseconds.
        lookAgain(run, gateLeavesMs, () => {
          if (looks < gateLooksMax) recoverOne(run, handedOver, looks + 1);
          else void stopper.stop(add(run), orphanCause, 0).then(() => recoverOne(run, handedOver, 0));
        });
        return;
      case "adopt":
        parts.ledger.adopt(run.id);
        adopt(run);
        return;
      case "stop": {
        const child = adopt(run);
        void stopper.stop(child, found.cause, child.limits.stopGraceMs);
        return;
      }
    }
  }

  function adopt(run: Run): Child {
    const child = add(run);
    const home = homes().get(run.home);
    if (home !== undefined) armTimeout(child, home.settings.timeoutMs(jobOfRun(run)));
    limits.start();
    timer ??= system.clock.after(adoptedPollMs, poll);
    return child;
  }

  function add(run: Run): Child {
    const child = adoptedChild(run, homes().get(run.home)?.settings.limits(jobOfRun(run)) ?? usualLimits);
    parts.children.add(child);
    return child;
  }

  /** The job may be gone by now; what its settings go by is in the ledger. */
  function jobOfRun(run: Run): NamedJob {
    return { id: run.jobId, name: run.jobName, kind: run.kind };
  }

  function poll(): void {
    timer = null;
    if (halted) return;
    let left = 0;
    for (const child of parts.children.all()) {
      if (child.ended !== null || waiting.has(child.runId) || ends.has(child.runId)) continue;
      const run = parts.ledger.run(child.runId);
      if (run === null) continue;
      if (isLauncherAlive(parts, run)) {
        left++;
        continue;
      }
      const end = knownEnd(parts, run) ?? orphanEnd(parts, run);
      const { cause } = child;
      ends.sweep(
        child,
        cause === null ? end : { ...end, end: { ...end.end, cause: cause.reason, causeText: cause.text } },
      );
    }
    if (left > 0) timer = system.clock.after(adoptedPollMs, poll);
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
  function restoreSlot(home: HomeRuntime, run: Pick<Run, "jobId" | "owner" | "trigger" | "scheduledAtMs">): void {
    home.store.update((snapshot) => {
      const job = snapshot.jobs.find((one) => one.id === run.jobId);
      const patch =
        job === undefined
          ? "superseded"
          : restoreJob(job, {
              ...run,
              scheduleText: home.cursors.get(run.jobId)?.scheduleText,
              zone: home.settings.zone,
            });
      return new Map(patch === "superseded" ? [] : [[run.jobId, patch]]);
    }, lockWaitMs);
    if (run.scheduledAtMs !== null && run.trigger !== "retry") home.restored.set(run.jobId, run.scheduledAtMs);
  }

  /**
   * A power cut can leave a claim in force in the job's record and take its row from the ledger. The gate waits for both, so nothing
   * ran, and what the ledger still waits for is the instant that was claimed, unless that has not come: then somebody asked for the run.
   */
  function restoreLost(home: HomeRuntime, job: Job, claim: StoredClaim): void {
    if (!unusedGates.some((runId) => isOwnerOf(claim.by, runId))) return;
    // Of a job that was first seen in the tick that claimed it, only its record tells for what, from Hermes 0.22 on.
    const awaitedMs = home.cursors.get(job.id)?.nextAtMs ?? job.lastDispatchOf?.ms ?? null;
    const isSlot = awaitedMs !== null && awaitedMs <= (claim.at?.ms ?? awaitedMs);
    restoreSlot(home, {
      jobId: job.id,
      owner: claim.by,
      trigger: isSlot ? "schedule" : "manual",
      scheduledAtMs: isSlot ? awaitedMs : null,
    });
  }

  /** A gate's folder is what tells that a claim is ours, so it stays until every home that can be written has been looked through. */
  function clearGates(): void {
    const isAwaited = (home: HomeRuntime): boolean => !home.isCleared && home.state.kind !== "unsupported";
    if (unusedGates.length === 0 || [...homes().values()].some(isAwaited)) return;
    removeUnusedGates(parts, unusedGates);
    unusedGates = [];
  }

  /**
   * A crash between the end of a run in the ledger and in its job's record, which somebody has removed or taken since: no claim of
   * ours tells of it any more. Where the record was settled, and only that was not written down, it names this end or a later one.
   */
  function noteLostRecords(home: HomeRuntime, jobs: readonly Job[]): void {
    const runs = parts.ledger.unsettledRuns(home.name).filter((run) => !ends.has(run.id));
    const decided = runs.filter((run) => {
      const job = jobs.find((one) => one.id === run.jobId);
      if (job?.fireClaim?.by === run.owner) return false;
      const endedAtMs = (knownEnd(parts, run) ?? run).endedAtMs ?? Number.POSITIVE_INFINITY;
      const lastRunAtMs = job?.lastRunAt?.ms ?? Number.NEGATIVE_INFINITY;
      if (lastRunAtMs < endedAtMs && !isSameInstant(lastRunAtMs, endedAtMs)) noteSuperseded(parts, home, run);
      return true;
    });
    if (decided.length > 0) parts.ledger.settled(decided.map((run) => run.id));
  }

  return {
    recover(handedOver) {
      const open = parts.ledger.openRuns();
      for (const run of open) recoverOne(run, handedOver, 0);
      unusedGates = findUnusedGates(parts);
      clearGates();
      for (const runId of system.processes.groups?.list() ?? []) {
        if (parts.children.get(runId) === null) system.processes.groups?.remove(runId);
      }
      // On a full disk this fails, and the runs are to be decided all the same.
      if (!handedOver) noteDeaths(parts, homes(), open);
    },
    clearClaims(home) {
      if (home.isCleared) return;
      const { jobs } = home.store.read();
      noteLostRecords(home, jobs);
      for (const job of jobs) {
        if (job.fireClaim === null) continue;
        const run = parts.ledger.runByOwner(job.fireClaim.by);
        if (run === null) {
          restoreLost(home, job, job.fireClaim);
          continue;
        }
        if (run.state === "claimed" || run.state === "running" || ends.has(run.id)) continue;
        // A crash between the end of a run in the ledger and in its job's record leaves our claim standing there.
        if (run.state === "void") restoreSlot(home, run);
        else {
          add(run);
          ends.addUnsettled(knownEnd(parts, run) ?? orphanEnd(parts, run));
        }
      }
      home.isCleared = true;
      clearGates();
    },
    halt() {
      halted = true;
      timer?.cancel();
    },
  };
}
