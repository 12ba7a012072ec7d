import { basename, dirname } from "node:path";
import type { Timer } from "./clock.ts";
import type { System } from "./system.ts";
import type { Watch, Watching } from "./watch.ts";

/** One save makes several events: they are waited for before the file is looked at. */
const coalesceMs = 5;

/**
 * Calls `changed` when the file at `path` is another one than at the last look: made, written to, replaced, removed, or reached
 * through a link that was swapped. It counts from this call on, so the caller reads the file after it.
 */
export function watchFile(
  system: Pick<System, "files" | "clock">,
  watch: Watch,
  path: string,
  changed: () => void,
): Watching {
  let seen = identityKey(system, path);
  let pending: Timer | null = null;
  let linked = false;
  let target: { readonly folder: string; readonly watching: Watching } | null = null;
  let stopped = false;

  function lookSoon(): void {
    pending ??= system.clock.after(coalesceMs, () => {
      pending = null;
      followLink();
      const now = identityKey(system, path);
      if (now === seen) return;
      seen = now;
      changed();
    });
  }

  /** A link's target lies in another folder, whose changes tell of it. */
  function followLink(): void {
    if (stopped) return;
    const folder = targetFolder(system, path);
    linked = folder !== null;
    if (folder === (target?.folder ?? null)) return;
    target?.watching.stop();
    target = folder === null ? null : { folder, watching: watch.folder(folder, lookSoon) };
  }

  const own = watch.folder(dirname(path), (name) => {
    if (name === null || linked || name === basename(path)) lookSoon();
  });
  followLink();
  return {
    stop() {
      stopped = true;
      pending?.cancel();
      own.stop();
      target?.watching.stop();
      target = null;
    },
  };
}

function identityKey({ files }: Pick<System, "files">, path: string): string {
  try {
    const stat = files.stat(path);
    return stat === null
      ? ""
      : [stat.device, stat.inode, stat.sizeBytes, stat.modifiedNs, stat.changedNs, stat.mode].join(":");
  } catch (cause) {
    // Not to be looked at now is a state like any other: it differs from before and from after.
    return String((cause as NodeJS.ErrnoException).code);
  }
}

/** The folder that holds what the link at `path` leads to; null when `path` is no link or leads nowhere. */
function targetFolder({ files }: Pick<System, "files">, path: string): string | null {
  try {
    if (files.statLink(path)?.kind !== "symlink") return null;
    const real = files.realPath(path);
    return real === path || dirname(real) === dirname(path) ? dirname(path) : dirname(real);
  } catch {
    // A link that leads nowhere: its own folder tells when it is replaced.
    return dirname(path);
  }
}
