import { parse } from "yaml";
import { z } from "zod";
import { jobRules } from "./job-rules.ts";
import { sections } from "./sections.ts";
import type { SettingRule, SettingRules } from "./setting.ts";

/** A setting with the name that it has in the documents and in messages. */
export interface Setting extends SettingRule {
  readonly key: string;
}

type Schemas<T extends SettingRules> = { readonly [K in keyof T]: T[K]["schema"] };

/** What a setting is where nothing sets it; null where something else decides then. */
export type Fallback<T extends SettingRule> = T["fallback"] extends null
  ? z.output<T["schema"]> | null
  : z.output<T["schema"]>;

/** Every setting, in the order of the documents; those of jobs once, as `defaults.*`. */
export const settings: readonly Setting[] = Object.entries({ ...sections, defaults: jobRules } as Readonly<
  Record<string, SettingRules>
>).flatMap(([section, rules]) => Object.entries(rules).map(([name, rule]) => ({ key: `${section}.${name}`, ...rule })));

/** The value of a setting where nothing sets it. */
export function fallbackOf<T extends SettingRule>(rule: T): Fallback<T> {
  return (rule.fallback === null ? null : rule.schema.parse(parse(rule.fallback))) as Fallback<T>;
}

/** An absent key inherits; an empty section (`limits:` with its lines commented out) is an absent one. */
function section<T extends SettingRules>(rules: T) {
  const schemas = Object.fromEntries(Object.entries(rules).map(([name, rule]) => [name, rule.schema])) as Schemas<T>;
  return z.strictObject(schemas).partial().nullable().optional();
}

type SectionSchemas = { readonly [K in keyof typeof sections]: ReturnType<typeof section<(typeof sections)[K]>> };

const sectionSchemas = Object.fromEntries(
  Object.entries(sections).map(([name, rules]) => [name, section(rules)]),
) as unknown as SectionSchemas;

const job = section(jobRules);

/** What a file may hold: the host's file as a whole, or the `supervisor:` section of a home's own. */
export const fileSchema = z
  .strictObject({ ...sectionSchemas, defaults: job, jobs: z.record(z.string(), job).nullable().optional() })
  .nullable();

export type FileSettings = NonNullable<z.infer<typeof fileSchema>>;
export type JobFileSettings = NonNullable<FileSettings["defaults"]>;

/** The setting that a path in a file names; a job's is found under `defaults`. */
export function settingAt(path: readonly (string | number)[]): Setting | null {
  const [first, second, third] = path.map(String);
  const key = first === "jobs" ? `defaults.${third ?? ""}` : `${first ?? ""}.${second ?? ""}`;
  return settings.find((setting) => setting.key === key) ?? null;
}

/** Completes "expected …" for the value at `path`, which may lie inside a setting; null where a mapping belongs. */
export function expectedAt(path: readonly (string | number)[]): string | null {
  const setting = settingAt(path);
  if (setting === null) return null;
  const below = pathInside(path);
  if (below.length === 0) return setting.expected;
  return setting.inside?.[nameInside(below)] ?? setting.inside?.["*"] ?? setting.expected;
}

/** What of `path` lies inside the setting. */
function pathInside(path: readonly (string | number)[]): readonly (string | number)[] {
  return path.slice(path[0] === "jobs" ? 3 : 2);
}

/** The name under which `inside` has it; the items of a list have none of their own. */
function nameInside(below: readonly (string | number)[]): string {
  return below.filter((part) => typeof part !== "number").join(".");
}

/** The keys that may stand below `path`. */
export function knownKeys(path: readonly (string | number)[]): readonly string[] {
  const [first] = path.map(String);
  if (path.length === 0) return [...Object.keys(sections), "defaults", "jobs"];
  if (path.length === 1 || (first === "jobs" && path.length === 2)) {
    if (first === "defaults" || first === "jobs") return Object.keys(jobRules);
    return Object.keys((sections as Readonly<Record<string, SettingRules>>)[first ?? ""] ?? {});
  }
  const outer = nameInside(pathInside(path));
  return Object.keys(settingAt(path)?.inside ?? {})
    .filter((key) => key !== "*" && key.slice(0, key.lastIndexOf(".") + 1) === (outer === "" ? "" : `${outer}.`))
    .map((key) => key.slice(key.lastIndexOf(".") + 1));
}
