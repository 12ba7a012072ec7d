import { jobSettings } from "../config/effective-settings.ts";
import { chooseSubject } from "../core/explain/choose-subject.ts";
import type { EnvironmentChange, ExplainEvidence, Subject, Waiting } from "../core/explain/explain-evidence.ts";
import type { DaemonLife } from "../core/home-history.ts";
import type { Job } from "../core/job.ts";
import { heldJobs } from "../core/job-health.ts";
import type { Run } from "../core/run.ts";
import type { SlotCursor } from "../core/slot.ts";
import { changedVariables } from "../homes/environment.ts";
import { runFolder } from "../output/run-folder.ts";
import { resolveScript } from "../output/script-path.ts";
import { cannotBeServed } from "../status/view.ts";
import type { CommandParts } from "./command-parts.ts";
import { readStatus } from "./commands/status.ts";
import type { HomeReading, JobReading, Reader } from "./reader.ts";

const minuteMs = 60_000;
const nearMax = 200;
/** What stood in the way of a slot that waited long began before it. */
const lookBackMs = 86_400_000;

/** Everything that can be known without the daemon of why a job did or did not run, at `atMs` or, with null, at last. */
export async function gatherExplanation(
  parts: CommandParts,
  reader: Reader,
  job: JobReading,
  atMs: number | null,
): Promise<ExplainEvidence> {
  const { system } = parts;
  const nowMs = system.clock.nowMs();
  const ledger = reader.ledger();
  const home = reader.homes().find(({ name }) => name === job.home) ?? null;
  const zone = home?.zone ?? reader.zone(job.home);
  const which = { home: job.home, jobId: job.id };
  const around = atMs === null ? {} : { sinceMs: atMs - minuteMs, untilMs: atMs + minuteMs };
  const slots = ledger.slots({ ...which, ...around, limit: nearMax });
  const newest = ledger.runs({ ...which, ...(atMs === null ? {} : { untilMs: atMs + minuteMs }), limit: nearMax });
  const served = slots
    .flatMap(({ runId }) => (runId === null ? [] : [ledger.run(runId)]))
    .filter((run) => run !== null);
  const runs = [...newest, ...served.filter(({ id }) => !newest.some((run) => run.id === id))];
  const cursor = ledger.cursors(job.home).get(job.id);
  const owed = cursor?.owed ?? null;
  // Where the profiles could not be listed nobody knows whether it is gone.
  const unlisted = home === null ? reader.homesError() : null;
  const isUnread = home === null ? unlisted !== null : cannotBeServed(home.state);
  const waitsSinceMs = oldestWaiting(cursor, nowMs);
  const oldest =
    waitsSinceMs === null ? [] : ledger.slots({ ...which, sinceMs: waitsSinceMs, untilMs: waitsSinceMs, limit: 1 });
  const subject = chooseSubject({
    nowMs,
    zone,
    job: job.job,
    isUnread,
    atMs,
    owed,
    waitsSinceMs,
    slots: [...slots, ...(atMs === null ? oldest : [])],
    runs,
  });
  const asked = await waitsOf(parts, reader, job, subject, nowMs);
  const instantMs = instantOf(subject) ?? nowMs;
  const decidedMs =
    subject.kind === "slot" ? subject.slot.decidedAtMs : subject.kind === "run" ? subject.run.claimedAtMs : nowMs;
  const daemon = reader.daemon();
  const settings =
    home !== null && job.job !== null ? jobSettings(home.settings, home.hermes.scriptTimeoutMs, job.job) : null;
  const historyFrom = ledger.note("history_from_ms");
  return {
    nowMs,
    zone,
    home: {
      name: job.home,
      state: home?.state ?? "degraded",
      reason: home === null ? (unlisted ?? "it is gone") : home.reason,
      isUnread,
      isGone: home === null && !isUnread,
      configError: home?.configError?.message ?? null,
    },
    hostConfigError: reader.host().error?.message ?? null,
    jobName: job.name,
    job: job.job,
    subject,
    isDaemonAlive: daemon.running,
    daemonPid: daemon.pid,
    lives: lives(reader, Math.min(instantMs, nowMs)),
    spells: [
      ...ledger.spells(job.home, instantMs, decidedMs),
      ...ledger.spells(job.home, nowMs, nowMs).filter((spell) => spell.endedMs === null && spell.beganMs > decidedMs),
    ].slice(0, nearMax),
    owed,
    held:
      settings === null || job.job === null
        ? null
        : (heldJobs([job.job], ledger.health(job.home), () => settings.crashLoop, nowMs)[0] ?? null),
    waiting: subject.kind === "due" ? (asked.find(({ trigger }) => trigger === "schedule") ?? null) : null,
    otherWaits: asked.filter(({ trigger }) => trigger !== "schedule"),
    waitsSinceMs,
    lockHolder: home === null ? null : lockHolder(parts, home),
    openRuns: openRuns(reader, subject, instantMs, asked.length > 0),
    neighbours: subject.kind === "unnamed" ? neighbours(reader, which, subject.atMs) : [],
    policy:
      settings === null
        ? null
        : { overlap: settings.overlap, misfire: settings.misfire, timeoutMs: settings.timeoutMs },
    change:
      subject.kind === "run" && subject.run.state === "failed"
        ? environmentChange(parts, reader, home, job.job, subject.run)
        : null,
    attemptsBefore: subject.kind === "run" ? attemptsBefore(subject.run, runs) : [],
    knownFromMs: historyFrom === null ? null : Number(historyFrom),
  };
}

/** The claims that a daemon made are signs of its life, too. */
function lives(reader: Reader, sinceMs: number): readonly DaemonLife[] {
  const ledger = reader.ledger();
  let nextBeganMs = Number.MAX_SAFE_INTEGER / 1000;
  return ledger.lives(sinceMs).map((life) => {
    const [run] = life.endedMs === null ? ledger.runs({ sinceMs: life.beganMs, untilMs: nextBeganMs, limit: 1 }) : [];
    nextBeganMs = life.beganMs;
    return run === undefined ? life : { ...life, seenMs: Math.max(life.seenMs, run.claimedAtMs) };
  });
}

function instantOf(subject: Subject): number | null {
  switch (subject.kind) {
    case "run":
      return subject.run.scheduledAtMs ?? subject.run.claimedAtMs;
    case "slot":
      return subject.slot.scheduledAtMs;
    case "due":
    case "unnamed":
      return subject.atMs;
    case "future":
    case "standstill":
      return null;
  }
}

/** What waits stands in the ledger while the record names a later one already, and in the record while a line says so. */
function oldestWaiting(cursor: SlotCursor | undefined, nowMs: number): number | null {
  if (cursor === undefined) return null;
  const owedMs = cursor.owed?.fromMs ?? Number.POSITIVE_INFINITY;
  const pendingMs =
    cursor.pending === undefined ? Number.POSITIVE_INFINITY : (cursor.nextAtMs ?? Number.POSITIVE_INFINITY);
  const oldestMs = Math.min(owedMs, pendingMs);
  return oldestMs <= nowMs ? oldestMs : null;
}

/** The daemon knows best what waits for what. It is asked only where something does. */
async function waitsOf(
  parts: CommandParts,
  reader: Reader,
  job: JobReading,
  subject: Subject,
  nowMs: number,
): Promise<readonly Waiting[]> {
  const ledger = reader.ledger();
  const hasAttempt = (ledger.waitingRetries(job.home).get(job.id)?.dueAtMs ?? Number.POSITIVE_INFINITY) <= nowMs;
  const isAsked = ledger
    .openRequests()
    .some((one) => one.kind === "run" && one.home === job.home && one.jobId === job.id);
  const isRequested =
    job.job !== null && job.job.manualRunAt !== null && job.job.manualRunAt === job.job.nextRunAt?.text;
  if (subject.kind !== "due" && !hasAttempt && !isAsked && !isRequested) return [];
  const { waiting } = await readStatus(parts, reader);
  return waiting
    .filter((one) => one.home === job.home && one.job_id === job.id)
    .map(({ trigger, due_at: dueAt, reason, limit, pressure, held_by: heldBy }) => ({
      trigger,
      dueAtMs: dueAt === null ? nowMs : Date.parse(dueAt),
      reason,
      bound: limit === null ? null : { home: limit.home, of: limit.of, name: limit.name ?? "", runsMax: limit.max },
      heldBy,
      shortages: pressure ?? [],
    }));
}

function attemptsBefore({ trigger, scheduledAtMs, attempt }: Run, runs: readonly Run[]): readonly Run[] {
  if (trigger !== "retry") return [];
  return runs
    .filter((run) => run.scheduledAtMs === scheduledAtMs && run.attempt < attempt && run.state === "failed")
    .toSorted((a, b) => b.attempt - a.attempt);
}

/** Those of the instant, those of now for what still waits, and the run that a slot was folded into. */
function openRuns(reader: Reader, subject: Subject, atMs: number, hasWaits: boolean): readonly Run[] {
  const ledger = reader.ledger();
  const then = ledger.runsOpenAt(atMs);
  const isPast = subject.kind === "slot" || subject.kind === "run";
  const now = isPast && !hasWaits ? [] : ledger.openRuns();
  const into = subject.kind === "slot" && subject.slot.runId !== null ? ledger.run(subject.slot.runId) : null;
  const all = [...then, ...now, ...(into === null ? [] : [into])];
  return [...new Map(all.map((run) => [run.id, run])).values()];
}

function neighbours(reader: Reader, which: { readonly home: string; readonly jobId: string }, atMs: number) {
  const ledger = reader.ledger();
  const before = ledger.slots({ ...which, sinceMs: atMs - 40 * lookBackMs, untilMs: atMs, limit: 1 });
  const after = ledger.slots({ ...which, sinceMs: atMs, untilMs: atMs + lookBackMs, limit: 0 }).slice(-1);
  return [...after, ...before];
}

function lockHolder({ system }: CommandParts, home: HomeReading): string | null {
  const pid = system.locks.holderPid(`${home.path}/cron/.tick.lock`);
  if (pid === null) return null;
  try {
    return `process ${pid} (${system.files.readText(`/proc/${pid}/comm`).trim()})`;
  } catch {
    // It is gone by now, or this system lists processes elsewhere.
    return `process ${pid}`;
  }
}

function environmentChange(
  parts: CommandParts,
  reader: Reader,
  home: HomeReading | null,
  job: Job | null,
  run: Run,
): EnvironmentChange | null {
  const ledger = reader.ledger();
  const completed = {
    home: run.home,
    jobId: run.jobId,
    state: "completed",
    untilMs: run.claimedAtMs,
    limit: 1,
  } as const;
  const [lastSuccess] = ledger.runs(completed);
  if (lastSuccess === undefined) return null;
  const [before, after] = [lastSuccess, run].map(({ id }) => readHashes(parts, id));
  const scriptMs = home === null || job === null ? null : scriptChangedMs(parts, home, job);
  const wasChanged = scriptMs !== null && scriptMs > lastSuccess.claimedAtMs && scriptMs <= run.claimedAtMs;
  return {
    lastSuccess,
    variables: before == null || after == null ? null : changedVariables(before, after),
    scriptChangedMs: wasChanged ? scriptMs : null,
  };
}

/** Keyed hashes of a run's variables by name; null where its folder is gone, or another version wrote it. */
function readHashes({ system, stateFolder }: CommandParts, runId: string): Readonly<Record<string, string>> | null {
  try {
    const spec = JSON.parse(system.files.readText(runFolder(stateFolder, runId).spec)) as Readonly<
      Record<string, unknown>
    >;
    const hashes = spec["environment_hashes"];
    return typeof hashes === "object" && hashes !== null ? (hashes as Readonly<Record<string, string>>) : null;
  } catch {
    // Deleted with age, never written by a daemon that was killed, or torn: then nothing is known of it.
    return null;
  }
}

function scriptChangedMs({ system, environment }: CommandParts, home: HomeReading, job: Job): number | null {
  if (job.script === null || job.script.trim() === "") return null;
  try {
    const script = resolveScript(system, home.path, environment["HOME"] ?? null, job.script);
    const stat = script.ok ? system.files.stat(script.path) : null;
    return stat === null ? null : Number(stat.modifiedNs / 1_000_000n);
  } catch {
    // A script that cannot be looked at tells nothing of when it was changed.
    return null;
  }
}
