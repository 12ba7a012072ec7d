import { type FileHandle, open } from "node:fs/promises";
import { kernelCalls } from "./kernel-calls.ts";

/** A cut is one line of always the same length, so that the next cut can put its own in its place. */
const digits = 15;
const format = (bytes: number): Buffer => Buffer.from(`\n[… ${String(bytes).padStart(digits)} bytes left out …]\n`);
const lineBytes = format(0).length;
/** What file systems take away whole is a multiple of their blocks; no common one has larger ones. */
const blockBytes = 4096;
const partBytes = 1 << 18;
/** Below this, copying costs nothing. */
const collapseBytesMin = 1 << 20;

/**
 * Takes out of a growing file what is neither among its first nor its last `keptBytes`, and puts a line in its place that
 * says how much that was. Its writers must append: they go on behind what is left. Where the file system can take out
 * a range (ext4, xfs) nothing is lost but the middle; elsewhere the end is copied forward, and what is written in the
 * instant between the last copy and the cut is lost too.
 */
export async function dropMiddle(path: string, keptBytes: number): Promise<void> {
  const file = await open(path, "r+");
  try {
    const { size } = await file.stat();
    const head = keptBytes < blockBytes ? keptBytes : keptBytes - (keptBytes % blockBytes);
    const known = await leftOut(file, head);
    const before = known ?? 0;
    // The line itself takes the place of as many bytes, which are left out as well unless they are an earlier line.
    const middle = size - keptBytes - head;
    if (middle <= lineBytes) return;
    const whole = middle - (middle % blockBytes);
    const droppedOf = (taken: number): number => before + taken + (known === null ? lineBytes : 0);
    if (whole >= collapseBytesMin && head % blockBytes === 0) {
      // Written where it will stand once the range is gone: after a crash in between the middle is still there.
      await file.write(format(droppedOf(whole)), 0, lineBytes, head + whole);
      if (await collapse(file, head, whole)) return;
    }
    const taken = middle - lineBytes;
    await copyForward(file, head + lineBytes, head + lineBytes + taken);
    await file.write(format(droppedOf(taken)), 0, lineBytes, head);
  } finally {
    await file.close();
  }
}

/** What an earlier cut at this place says, or null when there was none. */
async function leftOut(file: FileHandle, at: number): Promise<number | null> {
  const line = Buffer.alloc(lineBytes);
  await file.read(line, 0, lineBytes, at);
  const found = /^\n\[… +(\d+) bytes left out …\]\n$/u.exec(line.toString("utf8"));
  return found === null ? null : Number(found[1]);
}

async function collapse(file: FileHandle, offsetBytes: number, lengthBytes: number): Promise<boolean> {
  const calls = kernelCalls();
  return calls !== null && (await calls.collapseRange(file.fd, offsetBytes, lengthBytes));
}

async function copyForward(file: FileHandle, to: number, from: number): Promise<void> {
  const part = Buffer.alloc(partBytes);
  let moved = 0;
  for (;;) {
    const { bytesRead } = await file.read(part, 0, partBytes, from + moved);
    if (bytesRead === 0) break;
    await file.write(part, 0, bytesRead, to + moved);
    moved += bytesRead;
  }
  await file.truncate(to + moved);
}
