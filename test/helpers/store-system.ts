import { createLocks } from "../../src/system/flock.ts";
import { createRandom } from "../../src/system/random.ts";
import { createClock } from "../../src/system/real-clock.ts";
import { createFiles } from "../../src/system/real-files.ts";
import type { System } from "../../src/system/system.ts";

/** What a job store needs of the outside world, all of it real. */
export function createStoreSystem(): Pick<System, "clock" | "files" | "locks" | "random"> {
  return { clock: createClock(), files: createFiles(), locks: createLocks(), random: createRandom() };
}
