import type { RunJson, SlotJson } from "../../src/status/json.ts";
import type { Mark } from "./evidence.ts";
import type { SoakJob } from "./soak-jobs.ts";

/** What the tests of the judges put their histories together from; times are in ms after `zeroMs`. */
export const zeroMs = Date.parse("2026-03-01T10:00:00.000Z");
export const iso = (ms: number): string => new Date(zeroMs + ms).toISOString();
export const job: SoakJob = {
  home: "default",
  id: "aaaaaaaaaaaa",
  rule: { kind: "cron", everySeconds: 2 },
  firstMs: zeroMs,
  body: "finish 0",
};

export function run(id: string, atMs: number, more: Partial<RunJson> = {}): RunJson {
  return {
    id,
    home: job.home,
    job_id: job.id,
    job_name: "job",
    kind: "script",
    trigger: "schedule",
    scheduled_at: iso(atMs),
    claimed_at: iso(atMs + 2),
    started_at: iso(atMs + 4),
    ended_at: iso(atMs + 100),
    lateness_ms: 4,
    attempt: 1,
    state: "completed",
    reason: null,
    exit_code: 0,
    signal: null,
    pid: 10,
    fingerprint: { pid: 10, start_ticks: 1, boot_id: "boot", pid_namespace: null },
    adopted: false,
    error: null,
    output_bytes: 0,
    output_path: null,
    document_path: null,
    retry: null,
    delivery: null,
    ...more,
  };
}

export function line(atMs: number, runId: string | null, more: Partial<SlotJson> = {}): SlotJson {
  return {
    home: job.home,
    job_id: job.id,
    scheduled_at: iso(atMs),
    decision: "run",
    reason: "on_time",
    run_id: runId,
    decided_at: iso(atMs + 2),
    lateness_ms: 2,
    ...more,
  };
}

export function marks(runId: string, atMs: number, code: number | string | null = 0, lastsMs = 90): readonly Mark[] {
  const start = { atMs: zeroMs + atMs + 6, runId, what: "start", slotMs: zeroMs + atMs } as const;
  return code === null ? [start] : [start, { atMs: zeroMs + atMs + lastsMs, runId, what: "end", code }];
}
