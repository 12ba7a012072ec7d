/**
 * Rounds in which a run's PID is given to a stranger, at every moment of its judging and stopping. Started by
 * `takes-pids.py`; prints what became of the strangers as one JSON document. Arguments: folder, number of rounds.
 */
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { type Child, createChildTable } from "../../src/child/child-table.ts";
import { createRunStopper } from "../../src/child/stop-run.ts";
import type { Fingerprint } from "../../src/core/fingerprint.ts";
import type { Run } from "../../src/core/run.ts";
import type { DaemonParts } from "../../src/daemon/daemon-parts.ts";
import { isLauncherAlive, recoverRun } from "../../src/daemon/recover.ts";
import { runFolder } from "../../src/output/run-folder.ts";
import { createLocks } from "../../src/system/flock.ts";
import type { HeldProcess, Processes } from "../../src/system/processes.ts";
import { createRandom } from "../../src/system/random.ts";
import { createClock } from "../../src/system/real-clock.ts";
import { createFiles } from "../../src/system/real-files.ts";
import { createProcesses } from "../../src/system/real-processes.ts";
import type { System } from "../../src/system/system.ts";
import { runVariables } from "../../worker/protocol.ts";
import { askParentTaker, type Impostor } from "./pid-taker.ts";

const kinds = ["gone", "swapped", "gone", "swapped", "gone", "swapped", "gone", "swapped", "own", "survivor"] as const;
type Kind = (typeof kinds)[number];

/** What the parent test compares. */
export interface PidReuseReport {
  readonly rounds: Readonly<Record<Kind, number>>;
  /** Rounds whose stranger was ended by us: there must be none. */
  readonly strangersEnded: readonly string[];
  /** Rounds in which a run was judged to be what it was not. */
  readonly misjudged: readonly string[];
  /** How often the PID changed hands just before a call of this name. */
  readonly swappedBefore: Readonly<Record<string, number>>;
  /** Rounds in which nothing but the process itself differed: PID, start tick, boot and namespace were the run's. */
  readonly sameFingerprint: number;
  /** Rounds done again because somebody else was given the PID. */
  readonly lost: number;
}

const [stateFolder = "", roundsText = "0"] = process.argv.slice(2);
const real = createProcesses({ reap: true });
const counts: Record<Kind, number> = { gone: 0, swapped: 0, own: 0, survivor: 0 };
const strangersEnded: string[] = [];
const misjudged: string[] = [];
const swappedBefore: Record<string, number> = {};
let sameFingerprint = 0;
let lost = 0;

/** Set while a round waits for its moment: called before each look at, hold of and signal to a process. */
let beforeCall: (name: string) => void = () => undefined;

function watched<Answer>(name: string, act: () => Answer): Answer {
  beforeCall(name);
  return act();
}

function watchedHold(held: HeldProcess | null): HeldProcess | null {
  return (
    held && {
      signal: (signal) => watched("signal", () => held.signal(signal)),
      signalGroup: (signal) => watched("signalGroup", () => held.signalGroup(signal)),
      release: () => held.release(),
    }
  );
}

const processes: Processes = {
  ...real,
  fingerprint: (pid) => watched("fingerprint", () => real.fingerprint(pid)),
  list: () => watched("list", () => real.list()),
  pids: () => watched("pids", () => real.pids()),
  look: (pid) => watched("look", () => real.look(pid)),
  startedWith: (pid, name) => watched("startedWith", () => real.startedWith(pid, name)),
  carriesLock: (pid, path) => watched("carriesLock", () => real.carriesLock(pid, path)),
  hold: (pid) => watched("hold", () => watchedHold(real.hold(pid))),
};
const silent = { debug: () => undefined, info: () => undefined, warn: () => undefined };
const system: System = {
  clock: createClock(),
  files: createFiles(),
  locks: createLocks(),
  processes,
  random: createRandom(),
  log: { ...silent, error: (message, fields) => void misjudged.push(`${message} ${JSON.stringify(fields)}`) },
};
// What judging a run reads; the rest of a daemon has no part in it.
const parts = { system, stateFolder, settings: { orphans: "fail" } } as unknown as DaemonParts;
const children = createChildTable();
const stopper = createRunStopper(system, children, stateFolder);

interface Round {
  readonly name: string;
  readonly runId: string;
  readonly odd: boolean;
  readonly graceMs: number;
  /** How the launcher of the run was started, by an earlier daemon. */
  readonly launcher: Impostor;
  readonly stranger: Impostor;
}

function makeRound(number: number): Round {
  const runId = `run${String(number).padStart(9, "0")}`;
  const folder = runFolder(stateFolder, runId);
  mkdirSync(folder.path, { recursive: true });
  writeFileSync(folder.alive, "");
  writeFileSync(folder.started, "");
  const look = {
    argv: ["/bin/sleep", "600"],
    folder: folder.path,
    file: folder.alive,
  };
  const foreign =
    number % 4 < 2 ? {} : { [runVariables.runId]: "run-of-somebody-else", [runVariables.runFolder]: folder.path };
  const { kind, odd } = { kind: kindOf(number), odd: Math.floor(number / 10) % 2 === 1 };
  return {
    name: `${kind} ${number}`,
    runId,
    odd,
    graceMs: number % 7 === 0 ? 20 : 0,
    launcher: { ...look, locks: kind !== "survivor", environment: { [runVariables.runId]: runId } },
    stranger: { ...look, environment: foreign },
  };
}

function kindOf(number: number): Kind {
  return kinds[number % kinds.length] ?? "gone";
}

function fingerprintOf(pid: number, startTicks: number): Fingerprint {
  const own = real.fingerprint(process.pid);
  return { pid, startTicks, bootId: real.bootId(), pidNamespace: own?.pidNamespace ?? null };
}

function childOf({ runId }: Round, fingerprint: Fingerprint, more: Partial<Pick<Child, "ended" | "held">> = {}): Child {
  const child: Child = {
    runId,
    home: "default",
    jobId: "aaaaaaaaaaaa",
    fingerprint,
    startedAtMs: system.clock.nowMs(),
    script: null,
    kind: "script",
    cause: null,
    timeout: null,
    overAtMs: null,
    limits: {
      idleTimeoutMs: null,
      memoryBytesMax: null,
      outputBytesMax: 1,
      outputMaxAction: "truncate",
      stopGraceMs: 0,
      detach: false,
      tags: [],
    },
    ended: more.ended ?? null,
    held: more.held ?? null,
  };
  children.add(child);
  return child;
}

async function stop(round: Round, child: Child): Promise<void> {
  await stopper.stop(child, { reason: "stopped", text: "a test" }, round.graceMs);
  children.remove(child.runId);
}

function expectEqual(round: Round, what: string, seen: unknown, wanted: unknown): void {
  if (seen !== wanted) misjudged.push(`${round.name}: ${what} is ${String(seen)}, expected ${String(wanted)}`);
}

/** The PID is the stranger's before anybody looks. */
async function gone(round: Round): Promise<number | null> {
  const { pid } = askParentTaker({ do: "start", ...round.launcher });
  const taken = askParentTaker({ do: "replace", pid: pid ?? 0, ...round.stranger });
  if (taken.pid === null) return null;
  // The worst case: the stranger started in the very tick in which the launcher had.
  const fingerprint = fingerprintOf(taken.pid, taken.startTicks);
  const run = runOf(round, fingerprint);
  if (round.odd) writeFileSync(runFolder(stateFolder, round.runId).exit, "7\n");
  sameFingerprint++;
  expectEqual(round, "the launcher's life", isLauncherAlive(parts, run), false);
  const found = recoverRun(parts, run, round.odd, true);
  expectEqual(round, "the verdict", found.kind, "ended");
  if (found.kind === "ended") {
    expectEqual(round, "its exit code", found.ended.end.exitCode, round.odd ? 7 : null);
    expectEqual(round, "its cause", found.ended.end.cause, round.odd ? null : "orphaned");
  }
  await stop(round, childOf(round, fingerprint));
  return taken.pid;
}

/** The PID changes hands while the run is stopped, before another call each time. */
async function swapped(round: Round): Promise<number | null> {
  const started = askParentTaker({ do: "start", ...round.launcher });
  const pid = started.pid ?? 0;
  const fingerprint = fingerprintOf(pid, started.startTicks);
  expectEqual(round, "the launcher's life", isLauncherAlive(parts, runOf(round, fingerprint)), true);
  let taken = null as { readonly pid: number | null; readonly startTicks: number } | null;
  const swap = (): void => {
    beforeCall = () => undefined;
    taken = askParentTaker({ do: "replace", pid, ...round.stranger });
  };
  let callsLeft = counts.swapped % 24;
  beforeCall = (name) => {
    if (callsLeft-- > 0) return;
    swap();
    swappedBefore[name] = (swappedBefore[name] ?? 0) + 1;
  };
  await stop(round, childOf(round, fingerprint));
  if (taken === null) swap();
  if (taken?.startTicks === started.startTicks) sameFingerprint++;
  // Once more, as a daemon would that was killed meanwhile.
  if (round.odd) await stop(round, childOf(round, fingerprint));
  return taken?.pid ?? null;
}

/** A child of our own has ended and was collected, and its handle is still held. */
async function own(round: Round): Promise<number | null> {
  const folder = runFolder(stateFolder, round.runId);
  const [file = "", ...rest] = round.launcher.argv;
  const gated = real.spawnGated({
    runId: round.runId,
    file,
    arguments: rest,
    cwd: folder.path,
    environment: { [runVariables.runId]: round.runId },
    outputPath: folder.output,
    errorPath: folder.errors,
    launcherPath: folder.launcher,
    lifelinePath: folder.alive,
  });
  gated.held?.signalGroup("SIGKILL");
  await gated.ended;
  const { pid } = gated.fingerprint;
  const taken = askParentTaker({ do: "start", pid, ...round.stranger });
  if (taken.pid === null) return null;
  sameFingerprint++;
  const child = childOf(round, fingerprintOf(pid, taken.startTicks), { ended: gated.ended, held: gated.held });
  expectEqual(round, "a signal to the group of what ended", gated.held?.signalGroup("SIGKILL"), false);
  expectEqual(round, "a signal to what ended", gated.held?.signal("SIGKILL"), false);
  if (round.odd) await stop(round, child);
  else {
    await stopper.sweep(child);
    children.remove(child.runId);
  }
  return taken.pid;
}

/** The launcher's PID is the stranger's, and something of the run is still alive elsewhere and keeps its lifeline. */
async function survivor(round: Round): Promise<number | null> {
  const leader = askParentTaker({ do: "start", ...round.launcher });
  const left = askParentTaker({ do: "start", ...round.launcher, locks: true });
  const taken = askParentTaker({ do: "replace", pid: leader.pid ?? 0, ...round.stranger });
  if (taken.pid === null) return null;
  const fingerprint = fingerprintOf(taken.pid, taken.startTicks);
  sameFingerprint++;
  expectEqual(round, "the launcher's life", isLauncherAlive(parts, runOf(round, fingerprint)), false);
  expectEqual(round, "the verdict", recoverRun(parts, runOf(round, fingerprint), false, true).kind, "stop");
  // What is left of a run is never older than its launcher.
  await stop(round, childOf(round, fingerprintOf(taken.pid, leader.startTicks)));
  const { alive } = askParentTaker({ do: "look", pid: left.pid ?? 0 });
  expectEqual(round, "life of what was left of the run", alive, false);
  return taken.pid;
}

function runOf({ runId }: Round, fingerprint: Fingerprint): Run {
  return {
    id: runId,
    home: "default",
    jobId: "aaaaaaaaaaaa",
    jobName: "job",
    kind: "script",
    trigger: "schedule",
    scheduledAtMs: 0,
    claimedAtMs: 0,
    startedAtMs: 0,
    endedAtMs: null,
    attempt: 1,
    state: "running",
    reason: null,
    exitCode: null,
    signal: null,
    fingerprint,
    owner: `host:${fingerprint.pid}:0123`,
    adopted: false,
    error: null,
    outputBytes: null,
    outputPath: null,
    documentPath: null,
  };
}

const acts: Readonly<Record<Kind, (round: Round) => Promise<number | null>>> = { gone, swapped, own, survivor };
const lostMax = 200;

for (let number = 0; number < Number(roundsText) && lost < lostMax; ) {
  const round = makeRound(number);
  const kind = kindOf(number);
  const pid = await acts[kind](round);
  rmSync(runFolder(stateFolder, round.runId).path, { recursive: true });
  if (pid === null) {
    lost++;
    continue;
  }
  if (!askParentTaker({ do: "look", pid }).alive) strangersEnded.push(round.name);
  askParentTaker({ do: "end", pid });
  counts[kind]++;
  number++;
}
const report: PidReuseReport = { rounds: counts, strangersEnded, misjudged, swappedBefore, sameFingerprint, lost };
process.stdout.write(`${JSON.stringify(report)}\n`);
process.exit(0);
