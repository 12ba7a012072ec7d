import { expect, test } from "vitest";
import {
  type Delivery,
  type DeliveryAction,
  type DeliveryEvent,
  type DeliveryOutlook,
  type DeliveryState,
  deliveryStates,
  nextDeliveryState,
  planDelivery,
  planHanded,
  type SeenDelivery,
} from "../../src/core/delivery.ts";

const events: readonly DeliveryEvent[] = ["hand", "withdraw", "retry", "deliver", "suppress", "fail", "lose"];
const rows = Object.entries(deliveryStates) as [DeliveryState, (typeof deliveryStates)[DeliveryState]][];

test("nextDeliveryState() makes each move of the table and throws at every other", () => {
  for (const [state, moves] of rows) {
    for (const event of events) {
      const next = moves[event];
      if (next !== undefined) expect(nextDeliveryState("r1", state, event)).toBe(next);
      else {
        expect(() => nextDeliveryState("r1", state, event)).toThrow(
          `Cannot ${event} the delivery of run "r1": it is ${state}, legal then are [${Object.keys(moves).join(", ")}]`,
        );
      }
    }
  }
});

test("what is over never moves again, and only what waits is given to anybody", () => {
  for (const [state, moves] of rows) {
    if (["delivered", "failed", "unknown", "suppressed"].includes(state))
      expect([...new Set(Object.values(moves))]).toEqual([state]);
  }
  expect(rows.filter(([, moves]) => moves.hand !== undefined).map(([state]) => state)).toEqual(["pending"]);
});

const nowMs = Date.UTC(2026, 0, 5);
const delivery: Delivery = {
  runId: "r1",
  home: "default",
  jobId: "aaaaaaaaaaaa",
  target: "telegram:1",
  record: "{}",
  content: "Done",
  isBare: false,
  forFailure: false,
  incident: null,
  state: "pending",
  way: null,
  attempts: 0,
  queuedAtMs: nowMs,
  handedAtMs: null,
  retryAtMs: null,
  error: null,
  recorded: false,
};
const nobody: DeliveryOutlook = { gateway: false, rows: false, outbox: false, worker: "none" };
const alone: DeliveryOutlook = { ...nobody, worker: "ready" };
const gateway: DeliveryOutlook = { gateway: true, rows: true, outbox: true, worker: "ready" };

const pendingTable: readonly [string, Partial<Delivery>, DeliveryOutlook, number, DeliveryAction][] = [
  ["a gateway that takes rows gets one", {}, gateway, 0, { kind: "hand", way: "rows" }],
  ["a gateway with our plugin gets a file", {}, { ...gateway, rows: false }, 0, { kind: "hand", way: "outbox" }],
  ["without a gateway a process sends", {}, alone, 0, { kind: "hand", way: "stand_alone" }],
  ["rows are for a gateway that runs", {}, { ...gateway, gateway: false }, 0, { kind: "hand", way: "stand_alone" }],
  [
    "a gateway that takes nothing from us leaves the process",
    {},
    { ...alone, gateway: true },
    0,
    { kind: "hand", way: "stand_alone" },
  ],
  ["a busy process is waited for", {}, { ...nobody, worker: "busy" }, 0, { kind: "wait", why: null }],
  [
    "without anybody it waits, and says so",
    {},
    nobody,
    0,
    { kind: "wait", why: "It waits: no gateway is running, and no Hermes was found that could send it" },
  ],
  [
    "a gateway that takes nothing, and nobody else",
    {},
    { ...nobody, gateway: true },
    0,
    {
      kind: "wait",
      why: "It waits: the gateway takes no deliveries from us, and no Hermes was found that could send it",
    },
  ],
  ["a failure is put into words by Hermes", { isBare: true }, gateway, 0, { kind: "compose", byHermes: true }],
  ["words wait for Hermes", { isBare: true }, { ...gateway, worker: "busy" }, 0, { kind: "wait", why: null }],
  [
    "where there is no Hermes they are ours",
    { isBare: true },
    { ...gateway, worker: "none" },
    0,
    { kind: "compose", byHermes: false },
  ],
  [
    "a failure that nobody can be told of needs no words",
    { isBare: true },
    nobody,
    0,
    { kind: "wait", why: "It waits: no gateway is running, and no Hermes was found that could send it" },
  ],
  ["what was taken back goes another way", { way: "rows" }, gateway, 0, { kind: "hand", way: "outbox" }],
  [
    "what was taken back goes the only way there is",
    { way: "stand_alone" },
    alone,
    0,
    { kind: "hand", way: "stand_alone" },
  ],
  [
    "a retry waits for its time",
    { retryAtMs: nowMs + 5000, error: "no route to host" },
    gateway,
    4999,
    { kind: "wait", why: "no route to host" },
  ],
  ["a retry comes at its time", { retryAtMs: nowMs + 5000 }, gateway, 5000, { kind: "hand", way: "rows" }],
  [
    "a day is enough",
    { error: "It waits" },
    gateway,
    86_400_000,
    { kind: "end", event: "fail", error: "Nobody could send it within 24 h: It waits" },
  ],
];

test("planDelivery() finds the way of what nobody has", () => {
  for (const [name, changes, outlook, afterMs, expected] of pendingTable) {
    expect([name, planDelivery({ ...delivery, ...changes }, outlook, nowMs + afterMs)]).toEqual([name, expected]);
  }
});

const connect = "delivery error: Telegram send failed: httpx.ConnectError: All connection attempts failed";
const sending: Delivery = { ...delivery, state: "sending", way: "rows", attempts: 1, handedAtMs: nowMs };
const failed = (error: string): SeenDelivery => ({ kind: "ended", event: "fail", error });
const fails = (error: string): DeliveryAction => ({ kind: "end", event: "fail", error });
const notTaken = "It waits: the gateway has not taken it yet";

const handedTable: readonly [string, Partial<Delivery>, SeenDelivery, DeliveryOutlook, number, DeliveryAction][] = [
  ["a gateway is given a minute", {}, { kind: "untaken" }, gateway, 59_999, { kind: "wait", why: null }],
  [
    "after a minute another way is tried",
    {},
    { kind: "untaken" },
    gateway,
    60_000,
    { kind: "withdraw", elsewhere: true },
  ],
  [
    "where there is no other, it stays",
    {},
    { kind: "untaken" },
    { ...gateway, outbox: false, worker: "none" },
    60_000,
    { kind: "wait", why: notTaken },
  ],
  ["a gateway that is gone takes nothing", {}, { kind: "untaken" }, alone, 0, { kind: "withdraw", elsewhere: true }],
  [
    "it is left for the next gateway where nobody else can send",
    {},
    { kind: "untaken" },
    nobody,
    0,
    { kind: "wait", why: "It waits for a gateway: none is running" },
  ],
  ["it gets too old", {}, { kind: "untaken" }, nobody, 86_400_000, { kind: "withdraw", elsewhere: true }],
  ["it is being sent", {}, { kind: "taken", alive: true }, gateway, 60_000, { kind: "wait", why: null }],
  [
    "whoever sent it died",
    {},
    { kind: "taken", alive: false },
    gateway,
    0,
    {
      kind: "end",
      event: "lose",
      error: "Whoever was sending it ended before it could say whether it was sent",
    },
  ],
  [
    "whoever sends it never ends",
    {},
    { kind: "taken", alive: true },
    gateway,
    900_000,
    { kind: "end", event: "lose", error: "The gateway has not said within 15 min whether it was sent" },
  ],
  [
    "it was sent",
    {},
    { kind: "ended", event: "deliver", error: null },
    gateway,
    0,
    { kind: "end", event: "deliver", error: null },
  ],
  [
    "Hermes kept it back",
    {},
    { kind: "ended", event: "suppress", error: null },
    gateway,
    0,
    { kind: "end", event: "suppress", error: null },
  ],
  [
    "Hermes does not know either",
    {},
    { kind: "ended", event: "lose", error: connect },
    gateway,
    0,
    { kind: "end", event: "lose", error: connect },
  ],
  ["a target that does not exist", {}, failed("unknown platform 'foo'"), gateway, 0, fails("unknown platform 'foo'")],
  ["nothing was connected", {}, failed(connect), gateway, 0, { kind: "retry", atMs: nowMs + 5000, error: connect }],
  [
    "the waits grow",
    { attempts: 4 },
    failed(connect),
    gateway,
    0,
    { kind: "retry", atMs: nowMs + 600_000, error: connect },
  ],
  ["the tries are bounded", { attempts: 5 }, failed(connect), gateway, 0, fails(connect)],
  [
    "one of several targets may have got it",
    { target: "telegram:1,slack:2" },
    failed(connect),
    gateway,
    0,
    fails(connect),
  ],
  ["any of all targets may have got it", { target: "all" }, failed(connect), gateway, 0, fails(connect)],
  ["a part of a long text may have gone", { content: "x".repeat(1501) }, failed(connect), gateway, 0, fails(connect)],
  ["a file of it may have gone", { content: "MEDIA:/a.png" }, failed(connect), gateway, 0, fails(connect)],
  [
    "the answer to a send did not come",
    {},
    failed("delivery error: httpx.ReadTimeout after connection error"),
    gateway,
    0,
    fails("delivery error: httpx.ReadTimeout after connection error"),
  ],
  [
    "Hermes tries again by itself",
    {},
    failed("connection refused; queued text for signal:1 for redelivery once the live adapter reconnects"),
    gateway,
    0,
    fails("connection refused; queued text for signal:1 for redelivery once the live adapter reconnects"),
  ],
  [
    "nobody could even begin, however often",
    { attempts: 9 },
    { kind: "unsent", error: "Python is gone" },
    alone,
    0,
    { kind: "retry", atMs: nowMs + 600_000, error: "Python is gone" },
  ],
  ["a crash came before it was written", {}, { kind: "absent" }, gateway, 0, { kind: "withdraw", elsewhere: false }],
  [
    "somebody took everything away",
    {},
    { kind: "gone" },
    gateway,
    0,
    { kind: "end", event: "lose", error: "What would tell whether it was sent is gone" },
  ],
  ["somebody else writes there now", {}, { kind: "unreadable" }, gateway, 0, { kind: "wait", why: null }],
  [
    "it was never readable again",
    {},
    { kind: "unreadable" },
    gateway,
    86_400_000,
    { kind: "end", event: "lose", error: "What would tell whether it was sent cannot be read" },
  ],
];

test("planHanded() says what follows from what is seen of it", () => {
  for (const [name, changes, seen, outlook, afterMs, expected] of handedTable) {
    expect([name, planHanded({ ...sending, ...changes }, seen, outlook, nowMs + afterMs)]).toEqual([name, expected]);
  }
});

test("nothing that may have been sent is ever given to anybody again", () => {
  const maybe: readonly SeenDelivery[] = [
    { kind: "taken", alive: true },
    { kind: "taken", alive: false },
    { kind: "gone" },
    { kind: "unreadable" },
    ...(["deliver", "suppress", "lose"] as const).map((event) => ({ kind: "ended", event, error: connect }) as const),
  ];
  for (const seen of maybe) {
    for (const afterMs of [0, 60_000, 900_000, 86_400_000, 1e10]) {
      const { kind } = planHanded(sending, seen, gateway, nowMs + afterMs);
      expect([seen, ["wait", "end"].includes(kind)]).toEqual([seen, true]);
    }
  }
});
