import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

export type BenchSchedule =
  | { readonly kind: "cron"; readonly expr: string; readonly display: string }
  | { readonly kind: "interval"; readonly minutes: number; readonly display: string };

/** A job as `hermes cron create` of 0.22 writes it: a script or a prompt. */
export interface BenchJob {
  readonly id: string;
  readonly script?: string;
  readonly prompt?: string;
  readonly schedule: BenchSchedule;
  readonly nextRunAtMs: number;
}

/** Writes a home: its config, its store and an empty scripts folder. */
export function makeHome(home: string, config: string, jobs: readonly BenchJob[]): void {
  for (const folder of ["cron", "scripts", "stamps"]) mkdirSync(join(home, folder), { recursive: true, mode: 0o700 });
  writeFileSync(join(home, "config.yaml"), config, { mode: 0o600 });
  writeJobs(home, jobs);
}

export function writeJobs(home: string, jobs: readonly BenchJob[]): void {
  const store = { jobs: jobs.map(record), updated_at: hermesTime(Date.now()) };
  writeFileSync(join(home, "cron", "jobs.json"), JSON.stringify(store, null, 2), { mode: 0o600 });
}

/** A bash script whose first act is to write down the time, which costs it no process of its own. Returns where it writes. */
export function makeStampScript(home: string, name: string): { readonly path: string; readonly stamps: string } {
  const path = join(home, "scripts", `${name}.sh`);
  const stamps = join(home, "stamps", name);
  writeFileSync(path, `echo "$EPOCHREALTIME start $$" >> "${stamps}"\n`, { mode: 0o700 });
  return { path, stamps };
}

export function jobId(index: number): string {
  return index.toString(16).padStart(12, "0");
}

function record(job: BenchJob): Readonly<Record<string, unknown>> {
  return {
    id: job.id,
    name: job.script ?? job.id,
    prompt: job.prompt ?? "",
    skills: [],
    skill: null,
    model: null,
    provider: null,
    base_url: null,
    script: job.script ?? null,
    no_agent: job.script !== undefined,
    monitor_script: null,
    monitor_url: null,
    monitor_state: null,
    context_from: null,
    schedule: job.schedule,
    schedule_display: job.schedule.display,
    repeat: { times: null, completed: 0 },
    enabled: true,
    state: "scheduled",
    paused_at: null,
    paused_reason: null,
    created_at: hermesTime(job.nextRunAtMs - 86_400_000),
    next_run_at: hermesTime(job.nextRunAtMs),
    last_run_at: null,
    last_status: null,
    last_error: null,
    last_delivery_error: null,
    last_delivery_unverified: null,
    last_failure: null,
    failure_streak: 0,
    deliver: "local",
    origin: null,
    enabled_toolsets: null,
    workdir: null,
  };
}

/** As Python prints an aware time: six digits of a second, or none when they are zero. */
function hermesTime(ms: number): string {
  const text = new Date(ms).toISOString();
  return ms % 1000 === 0 ? text.replace(".000Z", "+00:00") : text.replace("Z", "000+00:00");
}
