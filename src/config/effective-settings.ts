import type { AlertKind } from "../core/alert-kinds.ts";
import type { CrashLoopGuard, Misfire, Overlap, Retry } from "../core/job-policy.ts";
import { type Notifier, notifierName } from "../core/notifier.ts";
import type { GroupLimits } from "../core/room.ts";
import { type JobKey, jobRules } from "./job-rules.ts";
import type { ConfigLayer } from "./parse-config.ts";
import { type Fallback, type FileSettings, fallbackOf, type JobFileSettings, settings } from "./schema.ts";
import type { sections } from "./sections.ts";
import type { SettingRule } from "./setting.ts";

export interface JobSettings {
  readonly timeoutMs: number | null;
  /** As it was set, which may be less than a prompt always has. */
  readonly timeoutAskedMs: number | null;
  readonly idleTimeoutMs: number | null;
  readonly memoryBytesMax: number | null;
  readonly outputBytesMax: number;
  readonly outputMaxAction: "truncate" | "stop";
  readonly overlap: Overlap;
  readonly misfire: Misfire;
  readonly retry: Retry | null;
  /** After how many failures in a row the job is paused, or null. */
  readonly streakPause: number | null;
  readonly crashLoop: CrashLoopGuard | null;
  readonly stopGraceMs: number;
  readonly detach: boolean;
  readonly tags: readonly string[];
}

/** What is in force for one home: the host's file with the home's own section over it. */
export interface Settings {
  readonly maxOpenRuns: number;
  /** By class and tag: of the home's own section, which count beside the host's; of the host's file where there is no home. */
  readonly groupLimits: GroupLimits;
  /** Those of the host. */
  readonly hostGroupLimits: GroupLimits;
  readonly order: "fair" | "oldest_first";
  readonly waitMaxMs: number;
  /** Shares in percent; null: not looked at. */
  readonly pressureMax: { readonly memory: number | null; readonly cpu: number | null };
  readonly stopGraceMs: number;
  readonly orphans: "fail" | "adopt";
  readonly onSigterm: "hand_over" | "drain" | "stop";
  readonly onHomeRemoved: "stop" | "finish";
  /** Null: look for it. */
  readonly hermesPython: string | null;
  readonly environmentPass: readonly string[];
  readonly retention: {
    readonly ageMaxMs: number;
    readonly runsMax: number;
    readonly bytesMax: number;
    readonly ledgerBytesMax: number;
  };
  readonly freeBytesMin: number;
  /** `host:port`, or null for none. */
  readonly apiListen: string | null;
  /** Null: the one in the state folder. */
  readonly apiTokenFile: string | null;
  readonly notifiers: readonly Notifier[];
  /** Of which alerts somebody is told; null for all. */
  readonly noticedKinds: readonly AlertKind[] | null;
  readonly defaults: JobFileSettings;
  readonly jobs: ReadonlyMap<string, JobFileSettings>;
  /** Every setting as `config show` prints it, with the file and line, the variable, or `default` that it comes from. */
  readonly shown: readonly ShownSetting[];
}

export interface ShownSetting {
  readonly key: string;
  readonly value: unknown;
  readonly source: string;
}

const promptTimeoutMs = 7_200_000;
/** Hermes 0.22 alone tries an unreachable model again for five minutes. */
export const promptTimeoutMsMin = 900_000;

type Sections = typeof sections;
type Value<S extends keyof Sections, K extends keyof Sections[S]> = Sections[S][K] extends SettingRule
  ? Fallback<Sections[S][K]>
  : never;

const builtIn: ReadonlyMap<string, unknown> = new Map(settings.map((setting) => [setting.key, fallbackOf(setting)]));
const builtInJob = Object.fromEntries(Object.entries(jobRules).map(([key, rule]) => [key, fallbackOf(rule)])) as {
  readonly [K in JobKey]: Fallback<(typeof jobRules)[K]>;
};

/**
 * Puts what was said at the start over the home's section over the host's file over the defaults. `variables` are the daemon's
 * own: one of them stands for a default.
 */
export function effectiveSettings(
  host: ConfigLayer,
  home: ConfigLayer | null,
  variables: Readonly<Record<string, string | undefined>>,
  overrides: readonly ConfigLayer[] = [],
): Settings {
  const layers = [...overrides, ...(home === null ? [] : [home]), host];
  const shown: ShownSetting[] = [];

  function pick<T>(key: string, read: (values: FileSettings) => T | undefined, fallback: T, source = "default"): T {
    for (const { values, sources } of layers) {
      const value = read(values);
      if (value === undefined) continue;
      shown.push({ key, value, source: sources.get(key) ?? "default" });
      return value;
    }
    shown.push({ key, value: fallback, source });
    return fallback;
  }

  function of<S extends keyof Sections, K extends keyof Sections[S] & string>(section: S, name: K): Value<S, K> {
    const read = (values: FileSettings): unknown =>
      (values[section] as Readonly<Record<string, unknown>> | null)?.[name];
    const key = `${section}.${name}`;
    return pick(key, read, builtIn.get(key)) as Value<S, K>;
  }

  // A home's bounds stand beside those of the host and do not replace them, so they are shown and not merged.
  of("limits", "classes");
  of("limits", "tags");
  const python = variables["HERMES_SUPERVISOR_PYTHON"] || null;
  const inForce = {
    maxOpenRuns: of("limits", "max_open_runs"),
    groupLimits: groupLimits(home === null ? layers : [home]),
    hostGroupLimits: groupLimits([...overrides, host]),
    order: of("limits", "order"),
    waitMaxMs: of("limits", "wait_max"),
    pressureMax: { memory: of("pressure", "memory_max"), cpu: of("pressure", "cpu_max") },
    stopGraceMs: of("stop", "grace"),
    orphans: of("recovery", "orphans"),
    onSigterm: of("shutdown", "on_sigterm"),
    onHomeRemoved: of("homes", "on_removed"),
    hermesPython: pick<string | null>(
      "hermes.python",
      (values) => values.hermes?.python,
      python,
      python === null ? "default" : "HERMES_SUPERVISOR_PYTHON",
    ),
    environmentPass: of("environment", "pass"),
    retention: {
      ageMaxMs: of("retention", "age_max"),
      runsMax: of("retention", "runs_max"),
      bytesMax: of("retention", "bytes_max"),
      ledgerBytesMax: of("retention", "ledger_max"),
    },
    freeBytesMin: of("disk", "free_min"),
    apiListen: of("api", "listen"),
    apiTokenFile: of("api", "token_file"),
    notifiers: of("alerts", "notify") ?? [],
    noticedKinds: of("alerts", "kinds"),
  };

  const defaults = overlay(layers.map(({ values }) => values.defaults ?? {}));
  for (const key of Object.keys(jobRules) as JobKey[]) {
    const fallback = key === "stop_grace" ? inForce.stopGraceMs : builtInJob[key];
    const isOfHost = key === "stop_grace";
    const source = isOfHost ? shown.find((each) => each.key === "stop.grace")?.source : undefined;
    pick<unknown>(`defaults.${key}`, (values) => values.defaults?.[key], fallback, source);
  }
  const jobs = new Map<string, JobFileSettings>();
  for (const name of new Set(layers.flatMap(({ values }) => Object.keys(values.jobs ?? {})))) {
    jobs.set(name, overlay(layers.map(({ values }) => ownEntry(values.jobs, name) ?? {})));
    for (const key of Object.keys(jobs.get(name) ?? {}) as JobKey[]) {
      pick<unknown>(`jobs.${name}.${key}`, (values) => ownEntry(values.jobs, name)?.[key], null);
    }
  }
  const named = inForce.notifiers.length === 0 ? null : inForce.notifiers.map(notifierName);
  return {
    ...inForce,
    defaults,
    jobs,
    shown: shown.map((setting) => (setting.key === "alerts.notify" ? { ...setting, value: named } : setting)),
  };
}

function groupLimits(layers: readonly ConfigLayer[]): GroupLimits {
  const set = layers.map(({ values }) => values.limits);
  const classes = set.find((limits) => limits?.classes !== undefined)?.classes ?? {};
  const bounds = Object.entries(classes).filter(([, runsMax]) => runsMax !== undefined);
  return { classes: Object.fromEntries(bounds), tags: set.find((limits) => limits?.tags !== undefined)?.tags ?? {} };
}

/** What counts for one job: its entry by id, then its entry by name, then the defaults, key by key. */
export function jobSettings(
  inForce: Settings,
  scriptTimeoutMs: number,
  job: { readonly id: string; readonly name: string; readonly kind: "prompt" | "script" },
): JobSettings {
  const set = overlay([inForce.jobs.get(job.id) ?? {}, inForce.jobs.get(job.name) ?? {}, inForce.defaults]);
  const usual = job.kind === "script" ? scriptTimeoutMs : promptTimeoutMs;
  const asked = set.timeout === undefined ? usual : set.timeout;
  return {
    timeoutMs: asked !== null && job.kind === "prompt" ? Math.max(asked, promptTimeoutMsMin) : asked,
    timeoutAskedMs: asked,
    idleTimeoutMs: set.idle_timeout ?? builtInJob.idle_timeout,
    memoryBytesMax: set.memory_max ?? builtInJob.memory_max,
    outputBytesMax: set.output_max ?? builtInJob.output_max,
    outputMaxAction: set.output_max_action ?? builtInJob.output_max_action,
    overlap: set.overlap ?? builtInJob.overlap,
    misfire: set.misfire ?? builtInJob.misfire,
    retry: set.retry ?? builtInJob.retry,
    streakPause: set.streak_pause ?? builtInJob.streak_pause,
    crashLoop: set.crash_loop === undefined ? builtInJob.crash_loop : set.crash_loop,
    stopGraceMs: set.stop_grace ?? inForce.stopGraceMs,
    detach: set.detach ?? builtInJob.detach,
    tags: set.tags ?? builtInJob.tags,
  };
}

function ownEntry<T>(record: Readonly<Record<string, T>> | null | undefined, key: string): T | undefined {
  return record !== null && record !== undefined && Object.hasOwn(record, key) ? record[key] : undefined;
}

/** The first of `entries` that sets a key decides it; `none` counts as set. */
function overlay(entries: readonly JobFileSettings[]): JobFileSettings {
  const set = entries.map((entry) =>
    Object.fromEntries(Object.entries(entry).filter(([, value]) => value !== undefined)),
  );
  return Object.assign({}, ...set.reverse()) as JobFileSettings;
}
