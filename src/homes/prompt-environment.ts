import type { EnvironmentSnapshot } from "./environment.ts";
import { checkoutVariable } from "./find-hermes.ts";

/** These change what an interpreter is before its program has a say. */
const ofInterpreter = /^(?:PYTHON|LD_|DYLD_)/u;

/**
 * What the worker of a prompt job starts with: the whole snapshot, as Hermes loads the home's `.env` over it anyway. Hermes does so
 * when its interpreter has begun, so what would make another one of it is left to Hermes, and reaches only what the run starts. Older
 * releases install packages into their own environment while they run, with no lock between processes, so that is off
 * unless somebody asked for it. `checkout` is where the code of an installation from source lies.
 */
export function promptEnvironment(
  { variables, sources }: Pick<EnvironmentSnapshot, "variables" | "sources">,
  checkout: string | null,
): Readonly<Record<string, string>> {
  const source = checkout === null ? {} : { [checkoutVariable]: checkout };
  const kept = Object.entries(variables).filter(([name]) => sources[name] !== ".env" || !ofInterpreter.test(name));
  return { HERMES_DISABLE_LAZY_INSTALLS: "1", ...Object.fromEntries(kept), ...source };
}
