import type { Settings } from "../config/effective-settings.ts";
import type { ConfigFile } from "../config/load-config.ts";
import type { Work } from "../core/work.ts";
import { snapshotEnvironment } from "../homes/environment.ts";
import type { LedgerChange } from "../ledger/observed-ledger.ts";
import { createEventLog, type EventLog } from "../status/event-log.ts";
import { createMetrics, type MetricFacts, type Metrics } from "../status/metrics.ts";
import { configJson, type StatusJson, statusSnapshot } from "../status/snapshot.ts";
import type { RetentionView, StatusView } from "../status/view.ts";
import { packageRoot } from "../system/package-root.ts";
import type { System } from "../system/system.ts";
import type { DaemonParts } from "./daemon-parts.ts";
import type { HomeTable } from "./home-table.ts";
import { createPieces, type Pieces } from "./pieces.ts";
import { createChangeReports } from "./report-changes.ts";
import { createNoticeSender, notifierKey } from "./send-notices.ts";
import { createStatusView } from "./status-view.ts";
import { watchAlerts } from "./watch-alerts.ts";

/** What is to be reported that only `main.ts` knows. */
export interface ReportingFacts {
  readonly version: string;
  readonly startedAtMs: number;
  readonly rootHome: string;
  readonly ledgerPath: string;
  readonly nodePath: string;
  readonly variables: Readonly<Record<string, string | undefined>>;
  settings(): Settings;
  hostConfig(): ConfigFile;
  portFault(): string | null;
  retention(): RetentionView;
}

/** All that the daemon tells of itself: its status, its metrics, its events, its alerts. Nothing in here holds up a run. */
export interface Reporting {
  readonly view: () => Work<StatusView>;
  readonly pieces: Pieces;
  readonly metrics: Metrics;
  readonly events: EventLog;
  /** Something is in force in the ledger. */
  changed(changes: readonly LedgerChange[]): void;
  /** Settings and homes were looked at again. */
  refreshed(): void;
  /** The loop has gone round. */
  turned(): void;
  halt(): Promise<void>;
}

export function createReporting(parts: DaemonParts, table: HomeTable, facts: ReportingFacts): Reporting {
  const { system, ledger, stateFolder } = parts;
  const pieces = createPieces(system.clock);
  const view = createStatusView(parts, table, () => ({
    version: facts.version,
    startedAtMs: facts.startedAtMs,
    hostConfig: facts.hostConfig(),
    portFault: facts.portFault(),
    retention: facts.retention(),
  }));
  function* seenWithStatus(): Work<readonly [StatusView, StatusJson]> {
    const seen = yield* view();
    return [seen, yield* statusSnapshot(seen)];
  }
  const look = async (): Promise<MetricFacts> => {
    const [seen, status] = await pieces.run(seenWithStatus());
    return {
      nowMs: seen.nowMs,
      status,
      ledgerBytes: sizeOf(system, facts.ledgerPath) + sizeOf(system, `${facts.ledgerPath}-wal`),
      diskFreeBytes: freeBytes(system, stateFolder),
      waitingNotices: ledger.countNotices(),
    };
  };
  const metrics = createMetrics(facts.version, facts.startedAtMs, look, pieces.pause);
  const events = createEventLog(system.clock, Math.floor(facts.startedAtMs).toString(36));
  const changes = createChangeReports(system.clock, events, metrics);
  const notices = createNoticeSender({
    system,
    ledger,
    stateFolder,
    nodePath: facts.nodePath,
    webhookPath: `${packageRoot()}/worker/post-webhook.mjs`,
    environment: () =>
      snapshotEnvironment(facts.variables, facts.settings().environmentPass, null, facts.rootHome, "").variables,
    notifiers: () => facts.settings().notifiers,
    counted: metrics.noticeSent,
  });
  const alerts = watchAlerts(
    system,
    ledger,
    () => view(true),
    pieces,
    table.homes,
    events,
    () => ({
      notifiers: facts.settings().notifiers.map(notifierKey),
      kinds: facts.settings().noticedKinds,
    }),
    notices.look,
  );
  const configs = new Map<string | null, string>();

  function noteConfig(home: string | null, file: ConfigFile): void {
    const { contentHash, generation, error } = file;
    const stamp = JSON.stringify([contentHash, generation, error]);
    const before = configs.get(home);
    configs.set(home, stamp);
    if (before === undefined || before === stamp) return;
    events.add("config", { home, ...configJson(file, error) });
  }

  function noteConfigs(): void {
    noteConfig(null, facts.hostConfig());
    for (const home of table.homes().values()) noteConfig(home.name, home.settings.configFile);
  }

  noteConfigs();
  // What an earlier daemon left to be told.
  notices.look();
  return {
    view,
    pieces,
    metrics,
    events,
    changed(made) {
      changes(made);
      alerts.soon();
    },
    refreshed() {
      noteConfigs();
      alerts.soon();
      notices.look();
    },
    turned: alerts.turned,
    async halt() {
      alerts.halt();
      await notices.halt();
    },
  };
}

function sizeOf(system: System, path: string): number {
  return system.files.stat(path)?.sizeBytes ?? 0;
}

function freeBytes(system: System, folder: string): number | null {
  try {
    return system.files.freeBytes(folder);
  } catch {
    // Not every file system tells.
    return null;
  }
}
