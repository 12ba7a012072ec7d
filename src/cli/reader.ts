import { join } from "node:path";
import { effectiveSettings, jobSettings, type Settings } from "../config/effective-settings.ts";
import { configFile, type HomeSource, type Loaded, loadHomeConfig, loadHostConfig } from "../config/load-config.ts";
import { readOverrides } from "../config/overrides.ts";
import type { ConfigLayer } from "../config/parse-config.ts";
import type { ConfigError } from "../config/yaml-text.ts";
import { restartsWithinMs } from "../core/alerts.ts";
import { zoneNote } from "../core/home-history.ts";
import { formatInstant } from "../core/instant.ts";
import type { Job } from "../core/job.ts";
import { suspectJobs } from "../core/job-health.ts";
import { owedSince } from "../core/owed-slots.ts";
import { boundsOf } from "../core/room.ts";

import { allAtOnce } from "../core/work.ts";
import { createZone, type Zone } from "../core/zone.ts";
import { diskShortage } from "../homes/disk-room.ts";
import { type EnvFile, parseEnvFile } from "../homes/env-file.ts";
import { snapshotEnvironment } from "../homes/environment.ts";
import {
  candidateKey,
  type HermesPlaces,
  hermesCandidates,
  hermesIdentity,
  hermesNote,
  type InstalledHermes,
  parseHermesNote,
  toolFolders,
} from "../homes/find-hermes.ts";
import { type FoundHome, findHomes, readHolds } from "../homes/find-homes.ts";
import { type HermesSettings, resolveHermesSettings } from "../homes/home-config.ts";
import { createRunLedger, type RunLedger } from "../ledger/run-ledger.ts";
import { type StatusJson, statusSnapshot } from "../status/snapshot.ts";
import { type ConfigFileView, type DaemonView, type HomeView, idleRetention } from "../status/view.ts";
import { createJobStore, type JobStore } from "../store/job-store.ts";
import { packageRoot } from "../system/package-root.ts";
import type { CommandParts } from "./command-parts.ts";
import { findJob, matchJobs, type NamedJob, notFound } from "./find-job.ts";

/** One home as its files tell it. */
export interface HomeReading {
  readonly name: string;
  readonly path: string;
  readonly state: HomeView["state"];
  readonly reason: string | null;
  readonly jobs: readonly Job[];
  readonly strays: readonly string[];
  readonly diskShortage: string | null;
  readonly zone: Zone;
  readonly settings: Settings;
  readonly hermes: HermesSettings;
  /** Where its Hermes may be installed. */
  readonly places: HermesPlaces;
  readonly configPath: string;
  readonly configError: ConfigError | null;
  readonly config: Loaded<HomeSource>;
}

export interface JobReading extends NamedJob {
  /** Null when only the history still knows it. */
  readonly job: Job | null;
}

/** Reads what commands show, without the daemon and without waiting for anybody. */
export interface Reader {
  readonly hostConfigPath: string;
  host(): Loaded<ConfigLayer>;
  /** What is in force for the host, without the sections of homes. */
  hostSettings(): Settings;
  /** Looks at the files again, each only if it changed. */
  homes(): readonly HomeReading[];
  /** Why not all homes could be found, or null. */
  homesError(): string | null;
  ledger(): RunLedger;
  /** The zone of times without an offset, and of what belongs to no home. */
  zone(home?: string): Zone;
  /** The job that `text` means, from the stores or, failing that, by its id or the name of its last run from the history. Throws a `CommandError`. */
  job(text: string): JobReading;
  daemon(): DaemonView;
  status(daemon: DaemonView): StatusJson;
}

interface OpenHome {
  readonly store: JobStore;
  config: Loaded<HomeSource> | null;
}

const dayMs = 86_400_000;
const orphanedRunsMax = 1000;
const missedSlotsMax = 1000;

export interface ReaderOptions {
  /** What counts over every file; unless given, what the command's own environment sets. */
  readonly overrides?: readonly ConfigLayer[];
  /** Config files that are read in place of others, by the path of the other. */
  readonly instead?: ReadonlyMap<string, string>;
}

export function createReader(parts: CommandParts, { overrides, instead }: ReaderOptions = {}): Reader {
  const { system, environment, rootHome, stateFolder } = parts;
  const placeOf = (path: string): string => instead?.get(path) ?? path;
  const hostConfigPath = placeOf(join(stateFolder, "config.yaml"));
  const upper = overrides ?? readOverrides([], environment).layers;
  const opened = new Map<string, OpenHome>();
  let host: Loaded<ConfigLayer> | null = null;
  let ledger: RunLedger | null = null;
  let ledgerIsThere = false;
  let foundError: string | null = null;

  function serverOffsetMinutes(): number {
    return -new Date(system.clock.nowMs()).getTimezoneOffset();
  }

  function readHost(): Loaded<ConfigLayer> {
    host = loadHostConfig(system, hostConfigPath, host);
    return host;
  }

  function readHomes(): readonly HomeReading[] {
    const found = findHomes(system, rootHome);
    foundError = found.error;
    return found.homes.map((home) => readHome(home, readHost()));
  }

  function readHome(found: FoundHome, hostConfig: Loaded<ConfigLayer>): HomeReading {
    let open = opened.get(found.path);
    if (open === undefined) {
      const naiveZone = createZone(null, serverOffsetMinutes());
      const nowText = (): string => formatInstant(system.clock.nowMs(), naiveZone);
      open = { store: createJobStore(system, join(found.path, "cron"), { naiveZone, nowText }), config: null };
      opened.set(found.path, open);
    }
    const configPath = placeOf(join(found.path, "config.yaml"));
    open.config = loadHomeConfig(system, configPath, open.config);
    const settings = effectiveSettings(hostConfig.value, open.config.value.section, environment, upper);
    // Only a few variables of the home are looked at, and none is kept, so nothing needs a secret key.
    const { variables } = snapshotEnvironment(
      environment,
      settings.environmentPass,
      readEnvFile(found),
      found.path,
      "",
    );
    const hermes = resolveHermesSettings(open.config.value.hermes, { ...environment, ...variables });
    const shared = {
      name: found.name,
      path: found.path,
      zone: createZone(keptZone(found.name, open.config) ?? hermes.timezone, serverOffsetMinutes()),
      settings,
      hermes,
      places: {
        named: settings.hermesPython,
        path: variables["PATH"] ?? "",
        userHome: variables["HOME"] ?? null,
        rootHome,
        toolFolders: toolFolders({ ...environment, ...variables }),
      },
      configPath,
      configError: open.config.error,
      config: open.config,
      diskShortage:
        diskShortage(system.files, stateFolder, settings.freeBytesMin) ??
        diskShortage(system.files, join(found.path, "cron"), settings.freeBytesMin),
    };
    const none = { jobs: [], strays: [] };
    if (found.state !== "active") return { ...shared, ...none, state: found.state, reason: found.reason };
    try {
      const { jobs, strays } = open.store.read();
      const hold = readHolds(system, found, rootHome, hermes.standalone)[0];
      const reason = hold?.kind ?? (shared.diskShortage === null ? null : "disk");
      return { ...shared, jobs, strays, state: reason === null ? "active" : "paused", reason };
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      return { ...shared, ...none, state: "degraded", reason: error.message };
    }
  }

  function readEnvFile(found: FoundHome): EnvFile | null {
    const path = join(found.path, ".env");
    try {
      return system.files.stat(path) === null ? null : parseEnvFile(system.files.read(path), path);
    } catch {
      // The daemon reports a file that it cannot use; what is shown here is then as if there were none.
      return null;
    }
  }

  /** What the daemon goes on with where the configuration cannot be read. */
  function keptZone(name: string, { error }: Loaded<HomeSource>): string | null {
    return error === null ? null : openLedger().note(zoneNote(name));
  }

  function openLedger(): RunLedger {
    const path = join(stateFolder, "supervisor.db");
    // Where there was none, the first daemon may have made one since.
    if (ledger !== null && !ledgerIsThere && system.files.stat(path) !== null) {
      ledger.dispose();
      ledger = null;
    }
    if (ledger === null) {
      ledgerIsThere = (system.files.stat(path)?.sizeBytes ?? 0) > 0;
      ledger = createRunLedger(system, path, { readOnly: true });
    }
    return ledger;
  }

  return {
    hostConfigPath,
    host: readHost,
    hostSettings: () => effectiveSettings(readHost().value, null, environment, upper),
    homes: readHomes,
    homesError: () => foundError,
    ledger: openLedger,
    zone(name) {
      const homes = readHomes();
      const home = homes.find((each) => each.name === (name ?? "default"));
      return home?.zone ?? createZone(null, serverOffsetMinutes());
    },
    job(text) {
      const homes = readHomes();
      const jobs = homes.flatMap((home) =>
        home.jobs.map((job): JobReading => ({ home: home.name, id: job.id, name: job.name, job })),
      );
      if (matchJobs(jobs, text).length > 0) return findJob(jobs, text);
      const id = text.slice(text.indexOf("/") + 1);
      const [run] = openLedger().runs({ jobId: id, limit: 1 });
      if (run !== undefined && (id === text || text === `${run.home}/${id}`)) {
        return { home: run.home, id: run.jobId, name: run.jobName, job: null };
      }
      const [slot] = openLedger().slots({ jobId: id, limit: 1 });
      if (slot !== undefined && (id === text || text === `${slot.home}/${id}`)) {
        return { home: slot.home, id, name: id, job: null };
      }
      // A name may hold a slash itself.
      const [named] = [
        openLedger().runs({ jobName: text, limit: 1 }),
        id === text ? [] : openLedger().runs({ home: text.slice(0, -id.length - 1), jobName: id, limit: 1 }),
      ].flat();
      if (named !== undefined) return { home: named.home, id: named.jobId, name: named.jobName, job: null };
      const unread = homes.find((home) => home.state === "degraded");
      if (homes.length === 0)
        throw notFound("job", text, foundError ?? `there is no Hermes home at "${rootHome}", name one with --home`);
      if (unread === undefined) return findJob(jobs, text);
      throw notFound("job", text, `home "${unread.name}" cannot be read: ${unread.reason ?? "nobody knows why"}`);
    },
    daemon() {
      const pid = daemonPid(system, stateFolder);
      const said = pid === null ? null : daemonNote(openLedger());
      return {
        running: pid !== null,
        pid: pid === 0 ? (said?.pid ?? null) : pid,
        version: said?.version ?? null,
        startedAtMs: said?.startedAtMs ?? null,
        ready: false,
      };
    },
    status(daemon) {
      const nowMs = system.clock.nowMs();
      const runs = openLedger();
      const inForce = effectiveSettings(readHost().value, null, environment, upper);
      const homes = readHomes().map(
        (home): HomeView => ({
          name: home.name,
          path: home.path,
          state: home.state,
          reason: home.reason,
          jobs: home.jobs,
          strays: home.strays,
          diskShortage: home.diskShortage,
          zone: home.zone,
          runsMax: Math.min(home.hermes.maxParallelJobs ?? Number.POSITIVE_INFINITY, home.settings.maxOpenRuns),
          bounds: boundsOf(
            home.name,
            home.hermes.maxParallelJobs ?? Number.POSITIVE_INFINITY,
            home.settings.groupLimits,
          ),
          tagsOf: (job) => jobSettings(home.settings, home.hermes.scriptTimeoutMs, job).tags,
          waitsFor: new Map(),
          owedSince: owedSince(runs.cursors(home.name)),
          retries: runs.waitingRetries(home.name),
          waiting: null,
          tickLock: tickLock(system, home.path),
          configError: home.configError?.message ?? null,
          configFile: fileNow(home.configPath, home.config),
          configWarnings: home.hermes.warnings,
          held: suspectJobs(
            home.jobs,
            runs.health(home.name),
            (job) => jobSettings(home.settings, home.hermes.scriptTimeoutMs, job).crashLoop,
            nowMs,
          ),
          hermes: keptHermes(system, runs.note(hermesNote), home.places, environment["HOME"] ?? null),
        }),
      );
      return allAtOnce(
        statusSnapshot({
          nowMs,
          daemon,
          homes,
          openRuns: runs.openRuns(),
          tagsOfRun: (run) =>
            homes.find(({ name }) => name === run.home)?.tagsOf({ id: run.jobId, name: run.jobName, kind: run.kind }) ??
            [],
          hostBounds: boundsOf(null, inForce.maxOpenRuns, inForce.groupLimits),
          requests: runs.openRequests().filter(({ kind }) => kind === "run"),
          orphanedRuns: runs.orphanedRuns(orphanedRunsMax),
          replacedRuns: runs.replacedRuns(),
          missedSlots: runs.missedSlots(nowMs - dayMs, missedSlotsMax),
          lives: runs.lives(nowMs - restartsWithinMs),
          portFault: null,
          retention: idleRetention,
          deliveries: runs.troubledDeliveries(nowMs - dayMs),
          hostConfig: fileNow(hostConfigPath, readHost()),
        }),
      );
    },
  };
}

/** Since when a content counts is for the daemon to say. */
function fileNow(path: string, loaded: Loaded<unknown>): ConfigFileView {
  return { ...configFile(path, loaded), errorSinceMs: null, generation: null, inForceSinceMs: null };
}

/** The Hermes that a daemon found, if it is still the one that answered. Commands ask nobody. */
function keptHermes(
  system: CommandParts["system"],
  note: string | null,
  places: HermesPlaces,
  userHome: string | null,
): InstalledHermes | null {
  const records = parseHermesNote(note);
  if (records.size === 0) return null;
  const workerPath = join(packageRoot(), "worker/hermes_worker.py");
  for (const candidate of hermesCandidates(system, places)) {
    const record = records.get(candidateKey(candidate));
    if (record === undefined) continue;
    const identity = hermesIdentity(system, candidate, workerPath, userHome, record.files);
    if (identity === record.hermes.identity) return record.hermes;
  }
  return null;
}

function tickLock(system: CommandParts["system"], homePath: string): HomeView["tickLock"] {
  const holderPid = system.locks.holderPid(join(homePath, "cron", ".tick.lock"));
  return { held: holderPid !== null, holderPid, sinceMs: null };
}

/** What the daemon wrote down about itself when it began. */
function daemonNote(ledger: RunLedger): Pick<DaemonView, "pid" | "version" | "startedAtMs"> | null {
  const text = ledger.note("daemon");
  if (text === null) return null;
  const note = JSON.parse(text) as { pid?: number; version?: string; started_at_ms?: number };
  return { pid: note.pid ?? null, version: note.version ?? null, startedAtMs: note.started_at_ms ?? null };
}

/** Who holds the state folder: its process id, 0 when that cannot be told, or null when nobody does. */
function daemonPid(system: CommandParts["system"], stateFolder: string): number | null {
  const path = join(stateFolder, "daemon.lock");
  if (system.files.stat(path) === null) return null;
  const pid = system.locks.holderPid(path);
  if (pid !== null) return pid;
  try {
    const lock = system.locks.tryLock(path);
    lock?.release();
    return lock === null ? 0 : null;
  } catch {
    // Another user's folder: if a daemon is there, its socket would not let us in either.
    return null;
  }
}
