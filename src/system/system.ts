import type { Clock } from "./clock.ts";
import type { Files } from "./files.ts";
import type { Locks } from "./lock.ts";
import type { Logger } from "./logger.ts";
import type { Processes } from "./processes.ts";
import type { Random } from "./random.ts";

/** Everything outside this program. Real in `main.ts`, fake in tests; no other code reaches past it. */
export interface System {
  readonly clock: Clock;
  readonly files: Files;
  readonly locks: Locks;
  readonly processes: Processes;
  readonly random: Random;
  readonly log: Logger;
}
