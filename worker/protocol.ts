/** The contract between the daemon and a run: names in the run's folder, descriptors, variables. */

/** Files in `<state>/runs/<run id>/`. */
export const runFiles = {
  /** Lifeline: locked for as long as any process of the run lives. */
  alive: "alive",
  /** Made as the first act behind the opened gate. */
  started: "started",
  /** Made by a program that waits at its gate with everything loaded. */
  loaded: "loaded",
  spec: "spec.json",
  /** Standard output while the run lives; once it has ended, its standard error follows. */
  output: "output.log",
  /** Standard error, apart while the run lives: Hermes' documents want the one without the other. */
  errors: "errors.log",
  /** What the launcher's shell itself says: the only place where a death by signal differs from an exit code above 128. */
  launcher: "launcher.log",
  /** What the worker of a prompt job runs: `JobFile`. */
  job: "job.json",
  /** What came of it: `Answer`. Written by rename, so it is whole when it is there. */
  answer: "answer.json",
  /** Why we asked the run to end, written before the first signal. */
  cause: "cause.json",
  result: "result.json",
  /** `<code>\n`: the job's exit status as the shell counts it. Incomplete without its newline. */
  exit: "exit",
  /** Made by the daemon a moment after the start, while both live: what it dies of later is not this start. */
  outlived: "outlived",
} as const;

/** What opens a gate: one line each, and none of them may hold a newline. */
export interface GateOrder {
  readonly jobId: string;
  readonly attempt: number;
  /** ISO 8601 UTC, or empty for a manual run. */
  readonly scheduledAt: string;
  readonly folder: string;
  readonly program: string;
  readonly argument: string;
}

/** A program that a gate has loaded already, or is to start. */
export type GateProgram = Pick<GateOrder, "folder" | "program" | "argument">;

/** The shell reads a gate byte by byte, so what it was `loaded` with is not told again. */
export function formatGateOrder(order: GateOrder, loaded: GateProgram | null = null): string {
  const { folder, program, argument } = order;
  const isLoaded = loaded?.folder === folder && loaded.program === program && loaded.argument === argument;
  const rest = isLoaded ? [] : [folder, program, argument];
  const lines = [order.jobId, String(order.attempt), order.scheduledAt, ...rest, "go"];
  const broken = lines.find((line) => /[\n\0]/u.test(line));
  if (broken !== undefined)
    throw new TypeError(`Cannot open a gate with ${JSON.stringify(broken)}: a line break or NUL in it`);
  return `${lines.join("\n")}\n`;
}

export const runVariables = {
  runId: "HERMES_SUPERVISOR_RUN_ID",
  jobId: "HERMES_SUPERVISOR_JOB_ID",
  attempt: "HERMES_SUPERVISOR_ATTEMPT",
  scheduledAt: "HERMES_SUPERVISOR_SCHEDULED_AT",
  runFolder: "HERMES_SUPERVISOR_RUN_DIR",
  /** Only where a program waits at the gate by itself: what it was started for. */
  waitsFor: "HERMES_SUPERVISOR_WAITS_FOR",
} as const;

/** What the worker of a prompt job finds in `job.json`. `job` is the record of `jobs.json`, whole. */
export interface JobFile {
  readonly job: unknown;
  readonly execution_id: string | null;
}

/** What the worker of a prompt job says of its run in `answer.json`, by the rules that Hermes keeps in `run_one_job`. */
export interface Answer {
  readonly version: 1;
  readonly success: boolean;
  /** The output document, whole. */
  readonly document: string;
  readonly final_text: string;
  readonly error: string | null;
  readonly status: "ok" | "error" | "blocked_config";
  readonly silent: boolean;
  /** What is to be delivered; null when nothing is. */
  readonly deliver: string | null;
  readonly for_failure: boolean;
  /** Set when the job is blocked by its configuration and nobody was told yet. */
  readonly alert_once: boolean;
  /** What else Hermes would store in the record; null stands for a field that goes. */
  readonly fields: Readonly<Record<string, unknown>>;
  /** Whether the run counts towards `repeat`: not when it tried an occurrence again that has counted. */
  readonly counted: boolean;
  /** Hermes' own record of this failure, to be settled by `settle_incident` once somebody was told. */
  readonly incident: string | null;
  /** Whether the run removed its own job: its result is delivered all the same, where that Hermes looks who removed it. */
  readonly removed_itself: boolean;
  /** The version that ran it. */
  readonly hermes: string;
}
