import { formatInstant } from "../../src/core/instant.ts";
import type { Run } from "../../src/core/run.ts";
import { createZone } from "../../src/core/zone.ts";
import { createRunLedger, type RunLedger } from "../../src/ledger/run-ledger.ts";
import type { LedgerSlot } from "../../src/ledger/slots.ts";
import type { Logger } from "../../src/system/logger.ts";
import { createFakeClock, type FakeClock } from "../helpers/fake-clock.ts";
import { createFakeFiles, type FakeFiles } from "../helpers/fake-files.ts";
import type { LockTable } from "../helpers/fake-lock.ts";
import { createFakeHost, type FakeHost } from "../helpers/fake-processes.ts";
import { createDraw, type Draw } from "../helpers/fake-random.ts";
import { createLife, type Life } from "../helpers/fake-system.ts";
import { type DaemonLife, startDaemon } from "./daemon-life.ts";
import { type Flaw, flawedLedger, flawedSystem } from "./flaws.ts";
import { createHappenings } from "./happenings.ts";
import { createHermesLedgers, type HermesLedgers } from "./hermes-ledgers.ts";
import {
  checkEnd,
  checkFiles,
  checkGate,
  checkPromptness,
  checkSignal,
  checkStart,
  checkStartPromptness,
  noteEnds,
  noteSpared,
} from "./laws.ts";
import type { Scenario } from "./scenario.ts";
import { createStory, type Story } from "./story.ts";

export const stateFolder = "/state";
export const rootHome = "/hermes";

/** A law that was broken. */
export interface Finding {
  readonly law: string;
  readonly text: string;
}

/** All there is of one simulated host. */
export interface World {
  readonly scenario: Scenario;
  readonly clock: FakeClock;
  readonly files: FakeFiles;
  readonly locks: LockTable;
  readonly host: FakeHost;
  readonly ledger: RunLedger;
  /** Hermes' own, of the homes that have one. */
  readonly hermesLedgers: HermesLedgers;
  readonly story: Story;
  /** Jobs that a gateway runs at this moment, by home and id. */
  readonly gateways: Set<string>;
  /** Up to here (wall ms) a daemon has had every chance to look; -Infinity while or soon after it was disturbed. */
  calmUntilMs(): number;
  /** Whether nothing has been in the daemon's way for so long. */
  isCalm(forMs: number): boolean;
  /** Something came in the daemon's way and is over. */
  disturb(): void;
  /** Something is in the daemon's way, until the answer is called. */
  trouble(): () => void;
  /** Where the clock was set back to (wall ms), and when (monotonic ms). */
  readonly setBacks: { readonly toMs: number; readonly atMonotonicMs: number }[];
  /** Runs in the order of their claims: clocks may go back, this does not. */
  readonly claims: string[];
  /** What a run was when it was over: it must never become another. */
  readonly ends: Map<string, string>;
  /** When daemons were started (monotonic ms). */
  readonly starts: number[];
  /** Runs whose daemon died in the moment between writing down why it stops them and the first signal. */
  readonly spared: Set<string>;
  /** When the daemon of this moment was started (monotonic ms); null while there is none. */
  startedAtMs(): number | null;
  tell(text: string): void;
  report(law: string, text: string): void;
}

/** The daemon of this moment, and what can be done to it. */
export interface Supervision {
  current(): DaemonLife | null;
  /** Kills it at its next operation but so many, and starts the next one after a while. */
  kill(how: Kill): void;
  /** Ends it, or what would be it, now. */
  down(downMs: number): void;
}

export interface Kill {
  readonly operations: number;
  readonly torn: boolean;
  readonly downMs: number;
}

export interface SimulationOptions {
  /** Kills the daemon at this operation too, counted from the start. */
  readonly killAt?: number;
  /** Keeps what happened, in words, with every operation of the daemon or without. */
  readonly trace?: "operations" | "happenings";
  /** Does one thing wrong, to see whether the laws notice. */
  readonly flaw?: Flaw;
}

export interface Simulated {
  readonly findings: readonly Finding[];
  /** How many operations the daemon came to before the quiet time. */
  readonly operations: number;
  readonly history: readonly string[];
  readonly runs: number;
  /** The earliest scheduled first. */
  readonly slots: readonly LedgerSlot[];
  /** How many runs were open at once at most, as the ledger tells it. */
  readonly openMax: number;
  /** How often the daemon woke in its busiest second. */
  readonly wakesMax: number;
}

const findingsMax = 5;
/** More than any of our scenes has to do in a second: a loop that waits for nothing does. */
const operationsMax = 1500;
/** A loop that waits for nothing wakes about 700 times in a second of this clock. */
const wakesMax = 150;
/** A daemon that is left alone has seen everything by then. */
const calmMs = 10_000;

/** Lives through `scenario` with the real daemon and answers what was wrong. The same scenario always goes the same way. */
export async function simulate(scenario: Scenario, options: SimulationOptions = {}): Promise<Simulated> {
  const clock = createFakeClock(scenario.startMs);
  const files = createFakeFiles(clock.nowMs);
  const locks: LockTable = new Map();
  const findings: Finding[] = [];
  const history: string[] = [];
  const zone = createZone(scenario.zone, 0);
  const turns = new Map<string, number>();
  // Each kind of chance has its own line, so that leaving out one thing does not change all others.
  const drawOf = (line: number): Draw => createDraw(scenario.seed * 8 + line);
  const [ofHost, ofDaemon, ofTrouble, ofTears, ofHermes] = [drawOf(1), drawOf(2), drawOf(3), drawOf(4), drawOf(5)];
  let disturbedAtMs = clock.monotonicMs();
  let troubles = 0;
  let startedAtMs: number | null = null;

  const host = createFakeHost({
    clock,
    files,
    locks,
    draw: ofHost,
    pids: 160,
    reaping: scenario.reaping,
    hasControlGroups: scenario.hasControlGroups,
    watch: {
      gateOpened: (run) => checkGate(world, run),
      programStarted(run) {
        world.tell(`run ${run.id} of ${run.order?.jobId} starts its program`);
        checkStart(world, run);
      },
      programEnded: (run, end) => world.tell(`run ${run.id} of ${run.order?.jobId} ends with ${JSON.stringify(end)}`),
      runEmptied: (run) => checkPromptness(world, run),
      signalled(process, signal, by) {
        world.tell(`process ${process.pid} (${process.name} of ${process.run?.id}) gets ${signal}`);
        checkSignal(world, process, signal, by);
      },
    },
    programOf(home, jobId) {
      const job = world.story.jobs.find((one) => pathOf(one.home) === home && one.id === jobId)?.planned;
      const turn = turns.get(`${home}/${jobId}`) ?? 0;
      turns.set(`${home}/${jobId}`, turn + 1);
      const program = job?.programs[turn % job.programs.length];
      if (program === undefined) throw new Error(`Cannot run job "${jobId}": the scenario has no program for it`);
      return program;
    },
  });
  const world: World = {
    scenario,
    clock,
    files,
    locks,
    host,
    // SQLite keeps it in memory, so there is no file to be found or made.
    ledger: createRunLedger({ files: { ...files, stat: () => files.stat("/tmp") } }, ":memory:"),
    hermesLedgers: createHermesLedgers(),
    story: createStory(scenario, zone),
    gateways: new Set(),
    calmUntilMs: () => (current !== null && world.isCalm(calmMs) ? clock.nowMs() - calmMs : -Infinity),
    isCalm: (forMs) => troubles === 0 && clock.monotonicMs() - disturbedAtMs > forMs,
    disturb() {
      disturbedAtMs = clock.monotonicMs();
    },
    trouble() {
      troubles++;
      world.disturb();
      return () => {
        troubles--;
        world.disturb();
      };
    },
    setBacks: [],
    claims: [],
    ends: new Map(),
    starts: [],
    spared: new Set(),
    startedAtMs: () => (daemon === null ? null : startedAtMs),
    tell(text) {
      if (options.trace === undefined) return;
      history.push(`${formatInstant(Math.floor(clock.nowMs()) + 0.001, zone).slice(11, 23)} ${text}`);
    },
    report(law, text) {
      if (findings.length === findingsMax) return;
      findings.push({ law, text });
      world.tell(`${law} IS BROKEN: ${text}`);
    },
  };

  let operations = 0;
  let operationsInTime = 0;
  let daemon: DaemonLife | null = null;
  let current: Life | null = null;
  let kill: (Kill & { left: number }) | null = null;
  let restartMs: number | null = null;

  /** The second of fake time that is counted, and what the daemon did in it. */
  let busy = { second: 0, operations: 0, wakes: 0 };
  let wakesSeen = 0;

  function count(what: "operations" | "wakes", max: number): void {
    const second = Math.floor(clock.monotonicMs() / 1000);
    if (busy.second !== second) busy = { second, operations: 0, wakes: 0 };
    busy[what]++;
    wakesSeen = Math.max(wakesSeen, busy.wakes);
    if (busy[what] === max) world.report("rest", `the daemon comes to ${max} ${what} in one second`);
  }

  function interrupt(life: Life, operation: string, path?: string, bytes?: Uint8Array): void {
    operations++;
    count("operations", operationsMax);
    if (options.trace === "operations") world.tell(`  ${operations} ${operation}`);
    if (options.killAt === operations) killNow(life, { operations: 0, torn: false, downMs: 3000 }, operation);
    if (kill !== null && kill.left-- === 0) {
      const how = kill;
      kill = null;
      killNow(life, how, operation, path, bytes);
    }
    if (files.freeBytesLeft <= 0 && life.isAlive()) refuseWrites(operation);
  }

  function killNow(life: Life, how: Kill, operation: string, path?: string, bytes?: Uint8Array): void {
    checkFiles(world);
    const isTorn = how.torn && path !== undefined && bytes !== undefined;
    world.tell(`the daemon is killed before "${operation}"${isTorn ? ", of which a part is done" : ""}`);
    if (isTorn) {
      const known = files.stat(path) === null ? Buffer.alloc(0) : Buffer.from(files.read(path));
      const part = bytes.subarray(0, Math.floor(bytes.length * ofTears.number()));
      files.plant(path, Buffer.concat([known, part]));
    }
    life.end();
    down(how.downMs);
  }

  function refuseWrites(operation: string): void {
    if (ofTrouble.chance(0.2)) return;
    if (/^file: (?:create|append|makeFolder)|^spawn: open/.test(operation)) {
      throw Object.assign(new Error(`ENOSPC: no space left on device, ${operation}`), { code: "ENOSPC" });
    }
    if (operation.startsWith("ledger: commit")) throw new Error("database or disk is full");
  }

  function down(downMs: number): void {
    world.tell(`no daemon for ${Math.round(downMs)} ms`);
    world.disturb();
    current?.end();
    noteSpared(world);
    // What it had not committed is taken back first.
    clock.after(0, () => noteEnds(world));
    daemon = null;
    current = null;
    restartMs = clock.monotonicMs() + downMs;
    clock.after(downMs, start);
  }

  const log: Logger = {
    debug: () => undefined,
    info: (message, fields) => world.tell(`says: ${message} ${JSON.stringify(fields ?? {})}`),
    warn: (message, fields) => world.tell(`warns: ${message} ${JSON.stringify(fields ?? {})}`),
    error: (message, fields) => world.tell(`fails: ${message} ${JSON.stringify(fields ?? {})}`),
  };

  function start(): void {
    if (current !== null || restartMs === null || clock.monotonicMs() < restartMs) return;
    restartMs = null;
    world.tell("a daemon starts");
    world.disturb();
    const woke = (): void => count("wakes", wakesMax);
    const { flaw } = options;
    const sound = createLife({ clock, files, locks, host, draw: ofDaemon, log, interrupt, threw, woke });
    const life = flaw === undefined ? sound : { ...sound, system: flawedSystem(sound.system, host, flaw) };
    const opened: RunLedger = {
      ...world.ledger,
      claim(runs) {
        world.claims.push(...runs.map((run) => run.id));
        world.ledger.claim(runs);
      },
    };
    const ledger = flaw === undefined ? opened : flawedLedger(opened, flaw);
    current = life;
    startedAtMs = clock.monotonicMs();
    world.starts.push(startedAtMs);
    life.step(() => {
      const openExecutions = world.hermesLedgers.openAs(life, ofHermes);
      const started = startDaemon(life, ledger, openExecutions, rootHome, stateFolder);
      // What it was killed in may have kept that to itself.
      if (!life.isAlive()) return;
      daemon = started;
      checkStartPromptness(world);
      if (daemon === null) world.report("start", "the state folder is locked though no daemon lives");
    });
  }

  function threw(life: Life, error: unknown): void {
    // On a full disk a daemon may refuse to start; whoever keeps it tries again. Once it is up it has to stay.
    const mayRefuse = daemon === null && files.freeBytesLeft <= 0;
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    if (!mayRefuse) world.report("daemon", `it ended itself: ${text}`);
    if (life.isAlive()) down(1000);
  }

  const happenings = createHappenings(world, ofTrouble, {
    current: () => daemon,
    kill(how) {
      kill = { ...how, left: how.operations };
    },
    down,
  });
  world.story.prepare(world);
  restartMs = clock.monotonicMs();
  start();
  for (const event of scenario.events) clock.after(event.atMs, () => happenings.happen(event));
  clock.after(scenario.lengthMs, () => {
    kill = null;
    operationsInTime = operations;
    happenings.end();
    if (daemon === null) down(1000);
  });
  const endMs = clock.monotonicMs() + scenario.lengthMs + scenario.quietMs;
  const others = process.listeners("unhandledRejection");
  const rejected = (reason: unknown): void => {
    if (current !== null && !(reason instanceof Object && "operation" in reason)) threw(current, reason);
  };
  process.removeAllListeners("unhandledRejection");
  process.on("unhandledRejection", rejected);
  let slots: readonly LedgerSlot[] = [];
  let recorded: readonly Run[] = [];
  try {
    for (let steps = 1; ; steps++) {
      const nextMs = clock.nextMs();
      if (nextMs === null || nextMs > endMs) break;
      clock.fireNext();
      // As long as promises follow upon each other.
      for (let turn = 0; turn < 40; turn++) await null;
      // Only now does Node tell of promises that nobody caught.
      if (steps % 64 === 0) await new Promise(setImmediate);
      if (steps > 300_000) throw new Error("Cannot end the simulation: time stands still");
    }
    await new Promise(setImmediate);
    slots = world.ledger.slots({ limit: 0 }).toReversed();
    recorded = world.ledger.runs({ limit: 0 });
    if (daemon === null) world.report("start", "no daemon lives at the end");
    else checkEnd(world, daemon);
  } catch (error) {
    // What is already known to be broken can break anything.
    if (findings.length === 0) throw error;
  } finally {
    process.removeListener("unhandledRejection", rejected);
    for (const listener of others) process.on("unhandledRejection", listener);
    world.ledger.dispose();
    world.hermesLedgers.dispose();
  }
  const openMax = Math.max(
    0,
    ...recorded.map((run) => recorded.filter((other) => isOpenAt(other, run.claimedAtMs)).length),
  );
  return { findings, operations: operationsInTime, history, runs: host.runs.size, slots, openMax, wakesMax: wakesSeen };
}

export function pathOf(home: string): string {
  return home === "default" ? rootHome : `${rootHome}/profiles/${home}`;
}

function isOpenAt({ claimedAtMs, endedAtMs }: Run, atMs: number): boolean {
  return claimedAtMs <= atMs && (endedAtMs ?? Number.POSITIVE_INFINITY) > atMs;
}
