import { changedSettings, formatChange } from "../config/changed-settings.ts";
import { effectiveSettings, type Settings, type ShownSetting } from "../config/effective-settings.ts";
import { limitWarnings } from "../config/limit-warnings.ts";
import { type InForce, type Loaded, loadHostConfig } from "../config/load-config.ts";
import type { ConfigLayer } from "../config/parse-config.ts";
import type { ConfigError } from "../config/yaml-text.ts";
import type { System } from "../system/system.ts";

/** The host's settings: what is in force, and reading them again. */
export interface HostConfig {
  readonly path: string;
  readonly overrides: readonly ConfigLayer[];
  layer(): ConfigLayer;
  /** Without the sections of homes. */
  settings(): Settings;
  loaded(): Loaded<ConfigLayer>;
  /** Looks at the file again, and says in the log what is new. */
  reload(): void;
}

/** `overrides` and `variables` are what the daemon was started with: they count as long as it lives. */
export function createHostConfig(
  system: Pick<System, "files" | "clock" | "log">,
  path: string,
  overrides: readonly ConfigLayer[],
  variables: Readonly<Record<string, string | undefined>>,
): HostConfig {
  let loaded = loadHostConfig(system, path, null);
  const resolve = (): Settings => effectiveSettings(loaded.value, null, variables, overrides);
  let settings = resolve();
  let said: readonly string[] = [];
  sayWarnings();
  return {
    path,
    overrides,
    layer: () => loaded.value,
    settings: () => settings,
    loaded: () => loaded,
    reload() {
      const before = loaded;
      loaded = loadHostConfig(system, path, before);
      const shown = settings.shown;
      if (loaded.value !== before.value) settings = resolve();
      sayReload(system.log, null, path, before, loaded, shown, settings.shown);
      sayWarnings();
    },
  };

  /** What in the settings cannot be met, once each. */
  function sayWarnings(): void {
    const warnings = limitWarnings(settings);
    for (const warning of warnings) if (!said.includes(warning)) system.log.warn(warning);
    said = warnings;
  }
}

/** How many changes one line of the log names. */
const changesMax = 20;

/** A line for each new state of a file: a content that is in force now, a mistake that keeps it from being so, a mistake that is mended. */
export function sayReload(
  log: System["log"],
  home: string | null,
  path: string,
  before: Pick<Loaded<unknown>, "error" | "inForce">,
  now: Pick<Loaded<unknown>, "error" | "inForce">,
  shownBefore: readonly ShownSetting[],
  shown: readonly ShownSetting[],
): void {
  const whose = home === null ? {} : { home };
  if (now.error !== null) {
    if (now.error.message === before.error?.message) return;
    const changes = changedSettings(shownBefore, shown).map(formatChange);
    log.error("the new configuration is not in force; the last good one is", {
      ...whose,
      ...errorFields(now.error),
      // Hermes' part of a home's file counts also beside a bad section of ours.
      ...(changes.length === 0 ? {} : { changed: changes.slice(0, changesMax) }),
    });
    return;
  }
  if (now.inForce.generation === before.inForce.generation) {
    if (before.error !== null) log.info("the configuration is in force as it stands again", { ...whose, path });
    return;
  }
  const changes = changedSettings(shownBefore, shown).map(formatChange);
  log.info("a new configuration is in force", {
    ...whose,
    path,
    ...inForceFields(now.inForce),
    changed: changes.slice(0, changesMax),
    ...(changes.length > changesMax ? { more: changes.length - changesMax } : {}),
  });
}

function errorFields(error: ConfigError): Readonly<Record<string, unknown>> {
  return { error: error.message, line: error.line, column: error.column, snippet: error.snippet };
}

function inForceFields({ hash, generation }: InForce): Readonly<Record<string, unknown>> {
  return { generation, content_hash: hash };
}
