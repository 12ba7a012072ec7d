import type { z } from "zod";
import { type FileIdentity, type FileStat, type Files, sameFile } from "../system/files.ts";
import {
  expectedAt,
  type FileSettings,
  fileSchema,
  type JobFileSettings,
  type JobKey,
  knownKeys,
  type Misfire,
  type Retry,
  settings,
  unitProblem,
} from "./schema.ts";
import { ConfigError, configBytesMax, parseYamlText, type YamlText } from "./yaml-text.ts";

export { ConfigError } from "./yaml-text.ts";

/** One file's settings with the places they were read from. */
export interface ConfigLayer {
  readonly path: string;
  readonly values: FileSettings;
  /** Line by dotted key, such as `limits.max_open_runs` or `jobs.backup.timeout`. */
  readonly lines: ReadonlyMap<string, number>;
}

export interface JobSettings {
  readonly timeoutMs: number | null;
  readonly idleTimeoutMs: number | null;
  readonly memoryBytesMax: number | null;
  readonly outputBytesMax: number;
  readonly outputMaxAction: "truncate" | "stop";
  readonly overlap: "skip" | "queue_one" | "replace";
  readonly misfire: Misfire;
  readonly retry: Retry | null;
  readonly stopGraceMs: number;
  readonly detach: boolean;
  readonly tags: readonly string[];
}

/** What is in force for one home: the host's file with the home's own section over it. */
export interface Settings {
  readonly maxOpenRuns: number;
  readonly stopGraceMs: number;
  readonly orphans: "fail" | "adopt";
  readonly onSigterm: "hand_over" | "drain" | "stop";
  /** Null: look for it. */
  readonly hermesPython: string | null;
  readonly environmentPass: readonly string[];
  readonly retention: { readonly ageMaxMs: number; readonly runsMax: number; readonly bytesMax: number };
  readonly freeBytesMin: number;
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

/** What the last look at a file gave. A bad file leaves the last good value in force. */
export interface Loaded<T> {
  readonly value: T;
  readonly state: "ok" | "invalid";
  readonly error: ConfigError | null;
  /** What was read last, good or bad; null when there was no file. */
  readonly identity: FileIdentity | null;
}

/** Finding the place of each of a hundred thousand mistakes would take minutes. */
const problemsMax = 20;

const promptTimeoutMs = 7_200_000;
/** Hermes 0.22 alone tries an unreachable model again for five minutes. */
const promptTimeoutMsMin = 900_000;

/** The host's own file. Throws a `ConfigError` that names the first thing wrong and carries the others. */
export function parseHostConfig(content: Uint8Array | string, path: string): ConfigLayer {
  const text = parseYamlText(content, path, "1.2");
  return layer(text, text.value, [], "host");
}

export interface HomeConfig {
  /** All of Hermes' file as plain data. */
  readonly hermes: unknown;
  readonly section: ConfigLayer;
}

/** A home's `config.yaml`: Hermes' own keys are taken as they are, the `supervisor:` section is checked. */
export function parseHomeConfig(content: Uint8Array | string, path: string): HomeConfig {
  const text = parseYamlText(content, path, "1.1");
  const root = text.value;
  if (root !== null && !isRecord(root)) {
    throw text.errorAt(text.placeOf([], "value"), `the top level is ${show(root)}, expected a mapping`);
  }
  return { hermes: root ?? {}, section: layer(text, root?.["supervisor"] ?? null, ["supervisor"], "home") };
}

export function loadHostConfig(files: Files, path: string, last: Loaded<ConfigLayer> | null): Loaded<ConfigLayer> {
  return load(files, path, last, parseHostConfig, () => emptyLayer(path));
}

export function loadHomeConfig(files: Files, path: string, last: Loaded<HomeConfig> | null): Loaded<HomeConfig> {
  return load(files, path, last, parseHomeConfig, () => ({ hermes: {}, section: emptyLayer(path) }));
}

export function emptyLayer(path: string): ConfigLayer {
  return { path, values: {}, lines: new Map() };
}

/** Costs one `stat` while the file is as it was: a tick can ask each time. A file that is gone counts as an empty one. */
function load<T>(
  files: Files,
  path: string,
  last: Loaded<T> | null,
  parse: (content: Uint8Array, path: string) => T,
  empty: () => T,
): Loaded<T> {
  let identity: FileStat | null = null;
  try {
    identity = files.stat(path);
    if (last !== null && sameFile(last.identity, identity)) return last;
    if (identity === null) return { value: empty(), state: "ok", error: null, identity: null };
    // Reading a pipe would wait for ever, and a huge file would fill the memory before it could be refused.
    if (identity.kind !== "file") throw new ConfigError(path, null, `it is no plain file but a ${identity.kind}`, null);
    const content =
      identity.sizeBytes > configBytesMax ? files.readPart(path, 0, configBytesMax + 1) : files.read(path);
    return { value: parse(content, path), state: "ok", error: null, identity };
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code;
    if (code === "ENOENT") return { value: empty(), state: "ok", error: null, identity: null };
    if (!(cause instanceof ConfigError) && code === undefined) throw cause;
    const error = cause instanceof ConfigError ? cause : new ConfigError(path, null, unreadable(code), null);
    return { value: last?.value ?? empty(), state: "invalid", error, identity };
  }
}

function unreadable(code: string | undefined): string {
  if (code === "EACCES" || code === "EPERM") return "permission denied, expected a file that this user can read";
  if (code === "EISDIR") return "it is a folder, expected a file";
  return `${code}, expected a readable file`;
}

function layer(text: YamlText, value: unknown, root: readonly string[], scope: "host" | "home"): ConfigLayer {
  const result = fileSchema.safeParse(value);
  const problems: {
    readonly path: readonly (string | number)[];
    readonly part: "key" | "value";
    readonly problem: string;
  }[] = [];
  for (const issue of (result.error?.issues ?? []).flatMap(innermost)) {
    const path = issue.path.map((part) => (typeof part === "number" ? part : String(part)));
    if (issue.code === "unrecognized_keys") {
      for (const key of issue.keys.slice(0, problemsMax))
        problems.push({ path: [...path, key], part: "key", problem: unknownKey(path, key) });
    } else {
      const bound = issue.code === "custom" && issue.message !== unitProblem ? issue.message : null;
      const expected = bound ?? `expected ${expectedAt(path) ?? "a mapping"}`;
      const name = path.length === 0 ? "the configuration" : path.join(".");
      problems.push({ path, part: "value", problem: `${name} is ${show(valueAt(value, path))}, ${expected}` });
    }
  }
  // A misspelt key also leaves the right one missing: one of the two is enough to say.
  const misspelt = new Set(
    problems.filter(({ part }) => part === "key").map(({ path }) => path.slice(0, -1).join(".")),
  );
  const said = problems.filter(
    ({ path, part }) =>
      part === "key" || valueAt(value, path) !== undefined || !misspelt.has(path.slice(0, -1).join(".")),
  );
  if (scope === "home" && isRecord(value)) {
    for (const { key, hostOnly } of settings) {
      const path = key.split(".");
      if (hostOnly && valueAt(value, path) !== undefined) {
        said.push({
          path,
          part: "key",
          problem: `${key} is set for one home, expected it in the host's config only`,
        });
      }
    }
  }
  const errors = said
    .slice(0, problemsMax)
    .map(({ path, part, problem }) => {
      const place = text.placeOf([...root, ...path], part);
      return { place, error: text.errorAt(place, problem) };
    })
    .sort((a, b) => a.place.line - b.place.line || a.place.column - b.place.column);
  const first = errors[0];
  if (first !== undefined) {
    throw text.errorAt(
      first.place,
      first.error.problem,
      errors.slice(1).map(({ error }) => error),
    );
  }
  const lines = new Map(leafPaths(value).map((path) => [path.join("."), text.placeOf([...root, ...path], "key").line]));
  return { path: text.path, values: result.data ?? {}, lines };
}

function unknownKey(path: readonly (string | number)[], key: string): string {
  const full = [...path, key].join(".");
  const known = knownKeys(path);
  const near = nearest(key, known);
  if (near !== null) return `unknown setting "${full}", did you mean "${[...path, near].join(".")}"?`;
  const all = nearest(
    key,
    settings.map((setting) => setting.key.split(".")[1] ?? ""),
  );
  const elsewhere = settings.find((setting) => setting.key.split(".")[1] === all);
  if (elsewhere !== undefined) return `unknown setting "${full}", did you mean "${elsewhere.key}"?`;
  return `unknown setting "${full}", expected one of ${known.join(", ")}`;
}

/** A union says only that nothing fits. The choice that came furthest is the one that was meant. */
function innermost(issue: z.core.$ZodIssue): readonly z.core.$ZodIssue[] {
  if (issue.code !== "invalid_union") return [issue];
  const depth = (choice: readonly z.core.$ZodIssue[]) =>
    Math.max(
      ...choice.map(
        (inner) => inner.path.length * 2 + (inner.code === "custom" || inner.code === "unrecognized_keys" ? 1 : 0),
      ),
    );
  const [best] = [...issue.errors].sort((a, b) => depth(b) - depth(a) || a.length - b.length);
  if (best === undefined || depth(best) === 0) return [issue];
  return best.flatMap((inner) => innermost({ ...inner, path: [...issue.path, ...inner.path] }));
}

function show(value: unknown): string {
  if (value === null || value === undefined) return "empty";
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object") return "a mapping";
  const text = typeof value === "string" ? JSON.stringify(value) : String(value);
  return text.length > 60 ? `${text.slice(0, 57)}…` : text;
}

/** The name among `known` that a typing error away from `key` lies, or null. */
export function nearest(key: string, known: readonly string[]): string | null {
  const allowed = Math.max(1, Math.floor(key.length / 3));
  let best: string | null = null;
  let bestDistance = allowed + 1;
  for (const name of known) {
    const distance = editDistance(key.toLowerCase().slice(0, 100), name);
    if (distance < bestDistance) {
      best = name;
      bestDistance = distance;
    }
  }
  return best;
}

function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const change = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(change, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function valueAt(value: unknown, path: readonly (string | number)[]): unknown {
  let at = value;
  for (const key of path) {
    if (Array.isArray(at)) at = at[Number(key)];
    else if (isRecord(at)) at = Object.hasOwn(at, String(key)) ? at[String(key)] : undefined;
    else return undefined;
  }
  return at;
}

/** The paths of what is set in a valid file. */
function leafPaths(value: unknown): readonly (readonly string[])[] {
  if (!isRecord(value)) return [];
  return Object.entries(value).flatMap(([section, content]) => {
    if (!isRecord(content)) return [];
    return Object.entries(content).flatMap(([key, inner]): readonly (readonly string[])[] => {
      if (section !== "jobs") return [[section, key]];
      return isRecord(inner) ? Object.keys(inner).map((leaf) => [section, key, leaf]) : [];
    });
  });
}

/** What is in force where no file says anything. `auto` in the documents is null here. */
const builtIn = {
  maxOpenRuns: 16,
  stopGraceMs: 10_000,
  orphans: "fail",
  onSigterm: "hand_over",
  hermesPython: null,
  environmentPass: [],
  ageMaxMs: 90 * 86_400_000,
  runsMax: 1000,
  bytesMax: 4 * 1024 ** 3,
  freeBytesMin: 128 * 1024 ** 2,
  outputBytesMax: 64 * 1024 ** 2,
} as const;

/** Puts the home's section over the host's file over the defaults. `variables` are the daemon's own. */
export function effectiveSettings(
  host: ConfigLayer,
  home: ConfigLayer | null,
  variables: Readonly<Record<string, string | undefined>>,
): Settings {
  const layers = home === null ? [host] : [home, host];
  const shown: ShownSetting[] = [];

  function pick<T>(key: string, read: (values: FileSettings) => T | undefined, fallback: T, source = "default"): T {
    for (const { path, values, lines } of layers) {
      const value = read(values);
      if (value === undefined) continue;
      shown.push({ key, value, source: `${path}:${lines.get(key) ?? 1}` });
      return value;
    }
    shown.push({ key, value: fallback, source });
    return fallback;
  }

  const python = variables["HERMES_SUPERVISOR_PYTHON"] || null;
  const maxOpenRuns = pick<number>(
    "limits.max_open_runs",
    (values) => values.limits?.max_open_runs,
    builtIn.maxOpenRuns,
  );
  const stopGraceMs = pick<number>("stop.grace", (values) => values.stop?.grace, builtIn.stopGraceMs);
  const orphans = pick<Settings["orphans"]>("recovery.orphans", (values) => values.recovery?.orphans, builtIn.orphans);
  const onSigterm = pick<Settings["onSigterm"]>(
    "shutdown.on_sigterm",
    (values) => values.shutdown?.on_sigterm,
    builtIn.onSigterm,
  );
  const hermesPython = pick<string | null>(
    "hermes.python",
    (values) => values.hermes?.python,
    python,
    python === null ? "default" : "HERMES_SUPERVISOR_PYTHON",
  );
  const environmentPass = pick<readonly string[]>(
    "environment.pass",
    (values) => values.environment?.pass,
    builtIn.environmentPass,
  );
  const retention = {
    ageMaxMs: pick<number>("retention.age_max", (values) => values.retention?.age_max, builtIn.ageMaxMs),
    runsMax: pick<number>("retention.runs_max", (values) => values.retention?.runs_max, builtIn.runsMax),
    bytesMax: pick<number>("retention.bytes_max", (values) => values.retention?.bytes_max, builtIn.bytesMax),
  };
  const freeBytesMin = pick<number>("disk.free_min", (values) => values.disk?.free_min, builtIn.freeBytesMin);

  const defaults = overlay(layers.map(({ values }) => values.defaults ?? {}));
  for (const key of knownKeys(["defaults"]) as readonly JobKey[]) {
    pick<unknown>(`defaults.${key}`, (values) => values.defaults?.[key], builtInJob[key](stopGraceMs));
  }
  const jobs = new Map<string, JobFileSettings>();
  for (const name of new Set(layers.flatMap(({ values }) => Object.keys(values.jobs ?? {})))) {
    jobs.set(name, overlay(layers.map(({ values }) => ownEntry(values.jobs, name) ?? {})));
    for (const key of Object.keys(jobs.get(name) ?? {}) as JobKey[]) {
      pick<unknown>(`jobs.${name}.${key}`, (values) => ownEntry(values.jobs, name)?.[key], null);
    }
  }
  return {
    maxOpenRuns,
    stopGraceMs,
    orphans,
    onSigterm,
    hermesPython,
    environmentPass,
    retention,
    freeBytesMin,
    defaults,
    jobs,
    shown,
  };
}

const builtInJob: Readonly<Record<JobKey, (stopGraceMs: number) => unknown>> = {
  timeout: () => null,
  idle_timeout: () => null,
  memory_max: () => null,
  output_max: () => builtIn.outputBytesMax,
  output_max_action: () => "truncate",
  overlap: () => "skip",
  misfire: (): Misfire => ({ kind: "run_once" }),
  retry: () => null,
  stop_grace: (stopGraceMs) => stopGraceMs,
  detach: () => false,
  tags: () => [],
};

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
    idleTimeoutMs: set.idle_timeout ?? null,
    memoryBytesMax: set.memory_max ?? null,
    outputBytesMax: set.output_max ?? builtIn.outputBytesMax,
    outputMaxAction: set.output_max_action ?? "truncate",
    overlap: set.overlap ?? "skip",
    misfire: set.misfire ?? { kind: "run_once" },
    retry: set.retry ?? null,
    stopGraceMs: set.stop_grace ?? inForce.stopGraceMs,
    detach: set.detach ?? false,
    tags: set.tags ?? [],
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
