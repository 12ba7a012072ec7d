import type { Files } from "../system/files.ts";
import { type RunFolder, readRunResult, runFolder } from "./run-folder.ts";

/** How far a run's output has been passed on. */
export interface OutputPlace {
  outputBytes: number;
  errorsBytes: number;
}

const partBytes = 1 << 18;
const tailPartBytes = 1 << 16;
const newline = 0x0a;

/** Whether anything of the run's output is kept. */
export function hasOutput(files: Files, stateFolder: string, runId: string): boolean {
  return files.stat(runFolder(stateFolder, runId).output) !== null;
}

/** The two streams of a run as one: where each of them stands, and how long it is now. */
interface Streams {
  readonly output: { readonly path: string; readonly endBytes: number };
  /** Standard error: a file of its own while the run lives, at its end the rest of the other one. */
  readonly errors: { readonly path: string; readonly beginBytes: number; readonly endBytes: number };
}

function streamsOf(files: Files, folder: RunFolder): Streams {
  const size = files.stat(folder.output)?.sizeBytes ?? 0;
  // Read after the size: where no result stood yet, that size was of standard output alone.
  const joinedAt = readJoin(files, folder);
  const output = { path: folder.output, endBytes: Math.min(size, joinedAt) };
  const errorsSize = files.stat(folder.errors)?.sizeBytes ?? null;
  if (errorsSize !== null) return { output, errors: { path: folder.errors, beginBytes: 0, endBytes: errorsSize } };
  return {
    output,
    errors: { path: folder.output, beginBytes: output.endBytes, endBytes: Math.max(size, output.endBytes) },
  };
}

/** Where standard error begins in the joined file; infinite while they are apart. */
function readJoin(files: Files, folder: RunFolder): number {
  try {
    return readRunResult({ files }, folder)?.stdoutBytes ?? Number.POSITIVE_INFINITY;
  } catch {
    // The result of a run that an older or newer version wrote: then the output is one file.
    return Number.POSITIVE_INFINITY;
  }
}

/**
 * The next part of what the run printed since `place`, which is moved on; null when there is no more now. While it lives its two
 * streams are files of their own; at its end standard error is put behind standard output, and nothing of it comes twice.
 */
export function nextOutput(files: Files, stateFolder: string, runId: string, place: OutputPlace): Uint8Array | null {
  const { output, errors } = streamsOf(files, runFolder(stateFolder, runId));
  // Its middle was taken out since: what comes next comes behind its present end.
  place.outputBytes = Math.min(place.outputBytes, output.endBytes);
  const left = output.endBytes - place.outputBytes;
  if (left > 0) {
    const part = files.readPart(output.path, place.outputBytes, Math.min(partBytes, left));
    place.outputBytes += part.length;
    if (part.length > 0) return part;
  }
  const from = errors.beginBytes + place.errorsBytes;
  if (from >= errors.endBytes) return null;
  const part = files.readPart(errors.path, from, Math.min(partBytes, errors.endBytes - from));
  place.errorsBytes += part.length;
  return part.length === 0 ? null : part;
}

/** The place from which the last `lines` lines follow. The files are read from their ends, and no further than needed. */
export function placeOfTail(files: Files, stateFolder: string, runId: string, lines: number): OutputPlace {
  const { output, errors } = streamsOf(files, runFolder(stateFolder, runId));
  const errorsBytes = errors.endBytes - errors.beginBytes;
  const place = { outputBytes: output.endBytes, errorsBytes };
  if (lines === 0) return place;
  // A newline at the very end ends the last line and begins none.
  let isEnd = true;
  let left = lines;
  const back = (path: string, beginBytes: number, endBytes: number): number | null => {
    for (let end = endBytes; end > beginBytes; ) {
      const begin = Math.max(beginBytes, end - tailPartBytes);
      const part = files.readPart(path, begin, end - begin);
      for (let at = part.length - 1; at >= 0; at -= 1) {
        const isNewline = part[at] === newline;
        if (isNewline && !isEnd) {
          left -= 1;
          if (left === 0) return begin + at + 1;
        }
        isEnd = false;
      }
      end = begin;
    }
    return null;
  };
  const inErrors = back(errors.path, errors.beginBytes, errors.endBytes);
  if (inErrors !== null) return { ...place, errorsBytes: inErrors - errors.beginBytes };
  return { outputBytes: back(output.path, 0, output.endBytes) ?? 0, errorsBytes: 0 };
}
