import { checkoutVariable } from "./find-hermes.ts";

/**
 * What the worker of a prompt job starts with: the whole snapshot, as Hermes loads the home's `.env` over it anyway. Older
 * releases install packages into their own environment while they run, with no lock between processes, so that is off
 * unless somebody asked for it. `checkout` is where the code of an installation from source lies.
 */
export function promptEnvironment(
  variables: Readonly<Record<string, string>>,
  checkout: string | null,
): Readonly<Record<string, string>> {
  const source = checkout === null ? {} : { [checkoutVariable]: checkout };
  return { HERMES_DISABLE_LAZY_INSTALLS: "1", ...variables, ...source };
}
