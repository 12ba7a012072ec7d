import type { RoomForJobs } from "../core/admission.ts";
import type { Job } from "../core/job.ts";
import { type Bound, boundsOf, type Counted, createRoom, fullBound, type Room } from "../core/room.ts";
import type { DaemonParts } from "./daemon-parts.ts";
import type { HomeRuntime } from "./home-runtime.ts";

/** Every open run, and every claim whose gate is about to open. */
function countedRuns({ children, unopened }: DaemonParts): readonly Counted[] {
  return [...children.all().map(({ home, kind, limits }) => ({ home, kind, tags: limits.tags })), ...unopened];
}

export function countedJob(home: HomeRuntime, job: Job): Counted {
  return { home: home.name, kind: job.kind, tags: home.settings.limits(job).tags };
}

export function hostBounds({ settings }: DaemonParts): readonly Bound[] {
  return boundsOf(null, settings.openRunsMax, settings.groupLimits);
}

/** The bounds in force on this host and in these homes, with what is taken of each. */
export function roomOf(parts: DaemonParts, homes: Iterable<HomeRuntime>): Room {
  const ofHomes = new Map([...homes].map((home) => [home.name, home.settings.bounds]));
  return createRoom(hostBounds(parts), ofHomes, countedRuns(parts));
}

/** How many more runs this home may have open now, whatever they are. */
export function roomIn(parts: DaemonParts, home: HomeRuntime): number {
  const unopened = parts.unopened.filter((run) => run.home === home.name).length;
  const inHome = parts.children.inHome(home.name).length + unopened;
  return Math.max(0, Math.min(home.settings.parallelJobsMax - inHome, hostRoom(parts)));
}

/** How many more runs this host may have open now. */
export function hostRoom(parts: DaemonParts): number {
  if (parts.draining) return 0;
  return Math.max(0, parts.settings.openRunsMax - parts.children.all().length - parts.unopened.length);
}

/** What a tick's plan has to know beside that number. */
export function roomForJobs(parts: DaemonParts, home: HomeRuntime, notYet: RoomForJobs["notYet"]): RoomForJobs {
  // Bounds on all runs are counted by `roomIn`, and asking each of fifty due jobs for its tags costs what its start would be late.
  if ([...hostBounds(parts), ...home.settings.bounds].every((bound) => bound.of === "runs"))
    return { used: new Map(), notYet, boundsOf: () => [] };
  const room = roomOf(parts, [home]);
  return { used: room.used, notYet, boundsOf: (job) => room.boundsOf(countedJob(home, job)) };
}

/** What keeps one more run of this job from starting, or null. */
export function boundInTheWay(parts: DaemonParts, home: HomeRuntime, job: Job): Bound | null {
  const room = roomOf(parts, [home]);
  return fullBound(room, room.boundsOf(countedJob(home, job)));
}
