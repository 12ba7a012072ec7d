import type { Run } from "../core/run.ts";
import { nextOutput, type OutputPlace } from "../output/read-output.ts";
import { runFolder } from "../output/run-folder.ts";
import type { CommandParts } from "./command-parts.ts";
import { CommandError, exitCodes } from "./exit-codes.ts";
import { isLifelineHeld } from "./lifeline.ts";
import type { Reader } from "./reader.ts";

const pollMs = 100;
/** A daemon that is started again is back within this time. */
const abandonedMsMax = 5000;
const abandonedPollMs = 500;

/** Passes on what the run printed since `place`. */
export function passOutput(parts: CommandParts, run: Run, place: OutputPlace, act: (bytes: Uint8Array) => void): void {
  for (;;) {
    const part = nextOutput(parts.system.files, parts.stateFolder, run.id, place);
    if (part === null) return;
    act(part);
  }
}

/**
 * Passes on the output until the run has ended, and returns the run as it then is. Throws a `CommandError` where nothing of the run
 * lives and no daemon comes that could say how it ended.
 */
export async function followOutput(
  parts: CommandParts,
  reader: Reader,
  runId: string,
  place: OutputPlace,
  act: (bytes: Uint8Array) => void,
): Promise<Run> {
  const { clock } = parts.system;
  const { alive } = runFolder(parts.stateFolder, runId);
  let lookedMs = clock.monotonicMs();
  let aloneSinceMs: number | null = null;
  for (;;) {
    // Asked first, so that what was printed before the end is passed on after it.
    const run = reader.ledger().run(runId);
    if (run === null)
      throw new CommandError(exitCodes.notFound, "not_found", `Cannot follow run "${runId}": it is gone`);
    passOutput(parts, run, place, act);
    if (run.state !== "claimed" && run.state !== "running") return run;
    const nowMs = clock.monotonicMs();
    if (nowMs - lookedMs >= abandonedPollMs) {
      lookedMs = nowMs;
      const isAlone = !reader.daemon().running && !isLifelineHeld(parts, alive);
      aloneSinceMs = isAlone ? (aloneSinceMs ?? nowMs) : null;
      if (aloneSinceMs !== null && nowMs - aloneSinceMs >= abandonedMsMax) {
        const message = `Cannot follow run "${runId}" to its end: no daemon is running and nothing of the run lives any more, hermes-supervisor start records how it ended`;
        throw new CommandError(exitCodes.noDaemon, "no_daemon", message);
      }
    }
    await new Promise<void>((resolve) => clock.after(pollMs, resolve));
  }
}
