import type { Fingerprint } from "../../src/core/fingerprint.ts";
import type {
  ChildExit,
  GatedChild,
  HeldProcess,
  Processes,
  ProcessRow,
  RunGroups,
  SpawnRequest,
} from "../../src/system/processes.ts";
import { runFiles, runVariables } from "../../worker/protocol.ts";
import type { FakeClock } from "./fake-clock.ts";
import type { FakeFiles } from "./fake-files.ts";
import type { LockTable } from "./fake-lock.ts";
import type { Draw } from "./fake-random.ts";

/** What a job's program does. */
export interface FakeProgram {
  readonly durationMs: number;
  /** How it ends when nobody stops it. */
  readonly end: FakeEnd;
  /** What it does with SIGTERM. */
  readonly onTerm: "dies" | "exits" | "ignores";
  /** What it leaves behind: a process that is started with it and goes on after it. */
  readonly helper: FakeHelper | null;
}

export type FakeEnd = { readonly code: number } | { readonly signal: "SIGSEGV" | "SIGTERM" | "SIGKILL" };

export interface FakeHelper {
  readonly durationMs: number;
  readonly keepsLifeline: boolean;
  readonly keepsEnvironment: boolean;
  readonly ownSession: boolean;
  readonly onTerm: "dies" | "ignores";
}

export interface FakeProcess {
  readonly pid: number;
  readonly startTicks: number;
  readonly name: string;
  /** The daemon that is told of its end. */
  spawnedBy: FakeProcess | null;
  run: FakeRun | null;
  parent: FakeProcess | null;
  group: number;
  session: number;
  /** The run whose control group it is in. */
  controlGroup: string | null;
  /** Orphans below it become its children. */
  isReaper: boolean;
  environment: Readonly<Record<string, string>>;
  holdsLifeline: boolean;
  alive: boolean;
  /** Acts on a signal that has been sent to it. SIGKILL never gets here. */
  onSignal: (signal: string) => void;
  /** Told of its death, however it came. */
  onDeath: (end: FakeEnd) => void;
}

/** What really became of a run, whatever anybody recorded of it. */
export interface FakeRun {
  readonly id: string;
  readonly folder: string;
  readonly launcher: FakeProcess;
  /** The launcher's child, which waits at the gate and becomes the job's program. */
  readonly job: FakeProcess;
  readonly processes: Set<FakeProcess>;
  /** Set when the gate is opened. */
  order: { readonly jobId: string; readonly script: string; readonly home: string } | null;
  /** Whether the job's program was started. */
  started: boolean;
  /** How the program itself ended, as far as it has. */
  end: FakeEnd | null;
  /** When it was started and when it ended (monotonic ms). */
  startedAtMs: number;
  endedAtMs: number;
  /** Whether its exit file got to the disk whole. */
  exitWritten: boolean;
  /** Signals that a daemon sent and that reached a process of it. */
  signals: number;
  /** When the first of them did (monotonic ms), or null. */
  signalledAtMs: number | null;
  /** When its gate was closed with no order given (monotonic ms), or null. */
  gateClosedAtMs: number | null;
  /** When its last process ended (monotonic ms), or null. */
  emptiedAtMs: number | null;
  /** The environment that it was started with. */
  readonly environment: Readonly<Record<string, string>>;
}

/** What a host tells whoever watches over its laws. */
export interface HostWatch {
  /** The order has been given: from here on the launcher will start the program. */
  gateOpened(run: FakeRun): void;
  programStarted(run: FakeRun): void;
  programEnded(run: FakeRun, end: FakeEnd): void;
  /** Nothing of it is alive any more. */
  runEmptied(run: FakeRun): void;
  signalled(process: FakeProcess, signal: string, by: number): void;
}

/** Of one daemon's life, what its processes have to know. */
export interface ParentLife {
  readonly process: FakeProcess;
  /** Runs code of that daemon, if it still lives. */
  step(act: () => void): void;
  /** Passes a point at which the daemon may be stopped. */
  pass(operation: string): void;
}

export interface FakeHost {
  readonly runs: ReadonlyMap<string, FakeRun>;
  readonly processes: ReadonlyMap<number, FakeProcess>;
  bootId(): string;
  start(name: string, parent: FakeProcess | null): FakeProcess;
  kill(process: FakeProcess, end: FakeEnd): void;
  /** Everything ends at once, and of what was written lately and never synced some is lost. */
  reboot(): void;
  /** From now on each PID that comes free is a stranger's at once, until the answer is called: then all of them leave. */
  sendStrangers(): () => void;
  processesOf(life: ParentLife): Processes;
}

export const fakeHostname = "host";

interface HostParts {
  readonly clock: FakeClock;
  readonly files: FakeFiles;
  readonly locks: LockTable;
  readonly draw: Draw;
  readonly watch: HostWatch;
  /** PIDs are given out of so many, so they come back soon. */
  readonly pids: number;
  readonly reaping: Processes["reaping"];
  readonly hasControlGroups: boolean;
  programOf(home: string, jobId: string): FakeProgram;
}

const unsyncedMs = 5000;
export const signalNumbers: Readonly<Record<string, number>> = { SIGKILL: 9, SIGSEGV: 11, SIGTERM: 15 };

export function createFakeHost(parts: HostParts): FakeHost {
  const { clock, files, locks, draw, watch } = parts;
  const processes = new Map<number, FakeProcess>();
  const zombies = new Map<number, FakeProcess>();
  const runs = new Map<string, FakeRun>();
  /** The start of the latest process that had this PID. */
  const lastTicks = new Map<number, number>();
  /** Given to each daemon's life: its gates close with it. */
  const gates = new Map<FakeProcess, Set<() => void>>();
  const controlGroups = new Set<string>();
  /** Files that launchers wrote and that no daemon has seen to, with their time. */
  let unsynced: { readonly path: string; readonly run: FakeRun; readonly atMs: number }[] = [];
  let boots = 0;
  /** Those that wait for PIDs; null when nobody does. */
  let strangers: Set<FakeProcess> | null = null;

  const ticks = (): number => Math.floor(clock.monotonicMs() / 10);

  function start(name: string, parent: FakeProcess | null, run: FakeRun | null = null): FakeProcess {
    const startTicks = ticks();
    const first = draw.whole(0, parts.pids - 1);
    for (let step = 0; step < parts.pids; step++) {
      const pid = 100 + ((first + step) % parts.pids);
      if (lastTicks.get(pid) !== startTicks && !isTaken(pid)) return make(pid, name, parent, run);
    }
    throw Object.assign(new Error("spawn EAGAIN"), { code: "EAGAIN" });
  }

  function make(pid: number, name: string, parent: FakeProcess | null, run: FakeRun | null): FakeProcess {
    const startTicks = ticks();
    lastTicks.set(pid, startTicks);
    const process: FakeProcess = {
      pid,
      startTicks,
      name,
      spawnedBy: null,
      run,
      parent,
      group: parent?.group ?? pid,
      session: parent?.session ?? pid,
      controlGroup: parent?.controlGroup ?? null,
      isReaper: false,
      environment: parent?.environment ?? {},
      holdsLifeline: false,
      alive: true,
      onSignal: () => undefined,
      onDeath: () => undefined,
    };
    processes.set(pid, process);
    run?.processes.add(process);
    return process;
  }

  /** A PID has come free. Without any left nothing could be started, a daemon no more than a gateway. */
  function offer(pid: number): void {
    if (strangers !== null && strangers.size < parts.pids / 2 && !isTaken(pid))
      strangers.add(make(pid, "stranger", null, null));
  }

  /** A kernel gives no PID that is still the number of a group or a session. */
  function isTaken(pid: number): boolean {
    if (processes.has(pid) || zombies.has(pid)) return true;
    for (const process of processes.values()) if (process.group === pid || process.session === pid) return true;
    return false;
  }

  function kill(process: FakeProcess, end: FakeEnd): void {
    if (!process.alive) return;
    process.alive = false;
    processes.delete(process.pid);
    let heir = process.parent;
    while (heir !== null && !heir.isReaper) heir = heir.parent;
    for (const other of processes.values()) if (other.parent === process) other.parent = heir;
    const { run } = process;
    if (run !== null) {
      run.processes.delete(process);
      holdLifeline(run);
    }
    for (const close of gates.get(process) ?? []) close();
    gates.delete(process);
    process.onDeath(end);
    if (run !== null && run.processes.size === 0) {
      run.emptiedAtMs = clock.monotonicMs();
      watch.runEmptied(run);
    }
    if (process.name !== "stranger") offer(process.pid);
  }

  /** The lock lasts as long as anybody holds it. */
  function holdLifeline(run: FakeRun): void {
    const path = `${run.folder}/${runFiles.alive}`;
    const holder = [...run.processes].find((process) => process.holdsLifeline);
    if (holder === undefined) locks.delete(path);
    else locks.set(path, holder.pid);
  }

  function write(path: string, text: string): boolean {
    if (files.freeBytesLeft <= 0) {
      // The file can still be made, only nothing fits into it.
      if (files.stat(path) === null) files.plant(path, "");
      return false;
    }
    const known = files.stat(path) === null ? "" : files.readText(path);
    files.plant(path, known + text);
    return true;
  }

  /** What a shell writes is on its way to the disk for some seconds. */
  function plant(run: FakeRun, name: string, text: string): void {
    const path = `${run.folder}/${name}`;
    files.plant(path, text);
    unsynced = unsynced.filter((one) => one.atMs > clock.monotonicMs() - unsyncedMs);
    unsynced.push({ path, run, atMs: clock.monotonicMs() });
  }

  /** Of what is still on its way when the power goes, some never arrives, and some only as a name. */
  function loseUnsynced(): void {
    for (const { path, run, atMs } of unsynced) {
      if (atMs <= clock.monotonicMs() - unsyncedMs || files.stat(path) === null || draw.chance(0.5)) continue;
      run.exitWritten = false;
      if (path.endsWith(runFiles.exit) && draw.chance(0.5)) files.plant(path, "");
      else files.remove(path);
    }
    unsynced = [];
  }

  function spawnGated(life: ParentLife, request: SpawnRequest): GatedChild {
    life.pass("spawn: open files");
    for (const path of [request.outputPath, request.errorPath, request.launcherPath, request.lifelinePath]) {
      if (files.stat(path) === null) files.plant(path, "");
    }
    life.pass("spawn: fork");
    const launcher = start("launcher", life.process);
    const id = request.environment[runVariables.runId] ?? "";
    launcher.spawnedBy = life.process;
    launcher.group = launcher.pid;
    launcher.session = launcher.pid;
    launcher.environment = request.environment;
    launcher.holdsLifeline = true;
    if (controlGroups.has(id) && request.arguments[2] === `/groups/${id}`) launcher.controlGroup = id;
    const job = start("job", launcher);
    job.holdsLifeline = true;
    const run: FakeRun = {
      id,
      folder: request.cwd,
      launcher,
      job,
      processes: new Set([launcher, job]),
      order: null,
      started: false,
      end: null,
      startedAtMs: 0,
      endedAtMs: 0,
      exitWritten: false,
      signals: 0,
      signalledAtMs: null,
      gateClosedAtMs: null,
      emptiedAtMs: null,
      environment: request.environment,
    };
    launcher.run = run;
    job.run = run;
    job.onDeath = (end) => {
      if (run.started) {
        run.end = end;
        run.endedAtMs = clock.monotonicMs();
        watch.programEnded(run, end);
      }
      if (launcher.alive) clock.after(0.1 + 2 * draw.number(), () => afterJob(run, end));
    };
    runs.set(id, run);
    holdLifeline(run);

    const ended = Promise.withResolvers<ChildExit>();
    launcher.onDeath = (end) => {
      const exit: ChildExit =
        "code" in end ? { exitCode: end.code, signal: null } : { exitCode: null, signal: end.signal };
      // Until its parent has asked, it keeps its PID.
      if (life.process.alive) zombies.set(launcher.pid, launcher);
      clock.after(0.2 + 3 * draw.number(), () => {
        if (zombies.delete(launcher.pid)) offer(launcher.pid);
        life.step(() => ended.resolve(exit));
      });
    };
    let gateIsOpen = false;
    const closeGate = (): void => {
      gates.get(life.process)?.delete(closeGate);
      if (gateIsOpen) return;
      gateIsOpen = true;
      run.gateClosedAtMs = clock.monotonicMs();
      clock.after(0.5 + 60 * draw.number() ** 4, () => kill(job, { code: 0 }));
    };
    if (!gates.has(life.process)) gates.set(life.process, new Set());
    gates.get(life.process)?.add(closeGate);
    return {
      fingerprint: fingerprintOf(launcher),
      held: hold(life, launcher),
      open(text) {
        life.pass("gate: open");
        if (gateIsOpen) throw new Error(`Cannot open gate "${id}": it is closed`);
        gateIsOpen = true;
        gates.get(life.process)?.delete(closeGate);
        // An order without a script is for the one that the launcher was started with.
        const [jobId = "", , , , , script = request.arguments[5] ?? ""] = text.trimEnd().split("\n");
        run.order = { jobId, script, home: request.environment["HERMES_HOME"] ?? "" };
        watch.gateOpened(run);
        clock.after(0.2 + 8 * draw.number() ** 3, () => passGate(run));
      },
      discard() {
        life.pass("gate: discard");
        closeGate();
      },
      ended: ended.promise,
    };
  }

  function passGate(run: FakeRun): void {
    const { job, order } = run;
    if (!job.alive || order === null) return;
    if (files.stat(run.folder) === null || (files.freeBytesLeft <= 0 && draw.chance(0.3))) {
      kill(job, { code: 0 });
      return;
    }
    plant(run, runFiles.started, "");
    clock.after(0.1 + 3 * draw.number(), () => {
      if (job.alive) startProgram(run, order);
    });
  }

  function startProgram(run: FakeRun, order: { readonly home: string; readonly jobId: string }): void {
    const { job } = run;
    const program = parts.programOf(order.home, order.jobId);
    run.started = true;
    run.startedAtMs = clock.monotonicMs();
    write(`${run.folder}/${runFiles.output}`, `run ${run.id} says hello\n`);
    watch.programStarted(run);
    act(job, program.onTerm);
    clock.after(program.durationMs, () => kill(job, program.end));
    const { helper } = program;
    if (helper !== null) {
      const process = start("helper", job, run);
      process.holdsLifeline = helper.keepsLifeline;
      if (!helper.keepsEnvironment) process.environment = {};
      if (helper.ownSession) {
        process.group = process.pid;
        process.session = process.pid;
      }
      act(process, helper.onTerm);
      clock.after(helper.durationMs, () => kill(process, { code: 0 }));
    }
    holdLifeline(run);
  }

  /** What the launcher does when its child has ended. */
  function afterJob(run: FakeRun, end: FakeEnd): void {
    const { launcher } = run;
    if (!launcher.alive) return;
    if (files.stat(`${run.folder}/${runFiles.started}`) === null) kill(launcher, { code: 0 });
    else recordExit(run, end);
  }

  function act(process: FakeProcess, onTerm: FakeProgram["onTerm"]): void {
    process.onSignal = (signal) => {
      if (signal !== "SIGTERM" || onTerm === "ignores") return;
      const end: FakeEnd = onTerm === "dies" ? { signal: "SIGTERM" } : { code: 0 };
      clock.after(0.1 + 20 * draw.number() ** 2, () => kill(process, end));
    };
  }

  /** The shell opens the file first and writes then, so a reader may find it empty. */
  function recordExit(run: FakeRun, end: FakeEnd): void {
    const { launcher } = run;
    if (!launcher.alive || files.stat(run.folder) === null) return;
    const status = "code" in end ? end.code : 128 + (signalNumbers[end.signal] ?? 0);
    const told = "code" in end || write(`${run.folder}/${runFiles.launcher}`, `${end.signal}\n`);
    plant(run, runFiles.exit, "");
    clock.after(0.05 * draw.number(), () => {
      if (!launcher.alive || files.stat(run.folder) === null) return;
      run.exitWritten = write(`${run.folder}/${runFiles.exit}`, `${status}\n`) && told;
      clock.after(0.1 + draw.number(), () => kill(launcher, { code: status }));
    });
  }

  function fingerprintOf(process: FakeProcess): Fingerprint {
    return { pid: process.pid, startTicks: process.startTicks, bootId: bootId(), pidNamespace: "pid:[1]" };
  }

  function bootId(): string {
    return `boot-${boots}`;
  }

  function send(process: FakeProcess, signal: string, by: number): void {
    if (!process.alive) return;
    watch.signalled(process, signal, by);
    if (process.run !== null && signal !== "SIGCONT") {
      process.run.signals++;
      process.run.signalledAtMs ??= clock.monotonicMs();
    }
    if (signal === "SIGKILL") kill(process, { signal: "SIGKILL" });
    else process.onSignal(signal);
  }

  return {
    runs,
    processes,
    bootId,
    start: (name, parent) => start(name, parent),
    kill,
    reboot() {
      boots++;
      loseUnsynced();
      for (const process of [...processes.values()]) {
        process.alive = false;
        process.run?.processes.clear();
        if (process.run !== null) process.run.emptiedAtMs = clock.monotonicMs();
      }
      processes.clear();
      gates.clear();
      zombies.clear();
      controlGroups.clear();
      locks.clear();
      strangers?.clear();
    },
    sendStrangers() {
      const sent = new Set<FakeProcess>();
      strangers = sent;
      return () => {
        if (strangers === sent) strangers = null;
        for (const stranger of sent) kill(stranger, { code: 0 });
      };
    },
    processesOf,
  };

  function processesOf(life: ParentLife): Processes {
    life.process.isReaper = parts.reaping !== "none";
    const look = (pid: number): ProcessRow | null => {
      const process = processes.get(pid);
      return process === undefined ? null : rowOf(process);
    };
    return {
      hostname: fakeHostname,
      ownPid: life.process.pid,
      cores: 2,
      availableBytes: () => 2 ** 34,
      reaping: parts.reaping,
      groups: parts.hasControlGroups ? groupsOf(life) : null,
      marks: null,
      showsEnvironment: true,
      bootId,
      spawnGated: (request) => spawnGated(life, request),
      exitStatus: async () => 79,
      runBounded: async () => ({ exitCode: 127, signal: null, killed: null }),
      fingerprint(pid) {
        const process = processes.get(pid);
        return process === undefined ? null : fingerprintOf(process);
      },
      async list() {
        const rows = [...processes.values()].map(rowOf);
        // With many processes it takes its time, and what it lists may have ended by then.
        if (draw.chance(0.3)) await new Promise<void>((resolve) => clock.after(3 + 60 * draw.number() ** 4, resolve));
        return rows;
      },
      pids: () => [...processes.keys(), ...zombies.keys()],
      look,
      startedWith: (pid, name) => processes.get(pid)?.environment[name] ?? null,
      carriesLock(pid, path) {
        const process = processes.get(pid);
        return process?.holdsLifeline === true && path === `${process.run?.folder}/${runFiles.alive}`;
      },
      proportionalBytes: () => 1 << 20,
      isOwnChild: (pid) => (processes.get(pid) ?? zombies.get(pid))?.spawnedBy === life.process,
      childPids: () =>
        [...processes.values()].filter((process) => process.parent === life.process).map((process) => process.pid),
      hold(pid) {
        const process = processes.get(pid);
        return process === undefined ? null : hold(life, process);
      },
      // Only where there is no other way to find a run's processes.
      killTree: () => Promise.resolve(),
    };
  }

  function hold(life: ParentLife, process: FakeProcess): HeldProcess {
    return {
      signal(signal) {
        life.pass(`signal: ${signal} to ${process.pid}`);
        if (!process.alive) return false;
        send(process, signal, life.process.pid);
        return true;
      },
      // The kernel finds the group by the process that it holds, also when that is dead.
      signalGroup(signal) {
        life.pass(`signal: ${signal} to group ${process.pid}`);
        const group = [...processes.values()].filter((other) => other.group === process.pid);
        for (const member of group) send(member, signal, life.process.pid);
        return group.length > 0;
      },
      release: () => undefined,
    };
  }

  function groupsOf(life: ParentLife): RunGroups {
    const members = (runId: string): readonly FakeProcess[] =>
      [...processes.values()].filter((process) => process.controlGroup === runId);
    return {
      make(runId) {
        life.pass("control group: make");
        controlGroups.add(runId);
        return `/groups/${runId}`;
      },
      members: (runId) => members(runId).map((process) => process.pid),
      kill(runId) {
        life.pass("control group: kill");
        for (const process of members(runId)) send(process, "SIGKILL", life.process.pid);
        return controlGroups.has(runId);
      },
      remove(runId) {
        life.pass("control group: remove");
        if (members(runId).length === 0) controlGroups.delete(runId);
      },
      list: () => [...controlGroups],
    };
  }
}

function rowOf(process: FakeProcess): ProcessRow {
  return {
    pid: process.pid,
    parentPid: process.parent?.pid ?? 1,
    groupId: process.group,
    sessionId: process.session,
    startTicks: process.startTicks,
    residentBytes: 1 << 20,
  };
}
