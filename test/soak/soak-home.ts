import { spawnSync } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { type Daemon, makeSupervisedHome, type SupervisedHome } from "../helpers/supervised-home.ts";
import { evidenceFolder, evidenceScript } from "./evidence.ts";
import { recordOf, type SoakJob, soakHomes } from "./soak-jobs.ts";

export const repository = join(import.meta.dirname, "../..");

/** The program as it is now, built into a folder of its own: edits to the sources do not reach a soak that is under way. */
export interface BuiltProgram {
  readonly path: string;
  remove(): void;
}

export function buildProgram(): BuiltProgram {
  const parent = join(repository, ".cache");
  mkdirSync(parent, { recursive: true });
  const folder = mkdtempSync(join(parent, "soak-"));
  const remove = (): void => rmSync(folder, { recursive: true, force: true });
  const compiler = join(repository, "node_modules/.bin/tsc");
  const config = join(repository, "tsconfig.build.json");
  const path = join(folder, "dist/src/cli/main.js");
  const built = spawnSync(compiler, ["-p", config, "--outDir", join(folder, "dist")], { encoding: "utf8" });
  // That types are right is for `npm run types` to say.
  if (!existsSync(path)) {
    remove();
    throw new Error(`Cannot build the program: ${built.stdout}${built.stderr}`);
  }
  cpSync(join(repository, "package.json"), join(folder, "package.json"));
  cpSync(join(repository, "worker"), join(folder, "worker"), { recursive: true });
  symlinkSync(join(repository, "node_modules"), join(folder, "node_modules"));
  return { path, remove };
}

/** A home for one scene. It is removed only when asked, so that a failure can be looked at. */
export interface SoakHome extends SupervisedHome {
  readonly folder: string;
  readonly evidence: string;
  /** Ends every daemon and all that their runs left, each by its own id. Returns what was left of the runs. */
  end(): Promise<readonly string[]>;
  remove(): Promise<void>;
}

export function makeSoakHome(program: BuiltProgram): SoakHome {
  let clean: (() => Promise<void>) | null = null;
  const home = makeSupervisedHome((given) => {
    clean = given;
  }, program.path);
  // Jobs that are to fail each time would be held back, and the scenes count on each of their instants.
  home.hostConfig("defaults: {crash_loop: none}\n");
  const daemons: Daemon[] = [];
  const folder = dirname(home.path);
  return {
    ...home,
    folder,
    evidence: join(folder, "evidence"),
    start(extra, more) {
      const daemon = home.start(extra, more);
      daemons.push(daemon);
      return daemon;
    },
    async end() {
      for (const daemon of daemons) {
        daemon.kill("SIGKILL");
        await daemon.exited;
      }
      const left = findLeftProcesses(folder);
      for (const { pid } of left) {
        try {
          process.kill(pid, "SIGKILL");
        } catch {
          // It ended in between.
        }
      }
      return left.map(({ pid, text }) => `process ${pid}: ${text}`);
    },
    async remove() {
      await clean?.();
    },
  };
}

export function homePath(home: SoakHome, name: string): string {
  return name === "default" ? home.path : home.profile(name);
}

export function writeScript(home: SoakHome, job: SoakJob): void {
  const text = evidenceScript(evidenceFolder(home.evidence, job.home, job.id), job.body);
  home.script(`${job.id}.sh`, text, homePath(home, job.home));
}

/** Writes the stores, scripts and settings of the two homes. */
export function writeHomes(
  home: SoakHome,
  jobs: readonly SoakJob[],
  parallelJobsMax: Readonly<Record<(typeof soakHomes)[number], number>>,
): void {
  for (const job of jobs) writeScript(home, job);
  for (const name of soakHomes) {
    const path = homePath(home, name);
    home.writeJobs(jobs.filter((job) => job.home === name).map(recordOf), path);
    writeFileSync(join(path, "config.yaml"), `cron: {max_parallel_jobs: ${parallelJobsMax[name]}}\n`);
  }
}

interface LeftProcess {
  readonly pid: number;
  readonly text: string;
}

/** Processes that carry the environment of a run, its lifeline or its job's lock. */
export function findLeftProcesses(folder: string): readonly LeftProcess[] {
  return readdirSync("/proc").flatMap((name): readonly LeftProcess[] => {
    const pid = Number(name);
    if (!Number.isInteger(pid)) return [];
    try {
      const isOfRun =
        readFileSync(`/proc/${pid}/environ`, "utf8").includes(`HERMES_SUPERVISOR_RUN_DIR=${folder}/`) ||
        openFiles(pid).some((path) => path.startsWith(`${folder}/`) && /\/(?:alive|lock)$/.test(path));
      if (!isOfRun) return [];
      return [{ pid, text: readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ").trim() }];
    } catch {
      // It ended in between, or is another user's.
      return [];
    }
  });
}

function openFiles(pid: number): readonly string[] {
  return readdirSync(`/proc/${pid}/fd`).flatMap((name) => {
    try {
      return [readlinkSync(`/proc/${pid}/fd/${name}`)];
    } catch {
      return [];
    }
  });
}
