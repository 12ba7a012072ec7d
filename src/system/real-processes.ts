import { closeSync, existsSync, openSync, statSync, writeSync } from "node:fs";
import { availableParallelism, hostname } from "node:os";
import { execa, type Options } from "execa";
import { type Fingerprint, isSameProcess } from "../core/fingerprint.ts";
import { createRunGroups } from "./cgroup.ts";
import { flock } from "./flock.ts";
import { createPipe } from "./pipe.ts";
import {
  carriesLock,
  childPids,
  listPids,
  listProc,
  lookInProc,
  proportionalBytes,
  readBoot,
  readNamespace,
  startedWith,
} from "./proc.ts";
import type { BoundedEnd, BoundedRequest, ChildExit, GatedChild, Processes, SpawnRequest } from "./processes.ts";
import { bootSession, listByPs, lookByPs } from "./ps.ts";
import { createRunMarker, type RunMarker } from "./run-marks.ts";
import { holdProcess } from "./signals.ts";
import { becomeReaper, isNodeChild, watchNodeChildren } from "./sub-reaper.ts";

export interface ProcessesOptions {
  /** Makes orphans of what we start our own children. */
  readonly reap?: boolean;
  /** The folder of control groups to put runs into; none are made without it. */
  readonly groupsName?: string;
  /** Marks what we start, and thereby all that descends from it. */
  readonly mark?: boolean;
}

export function createProcesses(options: ProcessesOptions = {}): Processes {
  const onLinux = process.platform === "linux";
  const look = onLinux ? lookInProc : lookByPs;
  let boot: string | null = null;
  const bootId = (): string => {
    boot ??= onLinux ? readBoot() : bootSession();
    return boot;
  };
  const fingerprint = (pid: number): Fingerprint | null => {
    const row = look(pid);
    return row === null
      ? null
      : { pid, startTicks: row.startTicks, bootId: bootId(), pidNamespace: onLinux ? readNamespace(pid) : null };
  };
  watchNodeChildren();
  const marker = options.mark === true && onLinux ? createRunMarker() : null;
  return {
    hostname: hostname(),
    ownPid: process.pid,
    cores: availableParallelism(),
    availableBytes: () => process.availableMemory(),
    reaping: options.reap === true ? becomeReaper(hasChildren()) : "none",
    groups: options.groupsName === undefined || !onLinux ? null : createRunGroups(options.groupsName),
    marks: marker,
    showsEnvironment: onLinux,
    bootId,
    fingerprint,
    spawnGated: (request) => spawnGated(request, fingerprint, bootId, marker),
    async exitStatus(file, args, environment) {
      // Descriptor 3 is there and empty, as a gate is whose daemon has gone.
      const stdio = ["ignore", "ignore", "ignore", "ignore"] as const;
      const result = await startOwn(file, args, { env: environment, timeout: 5000, stdio });
      return result.exitCode ?? null;
    },
    runBounded,
    list: onLinux ? listProc : listByPs,
    pids: onLinux ? listPids : () => [],
    look,
    startedWith: onLinux ? startedWith : () => null,
    carriesLock: onLinux ? carriesLock : () => false,
    proportionalBytes: onLinux ? proportionalBytes : () => null,
    isOwnChild: isNodeChild,
    childPids: () => (onLinux ? childPids(process.pid) : null),
    hold: holdProcess,
    async killTree(leader) {
      const seen = fingerprint(leader.pid);
      if (seen === null || !isSameProcess(leader, seen) || !hasPs()) return;
      const { default: treeKill } = await import("tree-kill");
      // Its error means that the processes are gone already, which is what was wanted.
      await new Promise<void>((resolve) => treeKill(leader.pid, "SIGKILL", () => resolve()));
    },
  };
}

/** Whether another program that this one replaced has left it children. */
function hasChildren(): boolean {
  return childPids(process.pid)?.some((pid) => lookInProc(pid) !== null) ?? false;
}

interface OwnOptions {
  readonly cwd?: string;
  readonly env: Readonly<Record<string, string>>;
  readonly timeout?: number;
  readonly stdio: readonly (number | "ignore")[];
}

/** Starts a program in a session of its own: it outlives this daemon and its terminal, and one signal reaches the whole group. */
function startOwn(file: string, args: readonly string[], own: OwnOptions) {
  // With its clean-up, execa would raise a signal again that our own listener has just served.
  const options = { ...own, extendEnv: false, detached: true, cleanup: false, buffer: false, reject: false };
  // execa takes the number of any descriptor, but its types know only the first three.
  return execa(file, [...args], options as unknown as Options);
}

function spawnGated(
  request: SpawnRequest,
  fingerprint: (pid: number) => Fingerprint | null,
  bootId: () => string,
  marker: RunMarker | null,
): GatedChild {
  const opened: number[] = [];
  const open = (path: string, flags: string): number => {
    const descriptor = openSync(path, flags, 0o600);
    opened.push(descriptor);
    return descriptor;
  };
  try {
    const output = open(request.outputPath, "a");
    const errors = open(request.errorPath, "a");
    const launcher = open(request.launcherPath, "a");
    const lifeline = open(request.lifelinePath, "a");
    if (!flock(request.lifelinePath, lifeline))
      throw new Error(`Cannot lock "${request.lifelinePath}": another process holds it`);
    const pipe = createPipe();
    opened.push(pipe.readEnd);
    let gate: number | null = pipe.writeEnd;
    const closeGate = (text: string): void => {
      if (gate === null) return;
      const descriptor = gate;
      gate = null;
      try {
        if (text !== "") writeSync(descriptor, text);
      } catch {
        // The launcher is gone already; its end is reported by `ended`.
      } finally {
        closeSync(descriptor);
      }
    };
    const stdio = ["ignore", output, launcher, pipe.readEnd, lifeline, errors] as const;
    const start = () =>
      startOwn(request.file, request.arguments, { cwd: request.cwd, env: request.environment, stdio });
    const child = marker === null ? start() : marker.whileMarked(request.runId, start);
    const pid = child.pid;
    if (pid === undefined) {
      closeGate("");
      throw new Error(`Cannot start "${request.file}": the system refused to make a process`);
    }
    const held = holdProcess(pid);
    return {
      fingerprint: fingerprint(pid) ?? { pid, startTicks: null, bootId: bootId(), pidNamespace: null },
      held,
      open: closeGate,
      discard() {
        held?.release();
        closeGate("");
      },
      ended: child.then((result): ChildExit => {
        closeGate("");
        return { exitCode: result.exitCode ?? null, signal: result.signal ?? null };
      }),
    };
  } finally {
    for (const descriptor of opened) closeSync(descriptor);
  }
}

/** How often the files of a bounded program are looked at. */
const boundLookMs = 250;

async function runBounded(request: BoundedRequest): Promise<BoundedEnd> {
  const output = openSync(request.outputPath, "a", 0o600);
  let input: number | null = null;
  let killed: BoundedEnd["killed"] = null;
  try {
    input = request.inputPath === undefined ? null : openSync(request.inputPath, "r");
    const stdio = [input ?? "ignore", output, output] as const;
    const child = startOwn(request.file, request.arguments, { cwd: request.cwd, env: request.environment, stdio });
    const { pid } = child;
    if (pid === undefined) {
      const { originalMessage } = await child;
      throw new Error(`Cannot start "${request.file}": ${originalMessage ?? "the system refused to make a process"}`);
    }
    let ended = false;
    const kill = (why: BoundedEnd["killed"]): void => {
      // Until its end is told, its number is nobody else's.
      if (ended || killed !== null) return;
      killed = why;
      process.kill(-pid, "SIGKILL");
    };
    const timer = setTimeout(() => kill("timeout"), request.timeoutMs);
    const watched = [request.outputPath, ...request.watched];
    const isTooLarge = (path: string): boolean =>
      (statSync(path, { throwIfNoEntry: false })?.size ?? 0) > request.bytesMax;
    const look = setInterval(() => watched.some(isTooLarge) && kill("bytes"), boundLookMs);
    const abort = (): void => kill("signal");
    request.signal?.addEventListener("abort", abort);
    if (request.signal?.aborted === true) abort();
    const result = await child;
    ended = true;
    clearTimeout(timer);
    clearInterval(look);
    request.signal?.removeEventListener("abort", abort);
    return { exitCode: result.exitCode ?? null, signal: result.signal ?? null, killed };
  } finally {
    closeSync(output);
    if (input !== null) closeSync(input);
  }
}

let psFound: boolean | null = null;

/** tree-kill ends this whole process with an uncaught error when `ps` is missing. */
function hasPs(): boolean {
  psFound ??= (process.env["PATH"] ?? "").split(":").some((folder) => existsSync(`${folder}/ps`));
  return psFound;
}
