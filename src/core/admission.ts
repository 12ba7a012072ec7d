/** A launcher waiting at its closed gate. Its run id becomes that of the run whose claim it serves. */
export interface Gate {
  readonly runId: string;
  /** The job whose interpreter it has loaded already; null when it is ready for any. */
  readonly jobId: string | null;
  /** `host:pid:uuidhex` of the launcher: the value of `fire_claim.by`. */
  readonly owner: string;
}

export interface Admission<Candidate> {
  readonly admitted: readonly { readonly candidate: Candidate; readonly gate: Gate }[];
  readonly waiting: readonly Candidate[];
  /** How many more could have been admitted with more gates. */
  readonly gatesMissing: number;
}

interface Admissible {
  readonly job: { readonly id: string };
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
): Admission<Candidate> {
  const room = Math.max(0, Math.min(capacity, candidates.length));
  const oldestFirst = candidates.toSorted((a, b) => a.dueAtMs - b.dueAtMs);
  const admitted = pair(oldestFirst.slice(0, room), gates);
  return {
    admitted: admitted.toSorted((a, b) => Number(b.candidate.once) - Number(a.candidate.once)),
    waiting: oldestFirst.slice(admitted.length),
    gatesMissing: room - admitted.length,
  };
}

/** Each gets the gate that was made for it, else one made for any, else one made for a job that does not come. */
function pair<Candidate extends Admissible>(
  candidates: readonly Candidate[],
  gates: readonly Gate[],
): readonly { readonly candidate: Candidate; readonly gate: Gate }[] {
  const served = candidates.slice(0, gates.length);
  const wanted = new Set(served.map((candidate) => candidate.job.id));
  const own = new Map<string, Gate>();
  const free: Gate[] = [];
  const others: Gate[] = [];
  for (const gate of gates) {
    if (gate.jobId === null) free.push(gate);
    else if (wanted.has(gate.jobId) && !own.has(gate.jobId)) own.set(gate.jobId, gate);
    else others.push(gate);
  }
  const rest = [...free, ...others].values();
  return served.flatMap((candidate) => {
    const gate = own.get(candidate.job.id) ?? rest.next().value;
    return gate === undefined ? [] : [{ candidate, gate }];
  });
}
