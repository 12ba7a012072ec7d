import { formatInstant } from "../../src/core/instant.ts";
import type { Job, StoredClaim, StoredTime } from "../../src/core/job.ts";
import type { Gate, TickInput } from "../../src/core/plan-tick.ts";
import { createZone } from "../../src/core/zone.ts";

export const utc = createZone("UTC", 0);

/** Monday, 2026-06-15, at that time of day in UTC. */
export function at(clock: string): number {
  return Date.parse(`2026-06-15T${clock}Z`);
}

export function stored(ms: number): StoredTime {
  return { text: formatInstant(ms, utc), ms };
}

export function claimBy(by: string, ms: number): StoredClaim {
  return { by, at: stored(ms) };
}

/** A script job of every five minutes that has never run. */
export function sampleJob(fields: Partial<Job> = {}): Job {
  return {
    id: "a1",
    name: "sample",
    kind: "script",
    script: "sample.sh",
    interpreter: null,
    workdir: null,
    schedule: { kind: "cron", expression: "*/5 * * * *" },
    scheduleText: "*/5 * * * *",
    enabled: true,
    state: "scheduled",
    pausedAt: null,
    repeatTimes: null,
    repeatCompleted: 0,
    nextRunAt: stored(at("10:00:00")),
    lastRunAt: null,
    lastStatus: null,
    lastError: null,
    failureStreak: 0,
    fireClaim: null,
    runClaim: null,
    pendingSlot: null,
    manualRunAt: null,
    quotaHoldUntil: null,
    fault: null,
    ...fields,
  };
}

export function sampleGates(count: number): readonly Gate[] {
  return Array.from({ length: count }, (_, place) => ({
    runId: `run-${place + 1}`,
    kind: "script" as const,
    jobId: null,
    owner: `host:${100 + place}:aa`,
  }));
}

/** A tick at 10:00:01 with two gates and nothing in its way. */
export function tickInput(fields: Partial<TickInput> = {}): TickInput {
  return {
    nowMs: at("10:00:01"),
    zone: utc,
    jobs: [],
    cursors: new Map(),
    openRuns: [],
    gates: sampleGates(2),
    capacity: 4,
    ownerState: () => "unknown",
    canRun: (job) => job.kind === "script",
    hold: null,
    ...fields,
  };
}
