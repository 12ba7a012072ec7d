import type { Gate } from "../../src/core/admission.ts";
import { formatUtcInstant, parseInstant } from "../../src/core/instant.ts";
import type { Job, JobPatch } from "../../src/core/job.ts";
import { type PlannedClaim, planTick, type TickPlan } from "../../src/core/plan-tick.ts";
import { settleJob } from "../../src/core/settle-job.ts";
import {
  gatesFor,
  patched,
  printRecord,
  readJobs,
  type Vector,
  type VectorRecord,
  type VectorWorld,
  worldOf,
} from "./hermes-vectors.ts";

/** One answer of ours that is not the recorded one. */
export interface Difference {
  readonly section: "due" | "claim" | "mark";
  readonly vector: Vector;
  readonly world: VectorWorld;
  readonly jobId: string;
  /** The record before, or null for one that only the answer has. */
  readonly record: VectorRecord | null;
  readonly job: Job | null;
  /** Whether the last scan left the job claimed by us, and whether Hermes found it due in it. */
  readonly isClaimed: boolean;
  readonly isDue: boolean;
  /** A field of the record, or `due`, `instant`, `result`, `record` (there or not). */
  readonly field: string;
  readonly ours: unknown;
  readonly theirs: unknown;
}

interface State {
  readonly vector: Vector;
  readonly records: VectorRecord[];
  readonly claims: Map<string, PlannedClaim>;
  readonly won: Set<string>;
  nowMs: number;
}

/** The scan and the claim that follows it, of everything that is due. */
export function replayDue(vector: Vector): readonly Difference[] {
  const state = startState(vector);
  const world = worldOf(vector);
  const plan = tickAt(state, world, null, vector.running ?? []);
  const due = vector.expected.due ?? [];
  const claimed = new Map(plan.claims.map((claim) => [claim.jobId, claim]));
  const differences = compareRecords("due", vector, world, state.records).map((difference) => ({
    ...difference,
    isClaimed: claimed.has(difference.jobId),
    isDue: due.map(String).includes(difference.jobId),
  }));
  const add = (jobId: string, field: string, ours: unknown, theirs: unknown) => {
    const known = { isClaimed: claimed.has(jobId), isDue: due.map(String).includes(jobId) };
    differences.push({ ...subject("due", vector, world, jobId), ...known, field, ours, theirs });
  };
  for (const jobId of new Set([...due.map(String), ...claimed.keys()])) {
    const ours = claimed.has(jobId) ? 1 : 0;
    const theirs = due.filter((id) => String(id) === jobId).length;
    if (ours !== theirs) add(jobId, "due", ours, theirs);
  }
  for (const [place, instant] of (vector.expected.instants ?? []).entries()) {
    const jobId = String(due[place]);
    const claim = claimed.get(jobId);
    if (claim === undefined) continue;
    const ours = claim.trigger === "manual" ? null : formatUtcInstant(claim.scheduledAtMs);
    if (ours !== instant) add(jobId, "instant", ours, instant);
  }
  return differences;
}

/** Which fields of a record the step is about: what else our one write changes is another step of Hermes. */
const fieldsOfStep: Readonly<Record<string, readonly string[] | undefined>> = {
  advance_next_run: ["next_run_at"],
  advance_next_runs: ["next_run_at"],
  claim_job_for_fire: ["fire_claim", "next_run_at", "pending_slot", "enabled", "state"],
  claim_dispatch: ["repeat", "enabled", "state", "next_run_at"],
};

/** The steps of a claim and of its end, one after the other. */
export function replaySteps(section: "claim" | "mark", vector: Vector): readonly Difference[] {
  const state = startState(vector);
  const world = worldOf(vector);
  const differences: Difference[] = [];
  const steps = vector.steps ?? [];
  for (const [place, step] of steps.entries()) {
    state.nowMs += (step.wait ?? 0) * 1000;
    const now: VectorWorld = { ...world, nowMs: state.nowMs };
    const theirs = vector.expected.results?.[place];
    const ids = [step.args?.[0] ?? step.kwargs?.["job_id"]].flat().map(String);
    const ours = runStep(state, now, step.fn, ids, step.args ?? [], step.kwargs ?? {});
    if (ours !== undefined && ours !== isYes(theirs)) {
      differences.push({ ...subject(section, vector, world, ids.join()), field: "result", ours, theirs });
    }
  }
  const partial = steps.map((step) => fieldsOfStep[step.fn]);
  const single = partial.includes(undefined) ? undefined : partial.flatMap((fields) => fields ?? []);
  const scans = steps.flatMap((step, place) => (step.fn === "get_due_jobs" ? [vector.expected.results?.[place]] : []));
  const lastDue = [scans.at(-1) ?? []].flat().map(String);
  for (const difference of compareRecords(section, vector, world, state.records)) {
    if (single === undefined || single.includes(difference.field) || difference.field === "record") {
      const { jobId } = difference;
      differences.push({ ...difference, isClaimed: state.claims.has(jobId), isDue: lastDue.includes(jobId) });
    }
  }
  return differences;
}

function runStep(
  state: State,
  world: VectorWorld,
  fn: string,
  ids: readonly string[],
  args: readonly unknown[],
  kwargs: VectorRecord,
): boolean | undefined {
  if (kwargs["force"] === true || kwargs["manual"] === true)
    throw new Error(`Cannot replay step "${fn}": a person asks for it`);
  switch (fn) {
    case "get_due_jobs":
      tickAt(state, world, null, [...state.claims.keys()]);
      return undefined;
    case "advance_next_run":
    case "advance_next_runs":
    case "claim_job_for_fire":
    case "claim_dispatch": {
      const fresh = ids.filter((id) => !state.claims.has(id));
      if (fresh.length > 0) tickAt(state, world, fresh, [...state.claims.keys()]);
      if (fn.startsWith("advance")) return undefined;
      // Our one claim answers each of Hermes' steps once.
      const won = ids.filter((id) => state.claims.has(id) && !state.won.has(`${fn} ${id}`));
      for (const id of won) state.won.add(`${fn} ${id}`);
      return won.length > 0;
    }
    case "mark_job_run":
      return ids.map((id) => settleAt(state, world, id, args[1], kwargs)).some(Boolean);
    default:
      throw new Error(`Cannot replay step "${fn}": it is none of a run's`);
  }
}

function settleAt(state: State, world: VectorWorld, id: string, given: unknown, kwargs: VectorRecord): boolean {
  const place = state.records.findIndex((record) => String(record["id"]) === id);
  const record = state.records[place];
  if (record === undefined) return false;
  const claim = state.claims.get(id);
  const expected = kwargs["expected_fire_owner"];
  // A record of the `mark` vectors may never have been claimed; to be settled by us it must be ours.
  const ours = claim?.gate.owner ?? "host-a:4242:f00d";
  const stored = record["fire_claim"];
  const storedOwner = typeof stored === "object" && stored !== null && "by" in stored ? stored.by : undefined;
  const owner =
    typeof expected === "string" ? expected : expected === undefined ? ours : String(storedOwner ?? "nobody");
  const held =
    claim === undefined && expected === undefined ? { ...record, fire_claim: { at: null, by: ours } } : record;
  const [read] = readJobs([held], world);
  if (read === undefined) return false;
  const success = (kwargs["success"] ?? given) === true;
  const patch = settleJob(
    read.job,
    {
      success,
      error: typeof kwargs["error"] === "string" ? kwargs["error"] : null,
      reason: kwargs["status"] === "blocked_config" ? "blocked_config" : null,
    },
    {
      owner,
      endedAtMs: world.nowMs,
      trigger: claim?.trigger ?? "schedule",
      scheduledAtMs: claim?.scheduledAtMs ?? read.job.nextRunAt?.ms ?? null,
      zone: world.zone,
      status: typeof kwargs["status"] === "string" ? kwargs["status"] : null,
      deliveryError: typeof kwargs["delivery_error"] === "string" ? kwargs["delivery_error"] : null,
    },
  );
  state.claims.delete(id);
  if (patch === "superseded") return false;
  state.records[place] = patched(read.text, patch, state.vector);
  return true;
}

function startState(vector: Vector): State {
  const records = vector.before.filter(
    (record): record is VectorRecord => typeof record === "object" && record !== null && !Array.isArray(record),
  );
  return { vector, records: [...records], claims: new Map(), won: new Set(), nowMs: worldOf(vector).nowMs };
}

function tickAt(state: State, world: VectorWorld, ids: readonly string[] | null, openIds: readonly string[]): TickPlan {
  const { vector } = state;
  const jobs = readJobs(state.records, world);
  const wanted = jobs.filter(({ job }) => ids === null || ids.includes(job.id));
  const gates: readonly Gate[] = gatesFor(state.claims.size + wanted.length, state.claims.size);
  const timeout = Number(vector.env?.["HERMES_CRON_TIMEOUT"] ?? "600");
  const plan = planTick({
    nowMs: world.nowMs,
    zone: world.zone,
    jobs: wanted.map(({ job }) => job),
    cursors: new Map(),
    openRuns: openIds.map((jobId) => ({ id: `open-${jobId}`, jobId })),
    gates,
    capacity: Number.POSITIVE_INFINITY,
    ownerState: world.ownerState,
    canRun: () => true,
    hold: null,
    runClaimLifeMs: 1000 * (Number.isFinite(timeout) && timeout > 0 ? Math.max(3 * timeout, 1800) : 1800),
    catchUpMissed: vector.config?.cron?.["catch_up_missed"] !== false,
    ranElsewhere: (jobId, atMs) => (vector.executions ?? []).some((row) => isCompletion(row, jobId, atMs)),
  });
  for (const claim of plan.claims) state.claims.set(claim.jobId, claim);
  for (const [id, patch] of plan.patches) writePatch(state, world, id, patch);
  return plan;
}

function writePatch(state: State, world: VectorWorld, id: string, patch: JobPatch): void {
  const place = state.records.findIndex((record) => readJobs([record], world)[0]?.job.id === id);
  const [read] = readJobs([state.records[place]], world);
  if (read !== undefined) state.records[place] = patched(read.text, patch, state.vector);
}

/** Hermes disbelieves a row that was finished more than a minute before its slot. */
function isCompletion(row: VectorRecord, jobId: string, atMs: number): boolean {
  if (row["job_id"] !== jobId || row["status"] !== "completed") return false;
  if (row["scheduled_instant"] !== formatUtcInstant(atMs)) return false;
  const finishedMs = parseInstant(String(row["finished_at"] ?? row["claimed_at"]), worldOf(noVector).naiveZone);
  return finishedMs === null || finishedMs >= atMs - 60_000;
}

const noVector: Vector = {
  id: "",
  version: "",
  now: "1970-01-01T00:00:00+00:00",
  tz: null,
  note: "",
  before: [],
  expected: { written: false },
};

function compareRecords(
  section: Difference["section"],
  vector: Vector,
  world: VectorWorld,
  ours: readonly VectorRecord[],
): Difference[] {
  const after = (vector.expected.written ? vector.expected.after : vector.before) ?? [];
  const theirs = after.filter(
    (record): record is VectorRecord => typeof record === "object" && record !== null && !Array.isArray(record),
  );
  const differences: Difference[] = [];
  const left = [...theirs];
  for (const record of ours) {
    const id = idOf(record);
    const place = left.findIndex((other) => idOf(other) === id);
    const other = place === -1 ? undefined : left.splice(place, 1)[0];
    const base = subject(section, vector, world, id);
    if (other === undefined) {
      differences.push({ ...base, field: "record", ours: "kept", theirs: "gone" });
      continue;
    }
    for (const field of new Set([...Object.keys(record), ...Object.keys(other)])) {
      const a = canonical(record[field], field);
      const b = canonical(other[field], field);
      if (a !== b) differences.push({ ...base, field, ours: a, theirs: b });
    }
  }
  for (const other of left) {
    differences.push({
      ...subject(section, vector, world, idOf(other)),
      field: "record",
      ours: "gone",
      theirs: "kept",
    });
  }
  return differences;
}

function subject(
  section: Difference["section"],
  vector: Vector,
  world: VectorWorld,
  jobId: string,
): Omit<Difference, "field" | "ours" | "theirs"> {
  const record =
    vector.before.find(
      (one): one is VectorRecord =>
        typeof one === "object" && one !== null && !Array.isArray(one) && idOf(one as VectorRecord) === jobId,
    ) ?? null;
  const job = record === null ? null : (readJobs([record], world)[0]?.job ?? null);
  return { section, vector, world, jobId, record, job, isClaimed: false, isDue: false };
}

function idOf(record: VectorRecord): string {
  return String(record["id"] ?? record["job_id"] ?? "");
}

/** A claim's owner differs from run to run, so only host and pid are compared. */
function canonical(value: unknown, field: string): string | undefined {
  if (value === undefined) return undefined;
  const text = JSON.stringify(JSON.parse(printRecord(value)));
  return field === "fire_claim" ? text.replace(/("by":"[^":]*:\d+):[0-9a-f]+"/, '$1"') : text;
}

function isYes(value: unknown): boolean {
  return value !== false && value !== null && value !== undefined;
}
