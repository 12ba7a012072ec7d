/**
 * The last part of the `fire_claim.by` that a run is claimed with: 32 hex digits, as Hermes has there. They begin with the name of
 * the run, so that a claim whose row a power cut took is known for ours.
 */
export function ownerToken(runId: string, randomHex: string): string {
  return (hexOf(runId) + randomHex).slice(0, 32);
}

/** Whether a claim with this `by` is this run's. */
export function isOwnerOf(owner: string, runId: string): boolean {
  return owner.slice(owner.lastIndexOf(":") + 1).startsWith(hexOf(runId));
}

function hexOf(text: string): string {
  return Array.from(text, (letter) => letter.charCodeAt(0).toString(16).padStart(2, "0")).join("");
}
