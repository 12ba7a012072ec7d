import type { AlertKind } from "../core/alert-kinds.ts";
import type { Condition } from "../core/alerts.ts";
import type { Run } from "../core/run.ts";
import { jobsPerCut, type Work } from "../core/work.ts";
import { findConditions } from "./conditions.ts";
import { isoTime, type RunJson, runsJson } from "./json.ts";
import type { ConfigFileView, HermesJson, HomeView, RetentionView, StatusView } from "./view.ts";
import { type BoundJson, type RoomView, roomView, type WaitingJson } from "./waiting.ts";

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

/** How far the deletion of what is kept no longer has come. */
export interface RetentionJson extends Pick<RetentionView, "state" | "step" | "done" | "total"> {
  readonly since: string | null;
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
  readonly retention: RetentionJson;
}

export function* statusSnapshot(view: StatusView): Work<StatusJson> {
  const openOf = new Map<string, Run[]>();
  for (const run of view.openRuns) openOf.set(run.home, [...(openOf.get(run.home) ?? []), run]);
  const room = yield* roomView(view);
  const conditions = yield* findConditions(view);
  const homes: HomeJson[] = [];
  for (const home of view.homes) homes.push(yield* homeJson(home, openOf.get(home.name) ?? [], room, view.nowMs));
  return {
    daemon: {
      running: view.daemon.running,
      pid: view.daemon.pid,
      version: view.daemon.version,
      started_at: isoTime(view.daemon.startedAtMs),
      ready: view.daemon.ready,
    },
    config: configJson(view.hostConfig, view.hostConfig.error),
    homes,
    open_runs: runsJson(view.openRuns),
    waiting: room.waiting,
    alerts: conditions.map(alertJson),
    retention: retentionJson(view.retention),
  };
}

function* homeJson(home: HomeView, openRuns: readonly Run[], room: RoomView, nowMs: number): Work<HomeJson> {
  const running = new Set(openRuns.map((run) => run.jobId));
  let enabled = 0;
  let waiting = 0;
  let nextDueMs: number | null = null;
  for (const [index, job] of home.jobs.entries()) {
    if (index % jobsPerCut === 0) yield;
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

function retentionJson({ state, step, done, total, sinceMs }: RetentionView): RetentionJson {
  return { state, step, done, total, since: isoTime(sinceMs) };
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

export function alertJson({ kind, home, jobId, message, sinceMs }: Condition): AlertJson {
  return { kind, home, job_id: jobId, message, since: isoTime(sinceMs) };
}
