import { createChildTable } from "../../src/child/child-table.ts";
import { createWaitingBash } from "../../src/child/waiting-bash.ts";
import { configFile } from "../../src/config/load-config.ts";
import { createClockSteps } from "../../src/daemon/clock-steps.ts";
import { configReport } from "../../src/daemon/config-report.ts";
import { createControlActions } from "../../src/daemon/control-actions.ts";
import { createDaemon, type Daemon } from "../../src/daemon/daemon.ts";
import { type DaemonParts, hostSettingsOf } from "../../src/daemon/daemon-parts.ts";
import { leaveNote, wasHandedOver } from "../../src/daemon/hand-over.ts";
import type { HermesFinder } from "../../src/daemon/hermes-finder.ts";
import { readyGates } from "../../src/daemon/home-gates.ts";
import type { HomeRuntime } from "../../src/daemon/home-runtime.ts";
import { createHomeTable } from "../../src/daemon/home-table.ts";
import { createHostConfig } from "../../src/daemon/host-config.ts";
import { createPieces } from "../../src/daemon/pieces.ts";
import { createStatusView } from "../../src/daemon/status-view.ts";
import { findHomes } from "../../src/homes/find-homes.ts";
import type { OpenExecutions } from "../../src/ledger/hermes-executions.ts";
import type { RunLedger } from "../../src/ledger/run-ledger.ts";
import type { ControlActions } from "../../src/status/control-actions.ts";
import type { Life } from "../helpers/fake-system.ts";
import { ledgerOfLife } from "./ledger-of-life.ts";

export interface DaemonLife {
  readonly life: Life;
  readonly daemon: Daemon;
  readonly parts: DaemonParts;
  readonly control: ControlActions;
  homes(): ReadonlyMap<string, HomeRuntime>;
  /** Whether the launcher of this run stands ready at its gate. */
  holdsGate(runId: string): boolean;
  /** What a change of settings or of the list of homes makes the watch do. */
  refresh(): void;
  /** Hands over, as SIGTERM makes the daemon do; then the process is on its way out. */
  handOver(): void;
}

/** There is none on a fake host, and to look for it in vain is a tenth of all work here. */
const noHermes: HermesFinder = {
  look: () => ({ hermes: null, isFinding: false, fault: "There is no Hermes here" }),
  settled: async () => undefined,
  halt: () => undefined,
};

const variables = { PATH: "/usr/bin", HOME: "/root", TZ: "UTC" };

/**
 * What `main.ts` does with real parts, done with those of `life`: the same steps in the same order. Null when another daemon
 * has the state folder.
 */
export function startDaemon(
  life: Life,
  opened: RunLedger,
  openExecutions: OpenExecutions,
  rootHome: string,
  stateFolder: string,
): DaemonLife | null {
  const { system } = life;
  system.files.makeFolder(stateFolder, 0o700, true);
  system.files.makeFolder(`${stateFolder}/runs`, 0o700, false);
  if (system.locks.tryLock(`${stateFolder}/daemon.lock`) === null) return null;
  const hostPath = `${stateFolder}/config.yaml`;
  const host = createHostConfig(system, hostPath, [], variables);
  const { error } = host.loaded();
  if (error !== null) throw error;
  const ledger = ledgerOfLife(opened, life);
  const settings = (): DaemonParts["settings"] => hostSettingsOf(host.settings());
  const parts: DaemonParts = {
    system,
    ledger,
    children: createChildTable(),
    stateFolder,
    workerPath: "/opt/worker/hermes_worker.py",
    askHermes: () => Promise.resolve({ ok: false, error: "There is no Hermes here" }),
    settings: settings(),
    unopened: [],
    clockSteps: createClockSteps(system, ledger),
    draining: false,
    fault: (point) => life.pass(`step: ${point}`),
    measure: { lockHeldMs: () => undefined, lockWaitedMs: () => undefined },
  };
  let diskLow = false;
  const sources = {
    system,
    stateFolder,
    rootHome,
    launcherPath: "/opt/worker/launch.sh",
    waitingBash: createWaitingBash(system, "/opt/worker/gate.bash"),
    variables,
    hashKey: "key",
    hermes: noHermes,
    openExecutions,
    host: host.layer,
    overrides: host.overrides,
    diskShortage: () => (diskLow ? "The disk is full" : null),
  };
  const table = createHomeTable(sources, () => findHomes(system, rootHome), ledger);
  const refresh = (): void => {
    host.reload();
    parts.settings = settings();
    diskLow = system.files.freeBytes(stateFolder) < host.settings().freeBytesMin;
    table.refresh();
  };
  refresh();
  const daemon = createDaemon(parts, {
    homes: table.homes,
    refresh,
    drained: () => undefined,
    ownsState: () => true,
    stateLost: () => undefined,
    turned: () => undefined,
    ask: () => Promise.resolve({ ok: false, error: "There is no Hermes", isUnasked: true }),
  });
  const view = createStatusView(parts, table, () => ({
    version: "0",
    startedAtMs: 0,
    hostConfig: configFile(hostPath, host.loaded()),
    portFault: null,
    retention: daemon.retention.progress(),
  }));
  const control = createControlActions(parts, table, daemon, view, createPieces(system.clock), {
    metrics: () => Promise.resolve({ status: 200, type: "text/plain", text: "" }),
    config: () => configReport(host, table, { set: [], variables: {} }),
    follow: () => ({ status: 200, body: null }),
  });
  const handedOver = wasHandedOver(parts);
  ledger.setNote("daemon", JSON.stringify({ pid: system.processes.ownPid }));
  daemon.begin(handedOver);
  return {
    life,
    daemon,
    parts,
    control,
    refresh,
    homes: table.homes,
    holdsGate: (runId) =>
      [...table.homes().values()].some((home) => readyGates(home).some((gate) => gate.runId === runId)),
    handOver() {
      leaveNote(parts, "hand_over", JSON.stringify({ boot_id: system.processes.bootId() }));
      daemon.halt();
      leaveNote(parts, "daemon", null);
    },
  };
}
