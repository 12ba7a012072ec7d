import { formatGateOrder, type GateOrder, type GateProgram, runFiles, runVariables } from "../../worker/protocol.ts";
import type { Gate } from "../core/admission.ts";
import type { JobKind } from "../core/job.ts";
import { ownerToken } from "../core/run-owner.ts";
import type { ChildExit, GatedChild } from "../system/processes.ts";
import type { System } from "../system/system.ts";
import type { GateEnvironment } from "./gate-environment.ts";
import type { WaitingBash } from "./waiting-bash.ts";

/** A launcher at its closed gate, with the folder of the run that it will become. */
export interface ReadyGate extends Gate {
  readonly child: GatedChild;
  readonly folder: string;
  /** What runs in it when the order names the same. */
  readonly loaded: GateProgram | null;
  readonly madeAtMonotonicMs: number;
}

/** A job that is due soon, and the program that its gate may start ahead. */
export interface AheadJob {
  /** Null when any job of the home can use it. */
  readonly jobId: string | null;
  /** Without a folder it runs in that of the run. */
  readonly program: Omit<GateProgram, "folder"> & { readonly folder: string | null };
  /** Whether it is bash, which has to be made to wait, or a program that waits by itself. */
  readonly isBash: boolean;
}

export interface GatePool {
  /** The gates that can be given to claims now, oldest first. */
  ready(): readonly ReadyGate[];
  /** Starts launchers until `count` are ready, the first of them for `jobs`. Throws what the system says when it refuses. */
  fill(count: number, environment: GateEnvironment, jobs?: readonly AheadJob[]): void;
  /** Settles when it is known which of the jobs can have their bash ahead; null when it is. */
  asking(jobs: readonly AheadJob[], environment: GateEnvironment): Promise<unknown> | null;
  /** Takes a gate out of the pool for the run that it now belongs to. */
  take(runId: string): ReadyGate;
  /** How many are loading a program that says itself when it has loaded. */
  loading(): number;
  /** How long the slowest of the last few took for it, as many load slower than one; null when none has been seen. */
  loadedInMs(): number | null;
  /** Lets go all but the `count` oldest. */
  keep(count: number): void;
  /** Lets go those made with another environment, and those unused for `unusedMsMax`. */
  discardStale(environmentId: string, unusedMsMax: number): void;
  discardAll(): void;
}

interface PooledGate extends ReadyGate {
  readonly environmentId: string;
  readonly madeAtMs: number;
  isLoading: boolean;
}

const loadsKept = 8;

/** A pool of launchers for one home: starting a process is then over before a job is due, and a claim can name it. */
export function createGatePool(
  system: System,
  runsFolder: string,
  launcherPath: string,
  waitingBash: WaitingBash,
  kind: JobKind,
): GatePool {
  let gates: PooledGate[] = [];
  let lastLoadedInMs: readonly number[] = [];

  const letGo = (gate: ReadyGate): void => {
    gate.child.discard();
    // Nothing ran in it, so the folder says nothing. It goes when the launcher is gone, as that still holds the lifeline.
    void gate.child.ended.then(() => clearFolder(gate.folder));
  };

  /** What cannot be removed now is removed when the next daemon starts. */
  const clearFolder = (folder: string): void => {
    try {
      system.files.removeFolder(folder);
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      system.log.debug("an unused run folder is left", { folder, error: error.message });
    }
  };

  /** What the launcher is told to start ahead. Its folder is entered then, so it has to be there. */
  const ahead = (job: AheadJob | undefined, folder: string, environment: GateEnvironment): GateProgram | null => {
    if (job === undefined) return null;
    if (job.isBash && waitingBash.waits(job.program.program, environment) !== true) return null;
    return { ...job.program, folder: job.program.folder ?? folder };
  };

  const make = (environment: GateEnvironment, job?: AheadJob): void => {
    const runId = system.random.token(12);
    const folder = `${runsFolder}/${runId}`;
    system.files.makeFolder(folder, 0o700, true);
    const loaded = ahead(job, folder, environment);
    const waitsIn = job?.isBash === true ? waitingBash.gatePath : "-";
    const group = system.processes.groups?.make(runId) ?? null;
    const child = system.processes.spawnGated({
      runId,
      file: "/bin/sh",
      arguments: [
        launcherPath,
        folder,
        group ?? "",
        ...(loaded === null ? [] : [loaded.folder, loaded.program, loaded.argument, waitsIn]),
      ],
      cwd: folder,
      environment: {
        ...environment.variables,
        [runVariables.runId]: runId,
        [runVariables.runFolder]: folder,
      },
      outputPath: `${folder}/${runFiles.output}`,
      errorPath: `${folder}/${runFiles.errors}`,
      launcherPath: `${folder}/${runFiles.launcher}`,
      lifelinePath: `${folder}/${runFiles.alive}`,
    });
    const gate: PooledGate = {
      runId,
      kind,
      jobId: loaded === null ? null : (job?.jobId ?? null),
      loaded,
      owner: `${system.processes.hostname}:${child.fingerprint.pid}:${ownerToken(runId, system.random.uuidHex())}`,
      child,
      folder,
      madeAtMonotonicMs: system.clock.monotonicMs(),
      madeAtMs: system.clock.nowMs(),
      environmentId: environment.id,
      isLoading: loaded !== null && job?.isBash === false,
    };
    gates.push(gate);
    void child.ended.then((exit) => forget(gate, exit));
  };

  const forget = (gate: ReadyGate, exit: ChildExit): void => {
    // What the run left behind keeps the group; an empty one goes, whether its gate opened or not.
    system.processes.groups?.remove(gate.runId);
    if (!gates.some((other) => other.runId === gate.runId)) return;
    gates = gates.filter((other) => other.runId !== gate.runId);
    gate.child.held?.release();
    clearFolder(gate.folder);
    system.log.warn("a launcher left before its gate opened", { run_id: gate.runId, ...exit });
  };

  /** Whoever has loaded leaves a file, whose time says when. */
  const lookAtLoading = (gate: PooledGate): void => {
    const loaded = gate.isLoading ? system.files.stat(`${gate.folder}/${runFiles.loaded}`) : null;
    if (loaded === null) return;
    gate.isLoading = false;
    lastLoadedInMs = [Number(loaded.changedNs / 1_000_000n) - gate.madeAtMs, ...lastLoadedInMs].slice(0, loadsKept);
  };

  const letGoAll = (isUnwanted: (gate: PooledGate, place: number) => boolean): void => {
    const unwanted = new Set(gates.filter(isUnwanted));
    gates = gates.filter((gate) => !unwanted.has(gate));
    for (const gate of unwanted) letGo(gate);
  };

  return {
    ready: () => gates,
    loading() {
      for (const gate of gates) lookAtLoading(gate);
      return gates.filter((gate) => gate.isLoading).length;
    },
    loadedInMs: () => (lastLoadedInMs.length === 0 ? null : Math.max(...lastLoadedInMs)),
    fill(count, environment, jobs = []) {
      const coming = jobs.values();
      while (gates.length < count) make(environment, coming.next().value);
    },
    asking(jobs, environment) {
      const programs = [...new Set(jobs.filter((job) => job.isBash).map((job) => job.program.program))];
      const asked = programs
        .map((bash) => waitingBash.waits(bash, environment))
        .filter((one) => one instanceof Promise);
      return asked.length === 0 ? null : Promise.all(asked);
    },
    take(runId) {
      const gate = gates.find((other) => other.runId === runId);
      if (gate === undefined) throw new Error(`Cannot take gate "${runId}": it is not in the pool`);
      gates = gates.filter((other) => other !== gate);
      return gate;
    },
    discardStale(environmentId, unusedMsMax) {
      const oldest = system.clock.monotonicMs() - unusedMsMax;
      letGoAll((gate) => gate.environmentId !== environmentId || gate.madeAtMonotonicMs < oldest);
    },
    keep: (count) => letGoAll((_gate, place) => place >= count),
    discardAll: () => letGoAll(() => true),
  };
}

/** Opens a gate that its claim stands behind: from here on the job runs. */
export function openGate(gate: ReadyGate, order: GateOrder): void {
  gate.child.open(formatGateOrder(order, gate.loaded));
}
