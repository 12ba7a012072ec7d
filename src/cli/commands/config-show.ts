import { jobSettings, type ShownSetting } from "../../config/effective-settings.ts";
import { formatSetting, settingJson } from "../../config/format-setting.ts";
import { type JobKey, jobRules } from "../../config/job-rules.ts";
import { shownHermesSettings } from "../../homes/home-config.ts";
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

/** Of the host and every home, or of the one home or job that `what` names. */
export async function configShow(
  parts: CommandParts,
  what: string | undefined,
  options: ConfigShowOptions,
): Promise<ExitCode> {
  const { reader, errors } = await openConfig(parts, { set: options.set });
  const { terminal } = parts;
  const bad = errors[0] ?? checkFiles(parts, reader).find((file) => file.error !== null)?.error?.message;
  if (bad !== undefined) throw new CommandError(exitCodes.configInvalid, "config_invalid", bad);
  const homes = reader.homes();
  if (what !== undefined) {
    const home = homes.find(({ name }) => name === what);
    if (home === undefined) return showJob(terminal, homes, reader.job(what), options);
    const settings = shownOf(home);
    terminal.out(
      options.json
        ? formatJson({ name: home.name, path: home.path, settings: settings.map(settingJson) })
        : formatTable(terminal, columns, rows(settings)),
    );
    return exitCodes.done;
  }
  const host = reader.hostSettings().shown;
  if (options.json) {
    const listed = homes.map((home) => ({
      name: home.name,
      path: home.path,
      settings: shownOf(home).map(settingJson),
    }));
    terminal.out(formatJson({ settings: host.map(settingJson), homes: listed }));
    return exitCodes.done;
  }
  const textOf = (setting: ShownSetting): string => `${formatSetting(setting)} ${setting.source}`;
  const hostText = new Map(host.map((setting) => [setting.key, textOf(setting)]));
  terminal.out(formatTable(terminal, columns, rows(host)));
  for (const home of homes) {
    // What a home takes over from the host was just said.
    const own = shownOf(home).filter((setting) => hostText.get(setting.key) !== textOf(setting));
    terminal.out(`\n${paint(terminal, "bold", printable(home.name))}  ${printable(home.path)}\n`);
    terminal.out(formatTable(terminal, columns, rows(own)));
  }
  return exitCodes.done;
}

const columns = [{ title: "SETTING" }, { title: "VALUE", shrinkTo: 12 }, { title: "FROM" }];

function rows(settings: readonly ShownSetting[], labelOf = ({ key }: ShownSetting): string => key): Cell[][] {
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
    const message = `Cannot show what counts for "${id}": only the history knows this job, expected one that is there`;
    throw new CommandError(exitCodes.notFound, "not_found", message);
  }
  const settings = jobShown(home, job);
  terminal.out(
    options.json
      ? formatJson({ home: name, job_id: job.id, job_name: job.name, settings: settings.map(settingJson) })
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
function lastName({ key }: ShownSetting): string {
  return key.slice(key.lastIndexOf(".") + 1);
}
