/** The value that `share` (0 to 1) of the samples do not exceed: the nearest rank, so always one that was measured. */
export function percentile(samples: readonly number[], share: number): number {
  if (samples.length === 0) throw new RangeError("Cannot take a percentile: there are no samples");
  const sorted = [...samples].sort((a, b) => a - b);
  const rank = Math.min(sorted.length, Math.max(1, Math.ceil(share * sorted.length)));
  return sorted[rank - 1]!;
}

export interface Summary {
  readonly count: number;
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

export function summarize(samples: readonly number[]): Summary {
  return {
    count: samples.length,
    p50: percentile(samples, 0.5),
    p99: percentile(samples, 0.99),
    max: percentile(samples, 1),
  };
}

/** How many times the other's figure ours is, over the rounds that have both. */
export interface Ratio {
  readonly median: number;
  readonly min: number;
  readonly max: number;
  readonly rounds: number;
}

/**
 * Compares round with round, because both sides of one round met the same machine. Null without a round that has both.
 * `share` is the percentile that is compared.
 */
export function ratioByRound(
  ours: readonly (readonly number[])[],
  theirs: readonly (readonly number[])[],
  share: number,
): Ratio | null {
  const ratios = ours.flatMap((samples, round) => {
    const others = theirs[round] ?? [];
    return samples.length === 0 || others.length === 0 ? [] : [percentile(samples, share) / percentile(others, share)];
  });
  if (ratios.length === 0) return null;
  return {
    median: percentile(ratios, 0.5),
    min: percentile(ratios, 0),
    max: percentile(ratios, 1),
    rounds: ratios.length,
  };
}
