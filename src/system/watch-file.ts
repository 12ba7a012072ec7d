import { basename, dirname } from "node:path";
import type { Timer } from "./clock.ts";
import type { FileStat } from "./files.ts";
import { goneMs, isBeingWritten } from "./settled-file.ts";
import type { System } from "./system.ts";
import type { Watch, Watching } from "./watch.ts";

/** One save makes several events: they are waited for before the file is looked at. */
const coalesceMs = 5;
/** How often a file that somebody is writing is looked at: its closing makes no event. */
const writtenLookMs = 10;

/**
 * Calls `changed` when the file at `path` is another one than at the last look: made, written to, replaced, removed, or reached
 * through a link that was swapped. It counts from this call on, so the caller reads the file after it. A file that somebody is
 * writing is waited for, unless its mere presence counts. One that is gone is told of again when it has stayed away.
 */
export function watchFile(
  system: Pick<System, "files" | "clock">,
  watch: Watch,
  path: string,
  changed: () => void,
  { presenceCounts = false }: { readonly presenceCounts?: boolean } = {},
): Watching {
  let seen = identityOf(system, path);
  let pending: Timer | null = null;
  let goneLook: Timer | null = null;
  let linked = false;
  let target: { readonly folder: string; readonly watching: Watching } | null = null;
  let stopped = false;

  function lookSoon(delayMs = coalesceMs): void {
    pending ??= system.clock.after(delayMs, () => {
      pending = null;
      followLink();
      if (!presenceCounts && isBeingWritten(system, path, typeof seen === "string" ? null : seen)) {
        lookSoon(writtenLookMs);
        return;
      }
      const now = identityOf(system, path);
      if (keyOf(now) === keyOf(seen)) return;
      seen = now;
      if (now === null && !presenceCounts) {
        goneLook?.cancel();
        goneLook = system.clock.after(goneMs + coalesceMs, () => {
          if (seen === null) changed();
        });
      }
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
    target = folder === null ? null : { folder, watching: watch.folder(folder, () => lookSoon()) };
  }

  const own = watch.folder(dirname(path), (name) => {
    if (name === null || linked || name === basename(path)) lookSoon();
  });
  followLink();
  return {
    stop() {
      stopped = true;
      pending?.cancel();
      goneLook?.cancel();
      own.stop();
      target?.watching.stop();
      target = null;
    },
  };
}

/** Null where nothing is; the code of the fault where it cannot be looked at now, which is a state like any other. */
function identityOf({ files }: Pick<System, "files">, path: string): FileStat | string | null {
  try {
    return files.stat(path) ?? files.statLink(path);
  } catch (cause) {
    return String((cause as NodeJS.ErrnoException).code);
  }
}

function keyOf(stat: FileStat | string | null): string {
  if (stat === null || typeof stat === "string") return stat ?? "";
  return [stat.device, stat.inode, stat.sizeBytes, stat.modifiedNs, stat.changedNs, stat.mode].join(":");
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
