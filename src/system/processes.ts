import type { Fingerprint } from "../core/fingerprint.ts";

export interface SpawnRequest {
  readonly file: string;
  readonly arguments: readonly string[];
  readonly cwd: string;
  readonly environment: Readonly<Record<string, string>>;
  /** Descriptor 1, appended. */
  readonly outputPath: string;
  /** Descriptor 5: the standard error of the job, apart because Hermes keeps only standard output of a success. */
  readonly errorPath: string;
  /** Descriptor 2: what the launcher itself says. */
  readonly launcherPath: string;
  /** Inherited as descriptor 4 with an exclusive flock; our own copy is closed once the child has it. */
  readonly lifelinePath: string;
}

/** How a child that we started came to its end. */
export interface ChildExit {
  readonly exitCode: number | null;
  readonly signal: string | null;
}

/** A launcher at its gate. */
export interface GatedChild {
  readonly fingerprint: Fingerprint;
  /** Writes `text` to descriptor 3 of the child and closes it: the gate opens. */
  open(text: string): void;
  /** Closes descriptor 3 with nothing written: the child leaves without having run anything. */
  discard(): void;
  /** Settles when the child itself has ended; never rejects. */
  readonly ended: Promise<ChildExit>;
}

export interface Processes {
  readonly hostname: string;
  readonly ownPid: number;
  bootId(): string;
  /** Starts a child in a session of its own. Throws when the system refuses. */
  spawnGated(request: SpawnRequest): GatedChild;
  /** The process that has this PID now, or null when there is none (a zombie counts as none). */
  fingerprint(pid: number): Fingerprint | null;
  /** Sends `signal` to the process group that `leader` leads, if the leader is still that very process. True if it was sent. */
  signalGroup(leader: Fingerprint, signal: "SIGTERM" | "SIGCONT" | "SIGKILL"): boolean;
  /** Kills the leader and everything that descends from it. */
  killTree(leader: Fingerprint): Promise<void>;
}
