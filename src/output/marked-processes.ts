import { runFiles, runVariables } from "../../worker/protocol.ts";
import type { MarkedProcess } from "../core/verify-laws.ts";
import type { System } from "../system/system.ts";

/**
 * The live processes that were started with a run's id in their environment; null where there is no /proc to see them in. One of
 * another user keeps its environment to itself and is passed over.
 */
export function readMarkedProcesses({ files }: Pick<System, "files">): readonly MarkedProcess[] | null {
  if (files.stat("/proc/self/environ") === null) return null;
  return files.list("/proc").flatMap((name) => {
    const variables = /^\d+$/.test(name) ? readVariables(files, name) : "";
    const find = (wanted: string): string | null => {
      const entry = variables.split("\0").find((each) => each.startsWith(`${wanted}=`));
      return entry === undefined ? null : entry.slice(wanted.length + 1);
    };
    const runId = variables.includes(runVariables.runId) ? find(runVariables.runId) : null;
    if (runId === null) return [];
    const waited = find(runVariables.waitsFor) !== null;
    const jobId = find(runVariables.jobId) ?? (waited ? readStartedJob(files, find(runVariables.runFolder)) : null);
    return [{ pid: Number(name), runId, jobId, homePath: find("HERMES_HOME") }];
  });
}

/** A program that waited at its gate was not born with the id of its job: it writes that into its run's folder as the gate opens. */
function readStartedJob(files: System["files"], folder: string | null): string | null {
  try {
    return folder === null ? null : files.readText(`${folder}/${runFiles.started}`).trimEnd();
  } catch {
    return null;
  }
}

/** Empty also for a zombie, which is dead. */
function readVariables(files: System["files"], pid: string): string {
  try {
    return files.readText(`/proc/${pid}/environ`);
  } catch {
    // It ended in this moment, or is not ours to look at.
    return "";
  }
}
