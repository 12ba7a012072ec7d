import { z } from "zod";
import { aLength, aSize, day, duration, gibibyte, hour, mebibyte, type SettingRules, size } from "./setting.ts";

/** Every section but those of jobs, in the order of the documents. What is added here is checked, shown and documented. */
export const sections = {
  limits: {
    max_open_runs: {
      schema: z.int().min(1).max(10_000),
      fallback: "16",
      expected: "a whole number from 1 to 10000",
      about:
        "How many runs may be open on this host at once. Each home also has cron.max_parallel_jobs of Hermes (4 if unset).",
      hostOnly: true,
    },
  },
  stop: {
    grace: {
      schema: duration(0, hour),
      fallback: "10 s",
      expected: aLength,
      about: "How long a stopped run has to end after SIGTERM.",
    },
  },
  recovery: {
    orphans: {
      schema: z.enum(["fail", "adopt"]),
      fallback: "fail",
      expected: "fail or adopt",
      about:
        "What becomes of a run that outlived a crashed daemon: stop it and record a failed attempt, or follow it to its end.",
    },
  },
  shutdown: {
    on_sigterm: {
      schema: z.enum(["hand_over", "drain", "stop"]),
      fallback: "hand_over",
      expected: "hand_over, drain or stop",
      about: "What SIGTERM does to open runs: leave them to the next daemon, wait for them, or stop them (containers).",
      hostOnly: true,
    },
  },
  hermes: {
    python: {
      schema: z.string().min(1),
      fallback: null,
      expected: "the path of a Python interpreter",
      about:
        "The interpreter that Hermes is installed in, and then no other is tried. Unless it is set: HERMES_SUPERVISOR_PYTHON, else that of hermes on PATH, else the usual install places.",
    },
  },
  environment: {
    pass: {
      schema: z.array(z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*\*?$/)).max(500),
      fallback: "[]",
      expected: "a list of variable names, such as [AWS_PROFILE, MY_APP_*]",
      about:
        "Variables of the daemon that runs get too, beside PATH, HOME, LANG and their like. A final * stands for any ending.",
      inside: { "*": "the name of a variable, with a * at its end or without" },
    },
  },
  retention: {
    age_max: {
      schema: duration(hour, 3650 * day),
      fallback: "90 d",
      expected: aLength,
      about: "How long ended runs and their output are kept.",
      hostOnly: true,
    },
    runs_max: {
      schema: z.int().min(1).max(1_000_000),
      fallback: "1000",
      expected: "a whole number from 1 to 1000000",
      about: "How many ended runs of one job are kept.",
      hostOnly: true,
    },
    bytes_max: {
      schema: size(mebibyte, 1024 * gibibyte),
      fallback: "4 GiB",
      expected: aSize,
      about: "How much output is kept on this host.",
      hostOnly: true,
    },
  },
  disk: {
    free_min: {
      schema: size(0, 1024 * gibibyte),
      fallback: "128 MiB",
      expected: aSize,
      about: "Below this much free space nothing new is claimed, and an alert says so.",
      hostOnly: true,
    },
  },
} satisfies Readonly<Record<string, SettingRules>>;
