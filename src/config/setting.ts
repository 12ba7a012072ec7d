import { z } from "zod";
import { durationPattern, formatDuration, formatSize, parseDuration, parseSize, sizePattern } from "./quantity.ts";

/** One setting: what a file may hold, and what the documents say about it. All that there is to say about it stands here. */
export interface SettingRule {
  readonly schema: z.ZodType;
  /** As it would be written in the file; null where something else decides until it is set. */
  readonly fallback: string | null;
  /** Completes "expected …". */
  readonly expected: string;
  readonly about: string;
  /** Only the host's file may hold it: it is about the daemon and not about one home. */
  readonly hostOnly?: true;
  /** For what lies inside the value: what is expected there, by key, such as `backoff.first`; `*` stands for the items of a list. */
  readonly inside?: Readonly<Record<string, string>>;
}

/** The settings of one section, by their last name. */
export type SettingRules = Readonly<Record<string, SettingRule>>;

export const second = 1000;
export const minute = 60_000;
export const hour = 3_600_000;
export const day = 86_400_000;
export const mebibyte = 1024 ** 2;
export const gibibyte = 1024 ** 3;

export const aLength = "a length of time with its unit, such as 10 s, 90 m or 2 h";
export const aSize = "a size with its unit, such as 64 MiB";

export const aTag = "a name of letters, digits, _, . and -";
export const tagPattern = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/;

/** Stands for "not a quantity at all": the documents of the setting say what was expected. */
export const unitProblem = "unit";

/**
 * A value as people write it becomes a value as we use it. The error text of a transform says what is allowed;
 * where zod's own check fails first, `expected` of the setting says it.
 */
export function duration(min: number, max: number) {
  return z
    .string()
    .regex(durationPattern)
    .transform((text, context): number => {
      const ms = parseDuration(text);
      if (ms !== null && ms >= min && ms <= max) return ms;
      context.addIssue({
        code: "custom",
        message: ms === null ? unitProblem : `expected ${formatDuration(min)} to ${formatDuration(max)}`,
      });
      return z.NEVER;
    });
}

export function size(min: number, max: number) {
  return z
    .string()
    .regex(sizePattern)
    .transform((text, context): number => {
      const bytes = parseSize(text);
      if (bytes !== null && bytes >= min && bytes <= max) return bytes;
      context.addIssue({
        code: "custom",
        message: bytes === null ? unitProblem : `expected ${formatSize(min)} to ${formatSize(max)}`,
      });
      return z.NEVER;
    });
}

/** Says of `key` that it is less than what `least` beside it asks for. */
export function tooSmall(
  context: { addIssue(issue: { code: "custom"; path: string[]; message: string }): void },
  key: string,
  least: string,
  leastMs: number,
): void {
  context.addIssue({ code: "custom", path: [key], message: `expected at least ${least} (${formatDuration(leastMs)})` });
}

/** `none` switches off what the setting bounds. */
export function orNone<T extends z.ZodType>(schema: T) {
  return z.union([z.literal("none").transform((): null => null), schema]);
}
