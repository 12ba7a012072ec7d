import type { JobRecord } from "../helpers/supervised-home.ts";
import { recordOf, type SoakJob } from "./soak-jobs.ts";

/** A job of the home that a gateway shares with us. */
export interface SharedJob extends SoakJob {
  readonly kind: "script" | "prompt";
}

const brief = "sleep 0.$((RANDOM % 10)); finish 0";
/** Cron by seconds; 0 is an interval of a minute. */
const scripts: readonly (readonly [number, string])[] = [
  ...Array.from({ length: 3 }, () => [5, brief] as const),
  [6, "echo no >&2; finish 3"],
  ...Array.from({ length: 3 }, () => [10, brief] as const),
  [10, 'for i in {1..400}; do echo "line $i"; done; finish 0'],
  [12, "sleep 2; finish 0"],
  ...Array.from({ length: 2 }, () => [15, brief] as const),
  [15, "finish 137"],
  ...Array.from({ length: 2 }, () => [20, brief] as const),
  [30, brief],
  [30, "sleep 3; finish 0"],
  [60, brief],
  [0, brief],
];
/** Two more, that outlast their period only where somebody promises that this is safe. */
const lastPeriods = [5, 10];
const prompts = [15, 20, 30, 60, 0];

/** What the stub answers after a second. */
const promptModel = "stub-wait-1";

/** 20 scripts and 5 prompts; the first instants come at `fromMs` or up to a minute later. */
export function makeSharedJobs(fromMs: number, outlast: boolean): readonly SharedJob[] {
  const rule = (everySeconds: number): Pick<SharedJob, "rule" | "firstMs"> => {
    const periodMs = everySeconds * 1000;
    return everySeconds === 0
      ? { rule: { kind: "interval", minutes: 1 }, firstMs: Math.ceil(fromMs) }
      : { rule: { kind: "cron", everySeconds }, firstMs: Math.ceil(fromMs / periodMs) * periodMs };
  };
  const id = (letter: string, index: number): string => `${letter}${index.toString(16).padStart(11, "0")}`;
  const bodies = [
    ...scripts,
    ...lastPeriods.map((seconds) => [seconds, outlast ? `sleep ${seconds + 2}; finish 0` : brief] as const),
  ];
  return [
    ...bodies.map(
      ([seconds, body], index): SharedJob => ({
        ...rule(seconds),
        home: "default",
        id: id("a", index),
        kind: "script",
        body,
      }),
    ),
    ...prompts.map(
      (seconds, index): SharedJob => ({
        ...rule(seconds),
        home: "default",
        id: id("b", index),
        kind: "prompt",
        body: `Say something for job ${id("b", index)}.`,
      }),
    ),
  ];
}

export function sharedRecordOf(job: SharedJob): JobRecord {
  const record = recordOf(job);
  return job.kind === "script"
    ? record
    : { ...record, prompt: job.body, script: null, no_agent: false, model: promptModel };
}
