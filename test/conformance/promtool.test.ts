import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeAll, expect, test } from "vitest";
import { sampleMetrics } from "../helpers/sample-metrics.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const folder = join(root, ".cache/promtool");

function run(file: string, args: readonly string[], cwd = root, input = ""): { status: number | null; text: string } {
  const { status, stdout, stderr } = spawnSync(file, args, { cwd, input, encoding: "utf8" });
  return { status, text: `${stdout ?? ""}${stderr ?? ""}` };
}

/** The one on PATH, or that of Debian's package, unpacked and not installed: no service begins. */
function findPromtool(): string {
  if (run("promtool", ["--version"]).status === 0) return "promtool";
  const unpacked = join(folder, "usr/bin/promtool");
  if (existsSync(unpacked)) return unpacked;
  mkdirSync(folder, { recursive: true });
  if (run("apt-get", ["download", "prometheus"], folder).status !== 0) {
    run("apt-get", ["update"]);
    const again = run("apt-get", ["download", "prometheus"], folder);
    if (again.status !== 0) throw new Error(`Cannot get promtool: ${again.text}, install Debian's package prometheus`);
  }
  const archive = readdirSync(folder).find((name) => name.endsWith(".deb")) ?? "";
  const done = run("dpkg-deb", ["-x", archive, "."], folder);
  if (done.status !== 0) throw new Error(`Cannot unpack ${archive}: ${done.text}`);
  return unpacked;
}

let promtool = "";
beforeAll(() => {
  promtool = findPromtool();
});

test("promtool has nothing to say about the metrics", async () => {
  const { text } = await sampleMetrics(["default", "team"]).print();
  expect(run(promtool, ["check", "metrics"], root, text)).toEqual({ status: 0, text: "" });
});

test("promtool takes the rules", () => {
  const { status, text } = run(promtool, ["check", "rules", "config/alert-rules.yaml"]);
  expect([status, text]).toEqual([0, expect.stringContaining("SUCCESS: 13 rules found")]);
});

const ofHome = '{instance="a",home="default"}';
const ended = (outcome: string, reason: string): string =>
  `runs_total{instance="a",home="default",outcome="${outcome}",reason="${reason}"}`;

// Two looks a minute at a daemon that ends after ten minutes, and at the one that begins two minutes later. By minute: the alerts that fire.
test.for([
  {
    fact: "a daemon finds as many orphaned runs and missed instants as the one before it",
    series: {
      [`orphaned_runs_total${ofHome}`]: "2x20 _x3 2x240",
      [`missed_slots_total${ofHome}`]: "3x20 _x3 3x240",
    },
    fires: { 9: [], 14: ["RunsOrphaned", "SlotsMissed"], 90: [] },
  },
  {
    fact: "a daemon is started again and nothing was lost",
    series: {
      [`orphaned_runs_total${ofHome}`]: "0x20 _x3 0x240",
      [`missed_slots_total${ofHome}`]: "0x20 _x3 0x240",
    },
    fires: { 14: [] },
  },
  {
    fact: "the only run within an hour fails",
    series: { [ended("failed", "exit")]: "0x9 1x11 _x3 0x240", [ended("completed", "none")]: "0x20 _x3 0x240" },
    fires: { 8: [], 25: ["RunsFail"], 90: [] },
  },
  {
    fact: "jobs are overdue, the lock is held, settings are bad and a disk is full",
    series: {
      [`overdue_jobs${ofHome}`]: "0x4 2x240",
      [`tick_lock_busy_seconds${ofHome}`]: "0x4 0+30x240",
      [`config_valid${ofHome}`]: "1x4 0x240",
      [`home_active${ofHome}`]: "1x4 0x240",
      'alerts{instance="a",kind="disk_low"}': "0x4 1x240",
    },
    fires: {
      1: [],
      3: ["DiskLow"],
      9: ["ConfigInvalid", "DiskLow", "JobsOverdue", "TickLockStuck"],
      20: ["ConfigInvalid", "DiskLow", "HomeDown", "JobsOverdue", "TickLockStuck"],
    },
  },
])("the rules fire when $fact", ({ series, fires }) => {
  const input = Object.entries({ ...series, 'start_time_seconds{instance="a"}': "-7200x20 _x3 720x240" });
  const expected = Object.entries(fires).map(([minute, names]) => ({
    expr: 'count by (alertname) (ALERTS{alertstate="firing"})',
    eval_time: `${minute}m`,
    exp_samples: names.map((name) => ({ labels: `{alertname="HermesSupervisor${name}"}`, value: 1 })),
  }));
  mkdirSync(folder, { recursive: true });
  const file = join(folder, "alert-rules.test.yaml");
  const test = {
    interval: "30s",
    input_series: input.map(([name, values]) => ({ series: `hermes_supervisor_${name}`, values })),
    promql_expr_test: expected,
  };
  const rules = { rule_files: [join(root, "config/alert-rules.yaml")], evaluation_interval: "30s", tests: [test] };
  writeFileSync(file, JSON.stringify(rules));
  expect(run(promtool, ["test", "rules", file])).toEqual({ status: 0, text: expect.stringContaining("SUCCESS") });
});
