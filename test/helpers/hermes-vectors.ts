import { readFileSync } from "node:fs";
import type { Gate } from "../../src/core/admission.ts";
import type { OwnerState } from "../../src/core/claim-life.ts";
import { parseInstant } from "../../src/core/instant.ts";
import { type Job, type JobPatch, jobKinds } from "../../src/core/job.ts";
import { createZone, type Zone } from "../../src/core/zone.ts";
import { patchRecord, readRecord } from "../../src/store/jobs-file.ts";

export type VectorRecord = Readonly<Record<string, unknown>>;

export interface VectorStep {
  readonly fn: string;
  readonly args?: readonly unknown[];
  readonly kwargs?: VectorRecord;
  /** Seconds that pass before it. */
  readonly wait?: number;
}

/** One recorded answer of a released Hermes. */
export interface Vector {
  readonly id: string;
  readonly version: string;
  readonly now: string;
  readonly tz: string | null;
  readonly systemTz?: string;
  readonly note: string;
  readonly config?: { readonly cron?: VectorRecord };
  readonly env?: Readonly<Record<string, string>>;
  readonly running?: readonly string[];
  readonly executions?: readonly VectorRecord[];
  readonly steps?: readonly VectorStep[];
  readonly before: readonly unknown[];
  readonly expected: {
    readonly due?: readonly string[];
    readonly instants?: readonly (string | null)[];
    readonly results?: readonly unknown[];
    readonly written: boolean;
    readonly after?: readonly unknown[];
  };
}

export const releases = ["0.19.0", "0.20.1.2", "0.22.2.post1"] as const;

export function loadVectors(release: string, section: "due" | "claim" | "mark"): readonly Vector[] {
  const url = new URL(`../fixtures/vectors/hermes-${release}/${section}.json`, import.meta.url);
  const document: { readonly vectors: readonly Vector[] } = JSON.parse(readFileSync(url, "utf8"));
  return document.vectors;
}

/** The home and the machine of a vector: what our own parts would have found there. */
export interface VectorWorld {
  readonly nowMs: number;
  readonly zone: Zone;
  /** The server's, in which a time without an offset was written. */
  readonly naiveZone: Zone;
  readonly ownerState: OwnerState;
}

export function worldOf(vector: Vector): VectorWorld {
  const nowMs = parseInstant(vector.now, createZone("UTC", 0)) ?? Number.NaN;
  const serverOffsetMinutes = createZone(vector.systemTz ?? "UTC", 0).offsetMsAt(nowMs) / 60_000;
  return {
    nowMs,
    zone: createZone(vector.tz, serverOffsetMinutes),
    naiveZone: createZone(null, serverOffsetMinutes),
    // This process is 4242, another live one is 5151, and every other on host-a is dead.
    ownerState(by) {
      const [host, pid] = by.split(":");
      if (host !== "host-a" || !/^\d+$/.test(pid ?? "")) return "unknown";
      return pid === "4242" || pid === "5151" ? "alive" : "dead";
    },
  };
}

/** Gates of either kind for `count` claims, of which the first `used` were made before. */
export function gatesFor(count: number, used = 0): readonly Gate[] {
  return Array.from({ length: count - used }, (_, index) => used + index).flatMap((place) =>
    jobKinds.map((kind) => ({
      runId: `${kind}-${place}`,
      kind,
      jobId: null,
      owner: `host-a:4242:${String(place).padStart(32, "0")}`,
    })),
  );
}

/** A record of a vector and what it becomes under our patches. */
export interface VectorJob {
  readonly job: Job;
  readonly text: string;
}

/** The records that we can read, in their order; the others are no jobs to us. */
export function readJobs(records: readonly unknown[], world: VectorWorld): readonly VectorJob[] {
  return records.flatMap((record) => {
    if (typeof record !== "object" || record === null || Array.isArray(record)) return [];
    const text = printRecord(record);
    const read = readRecord(text, world.naiveZone);
    return read === null ? [] : [{ job: read.job, text }];
  });
}

export function patched(text: string, patch: JobPatch, vector: Vector): VectorRecord {
  return JSON.parse(patchRecord(text, patch, { runFields: vector.version.startsWith("0.22") }, false));
}

/** JSON as Python reads it: `{"$int": …}` and `{"$float": …}` are numbers that the vector files had to spell out. */
export function printRecord(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(printRecord).join(", ")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const entries = Object.entries(value);
  const [first] = entries;
  if (entries.length === 1 && first !== undefined && (first[0] === "$int" || first[0] === "$float")) {
    return String(first[1]);
  }
  return `{${entries.map(([key, entry]) => `${JSON.stringify(key)}: ${printRecord(entry)}`).join(", ")}}`;
}
