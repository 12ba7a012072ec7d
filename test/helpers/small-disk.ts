import { spawnSync } from "node:child_process";
import { chmodSync, closeSync, mkdirSync, mkdtempSync, openSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A file system of its own with little room, mounted on a folder. */
export interface SmallDisk {
  /** Takes all room but `bytes`. */
  fill(bytes?: number): void;
  free(): void;
}

const room = "room-taken";

/** Whether this user may mount anything here. */
export function canMount(): boolean {
  const folder = mkdtempSync(join(tmpdir(), "supervisor-mount-"));
  const mounted = run("mount", "-t", "tmpfs", "supervisor-test", folder);
  if (mounted) run("umount", folder);
  rmSync(folder, { recursive: true });
  return mounted;
}

/** Null where nothing can be mounted: only root can, and not in every container. */
export function mountSmallDisk(
  folder: string,
  bytes: number,
  onFinished: (clean: () => Promise<void>) => void,
): SmallDisk | null {
  mkdirSync(folder, { recursive: true });
  if (!run("mount", "-t", "tmpfs", "-o", `size=${bytes},mode=700`, "supervisor-test", folder)) return null;
  onFinished(async () => {
    run("umount", "-l", folder);
  });
  const path = join(folder, room);
  return {
    fill(left = 0) {
      const block = Buffer.alloc(4096);
      const file = openSync(path, "a");
      try {
        for (;;) writeSync(file, block);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "ENOSPC") throw error;
      } finally {
        closeSync(file);
      }
      if (left > 0) run("truncate", "-s", `-${left}`, path);
    },
    free: () => rmSync(path, { force: true }),
  };
}

/** Makes a folder and all in it read-only for this user, root or not. Gives back what undoes it, or null where nothing does. */
export function makeReadOnly(folder: string, onFinished: (clean: () => Promise<void>) => void): (() => void) | null {
  const undo = process.geteuid?.() === 0 ? (mountReadOnly(folder) ?? makeImmutable(folder)) : takeMode(folder);
  if (undo === null) return null;
  let done = false;
  const once = (): void => {
    if (!done) undo();
    done = true;
  };
  onFinished(async () => once());
  return once;
}

function mountReadOnly(folder: string): (() => void) | null {
  if (!run("mount", "--bind", folder, folder)) return null;
  const undo = (): void => void run("umount", "-l", folder);
  if (run("mount", "-o", "remount,bind,ro", folder)) return undo;
  undo();
  return null;
}

function makeImmutable(folder: string): (() => void) | null {
  return run("chattr", "-R", "+i", folder) ? () => void run("chattr", "-R", "-i", folder) : null;
}

function takeMode(folder: string): () => void {
  chmodSync(folder, 0o500);
  return () => chmodSync(folder, 0o700);
}

function run(command: string, ...more: readonly string[]): boolean {
  return spawnSync(command, more, { stdio: "ignore" }).status === 0;
}
