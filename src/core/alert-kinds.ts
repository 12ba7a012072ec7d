/** What alerts are about. */
export const alertKinds = [
  "run_failed",
  "run_orphaned",
  "slot_missed",
  "job_overdue",
  "job_invalid",
  "lock_stuck",
  "home_degraded",
  "home_unsupported",
  "config_invalid",
  "disk_low",
  "crash_loop",
  "job_paused",
  "delivery_failed",
  "daemon_restarts",
] as const;

export type AlertKind = (typeof alertKinds)[number];
