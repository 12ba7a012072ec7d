/**
 * Does one at a time of what many ask for: all who ask while one is being made share the next one. None is told what was seen before it
 * asked, and a hundred askers are no more work than two.
 */
export function shareNext<Result>(make: () => Promise<Result>): () => Promise<Result> {
  let last: Promise<unknown> = Promise.resolve();
  let next: Promise<Result> | null = null;
  return () => {
    if (next !== null) return next;
    const made = last.then(() => {
      next = null;
      return make();
    });
    // Whoever asked is told of the error.
    last = made.catch(() => undefined);
    next = made;
    return made;
  };
}
