import type { Job, JobKind } from "./job.ts";
import { type Bound, fullBound } from "./room.ts";

/** A launcher waiting at its closed gate. Its run id becomes that of the run whose claim it serves. */
export interface Gate {
  readonly runId: string;
  readonly kind: JobKind;
  /** The job whose interpreter it has loaded already; null when it is ready for any of its kind. */
  readonly jobId: string | null;
  /** `host:pid:uuidhex` of the launcher: the value of `fire_claim.by`. */
  readonly owner: string;
}

export type GateCount = Readonly<Record<JobKind, number>>;

export const noGates: GateCount = { prompt: 0, script: 0 };

export interface Admission<Candidate> {
  readonly admitted: readonly { readonly candidate: Candidate; readonly gate: Gate }[];
  readonly waiting: readonly Candidate[];
  /** How many more could have been admitted with more gates. */
  readonly gatesMissing: GateCount;
}

/** What stands between a due job and its start beside the number of runs: the bounds of its class and tags, and other homes' turns. */
export interface RoomForJobs {
  readonly boundsOf: (job: Job) => readonly Bound[];
  readonly used: ReadonlyMap<Bound, number>;
  /** Jobs that were looked at together with those of other homes, and have to wait. */
  readonly notYet: ReadonlyMap<string, { readonly kind: "full" | "kept" | "pressure" }>;
}

interface Admissible {
  readonly job: Job;
  readonly dueAtMs: number;
  readonly once: boolean;
}

/**
 * Who may start now. The one that is due longest goes first; the claims are then listed with one-shots in front, because Hermes
 * deletes a one-shot that it finds two minutes late, and so theirs must not be the claim that a crash leaves unwritten.
 */
export function admit<Candidate extends Admissible>(
  candidates: readonly Candidate[],
  gates: readonly Gate[],
  capacity: number,
  room: RoomForJobs | null = null,
): Admission<Candidate> {
  const oldestFirst = candidates.toSorted((a, b) => a.dueAtMs - b.dueAtMs);
  const { mayRun, mustWait } = takeRoom(oldestFirst, Math.max(0, capacity), room);
  const gateFor = chooseGates(mayRun, gates);
  const admitted: { readonly candidate: Candidate; readonly gate: Gate }[] = [];
  const gatesMissing = { ...noGates };
  const waiting: Candidate[] = [];
  for (const candidate of mayRun) {
    const gate = gateFor(candidate);
    if (gate !== undefined) {
      admitted.push({ candidate, gate });
    } else {
      gatesMissing[candidate.job.kind]++;
      waiting.push(candidate);
    }
  }
  return {
    admitted: admitted.toSorted((a, b) => Number(b.candidate.once) - Number(a.candidate.once)),
    waiting: [...waiting, ...mustWait],
    gatesMissing,
  };
}

function takeRoom<Candidate extends Admissible>(
  oldestFirst: readonly Candidate[],
  capacity: number,
  room: RoomForJobs | null,
): { readonly mayRun: readonly Candidate[]; readonly mustWait: readonly Candidate[] } {
  if (room === null) return { mayRun: oldestFirst.slice(0, capacity), mustWait: oldestFirst.slice(capacity) };
  const used = new Map(room.used);
  const mayRun: Candidate[] = [];
  const mustWait: Candidate[] = [];
  for (const candidate of oldestFirst) {
    const bounds = room.boundsOf(candidate.job);
    if (mayRun.length >= capacity || room.notYet.has(candidate.job.id) || fullBound({ used }, bounds) !== null) {
      mustWait.push(candidate);
    } else {
      mayRun.push(candidate);
      for (const bound of bounds) used.set(bound, (used.get(bound) ?? 0) + 1);
    }
  }
  return { mayRun, mustWait };
}

/** Each gets the gate that was made for it, else one made for any, else one made for a job that does not come. */
function chooseGates<Candidate extends Admissible>(
  candidates: readonly Candidate[],
  gates: readonly Gate[],
): (candidate: Candidate) => Gate | undefined {
  const wanted = new Map(candidates.map(({ job }) => [job.id, job.kind]));
  const own = new Map<string, Gate>();
  const free = { prompt: [] as Gate[], script: [] as Gate[] };
  const others = { prompt: [] as Gate[], script: [] as Gate[] };
  for (const gate of gates) {
    if (gate.jobId === null) free[gate.kind].push(gate);
    else if (wanted.get(gate.jobId) === gate.kind && !own.has(gate.jobId)) own.set(gate.jobId, gate);
    else others[gate.kind].push(gate);
  }
  const rest = {
    prompt: [...free.prompt, ...others.prompt].values(),
    script: [...free.script, ...others.script].values(),
  };
  return ({ job }) => own.get(job.id) ?? rest[job.kind].next().value;
}
