import { closeSync, openSync, readdirSync, readFileSync, readlinkSync, readSync, statSync } from "node:fs";
import { kernelCalls } from "./kernel-calls.ts";
import type { ProcessRow } from "./processes.ts";

/** Processes read before the loop gets its turn: about a millisecond. */
const rowsPerTurn = 100;

let buffer = Buffer.alloc(8192);

/** Reads a file of /proc to its end; null when the process is gone or keeps it to itself. Three times as fast as `readFileSync`. */
function readWhole(path: string): Buffer | null {
  let descriptor: number;
  try {
    descriptor = openSync(path, "r");
  } catch {
    return null;
  }
  try {
    let length = 0;
    for (;;) {
      if (length === buffer.length) buffer = Buffer.concat([buffer], 2 * buffer.length);
      const count = readSync(descriptor, buffer, length, buffer.length - length, null);
      if (count === 0) return buffer.subarray(0, length);
      length += count;
    }
  } catch {
    // The process ended while we read.
    return null;
  } finally {
    closeSync(descriptor);
  }
}

/** A line of `/proc/<pid>/stat`. The program's name in field 2 may hold spaces and parentheses, so fields are counted from the last `)`. */
export function parseStat(line: string, pageBytes: number): ProcessRow | null {
  const fields = line.slice(line.lastIndexOf(")") + 2).split(" ");
  const state = fields[0];
  // The first thread of a process can have ended before the others; only a process without any is dead.
  const threads = Number(fields[17]);
  if (state === "X" || (state === "Z" && threads <= 1)) return null;
  return {
    pid: Number.parseInt(line, 10),
    parentPid: Number(fields[1]),
    groupId: Number(fields[2]),
    sessionId: Number(fields[3]),
    startTicks: Number(fields[19]),
    residentBytes: Number(fields[21]) * pageBytes,
  };
}

export function lookInProc(pid: number): ProcessRow | null {
  const line = readWhole(`/proc/${pid}/stat`);
  return line === null || line.length === 0
    ? null
    : parseStat(line.toString("latin1"), kernelCalls()?.pageBytes ?? 4096);
}

/** What forks and ends faster than a pass over /proc would slip through it, so what is new is read in further passes. */
const passesMax = 5;

export async function listProc(): Promise<readonly ProcessRow[]> {
  const rows: ProcessRow[] = [];
  const seen = new Set<number>();
  let looked = 0;
  for (let pass = 1; pass <= passesMax; pass++) {
    let vanished = false;
    for (const pid of listPids()) {
      if (seen.has(pid)) continue;
      seen.add(pid);
      if (++looked % rowsPerTurn === 0) await new Promise<void>((resolve) => setImmediate(resolve));
      const row = lookInProc(pid);
      if (row === null) vanished = true;
      else rows.push(row);
    }
    if (!vanished) break;
  }
  return rows;
}

export function listPids(): readonly number[] {
  const pids: number[] = [];
  for (const name of readdirSync("/proc")) {
    const first = name.charCodeAt(0);
    if (first >= 48 && first <= 57) pids.push(Number(name));
  }
  return pids;
}

export function startedWith(pid: number, name: string): string | null {
  const environment = readWhole(`/proc/${pid}/environ`);
  if (environment === null) return null;
  const wanted = `${name}=`;
  for (let at = environment.indexOf(wanted); at !== -1; at = environment.indexOf(wanted, at + 1)) {
    if (at > 0 && environment[at - 1] !== 0) continue;
    const end = environment.indexOf(0, at);
    return environment.toString("utf8", at + wanted.length, end === -1 ? environment.length : end);
  }
  return null;
}

/**
 * The file is told by its path and number: a stat through /proc of whatever else the process has open could wait for ever
 * on a file system that does not answer.
 */
export function carriesLock(pid: number, path: string): boolean {
  let descriptors: readonly string[];
  try {
    descriptors = readdirSync(`/proc/${pid}/fd`);
  } catch {
    return false;
  }
  // A process in another mount namespace shows another beginning of the path.
  const ending = path.split("/").slice(-2).join("/");
  for (const descriptor of descriptors) {
    try {
      if (!readlinkSync(`/proc/${pid}/fd/${descriptor}`).endsWith(`/${ending}`)) continue;
      const theirs = statSync(`/proc/${pid}/fd/${descriptor}`, { bigint: true });
      const file = statSync(path, { bigint: true });
      if (theirs.ino !== file.ino || theirs.dev !== file.dev) continue;
      if (/^lock:.* FLOCK /mu.test(readFileSync(`/proc/${pid}/fdinfo/${descriptor}`, "latin1"))) return true;
    } catch {
      // It closed this one, or ended.
    }
  }
  return false;
}

export function proportionalBytes(pid: number): number | null {
  const found = /^Pss: +(\d+) kB/mu.exec(readWhole(`/proc/${pid}/smaps_rollup`)?.toString("latin1") ?? "");
  return found === null ? null : Number(found[1]) * 1024;
}

export function childPids(pid: number): readonly number[] | null {
  const list = readWhole(`/proc/${pid}/task/${pid}/children`);
  return list === null ? null : list.toString("latin1").trim().split(" ").filter(Boolean).map(Number);
}

export function readNamespace(pid: number): string | null {
  try {
    return readlinkSync(`/proc/${pid}/ns/pid`);
  } catch {
    return null;
  }
}

export function readBoot(): string {
  try {
    return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  } catch {
    return "unknown";
  }
}
