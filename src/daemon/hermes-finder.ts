import type { AskHermes, HermesAnswer } from "../child/ask-hermes.ts";
import {
  candidateKey,
  checkoutVariable,
  formatHermesNote,
  type HermesCandidate,
  type HermesPlaces,
  type HermesRecord,
  hermesCandidates,
  hermesIdentity,
  hermesNote,
  type InstalledHermes,
  isUntouched,
  parseHermesNote,
  parseProbe,
} from "../homes/find-hermes.ts";
import type { RunLedger } from "../ledger/run-ledger.ts";
import type { System } from "../system/system.ts";

/** What is known of the Hermes of a home at one moment. */
export interface HermesLook {
  readonly hermes: InstalledHermes | null;
  /** One is being asked what it is; until then there is none. */
  readonly isFinding: boolean;
  /** Why there is none, in a sentence for people. */
  readonly fault: string | null;
}

/** Finds the installed Hermes of each home in the background, and notices when it was replaced or is gone. */
export interface HermesFinder {
  /** Looks at the installation's files, at most once a second, and has it asked again where they changed: cheap enough for every claim. Never waits. */
  look(places: HermesPlaces): HermesLook;
  /** Settles when nobody is being asked. */
  settled(): Promise<void>;
  halt(): void;
}

const lookEveryMs = 1000;
/** A Hermes that comes before the one in use, say on PATH, is noticed this late. */
const searchEveryMs = 30_000;
/** Hermes loads most of itself to tell what it blocks: half a second, and minutes on a machine that has no room for it. */
const probeTimeoutMs = 180_000;
/** The next one is asked after this long, also when the one before has not answered. */
const turnMsMax = 5000;
/** The same installation that could not answer is asked again after this long: the machine may have been busy. */
const retryMs = 60_000;
const recordsMax = 20;

/** What a probe gets of the daemon's own variables. It is asked what the installation is, not what a home is. */
const probeVariables = ["PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR"];

export interface HermesFinderParts {
  readonly system: System;
  readonly ledger: Pick<RunLedger, "note" | "setNote">;
  readonly ask: AskHermes;
  readonly workerPath: string;
  readonly rootHome: string;
  /** The daemon's own. */
  readonly variables: Readonly<Record<string, string | undefined>>;
  /** What `look` answers may be different now. */
  changed(): void;
}

interface Failure {
  readonly identity: string;
  readonly error: string;
  readonly atMonotonicMs: number;
}

interface Known {
  readonly look: HermesLook;
  readonly searchedAtMonotonicMs: number;
  /** When the files of what was found were last looked at. */
  seenAtMonotonicMs: number;
}

export function createHermesFinder(parts: HermesFinderParts): HermesFinder {
  const { system, ledger, variables } = parts;
  const userHome = variables["HOME"] ?? null;
  const environment = Object.fromEntries(
    probeVariables.flatMap((name) => (variables[name] === undefined ? [] : [[name, variables[name]]])),
  );
  const halting = new AbortController();
  let records: Map<string, HermesRecord> | null = null;
  const failures = new Map<string, Failure>();
  const asking = new Set<string>();
  const known = new Map<string, Known>();
  /** A home asks with the same places again and again, and each turn of the loop asks for each home. */
  const keys = new WeakMap<HermesPlaces, string>();
  /** By places, the last thing that the log was told. */
  const said = new Map<string, { readonly hermes: InstalledHermes | null; readonly fault: string | null }>();
  const open = new Set<Promise<void>>();
  // One after the other: each takes a core for a moment, and the runs want them.
  let turn: Promise<void> = Promise.resolve();

  function answered(): Map<string, HermesRecord> {
    records ??= new Map(parseHermesNote(ledger.note(hermesNote)));
    return records;
  }

  function keyOf(places: HermesPlaces): string {
    const key = keys.get(places) ?? JSON.stringify(places);
    keys.set(places, key);
    return key;
  }

  function identityOf(candidate: HermesCandidate, files: readonly string[]): string {
    return hermesIdentity(system, candidate, parts.workerPath, userHome, files);
  }

  function find(places: HermesPlaces): HermesLook {
    const faults: string[] = [];
    const candidates = hermesCandidates(system, places);
    for (const candidate of candidates) {
      // Only one that is named is not known to be there.
      if (kindOf(candidate.python) !== "file") continue;
      const key = candidateKey(candidate);
      const record = answered().get(key);
      if (record !== undefined && record.hermes.identity === identityOf(candidate, record.files))
        return { hermes: record.hermes, isFinding: false, fault: null };
      const failure = failures.get(key);
      const isStale = failure === undefined || system.clock.monotonicMs() - failure.atMonotonicMs >= retryMs;
      if (!isStale && failure.identity === identityOf(candidate, [])) {
        faults.push(failure.error);
        continue;
      }
      ask(candidate, key);
      return { hermes: null, isFinding: true, fault: null };
    }
    return { hermes: null, isFinding: false, fault: faultOf(places, candidates, faults) };
  }

  function kindOf(path: string): string | null {
    try {
      return system.files.stat(path)?.kind ?? null;
    } catch {
      // Behind a folder that we may not enter, it is of no use either.
      return null;
    }
  }

  /** An installation from source has its packages recorded in its own home, and would fetch them anew for an empty one. */
  function environmentOf({ checkout }: HermesCandidate): Readonly<Record<string, string>> {
    if (checkout === null) return environment;
    const above = checkout.slice(0, checkout.lastIndexOf("/"));
    const home = kindOf(`${above}/installs`) === "folder" ? above : parts.rootHome;
    return { ...environment, HERMES_HOME: home, [checkoutVariable]: checkout };
  }

  function ask(candidate: HermesCandidate, key: string): void {
    if (asking.has(key) || halting.signal.aborted) return;
    asking.add(key);
    const done = turn.then(async () => {
      if (halting.signal.aborted) return;
      const before = identityOf(candidate, []);
      const said = await parts.ask({
        python: candidate.python,
        question: { ask: "probe" },
        environment: environmentOf(candidate),
        timeoutMs: probeTimeoutMs,
        signal: halting.signal,
      });
      asking.delete(key);
      if (halting.signal.aborted) return;
      // What was changed meanwhile may have been half old and half new when it answered: it is asked once more.
      if (identityOf(candidate, []) === before) takeAnswer(candidate, key, before, said);
      known.clear();
      parts.changed();
    });
    open.add(done);
    void done.then(() => open.delete(done));
    turn = turn.then(() => endedOrSlow(done));
  }

  /** One that hangs must not keep the others from being asked. */
  function endedOrSlow(done: Promise<void>): Promise<void> {
    return new Promise((resolve) => {
      const timer = system.clock.after(turnMsMax, resolve);
      void done.then(() => {
        timer.cancel();
        resolve();
      });
    });
  }

  function takeAnswer(candidate: HermesCandidate, key: string, identity: string, said: HermesAnswer): void {
    const first = said.ok ? parseProbe(candidate, identity, said.answer) : null;
    if (!said.ok || first === null) {
      const error = said.ok
        ? `Cannot ask Hermes "probe" with "${candidate.python}": its answer names no version`
        : said.error;
      answered().delete(key);
      failures.set(key, { identity, error, atMonotonicMs: system.clock.monotonicMs() });
      return;
    }
    failures.delete(key);
    answered().delete(key);
    const { hermes, files } = first;
    answered().set(key, { hermes: { ...hermes, identity: identityOf(candidate, files) }, files });
    for (const [old] of answered()) if (answered().size > recordsMax) answered().delete(old);
    try {
      ledger.setNote(hermesNote, formatHermesNote(answered().values()));
    } catch (error) {
      // It is known until the daemon ends, and the next one asks again.
      system.log.warn("what Hermes answered could not be kept", {
        error: error instanceof Error ? error.message : String(error),
      });
    }
  }

  function tell(key: string, { hermes, isFinding, fault }: HermesLook): void {
    const before = said.get(key) ?? null;
    if (isFinding) {
      if (before === null || before.hermes === null) return;
      system.log.warn("the Hermes in use was replaced or is gone; looking for it again", {
        python: before.hermes.python,
        version: before.hermes.version,
      });
      said.set(key, { hermes: null, fault: null });
      return;
    }
    if (before !== null && before.hermes?.identity === hermes?.identity && before.fault === fault) return;
    said.set(key, { hermes, fault });
    if (hermes !== null) {
      const { python, version, release } = hermes;
      system.log.info("found Hermes", { python, version, release });
    } else if (before?.hermes != null) {
      system.log.warn("the Hermes in use is gone; prompt jobs cannot run until there is one", {
        python: before.hermes.python,
        error: fault,
      });
    } else system.log.info("no Hermes to run prompt jobs with", { error: fault });
  }

  return {
    look(places) {
      const key = keyOf(places);
      const now = system.clock.monotonicMs();
      const before = known.get(key);
      if (before !== undefined) {
        if (now - before.seenAtMonotonicMs < lookEveryMs) return before.look;
        const { hermes } = before.look;
        const isRecent = now - before.searchedAtMonotonicMs < searchEveryMs;
        // A search costs a millisecond, and what runs soon may be waiting for this answer.
        if (hermes !== null && isRecent && isUntouched(system, hermes.identity)) {
          before.seenAtMonotonicMs = now;
          return before.look;
        }
      }
      const look = find(places);
      known.set(key, { look, searchedAtMonotonicMs: now, seenAtMonotonicMs: now });
      // What else was made from the earlier answer is to be made anew, but not under the hands of who asks.
      if (before !== undefined && !isSame(before.look, look)) system.clock.after(0, () => parts.changed());
      tell(key, look);
      return look;
    },
    async settled() {
      // An answer may have another candidate asked.
      while (open.size > 0) await Promise.all(open);
    },
    halt: () => halting.abort(),
  };
}

function isSame(a: HermesLook, b: HermesLook): boolean {
  return a.hermes?.identity === b.hermes?.identity && a.isFinding === b.isFinding;
}

function faultOf(places: HermesPlaces, candidates: readonly HermesCandidate[], faults: readonly string[]): string {
  if (places.named !== null)
    return (
      faults[0] ??
      `Cannot use "${candidates[0]?.python}": there is no such file, expected the interpreter that Hermes is installed in`
    );
  const none = "No installed Hermes was found on PATH or where installers put it";
  return faults.length === 0 ? none : `${none} (${faults.join("; ")})`;
}
