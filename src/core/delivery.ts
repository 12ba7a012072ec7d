import { InvariantError } from "./invariant-error.ts";

export type DeliveryState = "pending" | "sending" | "delivered" | "failed" | "unknown" | "suppressed";

export type DeliveryEvent =
  /** It was given to somebody who sends it. */
  | "hand"
  /** It was taken back from somebody who had not begun to send it. */
  | "withdraw"
  /** It was tried and is known not to have been sent. */
  | "retry"
  | "deliver"
  /** Nobody is to be bothered with it. */
  | "suppress"
  | "fail"
  /** Whoever was sending it is gone, and did not say how far it came. */
  | "lose";

/** Each legal move of a delivery. Whatever is not here is a fault in this program. */
export const deliveryStates: Readonly<Record<DeliveryState, Readonly<Partial<Record<DeliveryEvent, DeliveryState>>>>> =
  {
    pending: { hand: "sending", suppress: "suppressed", fail: "failed" },
    sending: {
      withdraw: "pending",
      retry: "pending",
      deliver: "delivered",
      suppress: "suppressed",
      fail: "failed",
      lose: "unknown",
    },
    // An end is read from files that outlive it, so it may be found twice. There is no way back: nothing is sent a second time.
    delivered: { deliver: "delivered", suppress: "delivered", fail: "delivered", lose: "delivered" },
    failed: { deliver: "failed", suppress: "failed", fail: "failed", lose: "failed" },
    unknown: { deliver: "unknown", suppress: "unknown", fail: "unknown", lose: "unknown" },
    suppressed: { deliver: "suppressed", suppress: "suppressed", fail: "suppressed", lose: "suppressed" },
  };

/** What a reader of `docs/states.md` should know of each. */
export const deliveryStateMeanings: Readonly<Record<DeliveryState, string>> = {
  pending: "It waits: it was not given to anybody yet, or it is known that nothing of it was sent.",
  sending: "It was given to somebody who sends it. From here on it may have been sent.",
  delivered: "Hermes says that it was sent. Final.",
  failed: "It was not sent, or not to all targets, and is not tried again. Final.",
  unknown: "Whoever sent it died over it: it may have arrived. It is not sent again. Final.",
  suppressed: "It is not to be sent: Hermes' settings keep it back, or people know of this failure already. Final.",
};

/** The state that `event` brings. Throws when there is none: that is a fault in this program. */
export function nextDeliveryState(runId: string, state: DeliveryState, event: DeliveryEvent): DeliveryState {
  const next = deliveryStates[state][event];
  if (next === undefined) {
    const legal = Object.keys(deliveryStates[state]).join(", ");
    throw new InvariantError(
      `Cannot ${event} the delivery of run "${runId}": it is ${state}, legal then are [${legal}]`,
    );
  }
  return next;
}

export function isDeliveryOver(state: DeliveryState): boolean {
  return state !== "pending" && state !== "sending";
}

/**
 * Who sends: a gateway that takes rows of `deliveries.db`, our plugin in a gateway, which takes files, or a process of
 * its own that sends without a gateway.
 */
export type DeliveryWay = "rows" | "outbox" | "stand_alone";

/** What became of a run's result: how `runs --json` tells it. */
export interface RunDelivery {
  readonly state: DeliveryState;
  readonly target: string;
  readonly error: string | null;
}

/** The result of one run on its way to a chat. */
export interface Delivery extends RunDelivery {
  readonly runId: string;
  readonly home: string;
  readonly jobId: string;
  /** The job's record as JSON: Hermes finds the chat by it. Empty once the delivery is over, as is `content`. */
  readonly record: string;
  readonly content: string;
  /** `content` is the error of a failed run: what people are told of it is still to be made of it. */
  readonly isBare: boolean;
  readonly forFailure: boolean;
  /** Hermes' own record of this failure, which it has to be told about once people were. */
  readonly incident: string | null;
  /** Who has it, or had it last. */
  readonly way: DeliveryWay | null;
  /** How often it was given to somebody. */
  readonly attempts: number;
  readonly queuedAtMs: number;
  readonly handedAtMs: number | null;
  /** Not to be tried before. */
  readonly retryAtMs: number | null;
  /** Whether the job's record tells what became of it. */
  readonly recorded: boolean;
}

/** What there is to send by at this moment. */
export interface DeliveryOutlook {
  /** Whether a gateway serves the home. */
  readonly gateway: boolean;
  /** Whether it takes rows of `deliveries.db`. */
  readonly rows: boolean;
  /** Whether our plugin runs in it. */
  readonly outbox: boolean;
  /** Whether a process of Hermes can be started for it: `busy` for not at this moment, `none` where no Hermes was found. */
  readonly worker: "ready" | "busy" | "none";
}

export type DeliveryAction =
  /** What people are told of a failure is to be made of its error: by Hermes, or by ourselves where there is none. */
  | { readonly kind: "compose"; readonly byHermes: boolean }
  | { readonly kind: "hand"; readonly way: DeliveryWay }
  /** `why` is null where it is only a matter of moments. */
  | { readonly kind: "wait"; readonly why: string | null }
  /** `elsewhere`: the next try is to go another way, if there is one. */
  | { readonly kind: "withdraw"; readonly elsewhere: boolean }
  | { readonly kind: "end"; readonly event: "deliver" | "suppress" | "fail" | "lose"; readonly error: string | null }
  | { readonly kind: "retry"; readonly atMs: number; readonly error: string };

/** What can be seen of a delivery at whoever has it. */
export type SeenDelivery =
  /** It lies there and nobody has begun. */
  | { readonly kind: "untaken" }
  /** It is being sent, by somebody who is alive or not. */
  | { readonly kind: "taken"; readonly alive: boolean }
  | { readonly kind: "ended"; readonly event: "deliver" | "suppress" | "fail" | "lose"; readonly error: string | null }
  /** Whoever was to send it could not even begin. */
  | { readonly kind: "unsent"; readonly error: string }
  /** It never came there: a crash came before. */
  | { readonly kind: "absent" }
  /** It was there, and so was what would tell of it. */
  | { readonly kind: "gone" }
  /** Somebody else is writing there. */
  | { readonly kind: "unreadable" };

/** A result that nobody could be given for so long is too old to be sent. */
export const deliveryLifeMs = 86_400_000;
/** A gateway looks for rows and files within a second, but sends one after another. */
const takenWithinMs = 60_000;
/** Longer than Hermes' own limits for one message to all its targets. */
const sentWithinMs = 900_000;
const retryDelaysMs = [5_000, 30_000, 120_000, 600_000];
/** Longer texts go out in parts, and are no longer known to be unsent as a whole. */
const onePartLengthMax = 1500;

/** What to do with a delivery that nobody has. */
export function planDelivery(delivery: Delivery, outlook: DeliveryOutlook, nowMs: number): DeliveryAction {
  if (nowMs - delivery.queuedAtMs >= deliveryLifeMs) {
    const error = `Nobody could send it within ${deliveryLifeMs / 3_600_000} h${delivery.error === null ? "" : `: ${delivery.error}`}`;
    return { kind: "end", event: "fail", error };
  }
  if (delivery.retryAtMs !== null && nowMs < delivery.retryAtMs) return { kind: "wait", why: delivery.error };
  const ways = waysOf(outlook);
  // What was taken back from one of several ways was not taken there for too long.
  const way = ways.find((one) => one !== delivery.way) ?? ways[0];
  if (delivery.isBare && (outlook.worker === "ready" || (outlook.worker === "none" && way !== undefined)))
    return { kind: "compose", byHermes: outlook.worker === "ready" };
  if (way !== undefined && !delivery.isBare) return { kind: "hand", way };
  if (outlook.worker === "busy") return { kind: "wait", why: null };
  const missing = outlook.gateway ? "the gateway takes no deliveries from us" : "no gateway is running";
  return { kind: "wait", why: `It waits: ${missing}, and no Hermes was found that could send it` };
}

/** The ways that are open, the best first: a gateway has connections that a process of its own cannot have. */
function waysOf(outlook: DeliveryOutlook): readonly DeliveryWay[] {
  return [
    ...(outlook.gateway && outlook.rows ? (["rows"] as const) : []),
    ...(outlook.gateway && outlook.outbox ? (["outbox"] as const) : []),
    ...(outlook.worker === "ready" ? (["stand_alone"] as const) : []),
  ];
}

/** What to do with a delivery that somebody has. */
export function planHanded(
  delivery: Delivery,
  seen: SeenDelivery,
  outlook: DeliveryOutlook,
  nowMs: number,
): DeliveryAction {
  const agoMs = nowMs - (delivery.handedAtMs ?? delivery.queuedAtMs);
  switch (seen.kind) {
    case "untaken": {
      const isOld = nowMs - delivery.queuedAtMs >= deliveryLifeMs;
      const others = waysOf(outlook).filter((way) => way !== delivery.way);
      const isLate = !outlook.gateway || agoMs >= takenWithinMs;
      if (isOld || (isLate && others.length > 0)) return { kind: "withdraw", elsewhere: true };
      return { kind: "wait", why: isLate ? untakenText(outlook) : null };
    }
    case "taken": {
      const died = "Whoever was sending it ended before it could say whether it was sent";
      if (!seen.alive) return { kind: "end", event: "lose", error: died };
      if (agoMs < sentWithinMs) return { kind: "wait", why: null };
      const error = `The gateway has not said within ${sentWithinMs / 60_000} min whether it was sent`;
      return { kind: "end", event: "lose", error };
    }
    case "ended": {
      const delayMs = retryDelaysMs[delivery.attempts - 1];
      if (seen.event !== "fail" || delayMs === undefined || !isSurelyUnsent(delivery, seen.error ?? ""))
        return { kind: "end", event: seen.event, error: seen.error };
      return { kind: "retry", atMs: nowMs + delayMs, error: seen.error ?? "" };
    }
    case "unsent": {
      // It is for us to mend, or for whoever installs Hermes, and nothing was sent meanwhile.
      const delayMs = retryDelaysMs[Math.min(delivery.attempts, retryDelaysMs.length) - 1] ?? 0;
      return { kind: "retry", atMs: nowMs + delayMs, error: seen.error };
    }
    case "absent":
      return { kind: "withdraw", elsewhere: false };
    case "gone":
      return { kind: "end", event: "lose", error: "What would tell whether it was sent is gone" };
    case "unreadable":
      if (agoMs < deliveryLifeMs) return { kind: "wait", why: null };
      return { kind: "end", event: "lose", error: "What would tell whether it was sent cannot be read" };
  }
}

function untakenText({ gateway }: DeliveryOutlook): string {
  return gateway ? "It waits: the gateway has not taken it yet" : "It waits for a gateway: none is running";
}

const noConnection =
  /connect(?:ion)?[ _]?(?:error|timeout|refused)|all connection attempts failed|cannot connect to host|name or service not known|name resolution|nodename nor servname|getaddrinfo|network is unreachable|no route to host/iu;
/** Something did go out, or Hermes itself tries again. */
const partlySent = /chunks?\b.*then failed|queued text for|read ?(?:error|timeout)|attachment/iu;

/** Whether nothing at all of it can have reached the chat, so that a second try cannot double it. */
function isSurelyUnsent({ target, content }: Delivery, error: string): boolean {
  if (target.includes(",") || target === "all") return false;
  if (content.length > onePartLengthMax || content.includes("MEDIA:")) return false;
  return noConnection.test(error) && !partlySent.test(error);
}
