import { readFileSync } from "node:fs";
import { resolve as resolvePath } from "node:path";
import { createAskHermes } from "../child/ask-hermes.ts";
import { createChildTable } from "../child/child-table.ts";
import { createWaitingBash } from "../child/waiting-bash.ts";
import { configFile } from "../config/load-config.ts";
import { readOverrides, settingVariables } from "../config/overrides.ts";
import { InvariantError } from "../core/invariant-error.ts";
import { diskShortage } from "../homes/disk-room.ts";
import { type FoundHomes, findHomes } from "../homes/find-homes.ts";
import { observeLedger } from "../ledger/observed-ledger.ts";
import { createRunLedger } from "../ledger/run-ledger.ts";
import { type ControlServer, createControlServer } from "../status/control-server.ts";
import { groupsNameOf } from "../system/cgroup.ts";
import type { Timer } from "../system/clock.ts";
import { createFaults } from "../system/faults.ts";
import type { FileIdentity } from "../system/files.ts";
import { createLocks } from "../system/flock.ts";
import type { HeldLock } from "../system/lock.ts";
import { packageRoot } from "../system/package-root.ts";
import { createLogger } from "../system/pino-logger.ts";
import { createRandom } from "../system/random.ts";
import { createClock } from "../system/real-clock.ts";
import { createFiles } from "../system/real-files.ts";
import { createProcesses, type ProcessesOptions } from "../system/real-processes.ts";
import { createServiceNotice } from "../system/service-notice.ts";
import { listenOnSocket } from "../system/socket.ts";
import type { System } from "../system/system.ts";
import { askForShortSlices } from "../system/time-slice.ts";
import { createWatch } from "../system/watch.ts";
import { type ApiPort, type ApiSettings, createApiPort } from "./api-port.ts";
import { createClockSteps } from "./clock-steps.ts";
import { configReport } from "./config-report.ts";
import { createControlActions } from "./control-actions.ts";
import { createDaemon, type Daemon } from "./daemon.ts";
import { type DaemonParts, hostSettingsOf } from "./daemon-parts.ts";
import { endWhen } from "./end-when.ts";
import { leaveNote, wasHandedOver } from "./hand-over.ts";
import { createHermesFinder } from "./hermes-finder.ts";
import { createHomeTable, type HomeTable } from "./home-table.ts";
import { createHostConfig } from "./host-config.ts";
import { createReporting, type Reporting } from "./reporting.ts";
import { watchSources } from "./watch-sources.ts";

export interface DaemonOptions {
  readonly rootHome: string;
  readonly stateFolder: string;
  /** One tick, its runs to their end, and out. */
  readonly once: boolean;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Settings over every file, each as `KEY=VALUE`. */
  readonly set?: readonly string[];
  readonly logLevel?: string;
  readonly onReady?: () => void;
}

function isSameInode(a: FileIdentity | null, b: FileIdentity | null): boolean {
  return a !== null && b !== null && a.device === b.device && a.inode === b.inode;
}

/** Exit statuses of the daemon, as `docs/cli.md` lists them. */
const exits = { done: 0, failed: 1, configInvalid: 3, otherDaemon: 6 } as const;

/** The gateway's plugin looks at the lock for microseconds, so one refusal proves nothing. */
const lockTries = 25;
const lockTryMs = 20;

/** Runs the daemon until it is told to end. Resolves to the exit status. */
export async function runDaemon(options: DaemonOptions): Promise<number> {
  const system: System = {
    clock: createClock(),
    files: createFiles(),
    locks: createLocks(),
    processes: createProcesses(processesOptions(options)),
    random: createRandom(),
    log: createLogger(options.logLevel ?? "info"),
  };
  askForShortSlices();
  const { stateFolder } = options;
  system.files.makeFolder(stateFolder, 0o700, true);
  system.files.makeFolder(`${stateFolder}/runs`, 0o700, false);
  const lock = await takeDaemonLock(system, `${stateFolder}/daemon.lock`);
  if (lock === null) {
    process.stderr.write(
      `Cannot start in "${stateFolder}": another daemon holds this state folder; see hermes-supervisor status, or choose another --state\n`,
    );
    return exits.otherDaemon;
  }
  try {
    return await serve(system, options);
  } finally {
    lock.release();
  }
}

async function takeDaemonLock(system: System, path: string): Promise<HeldLock | null> {
  for (let tries = 1; ; tries++) {
    const lock = system.locks.tryLock(path);
    if (lock !== null || tries >= lockTries) return lock;
    await new Promise<void>((resolve) => system.clock.after(lockTryMs, resolve));
  }
}

async function serve(system: System, options: DaemonOptions): Promise<number> {
  const { stateFolder, rootHome } = options;
  const hostPath = `${stateFolder}/config.yaml`;
  const overrides = readOverrides(options.set ?? [], options.environment);
  const host = createHostConfig(system, hostPath, overrides.layers, options.environment);
  const { error } = host.loaded();
  for (const text of overrides.errors) process.stderr.write(`${text}\n`);
  if (error !== null) process.stderr.write(`${error.message}\n${error.snippet === null ? "" : `${error.snippet}\n`}`);
  if (error !== null || overrides.errors.length > 0) return exits.configInvalid;
  const ledgerPath = `${stateFolder}/supervisor.db`;
  const ledger = observeLedger(createRunLedger(system, ledgerPath), (changes) => reporting?.changed(changes));
  const children = createChildTable();
  const startedAtMs = system.clock.nowMs();
  const version = readVersion();
  const hostSettings = (): DaemonParts["settings"] => hostSettingsOf(host.settings());
  const workerPath = `${packageRoot()}/worker/hermes_worker.py`;
  const parts: DaemonParts = {
    system,
    ledger,
    children,
    stateFolder,
    workerPath,
    askHermes: createAskHermes(system, stateFolder, workerPath),
    settings: hostSettings(),
    unopened: [],
    clockSteps: createClockSteps(system, ledger),
    draining: false,
    fault: createFaults(options.environment["HERMES_SUPERVISOR_FAULT"]),
    measure: {
      lockHeldMs: (home, ms) => reporting?.metrics.lockHeld(home, ms),
      lockWaitedMs: (home, ms) => reporting?.metrics.lockWaited(home, ms),
    },
  };
  let hermesChanged = (): void => undefined;
  const askHermes = createAskHermes(system, stateFolder, parts.workerPath);
  const finder = createHermesFinder({
    system,
    ledger,
    ask: parts.askHermes,
    workerPath,
    rootHome,
    variables: options.environment,
    changed: () => hermesChanged(),
  });
  const findNow = (): FoundHomes => findHomes(system, rootHome);
  const table: HomeTable = createHomeTable(
    {
      system,
      stateFolder,
      rootHome,
      launcherPath: `${packageRoot()}/worker/launch.sh`,
      waitingBash: createWaitingBash(system, `${packageRoot()}/worker/gate.bash`),
      variables: options.environment,
      hashKey: hashKey(ledger, system),
      hermes: finder,
      host: host.layer,
      overrides: host.overrides,
      diskShortage: (folder) => diskShortage(system.files, folder, host.settings().freeBytesMin),
    },
    findNow,
    ledger,
  );

  let port: ApiPort | null = null;
  const apiSettings = (): ApiSettings | null => {
    const { apiListen, apiTokenFile } = host.settings();
    return apiListen === null
      ? null
      : { listen: apiListen, tokenPath: resolvePath(stateFolder, apiTokenFile ?? "api.token") };
  };

  let reporting: Reporting | null = null as Reporting | null;
  const refresh = (): void => {
    host.reload();
    parts.settings = hostSettings();
    table.refresh();
    port?.set(apiSettings());
    reporting?.refreshed();
  };
  refresh();

  /** For events, where an error would end the daemon: what cannot be read now is read at the next regular look. */
  const lookAgain = (): void => {
    try {
      refresh();
    } catch (error) {
      if (!(error instanceof Error) || error instanceof InvariantError) throw error;
      system.log.error("could not look at the homes again", { error: error.message });
    }
  };

  const notice = createServiceNotice(options.environment, system.processes.ownPid);
  const servingText = (): string => {
    const { size } = table.homes();
    return `Serving ${size} ${size === 1 ? "home" : "homes"}`;
  };
  let pulseTimer: Timer | null = null;
  const pulse = (): void => {
    if (notice.pulseMs === null) return;
    notice.pulse(parts.draining);
    pulseTimer = system.clock.after(notice.pulseMs, pulse);
  };

  return await new Promise<number>((resolve) => {
    let server: ControlServer | null = null as ControlServer | null;
    let watcher: { readonly close: () => Promise<void> } | null = null as {
      readonly close: () => Promise<void>;
    } | null;
    const lockedAs = system.files.stat(`${stateFolder}/daemon.lock`);
    let ended = false;
    const end = (status: number): void => {
      if (ended) return;
      ended = true;
      pulseTimer?.cancel();
      if (!parts.draining) notice.stopping();
      finder.halt();
      const told = reporting?.halt();
      daemon.halt();
      server?.close();
      port?.close();
      leaveNote(parts, "daemon", null);
      for (const [signal, act] of Object.entries(signals)) process.off(signal, act);
      void Promise.all([watcher?.close(), told]).then(() => {
        ledger.dispose();
        resolve(status);
      });
    };
    const daemon: Daemon = createDaemon(parts, {
      homes: table.homes,
      refresh,
      turned: () => reporting?.turned(),
      ask: async ({ settings }, question, timeoutMs) =>
        settings.hermes === null
          ? { ok: false, error: settings.hermesFault ?? "No Hermes was found", isUnasked: true }
          : await askHermes({
              python: settings.hermes.python,
              question,
              environment: settings.environments.prompt.variables,
              timeoutMs,
            }),
      drained: () => end(exits.done),
      ownsState: () => isSameInode(lockedAs, system.files.stat(`${stateFolder}/daemon.lock`)),
      stateLost() {
        system.log.error(
          `Cannot go on: the state folder "${stateFolder}" is gone or another one, and the history with it. Open runs go on unwatched; start again to begin a new history.`,
        );
        end(exits.failed);
      },
    });

    hermesChanged = () => {
      if (ended) return;
      lookAgain();
      daemon.nudge(null);
    };

    let interrupts = 0;
    const stopAll = (): void => {
      for (const run of ledger.openRuns()) {
        daemon.stop(run, { reason: "stopped", text: "Stopped because the supervisor was told to stop" }, false);
      }
    };
    const drain = (): void => {
      if (!parts.draining) notice.stopping();
      const open = children.all();
      system.log.info("claiming nothing more; waiting for open runs", { open_runs: open.length });
      for (const child of open)
        system.log.info("still open", { run_id: child.runId, home: child.home, job_id: child.jobId });
      daemon.drain();
      notice.pulse(true);
    };
    const signals: Record<string, () => void> = {
      SIGTERM: () => {
        switch (parts.settings.onSigterm) {
          case "hand_over":
            leaveNote(
              parts,
              "hand_over",
              JSON.stringify({ at_ms: system.clock.nowMs(), boot_id: system.processes.bootId(), version }),
            );
            system.log.info("handing over", { open_runs: children.all().length });
            endWhen(
              system.clock,
              () => !daemon.endSending(),
              () => end(exits.done),
            );
            return;
          case "drain":
            drain();
            return;
          case "stop":
            drain();
            stopAll();
            return;
        }
      },
      SIGINT: () => {
        interrupts++;
        if (interrupts === 1) drain();
        else stopAll();
      },
      SIGHUP: () => {
        notice.reloading();
        lookAgain();
        daemon.nudge(null);
        notice.ready(servingText());
      },
    };
    for (const [signal, act] of Object.entries(signals)) process.on(signal, act);

    pulse();
    void (async () => {
      const handedOver = wasHandedOver(parts);
      ledger.setNote(
        "daemon",
        JSON.stringify({
          pid: system.processes.ownPid,
          version,
          started_at_ms: startedAtMs,
          groups: system.processes.groups !== null,
          reaping: system.processes.reaping,
        }),
      );
      const told = createReporting(parts, table, {
        version,
        startedAtMs,
        rootHome,
        ledgerPath,
        nodePath: process.execPath,
        variables: options.environment,
        settings: host.settings,
        hostConfig: () => configFile(hostPath, host.loaded()),
        portFault: () => port?.fault() ?? null,
        retention: daemon.retention.progress,
      });
      reporting = told;
      const actions = createControlActions(parts, table, daemon, told.view, told.pieces, {
        metrics: told.metrics.print,
        config: () =>
          configReport(host, table, { set: options.set ?? [], variables: settingVariables(options.environment) }),
        follow: told.events.follow,
      });
      server = createControlServer(actions);
      port = createApiPort(system, actions);
      port.set(apiSettings());
      await listenOnSocket(server.server, `${stateFolder}/control.sock`);
      if (!options.once) {
        const watch = createWatch(system.clock, system.log);
        watcher = watchSources(system, watch, rootHome, hostPath, findNow, {
          settingsChanged: () => {
            lookAgain();
            daemon.nudge(null);
          },
          storeChanged: (home) => daemon.nudge(home),
        });
      }
      // It ticks only once, and what is due then has to know what there is to run it.
      if (options.once) await finder.settled();
      daemon.begin(handedOver);
      system.log.info("ready", {
        version,
        home: rootHome,
        state: stateFolder,
        homes: table.homes().size,
        pid: system.processes.ownPid,
      });
      if (system.processes.ownPid === 1 && parts.settings.onSigterm === "hand_over") {
        system.log.warn(
          "as process 1 this takes its runs with it when it ends; set shutdown.on_sigterm to drain or stop, so that they are not taken for lost",
        );
      }
      notice.ready(servingText());
      options.onReady?.();
      if (options.once) daemon.drain();
    })().catch((error: unknown) => {
      system.log.error("the daemon could not start", { error: error instanceof Error ? error.message : String(error) });
      end(exits.failed);
    });
  });
}

function hashKey(
  ledger: { note(key: string): string | null; setNote(key: string, value: string): void },
  system: System,
): string {
  const known = ledger.note("hash_key");
  if (known !== null) return known;
  const made = system.random.uuidHex() + system.random.uuidHex();
  ledger.setNote("hash_key", made);
  return made;
}

function readVersion(): string {
  const value = JSON.parse(readFileSync(`${packageRoot()}/package.json`, "utf8")) as { readonly version: string };
  return value.version;
}

/**
 * `HERMES_SUPERVISOR_WITHOUT=reaper,groups,marks` does without what not every machine has, for tests.
 */
function processesOptions({ stateFolder, environment }: DaemonOptions): ProcessesOptions {
  const without = (environment["HERMES_SUPERVISOR_WITHOUT"] ?? "").split(",");
  const groupsName = groupsNameOf(stateFolder);
  return {
    reap: !without.includes("reaper"),
    mark: !without.includes("marks"),
    ...(without.includes("groups") ? {} : { groupsName }),
  };
}
