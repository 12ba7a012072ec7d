import type { DaemonParts } from "./daemon-parts.ts";
import type { HomeRuntime, StandingLook } from "./home-runtime.ts";
import type { Look } from "./stage-claims.ts";

/** Whatever might be overlooked here is found after so long. */
const standsMsMax = 600_000;

/** Null where the next tick may find more to do than this one, although the home's files are the same and nothing is due. */
export function standingLook({ system }: DaemonParts, home: HomeRuntime, look: Look): StandingLook | null {
  if (!look.plan.isQuiet || look.input.hold !== null) return null;
  return { snapshot: look.snapshot, settings: home.settings, sinceMonotonicMs: system.clock.monotonicMs() };
}

/**
 * Whether another tick would find what the last one did: most looks at most homes end here, with a glance at their files. Throws
 * where they cannot be read. An instant that has come is not seen here, since the home is ticked for it in any case.
 */
export function isStanding({ system, children }: DaemonParts, home: HomeRuntime): boolean {
  const { standing } = home;
  return (
    standing !== null &&
    home.state.kind === "active" &&
    home.settings === standing.settings &&
    system.clock.monotonicMs() - standing.sinceMonotonicMs < standsMsMax &&
    // What is left to be written of a run is written by ticks.
    children.inHome(home.name).length === 0 &&
    home.lockBusy === null &&
    home.restored.size === 0 &&
    home.unvoided.size === 0 &&
    home.isCleared &&
    home.store.read() === standing.snapshot &&
    home.hold() === null
  );
}
