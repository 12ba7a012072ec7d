import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { onTestFinished } from "vitest";
import { createRunLedger, type RunLedger } from "../../src/ledger/run-ledger.ts";
import { type RunJson, runJson, type SlotJson, slotJson } from "../../src/status/json.ts";
import { createFiles } from "../../src/system/real-files.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const sources = join(root, "src/cli/main.ts");

export interface JobRecord {
  readonly [key: string]: unknown;
  readonly id: string;
}

/** A home in a temporary folder, with what a test needs to put a daemon on it and to look at what became of it. */
export interface SupervisedHome {
  readonly path: string;
  readonly state: string;
  /** The path of a profile's home, made if need be. */
  profile(name: string): string;
  writeJobs(jobs: readonly JobRecord[], home?: string): void;
  readJobs(home?: string): readonly Record<string, unknown>[];
  job(id: string, home?: string): Record<string, unknown>;
  script(name: string, text: string, home?: string): void;
  file(name: string, text: string): void;
  /** Writes the host's settings, next to the ledger. */
  hostConfig(text: string): void;
  /** The words that run a command on this home. */
  command(...words: readonly string[]): readonly string[];
  start(extra?: Readonly<Record<string, string>>, more?: readonly string[]): Daemon;
  /** Runs a command to its end and parses what it prints with `--json`. */
  ask(...command: readonly string[]): { readonly status: number | null; readonly json: never; readonly stderr: string };
  runs(): readonly RunJson[];
  slots(): readonly SlotJson[];
}

export interface Daemon {
  readonly process: ChildProcess;
  readonly pid: number;
  readonly log: () => string;
  /** Resolves once a line of the log holds `text`. */
  said(text: string): Promise<void>;
  kill(signal: NodeJS.Signals): void;
  readonly exited: Promise<{ readonly code: number | null; readonly signal: string | null }>;
}

const environment = (home: string, extra: Readonly<Record<string, string>> = {}): Record<string, string> => ({
  PATH: process.env["PATH"] ?? "",
  HOME: home,
  LANG: "C.UTF-8",
  TZ: "UTC",
  ...extra,
});

/** A test that runs beside others hands in its own `onTestFinished`. `program` may be a built one. With `shared` it is another state
 * folder for that very home. */
export function makeSupervisedHome(
  onFinished: (clean: () => Promise<void>) => void = onTestFinished,
  program = sources,
  shared: SupervisedHome | null = null,
): SupervisedHome {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), "supervisor-test-")));
  const path = shared?.path ?? join(folder, "hermes");
  const state = join(folder, "state");
  const started: Daemon[] = [];
  mkdirSync(join(path, "cron"), { recursive: true });
  mkdirSync(join(path, "scripts"), { recursive: true });
  onFinished(async () => {
    for (const daemon of started) {
      daemon.kill("SIGKILL");
      await daemon.exited;
    }
    endRunsOf(state);
    rmSync(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 });
  });

  const home: SupervisedHome = {
    path,
    state,
    profile(name) {
      const profile = join(path, "profiles", name);
      mkdirSync(join(profile, "cron"), { recursive: true });
      mkdirSync(join(profile, "scripts"), { recursive: true });
      if (!existsSync(join(profile, "config.yaml"))) writeFileSync(join(profile, "config.yaml"), "{}\n");
      return profile;
    },
    writeJobs(jobs, at = path) {
      const text = JSON.stringify({ jobs, updated_at: "2026-01-01T00:00:00+00:00" }, null, 2);
      writeFileSync(join(at, "cron/jobs.json"), text, { mode: 0o600 });
    },
    readJobs: (at = path) => JSON.parse(readFileSync(join(at, "cron/jobs.json"), "utf8")).jobs,
    job(id, at = path) {
      const found = home.readJobs(at).find((job) => job["id"] === id);
      if (found === undefined) throw new Error(`No job "${id}" in "${at}"`);
      return found;
    },
    script: (name, text, at = path) => writeFileSync(join(at, "scripts", name), text),
    file(name, text) {
      const file = join(path, name);
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, text);
    },
    hostConfig(text) {
      mkdirSync(state, { recursive: true, mode: 0o700 });
      writeFileSync(join(state, "config.yaml"), text);
    },
    command: (...words) => [process.execPath, program, "--home", path, "--state", state, ...words],
    start(extra = {}, more = []) {
      const child = spawn(process.execPath, [program, "--home", path, "--state", state, "start", ...more], {
        env: environment(folder, extra),
        stdio: ["ignore", "ignore", "pipe"],
      });
      const daemon = watch(child);
      started.push(daemon);
      return daemon;
    },
    ask(...command) {
      const result = spawnSync(process.execPath, [program, "--home", path, "--state", state, ...command, "--json"], {
        env: environment(folder),
        encoding: "utf8",
        maxBuffer: 1 << 28,
      });
      try {
        return { status: result.status, json: JSON.parse(result.stdout) as never, stderr: result.stderr };
      } catch {
        throw new Error(`"${command.join(" ")} --json" printed no JSON: ${result.stdout}${result.stderr}`);
      }
    },
    runs: () => readLedger(state, (ledger) => ledger.runs({ limit: 0 }).map(runJson)),
    slots: () => readLedger(state, (ledger) => ledger.slots({ limit: 0 }).map(slotJson)),
  };
  return home;
}

/** Reads beside the daemon, as the commands do; a process for each look would be most of a test's time. */
function readLedger<Found>(state: string, read: (ledger: RunLedger) => Found): Found {
  const ledger = createRunLedger({ files: createFiles() }, join(state, "supervisor.db"), { readOnly: true });
  try {
    return read(ledger);
  } finally {
    ledger.dispose();
  }
}

function watch(child: ChildProcess): Daemon {
  let log = "";
  const waiting = new Set<() => void>();
  child.stderr?.setEncoding("utf8").on("data", (part: string) => {
    log += part;
    for (const look of [...waiting]) look();
  });
  const exited = new Promise<{ code: number | null; signal: string | null }>((resolve) => {
    const end = (code: number | null, signal: string | null): void => resolve({ code, signal });
    // The last of its log may come after its exit, unless a process that it left holds the pipe.
    child.on("close", end).on("exit", (...how) => void setTimeout(end, 1000, ...how).unref());
  });
  return {
    process: child,
    pid: child.pid ?? 0,
    log: () => log,
    said: (text) =>
      new Promise<void>((resolve, reject) => {
        const look = (): void => {
          if (!log.includes(text)) return;
          waiting.delete(look);
          resolve();
        };
        waiting.add(look);
        void exited.then(() => reject(new Error(`The daemon ended before it said "${text}": ${log}`)));
        look();
      }),
    kill: (signal) => void child.kill(signal),
    exited,
  };
}

/** Ends what a test's runs left alive: only sessions whose leader names this very state folder on its command line. */
function endRunsOf(state: string): void {
  const found = spawnSync("pgrep", ["-f", `launch.sh ${state}/runs/`], { encoding: "utf8" });
  for (const pid of found.stdout.split("\n").filter((line) => line !== "")) {
    try {
      process.kill(-Number(pid), "SIGKILL");
    } catch {
      // It ended in between.
    }
  }
}

/** A script job; due at its first `next_run_at`, which is missing unless given, and then set from the schedule. */
export function scriptJob(
  id: string,
  schedule: string | number,
  script: string,
  more: Record<string, unknown> = {},
): JobRecord {
  const rule =
    typeof schedule === "number"
      ? { kind: "interval", minutes: schedule, display: `every ${schedule}m` }
      : { kind: "cron", expr: schedule, display: schedule };
  return {
    id,
    name: `job ${id}`,
    prompt: "",
    script,
    no_agent: true,
    schedule: rule,
    schedule_display: rule.display,
    repeat: { times: null, completed: 0 },
    enabled: true,
    state: "scheduled",
    created_at: "2026-01-01T00:00:00+00:00",
    next_run_at: null,
    last_run_at: null,
    last_status: null,
    last_error: null,
    deliver: "local",
    ...more,
  };
}

export function isoIn(ms: number): string {
  return new Date(Date.now() + ms).toISOString().replace("Z", "000+00:00");
}

/**
 * A home whose first daemon has written down where its slots begin, before the job that `make` puts into it comes due: the slower the
 * machine, the later that is.
 */
export async function beginBefore<Made extends { readonly home: SupervisedHome }>(
  leadMs: number,
  make: (dueAt: string) => Made,
): Promise<Made> {
  for (let ms = leadMs; ; ms *= 2) {
    const dueAt = isoIn(ms);
    const made = make(dueAt);
    await made.home.start({}, ["--once"]).exited;
    // The next daemon has to be up by then, too.
    if (Date.now() + ms / 2 < Date.parse(dueAt)) return made;
  }
}

/** Looks until `find` gives something. The bound is only there so that a broken program ends the test. */
export async function until<Found>(find: () => Found | null | undefined | false, boundMs = 60_000): Promise<Found> {
  const end = Date.now() + boundMs;
  for (;;) {
    const found = find();
    // A file that is made and not yet written reads as the number 0.
    if (found !== null && found !== undefined && found !== false && found !== 0) return found;
    if (Date.now() > end) throw new Error("What the test waits for did not happen");
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

/** A socket's file is there a moment before anybody answers at it. */
export async function untilAnswering(home: SupervisedHome): Promise<void> {
  const answers = (): Promise<boolean> =>
    new Promise((resolve) => {
      const socket = connect(join(home.state, "control.sock"));
      socket.once("connect", () => resolve(true)).once("error", () => resolve(false));
      socket.once("connect", () => socket.destroy());
    });
  const endMs = performance.now() + 20_000;
  while (!(await answers())) {
    if (performance.now() > endMs)
      throw new Error("Cannot reach the daemon: its control socket does not answer after 20 s");
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

export function isAlive(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return !/^[ZX]/.test(stat.slice(stat.lastIndexOf(")") + 2));
  } catch {
    return false;
  }
}
