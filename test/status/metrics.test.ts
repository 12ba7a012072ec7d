import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import type { Metrics } from "../../src/status/metrics.ts";
import { sampleMetrics } from "../helpers/sample-metrics.ts";
import { sampleRun } from "../helpers/sample-run.ts";

const samples = (text: string): ReadonlyMap<string, number> =>
  new Map(
    text
      .split("\n")
      .filter((line) => line !== "" && !line.startsWith("#"))
      .map((line) => [line.slice(0, line.lastIndexOf(" ")), Number(line.slice(line.lastIndexOf(" ") + 1))]),
  );

test("print() says what happened and what is so now", async () => {
  const { type, text } = await sampleMetrics(["default"]).print();
  expect(type).toBe("text/plain; version=0.0.4; charset=utf-8");
  const found = samples(text);
  const of = (name: string): number | undefined => found.get(`hermes_supervisor_${name}`);
  expect({
    delay: of('run_start_delay_seconds_sum{home="default"}'),
    length: of('run_duration_seconds_sum{home="default",kind="script"}'),
    completed: of('runs_total{home="default",outcome="completed",reason="none"}'),
    orphaned: of('runs_total{home="default",outcome="failed",reason="orphaned"}'),
    failedByExit: of('runs_total{home="default",outcome="failed",reason="exit"}'),
    orphanedAlone: of('orphaned_runs_total{home="default"}'),
    missed: of('missed_slots_total{home="default"}'),
    slots: of('slots_total{home="default",decision="miss",reason="too_late"}'),
    pending: of('slots_total{home="default",decision="pending",reason="capacity"}'),
    hold: of('tick_lock_hold_seconds_sum{home="default"}'),
    wait: of('tick_lock_wait_seconds_sum{home="default"}'),
    busy: of('tick_lock_busy_seconds{home="default"}'),
    open: of('open_runs{home="default"}'),
    waiting: of('waiting_jobs{home="default"}'),
    overdue: of('overdue_jobs{home="default"}'),
    valid: of('config_valid{home="default"}'),
    hostValid: of("host_config_valid"),
    ledger: of("ledger_size_bytes"),
    alerts: of('alerts{kind="job_overdue"}'),
    sent: of('alert_notices_total{result="sent"}'),
  }).toEqual({
    delay: 0.004,
    length: 1,
    completed: 1,
    orphaned: 1,
    failedByExit: 0,
    orphanedAlone: 1,
    missed: 1,
    slots: 1,
    pending: undefined,
    hold: 0.002,
    wait: 0.3,
    busy: 10,
    open: 1,
    waiting: 1,
    overdue: 1,
    valid: 1,
    hostValid: 1,
    ledger: 4096,
    alerts: 1,
    sent: 1,
  });
});

const run = {
  ...sampleRun("r", "default", "j"),
  scheduledAtMs: 1000,
  claimedAtMs: 1001,
  startedAtMs: 1004,
  endedAtMs: 2004,
};
const slot = {
  home: "default",
  jobId: "j",
  scheduledAtMs: 1000,
  decision: "run",
  reason: "on_time",
  runId: "r",
  decidedAtMs: 1001,
  latenessMs: null,
} as const;
const happenings: readonly [event: string, happen: (metrics: Metrics) => void, series: string][] = [
  ["started run", (metrics) => metrics.runStarted(run), 'run_start_delay_seconds_count{home="default"}'],
  [
    "ended run",
    (metrics) => metrics.runEnded({ ...run, state: "completed" }),
    'runs_total{home="default",outcome="completed",reason="none"}',
  ],
  ["slot", (metrics) => metrics.slotDecided(slot), 'slots_total{home="default",decision="run",reason="on_time"}'],
  ["lock that was held", (metrics) => metrics.lockHeld("default", 1), 'tick_lock_hold_seconds_count{home="default"}'],
  ["lock that was busy", (metrics) => metrics.lockWaited("default", 1), 'tick_lock_wait_seconds_count{home="default"}'],
  ["notice", (metrics) => metrics.noticeSent("sent"), 'alert_notices_total{result="sent"}'],
  [
    "run in a home that nobody has looked at",
    (metrics) => metrics.runEnded({ ...run, home: "new" }),
    'missed_slots_total{home="new"}',
  ],
];

test.for(happenings)("a print() after another one counts the %s between them", async ([, happen, series]) => {
  const metrics = sampleMetrics(["default"]);
  const before = samples((await metrics.print()).text).get(`hermes_supervisor_${series}`);
  happen(metrics);
  const after = samples((await metrics.print()).text).get(`hermes_supervisor_${series}`);
  expect(after).toBe(before === undefined ? (series.includes("new") ? 0 : 1) : before + 1);
});

test("print() says nothing of a disk that does not tell what is free on it, whatever was free before", async () => {
  let free: number | null = null;
  const metrics = sampleMetrics(["default"], () => free);
  const seen: (number | undefined)[] = [];
  for (free of [null, 4096, null, 0])
    seen.push(samples((await metrics.print()).text).get("hermes_supervisor_disk_free_bytes"));
  expect(seen).toEqual([undefined, 4096, undefined, 0]);
});

test("print() has a bounded number of series, however many homes come and go", async () => {
  const few = samples((await sampleMetrics(["default"]).print()).text).size;
  const names = Array.from({ length: 1000 }, (_, index) => `home-${index}`);
  const many = samples((await sampleMetrics(names).print()).text);
  expect(many.size).toBeLessThan(201 * few);
  expect(many.get('hermes_supervisor_open_runs{home="other"}')).toBe(800);
  expect(many.get('hermes_supervisor_open_runs{home="home-199"}')).toBe(1);
});

test("the name of a home cannot break out of its label", async () => {
  const { text } = await sampleMetrics(['a"} 1\nfake{x="']).print();
  expect(text).not.toMatch(/^fake/m);
  expect(text).toContain('hermes_supervisor_open_runs{home="a\\"} 1\\nfake{x=\\""} 1');
});

test.for(["config/alert-rules.yaml", "config/grafana-dashboard.json"])(
  "%s names only metrics that there are",
  async (path) => {
    const { text } = await sampleMetrics(["default"]).print();
    const known = new Set([...text.matchAll(/^(hermes_supervisor_\w+)/gm)].map(([, name]) => name));
    const named = readFileSync(new URL(`../../${path}`, import.meta.url), "utf8").matchAll(/hermes_supervisor_\w+/g);
    const used = [...new Set([...named].map(([name]) => name))];
    expect(used.length).toBeGreaterThan(8);
    expect(used.filter((name) => !known.has(name))).toEqual([]);
  },
);
