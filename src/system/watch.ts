import { statSync } from "node:fs";
import { basename, dirname } from "node:path";
import { type FSWatcher, watch } from "chokidar";
import type { Clock, Timer } from "./clock.ts";
import type { Logger } from "./logger.ts";

/** Notices that something in a folder changed. What changed is for the caller to find out: an event is a hint, a look at the file is the fact. */
export interface Watch {
  /**
   * Calls `changed` with the name of an entry of `path` that may have been made, changed, replaced or removed, or with
   * null when it may be any. The folder need not exist yet, and may vanish and come back. Its subfolders are not watched.
   */
  folder(path: string, changed: (name: string | null) => void): Watching;
  /** Notices nothing more. */
  close(): Promise<void>;
}

export interface Watching {
  /** Safe to call again. */
  stop(): void;
}

interface WatchedFolder {
  readonly path: string;
  readonly callbacks: Set<(name: string | null) => void>;
  watcher: FSWatcher | null;
  /** Device, inode and birth of what the watcher looks at; null while there is no such folder. */
  identity: string | null;
  /** Gives the place among those that start at once to the next. */
  finishStart: () => void;
}

/** A folder that is missing is looked for that often, beside what the events of its parent say. */
const missingLookMs = 500;
/** Reading hundreds of folders side by side costs tens of megabytes that never come back. */
const startedAtOnce = 4;

/**
 * One chokidar watcher for each folder: a single one for all loses sight of a folder below another watched one when
 * both are made anew.
 */
export function createWatch(clock: Clock, log: Logger): Watch {
  const folders = new Map<string, WatchedFolder>();
  /** The watched folders by the folder that they are in. */
  const inside = new Map<string, Set<WatchedFolder>>();
  const waiting = new Set<WatchedFolder>();
  let starting = 0;
  let missingLook: Timer | null = null;
  let saidFailure = false;
  let closed = false;
  const closing = new Set<Promise<void>>();

  function tell(folder: WatchedFolder, name: string | null): void {
    for (const changed of [...folder.callbacks]) changed(name);
  }

  /** Brings the watcher of `folder` in line with what is there now. */
  function refresh(folder: WatchedFolder): void {
    if (closed || folders.get(folder.path) !== folder) return;
    const identity = identityOf(folder.path);
    if (identity === folder.identity) {
      if (identity === null) lookLater(folder);
      return;
    }
    stopWatcher(folder);
    folder.identity = identity;
    tell(folder, null);
    if (identity === null) lookLater(folder);
    else waiting.add(folder);
    startNext();
  }

  function restart(folder: WatchedFolder): void {
    stopWatcher(folder);
    folder.identity = null;
    tell(folder, null);
    refresh(folder);
    refreshInside(folder, null);
  }

  /** A folder that we watch may have come or gone in another one. */
  function refreshInside(folder: WatchedFolder, name: string | null): void {
    for (const other of [...(inside.get(folder.path) ?? [])]) {
      if (name === null || basename(other.path) === name) refresh(other);
    }
  }

  function startNext(): void {
    for (const folder of waiting) {
      if (closed || starting >= startedAtOnce) return;
      waiting.delete(folder);
      startWatcher(folder);
    }
  }

  function startWatcher(folder: WatchedFolder): void {
    let started = false;
    // Never the files themselves: editors and Kubernetes replace them, and a watch on a replaced file is deaf.
    const watcher = watch(folder.path, {
      depth: 0,
      ignoreInitial: true,
      atomic: false,
      ignored: (path) => path !== folder.path,
    });
    folder.watcher = watcher;
    starting++;
    const finishStart = (): void => {
      if (started) return;
      started = true;
      starting--;
      startNext();
    };
    folder.finishStart = finishStart;
    // The event of the backend is the only one that also tells of names that are no file of ours, such as the link
    // that Kubernetes swaps beside a mounted file.
    watcher.on("raw", (_event, entry, details) => {
      if ((details as { readonly watchedPath?: string }).watchedPath !== folder.path || folder.watcher !== watcher)
        return;
      const name = entry === null || entry === undefined ? null : basename(entry);
      tell(folder, name);
      refreshInside(folder, name);
      // The folder itself was moved or removed: what has its name now may even have its inode, and is not watched.
      if (name === basename(folder.path)) restart(folder);
    });
    watcher.on("unlinkDir", () => {
      if (folder.watcher === watcher) restart(folder);
    });
    watcher.on("ready", () => {
      finishStart();
      // What happened between the look at the folder and the kernel's watch had no event.
      if (folder.watcher !== watcher) return;
      tell(folder, null);
      refreshInside(folder, null);
    });
    watcher.on("error", (error) => {
      finishStart();
      if (saidFailure) return;
      saidFailure = true;
      log.warn("Cannot watch every folder: changes there are seen at the next regular look", { error: String(error) });
    });
  }

  function stopWatcher(folder: WatchedFolder): void {
    waiting.delete(folder);
    if (folder.watcher === null) return;
    folder.finishStart();
    const ended = folder.watcher.close();
    folder.watcher = null;
    closing.add(ended);
    void ended.finally(() => closing.delete(ended));
  }

  function lookLater(folder: WatchedFolder): void {
    // Where the folder above is watched, its events tell of this one.
    const above = folders.get(dirname(folder.path));
    if (closed || (above !== undefined && above.identity !== null)) return;
    missingLook ??= clock.after(missingLookMs, () => {
      missingLook = null;
      for (const folder of [...folders.values()]) if (folder.identity === null) refresh(folder);
    });
  }

  return {
    folder(path, changed) {
      let folder = folders.get(path);
      if (folder === undefined) {
        folder = { path, callbacks: new Set(), watcher: null, identity: null, finishStart: () => {} };
        folders.set(path, folder);
        inside.set(dirname(path), (inside.get(dirname(path)) ?? new Set()).add(folder));
        // Not at once: the caller is not ready for a call before it has what we return.
        const made = folder;
        clock.after(0, () => refresh(made));
      }
      const { callbacks } = folder;
      // A callback of its own for each request, so that one function can be given twice.
      const callback = (name: string | null) => changed(name);
      callbacks.add(callback);
      const watched = folder;
      return {
        stop() {
          callbacks.delete(callback);
          if (callbacks.size > 0 || folders.get(path) !== watched) return;
          folders.delete(path);
          inside.get(dirname(path))?.delete(watched);
          stopWatcher(watched);
          startNext();
        },
      };
    },
    async close() {
      closed = true;
      missingLook?.cancel();
      for (const folder of folders.values()) stopWatcher(folder);
      folders.clear();
      inside.clear();
      await Promise.all(closing);
    },
  };
}

function identityOf(path: string): string | null {
  try {
    const stat = statSync(path, { bigint: true, throwIfNoEntry: false });
    return stat?.isDirectory() ? `${stat.dev}:${stat.ino}:${stat.birthtimeNs}` : null;
  } catch {
    // Not readable now: looked for again like one that is missing.
    return null;
  }
}
