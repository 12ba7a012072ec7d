import { checkSettings, isRecord, problemsMax, showValue } from "./check-settings.ts";
import type { FileSettings } from "./schema.ts";
import { ConfigError, parseYamlText, type YamlText } from "./yaml-text.ts";

/** What one source sets, such as a file, with the place of each setting. */
export interface ConfigLayer {
  readonly values: FileSettings;
  /** By dotted key, such as `limits.max_open_runs` or `jobs.backup.timeout`: the file and line, or what else set it. */
  readonly sources: ReadonlyMap<string, string>;
}

/** The host's own file. Throws a `ConfigError` that names the first thing wrong and carries the others. */
export function parseHostConfig(content: Uint8Array | string, path: string): ConfigLayer {
  const text = parseYamlText(content, path, "1.2");
  return layer(text, text.value, [], "host");
}

export interface HomeConfig {
  /** All of Hermes' file as plain data. */
  readonly hermes: unknown;
  /** Where those of Hermes' settings stand that concern us, by their keys. */
  readonly hermesSources: ReadonlyMap<string, string>;
  readonly section: ConfigLayer;
  /** What is wrong with the `supervisor:` section; Hermes' own part counts all the same. */
  readonly sectionError: ConfigError | null;
}

/** A home's `config.yaml`: Hermes' own keys are taken as they are, the `supervisor:` section is checked. */
export function parseHomeConfig(content: Uint8Array | string, path: string): HomeConfig {
  const text = parseYamlText(content, path, "1.1");
  const root = text.value;
  if (root !== null && !isRecord(root)) {
    throw text.errorAt(text.placeOf([], "value"), `the top level is ${showValue(root)}, expected a mapping`);
  }
  const hermes = root ?? {};
  const placed = hermesKeys.filter((keys) => hasAt(hermes, keys));
  const hermesSources = new Map(
    placed.map((keys) => [keys.join("."), `${path}:${text.placeOf(keys, "key").line}`] as const),
  );
  try {
    const section = layer(text, root?.["supervisor"] ?? null, ["supervisor"], "home");
    return { hermes, hermesSources, section, sectionError: null };
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return { hermes, hermesSources, section: emptyLayer, sectionError: error };
  }
}

const hermesKeys: readonly (readonly string[])[] = [
  ["cron", "max_parallel_jobs"],
  ["cron", "script_timeout_seconds"],
  ["cron", "output_retention"],
  ["timezone"],
];

function hasAt(value: unknown, keys: readonly string[]): boolean {
  const [first, ...rest] = keys;
  return first === undefined || (isRecord(value) && Object.hasOwn(value, first) && hasAt(value[first], rest));
}

export const emptyLayer: ConfigLayer = { values: {}, sources: new Map() };

function layer(text: YamlText, value: unknown, root: readonly string[], scope: "host" | "home"): ConfigLayer {
  const { values, problems } = checkSettings(value, scope);
  const errors = problems
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
  const place = (path: readonly string[]): string => `${text.path}:${text.placeOf([...root, ...path], "key").line}`;
  return { values, sources: new Map(settingPaths(value).map((path) => [path.join("."), place(path)])) };
}

/** The paths of what is set in a valid file. */
export function settingPaths(value: unknown): readonly (readonly string[])[] {
  if (!isRecord(value)) return [];
  return Object.entries(value).flatMap(([section, content]) => {
    if (!isRecord(content)) return [];
    return Object.entries(content).flatMap(([key, inner]): readonly (readonly string[])[] => {
      if (section !== "jobs") return [[section, key]];
      return isRecord(inner) ? Object.keys(inner).map((leaf) => [section, key, leaf]) : [];
    });
  });
}
