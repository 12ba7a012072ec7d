import type { Fingerprint } from "../core/fingerprint.ts";

export interface SpawnRequest {
  readonly runId: string;
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

/** A program that is run to its end beside the runs, within bounds. */
export interface BoundedRequest {
  readonly file: string;
  readonly arguments: readonly string[];
  readonly cwd: string;
  readonly environment: Readonly<Record<string, string>>;
  /** Standard input; without it there is none. */
  readonly inputPath?: string;
  /** Standard output and error, appended. */
  readonly outputPath: string;
  readonly timeoutMs: number;
  /** Files that end it when one of them grows beyond `bytesMax`. */
  readonly watched: readonly string[];
  readonly bytesMax: number;
  /** Ends it before its time. */
  readonly signal?: AbortSignal;
}

/** How a bounded program ended: by itself, or because we killed it and why. */
export interface BoundedEnd extends ChildExit {
  readonly killed: "timeout" | "bytes" | "signal" | null;
}

/** A launcher at its gate. */
export interface GatedChild {
  readonly fingerprint: Fingerprint;
  /** Writes `text` to descriptor 3 of the child and closes it: the gate opens. */
  open(text: string): void;
  /** Closes descriptor 3 with nothing written: the child leaves without having run anything. */
  discard(): void;
  /** Taken hold of while it could not be anything else; null where there was no room for that. To be released by who owns the run. */
  readonly held: HeldProcess | null;
  /** Settles when the child itself has ended; never rejects. */
  readonly ended: Promise<ChildExit>;
}

/** One live process as the system lists it. A zombie is dead and is not listed. */
export interface ProcessRow {
  readonly pid: number;
  readonly parentPid: number;
  readonly groupId: number;
  /** Null where the system does not show it. */
  readonly sessionId: number | null;
  /** In the unit of `Fingerprint.startTicks`: seconds on macOS, where many processes can share one. */
  readonly startTicks: number;
  readonly residentBytes: number;
}

export type StopSignal = "SIGTERM" | "SIGCONT" | "SIGKILL";

/**
 * A process that a signal can be sent to. On Linux it is held by a pidfd: once it is gone, a signal reaches nobody, also
 * when another process has been given its PID. What proves that it is ours is to be looked at after it was taken hold of.
 */
export interface HeldProcess {
  /** False when it is gone. */
  signal(signal: StopSignal): boolean;
  /** To the whole process group that it leads, at one moment. False where the system cannot do that without going by the number alone. */
  signalGroup(signal: StopSignal): boolean;
  release(): void;
}

/** Control groups of runs, where this machine lets us make them. What is in one got there by descent. */
export interface RunGroups {
  /** Makes a group for a run and answers its folder, which the launcher enters by itself; null when it cannot be made. */
  make(runId: string): string | null;
  /** Everything in the run's group and in groups below it; empty when there is no group. */
  members(runId: string): readonly number[];
  /** Kills all members at one moment, those being forked too. False where that cannot be done. */
  kill(runId: string): boolean;
  /** Removes the group once it is empty; one that is not stays. */
  remove(runId: string): void;
  /** Runs with a group, also of an earlier daemon. */
  list(): readonly string[];
}

/** A mark that every process of a run inherits from its launcher, whatever else it sheds. */
export interface RunMarks {
  of(runId: string): string;
  /** The mark that a process carries, of whatever run; null without one. */
  seenOn(pid: number): string | null;
}

export interface Processes {
  readonly hostname: string;
  readonly ownPid: number;
  /** How many processes can run at once. */
  readonly cores: number;
  /** Memory that could be used without taking it from anybody, within the limit of a container. */
  availableBytes(): number;
  /**
   * Whether orphans of our runs become our own children: `subreaper` when only ours do, `init` when others do
   * too, because we are the first process of the machine or container or had children before we began: being our child then proves nothing.
   */
  readonly reaping: "none" | "subreaper" | "init";
  /** Null where we may make no control groups. */
  readonly groups: RunGroups | null;
  /** Null where processes cannot be marked. With it, an orphan that carries no mark is a stranger. */
  readonly marks: RunMarks | null;
  /** Whether the system shows with what environment a process was started. */
  readonly showsEnvironment: boolean;
  bootId(): string;
  /** Starts a child in a session of its own. Throws when the system refuses. */
  spawnGated(request: SpawnRequest): GatedChild;
  /** Runs a program without input and output to its end, for a few seconds at most; null when it could not or did not end by itself. */
  exitStatus(
    file: string,
    args: readonly string[],
    environment: Readonly<Record<string, string>>,
  ): Promise<number | null>;
  /** Runs a program in a session of its own. Rejects when the system refuses to start it. */
  runBounded(request: BoundedRequest): Promise<BoundedEnd>;
  /** The process that has this PID now, or null when there is none (a zombie counts as none). */
  fingerprint(pid: number): Fingerprint | null;
  /** All live processes. Yields to the loop in between on a machine with many, so it is no snapshot of one moment. */
  list(): Promise<readonly ProcessRow[]>;
  /** The PIDs of all processes, zombies too, at about one moment; empty where the system cannot tell them that fast. */
  pids(): readonly number[];
  /** One process as it is now. */
  look(pid: number): ProcessRow | null;
  /** A variable of the environment that a process was started with; null when it is not there or cannot be seen. */
  startedWith(pid: number, name: string): string | null;
  /** Whether an open file of the process carries the flock on the file at `path`. Having the file open proves nothing. */
  carriesLock(pid: number, path: string): boolean;
  /** Memory of the process with shared pages counted in part, or null when it cannot be told. */
  proportionalBytes(pid: number): number | null;
  /** Whether we started this process ourselves and have not been told of its end yet. */
  isOwnChild(pid: number): boolean;
  /** Our children as the kernel lists them, without a look at all processes; null where it has no such list. */
  childPids(): readonly number[] | null;
  /** Takes hold of a process; null when there is none with this PID. */
  hold(pid: number): HeldProcess | null;
  /** Kills the leader and everything that descends from it, where there is no /proc to find it by. */
  killTree(leader: Fingerprint): Promise<void>;
}
