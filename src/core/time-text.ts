import { wallOfInstant, type Zone } from "./zone.ts";

/** A length as people say it, in its largest unit: `0.25 s`, `12 s`, `3 min`, `5 h`, `12 d`. */
export function formatLength(ms: number): string {
  if (ms < 10) return `${Math.max(0, Math.round(ms * 10) / 10)} ms`;
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 9950) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 100) return `${seconds} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  if (seconds < 129_600) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86_400)} d`;
}

/** `in 3 min`, `3 min ago` or `now`. */
export function formatDistance(atMs: number, nowMs: number): string {
  const distance = atMs - nowMs;
  if (Math.abs(distance) < 1000) return "now";
  const size = formatLength(Math.round(Math.abs(distance) / 1000) * 1000).replace(".0 s", " s");
  return distance > 0 ? `in ${size}` : `${size} ago`;
}

const noDate = "beyond all dates";

/** Wall clock time in the zone: the time alone today, with the day in this year, else the date and the minute. */
export function formatClock(atMs: number, nowMs: number, zone: Zone): string {
  const text = formatDateTime(atMs, zone);
  const now = formatDateTime(nowMs, zone);
  if (text === noDate) return text;
  if (text.slice(0, 10) === now.slice(0, 10)) return text.slice(11);
  return text.slice(0, 4) === now.slice(0, 4) ? text.slice(5, 16) : text.slice(0, 16);
}

/** Both: `03:00:00 5 min ago`. Where it is cut, the absolute time is what stays. */
export function formatWhen(atMs: number, nowMs: number, zone: Zone): string {
  return `${formatClock(atMs, nowMs, zone)} ${formatDistance(atMs, nowMs)}`;
}

/** `2026-01-05 03:00:00` in the zone. */
export function formatDateTime(atMs: number, zone: Zone): string {
  const wallMs = wallOfInstant(atMs, zone);
  return Math.abs(wallMs) <= 8.64e15 ? new Date(wallMs).toISOString().slice(0, 19).replace("T", " ") : noDate;
}

/** As `formatClock`, in a sentence: without seconds that say nothing, and with the whole date of another day. */
export function formatMoment(atMs: number, nowMs: number, zone: Zone): string {
  const text = formatDateTime(atMs, zone);
  if (text === noDate) return text;
  const short = text.endsWith(":00") ? text.slice(0, -3) : text;
  return short.slice(0, 10) === formatDateTime(nowMs, zone).slice(0, 10) ? short.slice(11) : short;
}
