import { createHash } from "node:crypto";
import { createGatePool, type GatePool } from "../child/gate-pool.ts";
import type { WaitingBash } from "../child/waiting-bash.ts";
import { effectiveSettings, jobSettings, type Settings } from "../config/effective-settings.ts";
import { configFile, type HomeSource, type Loaded, loadHomeConfig } from "../config/load-config.ts";
import type { ConfigLayer } from "../config/parse-config.ts";
import { policyWarnings } from "../config/policy-warnings.ts";
import { periodMs } from "../core/grace.ts";
import { formatInstant } from "../core/instant.ts";
import type { JobKind } from "../core/job.ts";
import { boundsOf } from "../core/room.ts";
import { createZone, type Zone } from "../core/zone.ts";
import { type EnvFile, readEnvFile, resolveEnvFile } from "../homes/env-file.ts";
import { type EnvironmentSnapshot, hashVariables, snapshotEnvironment } from "../homes/environment.ts";
import { type HermesPlaces, type InstalledHermes, scriptPython, toolFolders } from "../homes/find-hermes.ts";
import { type FoundHome, readHolds } from "../homes/find-homes.ts";
import { findOnPath } from "../homes/find-on-path.ts";
import { resolveHermesSettings, shownHermesSettings } from "../homes/home-config.ts";
import { promptEnvironment } from "../homes/prompt-environment.ts";
import { blockedVariables } from "../homes/script-blocked-variables.ts";
import { makeScratchFolder, scriptEnvironment } from "../homes/script-environment.ts";
import { plainPython, startedPython } from "../homes/script-python.ts";
import { secretsOf } from "../homes/secrets.ts";
import { createHermesExecutions, type OpenExecutions } from "../ledger/hermes-executions.ts";
import { createJobStore } from "../store/job-store.ts";
import { type FileIdentity, sameFile } from "../system/files.ts";
import { isBeingWritten } from "../system/settled-file.ts";
import type { System } from "../system/system.ts";
import type { HermesFinder } from "./hermes-finder.ts";
import type { HomeRuntime, HomeSettings } from "./home-runtime.ts";

/** What all homes of one daemon share. */
export interface HomeSources {
  readonly system: System;
  readonly stateFolder: string;
  readonly launcherPath: string;
  readonly waitingBash: WaitingBash;
  /** The daemon's own environment, which is only read. */
  readonly variables: Readonly<Record<string, string | undefined>>;
  /** Keys the hashes of values. */
  readonly hashKey: string;
  readonly rootHome: string;
  readonly hermes: HermesFinder;
  host(): ConfigLayer;
  /** What the daemon was started with counts over every file. */
  readonly overrides: readonly ConfigLayer[];
  /** Where there are no real files to open. */
  readonly openExecutions?: OpenExecutions;
  /** Why the disk of a folder is too full to start what writes there, or null. */
  diskShortage(folder: string): string | null;
}

/** A home with the reader of its settings. */
export interface OpenHome {
  readonly runtime: HomeRuntime;
  /** Reads `config.yaml` and `.env` again if they changed. True when anything that counts is now different. */
  reload(): boolean;
}

interface EnvState {
  readonly file: EnvFile | null;
  readonly identity: FileIdentity | null;
  readonly error: string | null;
}

/** Whether a file was good at least once, so that there is something to keep when it turns bad. */
interface EverGood {
  config: boolean;
  environment: boolean;
}

export function openHome(sources: HomeSources, found: FoundHome): OpenHome {
  const { system } = sources;
  let config: Loaded<HomeSource> | null = null;
  let environment: EnvState = { file: null, identity: null, error: null };
  let host: ConfigLayer | null = null;
  const everGood: EverGood = { config: false, environment: false };
  let places: HermesPlaces | null = null;
  /** The last one that was found: what it blocks counts on while it is asked again. */
  let hermes: InstalledHermes | null = null;

  const isOtherHermes = (): boolean => {
    if (places === null) return true;
    const look = sources.hermes.look(places);
    return !look.isFinding && look.hermes?.identity !== hermes?.identity;
  };

  const read = (): HomeSettings | null => {
    const nextConfig = loadHomeConfig(system, `${found.path}/config.yaml`, config);
    const nextEnvironment = loadEnvFile(system, `${found.path}/.env`, environment);
    const nextHost = sources.host();
    const isSameConfig = config !== null && config.value === nextConfig.value && config.error === nextConfig.error;
    config = nextConfig;
    if (isSameConfig && nextEnvironment === environment && nextHost === host && !isOtherHermes()) return null;
    environment = nextEnvironment;
    host = nextHost;
    everGood.config ||= config.error === null;
    everGood.environment ||= environment.error === null;
    const files = filesOf(sources, found, host, config, environment);
    places = {
      named: files.inForce.hermesPython,
      path: files.path,
      userHome: files.userHome,
      rootHome: sources.rootHome,
      toolFolders: toolFolders({ ...sources.variables, ...files.snapshot.variables }),
    };
    const look = sources.hermes.look(places);
    if (!look.isFinding) hermes = look.hermes;
    const usable = everGood.config && everGood.environment;
    return settingsOf(sources, found, files, config, environment, usable, places, hermes);
  };

  const settings = read();
  if (settings === null) throw new Error(`Cannot open home "${found.name}": its settings were not read`);
  // The zone may change under way, so the store asks for the one in force.
  const zone = (): Zone => runtime.settings.zone;
  const shortage = (): string | null =>
    sources.diskShortage(sources.stateFolder) ?? sources.diskShortage(`${found.path}/cron`);
  const pool = (kind: JobKind): GatePool =>
    createGatePool(system, `${sources.stateFolder}/runs`, sources.launcherPath, sources.waitingBash, kind);
  const runtime: HomeRuntime = {
    name: found.name,
    path: found.path,
    cronFolder: `${found.path}/cron`,
    store: createJobStore(system, `${found.path}/cron`, {
      // A stored time without an offset was written by the server's own clock, whatever zone Hermes is told to use.
      naiveZone: createZone(null, serverOffsetMinutes(system)),
      nowText: () => formatInstant(system.clock.nowMs(), zone()),
      onMended: (jobId, error, nextRunAt) =>
        system.log.warn("the next run of a job could not be read and was computed anew", {
          home: found.name,
          job_id: jobId,
          error,
          next_run_at: nextRunAt,
        }),
    }),
    pools: { script: pool("script"), prompt: pool("prompt") },
    hold() {
      const marker = readHolds(system, found, sources.rootHome, runtime.settings.standalone)[0];
      return marker?.kind ?? (shortage() === null ? null : "disk");
    },
    diskShortage: shortage,
    settings,
    state: { kind: "active" },
    endsFault: null,
    executions: createHermesExecutions(system, `${found.path}/cron/executions.db`, sources.openExecutions),
    executionsDue: new Map(),
    cursors: new Map(),
    restored: new Map(),
    fencedUntilMonotonicMs: new Map(),
    retries: new Map(),
    health: new Map(),
    unvoided: new Set(),
    wakeAtMs: null,
    standing: null,
    rehearsed: null,
    dirty: true,
    waiting: 0,
    waitsFor: new Map(),
    recovering: 0,
    isCleared: false,
    retryAtMonotonicMs: null,
    lockBusy: null,
  };
  return {
    runtime,
    reload() {
      const next = read();
      if (next === null) return false;
      runtime.settings = next;
      return true;
    },
  };
}

function serverOffsetMinutes(system: System): number {
  return -new Date(system.clock.nowMs()).getTimezoneOffset();
}

/** What the files of a home come to, put over those of the host. */
interface HomeFiles {
  readonly inForce: Settings;
  readonly snapshot: EnvironmentSnapshot;
  readonly path: string;
  readonly userHome: string | null;
}

function filesOf(
  sources: HomeSources,
  found: FoundHome,
  host: ConfigLayer,
  config: Loaded<HomeSource>,
  environment: EnvState,
): HomeFiles {
  const { variables } = sources;
  const inForce = effectiveSettings(host, config.value.section, variables, sources.overrides);
  const snapshot = snapshotEnvironment(
    variables,
    inForce.environmentPass,
    environment.file,
    found.path,
    sources.hashKey,
  );
  const path = snapshot.variables["PATH"] ?? "/usr/local/bin:/usr/bin:/bin";
  return { inForce, snapshot, path, userHome: snapshot.variables["HOME"] ?? null };
}

function settingsOf(
  sources: HomeSources,
  found: FoundHome,
  { inForce, snapshot, path, userHome }: HomeFiles,
  config: Loaded<HomeSource>,
  environment: EnvState,
  usable: boolean,
  places: HermesPlaces,
  installed: InstalledHermes | null,
): HomeSettings {
  const { system, variables } = sources;
  const hermes = resolveHermesSettings(config.value.hermes, { ...variables, ...snapshot.variables });
  const additions = {
    terminal: hermes.terminal,
    // Nothing at all is written to a home of an unknown layout.
    scratchFolder: found.state === "unsupported" ? null : makeScratchFolder(system.files, found.path),
    hermesFolder: hermesFolder(system, path, installed),
  };
  const blocked = installed?.blockedNames ?? blockedVariables;
  const scriptVariables = scriptEnvironment(snapshot.variables, additions, blocked);
  const promptVariables = promptEnvironment(snapshot, installed?.checkout ?? null);
  const idle = Number(snapshot.variables["HERMES_CRON_TIMEOUT"] ?? "600");
  const parallelJobsMax = hermes.maxParallelJobs ?? Number.POSITIVE_INFINITY;
  const errors = [config.error?.message ?? null, environment.error].filter((text) => text !== null);
  return {
    zone: createZone(hermes.timezone, serverOffsetMinutes(system)),
    parallelJobsMax,
    bounds: boundsOf(found.name, parallelJobsMax, inForce.groupLimits),
    timeoutMs: (job) => jobSettings(inForce, hermes.scriptTimeoutMs, job).timeoutMs,
    standalone: hermes.standalone,
    outputKeepMax: hermes.outputRetention,
    limits: (job) => jobSettings(inForce, hermes.scriptTimeoutMs, job),
    policy: (job) => jobSettings(inForce, hermes.scriptTimeoutMs, job),
    runClaimLifeMs: Math.max(1_800_000, Number.isFinite(idle) && idle > 0 ? 3000 * idle : 0),
    catchUpMissed: hermes.catchUpMissed,
    environments: {
      script: {
        id: fingerprintOf(scriptVariables),
        variables: scriptVariables,
        hashes: hashVariables(scriptVariables, sources.hashKey),
      },
      // Hermes reads its config when its worker starts, so one that was started with another is of no use.
      prompt: {
        id: `${fingerprintOf(promptVariables)} ${config.contentHash} ${installed?.identity}`,
        variables: promptVariables,
        hashes: hashVariables(promptVariables, sources.hashKey),
      },
    },
    // Asked each time: what was found may be gone or another one by then.
    get hermes() {
      return sources.hermes.look(places).hermes;
    },
    get isFindingHermes() {
      return sources.hermes.look(places).isFinding;
    },
    get hermesFault() {
      return sources.hermes.look(places).fault;
    },
    secrets: environment.file === null ? [] : secretsOf(resolveEnvFile(environment.file, {})),
    userHome,
    get python() {
      const look = sources.hermes.look(places);
      const start = look.hermes?.scriptStart ?? null;
      const program = scriptPython(system, places, look.hermes, look.isFinding);
      return (start === null ? null : startedPython(start)) ?? (program === null ? null : plainPython(program));
    },
    bash: findOnPath(system, path, "bash") ?? (system.files.stat("/bin/bash") === null ? null : "/bin/bash"),
    orphans: inForce.orphans,
    shown: [...inForce.shown, ...shownHermesSettings(hermes, config.value.hermesSources)],
    policyWarnings: (jobs, nowMs) => {
      const zone = createZone(hermes.timezone, serverOffsetMinutes(system));
      const schedules = new Map(jobs.map(({ id, schedule }) => [id, schedule]));
      return policyWarnings(jobs, inForce, hermes, ({ id }) => {
        const schedule = schedules.get(id) ?? null;
        return schedule === null ? null : periodMs(schedule, zone, nowMs);
      });
    },
    config: { error: config.error, inForce: config.inForce },
    configFile: configFile(`${found.path}/config.yaml`, config),
    environmentError: environment.error,
    error: errors.length === 0 ? null : errors.join("; "),
    usable,
    hermesWarnings: hermes.warnings,
    warnings: [...hermes.warnings, ...snapshot.warnings],
  };
}

/** Where the command `hermes` is: on the path, else beside the interpreter of the installed one. */
function hermesFolder(system: System, path: string, installed: InstalledHermes | null): string | null {
  const beside = installed?.python.slice(0, installed.python.lastIndexOf("/")) ?? "";
  const command = findOnPath(system, path, "hermes") ?? findOnPath(system, beside, "hermes");
  return command === null ? null : command.slice(0, command.lastIndexOf("/"));
}

/** Tells one set of variables from another without keeping a value. */
function fingerprintOf(variables: Readonly<Record<string, string>>): string {
  const hash = createHash("sha256");
  for (const name of Object.keys(variables).sort()) hash.update(`${name}\0${variables[name]}\0`);
  return hash.digest("hex").slice(0, 16);
}

/** A file that cannot be used leaves the last good one in force, and says so. */
function loadEnvFile(system: System, path: string, last: EnvState): EnvState {
  let identity: FileIdentity | null = null;
  try {
    identity = system.files.stat(path);
    if (sameFile(identity, last.identity) && (identity !== null || last.file === null)) return last;
    if (last.file !== null && isBeingWritten(system, path, last.identity)) return last;
    if (identity === null) return { file: null, identity, error: null };
    return { file: readEnvFile(system.files, path), identity, error: null };
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    return { file: last.file, identity, error: text };
  }
}
