import type { AlertKind } from "../core/alert-kinds.ts";
import { alertKey, type Condition, type OpenAlert, planAlerts } from "../core/alerts.ts";
import { InvariantError } from "../core/invariant-error.ts";
import type { Work } from "../core/work.ts";
import type { RunLedger } from "../ledger/run-ledger.ts";
import { findConditions } from "../status/conditions.ts";
import type { EventLog } from "../status/event-log.ts";
import { isoTime } from "../status/json.ts";
import { alertJson } from "../status/snapshot.ts";
import { cannotBeServed, type StatusView } from "../status/view.ts";
import type { Timer } from "../system/clock.ts";
import type { System } from "../system/system.ts";
import type { HomeRuntime } from "./home-runtime.ts";
import type { Pieces } from "./pieces.ts";

/** What changes on its own, such as a job that becomes overdue, is found after so long at most. */
const usualMs = 30_000;
/** While something is about to come up or to be over. */
const closeMs = 2000;
const soonMs = 500;
const messageCharsMax = 2000;

export interface AlertSettings {
  /** By name, those who are to be told. */
  readonly notifiers: readonly string[];
  /** Of what; null for everything. */
  readonly kinds: readonly AlertKind[] | null;
}

/** Tells of alerts once each when they come up and once when they are over: the log, the events and the queue of notices. */
export interface AlertWatch {
  /** Something may have changed: looks a moment later. */
  soon(): void;
  /** After each turn of the loop: looks soon where a home changed its state. */
  turned(): void;
  halt(): void;
}

export function watchAlerts(
  system: Pick<System, "clock" | "log" | "processes">,
  ledger: RunLedger,
  view: () => Work<StatusView>,
  pieces: Pick<Pieces, "start">,
  homes: () => ReadonlyMap<string, HomeRuntime>,
  events: EventLog,
  settings: () => AlertSettings,
  queued: () => void,
): AlertWatch {
  const { clock, log } = system;
  let open: ReadonlyMap<string, OpenAlert> = new Map(ledger.openAlerts().map((alert) => [alertKey(alert), alert]));
  const states = new WeakMap<HomeRuntime, string>();
  let timer: Timer | null = null;
  let atMonotonicMs = Number.POSITIVE_INFINITY;
  let isLooking = false;
  let halted = false;

  function look(): void {
    timer = null;
    atMonotonicMs = Number.POSITIVE_INFINITY;
    if (isLooking) {
      arm(soonMs);
      return;
    }
    isLooking = true;
    pieces.start(
      seenConditions(),
      ([seen, conditions]) => {
        isLooking = false;
        if (!halted) arm(takeLook(seen, conditions) ? closeMs : usualMs);
      },
      (error) => {
        isLooking = false;
        if (!(error instanceof Error) || error instanceof InvariantError) throw error;
        // The ledger has no room, say: what is not written down is told at a later look.
        if (!halted) log.warn("could not look for alerts", { error: error.message });
        arm(usualMs);
      },
    );
  }

  function* seenConditions(): Work<readonly [StatusView, readonly Condition[]]> {
    const seen = yield* view();
    return [seen, yield* findConditions(seen)];
  }

  function takeLook(seen: StatusView, conditions: readonly Condition[]): boolean {
    const unreadable = new Set(seen.homes.filter(({ state }) => cannotBeServed(state)).map(({ name }) => name));
    const plan = planAlerts(open, conditions, unreadable, seen.nowMs);
    if (plan.raised.length > 0 || plan.cleared.length > 0) {
      ledger.transaction(() => {
        for (const alert of plan.raised) {
          ledger.raiseAlert(alert);
          queue("raised", alert, seen.nowMs);
        }
        for (const alert of plan.cleared) {
          ledger.clearAlert(alert);
          queue("cleared", alert, seen.nowMs);
        }
      });
    }
    open = plan.open;
    for (const alert of plan.raised) tell("raised", alert);
    for (const alert of plan.cleared) tell("cleared", alert);
    if (plan.raised.length > 0 || plan.cleared.length > 0) queued();
    return (
      [...plan.open.values()].some(({ goneSinceMs }) => goneSinceMs !== null) ||
      seen.homes.some(({ tickLock }) => tickLock.held)
    );
  }

  function tell(event: "raised" | "cleared", alert: OpenAlert): void {
    const facts = { kind: alert.kind, home: alert.home, job_id: alert.jobId, message: shortened(alert.message) };
    if (event === "raised") log.warn("an alert is up", facts);
    else log.info("an alert is over", facts);
    events.add("alert", { event, alert: alertJson(alert) });
  }

  function queue(event: "raised" | "cleared", alert: OpenAlert, nowMs: number): void {
    const { notifiers, kinds } = settings();
    if (notifiers.length === 0 || (kinds !== null && !kinds.includes(alert.kind))) return;
    const message = shortened(alert.message);
    const where = alert.home === null ? system.processes.hostname : `${system.processes.hostname}/${alert.home}`;
    const text = `[${where}] ${event === "raised" ? "" : "Over: "}${message}`;
    const content = JSON.stringify({
      event,
      at: isoTime(nowMs),
      host: system.processes.hostname,
      // Chats take one or the other for the message.
      text,
      content: text,
      alert: { ...alertJson(alert), message, raised_at: isoTime(alert.raisedAtMs) },
    });
    for (const notifier of notifiers) {
      ledger.addNotice({ notifier, content, queuedAtMs: nowMs, attempts: 0, retryAtMs: nowMs });
    }
  }

  function arm(delayMs: number): void {
    const wantedMs = clock.monotonicMs() + delayMs;
    if (halted || (timer !== null && atMonotonicMs <= wantedMs)) return;
    timer?.cancel();
    atMonotonicMs = wantedMs;
    timer = clock.after(delayMs, look);
  }

  arm(soonMs);
  return {
    soon: () => arm(soonMs),
    turned() {
      for (const home of homes().values()) {
        const state = `${home.state.kind} ${home.lockBusy !== null} ${home.endsFault ?? ""}`;
        if (states.get(home) === state) continue;
        states.set(home, state);
        arm(soonMs);
      }
    },
    halt() {
      halted = true;
      timer?.cancel();
    },
  };
}

/** A job's error can be a page long. */
function shortened(message: string): string {
  const line = message.replace(/[\x00-\x1f\x7f]+/gu, " ");
  return line.length <= messageCharsMax ? line : `${line.slice(0, messageCharsMax)}…`;
}
