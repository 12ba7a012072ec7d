import { type ChildProcess, spawn } from "node:child_process";
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { fileURLToPath } from "node:url";

const editor = fileURLToPath(new URL("edit-record.py", import.meta.url));

// All that is due may start at once. No update check, no package and no scanner is fetched; a zone without clock changes gives the same answers all year.
const config = `security: {allow_lazy_installs: false, tirith_enabled: false}
plugins: {auto_update_check_hours: 0}
cron: {max_parallel_jobs: 16}
timezone: Asia/Kolkata
`;

/** What a command printed, and how it ended. */
export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A job's record as it stands in `jobs.json`. */
export interface StoredJob {
  readonly id: string;
  readonly name: string;
  readonly enabled: boolean;
  readonly state: string;
  readonly next_run_at: string | null;
  readonly last_run_at: string | null;
  readonly last_status: string | null;
  readonly last_error: string | null;
  readonly repeat: { readonly times: number | null; readonly completed: number };
  readonly fire_claim?: { readonly at: string; readonly by: string } | null;
  readonly [field: string]: unknown;
}

/** A Hermes home in a folder of its own, with the interpreter of the release that made it. */
export interface Home {
  readonly path: string;
  readonly python: string;
  /** Everything of this home and of the processes that ran on it: home, user's home, state folders. */
  readonly folder: string;
}

export function createHome(python: string, scripts: string, env = ""): Home {
  const folder = mkdtempSync(`${tmpdir()}/hermes-conformance-`);
  const home = { folder, path: `${folder}/home`, python };
  mkdirSync(home.path, { mode: 0o700 });
  mkdirSync(`${folder}/user`);
  writeFileSync(`${home.path}/config.yaml`, config, { mode: 0o600 });
  writeFileSync(`${home.path}/.env`, env, { mode: 0o600 });
  cpSync(scripts, `${home.path}/scripts`, { recursive: true });
  return home;
}

/** The same store, scripts and history in another place. */
export function copyHome(home: Home): Home {
  const folder = mkdtempSync(`${tmpdir()}/hermes-conformance-`);
  cpSync(home.folder, folder, { recursive: true, preserveTimestamps: true });
  // A copied folder gets the mode of the process, not of its model.
  for (const name of ["home", "home/cron", "home/cron/output", "home/scripts"]) {
    if (existsSync(`${home.folder}/${name}`)) chmodSync(`${folder}/${name}`, modeOf(`${home.folder}/${name}`));
  }
  return { folder, path: `${folder}/home`, python: home.python };
}

/** A second profile of `home`, made of its own store and scripts, with an `.env` of its own. */
export function addProfile(home: Home, name: string, env: string): Home {
  const path = `${home.path}/profiles/${name}`;
  const aside = `${home.folder}/${name}`;
  cpSync(home.path, aside, { recursive: true });
  mkdirSync(`${home.path}/profiles`, { recursive: true });
  cpSync(aside, path, { recursive: true });
  rmSync(aside, { recursive: true });
  writeFileSync(`${path}/.env`, env, { mode: 0o600 });
  return { folder: home.folder, path, python: home.python };
}

export function removeHome(home: Home): void {
  rmSync(home.folder, { recursive: true, force: true });
}

/** All that a process of this home gets: Hermes reads more from the variables of whoever starts it. */
export function environmentOf(home: Home): Record<string, string> {
  return {
    PATH: process.env["PATH"] ?? "/usr/bin:/bin",
    HOME: `${home.folder}/user`,
    LANG: "C.UTF-8",
    HERMES_HOME: home.path,
    HERMES_DISABLE_LAZY_INSTALLS: "1",
    HERMES_GATEWAY_LOCK_DIR: `${home.folder}/user/locks`,
  };
}

/** Runs the real `hermes` with these arguments; its standard input is closed. */
export function hermes(home: Home, ...args: readonly string[]): Promise<Ended> {
  return finish(spawnHermes(home, ...args));
}

export function spawnHermes(home: Home, ...args: readonly string[]): ChildProcess {
  return start(home.python, ["-m", "hermes_cli.main", ...args], environmentOf(home));
}

/** Runs Python with this release's modules, as a program that uses Hermes as a library would. */
export function hermesLibrary(home: Home, ...args: readonly string[]): Promise<Ended> {
  return finish(start(home.python, args, environmentOf(home)));
}

const live = new Set<ChildProcess>();

/** Starts a program in a session of its own, so that `stopAll` reaches what it leaves behind. */
export function start(
  program: string,
  args: readonly string[],
  environment: Readonly<Record<string, string>>,
): ChildProcess {
  const child = spawn(program, args, { env: environment, stdio: ["ignore", "pipe", "pipe"], detached: true });
  live.add(child);
  child.once("exit", () => live.delete(child));
  return child;
}

export function finish(child: ChildProcess): Promise<Ended> {
  const chunks = { stdout: "", stderr: "" };
  child.stdout?.setEncoding("utf8").on("data", (text: string) => {
    chunks.stdout += text;
  });
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    chunks.stderr += text;
  });
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code) => resolve({ code, ...chunks }));
  });
}

/** Ends what a failed test left running. */
export function stopAll(): void {
  for (const child of live) {
    if (child.pid === undefined) continue;
    try {
      process.kill(-child.pid, "SIGKILL");
    } catch {
      // It has just ended by itself.
    }
  }
}

/** Runs `hermes cron create` and returns the id that it printed. */
export async function createJob(home: Home, schedule: string, ...options: readonly string[]): Promise<string> {
  const ended = await hermes(home, "cron", "create", schedule, ...options, "--deliver", "local");
  const id = /^Created job: (\S+)$/mu.exec(ended.stdout)?.[1];
  if (id === undefined) throw new Error(`Cannot create job "${schedule}": ${ended.stdout}${ended.stderr}`);
  return id;
}

export function storeText(home: Home): string {
  return readFileSync(`${home.path}/cron/jobs.json`, "utf8");
}

export function storedJobs(home: Home): readonly StoredJob[] {
  return (JSON.parse(storeText(home)) as { readonly jobs: readonly StoredJob[] }).jobs;
}

export function storedJob(home: Home, name: string): StoredJob {
  const job = storedJobs(home).find((one) => one.name === name);
  if (job === undefined) throw new Error(`Cannot find job "${name}" in "${home.path}"`);
  return job;
}

/** By name, the bytes of each record. */
export function recordTexts(home: Home): ReadonlyMap<string, string> {
  const records = storeText(home).match(/^ {4}\{\n(?: {6}.*\n)+ {4}\}/gmu) ?? [];
  return new Map(records.map((text) => [(JSON.parse(text) as StoredJob).name, text]));
}

/** Gives fields of a record other JSON text, under the lock of the store. */
export async function editRecord(home: Home, name: string, fields: Readonly<Record<string, string>>): Promise<void> {
  const args = Object.entries(fields).flatMap(([field, value]) => [field, JSON.stringify(value)]);
  const ended = await hermesLibrary(home, editor, `${home.path}/cron/jobs.json`, storedJob(home, name).id, ...args);
  if (ended.code !== 0) throw new Error(ended.stderr.trim());
}

/** By job name, the output documents: file name to text. */
export function documents(home: Home, name: string): ReadonlyMap<string, string> {
  const folder = `${home.path}/cron/output/${storedJob(home, name).id}`;
  if (!existsSync(folder)) return new Map();
  return new Map(
    readdirSync(folder)
      .sort()
      .map((file) => [file, readFileSync(`${folder}/${file}`, "utf8")]),
  );
}

/** The lines that scripts of this home wrote to `<home>/<file>`. */
export function lines(home: Home, file: string): readonly string[] {
  const path = `${home.path}/${file}`;
  return existsSync(path) ? readFileSync(path, "utf8").split("\n").slice(0, -1) : [];
}

export function modeOf(path: string): number {
  return statSync(path).mode & 0o777;
}

/** Waits until `fact` holds. */
export async function until(what: string, fact: () => boolean | Promise<boolean>, limitMs = 30_000): Promise<void> {
  const endMs = performance.now() + limitMs;
  while (!(await fact())) {
    if (performance.now() > endMs) throw new Error(`Cannot wait for ${what}: still not so after ${limitMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
