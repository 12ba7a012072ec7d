import { isRunnable, type Job } from "../core/job.ts";
import { type Bound, type Counted, counts, createRoom, fullBound, type Room } from "../core/room.ts";
import type { Run } from "../core/run.ts";
import type { WaitsFor } from "../core/share-room.ts";
import { isoTime } from "./json.ts";

/** What bounds the runs of a home. */
export interface HomeBounds {
  /** Its own; those of the host stand beside them. */
  readonly bounds: readonly Bound[];
  readonly tagsOf: (job: Pick<Job, "id" | "name" | "kind">) => readonly string[];
  /** What the daemon decided for lack of room, by job. */
  readonly waitsFor: ReadonlyMap<string, WaitsFor>;
  /** By job, the oldest instant (Unix ms) that has come and waits in the ledger while the record names a later one. */
  readonly owedSince: ReadonlyMap<string, number>;
}

interface HomeOfWaiting extends HomeBounds {
  readonly name: string;
  readonly state: string;
  readonly reason: string | null;
  readonly jobs: readonly Job[];
  readonly tickLock: { readonly held: boolean };
}

/** What bounds the runs of the host, and those that are open. */
export interface HostBounds {
  readonly openRuns: readonly Run[];
  readonly tagsOfRun: (run: Run) => readonly string[];
  readonly hostBounds: readonly Bound[];
}

interface WaitingView extends HostBounds {
  readonly nowMs: number;
  readonly daemon: { readonly running: boolean };
  readonly homes: readonly HomeOfWaiting[];
}

/** A bound on runs that are open at once, with what is taken of it. */
export interface BoundJson {
  /** Null for the whole host. */
  readonly home: string | null;
  readonly of: Bound["of"];
  /** The class or the tag; null where all runs count. */
  readonly name: string | null;
  readonly max: number;
  readonly in_use: number;
}

export const waitingReasons = [
  "overlap",
  "capacity",
  "kept",
  "pressure",
  "lock",
  "claimed",
  "starting",
  "no_daemon",
  "estop",
  "drain",
  "parked",
  "disk",
  "degraded",
  "unsupported",
] as const;

/** A due job that has not started, and what it waits for. */
export interface WaitingJson {
  readonly home: string;
  readonly job_id: string;
  readonly job_name: string;
  readonly due_at: string | null;
  /**
   * `overlap`: its own run `held_by` is open; `capacity`: the bound `limit` is full, by the runs `held_by`; `kept`: what is left of it goes to a job that waited longer;
   * `pressure`: the machine is short; `lock`, `claimed`: another process has the tick lock or the job; `starting`: nothing, any more.
   */
  readonly reason: (typeof waitingReasons)[number];
  readonly limit: BoundJson | null;
  readonly held_by: readonly string[];
}

/** Of all homes together. How many wait in a home stands in full at the home. */
const waitingMax = 1000;
const heldByMax = 100;

export interface RoomView {
  boundsOf(home: string): readonly BoundJson[];
  readonly waiting: readonly WaitingJson[];
}

export function roomView(view: WaitingView): RoomView {
  const countedRuns = new Map(view.openRuns.map((run) => [run, countRun(view, run)]));
  const bounds = new Map(view.homes.map((home) => [home.name, home.bounds]));
  const room = createRoom(view.hostBounds, bounds, countedRuns.values());
  const running = new Map(view.openRuns.map((run) => [`${run.home}/${run.jobId}`, run.id]));
  const holders = (bound: Bound): readonly string[] =>
    [...countedRuns]
      .filter(([, run]) => counts(bound, run))
      .map(([{ id }]) => id)
      .slice(0, heldByMax);
  const waiting: WaitingJson[] = [];
  for (const home of view.homes) {
    for (const job of home.jobs) {
      if (waiting.length === waitingMax) break;
      const owedMs = home.owedSince.get(job.id) ?? Number.POSITIVE_INFINITY;
      const dueMs = Math.min(owedMs, job.nextRunAt?.ms ?? Number.POSITIVE_INFINITY);
      const ownRun = running.get(`${home.name}/${job.id}`);
      if (dueMs > view.nowMs || !isRunnable(job) || job.fault !== null) continue;
      // What its policy does not keep for the end of that run is skipped at the next tick.
      if (ownRun !== undefined && owedMs > view.nowMs) continue;
      const { reason, bound } =
        ownRun === undefined ? waitsFor(view, home, job, room) : { reason: "overlap" as const, bound: null };
      waiting.push({
        home: home.name,
        job_id: job.id,
        job_name: job.name,
        due_at: isoTime(dueMs),
        reason,
        limit: bound === null ? null : boundJson(bound, room),
        held_by: ownRun !== undefined ? [ownRun] : bound === null ? [] : holders(bound),
      });
    }
  }
  return {
    waiting,
    boundsOf: (home) => [...view.hostBounds, ...(bounds.get(home) ?? [])].map((bound) => boundJson(bound, room)),
  };
}

function countRun({ tagsOfRun }: HostBounds, run: Run): Counted {
  return { home: run.home, kind: run.kind, tags: tagsOfRun(run) };
}

function boundJson(bound: Bound, { used }: Room): BoundJson {
  const { home, of, name, runsMax: max } = bound;
  return { home, of, name: of === "runs" ? null : name, max, in_use: used.get(bound) ?? 0 };
}

function waitsFor(
  { daemon }: WaitingView,
  home: HomeOfWaiting,
  job: Job,
  room: Room,
): { readonly reason: WaitingJson["reason"]; readonly bound: Bound | null } {
  const { state, reason, tickLock } = home;
  if (state === "degraded" || state === "unsupported") return { reason: state, bound: null };
  if (reason === "estop" || reason === "drain" || reason === "parked" || reason === "disk")
    return { reason, bound: null };
  if (!daemon.running) return { reason: "no_daemon", bound: null };
  if (tickLock.held) return { reason: "lock", bound: null };
  const bounds = room.boundsOf({ home: home.name, kind: job.kind, tags: home.tagsOf(job) });
  const full = fullBound(room, bounds);
  if (full !== null) return { reason: "capacity", bound: full };
  const turn = home.waitsFor.get(job.id);
  if (turn?.kind === "pressure") return { reason: "pressure", bound: null };
  if (turn?.kind === "kept") {
    const { of, name, home: whose } = turn.bound;
    // The bounds may have been read again since that was decided.
    return {
      reason: "kept",
      bound: bounds.find((one) => one.of === of && one.name === name && one.home === whose) ?? null,
    };
  }
  return { reason: job.fireClaim === null && job.runClaim === null ? "starting" : "claimed", bound: null };
}
