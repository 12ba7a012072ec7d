import { existsSync, readdirSync, readFileSync, readlinkSync, realpathSync, statfsSync } from "node:fs";
import { userInfo } from "node:os";
import { execa } from "execa";
import { createRunGroups, groupFolderNamed, groupsNameOf } from "./cgroup.ts";
import type { Host, ProgramAnswer } from "./host.ts";
import { kernelCalls } from "./kernel-calls.ts";
import { createProcesses } from "./real-processes.ts";

const outputCharactersMax = 1 << 20;

export function createHost(): Host {
  const { uid, username } = userInfo();
  const environment = { ...process.env };
  return {
    platform: process.platform,
    nodeVersion: process.versions.node,
    nodePath: process.execPath,
    // A global installation puts a link on PATH; a service is better off with what it leads to.
    programPath: realpathSync(process.argv[1] ?? ""),
    user: { uid, name: username },
    processes: createProcesses(),
    run: (file, args, timeoutMs, variables = {}) => run(file, args, timeoutMs, { ...environment, ...variables }),
    fileSystem,
    isClockSynchronised: () => kernelCalls()?.isClockSynchronised() ?? null,
    isContainer: () =>
      (environment["container"] ?? environment["KUBERNETES_SERVICE_HOST"] ?? "") !== "" ||
      ["/.dockerenv", "/run/.containerenv", "/run/systemd/container"].some((path) => existsSync(path)) ||
      (process.platform === "linux" && fileSystem("/") === "overlay"),
    canReap: () => kernelCalls()?.becomeSubreaper() === 0,
    canGroup: () => process.platform === "linux" && createRunGroups(`hermes-supervisor-${process.pid}`) !== null,
    groupFolder: (stateFolder) => (process.platform === "linux" ? groupFolderNamed(groupsNameOf(stateFolder)) : null),
    atEnd,
    holdersOf,
  };
}

async function run(
  file: string,
  args: readonly string[],
  timeout: number,
  env: Readonly<Record<string, string | undefined>>,
): Promise<ProgramAnswer | null> {
  const options = { timeout, env, extendEnv: false, reject: false, all: true, maxBuffer: outputCharactersMax } as const;
  const result = await execa(file, [...args], { ...options, stdin: "ignore", killSignal: "SIGKILL" });
  if (result.exitCode === undefined && !result.timedOut && result.signal === undefined) return null;
  return { exitCode: result.exitCode ?? null, output: result.all };
}

/** The shell waits at a pipe whose other end only this process has. */
function atEnd(script: string, args: readonly string[]): () => Promise<void> {
  const options = { detached: true, cleanup: false, buffer: false, reject: false } as const;
  const waiting = `trap "" INT TERM HUP; read -r _; ${script}`;
  const child = execa("/bin/sh", ["-c", waiting, "sh", ...args], {
    ...options,
    stdin: "pipe",
    stdout: "ignore",
    stderr: "ignore",
  });
  return async () => {
    child.stdin.end();
    await child;
  };
}

/** `f_type` of statfs(2), by the numbers of Linux. */
const fileSystems: Readonly<Record<number, string>> = {
  26985: "nfs",
  4283649346: "cifs",
  4266872130: "smb2",
  20859: "smb",
  16914839: "9p",
  1702057286: "fuse",
  12805120: "ceph",
  2035054128: "overlay",
  16914836: "tmpfs",
  2240043254: "ramfs",
  61267: "ext4",
  1481003842: "xfs",
  2435016766: "btrfs",
  801189825: "zfs",
  4076150800: "f2fs",
  19780: "vfat",
  538032816: "exfat",
};

function fileSystem(path: string): string | null {
  if (process.platform !== "linux") return null;
  try {
    return fileSystems[statfsSync(path).type >>> 0] ?? null;
  } catch {
    return null;
  }
}

function holdersOf(
  name: string,
): readonly { readonly pid: number; readonly path: string; readonly commandLine: string }[] {
  if (process.platform !== "linux") return [];
  return readdirSync("/proc")
    .filter((entry) => /^\d+$/u.test(entry))
    .flatMap((entry) => {
      try {
        const links = readdirSync(`/proc/${entry}/fd`).map((each) => linkOf(`/proc/${entry}/fd/${each}`));
        const paths = new Set(links.filter((path) => path.endsWith(`/${name}`)));
        const commandLine = readFileSync(`/proc/${entry}/cmdline`, "utf8");
        return [...paths].map((path) => ({ pid: Number(entry), path, commandLine }));
      } catch {
        // Another user's, or it has ended.
        return [];
      }
    });
}

function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return "";
  }
}
