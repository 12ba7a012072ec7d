import type { Host } from "../system/host.ts";
import type { System } from "../system/system.ts";
import type { Terminal } from "./print.ts";

/** The parts of the outside world that a reading command needs. Starting processes is not among them, which is slow to load. */
export type ReadingSystem = Pick<System, "clock" | "files" | "locks" | "random">;

/** What every command is handed. */
export interface CommandParts {
  readonly system: ReadingSystem;
  readonly terminal: Terminal;
  /** Only read, never written. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly version: string;
  readonly rootHome: string;
  /** Somebody named the home, by `--home` or by `HERMES_HOME`. */
  readonly isHomeNamed: boolean;
  readonly stateFolder: string;
  /** Calls `act` at each Ctrl-C from now on, beside whatever else does. */
  readonly onInterrupt: (act: () => void) => void;
  /** Calls `act` when SIGTERM or SIGHUP is about to end the program; where something else minds that signal, it is not called. */
  readonly onEnd: (act: () => void) => void;
  /** Puts a question to whoever sits at the terminal and says whether the answer is yes; null where nobody can be asked. */
  readonly ask: ((question: string) => Promise<boolean>) | null;
  /** For the few commands that look at the machine itself: starting processes is slow to load. */
  loadHost(): Promise<Host>;
}
