import {
  type DeliveryEvent,
  type DeliveryState,
  deliveryStateMeanings,
  deliveryStates,
} from "../../src/core/delivery.ts";
import { type RunEvent, type RunState, runStateMeanings, runStates } from "../../src/core/run-states.ts";
import {
  type StopAction,
  type StopEvent,
  type StopState,
  stopLadder,
  stopStateMeanings,
} from "../../src/core/stop-ladder.ts";

const runEvents: Readonly<Record<RunEvent, string>> = {
  start: "the gate was opened",
  adopt: "a later daemon took the living run over",
  void: "the gate stayed closed for good",
  complete: "it ended, and did its work",
  fail: "it ended, and did not; or nobody saw how",
};

const deliveryEvents: Readonly<Record<DeliveryEvent, string>> = {
  hand: "it was given to a gateway, or to a process that sends it",
  withdraw: "it was taken back before anybody had begun to send it",
  retry: "it was tried, and is known not to have been sent",
  deliver: "Hermes says that it was sent",
  suppress: "nobody is to be bothered with it",
  fail: "it was not sent, or not to all, or nobody could be found for it",
  lose: "whoever was sending it ended without a word",
};

const stopEvents: Readonly<Record<StopEvent, string>> = {
  stop: "somebody wants it ended, with a grace",
  stop_now: "somebody wants it ended at once",
  leader_ended: "the launcher has ended, by itself or not",
  grace_over: "the grace is over",
  found_asked: "a look found processes, at least one of which was asked to leave",
  found: "a look found processes, none of which was asked",
  found_nobody: "a look found nobody",
  bound_reached: "killing has gone on for longer than any process can need",
};

const stopActions: Readonly<Record<StopAction, string>> = {
  ask: "SIGTERM, then SIGCONT, to the run's process group",
  start_grace: "start the timer of the grace",
  end_grace: "cancel it",
  start_bound: "start the timer that ends in `bound_reached`",
  look: "look at the machine for processes of the run",
  look_soon: "the same, a few milliseconds later",
  look_late: "the same, a second later",
  kill: "SIGKILL to all that were found, each proven again after it was taken hold of",
  report_stuck: "say so in the log",
  report_empty: "the run is over: record its end",
};

/** The tables of a run's states and of its stopping: path in the repository, and content. */
export function stateDocuments(): ReadonlyMap<string, string> {
  return new Map([["docs/states.md", markdown()]]);
}

function markdown(): string {
  return `<!-- Made from src/core/run-states.ts, src/core/stop-ladder.ts and src/core/delivery.ts by test/write-state-documents.ts. -->
# States

Three tables of the code, printed. A move that is not in them ends the daemon at once: it would be a fault in this program, and
starting again is the tested path.

## A run

What the ledger (\`supervisor.db\`) says of a run. A row is written as \`claimed\`, before anything of it can run, and moves only by
these events.

${diagram(runStates, (next) => next)}

${meanings(runStateMeanings)}

${matrix(Object.keys(runEvents), runStates, (next, state) => (next === state ? "stays" : next))}

${glossary("event", runEvents)}

A second end of a run that is over changes nothing: the first cause stays.

## The end of a run

How the processes of a run are ended: asked for, after a limit, after a crash of the daemon, and after every normal end, where the
ladder begins at the launcher's end.

${diagram(stopLadder, (move) => move.state)}

${meanings(stopStateMeanings)}

In a cell: the next state, and what is done, in this order.

${matrix(Object.keys(stopEvents), stopLadder, (move, state) =>
  [move.state === state ? "stays" : move.state, ...move.actions.map((action) => `\`${action}\``)].join("<br>"),
)}

${glossary("event", stopEvents)}

${glossary("action", stopActions)}

## A delivery

What becomes of a run's result, where it is to go to a chat. Its row is written together with the run's end. It never changes how
the run ended.

${diagram(deliveryStates, (next) => next)}

${meanings(deliveryStateMeanings)}

${matrix(Object.keys(deliveryEvents), deliveryStates, (next, state) => (next === state ? "stays" : next))}

${glossary("event", deliveryEvents)}
`;
}

type Moves<State extends RunState | StopState | DeliveryState, Move> = Readonly<
  Record<State, Readonly<Partial<Record<string, Move>>>>
>;

function diagram<State extends RunState | StopState | DeliveryState, Move>(
  table: Moves<State, Move>,
  next: (move: Move) => string,
): string {
  const lines = rowsOf(table).flatMap(([from, moves]) => {
    const byTarget = new Map<string, string[]>();
    for (const [event, move] of Object.entries(moves)) {
      if (move === undefined || next(move) === from) continue;
      byTarget.set(next(move), [...(byTarget.get(next(move)) ?? []), event]);
    }
    return [...byTarget].map(([to, events]) => `  ${from} --> ${to}: ${events.join(", ")}`);
  });
  const [first] = Object.keys(table);
  return ["```mermaid", "stateDiagram-v2", `  [*] --> ${first}`, ...lines, "```"].join("\n");
}

function matrix<State extends RunState | StopState | DeliveryState, Move>(
  events: readonly string[],
  table: Moves<State, Move>,
  print: (move: Move, state: State) => string,
): string {
  const rows = rowsOf(table).map(([state, moves]) => [
    `**${state}**`,
    ...events.map((event) => {
      const move = moves[event];
      return move === undefined ? "–" : print(move, state);
    }),
  ]);
  return tableOf(["", ...events.map((event) => `\`${event}\``)], rows);
}

function meanings(texts: Readonly<Record<string, string>>): string {
  return tableOf(
    ["state", "meaning"],
    Object.entries(texts).map(([state, text]) => [`**${state}**`, text]),
  );
}

function glossary(title: string, texts: Readonly<Record<string, string>>): string {
  return tableOf(
    [title, ""],
    Object.entries(texts).map(([name, text]) => [`\`${name}\``, text]),
  );
}

function rowsOf<State extends string, Moves>(
  table: Readonly<Record<State, Moves>>,
): readonly (readonly [State, Moves])[] {
  return Object.entries(table) as [State, Moves][];
}

function tableOf(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...rows.map(line)].join("\n");
}
