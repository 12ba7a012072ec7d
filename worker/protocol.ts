/** The contract between the daemon and a run: names in the run's folder, descriptors, variables. */

/** Files in `<state>/runs/<run id>/`. */
export const runFiles = {
  /** Lifeline: locked for as long as any process of the run lives. */
  alive: "alive",
  /** Made as the first act behind the opened gate. */
  started: "started",
  spec: "spec.json",
  /** Standard output while the run lives; once it has ended, its standard error follows. */
  output: "output.log",
  /** Standard error, apart while the run lives: Hermes' documents want the one without the other. */
  errors: "errors.log",
  /** What the launcher's shell itself says: the only place where a death by signal differs from an exit code above 128. */
  launcher: "launcher.log",
  /** Why we asked the run to end, written before the first signal. */
  cause: "cause.json",
  result: "result.json",
  /** `<code>\n`: the job's exit status as the shell counts it. Incomplete without its newline. */
  exit: "exit",
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
} as const;
