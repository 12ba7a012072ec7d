import type { System } from "../system/system.ts";
import type { Watch, Watching } from "../system/watch.ts";
import { watchFile } from "../system/watch-file.ts";
import { type Loaded, loadHostConfig } from "./load-config.ts";
import type { ConfigLayer } from "./parse-config.ts";

/** The host's config and what is in force of it. */
export interface HostConfigWatch extends Watching {
  current(): Loaded<ConfigLayer>;
}

/**
 * Reads the host's config now and again whenever the file changes, and calls `changed` with each new reading, good or bad.
 * A bad one keeps the last good value and says what is wrong.
 */
export function watchHostConfig(
  system: Pick<System, "files" | "clock">,
  watch: Watch,
  path: string,
  changed: (loaded: Loaded<ConfigLayer>) => void,
): HostConfigWatch {
  const watching = watchFile(system, watch, path, () => {
    const last = loaded;
    loaded = loadHostConfig(system.files, path, last);
    if (loaded !== last) changed(loaded);
  });
  let loaded = loadHostConfig(system.files, path, null);
  return { current: () => loaded, stop: watching.stop };
}
