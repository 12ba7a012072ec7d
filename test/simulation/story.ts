import { formatInstant } from "../../src/core/instant.ts";
import { computeNextRun, nextInterval, nextOccurrence } from "../../src/core/next-occurrence.ts";
import type { Schedule } from "../../src/core/schedule.ts";
import type { Zone } from "../../src/core/zone.ts";
import {
  isTagged,
  type PlannedHome,
  type PlannedJob,
  type PlannedSchedule,
  type Scenario,
  sharedTag,
} from "./scenario.ts";
import { pathOf, stateFolder, type World } from "./simulate.ts";

/** What is to become of the jobs, told from outside of the daemon: by the schedules and by those who edit them. */
export interface Story {
  prepare(world: World): void;
  readonly jobs: readonly JobStory[];
  job(home: string, id: string): JobStory | null;
  create(world: World, home: string, planned: PlannedJob): void;
  /** Writes another value into the home's `.env`. */
  changeEnvironment(world: World, home: string): void;
  /** The values that a run started now may see: the one that stands there, and those before it for a while. */
  environmentsOf(world: World, home: string): readonly string[];
  pause(world: World, job: JobStory): void;
  resume(world: World, job: JobStory): void;
  edit(world: World, job: JobStory, schedule: PlannedSchedule): void;
  /** Asks for a run as Hermes does: its instant takes the place of the schedule's own. */
  request(world: World, job: JobStory): void;
  delete(world: World, job: JobStory): void;
  /** Changes a record as another program does: under the jobs lock, by rename. False when it is gone. */
  change(world: World, job: JobStory, act: (record: StoredRecord) => void): boolean;
  /** The record as it stands in the store. */
  read(world: World, job: JobStory): StoredRecord | null;
  /** The instants of one span up to `untilMs`. */
  instantsOf(span: Span, untilMs: number): readonly number[];
  /** Whether the span's rule can have named the instant. In an hour that is repeated, that depends on where one counts from. */
  isNamed(span: Span, atMs: number): boolean;
}

/** A time through which a job had one schedule. */
export interface Span {
  readonly schedule: Schedule;
  /** What the one who wrote it put into `next_run_at`. */
  readonly firstMs: number | null;
  /** Nothing after `firstMs` and before this is an instant of it: the job was paused. */
  readonly resumedAtMs: number | null;
  /** Whether it began when a pause ended. */
  readonly isAfterPause: boolean;
  /** Whether no daemon was there to see it begin. */
  readonly isUnseen: boolean;
  /** When somebody ended it; null while it lasts. */
  endMs: number | null;
  endedAtMonotonicMs: number;
  readonly beganAtMonotonicMs: number;
  /** Of a span that has ended, the instants that a daemon can have known of. */
  known: readonly number[];
}

export interface JobStory {
  readonly home: string;
  readonly id: string;
  readonly planned: PlannedJob;
  readonly spans: Span[];
  isGone: boolean;
  /** Somebody else ran it, so its record counts runs that the ledger does not have. */
  isShared: boolean;
  /** Instants that somebody else took and that no daemon had seen coming. */
  readonly unseen: Set<number>;
}

/** Stands in the `.env` of each home, with a value of that home alone. */
export const environmentMark = "HOME_MARK";
/** A watch can miss a change; then the daemon looks by itself, and a gate made before may still be used a moment later. */
const noticedWithinMs = 32_000;

export type StoredRecord = Record<string, unknown>;

/** A value that means nothing to us, and that `JSON.parse` would change. */
export const unknownField = '"x_note":{"10":2.0,"9":12345678901234567890}';
const unknownStandIn = '"x_note":"@"';

/** Of two homes one was used by Hermes before, so its ledger is there. */
export function hasHermesLedger(scenario: Scenario): boolean {
  return scenario.seed % 2 === 1;
}

export function executionsOf(home: string): string {
  return `${pathOf(home)}/cron/executions.db`;
}

export function createStory(scenario: Scenario, zone: Zone): Story {
  const jobs: JobStory[] = [];
  const environments = new Map<string, { readonly value: string; readonly sinceMs: number }[]>();
  const text = (ms: number | null): string | null => (ms === null ? null : formatInstant(ms, zone));

  const story: Story = {
    jobs,
    prepare(world) {
      const { files } = world;
      files.makeFolder("/usr/bin", 0o755, true);
      for (const program of ["bash", "python3", "hermes"]) files.create(`/usr/bin/${program}`, "#!/bin/sh\n", 0o755);
      files.makeFolder("/root", 0o700, true);
      files.makeFolder(stateFolder, 0o700, true);
      const settings = {
        recovery: { orphans: scenario.orphans },
        stop: { grace: "3 s" },
        ...(scenario.cpuPressureMax === undefined ? {} : { pressure: { cpu_max: scenario.cpuPressureMax } }),
        ...(scenario.bounds === undefined ? {} : { limits: boundsSetting(scenario.bounds) }),
        defaults: {
          ...(scenario.retry === undefined ? {} : { retry: retrySetting(scenario.retry) }),
          ...(scenario.timeoutMs === null ? {} : { timeout: `${scenario.timeoutMs / 1000} s` }),
          ...(scenario.idleTimeoutMs ? { idle_timeout: `${scenario.idleTimeoutMs / 1000} s` } : {}),
        },
        jobs: jobSettings(scenario),
      };
      files.create(`${stateFolder}/config.yaml`, `${JSON.stringify(settings)}\n`, 0o600);
      for (const home of scenario.homes) prepareHome(world, home);
    },
    job: (home, id) => jobs.find((job) => job.home === home && job.id === id && !job.isGone) ?? null,
    create(world, home, planned) {
      if (jobs.some((job) => job.home === home && job.id === planned.id)) return;
      const { job, record } = begin(home, planned, world.clock.nowMs());
      jobs.push(job);
      world.files.create(`${pathOf(home)}/scripts/${planned.id}.sh`, "", 0o700);
      write(world, home, (records) => records.push(record));
    },
    changeEnvironment(world, home) {
      const before = environments.get(home) ?? [];
      const value = `${home}-${before.length}`;
      environments.set(home, [...before, { value, sinceMs: world.clock.monotonicMs() }]);
      world.files.plant(`${pathOf(home)}/.env`, `${environmentMark}=${value}\n`);
    },
    environmentsOf(world, home) {
      const known = environments.get(home) ?? [];
      return known
        .filter((_, index) => {
          const next = known[index + 1];
          return next === undefined || world.clock.monotonicMs() - next.sinceMs < noticedWithinMs;
        })
        .map(({ value }) => value);
    },
    pause(world, job) {
      story.change(world, job, (record) => {
        if (record["enabled"] !== true) return;
        const nowMs = world.clock.nowMs();
        Object.assign(record, { enabled: false, state: "paused", paused_at: text(nowMs), paused_reason: null });
        endSpan(world, job, nowMs);
      });
    },
    resume(world, job) {
      story.change(world, job, (record) => {
        const schedule = job.spans.at(-1)?.schedule;
        if (record["state"] !== "paused" || schedule === undefined) return;
        const nowMs = world.clock.nowMs();
        const storedMs = Date.parse(String(record["next_run_at"]));
        // Hermes keeps an instant that passed in the pause, so that it is served late or skipped with a word.
        const isKept = schedule.kind !== "once" && storedMs <= nowMs;
        const isRequested = isKept && record["manual_run_at"] === record["next_run_at"];
        // Where an interval goes on after a request that was kept, no record tells.
        if (isRequested && schedule.kind === "interval") return;
        const isSlotKept = isKept && !isRequested;
        const firstMs = isSlotKept ? storedMs : computeNextRun(schedule, null, nowMs, zone);
        if (firstMs === null) return;
        Object.assign(record, { enabled: true, state: "scheduled", paused_at: null });
        if (!isKept) record["next_run_at"] = text(firstMs);
        job.spans.push(
          spanOf(
            schedule,
            firstMs,
            isSlotKept ? nowMs : null,
            world.clock.monotonicMs(),
            true,
            world.startedAtMs() === null,
          ),
        );
      });
    },
    request(world, job) {
      story.change(world, job, (record) => {
        // Of a pace that nobody has seen, nothing is left when its instant is overwritten.
        const knownMs = world.ledger.cursors(job.home).get(job.id)?.nextAtMs;
        if (record["enabled"] !== true || record["next_run_at"] === null) return;
        if (job.spans.at(-1)?.schedule.kind === "once" || knownMs !== Date.parse(String(record["next_run_at"]))) return;
        const at = text(world.clock.nowMs());
        Object.assign(record, { state: "scheduled", next_run_at: at, manual_run_at: at, manual_run_prompt: null });
      });
    },
    edit(world, job, planned) {
      story.change(world, job, (record) => {
        if (record["enabled"] !== true) return;
        const nowMs = world.clock.nowMs();
        const schedule = scheduleOf(planned, nowMs);
        const firstMs = computeNextRun(schedule, null, nowMs, zone);
        endSpan(world, job, nowMs);
        Object.assign(record, { schedule: storedSchedule(schedule, text), next_run_at: text(firstMs) });
        job.spans.push(spanOf(schedule, firstMs, null, world.clock.monotonicMs()));
      });
    },
    delete(world, job) {
      endSpan(world, job, world.clock.nowMs());
      job.isGone = true;
      write(world, job.home, (records) => {
        const at = records.findIndex((record) => record["id"] === job.id);
        if (at >= 0) records.splice(at, 1);
      });
    },
    change(world, job, act) {
      let found = false;
      write(world, job.home, (records) => {
        const record = records.find((one) => one["id"] === job.id);
        if (record === undefined) return;
        found = true;
        act(record);
      });
      return found;
    },
    read({ files }, job) {
      const document = JSON.parse(files.readText(`${pathOf(job.home)}/cron/jobs.json`)) as {
        readonly jobs: readonly StoredRecord[];
      };
      return document.jobs.find((record) => record["id"] === job.id) ?? null;
    },
    instantsOf(span, untilMs) {
      const instants: number[] = [];
      const { schedule } = span;
      let atMs = span.firstMs;
      while (atMs !== null && atMs <= untilMs) {
        instants.push(atMs);
        if (schedule.kind === "once") break;
        const fromMs: number = instants.length === 1 ? Math.max(atMs, span.resumedAtMs ?? atMs) : atMs;
        atMs =
          schedule.kind === "interval"
            ? nextInterval(atMs, schedule.minutes, fromMs)
            : nextOccurrence(schedule, fromMs, zone);
      }
      return instants;
    },
    isNamed(span, atMs) {
      const { schedule, firstMs } = span;
      if (atMs === firstMs) return true;
      if (firstMs === null || atMs < firstMs || schedule.kind === "once") return false;
      if (schedule.kind === "cron") return nextOccurrence(schedule, atMs - 1, zone) === atMs;
      return nextInterval(firstMs, schedule.minutes, atMs - 1) === atMs;
    },
  };
  return story;

  function prepareHome(world: World, home: PlannedHome): void {
    const { files } = world;
    const path = pathOf(home.name);
    files.makeFolder(`${path}/cron`, 0o700, true);
    files.makeFolder(`${path}/scripts`, 0o700, true);
    const config = { timezone: scenario.zone, cron: { max_parallel_jobs: home.parallelMax } };
    story.changeEnvironment(world, home.name);
    files.create(`${path}/config.yaml`, `${JSON.stringify(config)}\n`, 0o600);
    const records = home.jobs.map((planned) => {
      const { job, record } = begin(home.name, planned, scenario.startMs);
      jobs.push(job);
      return record;
    });
    for (const job of home.jobs) files.create(`${path}/scripts/${job.id}.sh`, "", 0o700);
    if (hasHermesLedger(scenario)) {
      files.create(executionsOf(home.name), "", 0o644);
      world.hermesLedgers.make(executionsOf(home.name));
    }
    files.create(`${path}/cron/jobs.json`, format({ jobs: records, updated_at: null }), 0o600);
  }

  function begin(home: string, planned: PlannedJob, nowMs: number): { job: JobStory; record: StoredRecord } {
    const schedule = scheduleOf(planned.schedule, nowMs);
    const firstMs = computeNextRun(schedule, null, nowMs, zone);
    const record = {
      id: planned.id,
      name: `job ${planned.id}`,
      prompt: planned.isPrompt === true ? "What is new?" : "",
      script: planned.isPrompt === true ? null : `${planned.id}.sh`,
      no_agent: planned.isPrompt !== true,
      schedule: storedSchedule(schedule, text),
      schedule_display: "",
      repeat: { times: planned.repeatTimes, completed: 0 },
      enabled: true,
      state: "scheduled",
      created_at: text(nowMs),
      next_run_at: text(firstMs),
      last_run_at: null,
      last_status: null,
      last_error: null,
      failure_streak: 0,
      x_note: "@",
    };
    const spans = [spanOf(schedule, firstMs, null)];
    return { job: { home, id: planned.id, planned, spans, isGone: false, isShared: false, unseen: new Set() }, record };
  }

  function endSpan(world: World, job: JobStory, nowMs: number): void {
    const span = job.spans.at(-1);
    if (span === undefined || span.endMs !== null) return;
    span.endMs = nowMs;
    span.endedAtMonotonicMs = world.clock.monotonicMs();
    const instants = story.instantsOf(span, nowMs);
    const lines = new Set(
      world.ledger.slots({ home: job.home, jobId: job.id, limit: 0 }).map((line) => line.scheduledAtMs),
    );
    // A claim whose gate never opened will be taken back, and what came after it with it.
    const isClaimed = world.ledger
      .openRuns(job.home)
      .some((run) => run.jobId === job.id && world.host.runs.get(run.id)?.started === false);
    const awaitedMs = isClaimed ? null : (world.ledger.cursors(job.home).get(job.id)?.nextAtMs ?? null);
    // Of what it cannot run a daemon takes note when it looks by itself.
    const calmUntilMs = job.planned.isPrompt === true ? Number.NEGATIVE_INFINITY : world.calmUntilMs();
    span.known = instants.filter((atMs) => lines.has(atMs) || atMs === awaitedMs || atMs <= calmUntilMs);
  }
}

/** By id, as the configuration names them: of jobs of several homes the last one's count. */
function jobSettings(scenario: Scenario): Readonly<Record<string, unknown>> {
  const detached = detachedJobs(scenario);
  return Object.fromEntries(
    plannedJobs(scenario).map(({ id, misfire, overlap }) => [
      id,
      {
        ...(detached.includes(id) ? { detach: true } : {}),
        ...(misfire === undefined ? {} : { misfire }),
        ...(overlap === undefined ? {} : { overlap }),
        ...(isTagged(id) ? { tags: [sharedTag] } : {}),
      },
    ]),
  );
}

function plannedJobs({ homes, events }: Scenario): readonly PlannedJob[] {
  const created = events.flatMap((event) => (event.kind === "create" ? [event.planned] : []));
  return [...homes.flatMap(({ jobs }) => jobs), ...created];
}

/** Settings name jobs by id, so that a job of another home with the same id is meant too. */
export function detachedJobs(scenario: Scenario): readonly string[] {
  return plannedJobs(scenario).flatMap((job) => (job.detach === true ? [job.id] : []));
}

function write(world: World, home: string, act: (records: StoredRecord[]) => void): void {
  const path = `${pathOf(home)}/cron/jobs.json`;
  const document = JSON.parse(world.files.readText(path).replaceAll(unknownField, unknownStandIn)) as {
    readonly jobs: StoredRecord[];
  };
  act(document.jobs);
  world.files.replace(path, ".jobs_hermes.tmp", format(document), 0o600);
}

function format(document: unknown): string {
  return `${JSON.stringify(document, null, 1).replaceAll('"x_note": "@"', unknownField)}\n`;
}

function spanOf(
  schedule: Schedule,
  firstMs: number | null,
  resumedAtMs: number | null,
  beganAtMonotonicMs = 0,
  isAfterPause = false,
  isUnseen = false,
): Span {
  return {
    beganAtMonotonicMs,
    schedule,
    firstMs,
    resumedAtMs,
    isAfterPause,
    isUnseen,
    endMs: null,
    endedAtMonotonicMs: 0,
    known: [],
  };
}

function scheduleOf(planned: PlannedSchedule, nowMs: number): Schedule {
  return planned.kind === "once" ? { kind: "once", runAtMs: nowMs + planned.inMs } : planned;
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

function boundsSetting({ openRuns, tagged, order }: NonNullable<Scenario["bounds"]>): unknown {
  return { max_open_runs: openRuns, order, ...(tagged === null ? {} : { tags: { [sharedTag]: tagged } }) };
}

function retrySetting({ max, backoffMs, grows }: NonNullable<Scenario["retry"]>): unknown {
  const length = `${backoffMs} ms`;
  return {
    max,
    backoff: grows ? { first: length, factor: 3, max: "1 m" } : length,
    on: ["failed", "timeout", "orphaned"],
  };
}
