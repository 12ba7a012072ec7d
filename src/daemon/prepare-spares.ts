import { planSpares, type SpareHome, spareLeadMsMax } from "../core/plan-spares.ts";
import type { ComingJobs } from "./coming-jobs.ts";
import type { DaemonParts } from "./daemon-parts.ts";
import type { HomeRuntime } from "./home-runtime.ts";
import { workerProgram } from "./job-program.ts";
import { hostRoom, roomIn } from "./room-for-runs.ts";

/** A worker is reckoned to load Hermes for so long, and longer where one was seen to. */
const loadingMsMin = 2000;
const loadingMsMax = 5000;
/** What a worker takes while it waits, rounded up. */
const spareBytes = 128 * 2 ** 20;
/** Memory that no worker is started ahead in. */
const keptBytes = 256 * 2 ** 20;

/** Has a worker with Hermes loaded wait for each prompt job that is due soon, and nowhere else. */
export interface SparePreparer {
  /** Starts what has to be started now. Answers when to be called again (Unix ms; infinity for never), and whether it has started any. */
  prepare(): { readonly wakeAtMs: number; readonly started: boolean };
}

export function createSparePreparer(
  parts: DaemonParts,
  homes: () => ReadonlyMap<string, HomeRuntime>,
  comingPrompts: (home: HomeRuntime) => ComingJobs,
  guard: (home: HomeRuntime, act: () => void) => void,
): SparePreparer {
  const { system } = parts;
  /** Those that can have a worker of their own kind wait for them. What they have too many of goes. */
  function takeStock(nowMs: number) {
    const stock: SpareHome[] = [];
    let loading = 0;
    let laterMs = Number.POSITIVE_INFINITY;
    let loadingMs = loadingMsMin;
    for (const home of homes().values()) {
      const pool = home.pools.prompt;
      if (home.state.kind !== "active") continue;
      if (home.settings.hermes === null) {
        pool.discardAll();
        continue;
      }
      const coming = comingPrompts(home);
      const dueAtMs = coming.soon.slice(0, roomIn(parts, home)).map(({ dueMs }) => dueMs);
      pool.keep(dueAtMs.filter((dueMs) => dueMs <= nowMs + spareLeadMsMax).length);
      stock.push({ name: home.name, dueAtMs, spares: pool.ready().length });
      loading += pool.loading();
      loadingMs = Math.min(loadingMsMax, Math.max(loadingMs, pool.loadedInMs() ?? 0));
      laterMs = Math.min(laterMs, coming.laterMs ?? laterMs);
    }
    return { stock, loading, loadingMs, laterMs };
  }

  /** As many as there are cores would be started at their due times a moment later in any case; more need memory. */
  function sparesMax(stock: readonly SpareHome[]): number {
    const made = stock.reduce((sum, { spares }) => sum + spares, 0);
    const isShort = stock.some(({ dueAtMs, spares }) => dueAtMs.length > spares);
    const more = isShort ? Math.floor((system.processes.availableBytes() - keptBytes) / spareBytes) : 0;
    return Math.min(hostRoom(parts), Math.max(system.processes.cores, made + more));
  }

  function start(home: HomeRuntime): void {
    const program = workerProgram(parts, home);
    if (program === null) return;
    const pool = home.pools.prompt;
    const spare = { jobId: null, program, isBash: false };
    guard(home, () => pool.fill(pool.ready().length + 1, home.settings.environments.prompt, [spare]));
  }

  return {
    prepare() {
      const nowMs = system.clock.nowMs();
      const { stock, loading, loadingMs, laterMs } = takeStock(nowMs);
      const limits = { cores: system.processes.cores, loading, sparesMax: sparesMax(stock), loadingMs };
      const plan = planSpares(stock, limits, nowMs);
      for (const name of plan.start) {
        const home = homes().get(name);
        if (home !== undefined) start(home);
      }
      const wakeAtMs = Math.min(plan.wakeAtMs ?? Number.POSITIVE_INFINITY, laterMs - spareLeadMsMax);
      return { wakeAtMs, started: plan.start.length > 0 };
    },
  };
}
