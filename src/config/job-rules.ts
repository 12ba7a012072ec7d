import { z } from "zod";
import { type CrashLoopGuard, type Misfire, type Retry, retryCauses } from "../core/job-policy.ts";
import {
  aLength,
  aSize,
  aTag,
  day,
  duration,
  gibibyte,
  hour,
  mebibyte,
  minute,
  orNone,
  type SettingRules,
  second,
  size,
  tagPattern,
  tooSmall,
} from "./setting.ts";

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

const backoff = z.union([
  duration(0, day).transform((backoffMs): Pick<Retry, "backoffMs"> => ({ backoffMs })),
  z
    .strictObject({
      first: duration(0, day),
      factor: z.number().min(1).max(100).optional(),
      max: duration(0, 7 * day).optional(),
    })
    .transform(({ first, factor = 2, max = Math.max(first, hour) }, context): Pick<Retry, "backoffMs" | "growth"> => {
      if (max < first) tooSmall(context, "max", "first", first);
      return { backoffMs: first, growth: { factor, delayMsMax: max } };
    }),
]);

const retry = orNone(
  z
    .strictObject({
      max: z.int().min(1).max(100),
      backoff: backoff.optional(),
      jitter: z.number().min(0).max(1).optional(),
      on: z.array(z.enum(retryCauses)).min(1).optional(),
    })
    .transform(
      (value): Retry => ({
        attemptsMax: value.max,
        ...(value.backoff ?? { backoffMs: 30 * second }),
        jitter: value.jitter ?? 0.1,
        causes: value.on ?? ["failed"],
      }),
    ),
);

const crashLoop = orNone(
  z
    .strictObject({
      failures: z.int().min(1).max(1000).optional(),
      pause: duration(second, day).optional(),
      pause_max: duration(second, 7 * day).optional(),
    })
    .transform(
      (
        { failures = 10, pause: pauseMs = 30 * second, pause_max: pauseMsMax = Math.max(pauseMs, 5 * minute) },
        context,
      ): CrashLoopGuard => {
        if (pauseMsMax < pauseMs) tooSmall(context, "pause_max", "pause", pauseMs);
        return { failures, pauseMs, pauseMsMax };
      },
    ),
);

/** What a job can be told to do: the same keys under `defaults` and under `jobs.<id or name>`. */
export const jobRules = {
  timeout: {
    schema: orNone(duration(second, 365 * day)),
    fallback: null,
    expected: `${aLength}, or none`,
    about:
      "How long a run may take. Unless it is set: cron.script_timeout_seconds of Hermes (3600 s) for scripts, 2 h for prompts. A prompt always has at least 15 m.",
  },
  idle_timeout: {
    schema: orNone(duration(second, 365 * day)),
    fallback: "none",
    expected: `${aLength}, or none`,
    about: "How long a run may print nothing.",
  },
  memory_max: {
    schema: orNone(size(mebibyte, 1024 ** 5)),
    fallback: "none",
    expected: `${aSize}, or none`,
    about: "How much memory a run's processes may use together.",
  },
  output_max: {
    schema: size(1024, 1024 * gibibyte),
    fallback: "64 MiB",
    expected: aSize,
    about: "How much of what a run prints is kept.",
  },
  output_max_action: {
    schema: z.enum(["truncate", "stop"]),
    fallback: "truncate",
    expected: "truncate or stop",
    about: "What happens beyond output_max: keep the first and the last half and go on, or stop the run.",
  },
  overlap: {
    schema: z.enum(["skip", "queue_one", "replace"]),
    fallback: "skip",
    expected: "skip, queue_one or replace",
    about: "What happens when a job is due while it still runs.",
  },
  misfire: {
    schema: misfire,
    fallback: "run_once",
    expected: "run_once, skip, run_all, { run_all: 5 } or { within: 10 m }",
    about:
      "What happens to slots that were missed: one late run for all, none, each (at most so many), or only if not later than that.",
    inside: { run_all: "a whole number from 1 to 1000", within: aLength },
  },
  retry: {
    schema: retry,
    fallback: "none",
    expected: `none or { max: 3, backoff: 30 s, jitter: 0.1, on: [${retryCauses.slice(0, 2).join(", ")}] }`,
    about: `Whether a failed run is tried again, and how often at most. backoff is the wait before each attempt, or { first: 10 s, factor: 2, max: 10 m } for waits that grow; on takes ${retryCauses.join(", ")}. See docs/retries.md.`,
    inside: {
      max: "a whole number from 1 to 100",
      backoff: `${aLength}, or { first: 10 s, factor: 2, max: 10 m }`,
      "backoff.first": aLength,
      "backoff.factor": "a number from 1 to 100",
      "backoff.max": aLength,
      jitter: "a number from 0 to 1",
      on: `some of ${retryCauses.join(", ")}`,
    },
  },
  streak_pause: {
    schema: orNone(z.int().min(1).max(1000)),
    fallback: "none",
    expected: "a whole number from 1 to 1000, or none",
    about:
      "After so many slots in a row that failed with all their attempts the job is paused, as a person would pause it.",
  },
  crash_loop: {
    schema: crashLoop,
    fallback: "{ failures: 10, pause: 30 s, pause_max: 5 m }",
    expected: "none or { failures: 10, pause: 30 s, pause_max: 5 m }",
    about:
      "When a job is held back: after so many runs in a row that failed within a second, or so many deaths of the daemon beside its start. Each further pause is twice as long, up to pause_max. See docs/retries.md.",
    inside: { failures: "a whole number from 1 to 1000", pause: aLength, pause_max: aLength },
  },
  stop_grace: {
    schema: duration(0, hour),
    fallback: "10 s",
    expected: aLength,
    about: "How long a run has to end after SIGTERM. Unless it is set, stop.grace counts.",
  },
  detach: {
    schema: z.boolean(),
    fallback: "false",
    expected: "true or false",
    about: "Whether what a run leaves behind may live on after it.",
  },
  tags: {
    schema: z.array(z.string().regex(tagPattern)).max(16),
    fallback: "[]",
    expected: "a list of at most 16 short names",
    about: "Names for groups of jobs.",
    inside: { "*": aTag },
  },
} satisfies SettingRules;

export type JobKey = keyof typeof jobRules;
