import { cannotBeServed } from "../status/view.ts";
import type { CommandParts } from "./command-parts.ts";
import { paint, printable } from "./print.ts";
import type { Reader } from "./reader.ts";

/** To be asked where there is no home. */
export function whyNoHome({ rootHome }: Pick<CommandParts, "rootHome">, reader: Reader): string {
  return reader.homesError() ?? `There is no Hermes home at "${rootHome}"`;
}

/** Why there is nothing to show where there is no home, and what to do about it; null where there is one. */
export function noHomeText(parts: Pick<CommandParts, "rootHome">, reader: Reader): string | null {
  if (reader.homes().length > 0) return null;
  return printable(`${whyNoHome(parts, reader)}; name one with --home, or see hermes-supervisor demo`);
}

/** A line where there are homes and not all of them could be found; empty where they could. */
export function unlistedLine({ terminal }: Pick<CommandParts, "terminal">, reader: Reader): string {
  const error = reader.homes().length === 0 ? null : reader.homesError();
  return error === null ? "" : `${paint(terminal, "red", printable(error))}\n`;
}

/** What of the homes cannot be read now, and is missing in what is shown. */
export function unreadTexts(reader: Reader): readonly string[] {
  const unread = reader.homes().filter(({ state }) => cannotBeServed(state));
  const texts = unread.map(({ name, state, reason }) => `Home "${name}" is ${state}: ${reason ?? "nobody knows why"}`);
  const error = reader.homesError();
  return (error === null ? texts : [...texts, error]).map(printable);
}
