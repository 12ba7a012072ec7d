import { closeSync, openSync, readFileSync, readlinkSync } from "node:fs";
import { hostname } from "node:os";
import type { Duplex } from "node:stream";
import { execa, type Options } from "execa";
import type { Fingerprint } from "../core/fingerprint.ts";
import { isSameProcess } from "../core/fingerprint.ts";
import { flock } from "./flock.ts";
import type { ChildExit, GatedChild, Processes, SpawnRequest } from "./processes.ts";

export function createProcesses(): Processes {
  let bootId: string | null = null;
  const readBootId = (): string => {
    bootId ??= readBoot();
    return bootId;
  };
  const fingerprint = (pid: number): Fingerprint | null => {
    const stat = readStat(pid);
    return stat === null || stat.state === "Z" || stat.state === "X"
      ? null
      : { pid, startTicks: stat.startTicks, bootId: readBootId(), pidNamespace: readNamespace(pid) };
  };
  return {
    hostname: hostname(),
    ownPid: process.pid,
    bootId: readBootId,
    fingerprint,
    spawnGated: (request) => spawnGated(request, fingerprint, readBootId),
    signalGroup(leader, signal) {
      const seen = fingerprint(leader.pid);
      if (seen === null || !isSameProcess(leader, seen)) return false;
      return send(-leader.pid, signal);
    },
    async killTree(leader) {
      const seen = fingerprint(leader.pid);
      if (seen === null || !isSameProcess(leader, seen)) return;
      if (!hasPs()) {
        send(-leader.pid, "SIGKILL");
        return;
      }
      const { default: treeKill } = await import("tree-kill");
      // Its error means that the processes are gone already, which is what was wanted.
      await new Promise<void>((resolve) => treeKill(leader.pid, "SIGKILL", () => resolve()));
      send(-leader.pid, "SIGKILL");
    },
  };
}

function send(target: number, signal: NodeJS.Signals): boolean {
  try {
    process.kill(target, signal);
    return true;
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ESRCH") return false;
    throw error;
  }
}

function spawnGated(
  request: SpawnRequest,
  fingerprint: (pid: number) => Fingerprint | null,
  bootId: () => string,
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
    const options = {
      cwd: request.cwd,
      env: request.environment,
      extendEnv: false,
      // A session of its own: the run outlives this daemon and its terminal, and one signal reaches the whole group.
      detached: true,
      cleanup: false,
      buffer: false,
      reject: false,
      stdio: ["ignore", output, launcher, "pipe", lifeline, errors],
    };
    // execa takes the number of any descriptor, but its types know only the first three.
    const child = execa(request.file, [...request.arguments], options as unknown as Options);
    const pid = child.pid;
    if (pid === undefined) throw new Error(`Cannot start "${request.file}": the system refused to make a process`);
    const gate = child.stdio[3] as unknown as Duplex;
    // A launcher that is already gone breaks the gate; its end is reported by `ended`.
    gate.on("error", () => undefined);
    gate.resume();
    return {
      fingerprint: fingerprint(pid) ?? { pid, startTicks: null, bootId: bootId(), pidNamespace: null },
      open: (text) => void gate.end(text),
      discard: () => void gate.end(),
      ended: child.then((result): ChildExit => ({ exitCode: result.exitCode ?? null, signal: result.signal ?? null })),
    };
  } finally {
    for (const descriptor of opened) closeSync(descriptor);
  }
}

interface ProcessStat {
  readonly state: string;
  readonly startTicks: number;
}

/** The program's name in field 2 may hold spaces and parentheses, so fields are counted from the last `)`. */
function readStat(pid: number): ProcessStat | null {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, "utf8");
  } catch {
    // No such process, or it went away while we looked: the same answer.
    return null;
  }
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return { state: fields[0] ?? "", startTicks: Number(fields[19]) };
}

function readNamespace(pid: number): string | null {
  try {
    return readlinkSync(`/proc/${pid}/ns/pid`);
  } catch {
    return null;
  }
}

function readBoot(): string {
  try {
    return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  } catch {
    return "unknown";
  }
}

let psFound: boolean | null = null;

/** tree-kill ends this whole process with an uncaught error when `ps` is missing. */
function hasPs(): boolean {
  psFound ??= (process.env["PATH"] ?? "").split(":").some((folder) => {
    try {
      closeSync(openSync(`${folder}/ps`, "r"));
      return true;
    } catch {
      return false;
    }
  });
  return psFound;
}
