import { alertKinds } from "../core/alert-kinds.ts";
import type { Run } from "../core/run.ts";
import type { SlotLine } from "../core/slot.ts";
import { Counter, Gauge, Histogram, Registry } from "../system/prometheus.ts";
import type { TextAnswer } from "./control-actions.ts";
import { shareNext } from "./share-next.ts";
import type { StatusJson } from "./snapshot.ts";

/** What is true at the moment of a look, beside the status. */
export interface MetricFacts {
  readonly nowMs: number;
  readonly status: StatusJson;
  readonly ledgerBytes: number;
  readonly diskFreeBytes: number | null;
  readonly waitingNotices: number;
}

/** Counts what happens, and says it as Prometheus wants it. Jobs have no series of their own: there may be ten thousand of them. */
export interface Metrics {
  runStarted(run: Run): void;
  runEnded(run: Run): void;
  slotDecided(slot: SlotLine & { readonly home: string }): void;
  lockHeld(home: string, ms: number): void;
  lockWaited(home: string, ms: number): void;
  noticeSent(result: "sent" | "failed" | "dropped"): void;
  print(): Promise<TextAnswer>;
}

/** Homes beyond these share one label, `other`: a series for each would stay for as long as the daemon lives. */
const homesMax = 200;
/** The series of so many are printed in no time. */
const homesAtOnce = 20;

/** `look` and `pause` let others have their turn, with many homes. */
export function createMetrics(
  version: string,
  startedAtMs: number,
  look: () => Promise<MetricFacts>,
  pause: () => Promise<void>,
): Metrics {
  /** What events count, and what each look finds. Only the latter is printed anew for each reader. */
  const counted = new Registry();
  const looked = new Registry();
  const named = (name: string, help: string, registers = [counted]) => ({
    name: `hermes_supervisor_${name}`,
    help,
    registers,
  });
  let events = 0;
  let kept = { events: -1, texts: [] as readonly string[] };
  const labels = new Set<string>();

  /** The label of a home, the same one for as long as this daemon lives. */
  function labelOf(home: string): string {
    const label = labels.has(home) || labels.size < homesMax ? home : "other";
    if (!labels.has(label)) {
      labels.add(label);
      begin(label);
    }
    return label;
  }

  const startDelay = new Histogram({
    ...named("run_start_delay_seconds", "From the scheduled instant of a run to the opening of its gate"),
    labelNames: ["home"],
    buckets: [0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5, 30, 120, 600, 3600],
  });
  const duration = new Histogram({
    ...named("run_duration_seconds", "From the opening of a run's gate to its end"),
    labelNames: ["home", "kind"],
    buckets: [0.1, 0.5, 1, 5, 15, 60, 300, 900, 3600, 7200, 21_600],
  });
  const runs = new Counter({
    ...named("runs_total", "Runs that have ended, by outcome and by the reason of those that are not completed"),
    labelNames: ["home", "outcome", "reason"],
  });
  const orphaned = new Counter({
    ...named("orphaned_runs_total", "Runs whose end nobody saw, recorded as failed attempts"),
    labelNames: ["home"],
  });
  const slots = new Counter({
    ...named("slots_total", "What became of scheduled instants, by the decision and its reason"),
    labelNames: ["home", "decision", "reason"],
  });
  const missed = new Counter({
    ...named("missed_slots_total", "Scheduled instants that were missed"),
    labelNames: ["home"],
  });
  /** A series that begins with its first event would hide that event from a rate. */
  function begin(home: string): void {
    events += 1;
    for (const each of [missed, orphaned]) each.inc({ home }, 0);
    runs.inc({ home, outcome: "completed", reason: "none" }, 0);
    for (const reason of ["exit", "error", "timeout"]) runs.inc({ home, outcome: "failed", reason }, 0);
  }

  const lockHold = new Histogram({
    ...named("tick_lock_hold_seconds", "How long a tick held the tick lock of a home"),
    labelNames: ["home"],
    buckets: [0.0005, 0.001, 0.002, 0.003, 0.005, 0.01, 0.025, 0.1, 1],
  });
  const lockWait = new Histogram({
    ...named("tick_lock_wait_seconds", "How long a tick found the tick lock held by somebody else"),
    labelNames: ["home"],
    buckets: [0.1, 0.25, 0.5, 1, 5, 15, 60, 300, 1800],
  });
  const notices = new Counter({
    ...named("alert_notices_total", "Notices of alerts that were handed to the command or webhook, by result"),
    labelNames: ["result"],
  });
  const found = (name: string, help: string) => named(name, help, [looked]);
  const gauge = (name: string, help: string) => new Gauge({ ...found(name, help), labelNames: ["home"] });
  const homeGauges = {
    open: gauge("open_runs", "Runs that are open"),
    waiting: gauge("waiting_jobs", "Jobs that are due and cannot start yet"),
    overdue: gauge("overdue_jobs", "Enabled jobs that are overdue beyond their grace"),
    jobs: gauge("jobs", "Jobs in the store of a home"),
    enabled: gauge("enabled_jobs", "Jobs that are enabled and can be run"),
    active: gauge("home_active", "1 while the home is served, 0 while it is paused, degraded or unsupported"),
    valid: gauge("config_valid", "1 while the settings as they stand are in force, 0 while the last good ones are"),
    lock: gauge("tick_lock_busy_seconds", "For how long somebody else has held the tick lock against a due tick"),
  };
  const alerts = new Gauge({ ...found("alerts", "Alerts that are up, by kind"), labelNames: ["kind"] });
  const hostValid = new Gauge(
    found(
      "host_config_valid",
      "1 while the host's settings as they stand are in force, 0 while the last good ones are",
    ),
  );
  const ledgerBytes = new Gauge(found("ledger_size_bytes", "Size of the ledger on the disk, its log included"));
  const diskFree = new Gauge(found("disk_free_bytes", "Free space on the disk of the state folder"));
  const waitingNotices = new Gauge(found("waiting_alert_notices", "Notices of alerts that wait to be sent"));
  new Gauge({ ...named("build_info", "Always 1; the version is a label"), labelNames: ["version"] }).set(
    { version },
    1,
  );
  new Gauge(named("start_time_seconds", "When the daemon began, in Unix time")).set(startedAtMs / 1000);

  function takeLook({ status, nowMs, ...facts }: MetricFacts): void {
    for (const each of Object.values(homeGauges)) each.reset();
    const overdue = new Map<string, number>();
    alerts.reset();
    for (const kind of alertKinds) alerts.set({ kind }, 0);
    for (const { kind, home } of status.alerts) {
      alerts.inc({ kind });
      if (kind === "job_overdue" && home !== null) overdue.set(home, (overdue.get(home) ?? 0) + 1);
    }
    for (const one of status.homes) {
      const home = { home: labelOf(one.name) };
      homeGauges.open.inc(home, one.open_runs);
      homeGauges.waiting.inc(home, one.waiting);
      homeGauges.overdue.inc(home, overdue.get(one.name) ?? 0);
      homeGauges.jobs.inc(home, one.jobs);
      homeGauges.enabled.inc(home, one.enabled_jobs);
      homeGauges.active.inc(home, one.state === "active" ? 1 : 0);
      homeGauges.valid.inc(home, one.config.state === "ok" ? 1 : 0);
      const sinceMs = one.tick_lock.since === null ? nowMs : Date.parse(one.tick_lock.since);
      homeGauges.lock.inc(home, Math.max(0, nowMs - sinceMs) / 1000);
    }
    hostValid.set(status.config.state === "ok" ? 1 : 0);
    ledgerBytes.set(facts.ledgerBytes);
    // A gauge without labels says 0 before its first figure, and the last one for ever after.
    if (facts.diskFreeBytes === null) diskFree.remove();
    else diskFree.set(facts.diskFreeBytes);
    waitingNotices.set(facts.waitingNotices);
  }

  async function textsOf(registry: InstanceType<typeof Registry>, isLong: boolean): Promise<readonly string[]> {
    const texts: string[] = [];
    for (const { name } of registry.getMetricsAsArray()) {
      if (isLong) await pause();
      texts.push(await registry.getSingleMetricAsString(name));
    }
    return texts;
  }

  return {
    runStarted({ home, scheduledAtMs, startedAtMs: atMs }) {
      if (scheduledAtMs === null || atMs === null) return;
      events += 1;
      startDelay.observe({ home: labelOf(home) }, Math.max(0, atMs - scheduledAtMs) / 1000);
    },
    runEnded(run) {
      events += 1;
      const home = labelOf(run.home);
      runs.inc({ home, outcome: run.state, reason: run.reason ?? "none" });
      if (run.reason === "orphaned") orphaned.inc({ home });
      // Of an orphan nobody knows when it ended.
      if (run.startedAtMs === null || run.endedAtMs === null || run.reason === "orphaned") return;
      duration.observe({ home, kind: run.kind }, Math.max(0, run.endedAtMs - run.startedAtMs) / 1000);
    },
    slotDecided({ home: name, decision, reason }) {
      // It will be decided; counted then.
      if (decision === "pending") return;
      events += 1;
      const home = labelOf(name);
      slots.inc({ home, decision, reason });
      if (decision === "miss") missed.inc({ home });
    },
    lockHeld(home, ms) {
      events += 1;
      lockHold.observe({ home: labelOf(home) }, ms / 1000);
    },
    lockWaited(home, ms) {
      events += 1;
      lockWait.observe({ home: labelOf(home) }, ms / 1000);
    },
    noticeSent(result) {
      events += 1;
      notices.inc({ result });
    },
    // Two at a time would set the gauges between each other's lines.
    print: shareNext(async () => {
      const facts = await look();
      takeLook(facts);
      const isLong = facts.status.homes.length > homesAtOnce;
      const found = await textsOf(looked, isLong);
      const asOf = events;
      if (kept.events !== asOf) kept = { events: asOf, texts: await textsOf(counted, isLong) };
      return { status: 200, type: counted.contentType, text: `${[...kept.texts, ...found].join("\n\n")}\n` };
    }),
  };
}
