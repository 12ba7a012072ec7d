/**
 * Something happened that this program rules out, so what it believes of its runs may be wrong. Never caught: it ends the
 * daemon, because starting again from what is on disk is the tested path.
 */
export class InvariantError extends Error {
  override readonly name = "InvariantError";
}
