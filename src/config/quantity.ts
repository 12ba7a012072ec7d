const unitMs: ReadonlyMap<string, number> = new Map([
  ["ms", 1],
  ...["s", "sec", "secs", "second", "seconds"].map((unit) => [unit, 1000] as const),
  ...["m", "min", "mins", "minute", "minutes"].map((unit) => [unit, 60_000] as const),
  ...["h", "hr", "hrs", "hour", "hours"].map((unit) => [unit, 3_600_000] as const),
  ...["d", "day", "days"].map((unit) => [unit, 86_400_000] as const),
  ...["w", "week", "weeks"].map((unit) => [unit, 604_800_000] as const),
]);

const unitBytes: ReadonlyMap<string, number> = new Map([
  ["b", 1],
  ["kb", 1000],
  ["mb", 1000 ** 2],
  ["gb", 1000 ** 3],
  ["tb", 1000 ** 4],
  ["kib", 1024],
  ["mib", 1024 ** 2],
  ["gib", 1024 ** 3],
  ["tib", 1024 ** 4],
]);

/** The form of a length, for editors that check the file while it is written; `parseDuration` decides. */
export const durationPattern = /^\s*(?:\d+(?:\.\d+)?\s*[A-Za-z]+\s*)+$/;
export const sizePattern = /^\s*\d+(?:\.\d+)?\s*[A-Za-z]+\s*$/;

/** Milliseconds of `10 s`, `90m`, `1h 30m`; null when the text is no such length. A number without a unit is none. */
export function parseDuration(text: string): number | null {
  if (!durationPattern.test(text)) return null;
  let totalMs = 0;
  for (const [, amount = "", unit = ""] of text.matchAll(/(\d+(?:\.\d+)?)\s*([A-Za-z]+)/g)) {
    const factor = unitMs.get(unit.toLowerCase());
    if (factor === undefined) return null;
    totalMs += Number(amount) * factor;
  }
  return Number.isFinite(totalMs) ? Math.round(totalMs) : null;
}

/** Bytes of `64 MiB` or `1.5 GB`; null when the text is no such size. */
export function parseSize(text: string): number | null {
  const match = /^\s*(\d+(?:\.\d+)?)\s*([A-Za-z]+)\s*$/.exec(text);
  const factor = unitBytes.get(match?.[2]?.toLowerCase() ?? "");
  if (match === null || factor === undefined) return null;
  const bytes = Math.round(Number(match[1]) * factor);
  return Number.isSafeInteger(bytes) ? bytes : null;
}

/** The shortest way to write a length that `parseDuration` reads back, such as `1 h 30 m`. */
export function formatDuration(ms: number): string {
  if (ms === 0) return "0 s";
  const parts: string[] = [];
  let rest = ms;
  for (const unit of ["d", "h", "m", "s", "ms"]) {
    const factor = unitMs.get(unit) ?? 1;
    const amount = Math.floor(rest / factor);
    if (amount > 0) parts.push(`${amount} ${unit}`);
    rest -= amount * factor;
  }
  return parts.join(" ");
}

export function formatSize(bytes: number): string {
  for (const unit of ["TiB", "GiB", "MiB", "KiB"]) {
    const factor = unitBytes.get(unit.toLowerCase()) ?? 1;
    if (bytes >= factor && bytes % factor === 0) return `${bytes / factor} ${unit}`;
  }
  return `${bytes} B`;
}
