/** Tells whether a file is still the one that was read: another writer changes at least one of these. */
export interface FileIdentity {
  readonly device: bigint;
  readonly inode: bigint;
  readonly sizeBytes: number;
  readonly modifiedNs: bigint;
  readonly changedNs: bigint;
}

export interface FileStat extends FileIdentity {
  readonly kind: "file" | "folder" | "symlink" | "other";
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

/** What stands where another kind was expected, in words. */
export const kindTexts: Readonly<Record<FileStat["kind"], string>> = {
  file: "a file",
  folder: "a folder",
  symlink: "a symlink",
  other: "a pipe, a socket or a device",
};

/** Synchronous on purpose: what a tick does under a lock must not be interleaved with anything. Every call throws Node's own error with its `code`. */
/** A temporary file, synced. Its owner commits or discards it, once, and after a commit syncs. */
export interface StagedFile {
  /** Puts it in its place, where everybody sees it; a power cut may still take that back. */
  commit(): FileIdentity;
  /** Brings the commit to the disk. */
  sync(): void;
  discard(): void;
}

export interface Files {
  /** Follows symlinks; null when nothing is there. */
  stat(path: string): FileStat | null;
  /** Does not follow a last symlink; null when nothing is there. */
  statLink(path: string): FileStat | null;
  realPath(path: string): string;
  list(folder: string): readonly string[];
  read(path: string): Uint8Array;
  readText(path: string): string;
  /** At most `lengthBytes` from `offsetBytes`. */
  readPart(path: string, offsetBytes: number, lengthBytes: number): Uint8Array;
  /** Creates a file that must not exist yet. */
  create(path: string, bytes: Uint8Array | string, mode: number): void;
  /**
   * Puts `bytes` in place of the file at `path`, or its symlink's target, so that a reader sees the old or the new whole:
   * temporary file `<folder>/<temporaryName>`, fsync, rename, fsync of the folder. Mode and, as root, owner of the old file are kept.
   * A file that cannot be renamed over, such as a bind mount, is written in place. Returns what is now there.
   */
  replace(path: string, temporaryName: string, bytes: Uint8Array | string, mode: number): FileIdentity;
  /** The first part of `replace`. */
  stage(path: string, temporaryName: string, bytes: Uint8Array | string, mode: number): StagedFile;
  /** Brings what was written to a file to the disk, where nothing but its content changed. */
  syncData(path: string): void;
  append(path: string, bytes: Uint8Array | string, mode: number): void;
  /** Creates missing parents too when `parents` is set; a folder that exists already is no error. */
  makeFolder(path: string, mode: number, parents: boolean): void;
  rename(from: string, to: string): void;
  remove(path: string): void;
  /** With everything in it; links in it are removed, not followed. */
  removeFolder(path: string): void;
  /** As `removeFolder`, of a file too, beside the work of this process: large files take milliseconds to go. What is not there is no error. */
  removeSoon(path: string): Promise<void>;
  freeBytes(path: string): number;
  /** Whether any process has the file open for writing; null where the system does not say. */
  hasWriter(path: string): boolean | null;
  /** Takes the middle out of a file that others append to, so that about `keptBytes` at each end are left, with a line between that says how much it was. */
  dropMiddle(path: string, keptBytes: number): Promise<void>;
  /** Brings what was made in a folder to the disk, beside the work of this process. Nobody may rely on it: it reports no failure. */
  syncSoon(folder: string): void;
}

export function sameFile(a: FileIdentity | null, b: FileIdentity | null): boolean {
  if (a === null || b === null) return a === b;
  return (
    a.inode === b.inode &&
    a.modifiedNs === b.modifiedNs &&
    a.changedNs === b.changedNs &&
    a.sizeBytes === b.sizeBytes &&
    a.device === b.device
  );
}
