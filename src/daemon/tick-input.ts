import type { Job } from "../core/job.ts";
import type { TickInput } from "../core/plan-tick.ts";
import type { MarkedProcess } from "../core/verify-laws.ts";
import { readMarkedProcesses } from "../output/marked-processes.ts";
import { heldUntilMs } from "./attempts.ts";
import type { DaemonParts } from "./daemon-parts.ts";
import { readyGates } from "./home-gates.ts";
import type { HomeRuntime } from "./home-runtime.ts";
import { roomForJobs, roomIn } from "./room-for-runs.ts";

/** What a plan for this home is made of, at this moment or at a near one (Unix ms). */
export function tickInput(
  parts: DaemonParts,
  home: HomeRuntime,
  jobs: readonly Job[],
  nowMs = parts.system.clock.nowMs(),
): TickInput & { readonly busyJobs: ReadonlySet<string> } {
  const inHome = parts.children.inHome(home.name);
  return {
    nowMs,
    zone: home.settings.zone,
    jobs,
    cursors: home.cursors,
    openRuns: inHome.map((child) => ({ id: child.runId, jobId: child.jobId, overAtMs: child.overAtMs })),
    gates: readyGates(home),
    capacity: roomIn(parts, home),
    room: roomForJobs(parts, home, home.waitsFor),
    ownerState: (by) => ownerState(parts, by),
    canRun: () => true,
    busyJobs: busyJobs(parts, home, jobs),
    hold: home.hold(),
    policyOf: home.settings.policy,
    runClaimLifeMs: home.settings.runClaimLifeMs,
    catchUpMissed: home.settings.catchUpMissed,
    isAliveElsewhere: aliveElsewhere(parts, home),
    // An older copy of the file may have been put back: what has run for an instant stands in the ledger.
    ranElsewhere: (jobId, scheduledAtMs) =>
      parts.ledger.isServed(home.name, jobId, scheduledAtMs) || home.executions.isCompleted(jobId, scheduledAtMs),
    wasBusyElsewhere: (jobId, scheduledAtMs, nextAtMs) => home.executions.isOverlapped(jobId, scheduledAtMs, nextAtMs),
    claimedElsewhereMs: (jobId, fromMs) => home.executions.claimedSinceMs(jobId, fromMs),
    restored: home.restored,
    retries: home.retries,
    attemptsMax: (job) => home.settings.policy(job).retry?.attemptsMax ?? 0,
    heldUntilMs: (job) => heldUntilMs(parts, home, job),
  };
}

/** What runs prompts is known in a moment, and who holds a fence lets go of it. */
function busyJobs({ system }: DaemonParts, home: HomeRuntime, jobs: readonly Job[]): ReadonlySet<string> {
  const now = system.clock.monotonicMs();
  const fenced = [...home.fencedUntilMonotonicMs].flatMap(([jobId, untilMs]) => (untilMs > now ? [jobId] : []));
  const waiting = home.settings.isFindingHermes ? jobs.filter(isPrompt).map((job) => job.id) : [];
  return new Set([...fenced, ...waiting]);
}

function isPrompt(job: Job): boolean {
  return job.kind === "prompt";
}

/**
 * Looks for what other supervisors' runs of a job left alive. Runs of our own ledger are seen to by what we keep of them, also
 * where they were allowed to leave something behind.
 */
export function aliveElsewhere(parts: DaemonParts, home: HomeRuntime): (job: Job) => boolean {
  let marked: readonly MarkedProcess[] | null = null;
  return (job) => {
    // Whoever lives goes on over a step of the clock, by which its claim looks old, and refreshes it in a moment.
    const { fireClaim } = job;
    if (fireClaim !== null && parts.clockSteps.stands(fireClaim) && ownerState(parts, fireClaim.by) === "alive")
      return true;
    // Read once for all jobs of a tick: after a crash of the other one each of its claims asks.
    marked ??= readMarkedProcesses(parts.system) ?? [];
    return marked.some(
      (one) =>
        (one.jobId === job.id || one.jobId === "") &&
        isSameFolder(parts, one.homePath, home.path) &&
        parts.ledger.run(one.runId) === null,
    );
  };
}

function isSameFolder(parts: DaemonParts, path: string | null, other: string): boolean {
  if (path === null || path === other) return path === other;
  const { files } = parts.system;
  return files.stat(path) !== null && files.realPath(path) === files.realPath(other);
}

/** A claim names `host:pid[:token]`. Only a PID of this very host can be proven dead; all else is decided by its age. */
export function ownerState(parts: DaemonParts, by: string): "alive" | "dead" | "unknown" {
  const [host, pidText] = by.split(":");
  const pid = Number(pidText);
  if (host !== parts.system.processes.hostname || !Number.isSafeInteger(pid) || pid <= 0) return "unknown";
  return parts.system.processes.fingerprint(pid) === null ? "dead" : "alive";
}
