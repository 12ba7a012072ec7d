/** The contract between the daemon and a run: names in the run's folder, descriptors, variables. */

/** Files in `<state>/runs/<run id>/`. */
export const runFiles = {
  /** Lifeline: locked for as long as any process of the run lives. */
  alive: "alive",
  /** Made as the first act behind the opened gate. */
  started: "started",
  spec: "spec.json",
  output: "output.log",
  /** What the launcher's shell itself says: the only place where a death by signal differs from an exit code above 128. */
  launcher: "launcher.log",
  result: "result.json",
  /** `<code>\n`: the job's exit status as the shell counts it. Incomplete without its newline. */
  exit: "exit",
} as const;

/** Descriptors of the launcher. */
export const descriptors = { gate: 3, lifeline: 4 } as const;

export const runVariables = {
  runId: "HERMES_SUPERVISOR_RUN_ID",
  jobId: "HERMES_SUPERVISOR_JOB_ID",
  attempt: "HERMES_SUPERVISOR_ATTEMPT",
  scheduledAt: "HERMES_SUPERVISOR_SCHEDULED_AT",
  runFolder: "HERMES_SUPERVISOR_RUN_DIR",
} as const;
