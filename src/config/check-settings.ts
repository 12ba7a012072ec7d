import type { z } from "zod";
import { expectedAt, type FileSettings, fileSchema, knownKeys, settings } from "./schema.ts";
import { aTag, unitProblem } from "./setting.ts";

/** One thing that is wrong with settings: at which of them, and in words, with what was expected. */
export interface SettingProblem {
  readonly path: readonly (string | number)[];
  readonly part: "key" | "value";
  readonly problem: string;
}

export interface CheckedSettings {
  readonly values: FileSettings;
  readonly problems: readonly SettingProblem[];
}

/** Finding the place of each of a hundred thousand mistakes would take minutes. */
export const problemsMax = 20;

/** Holds plain data against the table of settings. `scope` says whether it counts for the host or for one home. */
export function checkSettings(value: unknown, scope: "host" | "home"): CheckedSettings {
  const result = fileSchema.safeParse(value);
  const problems: SettingProblem[] = [];
  for (const issue of (result.error?.issues ?? []).flatMap(innermost)) {
    const path = issue.path.map((part) => (typeof part === "number" ? part : String(part)));
    if (issue.code === "unrecognized_keys") {
      for (const key of issue.keys.slice(0, problemsMax))
        problems.push({ path: [...path, key], part: "key", problem: unknownKey(path, key) });
    } else if (issue.code === "invalid_key") {
      const [inner, key] = [path.slice(0, -1), String(path.at(-1))];
      const expected = `${expectedAt(inner) ?? "a mapping"}, with ${aTag} for each`;
      const problem = `${inner.join(".")} has the key ${showValue(key)}, expected ${expected}`;
      problems.push({ path, part: "key", problem });
    } else {
      const bound = issue.code === "custom" && issue.message !== unitProblem ? issue.message : null;
      const expected = bound ?? `expected ${expectedAt(path) ?? "a mapping"}`;
      const name = path.length === 0 ? "the configuration" : path.join(".");
      const problem = `${name} is ${showValue(valueAt(value, path))}, ${expected}`;
      // A number can be at fault in two ways at once, and is said once.
      if (!problems.some((each) => each.problem === problem)) problems.push({ path, part: "value", problem });
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
  return { values: result.data ?? {}, problems: [...said, ...(scope === "home" ? hostOnlyProblems(value) : [])] };
}

function hostOnlyProblems(value: unknown): readonly SettingProblem[] {
  if (!isRecord(value)) return [];
  return settings
    .filter(({ key, hostOnly }) => hostOnly === true && valueAt(value, key.split(".")) !== undefined)
    .map(({ key }) => ({
      path: key.split("."),
      part: "key",
      problem: `${key} is set for one home, expected it in the host's config only`,
    }));
}

function unknownKey(path: readonly (string | number)[], key: string): string {
  const full = [...path, key].join(".");
  const known = knownKeys(path);
  if (known.includes(key)) {
    const expected = expectedAt(path) ?? `one of ${known.join(", ")}`;
    return `"${full}" cannot stand beside the other keys of ${path.join(".")}, expected ${expected}`;
  }
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
  const choices = issue.errors.map((choice) => choice.flatMap(innermost));
  const [best] = choices.sort((a, b) => depth(b) - depth(a) || a.length - b.length);
  if (best === undefined || depth(best) === 0) return [issue];
  return best.map((inner) => ({ ...inner, path: [...issue.path, ...inner.path] }));
}

export function showValue(value: unknown): string {
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

export function isRecord(value: unknown): value is Record<string, unknown> {
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
