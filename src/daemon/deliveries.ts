import { type Delivery, type DeliveryOutlook, isDeliveryOver } from "../core/delivery.ts";
import { formatInstant } from "../core/instant.ts";
import { InvariantError } from "../core/invariant-error.ts";
import type { Job, JobPatch } from "../core/job.ts";
import type { Run } from "../core/run.ts";
import { type DeliveryWays, stepDelivery } from "../delivery/deliver.ts";
import { createHermesDeliveries } from "../delivery/hermes-deliveries.ts";
import { createOutbox } from "../delivery/outbox.ts";
import { createStandAlone, type WorkerAnswer } from "../delivery/stand-alone.ts";
import { findGateway } from "../homes/find-gateway.ts";
import { takeFireFences } from "../store/fire-fence.ts";
import type { Timer } from "../system/clock.ts";
import { LockHeldError } from "../system/lock.ts";
import type { DaemonParts } from "./daemon-parts.ts";
import type { HomeRuntime } from "./home-runtime.ts";
import { noteExecution } from "./record-executions.ts";
import { lockWaitMs } from "./tick.ts";

/** So often is looked at what somebody has just been given: a gateway takes a message within a second. */
const soonMs = 200;
const soonForMs = 10_000;
/** What waits for longer is looked at less and less often. */
const waitMsMin = 1000;
const waitMsMax = 60_000;
const busyMs = 250;
/** Seen to in one go: between two such rounds whatever is due starts. */
const stepsPerRound = 10;
/** Each is a whole Hermes of 100 MB and more. */
const workersMax = 2;
/** Longer than Hermes' own limits for one message to all its targets. */
const workerTimeoutMs = 300_000;
/** A daemon that is to end does not wait longer for its own sendings. */
const quietWithinMs = 30_000;

type Question = { readonly ask: string } & Readonly<Record<string, unknown>>;

/** Asks the Hermes of a home in a process of its own. Never rejects. */
export type AskOfHome = (home: HomeRuntime, question: Question, timeoutMs: number) => Promise<WorkerAnswer>;

/** Takes the results of runs to where their jobs want them. Nothing in here waits for anybody. */
export interface Deliveries {
  /** Looks at what is on its way, also at what an earlier daemon left. To be called when a run was closed. */
  look(): void;
  /** False while something gets on by this daemon alone, unless that lasts too long. */
  isQuiet(): boolean;
  /** Begins to send nothing more by itself. True while a process of ours is still sending. */
  endSending(): boolean;
  halt(): void;
}

export function createDeliveries(
  parts: DaemonParts,
  homes: () => ReadonlyMap<string, HomeRuntime>,
  ask: AskOfHome,
  wake: () => void,
): Deliveries {
  const { system, ledger } = parts;
  const { clock, log } = system;
  const outbox = createOutbox(system, parts.stateFolder);
  const standAlone = createStandAlone(
    async (delivery, question) => {
      const home = homes().get(delivery.home);
      return home === undefined
        ? { ok: false, error: "The home is gone", isUnasked: true }
        : await ask(home, question, workerTimeoutMs);
    },
    (runId) => {
      looks.set(runId, 0);
      lookNow();
      wake();
    },
  );
  const ways = new WeakMap<HomeRuntime, DeliveryWays>();
  /** By run, when to look at it again (monotonic ms). */
  const looks = new Map<string, number>();
  /** By run, the fault that the log was told of. */
  const said = new Map<string, string>();
  let timer: Timer | null = null;
  let open: readonly Delivery[] = [];
  let isSwept = false;
  let halted = false;
  let isEnding = false;
  let unquietSinceMonotonicMs: number | null = null;

  function waysOf(home: HomeRuntime): DeliveryWays {
    let known = ways.get(home);
    if (known === undefined) {
      const nowText = (): string => formatInstant(clock.nowMs(), home.settings.zone);
      known = { rows: createHermesDeliveries(system, home.cronFolder, nowText), outbox, standAlone };
      ways.set(home, known);
    }
    return known;
  }

  function gatewayOf(home: HomeRuntime): Omit<DeliveryOutlook, "worker"> {
    const gateway = findGateway(system, home, homes().get("default") ?? home);
    const takesRows = home.settings.hermes?.features["deliveries_db"] === true || hasRows(home);
    return { gateway: gateway !== null, rows: gateway !== null && takesRows, outbox: gateway?.hasPlugin ?? false };
  }

  function hasRows(home: HomeRuntime): boolean {
    try {
      return waysOf(home).rows.exists();
    } catch {
      // Locked, damaged or of a form that we do not know: there are other ways.
      return false;
    }
  }

  function workerOf({ settings }: HomeRuntime): DeliveryOutlook["worker"] {
    if (settings.hermes === null) return settings.isFindingHermes ? "busy" : "none";
    return !isEnding && standAlone.running() < workersMax ? "ready" : "busy";
  }

  function round(): void {
    timer = null;
    if (halted) return;
    open = ledger.openDeliveries();
    if (!isSwept) {
      isSwept = true;
      const runIds = new Set(open.map(({ runId }) => runId));
      outbox.sweep((runId) => runIds.has(runId));
    }
    const gateways = new Map<HomeRuntime, Omit<DeliveryOutlook, "worker">>();
    const nowMonotonicMs = clock.monotonicMs();
    const due = open.filter(({ runId }) => (looks.get(runId) ?? 0) <= nowMonotonicMs);
    for (const delivery of due.slice(0, stepsPerRound)) {
      const home = homes().get(delivery.home) ?? null;
      looks.set(delivery.runId, nowMonotonicMs + guardedStep(delivery, home, gateways));
    }
    const left = new Set(open.map(({ runId }) => runId));
    for (const runId of looks.keys()) if (!left.has(runId)) looks.delete(runId);
    arm(due.length > stepsPerRound);
  }

  /** What goes wrong with one delivery must not reach another. Answers after how long to look at it again. */
  function guardedStep(
    delivery: Delivery,
    home: HomeRuntime | null,
    gateways: Map<HomeRuntime, Omit<DeliveryOutlook, "worker">>,
  ): number {
    try {
      const delayMs = home === null ? leave(delivery) : step(delivery, home, gateways);
      said.delete(delivery.runId);
      return delayMs;
    } catch (error) {
      if (!(error instanceof Error) || error instanceof InvariantError) throw error;
      if (error instanceof LockHeldError || isBusy(error)) return busyMs;
      if (said.get(delivery.runId) !== error.message) {
        said.set(delivery.runId, error.message);
        log.error("a result could not be taken further on its way", {
          home: delivery.home,
          job_id: delivery.jobId,
          run_id: delivery.runId,
          error: error.message,
        });
      }
      return waitMsMin;
    }
  }

  function step(
    delivery: Delivery,
    home: HomeRuntime,
    gateways: Map<HomeRuntime, Omit<DeliveryOutlook, "worker">>,
  ): number {
    if (home.state.kind === "unsupported") return waitMsMax;
    if (isDeliveryOver(delivery.state)) return record(delivery, home);
    if (isOutdated(delivery)) {
      const error = "A later failure of the job is told of instead";
      ledger.moveDelivery(delivery.runId, "suppress", { error });
      return record({ ...delivery, state: "suppressed", error }, home);
    }
    let gateway = gateways.get(home);
    if (gateway === undefined) {
      gateway = gatewayOf(home);
      gateways.set(home, gateway);
    }
    const outlook = { ...gateway, worker: workerOf(home) };
    stepDelivery(ledger, waysOf(home), delivery, outlook, clock.nowMs(), parts.fault);
    const now = ledger.delivery(delivery.runId) ?? delivery;
    if (now.state !== delivery.state) say(now);
    return isDeliveryOver(now.state) ? record(now, home) : waitOf(now);
  }

  /** Whether it tells of a failure that nobody could be told of before the job failed again: one message is enough. */
  function isOutdated({ state, isBare, home, jobId, queuedAtMs }: Delivery): boolean {
    const isSame = (other: Delivery): boolean => other.home === home && other.jobId === jobId;
    const isLater = (other: Delivery): boolean => other.isBare && other.queuedAtMs > queuedAtMs;
    return state === "pending" && isBare && open.some((other) => isSame(other) && isLater(other));
  }

  /** Its home is gone, and with it whoever could send it and the record that could tell of it. */
  function leave(delivery: Delivery): number {
    if (delivery.state === "pending") ledger.moveDelivery(delivery.runId, "fail", { error: "The home is gone" });
    if (delivery.state === "sending") ledger.moveDelivery(delivery.runId, "lose", { error: "The home is gone" });
    ledger.setDeliveryRecorded(delivery.runId);
    return 0;
  }

  function waitOf({ state, retryAtMs, handedAtMs, queuedAtMs, error }: Delivery): number {
    const nowMs = clock.nowMs();
    const growing = (sinceMs: number): number => Math.min(waitMsMax, Math.max(waitMsMin, (nowMs - sinceMs) / 10));
    if (state === "sending") {
      const agoMs = nowMs - (handedAtMs ?? nowMs);
      return agoMs < soonForMs ? soonMs : Math.min(growing(handedAtMs ?? nowMs), 10_000);
    }
    if (retryAtMs !== null && retryAtMs > nowMs) return Math.min(waitMsMax, retryAtMs - nowMs);
    // Without a word it is only a matter of moments.
    return error === null ? soonMs : Math.min(growing(queuedAtMs), 10_000);
  }

  function say({ runId, home, jobId, state, target, way, error }: Delivery): void {
    const facts = { run_id: runId, home, job_id: jobId, target, way, error };
    if (state === "failed" || state === "unknown") log.error("a result was not delivered", { ...facts, state });
    else log.debug("a result is on its way", { ...facts, state });
  }

  /**
   * Writes into the job's record what became of its last run's result, as Hermes does. A record that tells of another run by now, or
   * that is gone, is left as it is.
   */
  function record(delivery: Delivery, home: HomeRuntime): number {
    const run = ledger.run(delivery.runId);
    parts.fault("before-delivery-record");
    if (run !== null) {
      const fences = takeFireFences(system, home.cronFolder, [run.jobId]);
      try {
        if (fences.busy.size > 0) return busyMs;
        let isSettled = true;
        home.store.update(({ jobs, features }) => {
          const job = jobs.find((one) => one.id === run.jobId);
          // Whoever settles it writes this, too.
          isSettled = job?.fireClaim?.by !== run.owner;
          const patch = job === undefined || !isSettled ? null : recordPatch(job, run, delivery, features.runFields);
          return new Map(patch === null ? [] : [[run.jobId, patch]]);
        }, lockWaitMs);
        if (!isSettled) return waitMsMin;
      } finally {
        fences.release();
      }
      noteExecution(home, run.id);
      settleIncident(delivery, home);
      wake();
    }
    parts.fault("after-delivery-record");
    ledger.setDeliveryRecorded(delivery.runId);
    return 0;
  }

  /** A process that sends settles it by itself. Where this comes to nothing, people are told of the failure once more. */
  function settleIncident({ incident, state, way }: Delivery, home: HomeRuntime): void {
    if (incident === null || state !== "delivered" || way === "stand_alone" || home.settings.hermes === null) return;
    void ask(home, { ask: "settle_incident", incident }, workerTimeoutMs);
  }

  function arm(isMore: boolean): void {
    timer?.cancel();
    timer = null;
    if (halted || (looks.size === 0 && !isMore)) return;
    const nextMs = isMore ? 0 : Math.min(...looks.values()) - clock.monotonicMs();
    timer = clock.after(Math.max(0, nextMs), lookNow);
  }

  function lookNow(): void {
    if (halted) return;
    timer?.cancel();
    round();
  }

  return {
    look: () => {
      if (halted) return;
      timer?.cancel();
      // Whatever is due starts first.
      timer = clock.after(0, lookNow);
    },
    isQuiet() {
      const nowMs = clock.nowMs();
      const isMoving = ledger.openDeliveries().some(({ state, way, error, retryAtMs, handedAtMs }) => {
        if (state === "pending") return error === null && retryAtMs === null;
        if (state !== "sending") return true;
        return way === "stand_alone" || nowMs - (handedAtMs ?? 0) < soonForMs;
      });
      if (!isMoving) return true;
      unquietSinceMonotonicMs ??= clock.monotonicMs();
      return clock.monotonicMs() - unquietSinceMonotonicMs >= quietWithinMs;
    },
    endSending() {
      isEnding = true;
      return standAlone.running() > 0;
    },
    halt() {
      // A process that sends goes on: to stop it in the middle would help nobody.
      halted = true;
      timer?.cancel();
    },
  };
}

/** What the record of a job says of the delivery of its last run; null when another run was its last. */
function recordPatch(job: Job, run: Run, delivery: Delivery, knowsStatus: boolean): JobPatch | null {
  const endedMs = run.endedAtMs ?? Number.NaN;
  if (job.lastRunAt === null || !(Math.abs(job.lastRunAt.ms - endedMs) < 1)) return null;
  const isUnsent = delivery.state === "failed" || delivery.state === "unknown";
  const succeeded = job.lastStatus === "ok" || job.lastStatus === "delivery_queued";
  return {
    lastDeliveryError: isUnsent ? (delivery.error ?? "it was not delivered") : null,
    lastDeliveryQueued: null,
    ...(succeeded ? { lastStatus: isUnsent && knowsStatus ? "delivery_failed" : "ok" } : {}),
  };
}

function isBusy(error: Error): boolean {
  return "errcode" in error && (error.errcode === 5 || error.errcode === 6);
}
