import type { AheadJob } from "../child/gate-pool.ts";
import { type Job, type JobKind, jobKinds } from "../core/job.ts";
import type { DaemonParts } from "./daemon-parts.ts";
import type { HomeRuntime } from "./home-runtime.ts";
import { programOf, workerProgram } from "./job-program.ts";
import { rehearseTick, roomIn } from "./tick.ts";

/**
 * How long before a due time its launchers are started: room for a hundred of them on a slow machine, and for a prompt's worker to
 * load Hermes.
 */
const aheadMs: Readonly<Record<JobKind, number>> = { script: 1000, prompt: 4000 };
/** So long before the due time launchers start in any case, also when it is not known yet whether their bash would wait. */
const askingMsMax = 300;
/** Timers fire a little early. The turn that is meant to start launchers must not find that it is not time yet. */
const earlyMs = 5;
/** A launcher that was not needed goes after this long, so that nothing stands by between runs. */
const unusedMsMax = 25_000;
/** Launchers started in one go before the loop looks at its timers again. */
const gatesPerTurn = 4;
/** Jobs this close to each other are due together. */
const togetherMs = 50;
/** A worker loads Hermes for about so long; meanwhile it takes a core for itself. */
const loadingMs = 2000;
/** A worker that could not have loaded enough by its due time is not started ahead. */
const worthwhileMs = 300;

/** Has launchers ready for what is due soon. */
export interface GatePreparer {
  /** Starts a few of them. True while there are more to start. */
  prepare(): boolean;
  /** When this home wants launchers next (Unix ms), or null when it has them. */
  wakeAtMs(home: HomeRuntime): number | null;
}

export function createGatePreparer(
  parts: DaemonParts,
  homes: () => ReadonlyMap<string, HomeRuntime>,
  guard: (home: HomeRuntime, act: () => void) => void,
  wake: () => void,
): GatePreparer {
  const { system } = parts;
  let unsynced = false;

  /** The jobs that come due together with the first one, as far as there will be room for them. */
  function comingTogether(home: HomeRuntime, wakeAtMs: number): readonly Job[] {
    const room = roomIn(parts, home);
    if (room === 0) return [];
    const untilMs = Math.max(wakeAtMs, system.clock.nowMs()) + togetherMs;
    return dueJobs(home, "script", untilMs).slice(0, room);
  }

  /** Those that can have a worker of their own kind wait for them. */
  function comingPrompts(home: HomeRuntime): readonly Job[] {
    if (home.settings.hermes === null) return [];
    const untilMs = system.clock.nowMs() + aheadMs.prompt + earlyMs;
    return dueJobs(home, "prompt", untilMs).slice(0, roomIn(parts, home));
  }

  /** The jobs of a kind that are due by then, the earliest first. */
  function dueJobs(home: HomeRuntime, kind: JobKind, untilMs: number): readonly Job[] {
    const isDue = (job: Job) =>
      job.kind === kind && job.enabled && job.nextRunAt !== null && job.nextRunAt.ms <= untilMs;
    return jobsOf(home)
      .filter(isDue)
      .toSorted((a, b) => (a.nextRunAt?.ms ?? 0) - (b.nextRunAt?.ms ?? 0));
  }

  function earliestPromptMs(home: HomeRuntime): number | null {
    let earliest: number | null = null;
    for (const { kind, enabled, nextRunAt } of jobsOf(home)) {
      if (kind !== "prompt" || !enabled || nextRunAt === null) continue;
      if (earliest === null || nextRunAt.ms < earliest) earliest = nextRunAt.ms;
    }
    return earliest;
  }

  function jobsOf(home: HomeRuntime): readonly Job[] {
    try {
      return home.store.read().jobs;
    } catch {
      // It turned bad since its last tick; the next one says so.
      home.dirty = true;
      return [];
    }
  }

  /** Those of the jobs that no gate is made for yet and that are bash scripts. What is wrong with a job is said at its start. */
  function bashJobs(home: HomeRuntime, jobs: readonly Job[]): readonly AheadJob[] {
    const made = new Set(home.pools.script.ready().map((gate) => gate.jobId));
    return jobs.flatMap((job) => {
      if (made.has(job.id)) return [];
      const program = programOf(parts, home, job);
      return program.ok && program.isBash ? [{ jobId: job.id, program, isBash: true }] : [];
    });
  }

  /** True while there are more to start. `left` says how many may still be started in this turn. */
  function prepareScripts(home: HomeRuntime, left: { count: number }): boolean {
    const nowMs = system.clock.nowMs();
    if (home.wakeAtMs === null || home.wakeAtMs - nowMs > aheadMs.script + earlyMs) return false;
    const pool = home.pools.script;
    const coming = comingTogether(home, home.wakeAtMs);
    const missing = coming.length - pool.ready().length;
    const start = Math.min(Math.max(0, missing), left.count);
    const jobs = start > 0 ? bashJobs(home, coming) : [];
    const asking = pool.asking(jobs, home.settings.environments.script);
    if (asking !== null && home.wakeAtMs - nowMs > askingMsMax) {
      void asking.then(wake);
      return false;
    }
    left.count -= start;
    if (start > 0) {
      unsynced = true;
      guard(home, () => pool.fill(pool.ready().length + start, home.settings.environments.script, jobs));
    }
    if (coming.length > 0 && missing <= start) rehearse(home, home.wakeAtMs);
    return missing > start;
  }

  /** Loading takes a core for itself, so no more load at once than there are. */
  function preparePrompts(home: HomeRuntime): void {
    const pool = home.pools.prompt;
    const worker = workerProgram(parts, home);
    const coming = comingPrompts(home);
    const nowMs = system.clock.nowMs();
    if (coming.length === 0 || worker === null) {
      pool.discardAll();
      return;
    }
    const useful = coming.filter((job) => (job.nextRunAt?.ms ?? 0) > nowMs + worthwhileMs);
    const start = Math.min(useful.length - pool.ready().length, system.processes.cores - loadingNow());
    if (start <= 0) return;
    unsynced = true;
    const spares = Array.from({ length: start }, (): AheadJob => ({ jobId: null, program: worker, isBash: false }));
    guard(home, () => pool.fill(pool.ready().length + start, home.settings.environments.prompt, spares));
  }

  function loadingNow(): number {
    const since = system.clock.monotonicMs() - loadingMs;
    return [...homes().values()]
      .flatMap((home) => home.pools.prompt.ready())
      .filter((gate) => gate.madeAtMonotonicMs > since).length;
  }

  function rehearse(home: HomeRuntime, wakeAtMs: number): void {
    if (home.rehearsedForMs === wakeAtMs || wakeAtMs <= system.clock.nowMs()) return;
    home.rehearsedForMs = wakeAtMs;
    guard(home, () => rehearseTick(parts, home, wakeAtMs));
  }

  return {
    prepare() {
      if (parts.draining) return false;
      const left = { count: gatesPerTurn };
      let more = false;
      for (const home of homes().values()) {
        for (const kind of jobKinds) home.pools[kind].discardStale(home.settings.environments[kind].id, unusedMsMax);
        if (home.state.kind !== "active") continue;
        more = prepareScripts(home, left) || more;
        preparePrompts(home);
      }
      if (unsynced && !more) {
        unsynced = false;
        // Else the claim's own sync would pay for all their folders, and hold the tick lock meanwhile.
        system.files.syncSoon(`${parts.stateFolder}/runs`);
      }
      return more;
    },
    wakeAtMs(home) {
      if (home.wakeAtMs === null || home.state.kind !== "active") return null;
      const nowMs = system.clock.nowMs();
      const at: number[] = [];
      const scriptsAtMs = home.wakeAtMs - aheadMs.script;
      if (scriptsAtMs > nowMs && home.pools.script.ready().length < comingTogether(home, home.wakeAtMs).length) {
        at.push(scriptsAtMs);
      }
      const prompt = home.settings.hermes === null ? null : earliestPromptMs(home);
      if (prompt !== null) {
        const isShort = home.pools.prompt.ready().length < comingPrompts(home).length;
        if (prompt - aheadMs.prompt > nowMs) at.push(prompt - aheadMs.prompt);
        else if (isShort && prompt > nowMs + worthwhileMs) at.push(nowMs + loadingMs / 4);
      }
      return at.length === 0 ? null : Math.min(...at);
    },
  };
}
