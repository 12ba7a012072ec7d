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
  /**
   * Runs a program without input, with this program's environment and `variables` over it. Null when it cannot be started, as
   * when it is not installed.
   */
  run(
    file: string,
    args: readonly string[],
    timeoutMs: number,
    variables?: Readonly<Record<string, string>>,
  ): Promise<ProgramAnswer | null>;
  /** The kind of file system that a path lies on, as `mount` names it; null where that is not known. */
  fileSystem(path: string): string | null;
  /** Whether the clock is kept right by another one; null where the system does not say. */
  isClockSynchronised(): boolean | null;
  /** Whether this is a container, which has the clock of its host and cannot set it. */
  isContainer(): boolean;
  /** Whether orphans of what this process starts would become its children. */
  canReap(): boolean;
  /** Whether this process may make control groups below its own. */
  canGroup(): boolean;
  /** The control groups of the runs of this state folder; null where none can be made. */
  groupFolder(stateFolder: string): string | null;
  /** Has a shell run this once it is asked to, and also when this program ends before that, in whatever way. Settles when that is done. */
  atEnd(script: string, args: readonly string[]): () => Promise<void>;
  /** Processes that have a file of this name open, with its whole path. Only those that this user may look at. */
  holdersOf(name: string): readonly { readonly pid: number; readonly path: string; readonly commandLine: string }[];
}
