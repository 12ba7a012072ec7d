import {
  appendFileSync,
  type BigIntStats,
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  fdatasyncSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  realpathSync,
  renameSync,
  rmSync,
  statfsSync,
  statSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { open, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { dropMiddle } from "./drop-middle.ts";
import { hasWriter } from "./file-writer.ts";
import type { FileIdentity, FileStat, Files, StagedFile } from "./files.ts";

const createNew = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;

export function createFiles(): Files {
  return {
    stat: (path) => toFileStat(statSync(path, { bigint: true, throwIfNoEntry: false })),
    statLink,
    // The native call is some twenty times as fast as the one in JavaScript.
    realPath: (path) => realpathSync.native(path),
    list: (folder) => readdirSync(folder).sort(),
    read: (path) => readFileSync(path),
    readText: (path) => readFileSync(path, "utf8"),
    readPart,
    hasWriter,
    create,
    replace,
    stage,
    append: (path, bytes, mode) => appendFileSync(path, bytes, { mode }),
    makeFolder,
    rename: (from, to) => renameSync(from, to),
    remove: (path) => unlinkSync(path),
    removeFolder: (path) => rmSync(path, { recursive: true }),
    removeSoon: (path) => rm(path, { recursive: true, force: true }),
    freeBytes,
    dropMiddle,
    syncData,
    syncSoon: (folder) => void syncSoon(folder),
  };
}

function statLink(path: string): FileStat | null {
  try {
    return toFileStat(lstatSync(path, { bigint: true, throwIfNoEntry: false }));
  } catch (error) {
    // `statSync` takes a file in the place of a folder for nothing there, `lstatSync` does not.
    if (hasCode(error, "ENOTDIR")) return null;
    throw error;
  }
}

function toFileStat(stat: BigIntStats | undefined): FileStat | null {
  if (stat === undefined) return null;
  return {
    ...toIdentity(stat),
    kind: stat.isFile() ? "file" : stat.isDirectory() ? "folder" : stat.isSymbolicLink() ? "symlink" : "other",
    mode: Number(stat.mode & 0o7777n),
    uid: Number(stat.uid),
    gid: Number(stat.gid),
  };
}

function toIdentity(stat: BigIntStats): FileIdentity {
  return {
    device: stat.dev,
    inode: stat.ino,
    sizeBytes: Number(stat.size),
    modifiedNs: stat.mtimeNs,
    changedNs: stat.ctimeNs,
  };
}

function readPart(path: string, offsetBytes: number, lengthBytes: number): Uint8Array {
  const descriptor = openSync(path, "r");
  try {
    const sizeBytes = fstatSync(descriptor).size;
    const part = Buffer.alloc(Math.max(0, Math.min(lengthBytes, sizeBytes - offsetBytes)));
    let filled = 0;
    while (filled < part.length) {
      const count = readSync(descriptor, part, filled, part.length - filled, offsetBytes + filled);
      if (count === 0) break;
      filled += count;
    }
    return part.subarray(0, filled);
  } finally {
    closeSync(descriptor);
  }
}

function create(path: string, bytes: Uint8Array | string, mode: number): void {
  const descriptor = openSync(path, createNew, mode);
  try {
    writeFileSync(descriptor, bytes);
  } catch (error) {
    unlinkSync(path);
    throw error;
  } finally {
    closeSync(descriptor);
  }
}

function replace(path: string, temporaryName: string, bytes: Uint8Array | string, mode: number): FileIdentity {
  const staged = stage(path, temporaryName, bytes, mode);
  const identity = staged.commit();
  staged.sync();
  return identity;
}

function stage(path: string, temporaryName: string, bytes: Uint8Array | string, mode: number): StagedFile {
  const target = lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() ? realpathSync.native(path) : path;
  const folder = dirname(target);
  const old = statSync(target, { throwIfNoEntry: false });
  const owner = old ?? statSync(folder);
  // Beside its target, because a rename is atomic only within one file system.
  const temporary = join(folder, temporaryName);
  const descriptor = openSync(temporary, createNew, 0o600);
  const discard = (): void => {
    closeSync(descriptor);
    // Whoever put back a copy of the whole folder has removed it. Claims that were made in its stead must not fail for that.
    rmSync(temporary, { force: true });
  };
  try {
    if (process.geteuid?.() === 0) fchownSync(descriptor, owner.uid, owner.gid);
    fchmodSync(descriptor, old === undefined ? mode : old.mode & 0o7777);
    writeFileSync(descriptor, bytes);
    fsyncSync(descriptor);
  } catch (error) {
    discard();
    throw error;
  }
  return {
    commit() {
      try {
        renameSync(temporary, target);
      } catch (error) {
        try {
          // A file that is a mount of its own can be written, but nothing can be renamed onto it.
          if (!hasCode(error, "EBUSY", "EXDEV")) throw error;
          return overwrite(target, bytes);
        } finally {
          discard();
        }
      }
      try {
        return toIdentity(fstatSync(descriptor, { bigint: true }));
      } finally {
        closeSync(descriptor);
      }
    },
    sync: () => syncFolder(folder),
    discard,
  };
}

function syncData(path: string): void {
  const descriptor = openSync(path, constants.O_RDWR);
  try {
    fdatasyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

function hasCode(error: unknown, ...codes: readonly string[]): boolean {
  return error instanceof Error && "code" in error && codes.includes(String(error.code));
}

/** Until this is done the temporary file is the one whole copy, so it is removed only afterwards. */
function overwrite(target: string, bytes: Uint8Array | string): FileIdentity {
  const descriptor = openSync(target, constants.O_WRONLY | constants.O_NOFOLLOW);
  try {
    const data = Buffer.from(bytes);
    writeFileSync(descriptor, data);
    ftruncateSync(descriptor, data.length);
    fsyncSync(descriptor);
    return toIdentity(fstatSync(descriptor, { bigint: true }));
  } finally {
    closeSync(descriptor);
  }
}

/** The file is in place already, and some file systems cannot sync a folder: a refusal changes nothing. */
async function syncSoon(folder: string): Promise<void> {
  try {
    const handle = await open(folder, constants.O_RDONLY | constants.O_DIRECTORY);
    await handle.sync().finally(() => handle.close());
  } catch {
    // It only saves time.
  }
}

function syncFolder(folder: string): void {
  try {
    const descriptor = openSync(folder, constants.O_RDONLY | constants.O_DIRECTORY);
    try {
      fsyncSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
  } catch {
    // See above.
  }
}

function makeFolder(path: string, mode: number, parents: boolean): void {
  try {
    mkdirSync(path, { mode, recursive: parents });
  } catch (error) {
    if (!statSync(path, { throwIfNoEntry: false })?.isDirectory()) throw error;
  }
}

function freeBytes(path: string): number {
  const system = statfsSync(path);
  return system.bavail * system.bsize;
}
