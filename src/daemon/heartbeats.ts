import { InvariantError } from "../core/invariant-error.ts";
import { findGateway } from "../homes/find-gateway.ts";
import type { DaemonParts } from "./daemon-parts.ts";
import type { HomeRuntime } from "./home-runtime.ts";

/** As often as Hermes' own ticker; `cron status` takes one of 200 s for stalled. */
const beatMs = 60_000;
/** Counted from the first turn: one that ticks once is gone by then, and leaves no sign of a life. */
const firstBeatMs = 1000;

/**
 * Tells `hermes cron status` that a home is served, where no gateway does: with Hermes 0.22 a heartbeat that names a live process is
 * enough. A gateway writes its own, and older releases believe none without one.
 */
export function createHeartbeats(
  parts: Pick<DaemonParts, "system" | "draining">,
  homes: () => ReadonlyMap<string, HomeRuntime>,
): {
  /** To be called often: it looks at the time by itself. */
  beat(): void;
} {
  const { system } = parts;
  const beats = new WeakMap<HomeRuntime, number>();
  let firstAtMonotonicMs: number | null = null;

  function write(home: HomeRuntime, name: string, text: string): void {
    const temporary = `${home.cronFolder}/.hb_${system.random.token(8)}.tmp`;
    // No fsync: what a crash of the machine leaves is old in any case.
    system.files.create(temporary, text, 0o600);
    system.files.rename(temporary, `${home.cronFolder}/${name}`);
  }

  function beatIn(home: HomeRuntime): void {
    if (system.files.stat(home.cronFolder)?.kind !== "folder") return;
    if (findGateway(system, home, homes().get("default") ?? home) !== null) return;
    const seconds = (system.clock.nowMs() / 1000).toFixed(3);
    write(home, "ticker_heartbeat", `${seconds} ${system.processes.ownPid}`);
    write(home, "ticker_last_success", seconds);
  }

  return {
    beat() {
      if (parts.draining) return;
      const now = system.clock.monotonicMs();
      firstAtMonotonicMs ??= now + firstBeatMs;
      for (const home of homes().values()) {
        if (now < (beats.get(home) ?? firstAtMonotonicMs) || home.state.kind !== "active") continue;
        if (home.settings.hermes?.features["heartbeat_writer"] !== true) continue;
        beats.set(home, now + beatMs);
        try {
          beatIn(home);
        } catch (error) {
          if (!(error instanceof Error) || error instanceof InvariantError) throw error;
          // A full disk or a read-only home: whatever else is written there says so, and this is for display alone.
        }
      }
    },
  };
}
