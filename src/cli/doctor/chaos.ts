import { join } from "node:path";
import { judgeJournal, parseJournal } from "../../core/judge-journals.ts";
import type { LawReport } from "../../core/verify-laws.ts";
import { readMarkedProcesses } from "../../output/marked-processes.ts";
import type { Host } from "../../system/host.ts";
import type { System } from "../../system/system.ts";
import type { CommandParts } from "../command-parts.ts";
import { checkLaws } from "../commands/verify.ts";
import { createReader } from "../reader.ts";
import { type ChaosJob, chaosConfig, chaosJobs, journalPath, makeChaosHome } from "./chaos-home.ts";

export interface ChaosReport {
  readonly kills: number;
  /** Planned restarts among the kills. */
  readonly handOvers: number;
  readonly tookMs: number;
  readonly jobs: number;
  readonly runs: number;
  readonly orphaned: number;
  readonly laws: readonly LawReport[];
  /** What is not as it must be, beside the laws. */
  readonly findings: readonly string[];
}

export interface ChaosOptions {
  readonly kills: number;
  /** No daemon is started for killing after this. */
  readonly boundMs: number;
  readonly isStopped: () => boolean;
  readonly progress: (kills: number) => void;
}

const lookEveryMs = 20;
const readyWithinMs = 15_000;
const endWithinMs = 30_000;
const logBytesMax = 64 * 1024 ** 2;

/**
 * Ends what was started for the copy, whose folder every process of it has as its HOME, and deletes the copy. A shell does that, since
 * this program may be killed as well, and a daemon without anybody to end it would run the jobs of the copy for ever.
 */
const clearing = `for again in 1 2 3 4 5 6 7 8 9 10; do
  found=$(grep -lsF "HOME=$1" /proc/[0-9]*/environ | cut -d/ -f3)
  [ -n "$found" ] || break
  kill -KILL $found
  sleep 0.1
done
rm -rf -- "$1"
[ -z "$2" ] || find "$2" -depth -type d -exec rmdir {} ";"`;

/**
 * Kills a daemon over and over on a copy in a temporary folder, and holds what is left against the laws and against what its
 * runs wrote down themselves. Nothing of the real home is written, and none of its scripts is run.
 */
export async function runChaos(parts: CommandParts, host: Host, options: ChaosOptions): Promise<ChaosReport> {
  const { system } = parts;
  const folder = join(parts.environment["TMPDIR"] || "/tmp", `hermes-chaos-${system.random.token(8)}`);
  const rootHome = join(folder, "home");
  const stateFolder = join(folder, "state");
  const jobs = chaosJobs(
    createReader(parts)
      .homes()
      .flatMap((home) => home.jobs.filter((job) => job.enabled)),
  );
  const clear = host.atEnd(clearing, [folder, host.groupFolder(stateFolder) ?? ""]);
  try {
    makeChaosHome(system, rootHome, stateFolder, jobs);
    const environment = { ...parts.environment, HERMES_HOME: rootHome, HERMES_TIMEZONE: "UTC" };
    const own: CommandParts = { ...parts, rootHome, stateFolder, environment };
    return await killOverAndOver(own, host, folder, jobs, options);
  } finally {
    await clear();
  }
}

async function killOverAndOver(
  parts: CommandParts,
  host: Host,
  folder: string,
  jobs: readonly ChaosJob[],
  options: ChaosOptions,
): Promise<ChaosReport> {
  const { clock, files } = parts.system;
  const beganMs = clock.monotonicMs();
  const findings: string[] = [];
  let kills = 0;
  let handOvers = 0;
  const isOver = (): boolean =>
    options.isStopped() || kills >= options.kills || clock.monotonicMs() - beganMs > options.boundMs;
  while (!isOver()) {
    const daemon = startDaemon(parts, host, folder, kills);
    // A third of them die while they are still starting, the others amid their runs.
    if (kills % 3 === 0) await wait(parts, daemon, draw(parts, 350));
    else {
      await until(parts, daemon, () => daemon.isReady());
      await wait(parts, daemon, draw(parts, 600));
    }
    const early = daemon.ended();
    if (early !== null) findings.push(`A daemon ended by itself (${early}): ${daemon.lastLine()}`);
    const isPlanned = kills % 6 === 5 && daemon.isReady();
    if (isPlanned) {
      daemon.ask();
      await until(parts, daemon, () => false, endWithinMs);
      handOvers += 1;
    }
    await daemon.kill();
    kills += 1;
    options.progress(kills);
  }
  const report = { kills, handOvers, jobs: jobs.length };
  if (options.isStopped()) return { ...report, tookMs: 0, runs: 0, orphaned: 0, laws: [], findings };
  files.replace(join(parts.stateFolder, "config.yaml"), ".chaos.tmp", chaosConfig(true), 0o600);
  const last = startDaemon(parts, host, folder, kills);
  await until(parts, last, () => last.isReady());
  await wait(parts, last, 1000);
  last.ask();
  await until(parts, last, () => false, endWithinMs);
  if (last.ended() !== "0")
    findings.push(`The last daemon did not end well (${last.ended() ?? "killed"}): ${last.lastLine()}`);
  await last.kill();

  const reader = createReader(parts);
  const laws = await checkLaws(parts, reader);
  const runs = reader.ledger().runs({ limit: 0 });
  for (const { id } of jobs) {
    const path = journalPath(parts.rootHome, id);
    const journal = files.stat(path) === null ? [] : parseJournal(files.readText(path));
    findings.push(
      ...judgeJournal(
        journal,
        runs.filter((run) => run.jobId === id),
      ),
    );
  }
  if (runs.length === 0) findings.push("No job ran, so nothing was shown");
  const left = processesOf(parts.system, parts.rootHome);
  if (left.length > 0) findings.push(`Processes of ended runs were left: ${left.join(", ")}`);
  const orphaned = runs.filter((run) => run.reason === "orphaned").length;
  const tookMs = clock.monotonicMs() - beganMs;
  return { ...report, tookMs, runs: runs.length, orphaned, laws, findings };
}

interface ChaosDaemon {
  isReady(): boolean;
  /** SIGTERM. */
  ask(): void;
  /** Its exit code or signal, once it has ended. */
  ended(): string | null;
  /** SIGKILL, unless it has ended, and waits for its end. */
  kill(): Promise<void>;
  lastLine(): string;
}

function startDaemon(parts: CommandParts, host: Host, folder: string, number: number): ChaosDaemon {
  const { files } = parts.system;
  const log = join(folder, `daemon-${number}.log`);
  const killing = new AbortController();
  let end: string | null = null;
  const { PATH: path = "/usr/bin:/bin", LANG: language = "C.UTF-8" } = parts.environment;
  const running = host.processes
    .runBounded({
      file: host.nodePath,
      arguments: [host.programPath, "--home", parts.rootHome, "--state", parts.stateFolder, "start"],
      cwd: folder,
      environment: { PATH: path, LANG: language, HOME: folder, TZ: "UTC" },
      outputPath: log,
      timeoutMs: 120_000,
      watched: [],
      bytesMax: logBytesMax,
      signal: killing.signal,
    })
    .then(({ exitCode, signal }) => {
      end = String(exitCode ?? signal);
    });
  const readLog = (): string => (files.stat(log) === null ? "" : files.readText(log));
  return {
    isReady: () => readLog().includes('"msg":"ready"'),
    ask() {
      const pid = createReader(parts).daemon().pid;
      const held = pid === null ? null : host.processes.hold(pid);
      held?.signal("SIGTERM");
      held?.release();
    },
    ended: () => end,
    async kill() {
      killing.abort();
      await running;
    },
    lastLine: () => readLog().trimEnd().split("\n").at(-1) ?? "",
  };
}

function draw({ system }: CommandParts, boundMs: number): number {
  return (Number.parseInt(system.random.uuidHex().slice(0, 6), 16) / 0x1000000) * boundMs;
}

async function wait(parts: CommandParts, daemon: ChaosDaemon, ms: number): Promise<void> {
  await until(parts, daemon, () => false, ms);
}

/** Until it holds, the daemon has ended, or the time is over. */
async function until(
  { system }: CommandParts,
  daemon: ChaosDaemon,
  holds: () => boolean,
  boundMs = readyWithinMs,
): Promise<void> {
  const endMs = system.clock.monotonicMs() + boundMs;
  while (!holds() && daemon.ended() === null) {
    const leftMs = endMs - system.clock.monotonicMs();
    if (leftMs <= 0) return;
    await new Promise<void>((resolve) => system.clock.after(Math.min(lookEveryMs, leftMs), resolve));
  }
}

function processesOf(system: CommandParts["system"], rootHome: string): readonly number[] {
  return (readMarkedProcesses(system as System) ?? [])
    .filter(({ homePath }) => homePath === rootHome)
    .map(({ pid }) => pid);
}
