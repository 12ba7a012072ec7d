import type { AlertKind } from "../core/alert-kinds.ts";
import type { Delivery } from "../core/delivery.ts";
import { hasPauseMark, type Job } from "../core/job.ts";
import { type HeldJob, pauseMark } from "../core/job-health.ts";
import type { Run } from "../core/run.ts";
import { isoTime, type RunJson, runJson } from "./json.ts";
import {
  type BoundJson,
  type HomeBounds,
  type HostBounds,
  type RoomView,
  roomView,
  type WaitingJson,
} from "./waiting.ts";

export interface AlertJson {
  readonly kind: AlertKind;
  readonly home: string | null;
  readonly job_id: string | null;
  readonly message: string;
  readonly since: string | null;
}

export interface HomeJson {
  readonly name: string;
  readonly path: string;
  readonly state: HomeView["state"];
  readonly reason: string | null;
  readonly jobs: number;
  readonly enabled_jobs: number;
  readonly open_runs: number;
  readonly waiting: number;
  /** A limit of null is none. */
  readonly capacity: {
    readonly limit: number | null;
    readonly in_use: number;
    /** Every bound that counts runs of this home, those of the host first. */
    readonly bounds: readonly BoundJson[];
  };
  readonly next_due_at: string | null;
  /** `holder` is the process id, where the system tells it. */
  readonly tick_lock: { readonly held: boolean; readonly holder: number | null; readonly since: string | null };
  readonly config: ConfigJson;
  /** Null where none was found, and while it is being asked. */
  readonly hermes: HermesJson | null;
}

/** A config file. `error` says why it is not in force as it stands; `content_hash` names the content that is, null for no file. */
export interface ConfigJson {
  readonly state: "ok" | "invalid";
  readonly path: string;
  readonly error: string | null;
  readonly line: number | null;
  readonly column: number | null;
  /** The line with a caret under the place. */
  readonly snippet: string | null;
  readonly content_hash: string | null;
  /** How many contents have counted since the daemon began, this one included; null without a daemon. */
  readonly generation: number | null;
  readonly in_force_since: string | null;
}

/** What `GET /v1/config` answers. */
export interface ConfigReport {
  readonly host: { readonly file: ConfigJson; readonly settings: readonly SettingJson[] };
  readonly homes: readonly {
    readonly name: string;
    readonly path: string;
    readonly file: ConfigJson;
    readonly settings: readonly SettingJson[];
  }[];
  readonly overrides: { readonly set: readonly string[]; readonly variables: Readonly<Record<string, string>> };
}

/** Lengths are in milliseconds, sizes in bytes. `source` is a file and line, a flag, a variable or `default`. */
export interface SettingJson {
  readonly key: string;
  readonly value: unknown;
  readonly source: string;
}

/** The installed Hermes that runs a home's prompt jobs. */
export interface HermesJson {
  readonly python: string;
  readonly version: string;
}

/** What `status --json` prints and `GET /v1/status` answers. */
export interface StatusJson {
  readonly daemon: {
    readonly running: boolean;
    readonly pid: number | null;
    readonly version: string | null;
    readonly started_at: string | null;
    readonly ready: boolean;
  };
  /** The host's own file. */
  readonly config: ConfigJson;
  readonly homes: readonly HomeJson[];
  readonly open_runs: readonly RunJson[];
  /** At most 1000 due jobs, with what each of them waits for. */
  readonly waiting: readonly WaitingJson[];
  readonly alerts: readonly AlertJson[];
}

/** The process that holds the state folder. */
export interface DaemonView {
  readonly running: boolean;
  readonly pid: number | null;
  readonly version: string | null;
  readonly startedAtMs: number | null;
  readonly ready: boolean;
}

/** One home as its reader sees it, whether that is the daemon or a command beside it. */
export interface HomeView extends HomeBounds {
  readonly name: string;
  readonly path: string;
  readonly state: "active" | "paused" | "degraded" | "unsupported";
  readonly reason: string | null;
  readonly jobs: readonly Job[];
  /** One sentence for each entry of `jobs.json` that is no job. */
  readonly strays: readonly string[];
  /** Why the disk is too full for anything to start, or null. */
  readonly diskShortage: string | null;
  /** Infinite where nothing limits it. */
  readonly runsMax: number;
  /** Jobs that are due and cannot start; null when only the records can tell. */
  readonly waiting: number | null;
  readonly tickLock: { readonly held: boolean; readonly holderPid: number | null; readonly sinceMs: number | null };
  /** Why the home's config is not in force as it stands, or null. */
  readonly configError: string | null;
  readonly configFile: ConfigFileView;
  /** One sentence for each setting of Hermes that is passed over because it cannot be used. */
  readonly configWarnings: readonly string[];
  readonly hermes: HermesJson | null;
  /** Jobs that are held back because they fail at once again and again. */
  readonly held: readonly HeldJob[];
}

/** What of a config file counts, and what keeps it from counting as it stands. */
export interface ConfigFileView {
  readonly path: string;
  readonly error: string | null;
  readonly line: number | null;
  readonly column: number | null;
  readonly snippet: string | null;
  readonly errorSinceMs: number | null;
  readonly contentHash: string | null;
  /** Null without a daemon, as is the next. */
  readonly generation: number | null;
  readonly inForceSinceMs: number | null;
}

export interface StatusView extends HostBounds {
  readonly nowMs: number;
  readonly daemon: DaemonView;
  readonly homes: readonly HomeView[];
  /** The newest runs that ended badly and the newest missed slots, from which alerts are made. */
  readonly failedRuns: readonly Run[];
  readonly missedSlots: readonly { readonly home: string; readonly jobId: string; readonly scheduledAtMs: number }[];
  /** Of each job its latest result on its way to a chat. */
  readonly deliveries: readonly Delivery[];
  readonly hostConfig: ConfigFileView;
}

/** A tick lock that somebody else has held for so long stops this home. */
const lockStuckMs = 60_000;
/** A job this late is not merely waiting for its tick. */
const overdueMs = 120_000;

export function statusSnapshot(view: StatusView): StatusJson {
  const openOf = new Map<string, Run[]>();
  for (const run of view.openRuns) openOf.set(run.home, [...(openOf.get(run.home) ?? []), run]);
  const room = roomView(view);
  return {
    daemon: {
      running: view.daemon.running,
      pid: view.daemon.pid,
      version: view.daemon.version,
      started_at: isoTime(view.daemon.startedAtMs),
      ready: view.daemon.ready,
    },
    config: configJson(view.hostConfig, view.hostConfig.error),
    homes: view.homes.map((home) => homeJson(home, openOf.get(home.name) ?? [], room, view.nowMs)),
    open_runs: view.openRuns.map(runJson),
    waiting: room.waiting,
    alerts: findAlerts(view),
  };
}

function homeJson(home: HomeView, openRuns: readonly Run[], room: RoomView, nowMs: number): HomeJson {
  const running = new Set(openRuns.map((run) => run.jobId));
  let enabled = 0;
  let waiting = 0;
  let nextDueMs: number | null = null;
  for (const job of home.jobs) {
    if (!job.enabled || job.fault !== null) continue;
    enabled += 1;
    const dueMs = job.nextRunAt?.ms ?? null;
    if (dueMs === null) continue;
    if (dueMs <= nowMs && !running.has(job.id)) waiting += 1;
    if (nextDueMs === null || dueMs < nextDueMs) nextDueMs = dueMs;
  }
  // It goes on with its last good settings, and yet somebody has to look after it.
  const isMisset = home.configError !== null && home.state === "active";
  return {
    name: home.name,
    path: home.path,
    state: isMisset ? "degraded" : home.state,
    reason: isMisset ? home.configError : home.reason,
    jobs: home.jobs.length,
    enabled_jobs: enabled,
    open_runs: openRuns.length,
    waiting: home.waiting ?? waiting,
    capacity: {
      limit: Number.isFinite(home.runsMax) ? home.runsMax : null,
      in_use: openRuns.length,
      bounds: room.boundsOf(home.name),
    },
    next_due_at: isoTime(nextDueMs),
    tick_lock: { held: home.tickLock.held, holder: home.tickLock.holderPid, since: isoTime(home.tickLock.sinceMs) },
    config: configJson(home.configFile, home.configError),
    hermes: home.hermes === null ? null : { python: home.hermes.python, version: home.hermes.version },
  };
}

export function configJson(file: ConfigFileView, error: string | null): ConfigJson {
  return {
    state: error === null ? "ok" : "invalid",
    path: file.path,
    error,
    line: file.line,
    column: file.column,
    snippet: file.snippet,
    content_hash: file.contentHash,
    generation: file.generation,
    in_force_since: isoTime(file.inForceSinceMs),
  };
}

function findAlerts(view: StatusView): AlertJson[] {
  const alerts: AlertJson[] = [];
  const add = (kind: AlertKind, home: string | null, jobId: string | null, message: string, sinceMs: number | null) =>
    alerts.push({ kind, home, job_id: jobId, message, since: isoTime(sinceMs) });
  const host = view.hostConfig;
  if (host.error !== null) add("config_invalid", null, null, host.error, host.errorSinceMs);
  const orphaned = new Map(
    view.failedRuns.filter((run) => run.reason === "orphaned").map((run) => [`${run.home}/${run.jobId}`, run]),
  );
  const open = new Set(view.openRuns.map((run) => `${run.home}/${run.jobId}`));
  for (const shortage of new Set(view.homes.map((home) => home.diskShortage))) {
    if (shortage === null) continue;
    // One disk may be that of many homes, or of the history of all.
    const homes = view.homes.filter((home) => home.diskShortage === shortage);
    add("disk_low", homes.length === 1 ? (homes[0]?.name ?? null) : null, null, shortage, null);
  }
  for (const home of view.homes) {
    if (home.configError !== null)
      add("config_invalid", home.name, null, home.configError, home.configFile.errorSinceMs);
    for (const warning of home.configWarnings) add("config_invalid", home.name, null, warning, null);
    if (home.state === "degraded") add("home_degraded", home.name, null, home.reason ?? "Degraded", null);
    if (home.state === "unsupported") add("home_unsupported", home.name, null, home.reason ?? "Unsupported", null);
    const { held, holderPid, sinceMs } = home.tickLock;
    if (held && sinceMs !== null && view.nowMs - sinceMs >= lockStuckMs) {
      const message = `The tick lock has been held by ${holderPid === null ? "another process" : `process ${holderPid}`} for ${Math.floor((view.nowMs - sinceMs) / 1000)} s`;
      add("lock_stuck", home.name, null, message, sinceMs);
    }
    for (const { jobId, sinceMs, untilMs, why } of home.held) {
      const name = home.jobs.find(({ id }) => id === jobId)?.name ?? jobId;
      const message = `Job "${name}" is held back until ${isoTime(untilMs)}: ${why}; edit it, or run it by hand once it works`;
      add("crash_loop", home.name, jobId, message, sinceMs);
    }
    for (const stray of home.strays) add("job_invalid", home.name, null, stray, null);
    for (const job of home.jobs) {
      const key = `${home.name}/${job.id}`;
      // Until it is written anew, which the next tick does.
      const fault = job.fault ?? (job.enabled ? (job.nextRunFault ?? null) : null);
      if (fault !== null) add("job_invalid", home.name, job.id, fault, null);
      if (job.pausedReason?.startsWith(pauseMark) === true && hasPauseMark(job)) {
        const message = `Job "${job.name}" was paused after ${job.pausedReason.slice(pauseMark.length).trim()}`;
        add("job_paused", home.name, job.id, message, job.lastRunAt?.ms ?? null);
      }
      if (job.lastStatus === "error") {
        const orphan = orphaned.get(key);
        const lastMs = job.lastRunAt?.ms ?? null;
        const kind = orphan !== undefined && (lastMs === null || lastMs <= (orphan.endedAtMs ?? 0) + 1000);
        const message = `Job "${job.name}" failed: ${job.lastError ?? "no reason was recorded"}`;
        add(kind ? "run_orphaned" : "run_failed", home.name, job.id, message, lastMs);
      }
      const dueMs = job.nextRunAt?.ms ?? null;
      if (job.enabled && job.fault === null && dueMs !== null && view.nowMs - dueMs > overdueMs && !open.has(key)) {
        const late = lateText(view.nowMs - dueMs);
        add("job_overdue", home.name, job.id, `Job "${job.name}" was due ${late} ago and has not run`, dueMs);
      }
    }
  }
  for (const slot of view.missedSlots) {
    add(
      "slot_missed",
      slot.home,
      slot.jobId,
      `The slot of ${isoTime(slot.scheduledAtMs)} was missed`,
      slot.scheduledAtMs,
    );
  }
  for (const delivery of view.deliveries) {
    const message = undeliveredText(view, delivery);
    if (message !== null) add("delivery_failed", delivery.home, delivery.jobId, message, delivery.queuedAtMs);
  }
  return alerts;
}

/** Null for what was delivered, and for what is on its way and has no reason to wait. */
function undeliveredText({ homes }: StatusView, { state, home, jobId, target, error }: Delivery): string | null {
  const job = homes.find(({ name }) => name === home)?.jobs.find(({ id }) => id === jobId);
  const result = `the result of job "${job?.name ?? jobId}"`;
  switch (state) {
    case "failed":
      return `T${result.slice(1)} was not delivered to ${target}: ${error ?? "no reason was recorded"}`;
    case "unknown":
      return `It is not known whether ${result} reached ${target}: ${error ?? "no reason was recorded"}`;
    case "pending":
    case "sending":
      return error === null ? null : `T${result.slice(1)} is not delivered to ${target} yet: ${error}`;
    case "delivered":
    case "suppressed":
      return null;
  }
}

function lateText(lateMs: number): string {
  const minutes = Math.round(lateMs / 60_000);
  if (minutes < 90) return `${minutes} min`;
  return minutes < 2160 ? `${Math.round(minutes / 60)} h` : `${Math.round(minutes / 1440)} d`;
}
