import { join } from "node:path";
import { formatInstant } from "../../core/instant.ts";
import type { Job } from "../../core/job.ts";
import { nextOccurrence } from "../../core/next-occurrence.ts";
import { createZone } from "../../core/zone.ts";
import type { ReadingSystem } from "../command-parts.ts";

/** A job of the copy: the name of a real one, and a script that only says when it starts and ends. */
export interface ChaosJob {
  readonly id: string;
  readonly name: string;
  readonly everySeconds: number;
  readonly sleepSeconds: number;
  readonly exitCode: number;
}

const jobsMin = 8;
const jobsMax = 12;

/** Stands in for the jobs of a home, filled up with more where it has few: each runs every few seconds, some longer than that, some fail. */
export function chaosJobs(real: readonly Pick<Job, "name">[]): readonly ChaosJob[] {
  const count = Math.min(jobsMax, Math.max(jobsMin, real.length));
  return Array.from({ length: count }, (_, index) => ({
    id: `c4a05${index.toString(16).padStart(7, "0")}`,
    name: real[index]?.name ?? `job ${index + 1}`,
    everySeconds: [1, 2, 3, 5][index % 4] ?? 1,
    sleepSeconds: [0.2, 0.7, 1.5, 2.5][(index + Math.floor(index / 4)) % 4] ?? 0.2,
    exitCode: index % 5 === 4 ? 3 : 0,
  }));
}

export function journalPath(home: string, jobId: string): string {
  return join(home, "journal", jobId);
}

const quick = `limits: {max_open_runs: 32}
stop: {grace: 500 ms}
hermes: {python: /nowhere}
`;

/** The settings of the copy; the last daemon waits for its runs. */
export function chaosConfig(isLast: boolean): string {
  return isLast ? `${quick}shutdown: {on_sigterm: drain}\n` : quick;
}

export function makeChaosHome(
  { files, clock }: ReadingSystem,
  home: string,
  stateFolder: string,
  jobs: readonly ChaosJob[],
): void {
  const nowMs = clock.nowMs();
  const zone = createZone("UTC", 0);
  for (const folder of [home, join(home, "cron"), join(home, "scripts"), join(home, "journal"), stateFolder]) {
    files.makeFolder(folder, 0o700, true);
  }
  const records = jobs.map(({ id, name, everySeconds, sleepSeconds, exitCode }) => {
    const note = (event: string): string =>
      `echo "${event} $HERMES_SUPERVISOR_RUN_ID" >>"$HERMES_HOME/journal/${id}"\n`;
    const text = `${note("start")}sleep ${sleepSeconds}\n${note("end")}exit ${exitCode}\n`;
    files.create(join(home, "scripts", `${id}.sh`), text, 0o600);
    const expression = `* * * * * */${everySeconds}`;
    const nextMs = nextOccurrence({ kind: "cron", expression }, nowMs + 1000, zone) ?? nowMs;
    return {
      id,
      name,
      prompt: "",
      script: `${id}.sh`,
      no_agent: true,
      schedule: { kind: "cron", expr: expression, display: expression },
      schedule_display: expression,
      repeat: { times: null, completed: 0 },
      enabled: true,
      state: "scheduled",
      created_at: formatInstant(nowMs, zone),
      next_run_at: formatInstant(nextMs, zone),
      last_run_at: null,
      last_status: null,
      last_error: null,
      deliver: "local",
    };
  });
  const store = JSON.stringify({ jobs: records, updated_at: formatInstant(nowMs, zone) }, null, 2);
  files.create(join(home, "cron/jobs.json"), store, 0o600);
  files.create(join(home, "config.yaml"), "timezone: UTC\ncron: {max_parallel_jobs: 32}\n", 0o600);
  files.create(join(stateFolder, "config.yaml"), chaosConfig(false), 0o600);
}
