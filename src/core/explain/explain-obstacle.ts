import { type HomeSpell, type SpellKind, stretchWithoutDaemon } from "../home-history.ts";
import { shortageText } from "../pressure.ts";
import { boundText, fullText } from "../room.ts";
import { isOpenRun, type Run } from "../run.ts";
import type { PendingReason } from "../slot.ts";
import { formatLength, formatMoment } from "../time-text.ts";
import type { ExplainEvidence, ToldSlot, Waiting } from "./explain-evidence.ts";

/** What an explanation comes down to, as one word for programs. */
export type Cause =
  | "no_daemon"
  | "config"
  | "unsupported"
  | "degraded"
  | "estop"
  | "drain"
  | "parked"
  | "disk"
  | "lock"
  | "claimed"
  | "capacity"
  | "pressure"
  | "asleep"
  | "overlap"
  | "void_claim"
  | "unknown";

/** Something that kept a job from starting, as a clause without a capital and a full stop. */
export interface Obstacle {
  readonly cause: Cause;
  readonly text: string;
  readonly atMs: number | null;
}

/** What a name in the midst of a sentence may take. */
const nameMax = 48;
const listedMax = 3;

export function quoted(name: string): string {
  const characters = [...name];
  return `"${characters.length > nameMax ? `${characters.slice(0, nameMax - 1).join("")}…` : name}"`;
}

export function who({ jobName }: Pick<ExplainEvidence, "jobName">): string {
  return `Job ${quoted(jobName)}`;
}

/** The first two lines as one, without the full stop that the sentence around it brings, and no longer than a sentence may be. */
export function clause(text: string, max = 240): string {
  const lines = text
    .split("\n")
    .map((line) => line.trim().replace(/[.:\s]+$/, ""))
    .filter((line) => line !== "");
  const line = lines.slice(0, 2).join(": ");
  const characters = [...line];
  return characters.length > max ? `${characters.slice(0, max - 1).join("")}…` : line;
}

/** Why nobody knows the record of a job that has a history. */
export function withoutRecord({ home }: ExplainEvidence): Pick<Obstacle, "text"> & { readonly cause: string } {
  if (home.isGone) return { cause: "job_gone", text: `its home ${quoted(home.name)} is gone` };
  if (!home.isUnread) return { cause: "job_gone", text: "it is not in jobs.json any more" };
  return { cause: home.state, text: `home ${quoted(home.name)} cannot be served: ${clause(home.reason ?? "")}` };
}

/** What keeps a job that is due from starting now. */
export function obstacleNow(evidence: ExplainEvidence, dueMs: number, slot: ToldSlot | null): Obstacle {
  const { home, job, isDaemonAlive } = evidence;
  if (!isDaemonAlive) return withoutDaemon(evidence);
  if (home.state === "unsupported") {
    return {
      cause: "unsupported",
      text: `home ${quoted(home.name)} is not served: ${clause(home.reason ?? "")}`,
      atMs: null,
    };
  }
  const degraded = openSpell(evidence, "degraded");
  const isMisset = openSpell(evidence, "config") !== null || home.configError !== null;
  if (degraded !== null || home.state === "degraded") {
    const why = clause(degraded?.detail ?? home.reason ?? "it cannot be read");
    const text = isMisset
      ? `the configuration of home ${quoted(home.name)} is not valid and no good one was seen: ${why}`
      : `home ${quoted(home.name)} cannot be served: ${why}`;
    return { cause: isMisset ? "config" : "degraded", text, atMs: degraded?.beganMs ?? null };
  }
  if (home.state === "paused") {
    const kind = holdKinds.find((known) => known === home.reason) ?? "parked";
    return { cause: kind, text: spellTexts[kind](true, null), atMs: openSpell(evidence, kind)?.beganMs ?? null };
  }
  if (evidence.lockHolder !== null && slot?.reason !== "capacity") return lockObstacle(evidence, evidence.lockHolder);
  const own = ownOpenRun(evidence);
  if (own !== null)
    return {
      cause: "overlap",
      text: `its run ${own.id} of ${runTime(evidence, own)} is still open${overlapText(evidence)}`,
      atMs: own.claimedAtMs,
    };
  const claim = job?.fireClaim ?? job?.runClaim ?? null;
  if (slot?.reason === "lock" && claim !== null) {
    const at = claim.at === null ? "" : ` since ${moment(evidence, claim.at.ms)}`;
    return {
      cause: "claimed",
      text: `somebody else has claimed it${at} (${clause(claim.by)})`,
      atMs: claim.at?.ms ?? null,
    };
  }
  const room = evidence.waiting === null ? null : roomObstacle(evidence, evidence.waiting);
  if (room !== null) return room;
  if (slot?.decision === "pending") {
    const { cause, text } = pendingTexts[slot.reason];
    return { cause, text, atMs: slot.decidedAtMs };
  }
  const text = evidence.nowMs - dueMs < 2000 ? "the next tick takes it" : "the daemon has not taken it yet";
  return { cause: "unknown", text, atMs: null };
}

/** What kept a job from starting from one instant to another, the weightiest first. Empty where nothing is known. */
export function obstaclesBetween(
  evidence: ExplainEvidence,
  fromMs: number,
  untilMs: number,
  waitedFor: PendingReason | null,
): readonly Obstacle[] {
  const found: { readonly obstacle: Obstacle; readonly overlapMs: number }[] = [];
  const away = stretchWithoutDaemon(evidence.lives, fromMs, evidence.isDaemonAlive);
  if (away !== null && (away.last !== null || away.untilMs !== null) && (away.untilMs ?? untilMs) <= untilMs + 5000) {
    found.push({ obstacle: awayObstacle(evidence, away), overlapMs: (away.untilMs ?? untilMs) - fromMs });
  }
  for (const spell of evidence.spells) {
    const overlapMs = Math.min(untilMs, spell.endedMs ?? untilMs) - Math.max(fromMs, spell.beganMs);
    // The last good settings go on where a file turned bad: that alone keeps nobody from starting.
    if (overlapMs <= 0 || spell.kind === "config") continue;
    found.push({ obstacle: spellObstacle(evidence, spell), overlapMs });
  }
  found.sort((a, b) => b.overlapMs - a.overlapMs);
  const isToldBySpell = found.some(({ obstacle }) => obstacle.cause === waitedFor);
  if (waitedFor !== null && waitedFor !== "no_daemon" && !isToldBySpell) {
    const { cause, text } = pendingTexts[waitedFor];
    const full = waitedFor === "capacity" ? pastCapacityText(evidence, fromMs, untilMs) : null;
    found.push({ obstacle: { cause, text: full ?? text, atMs: null }, overlapMs: 0 });
  }
  return found.map(({ obstacle }) => obstacle);
}

/** Why no daemon runs now. */
export function withoutDaemon(evidence: ExplainEvidence): Obstacle {
  const { hostConfigError, lives } = evidence;
  const away = stretchWithoutDaemon(lives, evidence.nowMs, false);
  const since = away?.last == null ? "none has run here yet" : lastSign(evidence, away.last);
  if (hostConfigError !== null) {
    return {
      cause: "config",
      text: `no daemon is running, and none can start: ${clause(hostConfigError)}`,
      atMs: null,
    };
  }
  return { cause: "no_daemon", text: `no daemon is running: ${since}`, atMs: away?.fromMs ?? null };
}

function awayObstacle(evidence: ExplainEvidence, away: NonNullable<ReturnType<typeof stretchWithoutDaemon>>): Obstacle {
  const came =
    away.untilMs === null ? "and none has come since" : `and the next began at ${moment(evidence, away.untilMs)}`;
  const went = away.last === null ? "none had run here before" : lastSign(evidence, away.last);
  return { cause: "no_daemon", text: `no daemon was running: ${went}, ${came}`, atMs: away.fromMs };
}

function lastSign(evidence: ExplainEvidence, life: NonNullable<ExplainEvidence["lives"][number]>): string {
  return life.endedMs === null
    ? `the last one (process ${life.pid}) was killed after ${moment(evidence, life.seenMs)}`
    : `the last one (process ${life.pid}) ended at ${moment(evidence, life.endedMs)}`;
}

export function openSpell(evidence: ExplainEvidence, kind: SpellKind): HomeSpell | null {
  return evidence.spells.find((spell) => spell.kind === kind && spell.endedMs === null) ?? null;
}

function lockObstacle(evidence: ExplainEvidence, holder: string): Obstacle {
  const spell = openSpell(evidence, "lock");
  const since = spell === null ? "" : ` since ${moment(evidence, spell.beganMs)}`;
  const text = `${holder} has held the tick lock of home ${quoted(evidence.home.name)}${since}`;
  return {
    cause: "lock",
    text: since === "" ? text.replace(" has held ", " holds ") : text,
    atMs: spell?.beganMs ?? null,
  };
}

function spellObstacle(evidence: ExplainEvidence, spell: HomeSpell): Obstacle {
  const until = spell.endedMs === null ? "since" : `until ${moment(evidence, spell.endedMs)}, from`;
  const time = ` (${until} ${moment(evidence, spell.beganMs)})`;
  return {
    cause: spell.kind,
    text: `${spellTexts[spell.kind](spell.endedMs === null, spell.detail)}${time}`,
    atMs: spell.beganMs,
  };
}

export const holdKinds = ["estop", "drain", "parked", "disk"] as const;

const spellTexts: Readonly<Record<SpellKind, (isNow: boolean, detail: string | null) => string>> = {
  estop: (isNow) => `ESTOP ${isNow ? "stands" : "stood"} in its home`,
  drain: (isNow) => `.drain_request.json ${isNow ? "asks" : "asked"} its home for quiet`,
  parked: (isNow) => `its home ${isNow ? "is" : "was"} parked, or left to a gateway of its own`,
  disk: (isNow, detail) =>
    `the disk ${isNow ? "is" : "was"} almost full${detail === null ? "" : `: ${clause(detail)}`}`,
  degraded: (isNow, detail) =>
    `its home ${isNow ? "cannot" : "could not"} be served${detail === null ? "" : `: ${clause(detail)}`}`,
  unsupported: (isNow) => `its home ${isNow ? "has" : "had"} a layout that this program does not know`,
  config: (_, detail) => `the configuration of its home was not valid${detail === null ? "" : `: ${clause(detail)}`}`,
  lock: (isNow, detail) => `${detail ?? "another process"} ${isNow ? "holds" : "held"} the tick lock of its home`,
  asleep: () => "the machine slept or its clock was set forward",
};

const pendingTexts: Readonly<Record<PendingReason, { readonly cause: Cause; readonly text: string }>> = {
  capacity: { cause: "capacity", text: "every place for a run was taken" },
  pressure: { cause: "pressure", text: "the machine was short of memory or processors" },
  estop: { cause: "estop", text: "ESTOP stood in its home" },
  drain: { cause: "drain", text: "its home was asked for quiet" },
  parked: { cause: "parked", text: "its home was parked, or left to a gateway of its own" },
  disk: { cause: "disk", text: "the disk was almost full" },
  lock: { cause: "claimed", text: "somebody else held the job or its claim" },
  no_daemon: { cause: "void_claim", text: "its first claim came to nothing" },
  degraded: { cause: "degraded", text: "its home or its schedule could not be read" },
};

function ownOpenRun({ openRuns, job, home }: ExplainEvidence): Run | null {
  return openRuns.find((run) => run.jobId === job?.id && run.home === home.name && isOpenRun(run)) ?? null;
}

function overlapText({ policy }: ExplainEvidence): string {
  switch (policy?.overlap) {
    case "queue_one":
      return ", and the next begins when it has ended (overlap: queue_one)";
    case "replace":
      return ", and is being stopped to make way (overlap: replace)";
    default:
      return "";
  }
}

/** Null where it is not for want of room that the job waits. */
function roomObstacle(evidence: ExplainEvidence, waiting: Waiting): Obstacle | null {
  const { reason, bound, heldBy, shortages } = waiting;
  const holders = evidence.openRuns.filter(({ id }) => heldBy.includes(id));
  switch (reason) {
    case "capacity": {
      const by = holders.length === 0 ? "" : ` by ${runNames(evidence, holders)}`;
      return bound === null ? null : { cause: "capacity", text: `${fullText(bound)}${by}`, atMs: null };
    }
    case "kept":
      return {
        cause: "capacity",
        text: `what room is left${bound === null ? "" : ` for ${boundText(bound)}`} is kept for a job that has waited longer`,
        atMs: null,
      };
    case "pressure":
      return { cause: "pressure", text: shortageText(shortages), atMs: null };
    default:
      return null;
  }
}

/** What an attempt, or a run that somebody asked for, waits for. */
export function waitText(evidence: ExplainEvidence, waiting: Waiting): string {
  const room = roomObstacle(evidence, waiting);
  if (room !== null) return room.text;
  const { home } = evidence;
  switch (waiting.reason) {
    case "overlap":
      return `its run ${waiting.heldBy[0] ?? ""} is still open`;
    case "crash_loop":
      return "the job is held back for failing at once again and again";
    case "no_daemon":
      return withoutDaemon(evidence).text;
    case "lock":
      return evidence.lockHolder === null
        ? "somebody else holds the tick lock"
        : lockObstacle(evidence, evidence.lockHolder).text;
    case "claimed":
      return "somebody else has claimed the job";
    case "starting":
      return "it is about to start";
    default: {
      const kind = holdKinds.find((known) => known === waiting.reason);
      return kind === undefined
        ? `home ${quoted(home.name)} is ${waiting.reason}`
        : spellTexts[kind](true, openSpell(evidence, kind)?.detail ?? null);
    }
  }
}

function pastCapacityText(evidence: ExplainEvidence, fromMs: number, untilMs: number): string | null {
  const { openRuns, home } = evidence;
  const others = openRuns.filter(
    (run) =>
      run.claimedAtMs <= fromMs + 1000 && (run.endedAtMs ?? untilMs) >= fromMs && run.id !== subjectRun(evidence)?.id,
  );
  const inHome = others.filter((run) => run.home === home.name);
  const told = inHome.length > 0 ? inHome : others;
  return told.length === 0 ? null : `every place for a run was taken by ${runNames(evidence, told)}`;
}

export function subjectRun({ subject }: ExplainEvidence): Run | null {
  return subject.kind === "run" ? subject.run : null;
}

export function runNames(evidence: ExplainEvidence, runs: readonly Run[]): string {
  const oldestFirst = runs.toSorted((a, b) => a.claimedAtMs - b.claimedAtMs);
  const listed = oldestFirst.slice(0, listedMax).map((run) => {
    const end =
      run.endedAtMs === null
        ? `for ${formatLength(evidence.nowMs - run.claimedAtMs)}`
        : `until ${moment(evidence, run.endedAtMs)}`;
    return `${quoted(run.jobName)} (run ${run.id}, ${end})`;
  });
  const rest = runs.length > listedMax ? [`${runs.length - listedMax} more`] : [];
  return [...listed, ...rest].join(", ");
}

function runTime(evidence: ExplainEvidence, run: Run): string {
  return moment(evidence, run.scheduledAtMs ?? run.claimedAtMs);
}

export function moment(evidence: ExplainEvidence, atMs: number): string {
  return formatMoment(atMs, evidence.nowMs, evidence.zone);
}
