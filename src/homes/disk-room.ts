import type { Files } from "../system/files.ts";

/**
 * Why nothing new may start that writes to `folder`, or null: what is claimed must also be recorded. Where the room cannot be told
 * nothing is held back, and whoever writes there says what is wrong.
 */
export function diskShortage(files: Pick<Files, "freeBytes">, folder: string, freeBytesMin: number): string | null {
  let freeBytes: number;
  try {
    freeBytes = files.freeBytes(folder);
  } catch {
    return null;
  }
  if (freeBytes >= freeBytesMin) return null;
  return `The disk of "${folder}" has ${freeBytes} bytes free, expected at least ${freeBytesMin} (disk.free_min): nothing new starts until there is room`;
}
