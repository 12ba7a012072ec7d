import { jobSettings, type ShownSetting } from "../../config/effective-settings.ts";
import { formatSetting, settingJson } from "../../config/format-setting.ts";
import { type JobKey, jobRules } from "../../config/job-rules.ts";
import { shownHermesSettings } from "../../homes/home-config.ts";
import type { SettingJson } from "../../status/snapshot.ts";
import { cannotBeServed } from "../../status/view.ts";
import type { CommandParts } from "../command-parts.ts";
import { checkFiles } from "../config-findings.ts";
import { openConfig } from "../config-reader.ts";
import { CommandError, type ExitCode, exitCodes } from "../exit-codes.ts";
import { type Cell, formatJson, formatTable, paint, printable, type Terminal } from "../print.ts";
import type { HomeReading, JobReading } from "../reader.ts";

export interface ConfigShowOptions {
  readonly json?: boolean;
  readonly set?: readonly string[];
}

interface Shown {
  readonly host: readonly SettingJson[];
  readonly homes: readonly {
    readonly name: string;
    readonly path: string;
    readonly settings: readonly SettingJson[];
  }[];
}

/**
 * Of the host and every home, or of the one home or job that `what` names. While a file is broken it is what the daemon has in force,
 * if one runs, and the exit code still says that the file is.
 */
export async function configShow(
  parts: CommandParts,
  what: string | undefined,
  options: ConfigShowOptions,
): Promise<ExitCode> {
  const { reader, errors, daemon } = await openConfig(parts, { set: options.set });
  const { terminal } = parts;
  const bad = checkFiles(parts, reader).find((file) => file.error !== null)?.error ?? null;
  const failure = errors[0] ?? bad?.message;
  const refuse = (message: string) => new CommandError(exitCodes.configInvalid, "config_invalid", message);
  if (failure !== undefined && (errors.length > 0 || daemon === null)) throw refuse(failure);
  const homes = reader.homes();
  const shown: Shown =
    bad !== null && daemon !== null
      ? { host: daemon.host.settings, homes: daemon.homes.map(withZone(homes)) }
      : {
          host: reader.hostSettings().shown.map(settingJson),
          homes: homes.map((home) => ({ name: home.name, path: home.path, settings: shownOf(home).map(settingJson) })),
        };
  const only = what === undefined ? null : (shown.homes.find(({ name }) => name === what) ?? null);
  if (what !== undefined && only === null) {
    if (failure !== undefined) throw refuse(failure);
    return showJob(terminal, homes, reader.job(what), options);
  }
  if (options.json) {
    const listed = ({ name, path, settings }: Shown["homes"][number]) => ({ name, path, settings });
    const told = only === null ? { settings: shown.host, homes: shown.homes.map(listed) } : listed(only);
    const error = failure === undefined ? {} : { error: { code: "config_invalid", message: failure } };
    terminal.out(formatJson({ ...told, ...error }));
  } else {
    if (only === null) printAll(terminal, shown);
    else terminal.out(formatTable(terminal, columns, rows(only.settings)));
    if (bad !== null) {
      const snippet = bad.snippet === null ? "" : `${bad.snippet.split("\n").map(printable).join("\n")}\n`;
      terminal.error(`This is what the daemon has in force. ${printable(bad.message)}\n${snippet}`);
    }
  }
  return failure === undefined ? exitCodes.done : exitCodes.configInvalid;
}

/** Without a zone that is set it is the server's, which the daemon has no name for in its answer. */
function withZone(homes: readonly HomeReading[]): (home: Shown["homes"][number]) => Shown["homes"][number] {
  return (home) => {
    const zone = homes.find(({ name }) => name === home.name)?.zone.name ?? null;
    const settings = home.settings.map((each) =>
      each.key === "timezone" && each.value === null ? { ...each, value: zone } : each,
    );
    return { ...home, settings };
  };
}

function printAll(terminal: Terminal, { host, homes }: Shown): void {
  const textOf = (setting: SettingJson): string => `${formatSetting(setting)} ${setting.source}`;
  const hostText = new Map(host.map((setting) => [setting.key, textOf(setting)]));
  terminal.out(formatTable(terminal, columns, rows(host)));
  for (const { name, path, settings } of homes) {
    // What a home takes over from the host was just said.
    const own = settings.filter((setting) => hostText.get(setting.key) !== textOf(setting));
    terminal.out(`\n${paint(terminal, "bold", printable(name))}  ${printable(path)}\n`);
    terminal.out(formatTable(terminal, columns, rows(own)));
  }
}

const columns = [{ title: "SETTING" }, { title: "VALUE", shrinkTo: 12 }, { title: "FROM", shrinkTo: 16 }];

function rows(settings: readonly SettingJson[], labelOf = ({ key }: SettingJson): string => key): Cell[][] {
  return settings.map((setting) => [labelOf(setting), formatSetting(setting), setting.source]);
}

function shownOf(home: HomeReading): readonly ShownSetting[] {
  return [...home.settings.shown, ...shownHermesSettings(home.hermes, home.config.value.hermesSources)].map(
    (setting) =>
      setting.key === "timezone" && setting.value === null ? { ...setting, value: home.zone.name } : setting,
  );
}

function showJob(
  terminal: Terminal,
  homes: readonly HomeReading[],
  { home: name, job, id }: JobReading,
  options: ConfigShowOptions,
): ExitCode {
  const home = homes.find((each) => each.name === name);
  if (home === undefined || job === null) {
    const why =
      home !== undefined && cannotBeServed(home.state)
        ? `home "${name}" cannot be read: ${home.reason ?? "nobody knows why"}`
        : "only the history knows this job, expected one that is there";
    const message = `Cannot show what counts for "${id}": ${why}`;
    throw new CommandError(exitCodes.notFound, "not_found", message);
  }
  const settings = jobShown(home, job).map(settingJson);
  terminal.out(
    options.json
      ? formatJson({ home: name, job_id: job.id, job_name: job.name, settings })
      : `${paint(terminal, "bold", printable(`${name}/${job.name}`))}  ${job.id}\n${formatTable(terminal, columns, rows(settings, lastName))}`,
  );
  return exitCodes.done;
}

/** What counts for one job, each with the entry that sets it: by id, by name, for all jobs, or what decides where none does. */
function jobShown(home: HomeReading, job: NonNullable<JobReading["job"]>): readonly ShownSetting[] {
  const { settings, hermes } = home;
  const shown = new Map(settings.shown.map((setting) => [setting.key, setting]));
  const { timeoutMs, timeoutAskedMs } = jobSettings(settings, hermes.scriptTimeoutMs, job);
  return (Object.keys(jobRules) as JobKey[]).map((name): ShownSetting => {
    const entries = [`jobs.${job.id}.${name}`, `jobs.${job.name}.${name}`, `defaults.${name}`];
    const set = entries.map((entry) => shown.get(entry)).find((each) => each !== undefined);
    const key = `jobs.${job.id}.${name}`;
    const value = set?.value ?? null;
    const source = set?.source ?? "default";
    if (name !== "timeout") return { key, value, source };
    if (timeoutMs !== timeoutAskedMs)
      return { key, value: timeoutMs, source: `the least of a prompt; ${source} says less` };
    const usual = job.kind === "script" ? hermes.sources.scriptTimeoutMs : source;
    return { key, value: timeoutMs, source: source === "default" ? usual : source };
  });
}

/** `jobs.0123456789ab.timeout` is `timeout` where only one job is shown. */
function lastName({ key }: SettingJson): string {
  return key.slice(key.lastIndexOf(".") + 1);
}
