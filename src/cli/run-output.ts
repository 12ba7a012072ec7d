import type { Run } from "../core/run.ts";
import { nextOutput, type OutputPlace } from "../output/read-output.ts";
import type { CommandParts } from "./command-parts.ts";
import { CommandError, exitCodes } from "./exit-codes.ts";
import type { Reader } from "./reader.ts";

const pollMs = 100;

/** Passes on what the run printed since `place`. */
export function passOutput(parts: CommandParts, run: Run, place: OutputPlace, act: (bytes: Uint8Array) => void): void {
  for (;;) {
    const part = nextOutput(parts.system.files, parts.stateFolder, run.id, place);
    if (part === null) return;
    act(part);
  }
}

/** Passes on the output until the run has ended, and returns the run as it then is. */
export async function followOutput(
  parts: CommandParts,
  reader: Reader,
  runId: string,
  place: OutputPlace,
  act: (bytes: Uint8Array) => void,
): Promise<Run> {
  for (;;) {
    // Asked first, so that what was printed before the end is passed on after it.
    const run = reader.ledger().run(runId);
    if (run === null)
      throw new CommandError(exitCodes.notFound, "not_found", `Cannot follow run "${runId}": it is gone`);
    passOutput(parts, run, place, act);
    if (run.state !== "claimed" && run.state !== "running") return run;
    await new Promise<void>((resolve) => parts.system.clock.after(pollMs, resolve));
  }
}
