import type { FoundHomes } from "../homes/find-homes.ts";
import { watchHomes } from "../homes/watch-homes.ts";
import type { System } from "../system/system.ts";
import type { Watch } from "../system/watch.ts";
import { watchFile } from "../system/watch-file.ts";

export interface SourceChanges {
  /** Settings, variables, markers or the list of homes may be others now. */
  settingsChanged(): void;
  /** The jobs of this home may be others now. */
  storeChanged(home: string): void;
}

/**
 * Watches all that decides what runs: the host's settings, and of each home its jobs, settings, variables and markers. A missed
 * change is found by the daemon's safety tick, so this only has to be quick.
 */
export function watchSources(
  system: System,
  watch: Watch,
  rootHome: string,
  hostPath: string,
  find: () => FoundHomes,
  changes: SourceChanges,
): { close(): Promise<void> } {
  const homes = watchHomes(
    system,
    watch,
    rootHome,
    (home, what) => (what === "jobs" ? changes.storeChanged(home) : changes.settingsChanged()),
    () => {
      const found = find();
      if (found.error === null) homes.setHomes(found.homes);
      changes.settingsChanged();
    },
  );
  homes.setHomes(find().homes);
  const host = watchFile(system, watch, hostPath, () => changes.settingsChanged());
  return {
    async close() {
      homes.stop();
      host.stop();
      await watch.close();
    },
  };
}
