import type { Child } from "../child/child-table.ts";
import { createLimitWatch } from "../child/limit-runs.ts";
import { createRunStopper } from "../child/stop-run.ts";
import { InvariantError } from "../core/invariant-error.ts";
import type { Run, RunReason } from "../core/run.ts";
import type { Timer } from "../system/clock.ts";
import { noteOutlived } from "./attempts.ts";
import { bringToDisk, type HomeClaims } from "./bring-to-disk.ts";
import { type AheadClaims, nextToWake, stageAhead, waitUntil } from "./claim-ahead.ts";
import { decidedEnd } from "./close-run.ts";
import type { DaemonParts } from "./daemon-parts.ts";
import { type AskOfHome, createDeliveries } from "./deliveries.ts";
import { createEndedRuns } from "./ended-runs.ts";
import { createGoneHomes } from "./gone-homes.ts";
import { forgetHandOver } from "./hand-over.ts";
import { createHeartbeats } from "./heartbeats.ts";
import { createHomeChronicle } from "./home-chronicle.ts";
import { homeFault } from "./home-fault.ts";
import { discardGates } from "./home-gates.ts";
import type { HomeRuntime } from "./home-runtime.ts";
import { claimRenewalMs, renewClaims } from "./housekeeping.ts";
import { launchRuns } from "./launch-run.ts";
import { createLeftRuns } from "./left-runs.ts";
import { createManualRequests, type ManualRequests } from "./manual-requests.ts";
import { createGatePreparer } from "./prepare-gates.ts";
import { createExecutionsMirror, noteExecution } from "./record-executions.ts";
import { adoptedChild } from "./recover.ts";
import { createHomeReports } from "./report-home.ts";
import { createRetention, type Retention } from "./retention.ts";
import { countedJob } from "./room-for-runs.ts";
import type { DurableClaim } from "./stage-claims.ts";
import { isStanding } from "./standing-look.ts";
import { tick, voidRows } from "./tick.ts";
import { createTurns } from "./turns.ts";
import { waitForLock } from "./wait-for-lock.ts";

/** Files are looked at this often even when nothing was reported. A watch can miss a change; this cannot. */
const safetyMs = 30_000;
/** Timers fire a little early. The turn that is meant for that look must not find that it is not time yet. */
const earlyMs = 1;
/** Homes that are due together are claimed for first, since their jobs would take the processor; but no job waits longer for them. */
const claimsFirstMs = 10;
/** How long after their start runs are recorded as running: most of a burst of fifty has begun by then. */
const recordDelayMs = 25;
/** What the daemon's loop needs of the world that is not in `DaemonParts`. */
export interface DaemonOutlook {
  homes(): ReadonlyMap<string, HomeRuntime>;
  /** Reads settings, environment, markers and the list of homes again where their files changed. */
  refresh(): void;
  /** Called when the last run is over and the daemon is to end. */
  drained(): void;
  /** Whether the state folder is still the one that this daemon has locked. */
  ownsState(): boolean;
  /** Called when it is not, and the daemon is to end. */
  stateLost(): void;
  /** Called when the loop has gone round. */
  turned(): void;
  /** For what only an installed Hermes can answer. */
  readonly ask: AskOfHome;
}

export interface Daemon {
  /** Recovers what an earlier daemon left, then starts to tick. */
  begin(handedOver: boolean): void;
  /** Something changed for this home, or for all of them: look again as soon as possible. */
  nudge(home: string | null): void;
  stop(run: Run, cause: { readonly reason: RunReason; readonly text: string }, now: boolean): boolean;
  /** Runs that people asked for. */
  readonly requests: Pick<ManualRequests, "ask" | "look">;
  readonly retention: Pick<Retention, "progress">;
  /** Claims nothing more; `drained` is called when no run is open. */
  drain(): void;
  /** Claims and sends nothing more. True while a process of ours sends a result: whoever ends now cannot say what became of it. */
  endSending(): boolean;
  /** Stops the loop at once. Runs go on. */
  halt(): void;
}

export function createDaemon(parts: DaemonParts, outlook: DaemonOutlook): Daemon {
  const { system } = parts;
  const stopper = createRunStopper(system, parts.children, parts.stateFolder);
  const limitWatch = createLimitWatch(system, parts.children, parts.stateFolder, {
    stop: (child, cause) => void stopper.stop(child, cause, child.limits.stopGraceMs),
    memoryBytes: stopper.memoryBytes,
  });
  const ends = createEndedRuns(parts, () => outlook.homes(), stopper, limitWatch, wakeSoon);
  const goneHomes = createGoneHomes(parts, () => outlook.homes(), stopper, ends, wakeSoon);
  const requests = createManualRequests(parts, () => outlook.homes(), launch, replaceRun);
  const left = createLeftRuns(
    parts,
    () => outlook.homes(),
    stopper,
    limitWatch,
    ends,
    armTimeout,
    () => {
      requests.reload();
      wakeSoon();
    },
  );
  const deliveries = createDeliveries(parts, () => outlook.homes(), outlook.ask, wakeSoon);
  const executions = createExecutionsMirror(parts, () => outlook.homes(), wakeSoon);
  const reports = createHomeReports(system.log);
  const chronicle = createHomeChronicle(parts);
  const turns = createTurns(parts, wakeSoon);
  const heartbeats = createHeartbeats(parts, () => outlook.homes());
  const gates = createGatePreparer(parts, () => outlook.homes(), guard, wakeSoon);
  const retention = createRetention(parts, nextDueMs);
  let timer: Timer | null = null;
  let timerAtMonotonicMs = Number.POSITIVE_INFINITY;
  let safetyAtMonotonicMs = 0;
  let renewAtMonotonicMs = system.clock.monotonicMs() + claimRenewalMs;
  /** Starts that are not recorded yet. */
  const toRecord = new Set<() => void>();
  let halted = false;
  let drainReported = false;

  function turn(): void {
    if (halted) return;
    timer = null;
    timerAtMonotonicMs = Number.POSITIVE_INFINITY;
    // A claim in a ledger that nobody can find is no claim, and another daemon may have begun a new one.
    if (!outlook.ownsState()) {
      outlook.stateLost();
      return;
    }
    watchClock();
    if (system.clock.monotonicMs() + earlyMs >= safetyAtMonotonicMs) {
      safetyAtMonotonicMs = system.clock.monotonicMs() + safetyMs;
      guard(null, () => outlook.refresh());
      chronicle.beat();
      for (const home of outlook.homes().values()) guard(home, () => lookForChanges(home));
      retention.look();
    }
    heartbeats.beat();
    guard(null, () => goneHomes.look());
    renewOpenClaims();
    if (!parts.draining) guard(null, () => requests.serve());
    guard(null, () => executions.meet());
    tickDueHomes();
    const closing = ends.closeSome(deliveries.look);
    executions.record();
    const preparing = gates.prepare();
    arm(preparing.more || closing, preparing.wakeAtMs);
    outlook.turned();
    if (
      parts.draining &&
      !drainReported &&
      parts.children.all().length === 0 &&
      !closing &&
      executions.isSettled() &&
      deliveries.isQuiet()
    ) {
      drainReported = true;
      outlook.drained();
    }
  }

  function lookForChanges(home: HomeRuntime): void {
    if (isStanding(parts, home)) restStore(home);
    else home.dirty = true;
  }

  /** A home whose next job is far off needs the text of its store no sooner: with many homes that is most of the memory. */
  function restStore(home: HomeRuntime): void {
    const isFarOff = home.wakeAtMs === null || home.wakeAtMs - system.clock.nowMs() > 2 * safetyMs;
    if (isFarOff && parts.children.inHome(home.name).length === 0) home.store.rest();
  }

  function renewOpenClaims(): void {
    const now = system.clock.monotonicMs();
    if (now < renewAtMonotonicMs) return;
    renewAtMonotonicMs = now + claimRenewalMs;
    for (const home of outlook.homes().values()) {
      if (home.state.kind === "unsupported" || parts.children.inHome(home.name).length === 0) continue;
      guard(home, () => {
        if (!renewClaims(parts, home)) renewAtMonotonicMs = now + 1000;
      });
    }
  }

  /** A step of the wall clock changes what is due, and no timer of ours notices it. */
  function watchClock(): void {
    const jumpMs = parts.clockSteps.take();
    if (jumpMs === 0) return;
    chronicle.jumped(jumpMs);
    system.log.warn("the clock was set; looking at every job again", { by_ms: Math.round(jumpMs) });
    for (const home of outlook.homes().values()) home.dirty = true;
  }

  /** Ticks what is due; where nothing is, and something will be in a moment, has its claims ready and waits for that. */
  function tickDueHomes(): void {
    const nowMs = system.clock.nowMs();
    const homes = [...outlook.homes().values()];
    const isDue = parts.draining || homes.some((home) => isWanted(home, nowMs));
    const next = isDue ? null : nextToWake(homes);
    const coming = next !== null && next.fromMs <= nowMs ? next : null;
    let ahead: AheadClaims | null = null;
    // Where it may have to be asked whose turn it is, they would be written in vain.
    if (coming !== null && !turns.isScarce([coming.home])) {
      guard(coming.home, () => {
        clearTheWay(coming.home);
        ahead = stageAhead(parts, coming.home, coming.dueMs);
      });
    }
    try {
      if (coming !== null) waitUntil(system.clock, coming.dueMs);
      tickWanted(ahead);
    } finally {
      (ahead as AheadClaims | null)?.staged.finish();
    }
  }

  /** `ahead` is used if it is for a home that is due, and nobody has to ask the ledger whose turn it is. */
  function tickWanted(ahead: AheadClaims | null): void {
    const nowMs = system.clock.nowMs();
    const due = [...outlook.homes().values()].filter((home) => isWanted(home, nowMs));
    // The longest overdue home first, so that a home with many jobs cannot keep another's waiting.
    const rank = (home: HomeRuntime): number => (home === ahead?.home ? 0 : (home.wakeAtMs ?? nowMs));
    due.sort((a, b) => rank(a) - rank(b));
    const isScarce = turns.isScarce(due);
    // Its rows are in no force yet, and must not answer.
    const usable = isScarce || due[0] !== ahead?.home ? null : ahead;
    if (usable === null) ahead?.staged.finish();
    const inTurn = turns.share(due, isScarce);
    let claimed: HomeClaims[] = [];
    let launchAtMonotonicMs = Number.POSITIVE_INFINITY;
    const launchAll = (): void => {
      parts.unopened = [];
      for (const { home, claims } of bringToDisk(parts, inTurn, claimed, guard))
        guard(home, () => launch(home, claims));
      claimed = [];
    };
    for (const home of inTurn) {
      guard(home, () => {
        const claims = tickHome(home, home === usable?.home ? usable : null);
        if (claims === null) return;
        if (claims.length > 0) {
          if (claimed.length === 0) launchAtMonotonicMs = system.clock.monotonicMs() + claimsFirstMs;
          claimed.push({ home, claims });
          parts.unopened = [...parts.unopened, ...claims.map(({ job }) => countedJob(home, job))];
          turns.started(
            home,
            claims.map(({ job }) => job.id),
          );
        }
        reports.report(home, system.clock.monotonicMs());
        if (claims.length === 0) restStore(home);
      });
      if (claimed.length > 0 && system.clock.monotonicMs() >= launchAtMonotonicMs) launchAll();
    }
    launchAll();
    turns.finish();
    for (const home of due) guard(home, () => chronicle.look(home));
    // One of an unknown layout is not ticked, and that is what stands in its way.
    for (const home of outlook.homes().values()) {
      if (home.state.kind !== "unsupported" || !home.dirty) continue;
      home.dirty = false;
      guard(null, () => chronicle.look(home));
    }
  }

  function isWanted(home: HomeRuntime, nowMs: number): boolean {
    if (home.state.kind === "unsupported" || home.recovering > 0) return false;
    if (home.retryAtMonotonicMs !== null) return system.clock.monotonicMs() >= home.retryAtMonotonicMs;
    return home.dirty || (home.wakeAtMs !== null && home.wakeAtMs <= nowMs);
  }

  /** What has to be written down before anything is claimed. */
  function clearTheWay(home: HomeRuntime): void {
    if (!home.settings.usable) throw new Error(home.settings.error ?? "The settings of the home cannot be read");
    voidRows(parts, home);
    left.clearClaims(home);
    ends.settleWaiting(home);
  }

  /** Null when somebody else was ticking the home, and nothing could be started beside that. */
  function tickHome(home: HomeRuntime, ahead: AheadClaims | null): readonly DurableClaim[] | null {
    home.dirty = false;
    home.retryAtMonotonicMs = null;
    if (ahead === null) clearTheWay(home);
    const report = tick(parts, home, ahead);
    if (home.state.kind === "degraded") {
      home.state = { kind: "active" };
      system.log.info("the home is readable again", { home: home.name });
    }
    if (report.kind === "locked") {
      waitForLock(parts, home);
      return report.claims.length === 0 ? null : report.claims;
    }
    for (const { runId } of report.stops) replaceRun(runId);
    if (report.kind === "idle") {
      // Nothing is due any more, so nothing waits for whoever holds the lock.
      home.lockBusy = null;
      return [];
    }
    if (home.lockBusy !== null) {
      parts.measure.lockWaitedMs(home.name, system.clock.monotonicMs() - home.lockBusy.sinceMonotonicMs);
    }
    home.lockBusy = null;
    return report.claims;
  }

  function replaceRun(runId: string): void {
    const child = parts.children.get(runId);
    // It is asked once; as long as it leaves, its job waits.
    if (child === null || child.cause !== null) return;
    const text = "It was due again while this run was open, and its policy is to replace it";
    void stopper.stop(child, { reason: "replaced", text }, child.limits.stopGraceMs);
  }

  function launch(home: HomeRuntime, claims: readonly DurableClaim[]): void {
    if (claims.length === 0) return;
    const { refused, record } = launchRuns(parts, home, claims, (runId) => !halted && ends.watch(runId));
    recordLater(home, record);
    for (const { run } of claims)
      noteExecution(home, run.id, run.kind === "prompt" ? { startedAtMs: system.clock.nowMs() } : {});
    for (const { claim, reason, text } of refused) {
      parts.children.add(adoptedChild(claim.run, home.settings.limits(claim.job)));
      ends.add({ run: claim.run, end: decidedEnd(reason, text), endedAtMs: system.clock.nowMs() });
    }
    for (const { run, job } of claims) {
      const child = parts.children.get(run.id);
      if (child !== null) armTimeout(child, home.settings.timeoutMs(job));
    }
    noteOutlived(
      parts,
      claims.map(({ run }) => run.id),
    );
    limitWatch.start();
  }

  /** What has just been started wants the processor now; what there is to write about it can wait a moment. */
  function recordLater(home: HomeRuntime, record: () => void): void {
    const act = (): void => {
      if (toRecord.delete(act)) guard(home, record);
    };
    toRecord.add(act);
    system.clock.after(recordDelayMs, act);
  }

  function armTimeout(child: Child, timeoutMs: number | null): void {
    if (timeoutMs === null) return;
    const leftMs = Math.max(0, child.startedAtMs + timeoutMs - system.clock.nowMs());
    child.timeout = system.clock.after(leftMs, () => {
      const what = child.kind === "prompt" ? "Prompt" : "Script";
      const text = `${what} timed out after ${timeoutMs / 1000}s: ${child.script ?? child.jobId}`;
      void stopper.stop(child, { reason: "timeout", text }, child.limits.stopGraceMs);
    });
  }

  function arm(soon: boolean, gatesAtMs: number): void {
    const nowMonotonic = system.clock.monotonicMs();
    const nowMs = system.clock.nowMs();
    let delayMs = soon ? 0 : Math.min(safetyAtMonotonicMs, renewAtMonotonicMs) - nowMonotonic;
    delayMs = Math.min(delayMs, gatesAtMs - nowMs);
    const requestsAt = parts.draining ? null : requests.wakeAtMonotonicMs();
    if (requestsAt !== null) delayMs = Math.min(delayMs, requestsAt - nowMonotonic);
    const executionsAt = executions.wakeAtMonotonicMs();
    if (executionsAt !== null) delayMs = Math.min(delayMs, executionsAt - nowMonotonic);
    for (const home of outlook.homes().values()) {
      if (home.state.kind === "unsupported" || home.recovering > 0) continue;
      if (home.retryAtMonotonicMs !== null) delayMs = Math.min(delayMs, home.retryAtMonotonicMs - nowMonotonic);
      else if (home.dirty) delayMs = 0;
    }
    const next = nextToWake(outlook.homes().values());
    if (next !== null) delayMs = Math.min(delayMs, (parts.draining ? next.dueMs : next.fromMs) - nowMs);
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

  function nextDueMs(): number {
    const due = [...outlook.homes().values()].map((home) => home.wakeAtMs ?? Number.POSITIVE_INFINITY);
    return due.reduce((earliest, atMs) => Math.min(earliest, atMs), Number.POSITIVE_INFINITY);
  }

  /** What goes wrong in one home must not reach another. */
  function guard(home: HomeRuntime | null, act: () => void): void {
    try {
      act();
    } catch (error) {
      if (!(error instanceof Error) || error instanceof InvariantError) throw error;
      if (home === null) {
        system.log.error("could not look at the homes again", { error: error.message });
        return;
      }
      degrade(home, error);
    }
  }

  function degrade(home: HomeRuntime, error: Error): void {
    const before = home.state;
    const reason = homeFault(home.name, error);
    home.state = { kind: "degraded", reason };
    home.wakeAtMs = null;
    home.retryAtMonotonicMs = system.clock.monotonicMs() + 1000;
    discardGates(home);
    if (before.kind !== "degraded" || before.reason !== reason) {
      system.log.error("a home cannot be served until this is mended", { home: home.name, error: reason });
    }
  }

  return {
    begin(handedOver) {
      chronicle.begin();
      guard(null, () => {
        left.recover(handedOver);
        forgetHandOver(parts);
      });
      requests.reload();
      deliveries.look();
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
    requests: {
      ask(home, jobId) {
        const asked = requests.ask(home, jobId);
        wakeSoon();
        return asked;
      },
      look: requests.look,
    },
    retention,
    drain() {
      parts.draining = true;
      for (const home of outlook.homes().values()) discardGates(home);
      wakeSoon();
    },
    endSending() {
      if (!deliveries.endSending()) return false;
      parts.draining = true;
      return true;
    },
    halt() {
      halted = true;
      for (const act of toRecord) act();
      ends.noteSettled();
      deliveries.halt();
      executions.finish();
      timer?.cancel();
      retention.halt();
      left.halt();
      stopper.halt();
      limitWatch.halt();
      chronicle.end();
      for (const home of outlook.homes().values()) discardGates(home);
    },
  };
}
