import { z } from "zod";
import { alertRules } from "./alert-rules.ts";
import {
  aLength,
  aSize,
  day,
  duration,
  gibibyte,
  hour,
  mebibyte,
  orNone,
  type SettingRules,
  second,
  size,
  tagPattern,
} from "./setting.ts";

const aRunsMax = "a whole number from 1 to 10000";
const runsMax = z.int().min(1).max(10_000);
const aPercentage = "a number from 1 to 99, in percent, or none";
const percent = z.number().min(1).max(99);

function pressureText(what: string): string {
  return `While programs had to wait for ${what} for more than this share of the last ten seconds (some avg10 of the kernel's pressure figures), only what is on time starts; what is late already waits, at most for limits.wait_max.`;
}

/** Every section but those of jobs, in the order of the documents. What is added here is checked, shown and documented. */
export const sections = {
  limits: {
    max_open_runs: {
      schema: runsMax,
      fallback: "16",
      expected: aRunsMax,
      about:
        "How many runs may be open on this host at once. Each home also has cron.max_parallel_jobs of Hermes (4 if unset).",
      hostOnly: true,
    },
    classes: {
      schema: z.strictObject({ script: runsMax.optional(), prompt: runsMax.optional() }),
      fallback: "{}",
      expected: "{ script: 8, prompt: 2 } or one of the two",
      about:
        "How many runs of script jobs and of prompt jobs may be open at once. The host's counts for all homes together, a home's own for that home beside it.",
      inside: { script: aRunsMax, prompt: aRunsMax },
    },
    tags: {
      schema: z.record(z.string().regex(tagPattern), runsMax),
      fallback: "{}",
      expected: "a mapping from tags to numbers, such as { database: 1 }",
      about:
        "How many runs of jobs with a tag may be open at once; jobs get their tags by jobs.<id or name>.tags. The host's counts for all homes together, a home's own for that home beside it.",
      inside: { "*": aRunsMax },
    },
    order: {
      schema: z.enum(["fair", "oldest_first"]),
      fallback: "fair",
      expected: "fair or oldest_first",
      about:
        "Who starts where there is not room for all: homes in turn, each its oldest due job; or whoever is due longest, so that a home with many jobs keeps the others waiting.",
      hostOnly: true,
    },
    wait_max: {
      schema: duration(second, 7 * day),
      fallback: "10 m",
      expected: aLength,
      about:
        "After such a wait the next places of a job's class and tags are kept for it, and pressure holds it back no longer.",
      hostOnly: true,
    },
  },
  pressure: {
    memory_max: {
      schema: orNone(percent),
      fallback: "none",
      expected: aPercentage,
      about: pressureText("memory"),
      hostOnly: true,
    },
    cpu_max: {
      schema: orNone(percent),
      fallback: "none",
      expected: aPercentage,
      about: pressureText("processors"),
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
  homes: {
    on_removed: {
      schema: z.enum(["stop", "finish"]),
      fallback: "stop",
      expected: "stop or finish",
      about:
        "What becomes of the open runs of a profile that is deleted: they are stopped, or left to end by themselves. Nothing is written to it any more either way.",
      hostOnly: true,
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
      about: "How long ended runs, their output and what became of their slots are kept.",
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
      about: "How much output is kept on this host. Beyond it the oldest goes; what is known of its run stays.",
      hostOnly: true,
    },
    ledger_max: {
      schema: size(4 * mebibyte, 1024 * gibibyte),
      fallback: "1 GiB",
      expected: aSize,
      about: "How large the ledger may become. Beyond it the oldest runs and slots go before their age.",
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
  api: {
    listen: {
      schema: orNone(
        z
          .string()
          .regex(
            /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\]):(?:[1-9]\d{0,3}|[1-5]\d{4}|6[0-4]\d{3}|65[0-4]\d{2}|655[0-2]\d|6553[0-5])$/,
          ),
      ),
      fallback: "none",
      expected: "none, or an address of this machine with a port, such as 127.0.0.1:8377",
      about:
        "Where the control API listens beside its socket. Whoever asks there needs the token in api.token_file, and no other machine can.",
      hostOnly: true,
    },
    token_file: {
      schema: z.string().min(1),
      fallback: null,
      expected: "the path of a file",
      about:
        "The bearer token of api.listen: one word of at least 16 characters in a file that only this user may read. Unless it is set: api.token in the supervisor's folder. It is made where there is none.",
      hostOnly: true,
    },
  },
  alerts: alertRules,
} satisfies Readonly<Record<string, SettingRules>>;
