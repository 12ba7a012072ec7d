import type { RunLedger } from "../../src/ledger/run-ledger.ts";
import type { FileIdentity } from "../../src/system/files.ts";
import type { HeldProcess, Processes } from "../../src/system/processes.ts";
import type { System } from "../../src/system/system.ts";
import { runVariables } from "../../worker/protocol.ts";
import type { FakeHost } from "../helpers/fake-processes.ts";
import { environmentMark } from "./story.ts";

/** Something that a host must not do, to see whether the laws notice. */
export type Flaw =
  | "locks exclude nobody"
  | "files are replaced in place"
  | "slot lines are lost"
  | "ends are lost"
  | "strangers look like runs"
  | "environments are mixed up"
  | "SIGKILL does nothing"
  | "limits are misread";

export function flawedSystem(system: System, host: FakeHost, flaw: Flaw): System {
  const { files, locks, processes } = system;
  switch (flaw) {
    case "locks exclude nobody":
      return { ...system, locks: { ...locks, tryLock: (path) => locks.tryLock(path) ?? { release: () => undefined } } };
    case "files are replaced in place":
      return {
        ...system,
        files: {
          ...files,
          stage(path, temporaryName, bytes, mode) {
            const staged = files.stage(path, temporaryName, bytes, mode);
            const inPlace = (): FileIdentity => {
              staged.discard();
              files.remove(path);
              files.create(path, bytes, mode);
              const made = files.stat(path);
              if (made === null) throw new Error(`Cannot find "${path}": it has just been made`);
              return made;
            };
            return { ...staged, commit: () => (files.stat(path) === null ? staged.commit() : inPlace()) };
          },
        },
      };
    case "strangers look like runs":
      return {
        ...system,
        processes: { ...processes, startedWith: (pid, name) => takenFor(host, processes, pid, name) },
      };
    case "environments are mixed up":
      return {
        ...system,
        processes: {
          ...processes,
          spawnGated: (request) =>
            processes.spawnGated({ ...request, environment: { ...request.environment, [environmentMark]: "other-0" } }),
        },
      };
    case "SIGKILL does nothing":
      return {
        ...system,
        processes: {
          ...processes,
          hold(pid) {
            const held = processes.hold(pid);
            return held === null ? null : deaf(held);
          },
          groups: processes.groups === null ? null : { ...processes.groups, kill: () => true },
        },
      };
    case "limits are misread": {
      const misread = (bytes: Uint8Array): Buffer =>
        Buffer.from(
          Buffer.from(bytes)
            .toString()
            .replace(/("max_(?:open_runs|parallel_jobs)"):\d/u, "$1:9"),
        );
      const read: typeof files.read = (path) =>
        path.endsWith("/config.yaml") ? misread(files.read(path)) : files.read(path);
      return { ...system, files: { ...files, read } };
    }
    case "slot lines are lost":
    case "ends are lost":
      return system;
  }
}

export function flawedLedger(ledger: RunLedger, flaw: Flaw): RunLedger {
  if (flaw === "slot lines are lost") return { ...ledger, writeSlots: () => [] };
  // One in two, so that the daemon does not only wait.
  let ends = 0;
  if (flaw === "ends are lost") return { ...ledger, close: (id, end) => ends++ % 2 === 0 || ledger.close(id, end) };
  return ledger;
}

/** A PID that once was a run's is taken for that run. */
function takenFor(host: FakeHost, processes: Processes, pid: number, name: string): string | null {
  if (name !== runVariables.runId || host.processes.get(pid)?.name !== "stranger")
    return processes.startedWith(pid, name);
  return [...host.runs.values()].findLast((run) => run.launcher.pid === pid || run.job.pid === pid)?.id ?? null;
}

function deaf(held: HeldProcess): HeldProcess {
  return {
    ...held,
    signal: (signal) => signal === "SIGKILL" || held.signal(signal),
    signalGroup: (signal) => signal === "SIGKILL" || held.signalGroup(signal),
  };
}
