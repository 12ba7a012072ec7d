import { InvariantError } from "./invariant-error.ts";

export type RunState = "claimed" | "running" | "completed" | "failed" | "void";

/** What can be written about a run once its claim is. */
export type RunEvent =
  /** Its gate was opened, or the launcher's own file `started` shows that it was. */
  | "start"
  /** A daemon took over a run that another one left alive. */
  | "adopt"
  /** Its gate stayed closed for good. */
  | "void"
  | "complete"
  | "fail";

/** Each legal move of a run. Whatever is not here is a fault in this program. */
export const runStates: Readonly<Record<RunState, Readonly<Partial<Record<RunEvent, RunState>>>>> = {
  claimed: { start: "running", adopt: "claimed", void: "void", fail: "failed" },
  running: { adopt: "running", complete: "completed", fail: "failed" },
  // The first cause wins, so a second end changes nothing.
  completed: { void: "completed", complete: "completed", fail: "completed" },
  failed: { void: "failed", complete: "failed", fail: "failed" },
  void: { void: "void", complete: "void", fail: "void" },
};

/** What a reader of `docs/states.md` should know of each. */
export const runStateMeanings: Readonly<Record<RunState, string>> = {
  claimed: "It is in the ledger; its gate is closed, or the daemon died before it could write that it opened it.",
  running: "Its gate was opened.",
  completed: "It ended, and did its work. Final.",
  failed: "It ended, and did not; or nobody saw how it ended. Final.",
  void: "Its gate never opened: nothing ran, and it counts as no attempt. Final.",
};

/** The state that `event` brings. Throws when there is none: that is a fault in this program, never in a job. */
export function nextRunState(runId: string, state: RunState, event: RunEvent): RunState {
  const next = runStates[state][event];
  if (next === undefined) {
    const legal = Object.keys(runStates[state]).join(", ");
    throw new InvariantError(`Cannot ${event} run "${runId}": it is ${state}, legal then are [${legal}]`);
  }
  return next;
}
