import { hasFailed } from "../../core/job.ts";
import type { Run } from "../../core/run.ts";
import { jobJson } from "../../status/json.ts";
import type { CommandParts } from "../command-parts.ts";
import type { ExitCode } from "../exit-codes.ts";
import { noHomeText, unlistedLine } from "../home-faults.ts";
import { type Cell, formatDistance, formatTable, formatWhen, paint, printable } from "../print.ts";
import { createReader, type HomeReading, type Reader } from "../reader.ts";
import { type ShowOptions, show } from "../show.ts";

export function jobs(parts: CommandParts, options: ShowOptions): Promise<ExitCode> {
  const reader = createReader(parts);
  return show(parts, options, {
    json() {
      const openRuns = openRunsByJob(reader);
      const all = reader
        .homes()
        .flatMap((home) =>
          home.jobs.map((job) => jobJson(home.name, job, openRuns.get(`${home.name}/${job.id}`)?.id ?? null)),
        );
      return { jobs: all };
    },
    text() {
      const homes = reader.homes();
      const openRuns = openRunsByJob(reader);
      const noHome = noHomeText(parts, reader);
      if (noHome !== null) return `${noHome}\n`;
      const listed = homes.map((home) => formatHome(parts, home, homes.length > 1, openRuns));
      return unlistedLine(parts, reader) + listed.join("\n");
    },
  });
}

function openRunsByJob(reader: Reader): ReadonlyMap<string, Run> {
  const open = reader.ledger().openRuns();
  return new Map(open.map((run) => [`${run.home}/${run.jobId}`, run]));
}

function formatHome(
  parts: CommandParts,
  home: HomeReading,
  hasTitle: boolean,
  openRuns: ReadonlyMap<string, Run>,
): string {
  const { terminal } = parts;
  const nowMs = parts.system.clock.nowMs();
  const title = hasTitle ? `${paint(terminal, "bold", printable(home.name))}  ${printable(home.path)}\n` : "";
  const state = home.state === "active" ? "" : `The home is ${home.state}: ${printable(home.reason ?? "")}\n`;
  if (home.jobs.length === 0) return `${title}${state === "" ? "No jobs\n" : state}`;
  const rows = home.jobs.map((job): Cell[] => {
    const nextMs = job.nextRunAt?.ms ?? null;
    const next = ((): Cell => {
      if (job.fault !== null) return { text: "cannot run", colour: "red" };
      if (openRuns.has(`${home.name}/${job.id}`)) return { text: "running", colour: "blue" };
      if (!job.enabled) return { text: job.state === "scheduled" ? "disabled" : job.state, colour: "dim" };
      if (nextMs === null) return { text: "never", colour: "yellow" };
      return formatWhen(nextMs, nowMs, home.zone);
    })();
    const lastMs = job.lastRunAt?.ms ?? null;
    const streak = job.failureStreak > 1 ? ` (${job.failureStreak} in a row)` : "";
    const last = ((): Cell => {
      if (lastMs === null) return "";
      const when = formatDistance(lastMs, nowMs);
      if (hasFailed(job)) return { text: `failed ${when}${streak}`, colour: "red" };
      const colour = job.lastStatus === "delivery_failed" ? "yellow" : "green";
      return { text: `${job.lastStatus ?? "ran"} ${when}`, colour };
    })();
    return [job.id, job.name, job.scheduleText, next, last];
  });
  const columns = [
    { title: "JOB", shrinkTo: 8, shrinksLast: true },
    { title: "NAME", shrinkTo: 10 },
    { title: "SCHEDULE", shrinkTo: 9 },
    { title: "NEXT", shrinkTo: 14, shrinksLast: true },
    { title: "LAST", shrinkTo: 12, shrinksLast: true },
  ];
  const faults = home.jobs
    .filter((job) => job.fault !== null)
    .map((job) => `${paint(terminal, "red", `${printable(job.id)} cannot run:`)} ${printable(job.fault ?? "")}\n`);
  return title + state + formatTable(terminal, columns, rows) + faults.join("");
}
