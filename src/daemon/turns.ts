import { InvariantError } from "../core/invariant-error.ts";
import { newestDueMs } from "../core/newest-due.ts";
import type { DueJob } from "../core/plan-tick.ts";
import { shareRoom, type Waiter, type WaitsFor } from "../core/share-room.ts";
import type { DaemonParts } from "./daemon-parts.ts";
import type { HomeRuntime } from "./home-runtime.ts";
import { createPressureGate, pressureLookMs } from "./pressure-gate.ts";
import { countedJob, hostRoom, roomIn, roomOf } from "./room-for-runs.ts";
import { countDue, dueJobs } from "./tick.ts";

/** Shares scarce room between homes. */
export interface Turns {
  /** Whether homes that are about to be ticked have to ask whose turn it is: not where each can have what it wants. */
  isScarce(due: readonly HomeRuntime[]): boolean;
  /**
   * Decides whose turn it is among homes that are about to be ticked if room is scarce, and puts them into that order. Jobs
   * whose turn it is not stand in `home.waitsFor`.
   */
  share(due: readonly HomeRuntime[], isScarce: boolean): readonly HomeRuntime[];
  /** These jobs of a home have been claimed. */
  started(home: HomeRuntime, jobIds: readonly string[]): void;
  /** To be called after the ticks: places that nobody took are offered to the others. */
  finish(): void;
}

/** A home that could not take the places that it was given, because somebody holds its lock, comes after the others for so long. */
const asideMs = 1000;

export function createTurns(parts: DaemonParts, wake: () => void): Turns {
  const { system } = parts;
  const shortages = createPressureGate(parts);
  const turns = new Map<string, number>();
  const agedTurns = new Map<string, number>();
  /** By home and job, since when it has waited for the instant that it is due for. */
  const waits = new Map<string, ReadonlyMap<string, Pick<Waiter, "dueAtMs" | "sinceMs">>>();
  /** By home, how long it is left out of account (monotonic ms). */
  const asideUntil = new Map<string, number>();
  let turn = 0;
  let sharing: readonly HomeRuntime[] = [];
  let given = new Map<string, number>();
  let isLookingAgain = false;

  function waitersOf(home: HomeRuntime, nowMs: number): readonly Waiter[] {
    const before = waits.get(home.name);
    const found = quietly(() => (home.settings.usable ? dueJobs(parts, home) : []), []).map((due): Waiter => {
      const { job, dueAtMs } = due;
      const known = before?.get(job.id);
      const sinceMs = known?.dueAtMs === dueAtMs ? known.sinceMs : nowMs;
      return { ...countedJob(home, job), jobId: job.id, dueAtMs, newestAtMs: newestOf(home, due, nowMs), sinceMs };
    });
    waits.set(home.name, new Map(found.map((waiter) => [waiter.jobId, waiter])));
    return found;
  }

  function newestOf(home: HomeRuntime, due: DueJob, nowMs: number): number {
    const { policy, zone } = home.settings;
    return newestDueMs(due, home.cursors.get(due.job.id)?.owed, policy(due.job).misfire, nowMs, zone);
  }

  function isScarce(due: readonly HomeRuntime[]): boolean {
    const { groupLimits, pressureMax } = parts.settings;
    if (parts.draining) return false;
    if (pressureMax.memory !== null || pressureMax.cpu !== null) return true;
    if (Object.keys({ ...groupLimits.classes, ...groupLimits.tags }).length > 0) return true;
    if (due.some(({ settings }) => settings.bounds.some(({ of }) => of !== "runs"))) return true;
    if (due.length < 2) return false;
    const demands = due.map((home) => quietly(() => Math.min(roomIn(parts, home), countDue(parts, home)), 0));
    return demands.reduce((sum, demand) => sum + demand, 0) > hostRoom(parts);
  }

  /** Late work that waits for the machine is looked at again: nothing would tell. */
  function lookAgain(homes: readonly HomeRuntime[]): void {
    if (isLookingAgain) return;
    isLookingAgain = true;
    system.clock.after(pressureLookMs, () => {
      isLookingAgain = false;
      for (const home of homes) home.dirty = true;
      wake();
    });
  }

  return {
    isScarce,
    share(due, scarce) {
      const now = system.clock.monotonicMs();
      for (const home of due) home.waitsFor = new Map();
      sharing = [];
      given = new Map();
      if (!scarce) return due;
      sharing = due.filter((home) => (asideUntil.get(home.name) ?? 0) <= now);
      const nowMs = system.clock.nowMs();
      const { order, waitMaxMs } = parts.settings;
      const { granted, waiting } = shareRoom({
        nowMs,
        waiters: sharing.flatMap((home) => waitersOf(home, nowMs)),
        room: roomOf(parts, due),
        order,
        waitMaxMs,
        turns,
        agedTurns,
        shortages: shortages(),
      });
      for (const { home } of granted) given.set(home, (given.get(home) ?? 0) + 1);
      const byHome = Map.groupBy(waiting, ([{ home }]) => home);
      for (const home of sharing) {
        const ofHome = (byHome.get(home.name) ?? []).map(([{ jobId }, why]): [string, WaitsFor] => [jobId, why]);
        home.waitsFor = new Map(ofHome);
      }
      const pressed = sharing.filter(({ waitsFor }) => [...waitsFor.values()].some(({ kind }) => kind === "pressure"));
      if (pressed.length > 0) lookAgain(pressed);
      const first = sharing.filter(({ name }) => given.has(name));
      const places = new Map([...given.keys()].map((name, place) => [name, place]));
      first.sort((a, b) => (places.get(a.name) ?? 0) - (places.get(b.name) ?? 0));
      const rest = due.filter((home) => !given.has(home.name));
      return [
        ...first,
        ...rest.filter((home) => sharing.includes(home)),
        ...rest.filter((home) => !sharing.includes(home)),
      ];
    },
    started(home, jobIds) {
      turn += 1;
      turns.set(home.name, turn);
      given.set(home.name, (given.get(home.name) ?? 0) - jobIds.length);
      const since = waits.get(home.name);
      const agedMs = system.clock.nowMs() - parts.settings.waitMaxMs;
      if (jobIds.some((jobId) => (since?.get(jobId)?.sinceMs ?? Number.POSITIVE_INFINITY) <= agedMs))
        agedTurns.set(home.name, turn);
    },
    finish() {
      const now = system.clock.monotonicMs();
      for (const [name, until] of asideUntil) if (until <= now) asideUntil.delete(name);
      const idle = sharing.filter(({ name }) => (given.get(name) ?? 0) > 0);
      for (const { name } of idle) asideUntil.set(name, now + asideMs);
      if (idle.length === 0) return;
      for (const home of sharing) if (!idle.includes(home) && home.waitsFor.size > 0) home.dirty = true;
    },
  };
}

/** What cannot be read now is said by the home's own tick. */
function quietly<Value>(look: () => Value, otherwise: Value): Value {
  try {
    return look();
  } catch (error) {
    if (!(error instanceof Error) || error instanceof InvariantError) throw error;
    return otherwise;
  }
}
