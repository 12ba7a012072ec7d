import { formatInstant, parseInstant } from "../../src/core/instant.ts";
import type { Job, JobPatch, StoredTime } from "../../src/core/job.ts";
import type { Misfire, Overlap, SlotPolicy } from "../../src/core/job-policy.ts";
import { planTick, type SlotCursor } from "../../src/core/plan-tick.ts";
import type { Schedule } from "../../src/core/schedule.ts";
import { settleJob } from "../../src/core/settle-job.ts";
import type { SlotLine } from "../../src/core/slot.ts";
import { createZone, type Zone } from "../../src/core/zone.ts";
import { sampleJob } from "./sample-job.ts";

/** What happens to one job, at a time of day in UTC. */
export type Step =
  | readonly [clock: string, what: "tick" | "end" | "restart"]
  /** A tick in a home that waits for `ESTOP` to go, or for somebody who holds its tick lock. */
  | readonly [clock: string, what: "hold", hold: "estop" | "lock"];

export interface Day {
  readonly date: string;
  readonly zone: string;
  /** A cron expression, or the minutes of an interval, or the time of a one-shot. */
  readonly schedule: string | number | { readonly once: string };
  readonly firstAt: string;
  readonly steps: readonly Step[];
}

const plain = { date: "2026-06-15", zone: "UTC", schedule: "*/5 * * * *", firstAt: "10:00:00" } as const;

/** Days on which a policy makes a difference, and some on which it must not. */
export const days: Readonly<Record<string, Day>> = {
  "on time": { ...plain, steps: [["10:00:01", "tick"]] },
  "late within its grace": { ...plain, steps: [["10:04:00", "tick"]] },
  "beyond its grace": {
    ...plain,
    steps: [
      ["10:12:00", "tick"],
      ["10:12:10", "end"],
      ["10:12:11", "tick"],
      ["10:12:20", "end"],
      ["10:12:21", "tick"],
      ["10:12:30", "end"],
      ["10:12:31", "tick"],
    ],
  },
  running: {
    ...plain,
    steps: [
      ["10:00:01", "tick"],
      ["10:05:00", "tick"],
      ["10:07:00", "end"],
      ["10:07:00", "tick"],
      ["10:07:30", "end"],
      ["10:10:00", "tick"],
    ],
  },
  queued: {
    ...plain,
    steps: [
      ["10:00:01", "tick"],
      ["10:05:00", "tick"],
      ["10:10:00", "tick"],
      ["10:12:00", "end"],
      ["10:12:00", "tick"],
      ["10:12:30", "end"],
      ["10:12:31", "tick"],
      ["10:15:00", "tick"],
    ],
  },
  "a restart in between": {
    ...plain,
    steps: [
      ["10:00:01", "tick"],
      ["10:05:00", "tick"],
      ["10:06:00", "restart"],
      ["10:11:00", "tick"],
      ["10:12:00", "end"],
      ["10:12:01", "restart"],
      ["10:12:02", "tick"],
      ["10:12:30", "end"],
      ["10:12:31", "restart"],
      ["10:12:32", "tick"],
    ],
  },
  "a clock that goes forward": {
    ...plain,
    steps: [
      ["10:00:01", "tick"],
      ["10:00:10", "end"],
      ["10:31:00", "tick"],
      ["10:31:10", "end"],
      ["10:31:11", "tick"],
      ["10:31:20", "end"],
      ["10:31:21", "tick"],
    ],
  },
  "a clock that goes back": {
    ...plain,
    steps: [
      ["10:00:01", "tick"],
      ["10:05:00", "tick"],
      ["09:50:00", "tick"],
      ["09:51:00", "end"],
      ["09:51:00", "tick"],
      ["10:00:00", "tick"],
      ["10:05:00", "tick"],
      ["10:05:10", "end"],
      ["10:10:00", "tick"],
    ],
  },
  "clocks are set forward in spring": {
    date: "2026-03-29",
    zone: "Europe/Berlin",
    schedule: "30 * * * *",
    firstAt: "00:30:00",
    steps: [
      ["02:45:00", "tick"],
      ["02:45:10", "end"],
      ["02:45:11", "tick"],
      ["02:45:20", "end"],
      ["02:45:21", "tick"],
    ],
  },
  "clocks are set back in autumn": {
    date: "2026-10-25",
    zone: "Europe/Berlin",
    schedule: "30 * * * *",
    firstAt: "00:30:00",
    steps: [
      ["02:45:00", "tick"],
      ["02:45:10", "end"],
      ["02:45:11", "tick"],
      ["02:45:20", "end"],
      ["02:45:21", "tick"],
    ],
  },
  "an interval, beyond its grace": {
    ...plain,
    schedule: 5,
    steps: [
      ["10:12:00", "tick"],
      ["10:12:10", "end"],
      ["10:12:11", "tick"],
      ["10:12:20", "end"],
      ["10:12:21", "tick"],
      ["10:12:30", "end"],
      ["10:15:00", "tick"],
    ],
  },
  "a restart while missed ones are caught up with": {
    ...plain,
    steps: [
      ["10:12:00", "tick"],
      ["10:12:05", "restart"],
      ["10:12:10", "end"],
      ["10:12:11", "restart"],
      ["10:12:12", "tick"],
      ["10:12:20", "end"],
      ["10:12:21", "restart"],
      ["10:12:22", "tick"],
    ],
  },
  "a clock that goes forward while a run is open": {
    ...plain,
    steps: [
      ["10:00:01", "tick"],
      ["10:21:00", "tick"],
      ["10:21:10", "end"],
      ["10:21:11", "tick"],
      ["10:21:20", "end"],
      ["10:25:00", "tick"],
    ],
  },
  "a clock that goes back while some wait": {
    ...plain,
    steps: [
      ["10:00:01", "tick"],
      ["10:05:00", "tick"],
      ["10:10:00", "tick"],
      ["09:50:00", "tick"],
      ["09:51:00", "end"],
      ["09:51:01", "tick"],
      ["10:05:00", "tick"],
      ["10:05:30", "end"],
      ["10:10:00", "tick"],
      ["10:10:30", "end"],
      ["10:15:00", "tick"],
    ],
  },
  "a daily job in the hour that spring leaves out": {
    date: "2026-03-29",
    zone: "Europe/Berlin",
    schedule: "30 2 * * *",
    firstAt: "01:30:00",
    steps: [
      ["00:30:01", "tick"],
      ["01:30:01", "tick"],
      ["01:30:10", "end"],
      ["02:30:00", "tick"],
    ],
  },
  "a daily job in the hour that autumn repeats": {
    date: "2026-10-25",
    zone: "Europe/Berlin",
    schedule: "30 2 * * *",
    firstAt: "00:30:00",
    steps: [
      ["00:30:01", "tick"],
      ["00:30:10", "end"],
      ["01:30:01", "tick"],
      ["02:30:00", "tick"],
    ],
  },
  "a run is open while clocks are set forward": {
    date: "2026-03-29",
    zone: "Europe/Berlin",
    schedule: "30 * * * *",
    firstAt: "00:30:00",
    steps: [
      ["00:30:01", "tick"],
      ["01:30:00", "tick"],
      ["02:30:00", "tick"],
      ["02:31:00", "end"],
      ["02:31:01", "tick"],
      ["02:32:00", "end"],
      ["03:30:00", "tick"],
    ],
  },
  "a run is open while clocks are set back": {
    date: "2026-10-25",
    zone: "Europe/Berlin",
    schedule: "30 * * * *",
    firstAt: "00:30:00",
    steps: [
      ["00:30:01", "tick"],
      ["01:30:00", "tick"],
      ["02:30:00", "tick"],
      ["02:31:00", "end"],
      ["02:31:01", "tick"],
      ["02:32:00", "end"],
      ["03:30:00", "tick"],
    ],
  },
  "an interval over the hour that autumn repeats": {
    date: "2026-10-25",
    zone: "Europe/Berlin",
    schedule: 60,
    firstAt: "00:30:00",
    steps: [
      ["02:45:00", "tick"],
      ["02:45:10", "end"],
      ["02:45:11", "tick"],
      ["02:45:20", "end"],
      ["03:30:00", "tick"],
    ],
  },
  "a one-shot late within its grace": { ...plain, schedule: { once: "10:00:00" }, steps: [["10:01:50", "tick"]] },
  "a one-shot beyond its grace": {
    ...plain,
    schedule: { once: "10:00:00" },
    steps: [
      ["10:02:10", "tick"],
      ["10:02:20", "end"],
      ["10:02:21", "tick"],
    ],
  },
  "a one-shot whose clock goes back": {
    ...plain,
    schedule: { once: "10:00:00" },
    steps: [
      ["10:00:01", "tick"],
      ["09:50:00", "tick"],
      ["09:51:00", "end"],
      ["09:51:00", "restart"],
      ["10:00:01", "tick"],
    ],
  },
  "somebody holds the tick lock": {
    ...plain,
    steps: [
      ["10:00:05", "hold", "lock"],
      ["10:05:05", "hold", "lock"],
      ["10:10:05", "hold", "lock"],
      ["10:12:00", "tick"],
    ],
  },
  "ESTOP lies there": {
    ...plain,
    steps: [
      ["10:00:00", "hold", "estop"],
      ["10:05:00", "hold", "estop"],
      ["10:06:00", "tick"],
    ],
  },
};

export const misfires: Readonly<Record<string, Misfire>> = {
  run_once: { kind: "run_once" },
  skip: { kind: "skip" },
  "run_all 2": { kind: "run_all", runsMax: 2 },
  "within 3 m": { kind: "within", withinMs: 180_000 },
};

export const overlaps: readonly Overlap[] = ["skip", "queue_one", "replace"];

/** What became of each instant on such a day: `10:00 run late 1`, the number being the run's. */
export function playDay(day: Day, policy: SlotPolicy): readonly string[] {
  const zone = createZone(day.zone, 0);
  const at = (clock: string): number => Date.parse(`${day.date}T${clock}Z`);
  const time = (ms: number): StoredTime => ({ text: formatInstant(ms, zone), ms });
  const schedule = scheduleOf(day, at);
  const repeatTimes = schedule.kind === "once" ? 1 : null;
  let job: Job = sampleJob({ schedule, nextRunAt: time(at(day.firstAt)), repeatTimes });
  let cursors: ReadonlyMap<string, SlotCursor> = new Map();
  let open: { readonly id: string; readonly owner: string; readonly scheduledAtMs: number } | null = null;
  let runs = 0;
  const lines = new Map<number, SlotLine>();
  const stops: string[] = [];

  const tick = (nowMs: number, hold: "estop" | "lock" | null): void => {
    const gate = { runId: String(runs + 1), kind: "script", jobId: null, owner: `host:1:${runs + 1}` } as const;
    const plan = planTick({
      nowMs,
      zone,
      jobs: [job],
      cursors,
      openRuns: open === null ? [] : [{ id: open.id, jobId: job.id }],
      gates: [gate],
      capacity: 1,
      ownerState: () => "unknown",
      canRun: () => true,
      hold,
      policyOf: () => policy,
    });
    for (const line of plan.slots) lines.set(line.scheduledAtMs, line);
    cursors = new Map([...cursors, ...plan.cursors]);
    const patch = plan.patches.get(job.id);
    if (patch !== undefined) job = patched(job, patch, zone);
    for (const claim of plan.claims) {
      runs += 1;
      open = { id: gate.runId, owner: gate.owner, scheduledAtMs: claim.scheduledAtMs };
    }
    for (const { runId } of plan.stops) if (!stops.includes(`stop ${runId}`)) stops.push(`stop ${runId}`);
  };

  for (const [clock, what, hold = null] of day.steps) {
    if (what === "tick" || what === "hold") tick(at(clock), hold);
    else if (what === "restart") cursors = new Map(copy(cursors));
    else if (open !== null) {
      const { owner, scheduledAtMs } = open;
      const ended = { owner, trigger: "schedule", scheduledAtMs, endedAtMs: at(clock), zone } as const;
      const patch = settleJob(job, { success: true, error: null }, ended);
      if (patch !== "superseded") job = patched(job, patch, zone);
      open = null;
    }
  }
  const told = [...lines.values()]
    .toSorted((a, b) => a.scheduledAtMs - b.scheduledAtMs)
    .map(({ scheduledAtMs, decision, reason, runId }) =>
      [new Date(scheduledAtMs).toISOString().slice(11, 16), decision, reason, runId ?? ""].join(" ").trim(),
    );
  return [...told, ...stops];
}

function scheduleOf({ schedule }: Day, at: (clock: string) => number): Schedule {
  if (typeof schedule === "string") return { kind: "cron", expression: schedule };
  if (typeof schedule === "number") return { kind: "interval", minutes: schedule };
  return { kind: "once", runAtMs: at(schedule.once) };
}

/** As the ledger keeps it. */
function copy(cursors: ReadonlyMap<string, SlotCursor>): readonly (readonly [string, SlotCursor])[] {
  return JSON.parse(JSON.stringify([...cursors])) as readonly (readonly [string, SlotCursor])[];
}

function patched(job: Job, patch: JobPatch, zone: Zone): Job {
  const read = (text: string): StoredTime => ({ text, ms: parseInstant(text, zone) ?? Number.NaN });
  return {
    ...job,
    nextRunAt: patch.nextRunAt === undefined ? job.nextRunAt : patch.nextRunAt === null ? null : read(patch.nextRunAt),
    enabled: patch.enabled ?? job.enabled,
    state: patch.state ?? job.state,
    repeatCompleted: patch.repeatCompleted ?? job.repeatCompleted,
    lastRunAt: patch.lastRunAt === undefined ? job.lastRunAt : read(patch.lastRunAt),
    fireClaim:
      patch.fireClaim === undefined
        ? job.fireClaim
        : patch.fireClaim && { at: read(patch.fireClaim.at), by: patch.fireClaim.by },
  };
}
