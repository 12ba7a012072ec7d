import { deliveryOutcome, type ExecutionDetails, executionId, executionRow } from "../core/execution-row.ts";
import { InvariantError } from "../core/invariant-error.ts";
import type { Run } from "../core/run.ts";
import type { ExecutionsResult, ExecutionWrite } from "../ledger/hermes-executions.ts";
import { type FileIdentity, sameFile } from "../system/files.ts";
import type { DaemonParts } from "./daemon-parts.ts";
import type { HomeRuntime } from "./home-runtime.ts";

/** What happens to runs within this time is written together: the end of a short run with its start. */
const gatherMs = 200;
/** The first look at a home's file, when all that is due at the daemon's start has begun. */
const firstLookMs = 1000;
/** Nothing is written so shortly before a job is due, unless it has waited for `patienceMs`. */
const quietMs = 30;
const patienceMs = 2000;
const busyRetryMs = 1000;
const busyRetryMsMax = 30_000;
/** A file that is busy for longer than any of Hermes' own transactions is worth a line. */
const busySaidMs = 10_000;
/** While the file is busy no more than this is kept in mind; the rest is found by comparing. */
const heldMax = 100;
/** So many runs are compared: Hermes keeps no more rows. */
const rowsMax = 1000;

/** Hermes needs less than a second for it; a drained daemon waits no longer than this. */
const makeTimeoutMs = 30_000;

/** Brings Hermes' own ledgers up to date with ours. Ours is the truth; theirs may lag behind it and is never waited for. */
export interface ExecutionsMirror {
  /**
   * Notes of homes that are new from when on their runs have rows, and of all where the clock was set back. To be called before
   * anything is claimed in them.
   */
  meet(): void;
  /** Writes what is due of one home. To be called in each turn, after all that is urgent. */
  record(): void;
  /** When there is something to record (monotonic ms), or null. */
  wakeAtMonotonicMs(): number | null;
  /** False while Hermes is making a file that rows wait for. */
  isSettled(): boolean;
  /** Writes all that can be written now: the daemon ends. */
  finish(): void;
}

/** Has the row of a run written soon, as the run then is. With `startedAtMs` it is at once: a prompt job may ask Hermes which run it is. */
export function noteExecution(home: HomeRuntime, runId: string, details: ExecutionDetails = {}): void {
  home.executionsDue.set(runId, { ...home.executionsDue.get(runId), ...details });
}

interface HomeState {
  /** Whether all runs are to be compared with the file: a daemon may have died before it wrote of some. */
  compares: boolean;
  dueAtMonotonicMs: number | null;
  busySinceMonotonicMs: number | null;
  busyRetryMs: number;
  isSaid: boolean;
  /** The file is there, without the table of runs: Hermes made it for something else. */
  lacksTable: boolean;
  /** Hermes is making the file. */
  isMaking: boolean;
  /** By its identity, the Hermes that could not make one. */
  cannotMake: string | null;
  /** The file that cannot be used, as long as it is this one. */
  left: { readonly identity: FileIdentity | null; readonly problem: string } | null;
}

/** In our ledger: from when on a home's runs have rows, in the file that this was decided for. */
interface Coverage {
  readonly inode: string;
  readonly from_ms: number;
}

export function createExecutionsMirror(
  parts: DaemonParts,
  homes: () => ReadonlyMap<string, HomeRuntime>,
  wake: () => void,
): ExecutionsMirror {
  const { system, ledger } = parts;
  const { clock, log } = system;
  const states = new WeakMap<HomeRuntime, HomeState>();
  const halting = new AbortController();
  let metAtMs = Number.NEGATIVE_INFINITY;

  function stateOf(home: HomeRuntime): HomeState {
    let state = states.get(home);
    if (state === undefined) {
      state = {
        compares: true,
        dueAtMonotonicMs: clock.monotonicMs() + firstLookMs,
        busySinceMonotonicMs: null,
        busyRetryMs,
        isSaid: false,
        lacksTable: false,
        isMaking: false,
        cannotMake: null,
        left: null,
      };
      states.set(home, state);
    }
    return state;
  }

  /** Null where there is nothing to do for this home. */
  function dueAt(home: HomeRuntime): number | null {
    if (home.state.kind === "unsupported") return null;
    const state = stateOf(home);
    if (state.isMaking || (home.executionsDue.size === 0 && !state.compares)) return null;
    const isAwaited = [...home.executionsDue.values()].some(({ startedAtMs }) => startedAtMs !== undefined);
    const nowMs = clock.monotonicMs();
    // Kept, so that it has passed at the next look: a clock goes on between any two.
    if (isAwaited && state.busySinceMonotonicMs === null)
      state.dueAtMonotonicMs = Math.min(nowMs, state.dueAtMonotonicMs ?? nowMs);
    state.dueAtMonotonicMs ??= nowMs + gatherMs;
    return state.dueAtMonotonicMs;
  }

  /** Whether a job is due so soon that it would have to wait. */
  function isUrgentSoon(): boolean {
    const nowMs = clock.nowMs();
    for (const { wakeAtMs } of homes().values())
      if (wakeAtMs !== null && wakeAtMs >= nowMs && wakeAtMs < nowMs + quietMs) return true;
    return false;
  }

  /** True when it was worth a turn of its own. */
  function recordHome(home: HomeRuntime): boolean {
    const state = stateOf(home);
    state.dueAtMonotonicMs = null;
    const identity = home.executions.identity();
    if ((identity === null || state.lacksTable) && haveMade(home, state)) return true;
    if (identity === null || (state.left !== null && sameFile(state.left.identity, identity))) {
      forget(home, state);
      return false;
    }
    const { from_ms: fromMs } = coverage(home, identity);
    if (state.compares || state.left !== null) {
      state.compares = true;
      const failure = compare(home, fromMs);
      if (failure !== null) {
        take(home, state, failure, identity);
        return true;
      }
    }
    const writes = [...home.executionsDue].flatMap(([runId, details]) => {
      const run = ledger.run(runId);
      return run === null ? [] : [writeOf(home, run, details)];
    });
    take(home, state, writes.length === 0 ? { kind: "done" } : home.executions.write(writes), identity);
    // Its start is recorded in a moment, when this turn may be over, and nothing else need happen until its end.
    if (writes.some(({ row }) => row.status === "claimed")) clock.after(gatherMs, wake);
    return true;
  }

  /** Whether Hermes has made nothing that rows could be in, and will. */
  function waitsForFile(home: HomeRuntime, state: HomeState): boolean {
    if (home.state.kind === "unsupported" || home.executionsDue.size === 0) return false;
    if (home.executions.identity() !== null && !state.lacksTable) return false;
    const { hermes, isFindingHermes } = home.settings;
    return isFindingHermes || (hermes?.features["executions"] === true && state.cannotMake !== hermes.identity);
  }

  /** Has the home's Hermes make the file at the first run, as it would for its own. True while rows are to wait for that. */
  function haveMade(home: HomeRuntime, state: HomeState): boolean {
    if (!waitsForFile(home, state)) return false;
    const { hermes, isFindingHermes } = home.settings;
    if (isFindingHermes || hermes === null) {
      state.dueAtMonotonicMs = clock.monotonicMs() + busyRetryMs;
      return true;
    }
    state.isMaking = true;
    const { python, identity } = hermes;
    const environment = { ...home.settings.environments.prompt.variables, HERMES_HOME: home.path };
    const question = { ask: "make_executions" };
    const { signal } = halting;
    void parts.askHermes({ python, question, environment, timeoutMs: makeTimeoutMs, signal }).then((answer) => {
      state.isMaking = false;
      if (signal.aborted) return;
      const known = home.executions.known();
      state.lacksTable = false;
      if ("kind" in known && known.kind === "absent") {
        state.cannotMake = identity;
        log.warn("Hermes could not make its own ledger; hermes cron runs does not show our runs", {
          home: home.name,
          error: answer.ok ? "It said that it did" : answer.error,
        });
      }
      wake();
    });
    return true;
  }

  function writeOf(home: HomeRuntime, run: Run, details: ExecutionDetails): ExecutionWrite {
    const hasEnd = run.state === "completed" || run.state === "failed";
    return {
      row: executionRow(run, home.settings.zone, details),
      deliveryOutcome: hasEnd ? deliveryOutcome(ledger.delivery(run.id)) : null,
      onlyIfThere: run.state === "void",
    };
  }

  /** Notes the runs whose rows are not as they should be. Answers what kept it from looking, or null. */
  function compare(home: HomeRuntime, fromMs: number): ExecutionsResult | null {
    const known = home.executions.known();
    if (!("statuses" in known)) return known;
    const keptFromMs = Math.max(fromMs, known.keptFromMs ?? fromMs);
    const runs = [...ledger.openRuns(home.name), ...ledger.runs({ home: home.name, limit: rowsMax })];
    for (const run of runs) {
      const status = known.statuses.get(executionId(run));
      const isOpen = run.state === "claimed" || run.state === "running";
      const isBehind =
        status === undefined
          ? isOpen || isMissed(run, keptFromMs)
          : isOpen
            ? run.state === "running" && status === "claimed"
            : isUnended(status);
      if (isBehind) noteExecution(home, run.id);
    }
    return null;
  }

  function take(home: HomeRuntime, state: HomeState, result: ExecutionsResult, identity: FileIdentity | null): void {
    const nowMs = clock.monotonicMs();
    switch (result.kind) {
      case "busy":
        state.busySinceMonotonicMs ??= nowMs;
        state.dueAtMonotonicMs = nowMs + state.busyRetryMs;
        state.busyRetryMs = Math.min(2 * state.busyRetryMs, busyRetryMsMax);
        if (home.executionsDue.size > heldMax) {
          home.executionsDue.clear();
          state.compares = true;
        }
        if (state.isSaid || nowMs - state.busySinceMonotonicMs < busySaidMs) return;
        state.isSaid = true;
        log.warn("Hermes' own ledger cannot be written now; hermes cron runs shows our runs when it can", {
          home: home.name,
          error: result.problem,
        });
        return;
      case "left":
        if (state.left?.problem !== result.problem) {
          log.warn("Hermes' own ledger is left alone; hermes cron runs does not show our runs", {
            home: home.name,
            path: `${home.cronFolder}/executions.db`,
            error: result.problem,
          });
        }
        state.left = { identity, problem: result.problem };
        break;
      case "absent":
        state.lacksTable = identity !== null;
        if (waitsForFile(home, state)) {
          state.dueAtMonotonicMs = nowMs;
          return;
        }
        state.lacksTable = false;
        break;
      case "done":
        if (state.left !== null || state.isSaid)
          log.info("Hermes' own ledger can be written again", { home: home.name });
        state.left = null;
        state.isSaid = false;
        break;
    }
    forget(home, state);
  }

  function forget(home: HomeRuntime, state: HomeState): void {
    state.busySinceMonotonicMs = null;
    state.busyRetryMs = busyRetryMs;
    state.compares = false;
    home.executionsDue.clear();
  }

  function coverage(home: HomeRuntime, identity: FileIdentity): Coverage {
    const key = `executions:${home.name}`;
    const inode = `${identity.device}:${identity.inode}`;
    const noted = JSON.parse(ledger.note(key) ?? "null") as Coverage | null;
    // From a time to come on means that the clock was set back: what is claimed by it counts as much.
    if (noted?.inode === inode && noted.from_ms <= clock.nowMs()) return noted;
    // A file that is new to us. What ran before it is not made up for; what is about to be written is.
    const claims = [...home.executionsDue.keys()].flatMap((runId) => ledger.run(runId)?.claimedAtMs ?? []);
    const made: Coverage = { inode, from_ms: Math.min(clock.nowMs(), ...claims) };
    ledger.setNote(key, JSON.stringify(made));
    return made;
  }

  function tryHome(home: HomeRuntime): boolean {
    try {
      return recordHome(home);
    } catch (error) {
      if (!(error instanceof Error) || error instanceof InvariantError) throw error;
      // Our own ledger on a full disk, most likely. No run depends on what was to be written.
      take(home, stateOf(home), { kind: "busy", problem: error.message }, null);
      return true;
    }
  }

  return {
    meet() {
      const nowMs = clock.nowMs();
      const isSetBack = nowMs < metAtMs;
      metAtMs = nowMs;
      const fresh = [...homes().values()].filter(
        (home) => home.state.kind !== "unsupported" && (isSetBack || !states.has(home)),
      );
      const files = fresh.flatMap((home) => {
        stateOf(home);
        const identity = home.executions.identity();
        return identity === null ? [] : [{ home, identity }];
      });
      if (files.length === 0) return;
      ledger.transaction(() => {
        for (const { home, identity } of files) coverage(home, identity);
      });
    },
    record() {
      const nowMs = clock.monotonicMs();
      for (const home of homes().values()) {
        const dueAtMs = dueAt(home);
        if (dueAtMs === null || dueAtMs > nowMs) continue;
        if (isUrgentSoon() && nowMs - dueAtMs < patienceMs) return;
        // One home in a turn: between two of them whatever is due starts.
        if (tryHome(home)) return;
      }
    },
    wakeAtMonotonicMs() {
      let earliest: number | null = null;
      for (const home of homes().values()) {
        const dueAtMs = dueAt(home);
        if (dueAtMs !== null && (earliest === null || dueAtMs < earliest)) earliest = dueAtMs;
      }
      if (earliest === null || earliest > clock.monotonicMs() || !isUrgentSoon()) return earliest;
      return clock.monotonicMs() + quietMs;
    },
    isSettled: () =>
      [...homes().values()].every((home) => {
        const state = stateOf(home);
        return !state.isMaking && !waitsForFile(home, state);
      }),
    finish() {
      halting.abort();
      for (const home of homes().values())
        if (home.state.kind !== "unsupported" && home.executionsDue.size > 0 && home.executions.identity() !== null)
          tryHome(home);
    },
  };
}

/** Whether Hermes would show this ended run had we written of it in time. */
function isMissed(run: Run, fromMs: number): boolean {
  return run.state !== "void" && run.claimedAtMs >= fromMs;
}

function isUnended(status: string): boolean {
  return status !== "completed" && status !== "failed";
}
