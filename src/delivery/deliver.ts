import {
  type Delivery,
  type DeliveryAction,
  type DeliveryEvent,
  type DeliveryOutlook,
  type DeliveryWay,
  planDelivery,
  planHanded,
  type SeenDelivery,
} from "../core/delivery.ts";
import { failureNotice } from "../core/failure-notice.ts";
import type { HermesDeliveries } from "./hermes-deliveries.ts";
import type { Outbox } from "./outbox.ts";
import type { StandAlone } from "./stand-alone.ts";

/** Where deliveries are written down: the ledger. */
export interface DeliveryBook {
  delivery(runId: string): Delivery | null;
  moveDelivery(
    runId: string,
    event: DeliveryEvent,
    change: {
      readonly way?: DeliveryWay | null;
      readonly handedAtMs?: number;
      readonly retryAtMs?: number;
      readonly error?: string | null;
    },
  ): boolean;
  composeDelivery(runId: string, content: string, incident: string | null): void;
  noteDeliveryWait(runId: string, why: string | null): void;
}

/** Everybody who could send something of one home. */
export interface DeliveryWays {
  readonly rows: HermesDeliveries;
  readonly outbox: Outbox;
  readonly standAlone: StandAlone;
}

/**
 * Takes a delivery as far as it goes now, without waiting for anybody. It is written down before it is given away, and what became
 * of it before what tells of it is cleared away, so a crash between two steps only repeats the later one.
 */
export function stepDelivery(
  book: DeliveryBook,
  ways: DeliveryWays,
  delivery: Delivery,
  outlook: DeliveryOutlook,
  nowMs: number,
  fault: (point: string) => void,
): void {
  const { runId } = delivery;
  const action: DeliveryAction =
    delivery.state === "pending"
      ? planDelivery(delivery, outlook, nowMs)
      : planHanded(delivery, lookAt(ways, delivery, outlook), outlook, nowMs);
  switch (action.kind) {
    case "compose":
      compose(book, ways, delivery, action.byHermes);
      return;
    case "hand": {
      prepare(ways, action.way);
      fault("before-delivery-hand");
      book.moveDelivery(runId, "hand", { way: action.way, handedAtMs: nowMs });
      fault("after-delivery-hand");
      const handed = book.delivery(runId);
      if (handed !== null) put(ways, action.way, handed);
      fault("after-delivery-put");
      return;
    }
    case "wait":
      // Until it has been tried, what the last try said is worth more than nothing.
      if (delivery.error !== action.why) book.noteDeliveryWait(runId, action.why);
      return;
    case "withdraw":
      if (delivery.way !== null && !takeBack(ways, delivery.way, delivery)) return;
      fault("after-delivery-withdraw");
      book.moveDelivery(runId, "withdraw", { way: action.elsewhere ? delivery.way : null, error: delivery.error });
      return;
    case "retry":
      book.moveDelivery(runId, "retry", { way: null, retryAtMs: action.atMs, error: action.error });
      fault("after-delivery-retry");
      clear(ways, delivery);
      return;
    case "end":
      book.moveDelivery(runId, action.event, { error: action.error });
      fault("after-delivery-end");
      clear(ways, delivery);
      return;
  }
}

/** Hermes has its own words, and may have told people of the very same failure not long ago. */
function compose(book: DeliveryBook, ways: DeliveryWays, delivery: Delivery, byHermes: boolean): void {
  const notice = byHermes ? ways.standAlone.compose(delivery) : "failed";
  if (notice === null) return;
  if (notice === "failed") book.composeDelivery(delivery.runId, ownNotice(delivery), null);
  else if (notice.text === null)
    book.moveDelivery(delivery.runId, "suppress", { error: "People were told of the same failure not long ago" });
  else book.composeDelivery(delivery.runId, notice.text, notice.incident);
}

function ownNotice({ record, content, jobId }: Delivery): string {
  let name = jobId;
  try {
    const job: unknown = JSON.parse(record);
    if (typeof job === "object" && job !== null && "name" in job && typeof job.name === "string") name = job.name;
  } catch {
    // Python writes JSON that is none, such as NaN; the job's id names it as well.
  }
  return failureNotice(name, content);
}

function lookAt(ways: DeliveryWays, delivery: Delivery, outlook: DeliveryOutlook): SeenDelivery {
  switch (delivery.way) {
    case "rows":
      return ways.rows.look(delivery);
    case "outbox":
      return ways.outbox.look(delivery, outlook.gateway);
    case "stand_alone":
      return ways.standAlone.look(delivery);
    case null:
      return { kind: "gone" };
  }
}

function prepare(ways: DeliveryWays, way: DeliveryWay): void {
  if (way === "rows") ways.rows.make();
  if (way === "outbox") ways.outbox.prepare();
}

function put(ways: DeliveryWays, way: DeliveryWay, delivery: Delivery): void {
  switch (way) {
    case "rows":
      ways.rows.put(delivery);
      return;
    case "outbox":
      ways.outbox.put(delivery);
      return;
    case "stand_alone":
      ways.standAlone.put(delivery);
      return;
  }
}

/** False when it is not to be had any more, or not now. */
function takeBack(ways: DeliveryWays, way: DeliveryWay, delivery: Delivery): boolean {
  const seen = way === "rows" ? ways.rows.look(delivery) : way === "outbox" ? ways.outbox.look(delivery, true) : null;
  if (seen === null || seen.kind === "absent") return true;
  return way === "rows" ? ways.rows.withdraw(delivery) : ways.outbox.withdraw(delivery);
}

function clear(ways: DeliveryWays, delivery: Delivery): void {
  if (delivery.way === "outbox") ways.outbox.clear(delivery);
  ways.standAlone.clear(delivery);
}
