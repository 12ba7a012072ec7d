import type { Run } from "../core/run.ts";
import { type RunFolder, readRunResult, runFolder } from "../output/run-folder.ts";
import type { System } from "../system/system.ts";
import type { CommandParts, ReadingSystem } from "./command-parts.ts";
import { CommandError, exitCodes } from "./exit-codes.ts";
import type { Reader } from "./reader.ts";

/** How far a run's output has been passed on. */
export interface OutputPlace {
  outputBytes: number;
  errorsBytes: number;
}

const partBytes = 1 << 18;
const pollMs = 100;

/** Whether anything of the run's output is kept. */
export function hasOutput(parts: CommandParts, run: Run): boolean {
  return parts.system.files.stat(runFolder(parts.stateFolder, run.id).output) !== null;
}

/**
 * Passes on what the run printed since `place`. While it lives its two streams are files of their own; at its end standard
 * error is put behind standard output, and nothing of it is to be passed on twice.
 */
export function passOutput(parts: CommandParts, run: Run, place: OutputPlace, act: (bytes: Uint8Array) => void): void {
  const { files } = parts.system;
  const folder = runFolder(parts.stateFolder, run.id);
  const outputSize = files.stat(folder.output)?.sizeBytes ?? 0;
  // Read after the size: where no result stood yet, that size was of standard output alone.
  const joinedAt = readJoin(parts.system, folder);
  place.outputBytes = pass(parts.system, folder.output, place.outputBytes, Math.min(outputSize, joinedAt), act);
  const errorsSize = files.stat(folder.errors)?.sizeBytes ?? null;
  if (errorsSize !== null) {
    place.errorsBytes = pass(parts.system, folder.errors, place.errorsBytes, errorsSize, act);
  } else if (joinedAt < outputSize) {
    place.errorsBytes = pass(parts.system, folder.output, joinedAt + place.errorsBytes, outputSize, act) - joinedAt;
  }
}

/** Where standard error begins in the joined file; infinite while they are apart. */
function readJoin(system: ReadingSystem, folder: RunFolder): number {
  try {
    return readRunResult(system as System, folder)?.stdoutBytes ?? Number.POSITIVE_INFINITY;
  } catch {
    // The result of a run that an older or newer version wrote: then the output is one file.
    return Number.POSITIVE_INFINITY;
  }
}

function pass(system: ReadingSystem, path: string, from: number, to: number, act: (bytes: Uint8Array) => void): number {
  let at = from;
  while (at < to) {
    const part = system.files.readPart(path, at, Math.min(partBytes, to - at));
    if (part.length === 0) break;
    act(part);
    at += part.length;
  }
  return at;
}

/** The place from which the last `lines` lines of the kept output follow; only the stream that is longer is cut. */
export function placeOfTail(parts: CommandParts, run: Run, lines: number): OutputPlace {
  const sizes = { outputBytes: 0, errorsBytes: 0 };
  const chunks: Uint8Array[] = [];
  passOutput(parts, run, sizes, (bytes) => chunks.push(bytes));
  const all = Buffer.concat(chunks);
  let at = all.length;
  // A newline at the very end ends the last line and begins none.
  if (at > 0 && all[at - 1] === 0x0a) at -= 1;
  for (let left = lines; left > 0; left -= 1) {
    at = at <= 0 ? -1 : all.lastIndexOf(0x0a, at - 1);
    if (at < 0) break;
  }
  const start = lines === 0 ? all.length : at + 1;
  const outputBytes = Math.min(start, sizes.outputBytes);
  return { outputBytes, errorsBytes: start - outputBytes };
}

/** Passes on the output until the run has ended, and returns the run as it then is. */
export async function followOutput(
  parts: CommandParts,
  reader: Reader,
  runId: string,
  place: OutputPlace,
  act: (bytes: Uint8Array) => void,
): Promise<Run> {
  for (;;) {
    // Asked first, so that what was printed before the end is passed on after it.
    const run = reader.ledger().run(runId);
    if (run === null)
      throw new CommandError(exitCodes.notFound, "not_found", `Cannot follow run "${runId}": it is gone`);
    passOutput(parts, run, place, act);
    if (run.state !== "claimed" && run.state !== "running") return run;
    await new Promise<void>((resolve) => parts.system.clock.after(pollMs, resolve));
  }
}
