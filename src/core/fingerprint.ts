/** Which process it was: a PID alone can be given to another process, and so can a PID with its start time after a boot. */
export interface Fingerprint {
  readonly pid: number;
  /** Field 22 of `/proc/<pid>/stat`; elsewhere the start time in a unit of the system's choice. Null if it could not be read. */
  readonly startTicks: number | null;
  readonly bootId: string;
  /** Inode of the PID namespace, or null where the system has none. */
  readonly pidNamespace: string | null;
}

/** Whether `seen` is the process that `known` describes, and not another that was given its PID. */
export function isSameProcess(known: Fingerprint, seen: Fingerprint): boolean {
  return (
    known.pid === seen.pid &&
    known.startTicks !== null &&
    known.startTicks === seen.startTicks &&
    known.bootId === seen.bootId &&
    known.pidNamespace === seen.pidNamespace
  );
}
