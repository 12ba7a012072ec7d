import type { RetentionJson, StatusJson } from "../../status/snapshot.ts";
import type { RetentionStep } from "../../status/view.ts";
import { requestDaemon } from "../client.ts";
import type { CommandParts } from "../command-parts.ts";
import type { ExitCode } from "../exit-codes.ts";
import { noHomeText, unlistedLine } from "../home-faults.ts";
import {
  type Cell,
  formatClock,
  formatDistance,
  formatLength,
  formatTable,
  formatWhen,
  paint,
  printable,
  shortName,
} from "../print.ts";
import { barText } from "../progress.ts";
import { createReader, type Reader } from "../reader.ts";
import { formatEnd, formatTook, jobLabel, stateColours } from "../run-text.ts";
import { type ShowOptions, show } from "../show.ts";
import { waitLines } from "../wait-lines.ts";
import { tickerNotes } from "./gateway.ts";

/** From the daemon where one answers, since it knows more than the files; else from the files. */
export async function readStatus(parts: CommandParts, reader: Reader): Promise<StatusJson> {
  const daemon = reader.daemon();
  if (!daemon.running) return reader.status(daemon);
  try {
    const answer = await requestDaemon(parts.stateFolder, "GET", "/v1/status");
    if (answer.status === 200) return answer.body as StatusJson;
  } catch {
    // It holds its lock but does not answer: it is just starting or ending, and the files tell the rest.
  }
  return reader.status(daemon);
}

export function status(parts: CommandParts, options: ShowOptions): Promise<ExitCode> {
  const reader = createReader(parts);
  return show(parts, options, {
    json: () => readStatus(parts, reader),
    text: async () => formatStatus(parts, reader, await readStatus(parts, reader)),
  });
}

function formatStatus(parts: CommandParts, reader: Reader, snapshot: StatusJson): string {
  const { terminal, system } = parts;
  const nowMs = system.clock.nowMs();
  const blocks = [
    daemonText(parts, reader, snapshot, nowMs) +
      lastRunText(parts, reader, nowMs) +
      retentionText(terminal, snapshot.retention, nowMs),
  ];
  const noHome = snapshot.homes.length === 0 ? noHomeText(parts, reader) : null;
  if (noHome !== null) blocks.push(`${noHome}\n`);
  else blocks.push(homesText(parts, reader, snapshot, nowMs) + unlistedLine(parts, reader));
  const tickers = tickerNotes(parts, snapshot.homes, snapshot.daemon.running);
  if (tickers.length > 0) {
    const lines = tickers.map(({ text, isFine }) => `${isFine ? text : paint(terminal, "yellow", text)}\n`);
    blocks.push(lines.join(""));
  }
  const waits = waitLines(snapshot);
  if (waits.length > 0) blocks.push(waits.map((line) => `${paint(terminal, "yellow", line)}\n`).join(""));
  if (snapshot.open_runs.length > 0) {
    const rows = snapshot.open_runs.map((run): Cell[] => [
      run.id,
      jobLabel(run.home, run.job_name),
      run.state,
      formatLength(nowMs - Date.parse(run.started_at ?? run.claimed_at)),
      String(run.pid),
    ]);
    const columns = [
      { title: "RUN" },
      { title: "JOB", shrinkTo: 12 },
      { title: "STATE" },
      { title: "FOR", align: "right" as const },
      { title: "PID", align: "right" as const },
    ];
    blocks.push(formatTable(terminal, columns, rows));
  }
  if (snapshot.alerts.length > 0) {
    const rows = snapshot.alerts.map((alert): Cell[] => [
      { text: alert.kind, colour: "red" },
      alert.home ?? "host",
      alert.message.replace(/\s*\n\s*/g, " "),
      alert.since === null ? "" : formatDistance(Date.parse(alert.since), nowMs),
    ]);
    const columns = [{ title: "ALERT" }, { title: "HOME" }, { title: "WHAT", shrinkTo: 20 }, { title: "SINCE" }];
    blocks.push(formatTable(terminal, columns, rows));
  }
  for (const { path, line, snippet } of [snapshot.config, ...snapshot.homes.map((home) => home.config)]) {
    if (snippet === null) continue;
    const lines = snippet.split("\n").map(printable).join("\n");
    blocks.push(`${printable(path)}:${line}\n${lines}\n`);
  }
  return blocks.join("\n");
}

function daemonText(parts: CommandParts, reader: Reader, { daemon }: StatusJson, nowMs: number): string {
  const { terminal } = parts;
  const state = `State   ${printable(parts.stateFolder)}\n`;
  if (!daemon.running) {
    return `Daemon  ${paint(terminal, "yellow", "not running")}, start it with hermes-supervisor start\n${state}`;
  }
  const facts = [
    daemon.pid === null ? null : `process ${daemon.pid}`,
    daemon.version === null ? null : `version ${daemon.version}`,
    daemon.started_at === null
      ? null
      : `since ${formatClock(Date.parse(daemon.started_at), nowMs, reader.zone())} (${formatDistance(Date.parse(daemon.started_at), nowMs)})`,
    daemon.ready ? null : "does not answer now",
  ].filter((fact) => fact !== null);
  return `Daemon  ${paint(terminal, "green", "running")}, ${facts.join(", ")}\n${state}`;
}

/** The run that ended last: a short one is never seen among the open ones. */
function lastRunText({ terminal }: CommandParts, reader: Reader, nowMs: number): string {
  const ledger = reader.ledger();
  const [run] = (["completed", "failed"] as const)
    .flatMap((state) => ledger.runs({ state, limit: 1 }))
    .sort((one, other) => (other.endedAtMs ?? 0) - (one.endedAtMs ?? 0));
  if (run === undefined) return "";
  const took = run.startedAtMs === null ? "" : ` after ${formatTook(run, nowMs)}`;
  const when = run.endedAtMs === null ? "" : `, ${formatDistance(run.endedAtMs, nowMs)}`;
  const end = `${paint(terminal, stateColours[run.state], formatEnd(run))}${took}${when}`;
  return `Last    ${shortName(jobLabel(run.home, run.jobName))} (${run.id}) ${end}\n`;
}

const retentionTexts: Readonly<Record<RetentionStep, string>> = {
  age: "deletes what is too old",
  count: "deletes the runs that are too many",
  output: "looks for output that is too much",
  ledger: "makes the ledger smaller",
  vacuum: "gives free room of the ledger back",
};
/** Most passes find nothing to delete and are over sooner. */
const retentionQuietMs = 1000;

/** Undefined where a daemon of an older version answered. */
export function retentionText(
  terminal: Pick<CommandParts["terminal"], "columns">,
  retention: RetentionJson | undefined,
  nowMs: number,
): string {
  const { step = null, done = null, total = null, since = null } = retention ?? {};
  if (step === null || done === null || total === null || since === null) return "";
  if (nowMs - Date.parse(since) < retentionQuietMs) return "";
  return `${barText(terminal, `Retention ${retentionTexts[step]}`, done, total, "")}\n`;
}

/** What holds a paused home, and how that ends. */
const holdTexts: Readonly<Record<string, string>> = {
  estop: "ESTOP is there, hermes resume removes it",
  drain: ".drain_request.json asks for quiet",
  parked: "its own gateway is parked or runs its jobs itself",
  disk: "the disk is almost full",
};

function homesText(parts: CommandParts, reader: Reader, snapshot: StatusJson, nowMs: number): string {
  const rows = snapshot.homes.map((home): Cell[] => {
    const dueMs = home.next_due_at === null ? null : Date.parse(home.next_due_at);
    const { limit, in_use: used } = home.capacity;
    return [
      home.name,
      { text: home.state, colour: home.state === "active" ? "green" : home.state === "paused" ? "yellow" : "red" },
      `${home.enabled_jobs} of ${home.jobs}`,
      limit === null ? String(used) : `${used} of ${limit}`,
      String(home.waiting),
      home.hermes?.version ?? "none",
      dueMs === null ? "" : formatWhen(dueMs, nowMs, reader.zone(home.name)),
    ];
  });
  const columns = [
    { title: "HOME", shrinkTo: 12 },
    { title: "STATE" },
    { title: "ENABLED", align: "right" as const },
    { title: "RUNNING", align: "right" as const },
    { title: "WAITING", align: "right" as const },
    { title: "HERMES", shrinkTo: 8 },
    { title: "NEXT" },
  ];
  const reasons = snapshot.homes
    .filter((home) => home.reason !== null)
    .map(
      (home) =>
        `${printable(home.name)} is ${home.state}: ${printable(holdTexts[home.reason ?? ""] ?? home.reason ?? "")}\n`,
    );
  return formatTable(parts.terminal, columns, rows) + reasons.join("");
}
