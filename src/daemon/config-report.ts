import { settingJson } from "../config/format-setting.ts";
import { configFile } from "../config/load-config.ts";
import { type ConfigReport, configJson } from "../status/snapshot.ts";
import type { HomeTable } from "./home-table.ts";
import type { HostConfig } from "./host-config.ts";

/** What is in force, each setting with its source, and what counts over every file as it was said at the start. */
export function configReport(host: HostConfig, table: HomeTable, overrides: ConfigReport["overrides"]): ConfigReport {
  const homes = [...table.homes().values()].map(({ name, path, settings: { shown, configFile: file } }) => ({
    name,
    path,
    file: configJson(file, file.error),
    settings: shown.map(settingJson),
  }));
  const file = configFile(host.path, host.loaded());
  return {
    host: { file: configJson(file, file.error), settings: host.settings().shown.map(settingJson) },
    homes,
    overrides,
  };
}
