import type { System } from "../system/system.ts";
import type { Watch, Watching } from "../system/watch.ts";
import type { HomeTable } from "./home-table.ts";

/** Names in a home's own folder whose change may change what runs there, and how. */
const homeNames: ReadonlySet<string> = new Set([
  "config.yaml",
  ".env",
  "ESTOP",
  "gateway.parked",
  ".drain_request.json",
  "cron",
  "profiles",
]);
const storeNames: ReadonlySet<string> = new Set(["jobs.json", "runtime.db", "admissions"]);
/** Changes that come together are looked at together. */
const quietMs = 15;

/**
 * Watches the folders that decide: the host's settings, the profiles, and of each home its own folder and `cron/`. A missed
 * change is found by the safety tick, so this only has to be quick.
 */
export function watchHomes(
  system: System,
  watch: Watch,
  rootHome: string,
  stateFolder: string,
  table: HomeTable,
  refresh: () => void,
  nudge: (home: string | null) => void,
): { close(): Promise<void> } {
  const watched = new Map<string, readonly Watching[]>();
  let wanted = false;
  let stores = new Set<string>();
  let timer: ReturnType<System["clock"]["after"]> | null = null;

  const settle = (): void => {
    timer = null;
    const changed = stores;
    stores = new Set();
    if (wanted) {
      wanted = false;
      refresh();
      follow();
      nudge(null);
      return;
    }
    for (const home of changed) nudge(home);
  };
  const soon = (): void => {
    timer ??= system.clock.after(quietMs, settle);
  };
  const settingsChanged = (): void => {
    wanted = true;
    soon();
  };
  const storeChanged = (home: string): void => {
    stores.add(home);
    soon();
  };

  /** Watches the homes that are there now, and no other. */
  const follow = (): void => {
    const homes = table.homes();
    for (const [name, watchings] of watched) {
      if (homes.has(name)) continue;
      for (const watching of watchings) watching.stop();
      watched.delete(name);
    }
    for (const home of homes.values()) {
      if (watched.has(home.name)) continue;
      watched.set(home.name, [
        watch.folder(home.path, (name) => (name === null || homeNames.has(name)) && settingsChanged()),
        watch.folder(home.cronFolder, (name) => (name === null || storeNames.has(name)) && storeChanged(home.name)),
      ]);
    }
  };

  watch.folder(stateFolder, (name) => (name === null || name === "config.yaml") && settingsChanged());
  watch.folder(`${rootHome}/profiles`, settingsChanged);
  watch.folder(`${rootHome}/profiles/.deleted`, settingsChanged);
  follow();
  return {
    async close() {
      timer?.cancel();
      await watch.close();
    },
  };
}
