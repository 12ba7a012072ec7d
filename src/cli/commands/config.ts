import { effectiveSettings, type ShownSetting } from "../../config/effective-settings.ts";
import { formatSetting, settingJson } from "../../config/format-setting.ts";
import type { ConfigError } from "../../config/yaml-text.ts";
import type { CommandParts } from "../command-parts.ts";
import { CommandError, type ExitCode, exitCodes } from "../exit-codes.ts";
import { type Cell, formatJson, formatTable, paint, printable } from "../print.ts";
import { createReader, type HomeReading, type Reader } from "../reader.ts";

export interface ConfigOptions {
  readonly json?: boolean;
}

interface CheckedFile {
  readonly path: string;
  /** Null for the host's own file. */
  readonly home: string | null;
  readonly error: ConfigError | null;
  /** What is passed over because it cannot be used, and is no failure. */
  readonly warnings: readonly string[];
}

export function configPath(parts: CommandParts, options: ConfigOptions): ExitCode {
  const reader = createReader(parts);
  const homes = reader.homes().map((home) => ({ home: home.name, path: home.configPath }));
  parts.terminal.out(options.json ? formatJson({ path: reader.hostConfigPath, homes }) : `${reader.hostConfigPath}\n`);
  return exitCodes.done;
}

export function configCheck(parts: CommandParts, options: ConfigOptions): ExitCode {
  const reader = createReader(parts);
  const { terminal } = parts;
  const files = checkFiles(reader);
  const bad = files.filter((file) => file.error !== null);
  if (options.json) {
    const listed = files.map(({ path, home, error, warnings }) => ({
      path,
      home,
      state: error === null ? "ok" : "invalid",
      errors: allErrors(error).map(({ message, line, column }) => ({ message, line, column })),
      warnings,
    }));
    const first = bad[0]?.error;
    const failure =
      first === null || first === undefined ? {} : { error: { code: "config_invalid", message: first.message } };
    terminal.out(formatJson({ ok: bad.length === 0, files: listed, ...failure }));
    return bad.length === 0 ? exitCodes.done : exitCodes.configInvalid;
  }
  for (const { path, error, warnings } of files) {
    for (const warning of warnings) {
      terminal.out(`${paint(terminal, "yellow", "warning")}  ${printable(path)}: ${printable(warning)}\n`);
    }
    if (error === null && warnings.length === 0) {
      const missing = parts.system.files.stat(path) === null ? " (no such file: the defaults count)" : "";
      terminal.out(`${paint(terminal, "green", "ok")}       ${printable(path)}${missing}\n`);
    }
    if (error === null) continue;
    terminal.out(`${paint(terminal, "red", "invalid")}  ${printable(path)}\n`);
    for (const each of allErrors(error)) {
      const snippet = each.snippet === null ? "" : `${each.snippet.split("\n").map(printable).join("\n")}\n`;
      terminal.error(`${printable(each.message)}\n${snippet}`);
    }
  }
  return bad.length === 0 ? exitCodes.done : exitCodes.configInvalid;
}

export function configShow(parts: CommandParts, options: ConfigOptions): ExitCode {
  const reader = createReader(parts);
  const { terminal } = parts;
  const bad = checkFiles(reader).find((file) => file.error !== null)?.error;
  if (bad) throw new CommandError(exitCodes.configInvalid, "config_invalid", bad.message);
  const host = effectiveSettings(reader.host().value, null, parts.environment).shown;
  const homes = reader.homes().map((home) => ({ home, settings: [...home.settings.shown, ...hermesSettings(home)] }));
  if (options.json) {
    const listed = homes.map(({ home, settings }) => ({
      name: home.name,
      path: home.path,
      settings: settings.map(settingJson),
    }));
    terminal.out(formatJson({ settings: host.map(settingJson), homes: listed }));
    return exitCodes.done;
  }
  const hostText = new Map(host.map((setting) => [setting.key, `${formatSetting(setting)} ${setting.source}`]));
  const columns = [{ title: "SETTING" }, { title: "VALUE", shrinkTo: 12 }, { title: "FROM" }];
  const rows = (settings: readonly ShownSetting[]): Cell[][] =>
    settings.map((setting) => [setting.key, formatSetting(setting), setting.source]);
  terminal.out(formatTable(terminal, columns, rows(host)));
  for (const { home, settings } of homes) {
    // What a home takes over from the host was just said.
    const own = settings.filter(
      (setting) => hostText.get(setting.key) !== `${formatSetting(setting)} ${setting.source}`,
    );
    terminal.out(`\n${paint(terminal, "bold", printable(home.name))}  ${printable(home.path)}\n`);
    terminal.out(formatTable(terminal, columns, rows(own)));
  }
  return exitCodes.done;
}

function checkFiles(reader: Reader): readonly CheckedFile[] {
  return [
    { path: reader.hostConfigPath, home: null, error: reader.host().error, warnings: [] },
    ...reader.homes().map((home) => ({
      path: home.configPath,
      home: home.name,
      error: home.configError,
      warnings: home.hermes.warnings,
    })),
  ];
}

function allErrors(error: ConfigError | null): readonly ConfigError[] {
  return error === null ? [] : [error, ...error.others];
}

function hermesSettings(home: HomeReading): readonly ShownSetting[] {
  const { hermes } = home;
  const { sources } = hermes;
  return [
    { key: "cron.max_parallel_jobs", value: hermes.maxParallelJobs, source: sources.maxParallelJobs },
    { key: "cron.script_timeout_seconds", value: hermes.scriptTimeoutMs / 1000, source: sources.scriptTimeoutMs },
    { key: "cron.output_retention", value: hermes.outputRetention, source: sources.outputRetention },
    { key: "timezone", value: hermes.timezone ?? home.zone.name, source: sources.timezone },
  ];
}
