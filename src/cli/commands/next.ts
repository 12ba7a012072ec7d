import type { Job } from "../../core/job.ts";
import { nextInterval, nextOccurrence } from "../../core/next-occurrence.ts";
import type { Zone } from "../../core/zone.ts";
import { isoTime } from "../../status/json.ts";
import type { CommandParts } from "../command-parts.ts";
import { type ExitCode, exitCodes } from "../exit-codes.ts";
import { parseCount, parseTime } from "../parse-time.ts";
import { type Cell, formatDateTime, formatDistance, formatJson, formatTable, paint, printable } from "../print.ts";
import { createReader } from "../reader.ts";
import { jobLabel } from "./status.ts";

const countMax = 100_000;

export interface NextOptions {
  readonly count?: string;
  readonly at?: string;
  readonly json?: boolean;
}

interface Occurrence {
  readonly home: string;
  readonly job: Job;
  readonly atMs: number;
  readonly zone: Zone;
}

export function next(parts: CommandParts, jobText: string | undefined, options: NextOptions): ExitCode {
  const reader = createReader(parts);
  const nowMs = parts.system.clock.nowMs();
  const wanted = jobText === undefined ? null : reader.job(jobText);
  const count =
    options.count === undefined ? (wanted === null ? 1 : 5) : parseCount("--count", options.count, 1, countMax);
  const afterMs = options.at === undefined ? nowMs : parseTime("--at", options.at, nowMs, reader.zone(wanted?.home));
  const occurrences: Occurrence[] = [];
  const errors: { readonly home: string; readonly job_id: string; readonly message: string }[] = [];
  for (const home of reader.homes()) {
    if (wanted !== null && wanted.home !== home.name) continue;
    for (const job of home.jobs) {
      if (wanted === null ? !job.enabled : wanted.job?.id !== job.id) continue;
      const found = comingOccurrences(job, afterMs, count, home.zone);
      if (typeof found === "string") errors.push({ home: home.name, job_id: job.id, message: found });
      else for (const atMs of found) occurrences.push({ home: home.name, job, atMs, zone: home.zone });
    }
  }
  occurrences.sort((a, b) => a.atMs - b.atMs);
  const { terminal } = parts;
  if (options.json) {
    const listed = occurrences.map(({ home, job, atMs }) => ({
      home,
      job_id: job.id,
      job_name: job.name,
      at: isoTime(atMs),
    }));
    terminal.out(formatJson({ occurrences: listed, errors }));
    return exitCodes.done;
  }
  const rows = occurrences.map(({ home, job, atMs, zone }): Cell[] => [
    formatDateTime(atMs, zone),
    formatDistance(atMs, nowMs),
    job.id,
    jobLabel(home, job.name),
  ]);
  const columns = [{ title: "AT" }, { title: "IN" }, { title: "JOB", shrinkTo: 8 }, { title: "NAME", shrinkTo: 10 }];
  if (rows.length > 0) terminal.out(formatTable(terminal, columns, rows));
  else if (errors.length === 0) terminal.out("Nothing is coming\n");
  for (const error of errors) {
    terminal.error(`${paint(terminal, "red", `${printable(error.job_id)}:`)} ${printable(error.message)}\n`);
  }
  return exitCodes.done;
}

/** At most `count` instants strictly after `afterMs`, or a sentence saying why there is none. */
export function comingOccurrences(job: Job, afterMs: number, count: number, zone: Zone): readonly number[] | string {
  const { schedule } = job;
  if (job.fault !== null) return job.fault;
  if (schedule === null) return `Cannot find a next time of "${job.name}": its schedule is of no known kind`;
  if (!job.enabled)
    return `Cannot find a next time of "${job.name}": it is ${job.state === "scheduled" ? "disabled" : job.state}`;
  const left = job.repeatTimes === null ? count : Math.min(count, job.repeatTimes - job.repeatCompleted);
  if (left <= 0) return `Cannot find a next time of "${job.name}": it has had its ${job.repeatTimes} runs`;
  const found: number[] = [];
  try {
    for (let at = afterMs; found.length < left; at = found.at(-1) ?? at) {
      const nextMs = nextOf(job, at, zone);
      if (nextMs === null) break;
      found.push(nextMs);
    }
  } catch (error) {
    if (error instanceof SyntaxError) return error.message;
    throw error;
  }
  if (found.length > 0) return found;
  const why = schedule.kind === "once" ? "its time has passed" : "its schedule never comes";
  return `Cannot find a next time of "${job.name}" (${job.scheduleText}): ${why}`;
}

/** An interval keeps the cadence of its stored next time, where it has one; every other schedule says by itself. */
function nextOf(job: Job, afterMs: number, zone: Zone): number | null {
  const { schedule } = job;
  if (schedule === null) return null;
  const storedMs = job.nextRunAt?.ms ?? null;
  if (schedule.kind !== "interval") return nextOccurrence(schedule, afterMs, zone);
  return storedMs !== null && storedMs > afterMs
    ? storedMs
    : nextInterval(storedMs ?? afterMs, schedule.minutes, afterMs);
}
