import type { Job } from "../core/job.ts";
import type { FoundHomes } from "../homes/find-homes.ts";
import type { RunLedger } from "../ledger/run-ledger.ts";
import { discardGates } from "./home-gates.ts";
import type { HomeRuntime, HomeSettings } from "./home-runtime.ts";
import { sayReload } from "./host-config.ts";
import { type HomeSources, type OpenHome, openHome } from "./open-home.ts";

/** The homes that this daemon serves, by name. */
export interface HomeTable {
  readonly homes: () => ReadonlyMap<string, HomeRuntime>;
  /** Takes in homes that came, lets go those that went, and reads settings again where their files changed. */
  refresh(): void;
}

const conflictJobsMax = 1000;

export function createHomeTable(
  sources: HomeSources,
  find: () => FoundHomes,
  ledger: Pick<RunLedger, "cursors" | "waitingRetries" | "health">,
): HomeTable {
  const { log } = sources.system;
  const open = new Map<string, OpenHome>();
  const homes = new Map<string, HomeRuntime>();
  const said = new Map<string, HomeSettings>();
  const conflictsSaid = new Map<string, readonly string[]>();
  let lastError: string | null = null;

  return {
    homes: () => homes,
    refresh() {
      const found = find();
      if (found.error !== null && found.error !== lastError)
        log.error("homes could not be listed", { error: found.error });
      lastError = found.error;
      for (const home of found.homes) {
        let known = open.get(home.name);
        if (known?.runtime.state.kind === "unsupported" && home.state !== "unsupported") {
          log.info("the home has a known layout again", { home: home.name });
          known = undefined;
        }
        if (known === undefined) {
          known = openHome(sources, home);
          for (const [jobId, cursor] of ledger.cursors(home.name)) known.runtime.cursors.set(jobId, cursor);
          known.runtime.retries = ledger.waitingRetries(home.name);
          known.runtime.health = ledger.health(home.name);
          open.set(home.name, known);
          homes.set(home.name, known.runtime);
          log.info("serving a home", { home: home.name, path: home.path });
        }
        if (known.reload()) known.runtime.dirty = true;
        saySettings(known.runtime);
        takeState(known.runtime, home.state, home.reason ?? "");
      }
      // When the list could not be made, those known before must not be taken for deleted.
      if (found.error !== null) return;
      for (const name of [...open.keys()]) {
        if (found.homes.some((home) => home.name === name)) continue;
        const gone = homes.get(name);
        if (gone !== undefined) discardGates(gone);
        open.delete(name);
        homes.delete(name);
        said.delete(name);
        conflictsSaid.delete(name);
        log.warn("a home is gone; it is served no more", { home: name });
      }
    },
  };

  function takeState(home: HomeRuntime, state: "active" | "unsupported" | "degraded", reason: string): void {
    const before = home.state.kind;
    if (state === "unsupported") {
      if (before !== "unsupported")
        log.error("a home has an unknown layout and is left alone", { home: home.name, reason });
      home.state = { kind: "unsupported", reason };
      discardGates(home);
    }
  }

  /** Of a home with very many jobs the first stand for all: `config check` looks at each. */
  function someJobs({ store, state }: HomeRuntime): readonly Job[] {
    if (state.kind === "unsupported") return [];
    try {
      return store.read().jobs.slice(0, conflictJobsMax);
    } catch {
      // What is wrong with the store is said by the tick that cannot be.
      return [];
    }
  }

  /** Once for each new fault or warning of the home's files. One that leaves nothing to go by is said by the tick that cannot be. */
  function saySettings(runtime: HomeRuntime): void {
    const { name: home, settings } = runtime;
    const { environmentError, usable, warnings } = settings;
    const before = said.get(home);
    if (before === settings) return;
    const path = settings.configFile.path;
    const conflicts = settings.policyWarnings(someJobs(runtime), sources.system.clock.nowMs());
    if (usable && before !== undefined)
      sayReload(log, home, path, before.config, settings.config, before.shown, settings.shown);
    if (environmentError !== null && usable && environmentError !== before?.environmentError)
      log.error("new variables of a home are not in force; the last good ones are", { home, error: environmentError });
    if (environmentError === null && before?.environmentError != null)
      log.info("the variables of a home are in force again", { home });
    for (const warning of warnings) if (before?.warnings.includes(warning) !== true) log.warn(warning, { home });
    for (const text of conflicts) if (conflictsSaid.get(home)?.includes(text) !== true) log.warn(text, { home });
    conflictsSaid.set(home, conflicts);
    said.set(home, settings);
  }
}
