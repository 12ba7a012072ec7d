import { InvariantError } from "../core/invariant-error.ts";
import type { Overlap } from "../core/job-policy.ts";
import type { LedgerRequest } from "../ledger/run-ledger.ts";
import type { DaemonParts } from "./daemon-parts.ts";
import type { HomeRuntime } from "./home-runtime.ts";
import { claimManual } from "./manual-run.ts";
import type { DurableClaim } from "./stage-claims.ts";

/** What became of a request for a run so far. */
export type RequestState =
  | { readonly kind: "served"; readonly runId: string }
  | { readonly kind: "waiting"; readonly why: string }
  | { readonly kind: "refused"; readonly why: string };

/** Requests of people for runs. They are rows of the ledger, so that they outlive who asked and the daemon that was asked. */
export interface ManualRequests {
  /** Records the request and tries it at once. A job that waits already is not asked for twice. */
  ask(home: HomeRuntime, jobId: string): { readonly id: number | null; readonly state: RequestState };
  /** Null when the ledger has no such request. */
  look(id: number): { readonly request: LedgerRequest; readonly state: RequestState } | null;
  /** Tries those that wait, the oldest first. To be called before each tick, so that no schedule can keep them waiting for ever. */
  serve(): void;
  /** Looks into the ledger again: an earlier daemon left requests there, and one whose run came to nothing waits again. */
  reload(): void;
  /** When `serve` is worth calling again (monotonic ms), or null. */
  wakeAtMonotonicMs(): number | null;
}

/** Somebody who asked so long ago does not expect the run any more. */
const lifeMs = 3_600_000;
const retryMs = 250;
const failedRetryMs = 1000;

interface Waiting {
  readonly request: LedgerRequest;
  why: string;
  tryAtMonotonicMs: number;
}

export function createManualRequests(
  parts: DaemonParts,
  homes: () => ReadonlyMap<string, HomeRuntime>,
  launch: (home: HomeRuntime, claims: readonly DurableClaim[]) => void,
  replaceRun: (runId: string) => void,
): ManualRequests {
  const { system, ledger } = parts;
  let waiting: readonly Waiting[] = [];

  function reload(): void {
    const known = new Map(waiting.map((one) => [one.request.id, one]));
    waiting = ledger
      .openRequests()
      .filter((request) => request.kind === "run")
      .map((request) => known.get(request.id) ?? { request, why: "the daemon has just begun", tryAtMonotonicMs: 0 });
  }

  function leave(one: Waiting): void {
    waiting = waiting.filter((each) => each !== one);
  }

  function refuse(one: Waiting, why: string): RequestState {
    ledger.closeRequest(one.request.id, system.clock.nowMs(), null);
    leave(one);
    return { kind: "refused", why };
  }

  function wait(one: Waiting, why: string, delayMs: number): RequestState {
    one.why = why;
    one.tryAtMonotonicMs = system.clock.monotonicMs() + delayMs;
    return { kind: "waiting", why };
  }

  function attempt(one: Waiting): RequestState {
    const { id, home: homeName, jobId, requestedAtMs } = one.request;
    const home = homes().get(homeName);
    if (home === undefined) return refuse(one, `there is no home "${homeName}" any more`);
    if (system.clock.nowMs() - requestedAtMs > lifeMs) return refuse(one, "it could not be started within an hour");
    if (home.state.kind !== "active") return wait(one, `its home is ${home.state.kind}`, retryMs);
    if (home.recovering > 0 || !home.isCleared)
      return wait(one, "runs of an earlier daemon are not decided yet", retryMs);
    try {
      const made = claimManual(parts, home, jobId, id);
      switch (made.kind) {
        case "claimed":
          leave(one);
          launch(home, [made.claim]);
          return { kind: "served", runId: made.claim.run.id };
        case "refused":
          return refuse(one, made.why);
        case "running":
          if (overlapOf(home, jobId) === "replace") replaceOpen(home, jobId);
          return wait(one, made.why, retryMs);
        case "later":
          return wait(one, made.why, retryMs);
      }
    } catch (error) {
      if (!(error instanceof Error) || error instanceof InvariantError) throw error;
      // Most likely a full disk. Nothing was started, and the request stands in the ledger as before.
      return wait(one, error.message, failedRetryMs);
    }
  }

  function isRunning(home: HomeRuntime, jobId: string): boolean {
    return parts.children.inHome(home.name).some((child) => child.jobId === jobId);
  }

  function overlapOf(home: HomeRuntime, jobId: string): Overlap {
    const job = home.store.read().jobs.find((one) => one.id === jobId);
    return job === undefined ? "skip" : home.settings.policy(job).overlap;
  }

  function replaceOpen(home: HomeRuntime, jobId: string): void {
    for (const child of parts.children.inHome(home.name)) {
      if (child.jobId === jobId && child.overAtMs === null) replaceRun(child.runId);
    }
  }

  return {
    ask(home, jobId) {
      const known = waiting.find(({ request }) => request.home === home.name && request.jobId === jobId);
      if (known !== undefined) return { id: known.request.id, state: { kind: "waiting", why: known.why } };
      if (isRunning(home, jobId) && overlapOf(home, jobId) === "skip") {
        return { id: null, state: { kind: "refused", why: "it is already running" } };
      }
      const requestedAtMs = system.clock.nowMs();
      const asked = { kind: "run", home: home.name, jobId, runId: null, requestedAtMs } as const;
      const id = ledger.addRequest(asked);
      const one: Waiting = { request: { ...asked, id, closedAtMs: null }, why: "", tryAtMonotonicMs: 0 };
      waiting = [...waiting, one];
      return { id, state: attempt(one) };
    },
    look(id) {
      const request = ledger.request(id);
      if (request === null) return null;
      const why = waiting.find((one) => one.request.id === id)?.why;
      if (request.closedAtMs === null)
        return { request, state: { kind: "waiting", why: why ?? "it is about to start" } };
      return request.runId === null
        ? { request, state: { kind: "refused", why: "it is gone, cannot be run, or had to wait for an hour" } }
        : { request, state: { kind: "served", runId: request.runId } };
    },
    serve() {
      const now = system.clock.monotonicMs();
      for (const one of waiting) if (one.tryAtMonotonicMs <= now) attempt(one);
    },
    reload,
    wakeAtMonotonicMs() {
      return waiting.length === 0 ? null : Math.min(...waiting.map((one) => one.tryAtMonotonicMs));
    },
  };
}
