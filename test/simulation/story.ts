import { formatInstant } from "../../src/core/instant.ts";
import { computeNextRun, nextOccurrence } from "../../src/core/next-occurrence.ts";
import type { Schedule } from "../../src/core/schedule.ts";
import type { Zone } from "../../src/core/zone.ts";
import type { PlannedHome, PlannedJob, PlannedSchedule, Scenario } from "./scenario.ts";
import { pathOf, stateFolder, type World } from "./simulate.ts";

/** What is to become of the jobs, told from outside of the daemon: by the schedules and by those who edit them. */
export interface Story {
  prepare(world: World): void;
  /** Each job with the instants that its schedule has named up to `untilMs`. */
  expected(untilMs: number): readonly ExpectedJob[];
}

export interface ExpectedJob {
  readonly home: string;
  readonly id: string;
  readonly planned: PlannedJob;
  readonly instants: readonly number[];
}

/** A value that means nothing to us, and that `JSON.parse` would change. */
export const unknownField = '"x_note":{"10":2.0,"9":12345678901234567890}';

export function createStory(scenario: Scenario, zone: Zone): Story {
  return {
    prepare(world) {
      const { files } = world;
      files.makeFolder("/usr/bin", 0o755, true);
      for (const program of ["bash", "python3", "hermes"]) files.create(`/usr/bin/${program}`, "#!/bin/sh\n", 0o755);
      files.makeFolder("/root", 0o700, true);
      files.makeFolder(stateFolder, 0o700, true);
      const settings = { recovery: { orphans: scenario.orphans }, stop: { grace: "3 s" } };
      files.create(`${stateFolder}/config.yaml`, `${JSON.stringify(settings)}\n`, 0o600);
      for (const home of scenario.homes) prepareHome(world, home);
    },
    expected: (untilMs) =>
      scenario.homes.flatMap((home) =>
        home.jobs.map((planned) => ({
          home: home.name,
          id: planned.id,
          planned,
          instants: instantsOf(planned, untilMs),
        })),
      ),
  };

  function prepareHome({ files }: World, home: PlannedHome): void {
    const path = pathOf(home.name);
    files.makeFolder(`${path}/cron`, 0o700, true);
    files.makeFolder(`${path}/scripts`, 0o700, true);
    const config = { timezone: scenario.zone, cron: { max_parallel_jobs: home.parallelMax } };
    files.create(`${path}/config.yaml`, `${JSON.stringify(config)}\n`, 0o600);
    for (const job of home.jobs) files.create(`${path}/scripts/${job.id}.sh`, "", 0o700);
    const records = home.jobs.map((job) => recordOf(job));
    files.create(`${path}/cron/jobs.json`, `{"jobs": [\n${records.join(",\n")}\n], "updated_at": null}\n`, 0o600);
  }

  function scheduleOf(planned: PlannedSchedule): Schedule {
    if (planned.kind !== "once") return planned;
    return { kind: "once", runAtMs: scenario.startMs + planned.inMs };
  }

  function firstOf(schedule: Schedule, atMs: number): number | null {
    return computeNextRun(schedule, null, atMs, zone);
  }

  function recordOf(job: PlannedJob): string {
    const schedule = scheduleOf(job.schedule);
    const firstMs = firstOf(schedule, scenario.startMs);
    const text = (ms: number | null): string | null => (ms === null ? null : formatInstant(ms, zone));
    const record = JSON.stringify({
      id: job.id,
      name: `job ${job.id}`,
      prompt: "",
      script: `${job.id}.sh`,
      no_agent: true,
      schedule: storedSchedule(schedule, text),
      schedule_display: "",
      repeat: { times: job.repeatTimes, completed: 0 },
      enabled: true,
      state: "scheduled",
      created_at: text(scenario.startMs),
      next_run_at: text(firstMs),
      last_run_at: null,
      last_status: null,
      last_error: null,
      failure_streak: 0,
    });
    return `${record.slice(0, -1)}, ${unknownField}}`;
  }

  function instantsOf(job: PlannedJob, untilMs: number): readonly number[] {
    const schedule = scheduleOf(job.schedule);
    const instants: number[] = [];
    let atMs = firstOf(schedule, scenario.startMs);
    while (atMs !== null && atMs <= untilMs) {
      instants.push(atMs);
      if (schedule.kind === "once") break;
      atMs = schedule.kind === "interval" ? atMs + schedule.minutes * 60_000 : nextOccurrence(schedule, atMs, zone);
    }
    return instants;
  }
}

function storedSchedule(schedule: Schedule, text: (ms: number | null) => string | null): unknown {
  switch (schedule.kind) {
    case "cron":
      return { kind: "cron", expr: schedule.expression, display: schedule.expression };
    case "interval":
      return { kind: "interval", minutes: schedule.minutes, display: `every ${schedule.minutes}m` };
    case "once":
      return { kind: "once", run_at: text(schedule.runAtMs), display: "once" };
  }
}
