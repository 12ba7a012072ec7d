import { closeSync } from "node:fs";
import { constants } from "node:os";
import { kernelCalls } from "./kernel-calls.ts";
import type { HeldProcess, StopSignal } from "./processes.ts";

/** A flag of pidfd_send_signal since Linux 6.9. */
const toProcessGroup = 4;

/**
 * Takes hold of the process that has this PID now. Without pidfds (macOS, Linux before 5.3, a container that forbids the
 * call) a signal goes by the number, and the moment between the last look at the process and the signal stays open.
 */
export function holdProcess(pid: number): HeldProcess | null {
  const calls = kernelCalls();
  if (calls === null) return holdByNumber(pid);
  const descriptor = calls.pidfdOpen(pid);
  if (descriptor < 0) return calls.errorNumber() === constants.errno.ESRCH ? null : holdByNumber(pid);
  let held = true;
  const send = (signal: StopSignal, flags: number): boolean =>
    held && calls.pidfdSendSignal(descriptor, constants.signals[signal], flags) === 0;
  return {
    signal: (signal) => send(signal, 0),
    signalGroup: (signal) => send(signal, toProcessGroup),
    release() {
      // The descriptor's number may belong to another file by the second call.
      if (held) closeSync(descriptor);
      held = false;
    },
  };
}

function holdByNumber(pid: number): HeldProcess | null {
  const send = (target: number, signal: StopSignal | 0): boolean => {
    try {
      process.kill(target, signal);
      return true;
    } catch {
      // Gone, or not ours to signal: either way it did not get the signal, and the next look tells what is left.
      return false;
    }
  };
  if (pid <= 1) return null;
  return {
    signal: (signal) => send(pid, signal),
    signalGroup: (signal) => (process.platform === "linux" ? false : send(-pid, signal)),
    release: () => undefined,
  };
}
