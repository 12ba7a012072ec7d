/** A launcher waiting at its closed gate. Its run id becomes that of the run whose claim it serves. */
export interface Gate {
  readonly runId: string;
  /** `host:pid:uuidhex` of the launcher: the value of `fire_claim.by`. */
  readonly owner: string;
}

export interface Admission<Candidate> {
  readonly admitted: readonly { readonly candidate: Candidate; readonly gate: Gate }[];
  readonly waiting: readonly Candidate[];
  /** How many more could have been admitted with more gates. */
  readonly gatesMissing: number;
}

/**
 * Who may start now. The one that is due longest goes first; the claims are then listed with one-shots in front, because Hermes
 * deletes a one-shot that it finds two minutes late, and so theirs must not be the claim that a crash leaves unwritten.
 */
export function admit<Candidate extends { readonly dueAtMs: number; readonly once: boolean }>(
  candidates: readonly Candidate[],
  gates: readonly Gate[],
  capacity: number,
): Admission<Candidate> {
  const room = Math.max(0, Math.min(capacity, candidates.length));
  const oldestFirst = candidates.toSorted((a, b) => a.dueAtMs - b.dueAtMs);
  const admitted = oldestFirst.slice(0, Math.min(room, gates.length)).flatMap((candidate, place) => {
    const gate = gates[place];
    return gate === undefined ? [] : [{ candidate, gate }];
  });
  return {
    admitted: admitted.toSorted((a, b) => Number(b.candidate.once) - Number(a.candidate.once)),
    waiting: oldestFirst.slice(admitted.length),
    gatesMissing: room - admitted.length,
  };
}
