import { basename, dirname, join, resolve as resolvePath } from "node:path";
import type { FileStat, Files, StagedFile } from "../../src/system/files.ts";

interface Entry {
  inode: bigint;
  mode: number;
  uid: number;
  gid: number;
  modifiedNs: bigint;
  changedNs: bigint;
  content: Buffer | Map<string, Entry> | { readonly target: string };
}

/** Something that changes what is on disk, just before it happens. What it throws is thrown instead of the change. `bytes` is what would be written. */
export type BeforeChange = (change: string, path: string, bytes?: Uint8Array) => void;

export interface FakeFiles extends Files {
  /** Called before every change; a simulation stops the program here, or fills the disk. */
  beforeChange: BeforeChange;
  /** What somebody else writes at `path`, or what a write that was cut short leaves there. Asks nobody. */
  plant(path: string, bytes: Uint8Array | string, mode?: number): void;
  /** Makes a link that points at `target`. */
  link(path: string, target: string): void;
  /** Gives a file to someone, and the rights that go with it. */
  own(path: string, uid: number, gid: number, mode: number): void;
  freeBytesLeft: number;
  /** The paths of files that somebody has open for writing. */
  readonly writing: Set<string>;
}

/**
 * A file system in memory, with one root user. `nowMs` is its clock, which like a real one moves in steps of several
 * milliseconds; without it there is a step of one millisecond with every change.
 */
export function createFakeFiles(nowMs?: () => number): FakeFiles {
  let stepNs = 1_700_000_000_000_000_000n;
  let lastInode = 1n;
  let links = 0;
  const root = newEntry(new Map(), 0o755);

  const resolved = new Map<string, string>();

  function resolve(path: string): string {
    let absolute = resolved.get(path);
    if (absolute === undefined) {
      absolute = resolvePath(path);
      resolved.set(path, absolute);
    }
    return absolute;
  }

  function clockNs(): bigint {
    if (nowMs !== undefined) return BigInt(Math.floor(nowMs() / 4) * 4) * 1_000_000n;
    stepNs += 1_000_000n;
    return stepNs;
  }

  function newEntry(content: Entry["content"], mode: number): Entry {
    const madeNs = clockNs();
    lastInode += 1n;
    return { inode: lastInode, mode, uid: 0, gid: 0, modifiedNs: madeNs, changedNs: madeNs, content };
  }

  function touch(entry: Entry, contentChanged: boolean): void {
    entry.changedNs = clockNs();
    if (contentChanged) entry.modifiedNs = entry.changedNs;
  }

  /** The real path, with the last part left as it is unless `followLast`; every folder on the way must exist. */
  function realPath(path: string, followLast: boolean, call: string, depth = 0): string {
    if (depth > 40) throw failure("ELOOP", call, path);
    const absolute = resolve(path);
    if (absolute === "/") return "/";
    if (links === 0) {
      const above = lookUp(dirname(absolute));
      if (!(above?.content instanceof Map)) throw failure(above ? "ENOTDIR" : "ENOENT", call, path);
      return absolute;
    }
    const folder = realPath(dirname(absolute), true, call, depth + 1);
    if (!(lookUp(folder)?.content instanceof Map)) throw failure(lookUp(folder) ? "ENOTDIR" : "ENOENT", call, path);
    const own = join(folder, basename(absolute));
    const content = lookUp(own)?.content;
    if (!followLast || content === undefined || !("target" in content)) return own;
    return realPath(resolvePath(folder, content.target), true, call, depth + 1);
  }

  /** Entries found before, by path. Whatever is put or dropped below a path makes what is known of it useless. */
  const known = new Map<string, Entry>();

  function lookUp(real: string): Entry | undefined {
    const found = known.get(real);
    if (found !== undefined) return found;
    let entry: Entry | undefined = root;
    for (const name of real.split("/")) {
      if (name === "") continue;
      entry = entry?.content instanceof Map ? entry.content.get(name) : undefined;
    }
    if (entry !== undefined) known.set(real, entry);
    return entry;
  }

  /** What was known of `real`, and of what is below it where it is a folder. */
  function forget(real: string, entry: Entry | undefined): void {
    known.delete(real);
    if (!(entry?.content instanceof Map)) return;
    for (const path of known.keys()) if (path.startsWith(`${real}/`)) known.delete(path);
  }

  function find(path: string, followLast: boolean, call: string): Entry {
    const entry = (links === 0 ? known.get(path) : undefined) ?? lookUp(realPath(path, followLast, call));
    if (entry === undefined) throw failure("ENOENT", call, path);
    return entry;
  }

  function folderOf(real: string): { readonly entry: Entry; readonly names: Map<string, Entry> } {
    const entry = find(dirname(real), true, "open");
    if (!(entry.content instanceof Map)) throw failure("ENOTDIR", "open", real);
    return { entry, names: entry.content };
  }

  function put(real: string, entry: Entry): void {
    const folder = folderOf(real);
    const name = basename(real);
    forget(real, folder.names.get(name));
    folder.names.set(name, entry);
    touch(folder.entry, true);
  }

  function drop(real: string): void {
    const folder = folderOf(real);
    const name = basename(real);
    forget(real, folder.names.get(name));
    folder.names.delete(name);
    touch(folder.entry, true);
  }

  function bytesOf(path: string, call: string): Buffer {
    const { content } = find(path, true, call);
    if (content instanceof Buffer) return content;
    throw failure("EISDIR", call, path);
  }

  function statOf(path: string, followLast: boolean): FileStat | null {
    if (links === 0) {
      const entry = known.get(path) ?? lookUp(resolve(path));
      return entry === undefined ? null : toStat(entry);
    }
    try {
      return toStat(find(path, followLast, "stat"));
    } catch (error) {
      if (isMissing(error)) return null;
      throw error;
    }
  }

  const files: FakeFiles = {
    beforeChange: () => undefined,
    freeBytesLeft: 1e12,
    writing: new Set(),
    hasWriter: (path) => files.writing.has(path),
    stat: (path) => statOf(path, true),
    statLink: (path) => statOf(path, false),
    realPath(path) {
      find(path, true, "realpath");
      return realPath(path, true, "realpath");
    },
    list(folder) {
      const { content } = find(folder, true, "scandir");
      if (!(content instanceof Map)) throw failure("ENOTDIR", "scandir", folder);
      return [...content.keys()].sort();
    },
    read: (path) => Buffer.from(bytesOf(path, "open")),
    readText: (path) => bytesOf(path, "open").toString("utf8"),
    readPart: (path, offsetBytes, lengthBytes) =>
      Buffer.from(bytesOf(path, "open").subarray(offsetBytes, offsetBytes + lengthBytes)),
    create(path, bytes, mode) {
      const real = realPath(path, false, "open");
      if (lookUp(real) !== undefined) throw failure("EEXIST", "open", path);
      files.beforeChange("create", real, Buffer.from(bytes));
      put(real, newEntry(Buffer.from(bytes), mode));
    },
    replace(path, temporaryName, bytes, mode) {
      const staged = files.stage(path, temporaryName, bytes, mode);
      const identity = staged.commit();
      staged.sync();
      return identity;
    },
    stage(path, temporaryName, bytes, mode): StagedFile {
      const real = realPath(path, true, "realpath");
      const isLink = statOf(path, false)?.kind === "symlink";
      const old = lookUp(real);
      if (isLink && old === undefined) throw failure("ENOENT", "realpath", path);
      const temporary = join(dirname(real), temporaryName);
      if (lookUp(temporary) !== undefined) throw failure("EEXIST", "open", temporary);
      files.beforeChange("create", temporary, Buffer.from(bytes));
      const entry = newEntry(Buffer.from(bytes), old?.mode ?? mode);
      const owner = old ?? folderOf(real).entry;
      entry.uid = owner.uid;
      entry.gid = owner.gid;
      put(temporary, entry);
      return {
        commit() {
          files.beforeChange("rename", temporary);
          drop(temporary);
          if (old?.content instanceof Map) throw failure("EISDIR", "rename", real);
          put(real, entry);
          touch(entry, false);
          return toStat(entry);
        },
        sync: () => undefined,
        discard() {
          files.beforeChange("remove", temporary);
          drop(temporary);
        },
      };
    },
    append(path, bytes, mode) {
      const real = realPath(path, true, "open");
      files.beforeChange("append", real, Buffer.from(bytes));
      const entry = lookUp(real);
      if (entry === undefined) return put(real, newEntry(Buffer.from(bytes), mode));
      entry.content = Buffer.concat([bytesOf(real, "open"), Buffer.from(bytes)]);
      touch(entry, true);
    },
    makeFolder(path, mode, parents) {
      const absolute = resolve(path);
      if (parents && statOf(dirname(absolute), true) === null) files.makeFolder(dirname(absolute), mode, true);
      const found = statOf(absolute, true);
      if (found?.kind === "folder") return;
      if (found !== null) throw failure("EEXIST", "mkdir", path);
      const real = realPath(absolute, false, "mkdir");
      files.beforeChange("makeFolder", real);
      put(real, newEntry(new Map(), mode));
    },
    rename(from, to) {
      const source = realPath(from, false, "rename");
      const entry = find(from, false, "rename");
      const target = realPath(to, false, "rename");
      files.beforeChange("rename", source);
      drop(source);
      put(target, entry);
      touch(entry, false);
    },
    remove(path) {
      const real = realPath(path, false, "unlink");
      if (find(path, false, "unlink").content instanceof Map) throw failure("EISDIR", "unlink", path);
      files.beforeChange("remove", real);
      drop(real);
    },
    removeFolder(path) {
      const real = realPath(path, false, "rm");
      find(path, false, "rm");
      files.beforeChange("removeFolder", real);
      drop(real);
    },
    // Nothing prints that much here; how a file is shortened is tested with a real one.
    dropMiddle: async () => undefined,
    removeSoon(path) {
      if (lookUp(realPath(path, false, "rm")) !== undefined) files.removeFolder(path);
      return Promise.resolve();
    },
    syncData: () => undefined,
    syncSoon: () => undefined,
    freeBytes(path) {
      find(path, true, "statfs");
      return files.freeBytesLeft;
    },
    plant(path, bytes, mode = 0o600) {
      const real = realPath(path, true, "open");
      const entry = lookUp(real);
      if (entry === undefined) return put(real, newEntry(Buffer.from(bytes), mode));
      entry.content = Buffer.from(bytes);
      touch(entry, true);
    },
    link(path, target) {
      links += 1;
      put(realPath(path, false, "symlink"), newEntry({ target }, 0o777));
    },
    own(path, uid, gid, mode) {
      const entry = find(path, true, "chown");
      Object.assign(entry, { uid, gid, mode });
      touch(entry, false);
    },
  };
  files.makeFolder("/tmp", 0o777, false);
  return files;
}

function toStat(entry: Entry): FileStat {
  const { content } = entry;
  const kind = content instanceof Map ? "folder" : content instanceof Buffer ? "file" : "symlink";
  return {
    device: 1n,
    inode: entry.inode,
    sizeBytes: content instanceof Buffer ? content.length : 0,
    modifiedNs: entry.modifiedNs,
    changedNs: entry.changedNs,
    kind,
    mode: entry.mode,
    uid: entry.uid,
    gid: entry.gid,
  };
}

/** Without a stack, as an error of the system has none either: to write one takes longer than all else here. */
function failure(code: string, call: string, path: string): Error {
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 0;
  const error = new Error(`${code}: ${call} '${path}'`);
  Error.stackTraceLimit = stackTraceLimit;
  return Object.assign(error, { code, syscall: call, path });
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && "code" in error && (error.code === "ENOENT" || error.code === "ENOTDIR");
}
