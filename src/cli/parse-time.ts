import { parseDuration } from "../config/quantity.ts";
import { parseInstant } from "../core/instant.ts";
import { instantOfWall, wallOfInstant, type Zone } from "../core/zone.ts";
import { CommandError, exitCodes } from "./exit-codes.ts";
import { printable } from "./print.ts";

const dayMs = 86_400_000;

/**
 * An instant as a person types it: ISO 8601, in the zone where no offset is given, a time of today such as `9:00`, or a length such as
 * `2h`, counted back from now for `--since` and `TIME`, where `+2h` is ahead, and ahead for `--at`, with a plus or without.
 */
export function parseTime(option: "--since" | "--at" | "TIME", text: string, nowMs: number, zone: Zone): number {
  const isAhead = option === "--at" || (option === "TIME" && text.startsWith("+"));
  const lengthMs = parseDuration(option === "--since" ? text : text.replace(/^\+/, ""));
  if (lengthMs !== null) return isAhead ? nowMs + lengthMs : nowMs - lengthMs;
  const clockMs = parseClock(text.trim(), nowMs, zone);
  if (clockMs !== null) return clockMs;
  const ms = parseInstant(text.trim(), zone);
  if (ms !== null) return ms;
  const example =
    option === "--since"
      ? "2026-01-31T08:00 or 2h"
      : `2026-01-31T08:00, 2026-01-31T08:00Z, 8:00${option === "TIME" ? ", 2h (ago) or +2h (ahead)" : " or 2h"}`;
  throw usage(`Cannot parse ${option} "${printable(text)}": it is no time, expected something like ${example}`);
}

/** A time of the day that it is in the zone. */
function parseClock(text: string, nowMs: number, zone: Zone): number | null {
  const found = /^([01]?\d|2[0-3]):([0-5]\d)(?::([0-5]\d))?$/.exec(text);
  if (found === null) return null;
  const [hours, minutes, seconds] = found.slice(1).map((part) => Number(part ?? 0)) as [number, number, number];
  const midnightMs = Math.floor(wallOfInstant(nowMs, zone) / dayMs) * dayMs;
  return instantOfWall(midnightMs + ((hours * 60 + minutes) * 60 + seconds) * 1000, 0, zone);
}

/** A whole number from `min` to `max`. */
export function parseCount(option: string, text: string, min: number, max = 1_000_000_000): number {
  const count = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN;
  if (count >= min && count <= max) return count;
  throw usage(`Cannot parse ${option} "${printable(text)}": expected a whole number from ${min} to ${max}`);
}

export function usage(message: string): CommandError {
  return new CommandError(exitCodes.usage, "usage", message);
}
