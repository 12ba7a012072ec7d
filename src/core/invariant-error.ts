/**
 * Something happened that this program rules out, so what it believes of its runs may be wrong. Not caught: it ends the
 * daemon, because starting again from what is on disk is the tested path. Only recovery itself, which would come to the same point
 * again at every start, keeps to the run that it was about.
 */
export class InvariantError extends Error {
  override readonly name = "InvariantError";
}
