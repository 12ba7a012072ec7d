/**
 * What the worker of a prompt job starts with: the whole snapshot, as Hermes loads the home's `.env` over it anyway. Older
 * releases install packages into their own environment while they run, with no lock between processes, so that is off
 * unless somebody asked for it.
 */
export function promptEnvironment(variables: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  return { HERMES_DISABLE_LAZY_INSTALLS: "1", ...variables };
}
