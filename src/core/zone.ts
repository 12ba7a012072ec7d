/** The rule that turns instants into wall clock time. */
export interface Zone {
  /** IANA name, or `UTC+hh:mm` for a fixed offset. */
  readonly name: string;
  /** Wall clock minus UTC, in milliseconds, at an instant. */
  offsetMsAt(epochMs: number): number;
}

const dayMs = 86_400_000;
// 6.2 days: no zone has changed its clock twice within one bucket, so equal ends mean one offset throughout.
const bucketMs = 2 ** 29;
const bucketsMax = 4096;

// ICU knows names that are no time zones to Python (PST, IST, SystemV/...), so a name without a slash must be one of these.
const namesWithoutSlash = new Set(
  (
    "CET CST6CDT Cuba EET EST EST5EDT Egypt Eire GB GB-Eire GMT GMT+0 GMT-0 GMT0 Greenwich HST Hongkong Iceland Iran " +
    "Israel Jamaica Japan Kwajalein Libya MET MST MST7MDT NZ NZ-CHAT Navajo PRC PST8PDT Poland Portugal ROC ROK " +
    "Singapore Turkey UCT UTC Universal W-SU WET Zulu"
  ).split(" "),
);
// Python looks zones up as files, where upper and lower case differ; ICU ignores case and drops the spelling it was given.
const nameWithSlash =
  /^(?:Africa|America|Antarctica|Arctic|Asia|Atlantic|Australia|Brazil|Canada|Chile|Etc|Europe|Indian|Mexico|Pacific|US)(?:\/[A-Z][A-Za-z0-9+]*(?:[-_](?:[A-Z][A-Za-z]*|of|es|au|\d+))*)+$/;

/** Zones by name: to make one costs more than all else that a home's settings come to, and a host's homes have few. */
const zones = new Map<string, Zone>();
const zonesMax = 50;

/** Whether Python's `ZoneInfo` would know the name. */
export function isZoneName(name: string): boolean {
  return namedZone(name) !== null;
}

/** The zone of that name; with null or a name that nobody knows, the server's own offset, as Hermes does. */
export function createZone(name: string | null, serverOffsetMinutes: number): Zone {
  return namedZone(name?.trim() ?? "") ?? createFixedZone(serverOffsetMinutes * 60_000);
}

function namedZone(name: string): Zone | null {
  const isSpelledRight = name.includes("/")
    ? nameWithSlash.test(name) && !/[A-Z]{4}/.test(name)
    : namesWithoutSlash.has(name);
  if (!isSpelledRight) return null;
  const known = zones.get(name);
  if (known !== undefined) return known;
  const format = createFormat(name);
  if (format === null) return null;
  const zone = createNamedZone(name, format);
  if (zones.size >= zonesMax) zones.clear();
  zones.set(name, zone);
  return zone;
}

function createFormat(name: string): Intl.DateTimeFormat | null {
  try {
    return new Intl.DateTimeFormat("en-US", { timeZone: name, timeZoneName: "longOffset" });
  } catch {
    // A RangeError is how Intl says that it has no such zone, and there is no other question to ask it.
    return null;
  }
}

function createFixedZone(offsetMs: number): Zone {
  return { name: `UTC${formatOffset(offsetMs)}`, offsetMsAt: () => offsetMs };
}

/** What is known of one bucket: the offset at its start and, from `changeMs` on, the offset at its end. */
interface Bucket {
  readonly before: number;
  readonly changeMs: number;
  readonly after: number;
}

function createNamedZone(name: string, format: Intl.DateTimeFormat): Zone {
  const buckets = new Map<number, Bucket>();
  let lastIndex = Number.NaN;
  let last: Bucket = { before: 0, changeMs: Number.POSITIVE_INFINITY, after: 0 };

  function readBucket(index: number): Bucket {
    const startMs = index * bucketMs;
    const before = readOffset(format, startMs);
    const after = readOffset(format, startMs + bucketMs);
    if (before === after) return { before, changeMs: Number.POSITIVE_INFINITY, after };
    let low = startMs;
    let high = startMs + bucketMs;
    while (high - low > 1) {
      const middle = Math.floor((low + high) / 2);
      if (readOffset(format, middle) === before) low = middle;
      else high = middle;
    }
    return { before, changeMs: high, after };
  }

  return {
    name,
    offsetMsAt(epochMs) {
      const index = Math.floor(epochMs / bucketMs);
      if (index !== lastIndex) {
        let bucket = buckets.get(index);
        if (bucket === undefined) {
          bucket = readBucket(index);
          if (buckets.size >= bucketsMax) buckets.clear();
          buckets.set(index, bucket);
        }
        lastIndex = index;
        last = bucket;
      }
      return epochMs < last.changeMs ? last.before : last.after;
    },
  };
}

const dateMaxMs = 8.64e15;

function readOffset(format: Intl.DateTimeFormat, epochMs: number): number {
  const text = format.format(Math.max(-dateMaxMs, Math.min(dateMaxMs, epochMs)));
  const match = /GMT(?:([+\-\u2212])(\d+):(\d+)(?::(\d+))?)?$/.exec(text);
  if (match === null) throw new Error(`Cannot read offset "${text}": it does not end in GMT+hh:mm`);
  const sign = match[1] === "+" ? 1 : -1;
  const seconds = Number(match[2] ?? 0) * 3600 + Number(match[3] ?? 0) * 60 + Number(match[4] ?? 0);
  return seconds === 0 ? 0 : sign * seconds * 1000;
}

/** `+hh:mm`, with seconds only where there are any. */
export function formatOffset(offsetMs: number): string {
  const size = Math.round(Math.abs(offsetMs) / 1000);
  const parts = [Math.floor(size / 3600), Math.floor(size / 60) % 60];
  if (size % 60 !== 0) parts.push(size % 60);
  return (offsetMs < 0 ? "-" : "+") + parts.map((part) => String(part).padStart(2, "0")).join(":");
}

/**
 * The instant of a wall clock time, given as if it were UTC. Where the clock was set back, fold 0 is the first and 1 the
 * second of its two instants; where it was set forward over the time, fold 0 counts on with the old offset and 1 with the
 * new one (PEP 495).
 */
export function instantOfWall(wallMs: number, fold: 0 | 1, zone: Zone): number {
  const before = zone.offsetMsAt(wallMs - dayMs);
  const after = zone.offsetMsAt(wallMs + dayMs);
  if (before === after) return wallMs - before;
  const isBeforeTrue = zone.offsetMsAt(wallMs - before) === before;
  const isAfterTrue = zone.offsetMsAt(wallMs - after) === after;
  if (isBeforeTrue !== isAfterTrue) return wallMs - (isBeforeTrue ? before : after);
  return wallMs - (fold === 0 ? before : after);
}

/** The wall clock time at an instant, given as if it were UTC. */
export function wallOfInstant(epochMs: number, zone: Zone): number {
  return epochMs + zone.offsetMsAt(epochMs);
}
