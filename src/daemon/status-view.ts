import type { ConfigFile } from "../config/load-config.ts";
import { restartsWithinMs } from "../core/alerts.ts";
import type { Job } from "../core/job.ts";
import { suspectJobs } from "../core/job-health.ts";
import { owedSince } from "../core/owed-slots.ts";
import type { Work } from "../core/work.ts";
import type { HomeView, RetentionView, StatusView } from "../status/view.ts";
import type { StoreSnapshot } from "../store/job-store.ts";
import type { DaemonParts } from "./daemon-parts.ts";
import type { HomeRuntime } from "./home-runtime.ts";
import type { HomeTable } from "./home-table.ts";
import { hostBounds } from "./room-for-runs.ts";

/** What only `main.ts` knows. */
export interface DaemonFacts {
  readonly version: string;
  readonly startedAtMs: number;
  readonly hostConfig: ConfigFile;
  readonly portFault: string | null;
  readonly retention: RetentionView;
}

/** How far back failures and missed slots are looked for. */
const recentMs = 86_400_000;
const minuteMs = 60_000;
const rowsMax = 1000;

/** What of a view is in the ledger. */
type Recorded = Pick<
  StatusView,
  "openRuns" | "requests" | "orphanedRuns" | "replacedRuns" | "missedSlots" | "deliveries" | "lives"
>;

/**
 * What the daemon knows of itself and its homes at this moment, for whoever asks. With `trusting` it is as of the last look at each
 * home, where that found nothing to do: the alerts come after it, and need not look at everything once more.
 */
export function createStatusView(
  parts: DaemonParts,
  table: HomeTable,
  facts: () => DaemonFacts,
): (trusting?: boolean) => Work<StatusView> {
  const { system, ledger } = parts;
  let known: { readonly key: string; readonly facts: Recorded } | null = null;

  function homeView(home: HomeRuntime, trusting: boolean): HomeView {
    const { lockBusy } = home;
    const fault = home.state.kind === "active" ? home.endsFault : home.state.reason;
    const standing = trusting && fault === null && !home.dirty ? home.standing : null;
    const hold = fault === null && standing === null ? home.hold() : null;
    const { jobs, strays } = standing?.snapshot ?? storeOf(home);
    return {
      name: home.name,
      path: home.path,
      state: hold !== null ? "paused" : home.state.kind === "active" && fault !== null ? "degraded" : home.state.kind,
      reason: hold ?? fault,
      jobs,
      strays,
      // Where nothing holds the home, its disk has room.
      diskShortage: fault === null && hold === null ? null : home.diskShortage(),
      zone: home.settings.zone,
      // Of a home that is not served nobody has counted since.
      waiting: home.state.kind === "active" ? home.waiting : null,
      runsMax: Math.min(home.settings.parallelJobsMax, parts.settings.openRunsMax),
      bounds: home.settings.bounds,
      tagsOf: (job) => home.settings.limits(job).tags,
      waitsFor: home.waitsFor,
      owedSince: owedSince(home.cursors),
      retries: home.retries,
      tickLock: {
        held: lockBusy !== null,
        holderPid: lockBusy?.holderPid ?? null,
        sinceMs: lockBusy?.sinceMs ?? null,
      },
      configError: home.settings.error,
      configFile: home.settings.configFile,
      configWarnings: home.settings.hermesWarnings,
      hermes: home.settings.hermes,
      held: suspectJobs(jobs, home.health, (job) => home.settings.policy(job).crashLoop, parts.system.clock.nowMs()),
    };
  }

  /** Read again only when something was written, or a minute has gone: most looks find the ledger as the last one did. */
  function recorded(nowMs: number): Recorded {
    const minute = Math.floor(nowMs / minuteMs);
    const key = `${ledger.version()} ${minute}`;
    if (known?.key === key) return known.facts;
    const sinceMs = minute * minuteMs - recentMs;
    const made: Recorded = {
      openRuns: ledger.openRuns(),
      requests: ledger.openRequests().filter(({ kind }) => kind === "run"),
      orphanedRuns: ledger.orphanedRuns(rowsMax),
      replacedRuns: ledger.replacedRuns(),
      missedSlots: ledger.missedSlots(sinceMs, rowsMax),
      deliveries: ledger.troubledDeliveries(sinceMs),
      lives: ledger.lives(minute * minuteMs - restartsWithinMs),
    };
    known = { key, facts: made };
    return made;
  }

  return function* (trusting = false) {
    // A run is claimed in the ledger before its record names a later instant, and ends there before its record says how. So what is
    // open is read before the records, and how runs ended after them: what happens between two pieces makes no job wait, and no orphan a mere failure.
    const nowMs = system.clock.nowMs();
    const { openRuns, requests } = recorded(nowMs);
    const tags = new Map(openRuns.map(({ id }) => [id, parts.children.get(id)?.limits.tags ?? []]));
    const homes: HomeView[] = [];
    for (const home of table.homes().values()) {
      homes.push(homeView(home, trusting));
      yield;
    }
    const { version, startedAtMs, hostConfig, portFault, retention } = facts();
    return {
      nowMs,
      daemon: { running: true, pid: system.processes.ownPid, version, startedAtMs, ready: true },
      homes,
      ...recorded(nowMs),
      openRuns,
      requests,
      tagsOfRun: ({ id }) => tags.get(id) ?? [],
      hostBounds: hostBounds(parts),
      portFault,
      hostConfig,
      retention,
    };
  };
}

/** The jobs as they stand in the store; of a home that cannot be read, none. */
export function storeOf(home: HomeRuntime): Pick<StoreSnapshot, "jobs" | "strays"> {
  try {
    return home.store.read();
  } catch {
    // The home's state says what is wrong with it.
    return { jobs: [], strays: [] };
  }
}

export function jobsOf(home: HomeRuntime): readonly Job[] {
  return storeOf(home).jobs;
}
