import { InvariantError } from "./invariant-error.ts";

/** Where the ending of a run stands. */
export type StopState = "running" | "asking" | "leaving" | "killing" | "confirming" | "stuck" | "empty";

/** What can happen to a run that is being ended, or that ended by itself. */
export type StopEvent =
  /** Somebody wants it ended, with a grace. */
  | "stop"
  /** Somebody wants it ended at once. */
  | "stop_now"
  /** The launcher has ended, by itself or not. */
  | "leader_ended"
  | "grace_over"
  /** A look at the machine found processes of the run, at least one of which was asked to leave. */
  | "found_asked"
  /** A look found processes of the run, none of which was asked. */
  | "found"
  | "found_nobody"
  /** Killing has gone on for longer than any process can need. */
  | "bound_reached";

/** What is to be done, in this order. */
export type StopAction =
  /** SIGTERM, then SIGCONT, because a stopped process cannot act on SIGTERM. */
  | "ask"
  | "start_grace"
  | "end_grace"
  | "start_bound"
  | "look"
  | "look_soon"
  /** SIGKILL to all that were found. */
  | "kill"
  /** Nothing helps: say so, and keep trying at a slow pace. The run stays open, so its job cannot start beside it. */
  | "report_stuck"
  | "look_late"
  /** Two looks in a row found nobody. */
  | "report_empty";

export interface StopMove {
  readonly state: StopState;
  readonly actions: readonly StopAction[];
}

const stay = (state: StopState): StopMove => ({ state, actions: [] });

/** Each legal move of a run's ending. Whatever is not here is a fault in this program. */
export const stopLadder: Readonly<Record<StopState, Readonly<Partial<Record<StopEvent, StopMove>>>>> = {
  running: {
    stop: { state: "asking", actions: ["ask", "start_grace"] },
    stop_now: { state: "killing", actions: ["start_bound", "look"] },
    leader_ended: { state: "killing", actions: ["start_bound", "look"] },
  },
  asking: {
    stop: stay("asking"),
    stop_now: { state: "killing", actions: ["end_grace", "start_bound", "look"] },
    leader_ended: { state: "leaving", actions: ["look"] },
    grace_over: { state: "killing", actions: ["start_bound", "look"] },
  },
  leaving: {
    stop: stay("leaving"),
    stop_now: { state: "killing", actions: ["end_grace", "start_bound", "look"] },
    leader_ended: stay("leaving"),
    grace_over: { state: "killing", actions: ["start_bound", "look"] },
    found_asked: { state: "leaving", actions: ["look_soon"] },
    found: { state: "killing", actions: ["end_grace", "start_bound", "kill", "look"] },
    found_nobody: { state: "confirming", actions: ["end_grace", "start_bound", "look"] },
  },
  killing: {
    stop: stay("killing"),
    stop_now: stay("killing"),
    leader_ended: stay("killing"),
    found_asked: { state: "killing", actions: ["kill", "look_soon"] },
    found: { state: "killing", actions: ["kill", "look_soon"] },
    found_nobody: { state: "confirming", actions: ["look"] },
    bound_reached: { state: "stuck", actions: ["report_stuck", "look_late"] },
  },
  confirming: {
    stop: stay("confirming"),
    stop_now: stay("confirming"),
    leader_ended: stay("confirming"),
    found_asked: { state: "killing", actions: ["kill", "look_soon"] },
    found: { state: "killing", actions: ["kill", "look_soon"] },
    found_nobody: { state: "empty", actions: ["report_empty"] },
    bound_reached: { state: "stuck", actions: ["report_stuck", "look_late"] },
  },
  stuck: {
    stop: stay("stuck"),
    stop_now: stay("stuck"),
    leader_ended: stay("stuck"),
    found_asked: { state: "stuck", actions: ["kill", "look_late"] },
    found: { state: "stuck", actions: ["kill", "look_late"] },
    found_nobody: { state: "confirming", actions: ["start_bound", "look"] },
  },
  empty: {
    stop: stay("empty"),
    stop_now: stay("empty"),
    leader_ended: stay("empty"),
  },
};

/** What a reader of `docs/states.md` should know of each. */
export const stopStateMeanings: Readonly<Record<StopState, string>> = {
  running: "Nobody wants it ended.",
  asking: "Its process group got SIGTERM, and its launcher is still there.",
  leaving: "Its launcher has ended after it was asked; what else there is may use the rest of the grace.",
  killing: "Whatever a look at the machine finds gets SIGKILL, and then comes the next look.",
  confirming: "One look found nobody; a second one is to say the same.",
  stuck: "Something cannot be killed. The run stays open, so its job does not start beside it.",
  empty: "Two looks in a row found nobody. Final.",
};

/** The move that `event` causes. Throws when there is none: that is a fault in this program, never in a job. */
export function nextStopMove(runId: string, state: StopState, event: StopEvent): StopMove {
  const move = stopLadder[state][event];
  if (move === undefined) {
    const legal = Object.keys(stopLadder[state]).join(", ");
    throw new InvariantError(`Cannot end run "${runId}": ${event} came while ${state}, legal then are [${legal}]`);
  }
  return move;
}
