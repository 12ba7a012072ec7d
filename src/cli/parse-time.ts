import { parseDuration } from "../config/quantity.ts";
import { parseInstant } from "../core/instant.ts";
import type { Zone } from "../core/zone.ts";
import { CommandError, exitCodes } from "./exit-codes.ts";
import { printable } from "./print.ts";

/**
 * An instant as a person types it: ISO 8601, in the zone where no offset is given, or a length such as `2h`, counted
 * back from now for `--since` and ahead for `--at`.
 */
export function parseTime(option: "--since" | "--at", text: string, nowMs: number, zone: Zone): number {
  const lengthMs = parseDuration(text);
  if (lengthMs !== null) return option === "--since" ? nowMs - lengthMs : nowMs + lengthMs;
  const ms = parseInstant(text.trim(), zone);
  if (ms !== null) return ms;
  const example = option === "--since" ? "2026-01-31T08:00 or 2h" : "2026-01-31T08:00, 2026-01-31T08:00Z or 2h";
  throw usage(`Cannot parse ${option} "${printable(text)}": it is no time, expected something like ${example}`);
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
