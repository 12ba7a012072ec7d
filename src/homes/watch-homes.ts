import { join } from "node:path";
import type { Timer } from "../system/clock.ts";
import type { System } from "../system/system.ts";
import type { Watch, Watching } from "../system/watch.ts";
import { watchFile } from "../system/watch-file.ts";
import { type FoundHome, identityMarkers, isProfileName } from "./find-homes.ts";

export type HomeChange = "jobs" | "config" | "env" | "hold";

export interface HomesWatch extends Watching {
  /** The homes to watch from now on, as `findHomes` gave them. Read their files after this call: it counts from here. */
  setHomes(homes: readonly FoundHome[]): void;
}

const filesOfHome: readonly (readonly [name: string, change: HomeChange])[] = [
  ["cron/jobs.json", "jobs"],
  ["config.yaml", "config"],
  [".env", "env"],
  ["ESTOP", "hold"],
  [".drain_request.json", "hold"],
  ["gateway.parked", "hold"],
];
/** A newer store's traces: they make a home unsupported, and their going makes it whole again. */
const layoutMarkers: ReadonlySet<string> = new Set(["runtime.db", "admissions"]);
const homesCoalesceMs = 20;

/**
 * Watches the homes below `rootHome`: `changed` names a home and what of it may have to be read again, `homesMayDiffer` says that
 * `findHomes` may find others now. The root's ESTOP and drain request are told of the home `default`; they count for all.
 */
export function watchHomes(
  system: Pick<System, "files" | "clock">,
  watch: Watch,
  rootHome: string,
  changed: (home: string, change: HomeChange) => void,
  homesMayDiffer: () => void,
): HomesWatch {
  const watched = new Map<string, readonly Watching[]>();
  const candidates = new Map<string, Watching>();
  const profiles = join(rootHome, "profiles");
  let pending: Timer | null = null;

  function findAgain(): void {
    pending ??= system.clock.after(homesCoalesceMs, () => {
      pending = null;
      watchCandidates();
      homesMayDiffer();
    });
  }

  /** Folders that may become profiles: only what is in them decides. */
  function watchCandidates(): void {
    let names: readonly string[] = [];
    try {
      if (system.files.stat(profiles)?.kind === "folder") names = system.files.list(profiles).filter(isProfileName);
    } catch {
      // Not readable now: an event or the next look comes when it is, and what is watched stays.
      return;
    }
    for (const [name, watching] of candidates) {
      if (names.includes(name)) continue;
      watching.stop();
      candidates.delete(name);
    }
    for (const name of names) {
      if (candidates.has(name)) continue;
      const markers = new Set(identityMarkers);
      let before = presence(name);
      candidates.set(
        name,
        watch.folder(join(profiles, name), (entry) => {
          if (entry !== null && !markers.has(entry) && entry !== "cron") return;
          const now = presence(name);
          if (now !== before) findAgain();
          before = now;
        }),
      );
    }
  }

  /** Which identity markers are there, so that the mere writing of one does not count. */
  function presence(name: string): string {
    return identityMarkers
      .filter((marker) => {
        try {
          return system.files.statLink(join(profiles, name, marker)) !== null;
        } catch {
          return false;
        }
      })
      .join(" ");
  }

  const structure = [
    watch.folder(rootHome, (name) => {
      if (name === null || name === "profiles") findAgain();
    }),
    watch.folder(profiles, findAgain),
    watch.folder(join(profiles, ".deleted"), findAgain),
  ];
  watchCandidates();

  return {
    setHomes(homes) {
      const wanted = new Map(homes.map((home) => [home.path, home]));
      for (const [path, watchings] of watched) {
        if (wanted.has(path)) continue;
        for (const watching of watchings) watching.stop();
        watched.delete(path);
      }
      for (const { name, path } of homes) {
        if (watched.has(path)) continue;
        watched.set(path, [
          ...filesOfHome.map(([file, change]) =>
            watchFile(system, watch, join(path, file), () => changed(name, change), {
              presenceCounts: change === "hold",
            }),
          ),
          watch.folder(join(path, "cron"), (entry) => {
            if (entry !== null && layoutMarkers.has(entry)) findAgain();
          }),
        ]);
      }
      watchCandidates();
    },
    stop() {
      pending?.cancel();
      for (const watching of [...structure, ...candidates.values(), ...[...watched.values()].flat()]) watching.stop();
      watched.clear();
      candidates.clear();
    },
  };
}
