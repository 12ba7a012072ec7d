import type { Timer } from "../system/clock.ts";
import type { System } from "../system/system.ts";
import { type Found, findRunProcesses, type RunIdentity } from "./find-run-processes.ts";

/** Between two looks that nothing waits for. Ends that come close together share one. */
const unhurriedMs = 40;

export interface Looks {
  /** One look at the machine for all that asked before it began. */
  find(run: RunIdentity, hurried: boolean): Promise<Found>;
  halt(): void;
}

export function createLooks(system: System): Looks {
  let waiting: { readonly run: RunIdentity; readonly answer: PromiseWithResolvers<Found> }[] = [];
  let timer: Timer | null = null;
  let timerAtMs = Number.POSITIVE_INFINITY;
  let looking = false;
  /** Whether somebody asked in a hurry while a look went on. */
  let hurry = false;

  const look = async (): Promise<void> => {
    timer = null;
    timerAtMs = Number.POSITIVE_INFINITY;
    const asked = waiting;
    waiting = [];
    looking = true;
    try {
      const runs = [...new Map(asked.map(({ run }) => [run.runId, run])).values()];
      const found = await findRunProcesses(system, runs);
      for (const { answer } of asked) answer.resolve(found);
    } catch (error) {
      for (const { answer } of asked) answer.reject(error);
    } finally {
      looking = false;
      if (waiting.length > 0) arm(hurry ? 0 : unhurriedMs);
      hurry = false;
    }
  };

  const arm = (delayMs: number): void => {
    const atMs = system.clock.monotonicMs() + delayMs;
    if (timer !== null && timerAtMs <= atMs) return;
    timer?.cancel();
    timerAtMs = atMs;
    timer = system.clock.after(delayMs, () => void look());
  };

  return {
    find(run, hurried) {
      const answer = Promise.withResolvers<Found>();
      waiting.push({ run, answer });
      if (looking) hurry ||= hurried;
      else arm(hurried ? 0 : unhurriedMs);
      return answer.promise;
    },
    halt: () => timer?.cancel(),
  };
}
