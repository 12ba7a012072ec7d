import { z } from "zod";
import { durationPattern, formatDuration, formatSize, parseDuration, parseSize, sizePattern } from "./quantity.ts";

/** What to do with slots that passed while nothing could run them. */
export type Misfire =
  | { readonly kind: "run_once" }
  | { readonly kind: "skip" }
  | { readonly kind: "run_all"; readonly runsMax: number }
  | { readonly kind: "within"; readonly withinMs: number };

/** Which ends of a run another attempt may follow. */
export const retryCauses = ["failed", "timeout", "idle_timeout", "memory_limit", "output_limit", "orphaned"] as const;

export interface Retry {
  readonly attemptsMax: number;
  readonly backoffMs: number;
  /** Share of the backoff, from 0 to 1, by which an attempt may come earlier or later. */
  readonly jitter: number;
  readonly causes: readonly (typeof retryCauses)[number][];
}

const second = 1000;
const hour = 3_600_000;
const day = 86_400_000;
const mebibyte = 1024 ** 2;
const gibibyte = 1024 ** 3;

/** Stands for "not a quantity at all": the documents of the setting say what was expected. */
export const unitProblem = "unit";

/**
 * A value as people write it becomes a value as we use it. The error text of a transform says what is allowed;
 * where zod's own check fails first, the description of the leaf says it.
 */
function duration(min: number, max: number) {
  return z
    .string()
    .regex(durationPattern)
    .transform((text, context): number => {
      const ms = parseDuration(text);
      if (ms !== null && ms >= min && ms <= max) return ms;
      context.addIssue({
        code: "custom",
        message: ms === null ? unitProblem : `expected ${formatDuration(min)} to ${formatDuration(max)}`,
      });
      return z.NEVER;
    });
}

function size(min: number, max: number) {
  return z
    .string()
    .regex(sizePattern)
    .transform((text, context): number => {
      const bytes = parseSize(text);
      if (bytes !== null && bytes >= min && bytes <= max) return bytes;
      context.addIssue({
        code: "custom",
        message: bytes === null ? unitProblem : `expected ${formatSize(min)} to ${formatSize(max)}`,
      });
      return z.NEVER;
    });
}

function orNone<T extends z.ZodType>(schema: T) {
  return z.union([z.literal("none").transform((): null => null), schema]);
}

const misfire = z.union([
  z.literal("run_once").transform((): Misfire => ({ kind: "run_once" })),
  z.literal("skip").transform((): Misfire => ({ kind: "skip" })),
  z.literal("run_all").transform((): Misfire => ({ kind: "run_all", runsMax: 10 })),
  z
    .strictObject({ run_all: z.int().min(1).max(1000) })
    .transform((value): Misfire => ({ kind: "run_all", runsMax: value.run_all })),
  z
    .strictObject({ within: duration(second, 7 * day) })
    .transform((value): Misfire => ({ kind: "within", withinMs: value.within })),
]);

const retry = orNone(
  z
    .strictObject({
      max: z.int().min(1).max(100),
      backoff: duration(0, day).optional(),
      jitter: z.number().min(0).max(1).optional(),
      on: z.array(z.enum(retryCauses)).min(1).optional(),
    })
    .transform(
      (value): Retry => ({
        attemptsMax: value.max,
        backoffMs: value.backoff ?? 30 * second,
        jitter: value.jitter ?? 0.1,
        causes: value.on ?? ["failed"],
      }),
    ),
);

/** One leaf of the configuration: what the file may hold, and what the documents say about it. */
export interface Setting {
  readonly key: string;
  readonly schema: z.ZodType;
  /** As it would be written in the file. */
  readonly fallback: string;
  /** Completes "expected …". */
  readonly expected: string;
  readonly about: string;
  /** Only the host's file may hold it: it is about the daemon and not about one home. */
  readonly hostOnly: boolean;
}

const aLength = "a length of time with its unit, such as 10 s, 90 m or 2 h";
const aSize = "a size with its unit, such as 64 MiB";

/** What a job can be told to do; the same keys under `defaults` and under `jobs.<id or name>`. */
const jobShape = {
  timeout: orNone(duration(second, 365 * day)),
  idle_timeout: orNone(duration(second, 365 * day)),
  memory_max: orNone(size(mebibyte, 1024 ** 5)),
  output_max: size(1024, 1024 * gibibyte),
  output_max_action: z.enum(["truncate", "stop"]),
  overlap: z.enum(["skip", "queue_one", "replace"]),
  misfire,
  retry,
  stop_grace: duration(0, hour),
  detach: z.boolean(),
  tags: z.array(z.string().regex(/^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/)).max(16),
};

export type JobKey = keyof typeof jobShape;

const jobDocuments: Readonly<Record<JobKey, Pick<Setting, "fallback" | "expected" | "about">>> = {
  timeout: {
    fallback: "auto",
    expected: `${aLength}, or none`,
    about:
      "How long a run may take. Unless it is set: cron.script_timeout_seconds of Hermes (3600 s) for scripts, 2 h for prompts. A prompt always has at least 15 m.",
  },
  idle_timeout: { fallback: "none", expected: `${aLength}, or none`, about: "How long a run may print nothing." },
  memory_max: {
    fallback: "none",
    expected: `${aSize}, or none`,
    about: "How much memory a run's processes may use together.",
  },
  output_max: { fallback: "64 MiB", expected: aSize, about: "How much of what a run prints is kept." },
  output_max_action: {
    fallback: "truncate",
    expected: "truncate or stop",
    about: "What happens beyond output_max: keep the first and the last half and go on, or stop the run.",
  },
  overlap: {
    fallback: "skip",
    expected: "skip, queue_one or replace",
    about: "What happens when a job is due while it still runs.",
  },
  misfire: {
    fallback: "run_once",
    expected: "run_once, skip, run_all, { run_all: 5 } or { within: 10 m }",
    about:
      "What happens to slots that were missed: one late run for all, none, each (at most so many), or only if not later than that.",
  },
  retry: {
    fallback: "none",
    expected: `none or { max: 3, backoff: 30 s, jitter: 0.1, on: [${retryCauses.slice(0, 2).join(", ")}] }`,
    about: `Whether a failed run is tried again. on takes ${retryCauses.join(", ")}.`,
  },
  stop_grace: {
    fallback: "10 s",
    expected: aLength,
    about: "How long a run has to end after SIGTERM. Unless it is set, stop.grace counts.",
  },
  detach: {
    fallback: "false",
    expected: "true or false",
    about: "Whether what a run leaves behind may live on after it.",
  },
  tags: { fallback: "[]", expected: "a list of at most 16 short names", about: "Names for groups of jobs." },
};

const sectionShape = {
  limits: { max_open_runs: z.int().min(1).max(10_000) },
  stop: { grace: duration(0, hour) },
  recovery: { orphans: z.enum(["fail", "adopt"]) },
  shutdown: { on_sigterm: z.enum(["hand_over", "drain", "stop"]) },
  hermes: { python: z.string().min(1) },
  environment: { pass: z.array(z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*\*?$/)).max(500) },
  retention: {
    age_max: duration(hour, 3650 * day),
    runs_max: z.int().min(1).max(1_000_000),
    bytes_max: size(mebibyte, 1024 * gibibyte),
  },
  disk: { free_min: size(0, 1024 * gibibyte) },
};

const sectionDocuments: readonly Omit<Setting, "schema">[] = [
  {
    key: "limits.max_open_runs",
    fallback: "16",
    expected: "a whole number from 1 to 10000",
    about:
      "How many runs may be open on this host at once. Each home also has cron.max_parallel_jobs of Hermes (4 if unset).",
    hostOnly: true,
  },
  {
    key: "stop.grace",
    fallback: "10 s",
    expected: aLength,
    about: "How long a stopped run has to end after SIGTERM.",
    hostOnly: false,
  },
  {
    key: "recovery.orphans",
    fallback: "fail",
    expected: "fail or adopt",
    about:
      "What becomes of a run that outlived a crashed daemon: stop it and record a failed attempt, or follow it to its end.",
    hostOnly: false,
  },
  {
    key: "shutdown.on_sigterm",
    fallback: "hand_over",
    expected: "hand_over, drain or stop",
    about: "What SIGTERM does to open runs: leave them to the next daemon, wait for them, or stop them (containers).",
    hostOnly: true,
  },
  {
    key: "hermes.python",
    fallback: "auto",
    expected: "the path of a Python interpreter",
    about:
      "The interpreter that Hermes is installed in, and then no other is tried. Unless it is set: HERMES_SUPERVISOR_PYTHON, else that of hermes on PATH, else the usual install places.",
    hostOnly: false,
  },
  {
    key: "environment.pass",
    fallback: "[]",
    expected: "a list of variable names, such as [AWS_PROFILE, MY_APP_*]",
    about:
      "Variables of the daemon that runs get too, beside PATH, HOME, LANG and their like. A final * stands for any ending.",
    hostOnly: false,
  },
  {
    key: "retention.age_max",
    fallback: "90 d",
    expected: aLength,
    about: "How long ended runs and their output are kept.",
    hostOnly: true,
  },
  {
    key: "retention.runs_max",
    fallback: "1000",
    expected: "a whole number from 1 to 1000000",
    about: "How many ended runs of one job are kept.",
    hostOnly: true,
  },
  {
    key: "retention.bytes_max",
    fallback: "4 GiB",
    expected: aSize,
    about: "How much output is kept on this host.",
    hostOnly: true,
  },
  {
    key: "disk.free_min",
    fallback: "128 MiB",
    expected: aSize,
    about: "Below this much free space nothing new is claimed, and an alert says so.",
    hostOnly: true,
  },
];

type Leaves = Readonly<Record<string, z.ZodType>>;

function leafSchema(key: string): z.ZodType {
  const [section = "", leaf = ""] = key.split(".");
  const schema = (sectionShape as Readonly<Record<string, Leaves>>)[section]?.[leaf];
  if (schema === undefined) throw new Error(`Cannot document setting "${key}": the schema has no such key`);
  return schema;
}

/** Every setting, in the order of the documents; those of jobs once, as `defaults.*`. */
export const settings: readonly Setting[] = [
  ...sectionDocuments.map((document) => ({ ...document, schema: leafSchema(document.key) })),
  ...(Object.keys(jobShape) as JobKey[]).map((key) => ({
    key: `defaults.${key}`,
    schema: jobShape[key],
    hostOnly: false,
    ...jobDocuments[key],
  })),
];

/** An absent key inherits; an empty section (`limits:` with its lines commented out) is an absent one. */
function section<T extends Readonly<Record<string, z.ZodType>>>(shape: T) {
  return z.strictObject(shape).partial().nullable().optional();
}

const job = section(jobShape);

/** What a file may hold: the host's file as a whole, or the `supervisor:` section of a home's own. */
export const fileSchema = z
  .strictObject({
    limits: section(sectionShape.limits),
    stop: section(sectionShape.stop),
    recovery: section(sectionShape.recovery),
    shutdown: section(sectionShape.shutdown),
    hermes: section(sectionShape.hermes),
    environment: section(sectionShape.environment),
    retention: section(sectionShape.retention),
    disk: section(sectionShape.disk),
    defaults: job,
    jobs: z.record(z.string(), job).nullable().optional(),
  })
  .nullable();

export type FileSettings = NonNullable<z.infer<typeof fileSchema>>;
export type JobFileSettings = NonNullable<FileSettings["defaults"]>;

/** The setting that a path in a file names; a job's is found under `defaults`. */
export function settingAt(path: readonly (string | number)[]): Setting | null {
  const [first, second, third] = path.map(String);
  const key = first === "jobs" ? `defaults.${third ?? ""}` : `${first ?? ""}.${second ?? ""}`;
  return settings.find((setting) => setting.key === key) ?? null;
}

const innerExpected: Readonly<Record<string, string>> = {
  "retry.max": "a whole number from 1 to 100",
  "retry.backoff": aLength,
  "retry.jitter": "a number from 0 to 1",
  "retry.on": `some of ${retryCauses.join(", ")}`,
  "misfire.run_all": "a whole number from 1 to 1000",
  "misfire.within": aLength,
  tags: "a name of letters, digits, _, . and -",
  pass: "the name of a variable, with a * at its end or without",
};

/** Completes "expected …" for the value at `path`, which may lie inside a setting; null where a mapping belongs. */
export function expectedAt(path: readonly (string | number)[]): string | null {
  const setting = settingAt(path);
  if (setting === null) return null;
  const inside = path.slice(path[0] === "jobs" ? 2 : 1).map(String);
  return (
    (inside.length < 2 ? null : (innerExpected[inside.slice(0, 2).join(".")] ?? innerExpected[inside[0] ?? ""])) ??
    setting.expected
  );
}

/** The keys that may stand below `path`. */
export function knownKeys(path: readonly (string | number)[]): readonly string[] {
  const [first, second] = path.map(String);
  if (path.length === 0) return [...new Set([...settings.map((setting) => setting.key.split(".")[0] ?? ""), "jobs"])];
  if (path.length === 1 || (first === "jobs" && path.length === 2)) {
    const prefix = first === "jobs" ? "defaults." : `${first ?? ""}.`;
    return settings
      .filter((setting) => setting.key.startsWith(prefix))
      .map((setting) => setting.key.slice(prefix.length));
  }
  const inner: Readonly<Record<string, readonly string[]>> = {
    misfire: ["run_all", "within"],
    retry: ["max", "backoff", "jitter", "on"],
  };
  return inner[(first === "jobs" ? String(path[2]) : second) ?? ""] ?? [];
}
