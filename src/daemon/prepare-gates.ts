import type { AheadJob } from "../child/gate-pool.ts";
import { type Job, jobKinds } from "../core/job.ts";
import { createComingJobs } from "./coming-jobs.ts";
import type { DaemonParts } from "./daemon-parts.ts";
import type { HomeRuntime } from "./home-runtime.ts";
import { programOf } from "./job-program.ts";
import { createSparePreparer } from "./prepare-spares.ts";
import { roomIn } from "./room-for-runs.ts";
import { rehearseTick } from "./tick.ts";

/** How long before a due time its launchers are started: room for a hundred of them on a slow machine. */
const aheadMs = 1000;
/** So long before the due time launchers start in any case, also when it is not known yet whether their bash would wait. */
const askingMsMax = 300;
/** Timers fire a little early. The turn that is meant to start launchers must not find that it is not time yet. */
const earlyMs = 5;
/** A launcher that was not needed goes after this long, so that nothing stands by between runs. */
const unusedMsMax = 25_000;
/** Launchers started in one go, some 2 ms each, before the loop looks at its timers and readers again. */
const gatesPerTurn = 2;
/** How long before the due time claims are written: what it takes to write so many of them, within bounds, as nothing else is done meanwhile. */
const stagingMsMin = 2;
const stagingMsEach = 0.2;
const stagingMsMax = 15;
/** Jobs this close to each other are due together. */
const togetherMs = 50;
const never = Number.POSITIVE_INFINITY;

/** Has launchers ready for what is due soon. */
export interface GatePreparer {
  /** Starts a few of them. `more` is true while there are more to start; else it is to be called again at `wakeAtMs` (Unix ms; infinity for never). */
  prepare(): { readonly more: boolean; readonly wakeAtMs: number };
}

export function createGatePreparer(
  parts: DaemonParts,
  homes: () => ReadonlyMap<string, HomeRuntime>,
  guard: (home: HomeRuntime, act: () => void) => void,
  wake: () => void,
): GatePreparer {
  const { system } = parts;
  const coming = createComingJobs(unusedMsMax);
  const spares = createSparePreparer(parts, homes, (home) => coming(home, "prompt", system.clock.nowMs()), guard);
  let unsynced = false;

  /** The script jobs that come due together with the first job, as far as there will be room for them. */
  function comingTogether(home: HomeRuntime, wakeAtMs: number): readonly Job[] {
    const room = roomIn(parts, home);
    const nowMs = system.clock.nowMs();
    const untilMs = Math.max(wakeAtMs, nowMs) + togetherMs;
    const jobs: Job[] = [];
    for (const { job, dueMs } of coming(home, "script", nowMs).soon) {
      if (jobs.length === room || dueMs > untilMs) break;
      jobs.push(job);
    }
    return jobs;
  }

  /** The first `count` of the jobs that no gate is made for yet and that are bash scripts. What is wrong with a job is said at its start. */
  function bashJobs(home: HomeRuntime, jobs: readonly Job[], count: number): readonly AheadJob[] {
    const made = new Set(home.pools.script.ready().map((gate) => gate.jobId));
    const found: AheadJob[] = [];
    for (const job of jobs) {
      if (found.length === count) break;
      if (made.has(job.id)) continue;
      const program = programOf(parts, home, job);
      if (program.ok && program.isBash) found.push({ jobId: job.id, program, isBash: true });
    }
    return found;
  }

  /** As `prepare`, for one home. `left` says how many may still be started in this turn. */
  function prepareScripts(
    home: HomeRuntime,
    left: { count: number },
  ): { readonly more: boolean; readonly wakeAtMs: number } {
    const nowMs = system.clock.nowMs();
    const { wakeAtMs } = home;
    if (wakeAtMs === null) return { more: false, wakeAtMs: never };
    if (wakeAtMs - nowMs > aheadMs + earlyMs) {
      const { soon, laterMs } = coming(home, "script", nowMs);
      const firstMs = soon[0]?.dueMs ?? laterMs ?? never;
      return { more: false, wakeAtMs: firstMs <= wakeAtMs + togetherMs ? wakeAtMs - aheadMs : never };
    }
    const pool = home.pools.script;
    const together = comingTogether(home, wakeAtMs);
    const missing = together.length - pool.ready().length;
    const start = Math.min(Math.max(0, missing), left.count);
    const jobs = bashJobs(home, together, start);
    const asking = pool.asking(jobs, home.settings.environments.script);
    if (asking !== null && wakeAtMs - nowMs > askingMsMax) {
      void asking.then(wake);
      return { more: false, wakeAtMs: wakeAtMs - askingMsMax };
    }
    left.count -= start;
    if (start > 0) {
      unsynced = true;
      guard(home, () => pool.fill(pool.ready().length + start, home.settings.environments.script, jobs));
    }
    if (together.length > 0 && missing <= start) rehearse(home, wakeAtMs, together.length);
    return { more: missing > start, wakeAtMs: never };
  }

  function rehearse(home: HomeRuntime, wakeAtMs: number, count: number): void {
    if (home.rehearsed?.dueMs === wakeAtMs || wakeAtMs <= system.clock.nowMs()) return;
    const stagingMs = Math.min(stagingMsMax, stagingMsMin + count * stagingMsEach);
    home.rehearsed = { dueMs: wakeAtMs, stageFromMs: wakeAtMs - stagingMs };
    guard(home, () => rehearseTick(parts, home, wakeAtMs));
  }

  return {
    prepare() {
      if (parts.draining) return { more: false, wakeAtMs: never };
      const left = { count: gatesPerTurn };
      let more = false;
      let wakeAtMs = never;
      for (const home of homes().values()) {
        for (const kind of jobKinds) home.pools[kind].discardStale(home.settings.environments[kind].id, unusedMsMax);
        if (home.state.kind !== "active") continue;
        const scripts = prepareScripts(home, left);
        more ||= scripts.more;
        wakeAtMs = Math.min(wakeAtMs, scripts.wakeAtMs);
      }
      const prompts = spares.prepare();
      unsynced ||= prompts.started;
      if (unsynced && !more) {
        unsynced = false;
        // Else the claim's own sync would pay for all their folders, and hold the tick lock meanwhile.
        system.files.syncSoon(`${parts.stateFolder}/runs`);
      }
      return { more, wakeAtMs: Math.min(wakeAtMs, prompts.wakeAtMs) };
    },
  };
}
