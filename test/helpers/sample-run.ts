import type { Run } from "../../src/core/run.ts";

/** A run that was claimed, for tests that care for a few of its fields. */
export function sampleRun(id: string, home: string, jobId: string): Run {
  return {
    id,
    home,
    jobId,
    jobName: `job ${jobId}`,
    kind: "script",
    trigger: "schedule",
    scheduledAtMs: 1000,
    claimedAtMs: 1001,
    startedAtMs: null,
    endedAtMs: null,
    attempt: 1,
    state: "claimed",
    reason: null,
    exitCode: null,
    signal: null,
    fingerprint: { pid: 42, startTicks: 1, bootId: "boot", pidNamespace: null },
    owner: `host:42:${id}`,
    adopted: false,
    error: null,
    outputBytes: null,
    outputPath: null,
    documentPath: null,
  };
}
