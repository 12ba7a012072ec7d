import { limitWarnings } from "../config/limit-warnings.ts";
import { policyWarnings, strayJobEntries } from "../config/policy-warnings.ts";
import type { ConfigError } from "../config/yaml-text.ts";
import { periodMs } from "../core/grace.ts";
import type { CommandParts } from "./command-parts.ts";
import type { Reader } from "./reader.ts";

/** What there is to say about one config file. */
export interface CheckedFile {
  readonly path: string;
  /** Null for the host's own file. */
  readonly home: string | null;
  readonly error: ConfigError | null;
  /** What is passed over, or applies otherwise than it was set, and is no failure. */
  readonly warnings: readonly string[];
}

/** Every config file with its mistakes, and with what in it cannot be met. A warning stands with the file that it comes from. */
export function checkFiles({ system }: CommandParts, reader: Reader): readonly CheckedFile[] {
  const host = reader.host();
  const homes = reader.homes();
  const path = reader.hostConfigPath;
  const all = homes.flatMap((home) => home.jobs);
  const strays = strayJobEntries(all, Object.keys(host.value.values.jobs ?? {}), path);
  const ofHost = new Set([...limitWarnings(reader.hostSettings()), ...strays]);
  const ofHomes = homes.map((home) => {
    const { jobs, settings, hermes, zone } = home;
    const own = strayJobEntries(jobs, Object.keys(home.config.value.section.values.jobs ?? {}), home.configPath);
    const schedules = new Map(jobs.map(({ id, schedule }) => [id, schedule]));
    const policies = policyWarnings(jobs, settings, hermes, ({ id }) => {
      const schedule = schedules.get(id) ?? null;
      return schedule === null ? null : periodMs(schedule, zone, system.clock.nowMs());
    });
    const fromHost = policies.filter((text) => text.includes(`(${path}:`));
    for (const text of fromHost) ofHost.add(text);
    const rest = policies.filter((text) => !fromHost.includes(text));
    return {
      path: home.configPath,
      home: home.name,
      error: home.configError,
      warnings: [...hermes.warnings, ...own, ...rest],
    };
  });
  return [{ path, home: null, error: host.error, warnings: [...ofHost] }, ...ofHomes];
}

/** A file's mistakes, in its order. */
export function allErrors(error: ConfigError | null): readonly ConfigError[] {
  return error === null ? [] : [error, ...error.others];
}
