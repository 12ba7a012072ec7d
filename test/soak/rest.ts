import { appendFileSync } from "node:fs";
import { join } from "node:path";
import { sleep, unixMs } from "../bench/programs.ts";
import type { Daemon } from "../helpers/supervised-home.ts";
import { evidenceFolder, readMarks } from "./evidence.ts";
import type { Finding, JobHistory } from "./judge.ts";
import { findLeftProcesses, homePath, type SoakHome } from "./soak-home.ts";
import { instantsOf, type SoakJob } from "./soak-jobs.ts";

const quietMsMax = 60_000;
const drainMsMax = 60_000;

/** Until every instant has its line and every run for one of them its end; what is missing then is for the judge to name. */
export async function comeToRest(home: SoakHome, jobs: readonly SoakJob[], untilMs: number): Promise<void> {
  const endMs = unixMs() + quietMsMax;
  for (;;) {
    await sleep(1000);
    const decided = Map.groupBy(
      home.slots().filter((slot) => slot.decision !== "pending"),
      (slot) => `${slot.home}/${slot.job_id}`,
    );
    const isDecided = jobs.every((job) => {
      const known = new Set(decided.get(`${job.home}/${job.id}`)?.map((slot) => Date.parse(slot.scheduled_at)));
      return instantsOf(job, untilMs).every((atMs) => known.has(atMs));
    });
    const isOpen = home.runs().some((run) => run.ended_at === null && Date.parse(run.claimed_at) <= untilMs);
    if ((isDecided && !isOpen) || unixMs() > endMs) return;
  }
}

export function verifyIn(home: SoakHome, when: string): readonly Finding[] {
  const { status, json } = home.ask("verify");
  const { laws } = json as {
    readonly laws: readonly { readonly law: string; readonly violations: readonly { readonly message: string }[] }[];
  };
  const broken = laws.flatMap(({ law, violations }) =>
    violations.map(({ message }) => `verify ${when}: ${law} ${message}`),
  );
  const texts = status === 0 || broken.length > 0 ? broken : [`verify ${when} ended with ${status}`];
  return texts.map((text) => ({ fault: "other", text }));
}

export function readHistories(home: SoakHome, jobs: readonly SoakJob[]): readonly JobHistory[] {
  const runs = Map.groupBy(home.runs(), (run) => `${run.home}/${run.job_id}`);
  const slots = Map.groupBy(home.slots(), (slot) => `${slot.home}/${slot.job_id}`);
  const records = new Map(
    [...new Set(jobs.map((job) => job.home))].flatMap((name) =>
      home
        .readJobs(homePath(home, name))
        .map((record): readonly [string, typeof record] => [`${name}/${record["id"]}`, record]),
    ),
  );
  return jobs.map((job) => {
    const key = `${job.home}/${job.id}`;
    return {
      job,
      marks: readMarks(evidenceFolder(home.evidence, job.home, job.id)),
      runs: runs.get(key) ?? [],
      slots: slots.get(key) ?? [],
      record: records.get(key) ?? null,
    };
  });
}

/**
 * Has the daemon finish its runs and end, and looks for what they left. A worker that was being warmed for a later run sees that nobody
 * waits for it once it has loaded: `spareMs` is for that.
 */
export async function drain(home: SoakHome, daemon: Daemon, spareMs = 0): Promise<readonly Finding[]> {
  daemon.kill("SIGINT");
  const insist = setTimeout(() => daemon.kill("SIGKILL"), drainMsMax);
  const { code, signal } = await daemon.exited;
  clearTimeout(insist);
  keepLog(home, daemon, `SIGINT, ended with ${code ?? signal}`);
  const lookUntilMs = unixMs() + spareMs;
  let left = findLeftProcesses(home.folder);
  while (left.length > 0 && unixMs() < lookUntilMs) {
    await sleep(500);
    left = findLeftProcesses(home.folder);
  }
  return [
    ...(code === 0
      ? []
      : [{ fault: "other", text: `the last daemon ended with ${code ?? signal} after SIGINT` } as const]),
    ...left.map(({ pid, text }) => ({ fault: "process left", text: `process ${pid}: ${text}` }) as const),
  ];
}

/** Keeps what a daemon logged, and how it ended, for whoever has to explain a finding. */
export function keepLog(home: SoakHome, daemon: Daemon, end: string): void {
  const text = `${daemon.log()}--- ${daemon.pid}: ${new Date().toISOString()} ${end}\n`;
  appendFileSync(join(home.folder, "daemon.log"), text);
}
