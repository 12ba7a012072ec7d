import { runFiles } from "../../worker/protocol.ts";
import { InvariantError } from "../core/invariant-error.ts";
import { nextStopMove, type StopAction, type StopEvent, type StopState } from "../core/stop-ladder.ts";
import type { Timer } from "../system/clock.ts";
import type { HeldProcess } from "../system/processes.ts";
import type { System } from "../system/system.ts";
import type { Child, ChildTable } from "./child-table.ts";
import {
  type Found,
  findNew,
  isStillProven,
  newRoundsMax,
  type RunIdentity,
  type RunProcess,
} from "./find-run-processes.ts";
import { createLooks } from "./looks.ts";
import { keepStopCause, type StopCause } from "./stop-cause.ts";

/** Ends runs by the ladder of `core/stop-ladder.ts`. A promise of it settles once no process of the run is left. */
export interface RunStopper {
  /** The first cause stays. Asking again with a grace of 0 cuts a running grace short. */
  stop(child: Child, cause: StopCause, graceMs: number): Promise<void>;
  /** To be called when the launcher has ended: nothing that the run started survives it, unless it is allowed to. */
  sweep(child: Child): Promise<void>;
  /** Memory of everything that belongs to a run. */
  memoryBytes(children: readonly Child[]): Promise<ReadonlyMap<string, number>>;
  /** Leaves everything as it is; no promise settles after this. */
  halt(): void;
}

/** Whether the launcher has written down how its job ended. */
function hasRecordedEnd(system: System, stateFolder: string, runId: string): boolean {
  return (system.files.stat(`${stateFolder}/runs/${runId}/${runFiles.exit}`)?.sizeBytes ?? 0) > 0;
}

/** Killing that takes longer than this will not succeed soon. With the grace it keeps a stop within its grace and 2 s. */
const killMsMax = 1700;
const lookSoonMs = 10;
/** While those that were asked may still be at work on leaving. */
const lookPatientMs = 50;
const lookLateMs = 1000;
/** A launcher without a parent of ours is looked at this often while it is asked to leave. */
const leaderPollMs = 100;
/** Each one held is a descriptor. */
const heldMax = 100;

interface Ending {
  readonly child: Child;
  readonly graceMs: number;
  state: StopState;
  /** Changes with each look that is wanted, so that an older one's answer is not taken for its. */
  look: number;
  found: readonly RunProcess[];
  /** The PIDs among which they were found. */
  seen: ReadonlySet<number>;
  grace: Timer | null;
  bound: Timer | null;
  wait: Timer | null;
  readonly done: PromiseWithResolvers<void>;
}

export function createRunStopper(system: System, children: ChildTable, stateFolder: string): RunStopper {
  const { clock, processes } = system;
  const endings = new Map<string, Ending>();
  /** When the first run began whose processes may outlive it, and may fork at any time. */
  let detachedFromTicks = Number.POSITIVE_INFINITY;
  /** In this very step. */
  const killed: Ending[] = [];
  let halted = false;

  const identity = (child: Child): RunIdentity => ({
    runId: child.runId,
    leader: child.fingerprint,
    lifeline: `${stateFolder}/runs/${child.runId}/${runFiles.alive}`,
    inherited: child.ended === null,
  });

  const looks = createLooks(system);

  function begin(child: Child, graceMs: number): Ending {
    const known = endings.get(child.runId);
    if (known !== undefined) return known;
    const ending: Ending = {
      child,
      graceMs,
      state: "running",
      look: 0,
      found: [],
      seen: new Set(),
      grace: null,
      bound: null,
      wait: null,
      done: Promise.withResolvers<void>(),
    };
    endings.set(child.runId, ending);
    return ending;
  }

  function happen(ending: Ending, event: StopEvent): void {
    if (halted) return;
    const move = nextStopMove(ending.child.runId, ending.state, event);
    ending.state = move.state;
    for (const action of move.actions) act(ending, action);
  }

  function act(ending: Ending, action: StopAction): void {
    switch (action) {
      case "ask":
        void ask(ending).catch((error: unknown) => failed(ending, error));
        return;
      case "start_grace":
        ending.grace = clock.after(ending.graceMs, () => happen(ending, "grace_over"));
        watchLeader(ending);
        return;
      case "end_grace":
        ending.grace?.cancel();
        return;
      case "start_bound":
        ending.bound?.cancel();
        ending.bound = clock.after(killMsMax, () => happen(ending, "bound_reached"));
        return;
      case "look":
        look(ending, 0);
        return;
      case "look_soon":
        look(ending, ending.state === "leaving" ? lookPatientMs : lookSoonMs);
        return;
      case "look_late":
        look(ending, lookLateMs);
        return;
      case "kill":
        kill(ending);
        return;
      case "report_stuck":
        system.log.error("a run cannot be ended; its job does not start again before it is", {
          run_id: ending.child.runId,
          job_id: ending.child.jobId,
          pids: ending.found.slice(0, 20).map((row) => row.pid),
        });
        return;
      case "report_empty":
        ending.grace?.cancel();
        ending.bound?.cancel();
        processes.groups?.remove(ending.child.runId);
        endings.delete(ending.child.runId);
        ending.done.resolve();
        return;
    }
  }

  /** Its own session is the launcher's, so everything in its process group descends from it. */
  async function ask(ending: Ending): Promise<void> {
    const { held, fingerprint } = ending.child;
    const send = (signal: "SIGTERM" | "SIGCONT"): boolean => held?.signalGroup(signal) ?? false;
    if (send("SIGTERM")) {
      send("SIGCONT");
      return;
    }
    const run = identity(ending.child);
    const found = (await looks.find(run, true)).byRun.get(run.runId) ?? [];
    // Asking is over by now when it was cut short meanwhile.
    if (ending.state !== "asking" && ending.state !== "leaving") return;
    const group = found.filter((row) => row.groupId === fingerprint.pid);
    for (const row of group) {
      withProven(run, row, (process) => {
        process.signal("SIGTERM");
        process.signal("SIGCONT");
      });
    }
  }

  /** Our own launchers tell us when they end; one of an earlier daemon has to be looked at. */
  function watchLeader(ending: Ending): void {
    const { child } = ending;
    if (child.ended !== null) {
      void child.ended.then(() => happen(ending, "leader_ended"));
      return;
    }
    const look = (): void => {
      if (halted || ending.state !== "asking") return;
      const row = processes.look(child.fingerprint.pid);
      if (row === null || row.startTicks !== child.fingerprint.startTicks) happen(ending, "leader_ended");
      else clock.after(leaderPollMs, look);
    };
    look();
  }

  function look(ending: Ending, delayMs: number): void {
    ending.look++;
    ending.wait?.cancel();
    const { look: wanted } = ending;
    const find = async (): Promise<void> => {
      const run = identity(ending.child);
      const hurried = ending.state !== "running" && ending.child.cause !== null;
      const found = await looks.find(run, hurried || delayMs > 0).catch((error: unknown) => {
        failed(ending, error);
        return null;
      });
      if (found === null || halted || ending.look !== wanted) return;
      ending.found = processesOf(run, found);
      ending.seen = found.seen;
      const asked = ending.found.some((row) => row.groupId === ending.child.fingerprint.pid);
      const isNobody = ending.found.length === 0 && !found.hidden.has(run.runId);
      happen(ending, isNobody ? "found_nobody" : asked ? "found_asked" : "found");
    };
    if (delayMs === 0) void find();
    else ending.wait = clock.after(delayMs, () => void find());
  }

  /** Looking failed as a whole, most likely for want of descriptors: nothing is proven, so it is done again. */
  function failed(ending: Ending, error: unknown): void {
    if (halted) return;
    system.log.error("could not look for the processes of a run", { run_id: ending.child.runId, error: String(error) });
    if (ending.state !== "asking") look(ending, lookLateMs);
  }

  function processesOf(run: RunIdentity, found: Pick<Found, "byRun" | "unclaimed">): readonly RunProcess[] {
    return [...(found.byRun.get(run.runId) ?? []), ...strays(found)];
  }

  /**
   * Orphans without any sign of their run. One that started while a run was alive that goes on can be that run's and is left
   * to it; when the last such run ends, it is looked at again. A run that is over can wait long for its end to be recorded,
   * and is not looked at again.
   */
  function strays(found: Pick<Found, "unclaimed">): readonly RunProcess[] {
    if (found.unclaimed.length === 0) return [];
    const others = children
      .all()
      .filter((child) => child.ended !== null && goesOn(child))
      .map((child) => child.fingerprint.startTicks ?? 0);
    const isLeft = (row: RunProcess): boolean =>
      row.witness !== null
        ? isLeft(row.witness)
        : detachedFromTicks <= row.startTicks || others.some((fromTicks) => fromTicks <= row.startTicks);
    return found.unclaimed.filter((row) => !isLeft(row));
  }

  /** Also while it uses its grace, its launcher gone or not: it is looked at again when that is over. */
  function goesOn(child: Child): boolean {
    const state = endings.get(child.runId)?.state;
    return state === undefined
      ? child.overAtMs === null
      : state !== "killing" && state !== "confirming" && state !== "stuck";
  }

  function kill(ending: Ending): void {
    const run = identity(ending.child);
    processes.groups?.kill(run.runId);
    if (!processes.showsEnvironment) void processes.killTree(run.leader);
    killAll(ending.child, run, ending.found);
    killed.push(ending);
    if (killed.length === 1) void killNew();
  }

  /** What was forked while the look went on, and what that forked in turn: once for all runs that one look has found. */
  async function killNew(): Promise<void> {
    await null;
    const bySeen = Map.groupBy(killed.splice(0), (ending) => ending.seen);
    if (halted) return;
    try {
      for (const [seen, endings] of bySeen) killNewOf(endings, new Set(seen));
    } catch (error) {
      if (!(error instanceof Error) || error instanceof InvariantError) throw error;
      // Most likely for want of descriptors. The next look finds what is left.
      system.log.debug("could not look for new processes of runs", { error: error.message });
    }
  }

  function killNewOf(endings: readonly Ending[], seen: Set<number>): void {
    const runs = endings.map(({ child }) => ({ child, run: identity(child) }));
    for (let round = 1; round <= newRoundsMax; round++) {
      const found = findNew(
        system,
        runs.map(({ run }) => run),
        seen,
      );
      let count = 0;
      for (const { child, run } of runs) {
        const rows = processesOf(run, found);
        killAll(child, run, rows);
        count += rows.length;
      }
      if (count === 0 && !found.hasLost) return;
    }
  }

  function killAll(child: Child, run: RunIdentity, rows: readonly RunProcess[]): void {
    // At one moment for the whole group, so that nothing can be forked past it.
    if (rows.some((row) => row.groupId === run.leader.pid)) child.held?.signalGroup("SIGKILL");
    // One that proves another must not be gone when that is looked at, so all are proven before any is killed.
    const proven: { readonly row: RunProcess; readonly process: HeldProcess }[] = [];
    const killProven = (): void => {
      for (const { row, process } of proven.splice(0)) {
        // What leads a session leads no stranger: only what it forked can be in its group.
        const leads = row.pid === row.groupId && row.pid === row.sessionId;
        if (!leads || !process.signalGroup("SIGKILL")) process.signal("SIGKILL");
        process.release();
      }
    };
    // A witness is found before those it proves, so what is left to the end is its witness and not its proof.
    for (const row of rows.toReversed()) {
      const process = processes.hold(row.pid);
      if (process === null) continue;
      if (isStillProven(system, run, row)) proven.push({ row, process });
      else process.release();
      if (proven.length >= heldMax) killProven();
    }
    killProven();
  }

  function withProven(run: RunIdentity, row: RunProcess, act: (process: HeldProcess) => void): void {
    const process = processes.hold(row.pid);
    if (process === null) return;
    try {
      if (isStillProven(system, run, row)) act(process);
    } finally {
      process.release();
    }
  }

  return {
    stop(child, cause, graceMs) {
      // It may have ended by itself before, and its end is still to be recorded, or only the word of it is still on its way.
      if (child.overAtMs === null && !hasRecordedEnd(system, stateFolder, child.runId))
        child.cause ??= keepStopCause(system, stateFolder, child.runId, cause);
      const ending = begin(child, graceMs);
      happen(ending, graceMs > 0 ? "stop" : "stop_now");
      return ending.done.promise;
    },
    sweep(child) {
      // A launcher that was killed says nothing of its job, which then may be what is left.
      const isOver = hasRecordedEnd(system, stateFolder, child.runId);
      if (child.limits.detach && isOver && !endings.has(child.runId)) {
        detachedFromTicks = Math.min(detachedFromTicks, child.fingerprint.startTicks ?? 0);
        processes.groups?.remove(child.runId);
        return Promise.resolve();
      }
      const ending = begin(child, 0);
      happen(ending, "leader_ended");
      return ending.done.promise;
    },
    async memoryBytes(wanted) {
      const sums = new Map<string, number>();
      const found = await Promise.all(wanted.map((child) => looks.find(identity(child), true)));
      for (const [index, child] of wanted.entries()) {
        const rows = found[index]?.byRun.get(child.runId) ?? [];
        const resident = rows.reduce((sum, row) => sum + row.residentBytes, 0);
        const max = child.limits.memoryBytesMax ?? Number.POSITIVE_INFINITY;
        // Shared pages count once for each process, so a sum that is too high is looked at more closely.
        const sum =
          resident <= max
            ? resident
            : rows.reduce((all, row) => all + (processes.proportionalBytes(row.pid) ?? row.residentBytes), 0);
        sums.set(child.runId, sum);
      }
      return sums;
    },
    halt() {
      halted = true;
      for (const ending of endings.values())
        for (const timer of [ending.grace, ending.bound, ending.wait]) timer?.cancel();
      looks.halt();
    },
  };
}
