import type { ShownSetting } from "./effective-settings.ts";
import { formatSetting } from "./format-setting.ts";

/** One setting that is another one than before; null where it was or is not there, as for a job that is no longer named. */
export interface ChangedSetting {
  readonly key: string;
  readonly before: ShownSetting | null;
  readonly after: ShownSetting | null;
}

/** What differs in value. That a value now comes from another place changes nothing. */
export function changedSettings(
  before: readonly ShownSetting[],
  after: readonly ShownSetting[],
): readonly ChangedSetting[] {
  const old = new Map(before.map((setting) => [setting.key, setting]));
  const keys = new Set([...after, ...before].map(({ key }) => key));
  const now = new Map(after.map((setting) => [setting.key, setting]));
  return [...keys].flatMap((key): ChangedSetting[] => {
    const [one, other] = [old.get(key) ?? null, now.get(key) ?? null];
    return textOf(one) === textOf(other) ? [] : [{ key, before: one, after: other }];
  });
}

/** `stop.grace: 10 s → 5 s`. */
export function formatChange({ key, before, after }: ChangedSetting): string {
  return `${key}: ${textOf(before)} → ${textOf(after)}`;
}

function textOf(setting: ShownSetting | null): string {
  return setting === null ? "as for all jobs" : formatSetting(setting);
}
