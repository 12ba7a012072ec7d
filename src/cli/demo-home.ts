import { join } from "node:path";
import { formatInstant } from "../core/instant.ts";
import { nextOccurrence } from "../core/next-occurrence.ts";
import { createZone } from "../core/zone.ts";
import type { ReadingSystem } from "./command-parts.ts";

interface DemoJob {
  readonly name: string;
  /** Six fields: the last are the seconds. */
  readonly schedule: string;
  readonly script: string;
}

const demoJobs: readonly DemoJob[] = [
  { name: "heartbeat", schedule: "* * * * * */5", script: 'echo "alive at $(date +%T)"\n' },
  { name: "quick check", schedule: "* * * * * 8,28,48", script: "sleep 0.2\necho all is well\n" },
  {
    name: "slow report",
    schedule: "* * * * * 2",
    script: 'for part in 1 2 3 4 5 6 7 8; do\n  echo "part $part of 8"\n  sleep 5\ndone\n',
  },
  {
    name: "failing backup",
    schedule: "* * * * * 12,42",
    script: 'sleep 1\necho "backup: the disk is not there" >&2\nexit 3\n',
  },
  {
    name: "overlapping",
    schedule: "* * * * * */10",
    script: "echo this takes longer than its interval\nsleep 14\n",
  },
  {
    name: "printing",
    schedule: "* * * * * 15,45",
    script: 'for line in $(seq 1 40); do\n  echo "line $line of 40"\n  sleep 0.2\ndone\n',
  },
];

const hostConfig = `# Limits of the demonstration, so that the table has something to show.
jobs:
  slow report:
    timeout: 1 m
  overlapping:
    timeout: 30 s
  printing:
    timeout: 30 s
`;

/** Makes a home with jobs that show something within a minute. Nothing may be at `home` yet. */
export function makeDemoHome(system: ReadingSystem, home: string, stateFolder: string): void {
  const { files, clock, random } = system;
  const nowMs = clock.nowMs();
  const zone = createZone(null, -new Date(nowMs).getTimezoneOffset());
  for (const folder of [home, join(home, "cron"), join(home, "scripts"), stateFolder]) {
    files.makeFolder(folder, 0o700, true);
  }
  const jobs = demoJobs.map(({ name, schedule, script }) => {
    const file = `${name.replaceAll(" ", "-")}.sh`;
    files.create(join(home, "scripts", file), `#!/usr/bin/env bash\n${script}`, 0o700);
    const nextMs = nextOccurrence({ kind: "cron", expression: schedule }, nowMs, zone);
    return {
      id: random.uuidHex().slice(0, 12),
      name,
      prompt: "",
      script: file,
      no_agent: true,
      schedule: { kind: "cron", expr: schedule, display: schedule },
      schedule_display: schedule,
      repeat: { times: null, completed: 0 },
      enabled: true,
      state: "scheduled",
      paused_at: null,
      paused_reason: null,
      created_at: formatInstant(nowMs, zone),
      next_run_at: nextMs === null ? null : formatInstant(nextMs, zone),
      last_run_at: null,
      last_status: null,
      last_error: null,
      deliver: "local",
      origin: null,
      workdir: null,
    };
  });
  const store = JSON.stringify({ jobs, updated_at: formatInstant(nowMs, zone) }, null, 2);
  files.create(join(home, "cron", "jobs.json"), store, 0o600);
  files.create(join(home, "config.yaml"), "cron:\n  max_parallel_jobs: 4\n", 0o600);
  files.create(join(stateFolder, "config.yaml"), hostConfig, 0o600);
}
