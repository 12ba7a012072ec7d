import { spawn } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterEach, expect, test } from "vitest";
import { createHome, environmentOf, type Home, removeHome } from "./home.ts";
import { hermesPython, type Release, releases } from "./releases.ts";
import { stubConfig } from "./stub-model.ts";
import { promptJob } from "./worker.ts";

const program = fileURLToPath(new URL("run_one_job.py", import.meta.url));
const worker = fileURLToPath(new URL("../../worker/hermes_worker.py", import.meta.url));
const scripts = fileURLToPath(new URL("scripts", import.meta.url));

interface Case {
  readonly name: string;
  readonly job: Readonly<Record<string, unknown>>;
  /** What `run_job` returns: success, document, final text, error. */
  readonly outcome: readonly [boolean, string, string, string | null];
  /** What it raises instead. */
  readonly raises: string | null;
  /** What it leaves in the job for its caller. */
  readonly flags: Readonly<Record<string, unknown>>;
  readonly scheduled_at: string;
}

interface Result {
  readonly deliver: string | null;
  readonly status: string;
  readonly error: string | null;
}

let id = 0;
const homes: Home[] = [];

afterEach(() => {
  for (const home of homes.splice(0)) removeHome(home);
});

/** A job of its own, with the fields that every release keeps. */
function record(more: Readonly<Record<string, unknown>> = {}): Readonly<Record<string, unknown>> {
  const unset = ["next_run_at", "last_run_at", "last_status", "last_error", "origin", "script", "workdir"];
  const nothing = Object.fromEntries(unset.map((field) => [field, null]));
  return { ...nothing, ...promptJob("stub", { id: (++id).toString(16).padStart(12, "0"), ...more }) };
}

function answered(text: string, job = record(), more: Partial<Case> = {}): Case {
  const name = `answers ${JSON.stringify(text)} to ${JSON.stringify(job)}`;
  return { name, job, outcome: [true, "document", text, null], raises: null, flags: {}, scheduled_at: "", ...more };
}

function failed(error: string | null, job = record(), flags = {}, scheduled_at = ""): Case {
  const name = `fails with ${JSON.stringify(error)} and ${JSON.stringify(flags)} at ${JSON.stringify(job)}`;
  return { name, job, outcome: [false, "document", "", error], raises: null, flags, scheduled_at };
}

function cases(): readonly Case[] {
  const chat = { deliver: "telegram:123" };
  const noisy = record(chat);
  const daily = { kind: "cron", expr: "0 9 * * *", display: "0 9 * * *" };
  const once = { kind: "once", run_at: "2026-11-21T11:59:00+05:30", display: "once" };
  const unreachable = { _model_unreachable: true };
  const closed = { _quota_hold_seconds: 7200 };
  const lost = "RuntimeError: Connection error.";
  const quota = "AuthError: quota exhausted, retry after 7200s";
  const retry = (attempt: number) => ({ attempt, at: "2026-11-21T11:45:00+05:30", expr: "0 9 * * *" });
  const held = { quota_hold_until: "2026-11-21T11:45:00+05:30", quota_hold_cron_expr: "0 9 * * *" };
  return [
    ...["done", "[SILENT]", "silent", " No_Reply\n", "no   reply", "two deals\n\n[SILENT]", "[SILENT]\nnote"],
    ...["[silent] nothing new", "a [SILENT] b", "SILENT note", "`[SILENT]`", "**[SILENT]**", "(silent)", "", " \n"],
    ...["[CRON_FAILURE]\nthe child\ngave up", "[CRON_FAILURE]", "[CRON_FAILURE]  \n timed out", " [CRON_FAILURE]\nno"],
    ...["report\n[CRON_FAILURE]\nno", "[CRON_FAILURE] no", "naïve ☕"],
  ]
    .map((text) => answered(text))
    .concat(
      [
        ...[null, "", "RuntimeError: HTTP 500: stub says 500", "RuntimeError: HTTP 429: weekly usage limit", "boom."],
        ...[
          "RuntimeError: HTTP 401: no",
          "Script timed out after 2s: /x.sh",
          "ReadTimeout: timed out",
          "x".repeat(400),
        ],
        ...[
          "TimeoutError: Cron job 'probe' idle for 9s (limit 8s) — last activity: tool",
          "ImportError: cannot import name X",
        ],
        ...["[blocked_config] no key for stub", "[blocked_config:silent] no key for stub", "a\n  b\t c"],
        ...[
          "[drift_skip] the model drifted",
          "[drift_skip:silent] the model drifted",
          "Timed out on TERMINAL_CWD lock",
        ],
      ].map((error) => failed(error)),
    )
    .concat([
      answered("", record(), { raises: "the store is upside down", name: "raises" }),
      answered("done", record({ failure_streak: 4 })),
      failed("boom", record({ failure_streak: 2 })),
      failed("boom", record({ failure_streak: 7, schedule: once, schedule_display: "once" })),
      failed("again", noisy),
      failed("again", noisy),
      answered("well", noisy),
      failed("again", noisy),
      failed(lost, record(), unreachable),
      failed(lost, record({ schedule: once, repeat: { times: 1, completed: 0 } }), unreachable),
      failed(lost, record({ schedule: daily, ...chat }), unreachable, "2026-11-21T09:00:00+05:30"),
      failed(lost, record({ schedule: daily, unreachable_retry: retry(2) }), unreachable, "2026-11-21T11:45:00+05:30"),
      failed(lost, record({ schedule: daily, unreachable_retry: retry(3) }), unreachable, "2026-11-21T11:45:00+05:30"),
      failed("other", record({ schedule: daily, unreachable_retry: retry(1) }), {}, "2026-11-21T11:45:00+05:30"),
      failed(lost, record({ repeat: { times: 1, completed: 0 } }), unreachable),
      failed(quota, record(), closed),
      failed(quota, record({ schedule: daily, ...chat }), closed, "2026-11-21T09:00:00+05:30"),
      failed(quota, record({ schedule: daily }), closed),
      failed(quota, record({ schedule: daily, ...held }), closed, "2026-11-21T11:45:00+05:30"),
      answered("done", record({ schedule: daily, unreachable_retry: retry(1), ...held })),
      answered("", record({ schedule: daily, unreachable_retry: retry(1) }), {
        raises: "the store is upside down",
        scheduled_at: "2026-11-21T11:45:00+05:30",
        name: "raises when it tries an occurrence again",
      }),
    ]);
}

async function judge(side: "ours" | "theirs", home: Home, all: readonly Case[]): Promise<readonly Result[]> {
  const results = `${home.folder}/${side}.json`;
  const child = spawn(home.python, [program, side, worker], {
    env: { ...environmentOf(home), RESULTS: results, PYTHONDONTWRITEBYTECODE: "1" },
    stdio: ["pipe", "ignore", "pipe"],
  });
  let said = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    said += text;
  });
  child.stdin.end(JSON.stringify(all));
  const code = await new Promise((resolve) => child.once("close", resolve));
  if (code !== 0) throw new Error(`Cannot judge by "${side}": exit ${String(code)}: ${said}`);
  return JSON.parse(readFileSync(results, "utf8").replaceAll(home.path, "<home>")) as readonly Result[];
}

/** In what the worker is better on purpose: 0.19 tells nobody of a run that raised. */
function isKnown(release: Release, one: Case, theirs: Result): boolean {
  return release.name === "0.19" && one.raises !== null && theirs.deliver === null;
}

for (const release of Object.values(releases))
  test(`${release.name}: a worker judges a run as run_one_job does`, async () => {
    const python = await hermesPython(release);
    const all = cases();
    const sides = await Promise.all(
      (["theirs", "ours"] as const).map((side) => {
        const home = createHome(python, scripts);
        homes.push(home);
        writeFileSync(`${home.path}/config.yaml`, stubConfig("http://127.0.0.1:9/v1"));
        return judge(side, home, all);
      }),
    );
    const [theirs = [], ours = []] = sides;
    const differing = all.flatMap((one, index) => {
      const [their, our] = [theirs[index], ours[index]];
      if (their === undefined || isKnown(release, one, their)) return [];
      return JSON.stringify(their) === JSON.stringify(our) ? [] : [{ name: one.name, theirs: their, ours: our }];
    });
    expect(differing).toEqual([]);
    // Two that say nothing at all would agree as well.
    const heard = theirs.filter(({ deliver }) => deliver !== null).length;
    expect(heard).toBeGreaterThan(20);
    expect(theirs.length - heard).toBeGreaterThan(8);
  });
