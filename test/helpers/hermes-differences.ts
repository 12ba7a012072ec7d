import { readFileSync } from "node:fs";
import { claimEndsAtMs, fireClaimLifeMs, runClaimLifeDefaultMs } from "../../src/core/claim-life.ts";
import { hermesGraceMs, lateGraceMs } from "../../src/core/grace.ts";
import { parseInstant, parseWrittenTime } from "../../src/core/instant.ts";
import { nextOccurrence } from "../../src/core/next-occurrence.ts";
import { loadVectors, printRecord, type Vector, type VectorRecord } from "./hermes-vectors.ts";
import { type Difference, replayDue, replaySteps } from "./replay-vector.ts";

type Predicate = (difference: Difference) => boolean;

/** One entry of `hermes-differences.json`: where a rule may account for a difference, and why we differ. */
export interface ListedDifference {
  readonly rule: string;
  readonly sections: readonly string[];
  readonly releases: readonly string[];
  readonly fields: readonly string[];
  readonly why: string;
  /** A vector with a difference that no other rule accounts for. */
  readonly example: { readonly release: string; readonly section: Section; readonly vector: Vector };
}

/** A step of Hermes that no part of a tick or of the end of a run is. */
export interface NotReplayed {
  readonly step: string;
  /** Only when it is called with one of these. */
  readonly options?: readonly string[];
  readonly why: string;
}

export type Section = Difference["section"];

export interface DifferenceList {
  readonly differences: readonly ListedDifference[];
  readonly notReplayed: readonly NotReplayed[];
}

/** The list of what we do otherwise than Hermes, with its reasons. */
export const differenceList: DifferenceList = JSON.parse(
  readFileSync(new URL("../fixtures/hermes-differences.json", import.meta.url), "utf8"),
);

export function isReplayed(vector: Vector, notReplayed: readonly NotReplayed[]): boolean {
  return !(vector.steps ?? []).some(({ fn, kwargs }) =>
    notReplayed.some(
      ({ step, options }) =>
        step === fn && (options === undefined || options.some((option) => kwargs?.[option] === true)),
    ),
  );
}

export function replay(section: Section, vector: Vector): readonly Difference[] {
  return section === "due" ? replayDue(vector) : replaySteps(section, vector);
}

/** The names of the listed rules that account for the difference. */
export function rulesFor(difference: Difference, list: readonly ListedDifference[]): readonly string[] {
  const { section, vector, field } = difference;
  return list
    .filter(
      ({ rule, sections, releases, fields }) =>
        sections.includes(section) &&
        releases.includes(vector.version) &&
        fields.some((one) => one === field || one === "*") &&
        differenceRules[rule]?.(difference) === true,
    )
    .map(({ rule }) => rule);
}

/** The 0.22 answers by section and id: one id has one input in every release. */
const newest = new Map<string, Vector>();
function newestAnswer(section: Section, id: string): Vector | undefined {
  if (newest.size === 0) {
    for (const one of ["due", "claim", "mark"] as const) {
      for (const vector of loadVectors("0.22.2.post1", one)) newest.set(`${one} ${vector.id}`, vector);
    }
  }
  return newest.get(`${section} ${id}`);
}

const latenessMs = ({ job, world }: Difference): number => world.nowMs - (job?.nextRunAt?.ms ?? Number.NaN);
function writtenMs(value: unknown, { world }: Pick<Difference, "world">): number | null {
  const text: unknown = typeof value === "string" ? JSON.parse(value) : null;
  return typeof text === "string" ? parseInstant(text, world.naiveZone) : null;
}
const isOnce: Predicate = ({ job }) => job?.schedule?.kind === "once";
const isRecurring: Predicate = ({ job }) => job?.schedule?.kind === "cron" || job?.schedule?.kind === "interval";

/** What a rule of `hermes-differences.json` means: whether it accounts for the difference, told from the vector alone. */
export const differenceRules: Readonly<Record<string, Predicate>> = {
  claimed_in_one_write: (difference) => {
    if (!difference.isClaimed || !difference.isDue) return false;
    if (difference.field === "repeat") return isOnce(difference);
    if (difference.field !== "next_run_at") return true;
    if (!isRecurring(difference)) return false;
    const oursMs = writtenMs(difference.ours, difference);
    if (oursMs !== null) return oursMs > difference.world.nowMs;
    const { schedule } = difference.job ?? {};
    return (
      schedule !== undefined &&
      schedule !== null &&
      nextOccurrence(schedule, difference.world.nowMs, difference.world.zone) === null
    );
  },
  only_due: ({ job, world }) =>
    job !== null && (!job.enabled || job.nextRunAt === null || job.nextRunAt.ms > world.nowMs),
  scan_comes_first: ({ job }) => job?.enabled === true && (job.state.trim() === "paused" || job.pausedAt !== null),
  crash_is_recovered: ({ vector }) =>
    (vector.steps ?? []).filter((step) => step.fn === "get_due_jobs").length > 1 &&
    !(vector.steps ?? []).some((step) => step.fn === "mark_job_run"),
  prompt_outcome: ({ vector }) =>
    (vector.steps ?? []).some(
      ({ kwargs }) => kwargs !== undefined && ("model_unreachable" in kwargs || "quota_hold_seconds" in kwargs),
    ),
  never_comes: ({ job, world }) => {
    if (job?.schedule?.kind !== "cron") return false;
    try {
      return nextOccurrence(job.schedule, world.nowMs, world.zone) === null;
    } catch {
      return true;
    }
  },
  live_run_claim: (difference) => {
    const { job, world } = difference;
    return (
      isOnce(difference) &&
      claimEndsAtMs(job?.runClaim ?? null, runClaimLifeDefaultMs, world.nowMs, world.ownerState) !== null
    );
  },
  outage_mark: ({ field, record, ours, theirs }) =>
    field === "run_claim" && JSON.stringify(record?.["run_claim"]).includes('"outage":true') && ours !== theirs,
  interval_cadence: ({ job, world, field, ours }) => {
    if (field !== "next_run_at" || job?.schedule?.kind !== "interval" || typeof ours !== "string") return false;
    if (job.schedule.minutes <= 0) return true;
    const steps =
      ((writtenMs(ours, { world }) ?? Number.NaN) - (job.nextRunAt?.ms ?? Number.NaN)) /
      (job.schedule.minutes * 60_000);
    return steps > 0 && Math.abs(steps - Math.round(steps)) < 1e-9;
  },
  unread_fields_stay: ({ field, record, ours, theirs }) =>
    (field === "repeat" && typeof (record?.["repeat"] as VectorRecord | undefined)?.["completed"] !== "number") ||
    ((field === "last_run_at" || field === "next_run_at") &&
      theirs === undefined &&
      ours === JSON.stringify(record?.[field]) &&
      (typeof record?.[field] !== "string" || parseWrittenTime(record[field]) === null)),
  older_release: ({ section, vector, jobId, field }) => {
    const answer = newestAnswer(section, vector.id);
    if (answer === undefined || printRecord(answer.before) !== printRecord(vector.before)) return false;
    return replay(section, answer)
      .filter((one) => one.jobId === jobId && one.field === field)
      .every((one) => rulesFor(one, differenceList.differences).length > 0);
  },
  once_late_runs: (difference) =>
    isOnce(difference) && latenessMs(difference) > 120_000 && difference.isClaimed && !difference.isDue,
  never_removed: ({ section, field, ours, theirs, isClaimed }) =>
    field === "record" && ours === "kept" && theirs === "gone" && !(section === "due" && isClaimed),
  unusable_record: ({ job, world }) => {
    if (job === null || job.fault !== null || job.schedule === null) return true;
    if (job.schedule.kind !== "cron") return false;
    try {
      nextOccurrence(job.schedule, world.nowMs, world.zone);
      return false;
    } catch {
      return true;
    }
  },
  live_fire_claim: ({ job, world, isDue, isClaimed }) =>
    isDue &&
    !isClaimed &&
    claimEndsAtMs(job?.fireClaim ?? null, fireClaimLifeMs, world.nowMs, world.ownerState) !== null,
  grace: (difference) => {
    const { job, world } = difference;
    if (job?.schedule == null || !isRecurring(difference)) return false;
    const late = latenessMs(difference);
    const theirs = hermesGraceMs(job.schedule, world.zone, world.nowMs);
    return late > theirs && late <= lateGraceMs(job.schedule, world.zone, world.nowMs);
  },
  twin_ids: ({ vector, jobId }) =>
    vector.before.filter((one) => typeof one === "object" && one !== null && "id" in one && one.id === jobId).length >
    1,
  naive_instant: ({ record, field, theirs }) =>
    field === "instant" && theirs === null && parseWrittenTime(String(record?.["next_run_at"]))?.offsetMs === null,
};
