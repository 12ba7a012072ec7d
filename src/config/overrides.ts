import { checkSettings, nearest } from "./check-settings.ts";
import { type ConfigLayer, settingPaths } from "./parse-config.ts";
import { settings } from "./schema.ts";
import { ConfigError, parseYamlText } from "./yaml-text.ts";

/** What the command line and the environment set over every file. */
export interface Overrides {
  /** One for each setting, the most important first. */
  readonly layers: readonly ConfigLayer[];
  /** One sentence for each that cannot be used. */
  readonly errors: readonly string[];
}

const variablePrefix = "HERMES_SUPERVISOR_";

/** The variable that sets `key` for the host and every home, such as `HERMES_SUPERVISOR_STOP_GRACE`. */
export function variableOf(key: string): string {
  return variablePrefix + key.replaceAll(".", "_").toUpperCase();
}

const keyOfVariable: ReadonlyMap<string, string> = new Map(settings.map(({ key }) => [variableOf(key), key]));
const sectionPrefixes = [...new Set(settings.map(({ key }) => `${variableOf(key.split(".")[0] ?? "")}_`))];

/** Those of `variables` that say something about settings. */
export function settingVariables(
  variables: Readonly<Record<string, string | undefined>>,
): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(variables).flatMap(([name, text]) =>
      text !== undefined && (keyOfVariable.has(name) || name === "HERMES_SUPERVISOR_PYTHON") ? [[name, text]] : [],
    ),
  );
}

/** `flags` are those of `--set`, each `KEY=VALUE`; the last one for a key counts, and any of them more than a variable. */
export function readOverrides(
  flags: readonly string[],
  variables: Readonly<Record<string, string | undefined>>,
): Overrides {
  const layers: ConfigLayer[] = [];
  const errors: string[] = [];
  const add = (key: string, text: string, source: string, what: string): void => {
    const read = readOverride(key, text, source);
    if (typeof read === "string") errors.push(`Cannot use ${what}: ${read}`);
    else layers.unshift(read);
  };
  for (const [name, text] of Object.entries(variables)) {
    // As for Hermes, an empty variable is one that is not set.
    if (text === undefined || text === "" || !sectionPrefixes.some((prefix) => name.startsWith(prefix))) continue;
    const key = keyOfVariable.get(name);
    if (key !== undefined) {
      add(key, text, name, `variable ${name}`);
      continue;
    }
    const near = nearest(
      name.toLowerCase(),
      [...keyOfVariable.keys()].map((each) => each.toLowerCase()),
    );
    const hint = near === null ? "see docs/config.md for those there are" : `did you mean ${near.toUpperCase()}?`;
    errors.push(`Cannot use variable ${name}: no setting has this name, ${hint}`);
  }
  for (const flag of flags) {
    const end = flag.indexOf("=");
    if (end > 0)
      add(flag.slice(0, end).trim(), flag.slice(end + 1), `--set ${flag.slice(0, end).trim()}`, `--set "${flag}"`);
    else errors.push(`Cannot use --set "${flag}": expected KEY=VALUE, such as stop.grace=30s`);
  }
  return { layers, errors };
}

/** One setting as a layer of its own, or what is wrong with it. */
function readOverride(key: string, text: string, source: string): ConfigLayer | string {
  const value = readValue(text);
  if (value instanceof ConfigError) return value.problem;
  const [section = "", ...rest] = key.split(".");
  // A job's name may have dots in it; the name of a setting has none.
  const path = section === "jobs" && rest.length > 1 ? [rest.slice(0, -1).join("."), rest.at(-1) ?? ""] : rest;
  const data = { [section]: path.reduceRight<unknown>((inner, part) => ({ [part]: inner }), value) };
  const { values, problems } = checkSettings(data, "host");
  if (problems[0] !== undefined) return problems[0].problem;
  const paths = settingPaths(data);
  if (paths.length === 0) return `"${key}" sets nothing, expected a setting such as stop.grace and its value`;
  return { values, sources: new Map(paths.map((each) => [each.join("."), source])) };
}

/** As it would stand in the file: `8`, `10 s`, `[A, B]`, `{ max: 3 }`. */
function readValue(text: string): unknown {
  try {
    return parseYamlText(text, "", "1.2").value;
  } catch (error) {
    if (error instanceof ConfigError) return error;
    throw error;
  }
}
