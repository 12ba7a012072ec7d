import type { DaemonParts } from "./daemon-parts.ts";

/** On a full disk the daemon goes without its note, and the next one takes what it finds for left by a crash: the safe mistake. */
export function leaveNote({ ledger, system }: DaemonParts, key: string, value: string | null): void {
  try {
    ledger.setNote(key, value);
  } catch (error) {
    system.log.error("a note for the next daemon could not be written", { note: key, error: String(error) });
  }
}

/** Runs of an earlier daemon are adopted only if it left them on purpose, and on this very boot. */
export function wasHandedOver(parts: DaemonParts): boolean {
  const note = parts.ledger.note("hand_over");
  if (note === null) return false;
  try {
    const value = JSON.parse(note) as { readonly boot_id?: string } | null;
    return value?.boot_id === parts.system.processes.bootId();
  } catch (error) {
    parts.system.log.warn("the note of the hand-over cannot be read; it counts as none", { error: String(error) });
    return false;
  }
}

/** To be called when all that was handed over is adopted and nothing new has started: a kill before that must not make orphans of it. */
export function forgetHandOver(parts: DaemonParts): void {
  if (parts.ledger.note("hand_over") !== null) leaveNote(parts, "hand_over", null);
}
