import { closeSync, constants, openSync } from "node:fs";
import { createRequire } from "node:module";
import { constants as osConstants } from "node:os";

/** Of fcntl(2) on Linux. */
const setSignal = 10;
const setLease = 1024;
const readLease = 0;
const noLease = 2;
/** Tells of a writer who came while we looked. Unlike the usual one, it is ignored by whoever does not ask for it. */
const signalUrgent = 23;

let fcntl: ((descriptor: number, command: number, argument: number) => number) | undefined;
let errorNumber: () => number = () => 0;

/**
 * Whether any process has the file at `path` open for writing: the kernel refuses a read lease on such a file. Null where it does not
 * say: not on Linux, and on the files of other users.
 */
export function hasWriter(path: string): boolean | null {
  if (process.platform !== "linux") return null;
  fcntl ??= loadLibrary();
  let descriptor: number;
  try {
    descriptor = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch {
    // Whoever reads the file meets the same fault and says it.
    return null;
  }
  try {
    if (fcntl(descriptor, setSignal, signalUrgent) !== 0) return null;
    if (fcntl(descriptor, setLease, readLease) === 0) {
      fcntl(descriptor, setLease, noLease);
      return false;
    }
    return errorNumber() === osConstants.errno.EAGAIN ? true : null;
  } finally {
    closeSync(descriptor);
  }
}

function loadLibrary(): NonNullable<typeof fcntl> {
  const koffi: typeof import("koffi") = createRequire(import.meta.url)("koffi");
  const ofSystem = koffi.load(null).func("int fcntl(int descriptor, int command, ...)");
  errorNumber = () => koffi.errno();
  return (descriptor, command, argument) => Number(ofSystem(descriptor, command, "int", argument));
}
