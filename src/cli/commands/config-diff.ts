import { formatSetting, settingJson } from "../../config/format-setting.ts";
import { forecastJob, type JobForecast } from "../../core/schedule-forecast.ts";
import { createZone, isZoneName, type Zone } from "../../core/zone.ts";
import { shownHermesSettings } from "../../homes/home-config.ts";
import type { SettingJson } from "../../status/snapshot.ts";
import type { CommandParts } from "../command-parts.ts";
import { checkFiles } from "../config-findings.ts";
import { openConfig } from "../config-reader.ts";
import { CommandError, type ExitCode, exitCodes } from "../exit-codes.ts";
import { type Cell, formatClock, formatJson, formatTable, paint, printable, wrap } from "../print.ts";
import { createReader, type HomeReading } from "../reader.ts";

export interface ConfigDiffOptions {
  readonly json?: boolean;
  readonly for?: string;
}

/** One setting that a reload makes another; null where it is not set for this job before or after. */
interface Change {
  /** Null for the host. */
  readonly home: string | null;
  readonly key: string;
  readonly before: SettingJson | null;
  readonly after: SettingJson | null;
}

interface HomeForecast {
  readonly home: HomeReading;
  readonly jobs: readonly JobForecast[];
}

const dayMs = 86_400_000;
/** How many jobs are listed, and how many occurrences of each. */
const [jobsMax, occurrencesMax] = [20, 10];

/**
 * What a reload would change, key by key, and what that does to the next 24 hours. Before is what the daemon has in force, or
 * without one what the files say; after is what they would say with `file` in its place.
 */
export async function configDiff(
  parts: CommandParts,
  file: string | undefined,
  options: ConfigDiffOptions,
): Promise<ExitCode> {
  const { reader, candidate, daemon } = await openConfig(parts, { file, for: options.for });
  const { terminal, system } = parts;
  const bad = checkFiles(parts, reader).find(({ error }) => error !== null)?.error;
  if (bad) throw new CommandError(exitCodes.configInvalid, "config_invalid", bad.message);
  const now = createReader(parts);
  const before = daemon ?? {
    host: { settings: now.hostSettings().shown.map(settingJson) },
    homes: now.homes().map((home) => ({ name: home.name, path: home.path, settings: shownOf(home) })),
  };
  const hostChanges = changesOf(null, before.host.settings, reader.hostSettings().shown.map(settingJson));
  const known = new Set(hostChanges.map(changeText));
  const fromMs = system.clock.nowMs();
  const homeChanges: Change[] = [];
  const forecasts: HomeForecast[] = [];
  for (const home of reader.homes()) {
    const old = before.homes.find(({ name }) => name === home.name);
    // A home that the daemon does not serve yet has nothing in force that could change.
    if (old === undefined) continue;
    const changes = changesOf(home.name, old.settings, shownOf(home));
    // What a home takes over from the host was just said.
    homeChanges.push(...changes.filter((change) => !known.has(changeText(change))));
    const zone = zoneOf(parts, old.settings);
    const jobs = home.jobs.filter(({ enabled }) => enabled);
    const moved = jobs.map((job) => forecastJob(job, zone, home.zone, fromMs, fromMs + dayMs));
    forecasts.push({ home, jobs: moved.filter((each) => each !== null) });
  }
  const changes = [...hostChanges, ...homeChanges];
  if (options.json) {
    terminal.out(
      formatJson({
        file: candidate?.path ?? null,
        daemon: daemon !== null,
        changes: changes.map(({ home, key, before: one, after }) => ({
          home,
          key,
          before: one?.value ?? null,
          after: after?.value ?? null,
          before_source: one?.source ?? null,
          after_source: after?.source ?? null,
        })),
        forecast: forecastJson(forecasts, fromMs),
      }),
    );
    return exitCodes.done;
  }
  if (daemon === null) terminal.error("No daemon runs: this is against what the files say now\n");
  if (changes.length === 0) terminal.out("A reload changes no setting\n");
  else {
    const columns = [{ title: "FOR" }, { title: "SETTING" }, { title: "NOW" }, { title: "AFTER" }, { title: "FROM" }];
    const rows = changes.map(({ home, key, before: one, after }): Cell[] => [
      home ?? "host",
      key,
      valueText(key, one),
      valueText(key, after),
      after?.source ?? "",
    ]);
    terminal.out(formatTable(terminal, columns, rows));
  }
  terminal.out(`\n${wrap(forecastText(parts, forecasts), terminal.columns)}`);
  return exitCodes.done;
}

function shownOf(home: HomeReading): readonly SettingJson[] {
  return [...home.settings.shown, ...shownHermesSettings(home.hermes, home.config.value.hermesSources)].map(
    settingJson,
  );
}

/** What differs in value. That a value now comes from another place changes nothing. */
function changesOf(home: string | null, before: readonly SettingJson[], after: readonly SettingJson[]): Change[] {
  const old = new Map(before.map((setting) => [setting.key, setting]));
  const now = new Map(after.map((setting) => [setting.key, setting]));
  return [...new Set([...old.keys(), ...now.keys()])].flatMap((key): Change[] => {
    const [one, other] = [old.get(key) ?? null, now.get(key) ?? null];
    return sameValue(one, other) ? [] : [{ home, key, before: one, after: other }];
  });
}

function sameValue(one: SettingJson | null, other: SettingJson | null): boolean {
  if (one === null || other === null) return one === other;
  return JSON.stringify(one.value) === JSON.stringify(other.value);
}

function changeText({ key, before, after }: Change): string {
  return JSON.stringify([key, before?.value, after?.value]);
}

function valueText(key: string, setting: SettingJson | null): string {
  return setting === null ? "as for all jobs" : formatSetting({ key, value: setting.value });
}

function zoneOf({ system }: CommandParts, settings: readonly SettingJson[]): Zone {
  const name = settings.find(({ key }) => key === "timezone")?.value;
  const known = typeof name === "string" && isZoneName(name) ? name : null;
  return createZone(known, -new Date(system.clock.nowMs()).getTimezoneOffset());
}

function forecastJson(forecasts: readonly HomeForecast[], fromMs: number): unknown {
  const all = forecasts.flatMap(({ home, jobs }) => jobs.map((job) => ({ home, job })));
  const iso = (atMs: number): string => new Date(atMs).toISOString();
  return {
    from: iso(fromMs),
    until: iso(fromMs + dayMs),
    jobs: all.slice(0, jobsMax * 10).map(({ home, job: { jobId, jobName, moved, vanished, appeared } }) => ({
      home: home.name,
      job_id: jobId,
      job_name: jobName,
      moved: moved.slice(0, occurrencesMax * 10).map((each) => ({ from: iso(each.fromMs), to: iso(each.toMs) })),
      vanished: vanished.slice(0, occurrencesMax * 10).map(iso),
      appeared: appeared.slice(0, occurrencesMax * 10).map(iso),
      counts: { moved: moved.length, vanished: vanished.length, appeared: appeared.length },
    })),
    jobs_left_off: Math.max(0, all.length - jobsMax * 10),
  };
}

function forecastText({ terminal, system }: CommandParts, forecasts: readonly HomeForecast[]): string {
  const all = forecasts.flatMap(({ home, jobs }) => jobs.map((job) => ({ home, job })));
  if (all.length === 0) return "Occurrences of the next 24 h: all as they are\n";
  const sum = (count: (job: JobForecast) => number): number => all.reduce((total, { job }) => total + count(job), 0);
  const counts = `${sum((job) => job.moved.length)} moved, ${sum((job) => job.vanished.length)} gone, ${sum((job) => job.appeared.length)} new`;
  // A changed zone is what moves most of them, so a time without its zone would say nothing.
  const zones = [...new Set(all.slice(0, jobsMax).map(({ home }) => home.zone.name))];
  const head = `Occurrences of the next 24 h: ${counts}; times in ${zones.length === 1 ? zones[0] : "each home's new zone"}`;
  const lines = [paint(terminal, "bold", head)];
  const nowMs = system.clock.nowMs();
  for (const { home, job } of all.slice(0, jobsMax)) {
    const at = (ms: number): string => formatClock(ms, nowMs, home.zone);
    const texts = [
      ...job.moved.map(({ fromMs, toMs }) => `${at(fromMs)} → ${at(toMs)}`),
      ...job.vanished.map((ms) => `${at(ms)} vanishes`),
      ...job.appeared.map((ms) => `${at(ms)} appears`),
    ];
    const more = texts.length - occurrencesMax;
    const shown = texts.slice(0, occurrencesMax).join(", ");
    lines.push(`${printable(`${home.name}/${job.jobName}`)}: ${shown}${more > 0 ? ` and ${more} more` : ""}`);
  }
  if (all.length > jobsMax) lines.push(`and ${all.length - jobsMax} more jobs`);
  return `${lines.join("\n")}\n`;
}
