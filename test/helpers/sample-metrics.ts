import { createMetrics, type Metrics } from "../../src/status/metrics.ts";
import type { HomeJson, StatusJson } from "../../src/status/snapshot.ts";
import { sampleRun } from "./sample-run.ts";

const config: HomeJson["config"] = {
  state: "ok",
  path: "/config.yaml",
  error: null,
  line: null,
  column: null,
  snippet: null,
  content_hash: null,
  generation: 1,
  in_force_since: null,
};

function home(name: string): HomeJson {
  return {
    name,
    path: `/homes/${name}`,
    state: "active",
    reason: null,
    jobs: 3,
    enabled_jobs: 2,
    open_runs: 1,
    waiting: 1,
    capacity: { limit: 4, in_use: 1, bounds: [] },
    next_due_at: null,
    tick_lock: { held: true, holder: 7, since: new Date(990_000).toISOString() },
    config,
    hermes: null,
  };
}

/** Metrics to which one of everything has happened, in these homes. */
export function sampleMetrics(homes: readonly string[], diskFreeBytes: () => number | null = () => 1 << 30): Metrics {
  const status: StatusJson = {
    daemon: { running: true, pid: 1, version: "1", started_at: null, ready: true },
    config,
    homes: homes.map(home),
    open_runs: [],
    waiting: [],
    alerts: homes.map((name) => ({ kind: "job_overdue", home: name, job_id: "j", message: "late", since: null })),
    retention: { state: "idle", step: null, done: null, total: null, since: null },
  };
  const look = { nowMs: 1_000_000, status, ledgerBytes: 4096, waitingNotices: 1 };
  const metrics = createMetrics(
    "1.2.3",
    500,
    () => Promise.resolve({ ...look, diskFreeBytes: diskFreeBytes() }),
    () => Promise.resolve(),
  );
  for (const name of homes) {
    const times = { scheduledAtMs: 1000, claimedAtMs: 1001, startedAtMs: 1004, endedAtMs: 2004 };
    const run = { ...sampleRun("r", name, "j"), ...times };
    metrics.runStarted({ ...run, state: "running" });
    metrics.runEnded({ ...run, state: "completed" });
    metrics.runEnded({ ...run, state: "failed", reason: "orphaned" });
    const slot = { home: name, jobId: "j", scheduledAtMs: 1000, runId: null, decidedAtMs: 1001, latenessMs: null };
    metrics.slotDecided({ ...slot, decision: "miss", reason: "too_late" });
    metrics.slotDecided({ ...slot, decision: "pending", reason: "capacity" });
    metrics.lockHeld(name, 2);
    metrics.lockWaited(name, 300);
  }
  metrics.noticeSent("sent");
  return metrics;
}
