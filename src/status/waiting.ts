import { isRunnable, type Job } from "../core/job.ts";
import type { HeldJob } from "../core/job-health.ts";
import type { Shortage } from "../core/pressure.ts";
import { type Bound, type Counted, counts, createRoom, fullBound, type Room } from "../core/room.ts";
import type { Run } from "../core/run.ts";
import type { WaitsFor } from "../core/share-room.ts";
import { jobsPerCut, type Work } from "../core/work.ts";
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
  /** By job, the attempt that is to follow its failed run. */
  readonly retries: ReadonlyMap<string, { readonly dueAtMs: number }>;
  /** Jobs that are held back because they fail at once again and again, until they run well again. */
  readonly held: readonly HeldJob[];
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
  /** For runs, and not served yet. */
  readonly requests: readonly { readonly home: string; readonly jobId: string; readonly requestedAtMs: number }[];
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
  "crash_loop",
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

export const waitingTriggers = ["schedule", "retry", "manual"] as const;

/** Something that is due and has not started, and what it waits for. */
export interface WaitingJson {
  readonly home: string;
  readonly job_id: string;
  readonly job_name: string;
  /** `schedule`: its oldest instant that has come; `retry`: the attempt after a failed run; `manual`: a run that somebody asked for. */
  readonly trigger: (typeof waitingTriggers)[number];
  /** Of a request, when it was made. */
  readonly due_at: string | null;
  /**
   * `overlap`: its own run `held_by` is open; `capacity`: the bound `limit` is full, by the runs `held_by`; `kept`: what is left of it goes to a job that waited longer;
   * `pressure`: the machine is short; `crash_loop`: the job is held back; `lock`, `claimed`: another process has the tick lock or the job; `starting`: nothing, any more.
   */
  readonly reason: (typeof waitingReasons)[number];
  readonly limit: BoundJson | null;
  /** What the machine is short of, where that is why. */
  readonly pressure: readonly Shortage[] | null;
  readonly held_by: readonly string[];
}

/** Of all homes together. How many wait in a home stands in full at the home. */
const waitingMax = 1000;
const heldByMax = 100;

export interface RoomView {
  boundsOf(home: string): readonly BoundJson[];
  readonly waiting: readonly WaitingJson[];
}

export function* roomView(view: WaitingView): Work<RoomView> {
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
    for (const [index, job] of home.jobs.entries()) {
      if (index % jobsPerCut === 0) yield;
      const ownRun = running.get(`${home.name}/${job.id}`) ?? null;
      for (const { trigger, dueMs } of waitsOf(view, home, job, ownRun)) {
        if (waiting.length === waitingMax) break;
        const { reason, bound, shortages } =
          ownRun === null
            ? waitsFor(view, home, job, trigger, room)
            : { reason: "overlap" as const, bound: null, shortages: null };
        waiting.push({
          home: home.name,
          job_id: job.id,
          job_name: job.name,
          trigger,
          due_at: isoTime(dueMs),
          reason,
          limit: bound === null ? null : boundJson(bound, room),
          pressure: shortages,
          held_by: ownRun !== null ? [ownRun] : bound === null ? [] : holders(bound),
        });
      }
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

interface Wait {
  readonly trigger: WaitingJson["trigger"];
  readonly dueMs: number;
}

/** What of a job has come and has not started: its oldest instant, the attempt after a failed run, a run that somebody asked for. */
function waitsOf(
  { nowMs, requests }: WaitingView,
  home: HomeOfWaiting,
  job: Job,
  ownRun: string | null,
): readonly Wait[] {
  const waits: Wait[] = [];
  const owedMs = home.owedSince.get(job.id) ?? Number.POSITIVE_INFINITY;
  const isRequested = job.manualRunAt !== null && job.manualRunAt === job.nextRunAt?.text;
  const recordedMs = job.nextRunAt?.ms ?? Number.POSITIVE_INFINITY;
  const dueMs = isRequested ? owedMs : Math.min(owedMs, recordedMs);
  const mayRun = isRunnable(job) && job.fault === null;
  // What its policy does not keep for the end of an open run is skipped at the next tick.
  if (mayRun && dueMs <= nowMs && (ownRun === null || owedMs <= nowMs)) waits.push({ trigger: "schedule", dueMs });
  if (mayRun && isRequested && recordedMs <= nowMs) waits.push({ trigger: "manual", dueMs: recordedMs });
  const retry = home.retries.get(job.id);
  if (retry !== undefined && retry.dueAtMs <= nowMs && ownRun === null && job.fault === null)
    waits.push({ trigger: "retry", dueMs: retry.dueAtMs });
  for (const { home: name, jobId, requestedAtMs } of requests)
    if (name === home.name && jobId === job.id) waits.push({ trigger: "manual", dueMs: requestedAtMs });
  return waits;
}

function waitsFor(
  { daemon }: WaitingView,
  home: HomeOfWaiting,
  job: Job,
  trigger: WaitingJson["trigger"],
  room: Room,
): Pick<WaitingJson, "reason"> & { readonly bound: Bound | null; readonly shortages: readonly Shortage[] | null } {
  const because = (reason: WaitingJson["reason"], bound: Bound | null = null) => ({ reason, bound, shortages: null });
  const { state, reason, tickLock } = home;
  if (state === "degraded" || state === "unsupported") return because(state);
  const isHeld = reason === "estop" || reason === "drain" || reason === "parked";
  // As in Hermes, these markers are about the schedule, and so is the tick lock.
  if (isHeld && trigger !== "manual") return because(reason);
  if (reason === "disk") return because(reason);
  if (!daemon.running) return because("no_daemon");
  if (trigger !== "manual" && tickLock.held) return because("lock");
  if (trigger === "retry" && home.held.some(({ jobId, isOver }) => jobId === job.id && !isOver))
    return because("crash_loop");
  const bounds = room.boundsOf({ home: home.name, kind: job.kind, tags: home.tagsOf(job) });
  const full = fullBound(room, bounds);
  if (full !== null) return because("capacity", full);
  const turn = trigger === "manual" ? undefined : home.waitsFor.get(job.id);
  if (turn?.kind === "pressure") return { reason: "pressure", bound: null, shortages: turn.shortages };
  if (turn?.kind === "kept") {
    const { of, name, home: whose } = turn.bound;
    // The bounds may have been read again since that was decided.
    return because("kept", bounds.find((one) => one.of === of && one.name === name && one.home === whose) ?? null);
  }
  return because(job.fireClaim === null && job.runClaim === null ? "starting" : "claimed");
}
