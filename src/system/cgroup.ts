import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import type { RunGroups } from "./processes.ts";

/**
 * Control groups (version 2) below our own, in a folder named `name`. Null where none may be made: most containers, and a
 * service that was not given its subtree.
 */
export function createRunGroups(name: string): RunGroups | null {
  const base = groupFolderNamed(name);
  if (base === null) return null;
  if (!makeGroup(base)) return null;
  removeGroup(base);
  const folderOf = (runId: string): string => `${base}/${runId}`;
  return {
    make: (runId) => (makeGroup(base) && makeGroup(folderOf(runId)) ? folderOf(runId) : null),
    members: (runId) => membersBelow(folderOf(runId)),
    kill(runId) {
      try {
        writeFileSync(`${folderOf(runId)}/cgroup.kill`, "1", { flag: "r+" });
        return true;
      } catch {
        // No group, or a kernel before 5.14.
        return false;
      }
    },
    remove(runId) {
      for (const folder of groupsBelow(folderOf(runId)).toReversed()) removeGroup(folder);
      removeGroup(base);
    },
    list: () => (existsSync(base) ? groupNames(base) : []),
  };
}

/** Two daemons of one machine must not take each other's control groups for their own. */
export function groupsNameOf(stateFolder: string): string {
  return `hermes-supervisor-${createHash("sha256").update(stateFolder).digest("hex").slice(0, 12)}`;
}

/** Where the groups of this name are or would be. */
export function groupFolderNamed(name: string): string | null {
  const own = ownGroupFolder();
  return own === null ? null : `${own}/${name}`;
}

/** Where the kernel shows the group that we are in ourselves. */
function ownGroupFolder(): string | null {
  try {
    return groupFolder(readFileSync("/proc/self/cgroup", "utf8"), readFileSync("/proc/self/mountinfo", "utf8"));
  } catch {
    return null;
  }
}

/** Puts together the line `0::<path>` of a process and the place where that hierarchy is mounted. */
export function groupFolder(groups: string, mounts: string): string | null {
  const path = /^0::(\/.*)$/mu.exec(groups)?.[1];
  const mount = mounts
    .split("\n")
    .map((line) => /^\d+ \d+ \S+ (\S+) (\S+) .* - cgroup2 /u.exec(line))
    .find((found) => found !== null);
  if (path === undefined || mount === undefined || mount === null) return null;
  const [, root = "/", place = ""] = mount;
  // In a container only a part of the hierarchy is mounted. A path that climbs out of it cannot be reached.
  const inside = root === "/" ? path : path.startsWith(root) ? path.slice(root.length) : null;
  if (inside === null || inside.startsWith("/..")) return null;
  return `${place}${inside}`.replace(/\/$/u, "");
}

function makeGroup(folder: string): boolean {
  try {
    mkdirSync(folder);
    return true;
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "EEXIST";
  }
}

function removeGroup(folder: string): void {
  try {
    rmdirSync(folder);
  } catch {
    // It is not empty, or gone already.
  }
}

function groupNames(folder: string): readonly string[] {
  try {
    return readdirSync(folder, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map((entry) => entry.name);
  } catch {
    return [];
  }
}

/** A job may have made groups of its own in that of its run; parents come first. */
function groupsBelow(folder: string): readonly string[] {
  return [folder, ...groupNames(folder).flatMap((name) => groupsBelow(`${folder}/${name}`))];
}

function membersBelow(folder: string): readonly number[] {
  return groupsBelow(folder).flatMap((group) => {
    try {
      return readFileSync(`${group}/cgroup.procs`, "latin1").split("\n").filter(Boolean).map(Number);
    } catch {
      return [];
    }
  });
}
