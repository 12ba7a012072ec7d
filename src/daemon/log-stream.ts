import { nextOutput, type OutputPlace } from "../output/read-output.ts";
import type { Sink, StreamAnswer } from "../status/control-actions.ts";
import type { Timer } from "../system/clock.ts";
import type { DaemonParts } from "./daemon-parts.ts";

/** How often a run that goes on is looked at for more. */
const pollMs = 100;

/**
 * What a run printed from `place` on, to the end of the run with `follow`, else to where it is now. It is read piece by piece, as
 * fast as the reader takes it, and whatever else there is to do comes in between.
 */
export function streamOutput(parts: DaemonParts, runId: string, place: OutputPlace, follow: boolean): StreamAnswer {
  const { clock, files, log } = parts.system;
  return {
    status: 200,
    type: "text/plain; charset=utf-8",
    open(sink: Sink) {
      let timer: Timer | null = null;
      let isOver = false;
      const later = (delayMs: number): void => {
        if (!isOver) timer = clock.after(delayMs, () => guarded(pass));
      };
      const isOpen = (): boolean => {
        const state = parts.ledger.run(runId)?.state;
        return state === "claimed" || state === "running";
      };
      function pass(): void {
        if (isOver) return;
        // Asked first, so that what was printed before the end is passed on after it.
        const goesOn = follow && isOpen();
        const part = nextOutput(files, parts.stateFolder, runId, place);
        if (part === null) {
          if (goesOn) later(pollMs);
          else sink.end();
        } else if (sink.write(part)) later(0);
        else sink.drained(() => later(0));
      }
      function guarded(act: () => void): void {
        try {
          act();
        } catch (error) {
          // The reader sees that it is broken off; nobody else is to hear of it.
          log.warn("what a run printed could not be passed on", { run_id: runId, error: String(error) });
          sink.drop();
        }
      }
      later(0);
      return () => {
        isOver = true;
        timer?.cancel();
      };
    },
  };
}
