/** Something that takes long with ten thousand jobs, cut where whoever does it may turn to something else. */
export type Work<Result> = Generator<undefined, Result, undefined>;

/** So many jobs are looked at between two cuts. */
export const jobsPerCut = 64;

/** For whoever has nothing else to do meanwhile. */
export function allAtOnce<Result>(work: Work<Result>): Result {
  for (;;) {
    const step = work.next();
    if (step.done === true) return step.value;
  }
}
