/**
 * The scheduler that one writes in ten minutes, to measure against: one timer for the next due job, one spawn for each.
 * Nothing is recorded, nothing is locked, nothing survives a restart. Called as: naive-scheduler.ts <file of NaiveJob[]>
 */
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";

/** A job that is due at each of `phasesMs` after every multiple of `cycleMs` since 1970. */
export interface NaiveJob {
  readonly script: string;
  readonly cycleMs: number;
  readonly phasesMs: readonly number[];
}

// A longer wait would make Node's timer fire at once.
const timerMsMax = 2 ** 31 - 1;

const jobs = JSON.parse(readFileSync(process.argv[2] ?? "", "utf8")) as readonly NaiveJob[];
const queue = jobs.map((job) => ({ job, dueAtMs: nextDue(job, Date.now()) }));

function nextDue({ cycleMs, phasesMs }: NaiveJob, afterMs: number): number {
  const cycleStartMs = Math.floor(afterMs / cycleMs) * cycleMs;
  return Math.min(
    ...phasesMs.map((phaseMs) => (cycleStartMs + phaseMs > afterMs ? cycleStartMs : cycleStartMs + cycleMs) + phaseMs),
  );
}

function turn(): void {
  const nowMs = Date.now();
  for (const entry of queue) {
    if (entry.dueAtMs > nowMs) continue;
    spawn("bash", [entry.job.script], { stdio: "ignore" });
    entry.dueAtMs = nextDue(entry.job, nowMs);
  }
  const nextAtMs = queue.reduce((earliest, entry) => Math.min(earliest, entry.dueAtMs), Number.POSITIVE_INFINITY);
  setTimeout(turn, Math.min(Math.max(0, nextAtMs - Date.now()), timerMsMax));
}

turn();
