import { execFile, execFileSync } from "node:child_process";
import type { ProcessRow } from "./processes.ts";

const ps = "/bin/ps";
const columns = "pid=,ppid=,pgid=,stat=,rss=,lstart=";
// Month names depend on the language otherwise.
const environment = { LC_ALL: "C", PATH: "/bin:/usr/bin" };

/** What `ps -axo pid=,ppid=,pgid=,stat=,rss=,lstart=` prints. Times are the machine's own, in whole seconds. */
export function parsePs(text: string): readonly ProcessRow[] {
  return text.split("\n").flatMap((line): readonly ProcessRow[] => {
    const found = /^ *(\d+) +(\d+) +(\d+) +(\S+) +(\d+) +(\S.*?) *$/u.exec(line);
    if (found === null || found[4]?.startsWith("Z")) return [];
    const startMs = Date.parse(found[6] ?? "");
    if (Number.isNaN(startMs)) return [];
    return [
      {
        pid: Number(found[1]),
        parentPid: Number(found[2]),
        groupId: Number(found[3]),
        sessionId: null,
        startTicks: startMs / 1000,
        residentBytes: Number(found[5]) * 1024,
      },
    ];
  });
}

export function listByPs(): Promise<readonly ProcessRow[]> {
  return new Promise((resolve, reject) => {
    execFile(ps, ["-axo", columns], { env: environment, maxBuffer: 64 << 20 }, (error, text) => {
      if (error === null) resolve(parsePs(text));
      else reject(new Error(`Cannot list processes: ${error.message}`, { cause: error }));
    });
  });
}

export function lookByPs(pid: number): ProcessRow | null {
  try {
    const text = execFileSync(ps, ["-o", columns, "-p", String(pid)], { env: environment, encoding: "utf8" });
    return parsePs(text)[0] ?? null;
  } catch {
    // It answers 1 when there is no such process.
    return null;
  }
}

/** macOS gives each start of the machine an id of its own. */
export function bootSession(): string {
  try {
    return execFileSync("/usr/sbin/sysctl", ["-n", "kern.bootsessionuuid"], { encoding: "utf8" }).trim();
  } catch {
    return "unknown";
  }
}
