/** How this program ends. Scripts rely on the numbers. */
export const exitCodes = {
  done: 0,
  /** It did not work: the run failed, a check found something. */
  failed: 1,
  usage: 2,
  configInvalid: 3,
  /** No such job or run, or the name is not unique. */
  notFound: 4,
  /** Needs the daemon, and none is running. */
  noDaemon: 5,
  /** Another daemon holds this state folder. */
  daemonRunning: 6,
} as const;

export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

/** Ends a command with a message for its caller. `code` is the word that `--json` gives for it. */
export class CommandError extends Error {
  override readonly name = "CommandError";
  readonly code: string;
  readonly exitCode: ExitCode;
  constructor(exitCode: ExitCode, code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.exitCode = exitCode;
    this.code = code;
  }
}
