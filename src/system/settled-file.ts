import { type FileIdentity, type FileStat, sameFile } from "./files.ts";
import type { System } from "./system.ts";

/** A writer who holds a file for longer without writing is not waited for. */
const pauseMs = 2000;
/** Some editors remove a file before they write it anew: one that is gone for longer is meant to be. */
export const goneMs = 50;
/** Where the kernel names no writer, a file that is changed in place is whole when it was left alone for so long. */
const quietMs = 30;

/**
 * Whether somebody may be in the middle of writing the file at `path`, which is then empty or half. `before` is what was read last.
 * It asks the kernel only about a file that has just changed.
 */
export function isBeingWritten(
  { files, clock }: Pick<System, "files" | "clock">,
  path: string,
  before: FileIdentity | null,
): boolean {
  let now: FileStat | null;
  try {
    now = files.stat(path);
  } catch {
    // Whoever reads the file meets the same fault and says it.
    return false;
  }
  if (now === null || now.kind !== "file" || sameFile(now, before)) return false;
  const ageMs = Math.abs(clock.nowMs() - Number(now.modifiedNs / 1_000_000n));
  if (ageMs > pauseMs) return false;
  const isReplaced = now.inode !== before?.inode || now.device !== before.device;
  return files.hasWriter(path) ?? (!isReplaced && ageMs < quietMs);
}
