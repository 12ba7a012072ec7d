import type { Retry } from "../core/job-policy.ts";
import type { ShownSetting } from "./effective-settings.ts";
import { formatDuration, formatSize } from "./quantity.ts";
import { settingAt } from "./schema.ts";
import { aLength, aSize } from "./setting.ts";

/** The value of a setting as a file would hold it. */
export function formatSetting({ key, value }: Pick<ShownSetting, "key" | "value">): string {
  const rule = settingAt(pathOf(key));
  if (value === null)
    return rule !== null && rule.fallback === null && key.startsWith("jobs.") === false ? "auto" : "none";
  if (typeof value === "number" && rule?.expected.startsWith(aLength) === true) return formatDuration(value);
  if (typeof value === "number" && rule?.expected.startsWith(aSize) === true) return formatSize(value);
  if (isPlain(key)) return formatPlain(value);
  return typeof value === "object" ? formatGroup(value) : String(value);
}

/** A mapping whose keys are people's own names, which are no words of ours. */
function isPlain(key: string): boolean {
  return key === "limits.tags" || key === "limits.classes";
}

function formatPlain(value: unknown): string {
  const entries = Object.entries(value as Readonly<Record<string, unknown>>);
  return entries.length === 0 ? "{}" : `{ ${entries.map(([name, part]) => `${name}: ${String(part)}`).join(", ")} }`;
}

/** As `--json` prints it: lengths in milliseconds and sizes in bytes. */
export function settingJson({ key, value, source }: ShownSetting): {
  readonly key: string;
  readonly value: unknown;
  readonly source: string;
} {
  const isGroup = typeof value === "object" && value !== null && !Array.isArray(value);
  return { key, value: isGroup && !isPlain(key) ? writtenForm(value) : value, source };
}

/** A job's name may have dots in it. */
function pathOf(key: string): readonly string[] {
  if (!key.startsWith("jobs.")) return key.split(".");
  const end = key.lastIndexOf(".");
  return ["jobs", key.slice(5, end), key.slice(end + 1)];
}

/** Lists and groups as the configuration writes them. */
function formatGroup(value: object): string {
  if (Array.isArray(value)) return `[${value.map(formatPart).join(", ")}]`;
  const written = writtenForm(value);
  if (typeof written === "string") return written;
  const parts = Object.entries(written).map(([key, part]) => {
    if (key.endsWith("_ms") && part !== null) return `${key.slice(0, -3)}: ${formatDuration(Number(part))}`;
    return `${key}: ${formatPart(part)}`;
  });
  return `{ ${parts.join(", ")} }`;
}

function formatPart(part: unknown): string {
  return typeof part === "object" && part !== null ? formatGroup(part) : String(part);
}

/** A group under the names that a person writes, lengths in milliseconds: `run_once`, or `{ run_all: 5 }`. */
function writtenForm(value: object): string | Readonly<Record<string, unknown>> {
  if ("growth" in value) {
    const { backoffMs, growth, ...others } = value as Retry;
    const backoff = { firstMs: backoffMs, factor: growth?.factor, maxMs: growth?.delayMsMax };
    return writtenForm({ ...others, backoff: writtenForm(backoff) });
  }
  const { kind, ...rest } = value as Readonly<Record<string, unknown>>;
  const parts = Object.entries(rest).map(([key, part]) => {
    const unit = key.endsWith("Ms") ? "_ms" : "";
    return [kind === undefined ? (writtenNames[key] ?? snakeCase(key)) : `${String(kind)}${unit}`, part] as const;
  });
  return parts.length === 0 && kind !== undefined ? String(kind) : Object.fromEntries(parts);
}

const writtenNames: Readonly<Record<string, string>> = {
  attemptsMax: "max",
  backoffMs: "backoff_ms",
  causes: "on",
  pauseMsMax: "pause_max_ms",
};

function snakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
