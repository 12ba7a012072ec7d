import { expect, test } from "vitest";
import {
  type Bound,
  boundsOf,
  type Counted,
  createRoom,
  type GroupLimits,
  noGroupLimits,
} from "../../src/core/room.ts";
import { type ShareInput, shareRoom, type Waiter } from "../../src/core/share-room.ts";
import { createSeededRandom } from "../helpers/seeded-random.ts";

const nowMs = 1_000_000;

/** `a1`: home a, job 1; due one second after the one written before it. `p` makes it a prompt, `#x` gives it a tag. */
function waiters(text: string, fields: Partial<Waiter> = {}): readonly Waiter[] {
  return text.split(" ").map((word, place) => ({
    ...counted(word),
    jobId: word,
    dueAtMs: nowMs - 5000 + place * 10,
    sinceMs: nowMs - 5000 + place * 10,
    newestAtMs: fields.dueAtMs ?? nowMs - 5000 + place * 10,
    ...fields,
  }));
}

function counted(word: string): Counted {
  const [name = "", ...tags] = word.split("#");
  return { home: name.charAt(0), kind: name.endsWith("p") ? "prompt" : "script", tags };
}

interface Limits {
  readonly host?: number;
  readonly hostGroups?: Partial<GroupLimits>;
  readonly homes?: Readonly<Record<string, number>>;
  readonly homeGroups?: Readonly<Record<string, Partial<GroupLimits>>>;
}

function roomOf({ host = 99, hostGroups = {}, homes = {}, homeGroups = {} }: Limits, open = "") {
  const names = new Set([...Object.keys(homes), ...Object.keys(homeGroups)]);
  const bounds = [...names].map((name): [string, readonly Bound[]] => [
    name,
    boundsOf(name, homes[name] ?? Number.POSITIVE_INFINITY, { ...noGroupLimits, ...homeGroups[name] }),
  ]);
  const runs = open === "" ? [] : open.split(" ").map(counted);
  return createRoom(boundsOf(null, host, { ...noGroupLimits, ...hostGroups }), new Map(bounds), runs);
}

function shared(input: Partial<ShareInput> & Pick<ShareInput, "waiters" | "room">) {
  const none = new Map<string, number>();
  return shareRoom({
    nowMs,
    order: "fair",
    waitMaxMs: 600_000,
    turns: none,
    agedTurns: none,
    shortages: [],
    ...input,
  });
}

/** `a1 b1 | a2: full host runs`: who starts in which order, then what each of the others waits for. */
function told(input: Parameters<typeof shared>[0]): string {
  const { granted, waiting } = shared(input);
  const waits = [...waiting].map(([{ jobId }, { kind, bound }]) =>
    bound === null ? `${jobId}: ${kind}` : `${jobId}: ${kind} ${bound.home ?? "host"} ${bound.of} ${bound.name}`.trim(),
  );
  return [granted.map(({ jobId }) => jobId).join(" "), ...waits].join(" | ");
}

const aged = { sinceMs: nowMs - 600_000 };
const cases: readonly [fact: string, input: Parameters<typeof shared>[0], told: string][] = [
  ["starts all where there is room", { waiters: waiters("a1 b1 a2"), room: roomOf({}) }, "a1 b1 a2"],
  [
    "gives each home its turn, and the oldest of each home first",
    { waiters: waiters("a1 a2 a3 a4 b1 b2 c1"), room: roomOf({ host: 4 }) },
    "a1 b1 c1 a2 | b2: full host runs | a3: full host runs | a4: full host runs",
  ],
  [
    "counts what a home's open runs hold as turns that it has had",
    { waiters: waiters("a1 a2 b1 b2 b3"), room: roomOf({ host: 5 }, "a a") },
    "b1 b2 a1 | b3: full host runs | a2: full host runs",
  ],
  [
    "goes on after the home that had the last turn",
    {
      waiters: waiters("a1 b1 c1"),
      room: roomOf({ host: 1 }),
      turns: new Map([
        ["a", 3],
        ["b", 1],
        ["c", 2],
      ]),
    },
    "b1 | c1: full host runs | a1: full host runs",
  ],
  [
    "starts whoever is due longest where that is asked for",
    { waiters: waiters("a1 a2 a3 b1"), room: roomOf({ host: 3 }), order: "oldest_first" },
    "a1 a2 a3 | b1: full host runs",
  ],
  [
    "leaves no room unused that another home or group could use",
    {
      waiters: waiters("a1 a2 a3p b1p b2"),
      room: roomOf({ host: 9, homes: { a: 1 }, hostGroups: { classes: { prompt: 1 } } }),
    },
    "a1 b1p b2 | a2: full a runs | a3p: full host class prompt",
  ],
  [
    "names the narrowest bound that is full",
    {
      waiters: waiters("a1#db"),
      room: roomOf({ host: 1, homeGroups: { a: { tags: { db: 1 }, classes: { script: 1 } } } }, "a#db"),
    },
    " | a1#db: full a tag db",
  ],
  [
    "counts a home's own groups for that home alone",
    { waiters: waiters("a1#db b1#db b2#db"), room: roomOf({ homeGroups: { a: { tags: { db: 1 } } } }, "a#db") },
    "b1#db b2#db | a1#db: full a tag db",
  ],
  [
    "holds back what is late while the machine is pressed, and not for longer than a wait may be",
    {
      waiters: [
        ...waiters("a1", { dueAtMs: nowMs - 20_000 }),
        ...waiters("a2", { dueAtMs: nowMs - 10_000 }),
        ...waiters("b1", { dueAtMs: nowMs - 9_000_000, ...aged }),
      ],
      room: roomOf({}),
      shortages: [{ of: "cpu", percent: 31.5, max: 20 }],
    },
    "a2 b1 | a1: pressure",
  ],
  [
    "keeps the next place of a tag for a job that waited too long for two",
    {
      waiters: [...waiters("b1#x#y", aged), ...waiters("a1#x c1#y")],
      room: roomOf({ hostGroups: { tags: { x: 1, y: 1 } } }, "c#y"),
    },
    " | b1#x#y: full host tag y | a1#x: kept host tag x | c1#y: full host tag y",
  ],
  [
    "keeps nothing beyond the first group that is full",
    {
      waiters: [...waiters("b1#x#y", aged), ...waiters("a1#x c1#y")],
      room: roomOf({ hostGroups: { tags: { x: 1, y: 1 } } }, "c#x"),
    },
    "c1#y | b1#x#y: full host tag x | a1#x: full host tag x",
  ],
  [
    "lets homes take turns among what waited too long, too",
    {
      waiters: [...waiters("a1#x a2#x", { ...aged, dueAtMs: 0 }), ...waiters("b1#x", aged)],
      room: roomOf({ hostGroups: { tags: { x: 1 } } }),
      agedTurns: new Map([["a", 1]]),
    },
    "b1#x | a1#x: kept host tag x | a2#x: kept host tag x",
  ],
];

for (const [fact, input, expected] of cases) {
  test(`shareRoom() ${fact}`, () => expect(told(input)).toBe(expected));
}

const waitMax = 20;
const runMax = 4;

/** A host whose runs end after a time of their own, seen at each whole moment. */
function* moments(seed: number): Generator<{ input: ShareInput; share: ReturnType<typeof shareRoom> }> {
  const random = createSeededRandom(seed);
  const upTo = (max: number): number => Math.floor(random() * max) + 1;
  const homes = Array.from({ length: upTo(8) }, (_, place) => String.fromCharCode(97 + place));
  const groups = (): Partial<GroupLimits> => ({
    tags: random() < 0.7 ? { x: upTo(2), y: upTo(2) } : {},
    classes: random() < 0.5 ? { prompt: upTo(3) } : {},
  });
  const limits: Limits = {
    host: upTo(10),
    hostGroups: groups(),
    homes: Object.fromEntries(homes.map((home) => [home, upTo(6)])),
    homeGroups: Object.fromEntries(homes.map((home) => [home, random() < 0.2 ? groups() : {}])),
  };
  let queue: Waiter[] = [];
  let running: (Waiter & { endsAtMs: number })[] = [];
  const turns = new Map<string, number>();
  const agedTurns = new Map<string, number>();
  let turn = 0;
  // The first home floods all the time; the others come now and then.
  for (let at = 0; at < 400; at++) {
    running = running.filter(({ endsAtMs }) => endsAtMs > at);
    const arrivals = homes.flatMap((home, place) =>
      Array.from({ length: place === 0 ? 4 : random() < 0.05 / homes.length ? 2 : 0 }, (_, index): Waiter => {
        const tags = ["x", "y"].filter(() => random() < 0.3);
        const kind = random() < 0.3 ? "prompt" : "script";
        return { home, kind, tags, jobId: `${home}${at}.${index}`, dueAtMs: at, newestAtMs: at, sinceMs: at };
      }),
    );
    // A bounded flood: the first home's jobs are skipped while so many wait.
    queue = [...queue, ...arrivals.filter(({ home }) => home !== "a" || queue.length < 60)];
    const room = roomOf(limits);
    const full = { ...room, ...createRoomOf(limits, running) };
    const input: ShareInput = {
      nowMs: at,
      waiters: queue,
      room: full,
      order: "fair",
      waitMaxMs: waitMax,
      turns,
      agedTurns,
      shortages: [],
    };
    const share = shareRoom(input);
    yield { input, share };
    for (const waiter of share.granted) {
      turns.set(waiter.home, ++turn);
      if (at - waiter.sinceMs >= waitMax) agedTurns.set(waiter.home, turn);
      running.push({ ...waiter, endsAtMs: at + upTo(runMax) });
    }
    queue = queue.filter((waiter) => !share.granted.includes(waiter));
  }
}

function createRoomOf(limits: Limits, running: readonly Counted[]) {
  const open = running.map(({ home, kind, tags }) => [`${home}${kind === "prompt" ? "p" : ""}`, ...tags].join("#"));
  return roomOf(limits, open.join(" "));
}

/** Until it is helped, then for its turn among eight homes with a run of each. */
const longestWait = waitMax + 8 * runMax;

test("shareRoom() exceeds no bound, leaves no room unused and lets nobody wait for ever", () => {
  const faults: string[] = [];
  for (let seed = 1; seed <= 40; seed++) {
    for (const { input, share } of moments(seed)) {
      const used = new Map(input.room.used);
      for (const waiter of share.granted)
        for (const bound of input.room.boundsOf(waiter)) used.set(bound, (used.get(bound) ?? 0) + 1);
      const isFull = (bound: Bound): boolean => (used.get(bound) ?? 0) >= bound.runsMax;
      for (const [bound, count] of used)
        if (count > bound.runsMax)
          faults.push(`seed ${seed}: ${count} of ${bound.runsMax} in ${bound.of} ${bound.name}`);
      if (share.granted.length + share.waiting.size !== input.waiters.length) faults.push(`seed ${seed}: one is lost`);
      for (const [waiter, { kind }] of share.waiting) {
        const mayStart = !input.room.boundsOf(waiter).some(isFull);
        if (mayStart && kind !== "kept") faults.push(`seed ${seed}: ${waiter.jobId} waits beside an empty place`);
        const waited = input.nowMs - waiter.sinceMs;
        // The other homes have little to do, and a run takes four moments at most.
        if (waiter.home !== "a" && waited > longestWait)
          faults.push(`seed ${seed}: ${waiter.jobId} has waited ${waited}`);
      }
    }
  }
  expect([...new Set(faults)].slice(0, 10)).toEqual([]);
});
