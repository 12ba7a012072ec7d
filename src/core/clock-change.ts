import { nextWall, parseCronExpression } from "./cron-expression.ts";
import { nextOccurrence } from "./next-occurrence.ts";
import type { Schedule } from "./schedule.ts";
import { formatOffset, instantOfWall, wallOfInstant, type Zone } from "./zone.ts";

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;

/** What a change of the clocks did to a wall clock time. */
export interface ClockChange {
  /** `gap`: the time did not exist. `repeat`: it came twice. */
  readonly kind: "gap" | "repeat";
  /** A clause, without a capital and a full stop. */
  readonly text: string;
  /** Of a repeated time, whether the instant is the second one. */
  readonly isSecond: boolean;
}

/** What a change of the clocks has to do with an instant of a cron job; null where it has nothing to do with it. */
export function clockChangeAt(schedule: Schedule | null, atMs: number, zone: Zone): ClockChange | null {
  if (schedule?.kind !== "cron") return null;
  const names = (wallMs: number): boolean => {
    try {
      return nextWall(parseCronExpression(schedule.expression), wallMs - 1000) === wallMs;
    } catch {
      // A refused expression names nothing.
      return false;
    }
  };
  const offsetMs = zone.offsetMsAt(atMs);
  const wallMs = wallOfInstant(atMs, zone);
  const day = new Date(wallMs).toISOString().slice(0, 10);
  const first = instantOfWall(wallMs, 0, zone);
  const second = instantOfWall(wallMs, 1, zone);
  if (first !== second && names(wallMs)) {
    const [from, to] = [zone.offsetMsAt(first), zone.offsetMsAt(second)].map(formatOffset);
    const text = `${clock(wallMs)} comes twice on ${day}, as clocks in ${zone.name} are set back (from ${from} to ${to})`;
    return { kind: "repeat", text, isSecond: atMs === second };
  }
  const aheadMs = offsetMs - zone.offsetMsAt(atMs - dayMs);
  if (aheadMs <= 0 || names(wallMs) || !names(wallMs - aheadMs)) return null;
  const change = changeBetween(atMs - dayMs, atMs, zone);
  const [from, to] = [wallOfInstant(change, zone) - aheadMs, wallOfInstant(change, zone)].map(clock);
  const text = `${clock(wallMs - aheadMs)} does not exist on ${day}, as clocks in ${zone.name} go forward from ${from} to ${to}`;
  return { kind: "gap", text: `${text}, so ${clock(wallMs)} stands in for it`, isSecond: false };
}

/**
 * After which instant the schedule has to be asked for what it names at `atMs` or later: a step into the hour that clocks leave out
 * begins before it, and a time that comes twice counts at the first.
 */
export function askAfter(schedule: Schedule, atMs: number, zone: Zone): number {
  if (schedule.kind !== "cron") return atMs - 1;
  const change = clockChangeAt(schedule, atMs, zone);
  if (change?.kind === "repeat" && change.isSecond) return instantOfWall(wallOfInstant(atMs, zone), 0, zone);
  const recentMs = atMs - 3 * hourMs;
  if (zone.offsetMsAt(atMs) <= zone.offsetMsAt(recentMs)) return atMs - 1;
  const beforeMs = changeBetween(recentMs, atMs, zone) - 1;
  const acrossMs = nextOccurrence(schedule, beforeMs, zone);
  return acrossMs !== null && acrossMs >= atMs ? beforeMs : atMs - 1;
}

function changeBetween(fromMs: number, toMs: number, zone: Zone): number {
  const before = zone.offsetMsAt(fromMs);
  let [low, high] = [fromMs, toMs];
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (zone.offsetMsAt(middle) === before) low = middle;
    else high = middle;
  }
  return high;
}

function clock(wallMs: number): string {
  return new Date(wallMs).toISOString().slice(11, 19).replace(/:00$/, "");
}
