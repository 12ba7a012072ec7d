import { z } from "zod";
import { alertKinds } from "../core/alert-kinds.ts";
import { deliveryStates } from "../core/delivery.ts";
import { jobKinds } from "../core/job.ts";
import type { Shortage } from "../core/pressure.ts";
import { runReasons } from "../core/run.ts";
import { runStates } from "../core/run-states.ts";
import { slotReasons } from "../core/slot.ts";
import type { HealthJson } from "./health.ts";
import type { JobJson, RunJson, SlotJson } from "./json.ts";
import type { NextJson } from "./next.ts";
import type {
  AlertJson,
  ConfigJson,
  ConfigReport,
  HomeJson,
  RetentionJson,
  SettingJson,
  StatusJson,
} from "./snapshot.ts";
import { retentionSteps } from "./view.ts";
import { type BoundJson, type WaitingJson, waitingReasons, waitingTriggers } from "./waiting.ts";

/**
 * The JSON that the control socket answers. The description in `docs/openapi.json` is made from these, and a test holds every
 * route's answers against them.
 */
const time = z.iso.datetime();
const count = z.int().nonnegative();

function keysOf<Key extends string>(record: Readonly<Record<Key, unknown>>) {
  return z.enum(Object.keys(record) as Key[]);
}

const delivery = z.strictObject({
  state: keysOf(deliveryStates),
  target: z.string(),
  error: z.string().nullable(),
});

const retry = z.strictObject({
  state: z.enum(["waiting", "started", "given_up"]),
  attempt: z.int().positive(),
  at: time.nullable(),
  reason: z.string().nullable(),
  run_id: z.string().nullable(),
});

const run = z.strictObject({
  id: z.string(),
  home: z.string(),
  job_id: z.string(),
  job_name: z.string(),
  kind: z.enum(jobKinds),
  trigger: z.enum(["schedule", "manual", "retry"]),
  scheduled_at: time.nullable().describe("Null for a manual run"),
  claimed_at: time,
  started_at: time.nullable().describe("When its gate was opened"),
  ended_at: time.nullable(),
  lateness_ms: z.number().nullable(),
  attempt: z.int().positive(),
  state: keysOf(runStates),
  reason: z.enum(runReasons).nullable(),
  exit_code: z.int().nullable(),
  signal: z.string().nullable(),
  pid: z.int(),
  fingerprint: z.strictObject({
    pid: z.int(),
    start_ticks: z.number().nullable(),
    boot_id: z.string(),
    pid_namespace: z.string().nullable(),
  }),
  adopted: z.boolean(),
  error: z.string().nullable(),
  output_bytes: count.nullable(),
  output_path: z.string().nullable(),
  document_path: z.string().nullable(),
  delivery: delivery.nullable(),
  retry: retry.nullable().describe("What comes after a failure, where the job's retry says something of it"),
}) satisfies z.ZodType<RunJson>;

const slot = z.strictObject({
  home: z.string(),
  job_id: z.string(),
  scheduled_at: time,
  decision: keysOf(slotReasons),
  reason: z.enum(Object.values(slotReasons).flat()),
  run_id: z.string().nullable(),
  decided_at: time,
  lateness_ms: z.number().nullable(),
}) satisfies z.ZodType<SlotJson>;

const job = z.strictObject({
  home: z.string(),
  id: z.string(),
  name: z.string(),
  kind: z.enum(jobKinds),
  schedule: z.string(),
  enabled: z.boolean(),
  state: z.string(),
  next_run_at: time.nullable(),
  last_run_at: time.nullable(),
  last_status: z.string().nullable(),
  last_error: z.string().nullable(),
  failure_streak: z.number(),
  repeat: z.strictObject({ times: z.number().nullable(), completed: z.number() }),
  open_run_id: z.string().nullable(),
  fault: z.string().nullable(),
}) satisfies z.ZodType<JobJson>;

const alert = z.strictObject({
  kind: z.enum(alertKinds),
  home: z.string().nullable(),
  job_id: z.string().nullable(),
  message: z.string(),
  since: time.nullable(),
}) satisfies z.ZodType<AlertJson>;

const config = z.strictObject({
  state: z.enum(["ok", "invalid"]),
  path: z.string(),
  error: z.string().nullable().describe("Why the file is not in force as it stands"),
  line: z.int().nullable(),
  column: z.int().nullable(),
  snippet: z.string().nullable(),
  content_hash: z.string().nullable(),
  generation: count.nullable(),
  in_force_since: time.nullable(),
}) satisfies z.ZodType<ConfigJson>;

const setting = z.strictObject({
  key: z.string(),
  value: z.unknown().describe("Lengths in milliseconds, sizes in bytes"),
  source: z.string().describe("A file and line, a flag, a variable or `default`"),
}) satisfies z.ZodType<SettingJson>;

const configReport = z.strictObject({
  host: z.strictObject({ file: config, settings: z.array(setting) }),
  homes: z.array(z.strictObject({ name: z.string(), path: z.string(), file: config, settings: z.array(setting) })),
  overrides: z
    .strictObject({ set: z.array(z.string()), variables: z.record(z.string(), z.string()) })
    .describe("What counts over every file, as it was said at the start of the daemon"),
}) satisfies z.ZodType<ConfigReport>;

const bound = z.strictObject({
  home: z.string().nullable().describe("Null for the whole host"),
  of: z.enum(["runs", "class", "tag"]),
  name: z.string().nullable().describe("The class or the tag"),
  max: count,
  in_use: count,
}) satisfies z.ZodType<BoundJson>;

const shortage = z.strictObject({
  of: z.enum(["memory", "cpu"]),
  percent: z.number().describe("For how much of the last ten seconds programs waited for it"),
  max: z.number(),
}) satisfies z.ZodType<Shortage>;

const waiting = z.strictObject({
  home: z.string(),
  job_id: z.string(),
  job_name: z.string(),
  trigger: z
    .enum(waitingTriggers)
    .describe("Its oldest instant that has come, the attempt after a failed run, or a run that somebody asked for"),
  due_at: time.nullable(),
  reason: z.enum(waitingReasons),
  limit: bound.nullable().describe("The bound that is full, or whose rest is kept for another job"),
  pressure: z.array(shortage).nullable().describe("What the machine is short of, where that is the reason"),
  held_by: z.array(z.string()).describe("Runs that the bound counts"),
}) satisfies z.ZodType<WaitingJson>;

const home = z.strictObject({
  name: z.string(),
  path: z.string(),
  state: z.enum(["active", "paused", "degraded", "unsupported"]),
  reason: z.string().nullable(),
  jobs: count,
  enabled_jobs: count,
  open_runs: count,
  waiting: count,
  capacity: z.strictObject({
    limit: count.nullable().describe("Null is none"),
    in_use: count,
    bounds: z.array(bound).describe("Every bound that counts runs of this home"),
  }),
  next_due_at: time.nullable(),
  tick_lock: z.strictObject({ held: z.boolean(), holder: z.int().nullable(), since: time.nullable() }),
  config,
  hermes: z.strictObject({ python: z.string(), version: z.string() }).nullable(),
}) satisfies z.ZodType<HomeJson>;

const retention = z.strictObject({
  state: z.enum(["idle", "running"]),
  step: z
    .enum(retentionSteps)
    .nullable()
    .describe("What is looked at: what is too old, too many runs, too much output, a ledger too large, its free room"),
  done: count
    .nullable()
    .describe("In milliseconds of history (age), runs looked at (count, output), bytes (ledger) or pages (vacuum)"),
  total: count.nullable().describe("Null where there is nothing to do"),
  since: time.nullable(),
}) satisfies z.ZodType<RetentionJson>;

const status = z.strictObject({
  daemon: z.strictObject({
    running: z.boolean(),
    pid: z.int().nullable(),
    version: z.string().nullable(),
    started_at: time.nullable(),
    ready: z.boolean(),
  }),
  config,
  homes: z.array(home),
  open_runs: z.array(run),
  waiting: z.array(waiting).describe("At most 1000 due jobs that have not started"),
  alerts: z.array(alert),
  retention,
}) satisfies z.ZodType<StatusJson>;

const next = z.strictObject({
  occurrences: z.array(
    z.strictObject({ home: z.string(), job_id: z.string(), job_name: z.string(), at: time.nullable() }),
  ),
  errors: z.array(z.strictObject({ home: z.string(), job_id: z.string(), message: z.string() })),
}) satisfies z.ZodType<NextJson>;

const request = z.strictObject({
  id: z.int().nullable(),
  state: z.enum(["served", "waiting", "refused"]),
  reason: z.string().nullable(),
  run_id: z.string().nullable(),
});

const problem = z.strictObject({
  type: z.literal("about:blank"),
  title: z.string(),
  status: z.int(),
  detail: z.string(),
});

const health = z.strictObject({ ok: z.boolean(), reasons: z.array(z.string()) }) satisfies z.ZodType<HealthJson>;

/** By the name that the description gives them: what stands in many answers. */
export const models = { Run: run, Slot: slot, Job: job, Home: home, Alert: alert } as const;

/** By the name that the description gives them: whole answers. */
export const shapes = {
  Health: health,
  Status: status,
  Homes: z.strictObject({ homes: z.array(home) }),
  Jobs: z.strictObject({ jobs: z.array(job) }),
  Runs: z.strictObject({ runs: z.array(run) }),
  Slots: z.strictObject({ slots: z.array(slot) }),
  Next: next,
  OneRun: z.strictObject({ run }),
  Started: z.strictObject({ run: run.nullable() }),
  Waiting: z.strictObject({ run: z.null(), request }),
  Request: z.strictObject({ request }),
  Config: configReport,
  Problem: problem,
} as const;

export type ShapeName = keyof typeof shapes;

/** By kind, what the data of an event is. */
export const eventShapes = {
  run,
  slot,
  alert: z.strictObject({ event: z.enum(["raised", "cleared"]), alert }),
  config: z.strictObject({ home: z.string().nullable(), ...config.shape }),
  gap: z.strictObject({ message: z.string() }),
} as const;
