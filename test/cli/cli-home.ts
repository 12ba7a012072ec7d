import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { runProgram } from "../../src/cli/program.ts";
import type { Run } from "../../src/core/run.ts";
import type { SlotDecision, SlotLine } from "../../src/core/slot.ts";
import { createRunLedger, type RunEnd, type RunLedger } from "../../src/ledger/run-ledger.ts";
import { createLocks } from "../../src/system/flock.ts";
import type { Host } from "../../src/system/host.ts";
import { createRandom } from "../../src/system/random.ts";
import { createFiles } from "../../src/system/real-files.ts";
import { createProcesses } from "../../src/system/real-processes.ts";

/** The moment at which every command of these tests is given. */
export const nowMs = Date.UTC(2026, 0, 5, 12, 0, 0);

export interface Told {
  readonly exitCode: number;
  readonly out: string;
  readonly error: string;
}

/** A Hermes root home in a folder of its own, and the program run on it. */
export interface CliHome {
  readonly root: string;
  readonly state: string;
  write(path: string, text: string): void;
  /** Writes the store of the root home, or of a profile. */
  jobs(records: readonly object[], profile?: string): void;
  ledger(fill: (ledger: RunLedger) => void): void;
  run(...commandLine: string[]): Promise<Told>;
  /** As `run`, on a terminal of 80 columns. */
  runOnTerminal(...commandLine: string[]): Promise<Told>;
  /** As `run`, on a terminal of so many columns. */
  runOnColumns(columns: number, ...commandLine: string[]): Promise<Told>;
  /** As `run`, with somebody there who answers every question so. */
  runAnswering(answer: boolean, ...commandLine: string[]): Promise<Told>;
  remove(): void;
}

/** A machine on which no program is installed. */
const bareHost: Host = {
  platform: "linux",
  nodeVersion: "24.0.0",
  nodePath: "/usr/bin/node",
  programPath: "/usr/lib/node_modules/hermes-supervisor/dist/src/cli/main.js",
  user: { uid: 1000, name: "u" },
  processes: createProcesses(),
  run: async () => null,
  fileSystem: () => "ext4",
  isClockSynchronised: () => true,
  isContainer: () => false,
  canReap: () => true,
  canGroup: () => true,
  groupFolder: () => null,
  atEnd: () => async () => undefined,
  holdersOf: () => [],
};

export function createCliHome(variables: Readonly<Record<string, string>> = {}, machine: Partial<Host> = {}): CliHome {
  const host: Host = { ...bareHost, ...machine };
  const root = mkdtempSync(join(tmpdir(), "cli-"));
  const state = join(root, "supervisor");
  const files = createFiles();
  const write = (path: string, text: string): void => {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  };
  const tell = async (commandLine: readonly string[], columns: number | null, answer?: boolean): Promise<Told> => {
    let out = "";
    let error = "";
    const exitCode = await runProgram({
      arguments: commandLine,
      environment: { HOME: root, HERMES_HOME: root, HERMES_TIMEZONE: "UTC", PATH: "/usr/bin:/bin", ...variables },
      version: "9.9.9",
      terminal: {
        out: (text) => {
          out += typeof text === "string" ? text : Buffer.from(text).toString("utf8");
        },
        error: (text) => {
          error += text;
        },
        taken: async () => undefined,
        isTerminal: columns !== null,
        isErrorTerminal: columns !== null,
        hasColour: columns !== null,
        columns,
        rows: columns === null ? null : 24,
      },
      onInterrupt: () => {},
      onEnd: () => {},
      ...(answer === undefined ? {} : { ask: async () => answer }),
      loadHost: async () => host,
      loadSystem: async () => ({
        clock: {
          nowMs: () => nowMs,
          monotonicMs: () => performance.now(),
          wait: () => {},
          after: (delayMs, act) => {
            const timer = setTimeout(act, delayMs);
            return { cancel: () => clearTimeout(timer) };
          },
        },
        files,
        locks: createLocks(),
        random: createRandom(),
      }),
    });
    return { exitCode, out, error };
  };
  return {
    root,
    state,
    write,
    jobs(records, profile) {
      const folder = profile === undefined ? "" : `profiles/${profile}/`;
      if (profile !== undefined) write(`${folder}config.yaml`, "timezone: UTC\n");
      write(
        `${folder}cron/jobs.json`,
        JSON.stringify({ jobs: records, updated_at: "2026-01-05T00:00:00+00:00" }, null, 2),
      );
    },
    ledger(fill) {
      mkdirSync(state, { recursive: true });
      const ledger = createRunLedger({ files }, join(state, "supervisor.db"));
      ledger.transaction(() => fill(ledger));
      ledger.dispose();
    },
    run: (...commandLine) => tell(commandLine, null),
    runOnTerminal: (...commandLine) => tell(commandLine, 80),
    runOnColumns: (columns, ...commandLine) => tell(commandLine, columns),
    runAnswering: (answer, ...commandLine) => tell(commandLine, null, answer),
    remove: () => rmSync(root, { recursive: true }),
  };
}

/** A record of a script job, due next at half past twelve. */
export function record(id: string, name: string, changes: object = {}): object {
  return {
    id,
    name,
    prompt: "",
    script: "job.sh",
    no_agent: true,
    schedule: { kind: "cron", expr: "30 * * * *", display: "30 * * * *" },
    schedule_display: "30 * * * *",
    repeat: { times: null, completed: 0 },
    enabled: true,
    state: "scheduled",
    created_at: "2026-01-01T00:00:00+00:00",
    next_run_at: "2026-01-05T12:30:00+00:00",
    last_run_at: null,
    last_status: null,
    last_error: null,
    ...changes,
  };
}

export function claimedRun(id: string, jobId: string, jobName: string, changes: Partial<Run> = {}): Run {
  return {
    id,
    home: "default",
    jobId,
    jobName,
    kind: "script",
    trigger: "schedule",
    scheduledAtMs: nowMs - 60_000,
    claimedAtMs: nowMs - 60_000 + 1.5,
    startedAtMs: null,
    endedAtMs: null,
    attempt: 1,
    state: "claimed",
    reason: null,
    exitCode: null,
    signal: null,
    fingerprint: { pid: 4242, startTicks: 99, bootId: "boot", pidNamespace: null },
    owner: "host:4242:00",
    adopted: false,
    error: null,
    outputBytes: null,
    outputPath: null,
    documentPath: null,
    ...changes,
  };
}

export function completed(changes: Partial<RunEnd> = {}): RunEnd {
  return {
    state: "completed",
    reason: null,
    exitCode: 0,
    signal: null,
    error: null,
    endedAtMs: nowMs - 55_000,
    outputBytes: 3,
    outputPath: null,
    documentPath: null,
    ...changes,
  };
}

export function slot(
  jobId: string,
  decision: SlotDecision,
  changes: Partial<Omit<SlotLine, "decision" | "reason">> = {},
): SlotLine {
  return {
    jobId,
    scheduledAtMs: nowMs - 60_000,
    runId: null,
    decidedAtMs: nowMs - 59_999,
    latenessMs: null,
    ...changes,
    ...decision,
  };
}
