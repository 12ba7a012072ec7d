import type { Processes } from "./processes.ts";

/** How a program ended that was run to its end, and the beginning of what it printed. */
export interface ProgramAnswer {
  /** Null when it was ended for its time. */
  readonly exitCode: number | null;
  readonly output: string;
}

/** The machine and this program's place on it, for commands that install or examine. */
export interface Host {
  readonly platform: NodeJS.Platform;
  readonly nodeVersion: string;
  readonly nodePath: string;
  /** The script that `nodePath` was started with. */
  readonly programPath: string;
  readonly user: { readonly uid: number; readonly name: string };
  readonly processes: Processes;
  /** Runs a program without input. Null when it cannot be started, as when it is not installed. */
  run(file: string, args: readonly string[], timeoutMs: number): Promise<ProgramAnswer | null>;
}
