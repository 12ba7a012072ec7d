import type { Child } from "../../src/child/child-table.ts";
import type { Fingerprint } from "../../src/core/fingerprint.ts";
import type { FileStat } from "../../src/system/files.ts";
import type { HeldProcess, Processes, ProcessRow } from "../../src/system/processes.ts";
import type { System } from "../../src/system/system.ts";
import { runVariables } from "../../worker/protocol.ts";
import { createFakeClock, type FakeClock } from "./fake-clock.ts";

/** A process of which a test decides how long it lasts. */
export interface MachineProcess extends ProcessRow {
  readonly runId: string | null;
}

/** Processes alone, for what finds and ends them: no files but lifelines, no marks, and a daemon with PID 1000 that adopts orphans. */
export interface FakeMachine {
  readonly system: System;
  readonly clock: FakeClock;
  readonly alive: Map<number, MachineProcess>;
  /** Called when a list of all processes has been made, before anything of it is looked at. */
  onListed: () => void;
  /** Runs whose lifeline somebody holds. */
  readonly heldLifelines: Set<string>;
  /** Runs in whose control group is somebody who is not listed. */
  readonly groupsInUse: Set<string>;
  start(pid: number, startTicks: number, of: Partial<MachineProcess>): MachineProcess;
  /** Adds a run with its launcher. */
  child(runId: string, pid: number, startTicks: number): Child;
  /** Lets promises and timers go on until the time has come. */
  run(ms: number): Promise<void>;
}

const daemonPid = 1000;
const unlistedPid = 77;
const bootId = "boot";

export function createFakeMachine(): FakeMachine {
  const clock = createFakeClock(Date.parse("2026-03-01T12:00:00Z"));
  const alive = new Map<number, MachineProcess>();
  const launchers = new Set<number>();

  function end(pid: number): boolean {
    const was = alive.delete(pid);
    for (const row of alive.values()) if (row.parentPid === pid) alive.set(row.pid, { ...row, parentPid: daemonPid });
    return was;
  }

  const fingerprint = (pid: number): Fingerprint => ({
    pid,
    startTicks: alive.get(pid)?.startTicks ?? 0,
    bootId,
    pidNamespace: null,
  });

  const hold = (pid: number): HeldProcess | null =>
    alive.has(pid)
      ? {
          signal: (signal) => alive.has(pid) && (signal !== "SIGKILL" || end(pid)),
          signalGroup(signal) {
            const group = [...alive.values()].filter((row) => row.groupId === pid);
            if (signal === "SIGKILL") for (const row of group) end(row.pid);
            return group.length > 0;
          },
          release: () => undefined,
        }
      : null;

  const processes: Partial<Processes> = {
    ownPid: daemonPid,
    reaping: "subreaper",
    groups: {
      make: () => null,
      members: (runId) => (groupsInUse.has(runId) ? [unlistedPid] : []),
      kill: () => false,
      remove: () => undefined,
      list: () => [...groupsInUse],
    },
    marks: null,
    showsEnvironment: true,
    bootId: () => bootId,
    fingerprint: (pid) => (alive.has(pid) || pid === daemonPid ? fingerprint(pid) : null),
    async list() {
      const rows = [...alive.values()];
      machine.onListed();
      return rows;
    },
    pids: () => [...alive.keys()],
    look: (pid) => alive.get(pid) ?? null,
    startedWith: (pid, name) => (name === runVariables.runId ? (alive.get(pid)?.runId ?? null) : null),
    carriesLock: () => false,
    isOwnChild: (pid) => launchers.has(pid) && alive.has(pid),
    childPids: () => [...alive.values()].filter((row) => row.parentPid === daemonPid).map((row) => row.pid),
    hold,
  };
  const groupsInUse = new Set<string>();
  const heldLifelines = new Set<string>();
  const isHeld = (path: string): boolean => [...heldLifelines].some((runId) => path.endsWith(`/${runId}/alive`));
  const files: Partial<System["files"]> = { stat: (path) => (isHeld(path) ? ({} as FileStat) : null) };
  const locks: Partial<System["locks"]> = { tryLock: (path) => (isHeld(path) ? null : { release: () => undefined }) };
  const log = { error: () => undefined, warn: () => undefined };

  const machine: FakeMachine = {
    system: { clock, processes, files, locks, log } as unknown as System,
    clock,
    alive,
    onListed: () => undefined,
    heldLifelines,
    groupsInUse,
    start(pid, startTicks, of) {
      const row = {
        pid,
        parentPid: daemonPid,
        groupId: pid,
        sessionId: pid,
        startTicks,
        residentBytes: 0,
        runId: null,
        ...of,
      };
      alive.set(pid, row);
      return row;
    },
    child(runId, pid, startTicks) {
      machine.start(pid, startTicks, { runId });
      launchers.add(pid);
      return {
        runId,
        home: "default",
        jobId: runId,
        fingerprint: fingerprint(pid),
        // Told by the test, or not at all.
        ended: new Promise(() => undefined),
        startedAtMs: 0,
        script: null,
        kind: "script",
        cause: null,
        timeout: null,
        overAtMs: null,
        held: hold(pid),
        limits: { detach: false } as Child["limits"],
      };
    },
    async run(ms) {
      const untilMs = clock.monotonicMs() + ms;
      for (;;) {
        await new Promise((resolve) => setImmediate(resolve));
        const nextMs = clock.nextMs();
        if (nextMs === null || nextMs > untilMs) break;
        clock.fireNext();
      }
      clock.pass(untilMs - clock.monotonicMs());
    },
  };
  return machine;
}
