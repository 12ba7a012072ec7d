import type { StoreSnapshot } from "../store/job-store.ts";
import type { Logger } from "../system/logger.ts";
import type { HomeRuntime } from "./home-runtime.ts";

/** How often a full disk is looked at again. */
const roomLookMs = 1000;

interface Said {
  snapshot: StoreSnapshot | null;
  readonly faults: Set<string>;
  shortage: string | null;
}

/** Says in the log, once each, what keeps single jobs of a home from running and when its disk is full. */
export interface HomeReports {
  /** To be called after each tick. Asks for the next one where nothing else would tell that there is room again. */
  report(home: HomeRuntime, monotonicMs: number): void;
}

export function createHomeReports(log: Logger): HomeReports {
  const said = new WeakMap<HomeRuntime, Said>();

  function reportJobs(home: HomeRuntime, known: Said): void {
    const snapshot = home.store.read();
    if (snapshot === known.snapshot) return;
    known.snapshot = snapshot;
    const present = new Set<string>();
    const say = (key: string, jobId: string | null, error: string): void => {
      present.add(key);
      if (known.faults.has(key)) return;
      known.faults.add(key);
      log.error("a record of jobs.json cannot be run", { home: home.name, job_id: jobId, error });
    };
    for (const stray of snapshot.strays) say(stray, null, stray);
    for (const { id, fault } of snapshot.jobs) if (fault !== null) say(`${id}\n${fault}`, id, fault);
    for (const key of known.faults) if (!present.has(key)) known.faults.delete(key);
  }

  function reportRoom(home: HomeRuntime, known: Said, monotonicMs: number): void {
    const shortage = home.diskShortage();
    if (shortage !== null) home.retryAtMonotonicMs ??= monotonicMs + roomLookMs;
    if ((shortage === null) === (known.shortage === null)) return;
    known.shortage = shortage;
    if (shortage === null) log.info("there is room on the disk again", { home: home.name });
    else log.error("nothing new starts in a home until its disk has room", { home: home.name, error: shortage });
  }

  return {
    report(home, monotonicMs) {
      let known = said.get(home);
      if (known === undefined) {
        known = { snapshot: null, faults: new Set(), shortage: null };
        said.set(home, known);
      }
      reportJobs(home, known);
      reportRoom(home, known, monotonicMs);
    },
  };
}
