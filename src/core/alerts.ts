import type { AlertKind } from "./alert-kinds.ts";
import type { DaemonLife } from "./home-history.ts";

/** Something that somebody has to look after, for as long as it is so. */
export interface Condition {
  readonly kind: AlertKind;
  readonly home: string | null;
  readonly jobId: string | null;
  /** Tells conditions of one kind, home and job apart; empty where there can be only one. */
  readonly detail: string;
  readonly message: string;
  readonly sinceMs: number | null;
}

/** A condition that people were told of. */
export interface OpenAlert extends Condition {
  readonly raisedAtMs: number;
  /** When it was first seen to be over; null while it is not. */
  readonly goneSinceMs: number | null;
}

export interface AlertPlan {
  readonly raised: readonly OpenAlert[];
  readonly cleared: readonly OpenAlert[];
  /** What is up now, by key. */
  readonly open: ReadonlyMap<string, OpenAlert>;
}

/** What comes and goes from one look to the next is one alert, and neither over nor new. */
const goneForMs = 5000;
/** With more than this somebody has been told enough. */
const openMax = 1000;

export function alertKey({ kind, home, jobId, detail }: Omit<Condition, "message" | "sinceMs">): string {
  return JSON.stringify([kind, home, jobId, detail]);
}

/**
 * What has come up and what is over since the last look. Of an `unreadable` home only its own state is known: what was said of its
 * jobs is neither over nor still so.
 */
export function planAlerts(
  open: ReadonlyMap<string, OpenAlert>,
  conditions: readonly Condition[],
  unreadable: ReadonlySet<string>,
  nowMs: number,
): AlertPlan {
  const next = new Map<string, OpenAlert>();
  const raised: OpenAlert[] = [];
  const cleared: OpenAlert[] = [];
  const present = new Map(conditions.map((condition) => [alertKey(condition), condition]));
  for (const [key, alert] of open) {
    const condition = present.get(key);
    if (condition !== undefined) {
      next.set(key, { ...alert, message: condition.message, goneSinceMs: null });
      continue;
    }
    if (alert.home !== null && unreadable.has(alert.home) && ofJobs.has(alert.kind)) {
      next.set(key, alert);
      continue;
    }
    // A clock that was set back must not keep it for as long.
    const goneSinceMs = Math.min(alert.goneSinceMs ?? nowMs, nowMs);
    if (nowMs - goneSinceMs >= goneForMs) cleared.push(alert);
    else next.set(key, { ...alert, goneSinceMs });
  }
  for (const [key, condition] of present) {
    if (open.has(key) || next.size >= openMax) continue;
    const alert: OpenAlert = { ...condition, raisedAtMs: nowMs, goneSinceMs: null };
    next.set(key, alert);
    raised.push(alert);
  }
  return { raised, cleared, open: next };
}

const ofJobs: ReadonlySet<AlertKind> = new Set([
  "run_failed",
  "run_orphaned",
  "slot_missed",
  "job_overdue",
  "job_invalid",
  "crash_loop",
  "job_paused",
  "delivery_failed",
] as const);

/** Starts that were not asked for, so many in so long, are too many. */
export const restartsMax = 3;
export const restartsWithinMs = 600_000;

/** Whether daemons of this state folder died and were started again too often lately. `lives` are the newest first, the present one among them. */
export function findRestarts(lives: readonly DaemonLife[], nowMs: number): Condition | null {
  const crashes = lives.filter((life, index) => {
    const before = lives[index + 1];
    return before !== undefined && before.endedMs === null && nowMs - life.beganMs < restartsWithinMs;
  });
  const first = crashes.at(-1);
  if (crashes.length < restartsMax || first === undefined) return null;
  return {
    kind: "daemon_restarts",
    home: null,
    jobId: null,
    detail: "",
    message: `The daemon died and was started again ${crashes.length} times within ${restartsWithinMs / 60_000} min, see its log`,
    sinceMs: first.beganMs,
  };
}
