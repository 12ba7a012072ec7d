import type { Run } from "../core/run.ts";
import type { RunState } from "../core/run-states.ts";
import { type Colour, formatLength } from "./print.ts";

/** A job's name with its profile before it, where it is not the root home's. */
export function jobLabel(home: string, name: string): string {
  return home === "default" ? name : `${home}/${name}`;
}

export const stateColours: Readonly<Record<RunState, Colour>> = {
  claimed: "blue",
  running: "blue",
  completed: "green",
  failed: "red",
  void: "dim",
};

export function formatTook(run: Run, nowMs: number): string {
  return run.startedAtMs === null ? "" : formatLength((run.endedAtMs ?? nowMs) - run.startedAtMs);
}

/** The state, with what ended the run where it did not complete. */
export function formatEnd(run: Run): string {
  if (run.state !== "failed") return run.state;
  if (run.reason === "exit") return `failed: exit ${run.exitCode}`;
  return `failed: ${run.reason === "signal" ? run.signal : run.reason}`;
}
