import { runFiles } from "../../worker/protocol.ts";
import type { ScriptEnd } from "../core/script-outcome.ts";
import { signalName } from "../core/signal-name.ts";
import type { System } from "../system/system.ts";

/** The paths of one run's folder. */
export interface RunFolder {
  readonly path: string;
  readonly alive: string;
  readonly started: string;
  readonly spec: string;
  readonly output: string;
  readonly errors: string;
  readonly launcher: string;
  readonly result: string;
  readonly exit: string;
  /** Of a prompt job: what its worker is given, and what it answers. */
  readonly job: string;
  readonly answer: string;
  readonly outlived: string;
}

export function runFolder(stateFolder: string, runId: string): RunFolder {
  const path = `${stateFolder}/runs/${runId}`;
  return {
    path,
    alive: `${path}/${runFiles.alive}`,
    started: `${path}/${runFiles.started}`,
    spec: `${path}/${runFiles.spec}`,
    output: `${path}/${runFiles.output}`,
    errors: `${path}/${runFiles.errors}`,
    launcher: `${path}/${runFiles.launcher}`,
    result: `${path}/${runFiles.result}`,
    exit: `${path}/${runFiles.exit}`,
    job: `${path}/${runFiles.job}`,
    answer: `${path}/${runFiles.answer}`,
    outlived: `${path}/${runFiles.outlived}`,
  };
}

/** The end that the launcher wrote, or null when it wrote none, or not to its last byte. */
export function readExit(system: System, folder: RunFolder): ScriptEnd | null {
  if (system.files.stat(folder.exit) === null) return null;
  const digits = /^(\d{1,3})\n$/u.exec(system.files.readText(folder.exit))?.[1];
  if (digits === undefined) return null;
  return exitOf(system, folder, Number(digits));
}

/** How the job ended whose launcher ended with `status`. */
export function exitOf(system: System, folder: RunFolder, status: number): ScriptEnd {
  const signalNumber = status > 128 ? status - 128 : null;
  const name = signalNumber === null ? null : signalName(signalNumber);
  // Shells name the signal on their own standard error; without that line the status is an exit code.
  if (name !== null && (system.files.stat(folder.launcher)?.sizeBytes ?? 0) > 0) {
    return { exitCode: null, signal: name, signalNumber, cause: null, causeText: null };
  }
  return { exitCode: status, signal: null, signalNumber: null, cause: null, causeText: null };
}

/** What the daemon wrote down about an ended run before it acted on it: reading it again gives the same close. */
export interface RunResult {
  readonly end: ScriptEnd;
  readonly endedAtMs: number;
  /** Where standard error begins in `output.log` once both stand there. */
  readonly stdoutBytes: number;
  readonly documentName: string;
}

/** Null also for a file that a fault of the disk left empty or torn: what else is known of the run then counts. */
export function readRunResult(system: Pick<System, "files">, folder: RunFolder): RunResult | null {
  if (system.files.stat(folder.result) === null) return null;
  return parseRunResult(system.files.readText(folder.result));
}

function parseRunResult(text: string): RunResult | null {
  let found: Partial<RunResult> | null;
  try {
    found = JSON.parse(text) as Partial<RunResult> | null;
  } catch {
    return null;
  }
  const { end, endedAtMs, stdoutBytes, documentName } = found ?? {};
  if (typeof end !== "object" || end === null || !("exitCode" in end) || !("cause" in end)) return null;
  if (typeof endedAtMs !== "number" || typeof stdoutBytes !== "number" || typeof documentName !== "string") return null;
  return { end, endedAtMs, stdoutBytes, documentName };
}

export function writeRunResult(system: System, folder: RunFolder, result: RunResult): void {
  // A name of its own each time: what a crash left of an earlier try must not stand in the way of the next.
  const temporaryName = `result_${system.random.token(8)}.tmp`;
  system.files.replace(folder.result, temporaryName, `${JSON.stringify(result, null, 2)}\n`, 0o600);
}

/** Puts standard error behind standard output, so that `output.log` holds all that was printed. Doing it twice changes nothing. */
export function joinOutput(system: System, folder: RunFolder, stdoutBytes: number): number {
  const errorsSize = system.files.stat(folder.errors)?.sizeBytes ?? 0;
  const outputSize = system.files.stat(folder.output)?.sizeBytes ?? 0;
  let done = Math.max(0, outputSize - stdoutBytes);
  while (done < errorsSize) {
    const part = system.files.readPart(folder.errors, done, 1 << 20);
    if (part.length === 0) break;
    system.files.append(folder.output, part, 0o600);
    done += part.length;
  }
  return Math.max(outputSize, stdoutBytes + done);
}

/** The text of a stream, whole up to `bytesMax`, else its two ends with a line between them that says what is missing. */
export function readEnds(system: System, path: string, sizeBytes: number, bytesMax: number): string {
  const decode = (bytes: Uint8Array): string => new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
  if (sizeBytes === 0) return "";
  if (sizeBytes <= bytesMax) return decode(system.files.readPart(path, 0, sizeBytes));
  const half = Math.floor(bytesMax / 2);
  const head = decode(system.files.readPart(path, 0, half));
  const tail = decode(system.files.readPart(path, sizeBytes - half, half));
  return `${head}\n[… ${sizeBytes - 2 * half} bytes left out …]\n${tail}`;
}
