import { formatInstant } from "../../src/core/instant.ts";
import { createZone } from "../../src/core/zone.ts";
import { createRunLedger, type RunLedger } from "../../src/ledger/run-ledger.ts";
import type { Logger } from "../../src/system/logger.ts";
import { createFakeClock, type FakeClock } from "../helpers/fake-clock.ts";
import { createFakeFiles, type FakeFiles } from "../helpers/fake-files.ts";
import type { LockTable } from "../helpers/fake-lock.ts";
import { createFakeHost, type FakeHost, type FakeProcess, type FakeRun } from "../helpers/fake-processes.ts";
import { createDraw } from "../helpers/fake-random.ts";
import { createLife, type Life } from "../helpers/fake-system.ts";
import { type DaemonLife, startDaemon } from "./daemon-life.ts";
import { checkEnd, checkGate, checkSignal, checkStart } from "./laws.ts";
import type { PlannedEvent, Scenario } from "./scenario.ts";
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
  readonly story: Story;
  report(law: string, text: string): void;
}

export interface SimulationOptions {
  /** Kills the daemon at this operation, counted from the start, instead of by events. */
  readonly killAt?: number;
  /** Keeps what happened, in words. */
  readonly trace?: boolean;
}

export interface Simulated {
  readonly findings: readonly Finding[];
  /** How many operations the daemon came to. */
  readonly operations: number;
  readonly history: readonly string[];
  readonly runs: number;
}

const findingsMax = 5;

/** Lives through `scenario` with the real daemon and answers what was wrong. The same scenario always goes the same way. */
export async function simulate(scenario: Scenario, options: SimulationOptions = {}): Promise<Simulated> {
  const draw = createDraw(scenario.seed);
  const clock = createFakeClock(scenario.startMs);
  const files = createFakeFiles(clock.nowMs);
  const locks: LockTable = new Map();
  const findings: Finding[] = [];
  const history: string[] = [];
  const zone = createZone(scenario.zone, 0);
  const turns = new Map<string, number>();

  const host = createFakeHost({
    clock,
    files,
    locks,
    draw,
    pids: 80,
    reaping: scenario.reaping,
    hasControlGroups: scenario.hasControlGroups,
    watch: {
      gateOpened: (run) => checkGate(world, run),
      programStarted(run: FakeRun) {
        tell(`run ${run.id} of ${run.order?.jobId} starts its program`);
        checkStart(world, run);
      },
      signalled(process: FakeProcess, signal, by) {
        tell(`process ${process.pid} (${process.name}) gets ${signal}`);
        checkSignal(world, process, signal, by);
      },
    },
    programOf(home, jobId) {
      const job = scenario.homes.find((one) => pathOf(one.name) === home)?.jobs.find((one) => one.id === jobId);
      const turn = turns.get(`${home}/${jobId}`) ?? 0;
      turns.set(`${home}/${jobId}`, turn + 1);
      const program = job?.programs[turn % job.programs.length];
      if (program === undefined) throw new Error(`Cannot run job "${jobId}": the scenario has no program for it`);
      return program;
    },
  });
  // SQLite keeps it in memory, so there is no file to be found or made.
  const ledger = createRunLedger({ files: { ...files, stat: () => files.stat("/tmp") } }, ":memory:");
  const world: World = {
    scenario,
    clock,
    files,
    locks,
    host,
    ledger,
    story: createStory(scenario, zone),
    report(law, text) {
      if (findings.length < findingsMax) findings.push({ law, text });
      tell(`${law} IS BROKEN: ${text}`);
    },
  };

  let operations = 0;
  let daemon: DaemonLife | null = null;
  let current: Life | null = null;
  /** The kill that waits for its operation. */
  let kill: { left: number; readonly torn: boolean; readonly downMs: number } | null = null;
  let restartMs: number | null = null;

  function tell(text: string): void {
    if (options.trace !== true) return;
    history.push(`${formatInstant(Math.floor(clock.nowMs()) + 0.001, zone).slice(11, 23)} ${text}`);
  }

  function interrupt(life: Life, operation: string, path?: string, bytes?: Uint8Array): void {
    operations++;
    if (options.trace === true) tell(`  ${operations} ${operation}`);
    if (options.killAt === operations) killNow(life, { torn: false, downMs: 3000 }, path, bytes);
    if (kill !== null && kill.left-- === 0) {
      const { torn, downMs } = kill;
      kill = null;
      killNow(life, { torn, downMs }, path, bytes);
    }
  }

  function killNow(
    life: Life,
    how: { readonly torn: boolean; readonly downMs: number },
    path?: string,
    bytes?: Uint8Array,
  ): void {
    tell(`the daemon is killed${how.torn ? ", and its write is torn" : ""}; the next starts in ${how.downMs} ms`);
    if (how.torn && path !== undefined && bytes !== undefined) {
      const known = files.stat(path) === null ? Buffer.alloc(0) : Buffer.from(files.read(path));
      files.plant(path, Buffer.concat([known, bytes.subarray(0, Math.floor(bytes.length * draw.number()))]));
    }
    life.end();
    down(how.downMs);
  }

  function down(downMs: number): void {
    daemon = null;
    current = null;
    restartMs = clock.monotonicMs() + downMs;
    clock.after(downMs, start);
  }

  const log: Logger = {
    debug: () => undefined,
    info: (message, fields) => tell(`says: ${message} ${JSON.stringify(fields ?? {})}`),
    warn: (message, fields) => tell(`warns: ${message} ${JSON.stringify(fields ?? {})}`),
    error: (message, fields) => tell(`fails: ${message} ${JSON.stringify(fields ?? {})}`),
  };

  function start(): void {
    if (current !== null || restartMs === null || clock.monotonicMs() < restartMs) return;
    restartMs = null;
    tell("a daemon starts");
    const life = createLife({ clock, files, locks, host, draw, log, interrupt, threw });
    current = life;
    life.step(() => {
      daemon = startDaemon(life, ledger, rootHome, stateFolder);
      if (daemon === null) world.report("start", "the state folder is locked though no daemon lives");
    });
  }

  function threw(life: Life, error: unknown): void {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    world.report("daemon", `it ended itself: ${text}`);
    if (!life.isAlive()) return;
    life.end();
    down(1000);
  }

  function happen(event: PlannedEvent): void {
    switch (event.kind) {
      case "kill":
        if (current === null) return;
        tell(`a kill is set for ${event.operations} operations on`);
        kill = { left: event.operations, torn: event.torn, downMs: event.downMs };
        return;
      case "sigterm": {
        const handing = daemon;
        if (handing === null || current === null) return;
        tell("the daemon gets SIGTERM");
        handing.life.step(() => handing.handOver());
        clock.after(20 * draw.number(), () => {
          if (!handing.life.isAlive()) return;
          handing.life.end();
          down(event.downMs);
        });
        return;
      }
      case "reboot":
        tell("the machine starts again");
        host.reboot();
        kill = null;
        down(event.downMs);
        return;
    }
  }

  world.story.prepare(world);
  restartMs = clock.monotonicMs();
  start();
  for (const event of scenario.events) clock.after(event.atMs, () => happen(event));
  const endMs = clock.monotonicMs() + scenario.lengthMs + scenario.quietMs;
  // A kill that waits for its operation when the quiet time begins would end it.
  clock.after(scenario.lengthMs, () => {
    kill = null;
  });

  const rejected = (reason: unknown): void => {
    if (current !== null && !(reason instanceof Object && "operation" in reason)) threw(current, reason);
  };
  const others = process.listeners("unhandledRejection");
  process.removeAllListeners("unhandledRejection");
  process.on("unhandledRejection", rejected);
  try {
    for (let steps = 1; ; steps++) {
      const nextMs = clock.nextMs();
      if (nextMs === null || nextMs > endMs) break;
      clock.fireNext();
      for (let turn = 0; turn < 12; turn++) await null;
      if (steps % 64 === 0) await new Promise(setImmediate);
      if (steps > 2_000_000) throw new Error("Cannot end the simulation: time stands still");
    }
    await new Promise(setImmediate);
    if (daemon === null) world.report("start", "no daemon lives at the end");
    else checkEnd(world, daemon);
  } finally {
    process.removeListener("unhandledRejection", rejected);
    for (const listener of others) process.on("unhandledRejection", listener);
    ledger.dispose();
  }
  return { findings, operations, history, runs: host.runs.size };
}

export function pathOf(home: string): string {
  return home === "default" ? rootHome : `${rootHome}/profiles/${home}`;
}
