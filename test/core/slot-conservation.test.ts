import { expect, test } from "vitest";
import { formatInstant, parseInstant } from "../../src/core/instant.ts";
import type { Job, JobPatch, StoredClaim, StoredTime } from "../../src/core/job.ts";
import { type SlotPolicy, usualSlotPolicy } from "../../src/core/job-policy.ts";
import { computeNextRun, nextOccurrence } from "../../src/core/next-occurrence.ts";
import { type PlannedClaim, planTick, type SlotCursor, type TickPlan } from "../../src/core/plan-tick.ts";
import { rewindCursor } from "../../src/core/rewind-cursor.ts";
import type { Schedule } from "../../src/core/schedule.ts";
import { restoreJob, settleJob } from "../../src/core/settle-job.ts";
import type { SlotLine } from "../../src/core/slot.ts";
import { verifyLaws } from "../../src/core/verify-laws.ts";
import { createZone } from "../../src/core/zone.ts";
import { at, sampleGates, sampleJob, stored } from "../helpers/sample-job.ts";
import { createSeededRandom } from "../helpers/seeded-random.ts";

const zone = createZone("Europe/Berlin", 0);
const gateway = "gateway:1";

const schedules: readonly Schedule[] = [
  { kind: "cron", expression: "*/5 * * * *" },
  { kind: "cron", expression: "7 * * * *" },
  { kind: "cron", expression: "* * * * * */20" },
  { kind: "interval", minutes: 5 },
  { kind: "interval", minutes: 60 },
  { kind: "interval", minutes: 1.5 },
];

const policies: readonly SlotPolicy[] = [
  usualSlotPolicy,
  { misfire: { kind: "skip" }, overlap: "skip" },
  { misfire: { kind: "within", withinMs: 400_000 }, overlap: "replace" },
  { misfire: { kind: "run_all", runsMax: 3 }, overlap: "skip" },
  { misfire: { kind: "run_all", runsMax: 3 }, overlap: "queue_one" },
  { misfire: { kind: "run_all", runsMax: 2 }, overlap: "replace" },
  { misfire: { kind: "run_once" }, overlap: "queue_one" },
  { misfire: { kind: "run_once" }, overlap: "replace" },
];

interface Open {
  readonly claim: PlannedClaim;
  readonly owner: string;
  readonly tick: number;
}

/** One home, its daemon, a gateway beside it and people who edit, all at random. */
class History {
  readonly random: () => number;
  /** Without a gateway and people. */
  readonly isAlone: boolean;
  nowMs = at("10:00:00") + 0.25;
  jobs: Job[] = [];
  readonly cursors = new Map<string, SlotCursor>();
  readonly open = new Map<string, Open>();
  readonly restored = new Map<string, number>();
  readonly lines = new Map<string, SlotLine>();
  readonly faults: string[] = [];
  /** Instants that stood in a record when a tick looked at it, and those that came while they stood there. */
  readonly seen = new Map<string, string>();
  readonly came = new Set<string>();
  readonly voided = new Set<string>();
  readonly policies = new Map<string, SlotPolicy>();
  readonly catchUpMissed: boolean;
  made = 0;
  runs = 0;
  ticks = 0;

  constructor(seed: number, isAlone = false) {
    this.isAlone = isAlone;
    this.random = createSeededRandom(seed);
    this.catchUpMissed = isAlone || this.random() < 0.8;
    for (let count = 0; count < 4; count += 1) this.create();
  }

  pick<Value>(values: readonly Value[]): Value | undefined {
    return values[Math.floor(this.random() * values.length)];
  }

  create(): void {
    this.made += 1;
    this.policies.set(`job-${this.made}`, this.pick(policies) ?? usualSlotPolicy);
    const isOnce = this.random() < 0.25;
    const soonMs = this.nowMs + Math.floor(this.random() * 900_000);
    const schedule = isOnce ? ({ kind: "once", runAtMs: soonMs } as const) : (this.pick(schedules) as Schedule);
    const nextMs = isOnce ? soonMs : nextOccurrence(schedule, this.nowMs, zone);
    this.jobs.push(
      sampleJob({
        id: `job-${this.made}`,
        kind: this.random() < 0.2 ? "prompt" : "script",
        schedule,
        nextRunAt: nextMs === null ? null : this.time(nextMs),
        repeatTimes: isOnce ? 1 : this.random() < 0.2 ? 4 : null,
      }),
    );
  }

  time(ms: number): StoredTime {
    return { text: formatInstant(ms, zone), ms };
  }

  /** What a reader of the file could know of due instants, before anything else happens. */
  look(isTick: boolean): void {
    for (const job of this.jobs) {
      const { nextRunAt } = job;
      const isWaiting = job.enabled && job.state !== "completed" && nextRunAt !== null;
      const key = isWaiting && job.manualRunAt !== nextRunAt.text ? keyOf(job.id, nextRunAt.ms) : "";
      if (isTick) this.seen.set(job.id, key);
      else if (this.seen.get(job.id) !== key) this.seen.delete(job.id);
      if (key !== "" && this.seen.get(job.id) === key && Number(nextRunAt?.ms) <= this.nowMs) this.came.add(key);
    }
  }

  step(): void {
    this.look(false);
    const dice = this.random();
    if (dice < 0.3) this.nowMs += Math.floor(this.random() ** 4 * 7_200_000_000) / 1000;
    else if (dice < 0.6) this.tick();
    else if (dice < 0.75 || this.isAlone) this.endRun(this.random() < 0.4);
    else if (dice < 0.87) this.gatewayActs();
    else this.personActs();
  }

  tick(all = false): void {
    this.look(true);
    this.ticks += 1;
    const hold = !all && this.random() < 0.1 ? "drain" : null;
    const capacity = all ? 99 : Math.floor(this.random() * 4);
    this.runs += 10;
    const gates = sampleGates(all ? 9 : Math.floor(this.random() * 4)).map((gate, place) => ({
      runId: `run-${this.runs + place}`,
      kind: "script" as const,
      jobId: null,
      owner: `${gate.owner}${this.runs + place}`,
    }));
    const busy = !all && this.random() < 0.1 ? this.pick(this.jobs)?.id : undefined;
    const before = new Map(this.jobs.map((job) => [job.id, job]));
    const plan = planTick({
      nowMs: this.nowMs,
      zone,
      jobs: this.jobs,
      cursors: this.cursors,
      openRuns: [...this.open].map(([jobId, { claim }]) => ({ id: claim.gate.runId, jobId })),
      gates,
      capacity,
      ownerState: (by) => (by.startsWith(gateway) ? "alive" : "unknown"),
      canRun: (job) => job.kind === "script",
      hold,
      busyJobs: new Set(busy === undefined ? [] : [busy]),
      restored: this.restored,
      catchUpMissed: this.catchUpMissed,
      policyOf: (job) => this.policies.get(job.id) ?? usualSlotPolicy,
    });
    for (const { jobId, runId } of plan.stops) {
      if (this.open.get(jobId)?.claim.gate.runId !== runId) this.faults.push(`${jobId} stops a run that is not open`);
    }
    this.checkClaims(plan, before, capacity, hold, busy);
    for (const line of plan.slots) this.write(line);
    for (const [id, cursor] of plan.cursors) this.cursors.set(id, cursor);
    for (const id of plan.cursorsDropped) this.cursors.delete(id);
    for (const [id, patch] of plan.patches) this.patch(id, patch);
    for (const claim of plan.claims) {
      this.open.set(claim.jobId, { claim, owner: claim.gate.owner, tick: this.ticks });
      this.restored.delete(claim.jobId);
    }
    // The daemon ticks again at once while lines are left over.
    const isLeftOver = [...this.cursors.values()].some(({ backlog, owed }) => (backlog ?? owed?.decided) !== undefined);
    if (isLeftOver && !all && this.random() < 0.9) this.tick();
  }

  checkClaims(
    plan: TickPlan,
    before: ReadonlyMap<string, Job>,
    capacity: number,
    hold: string | null,
    busy: string | undefined,
  ): void {
    const used = new Set(plan.claims.map((claim) => claim.gate.runId));
    if (used.size !== plan.claims.length || used.size > capacity) this.faults.push("more claims than gates or room");
    for (const { jobId, trigger, scheduledAtMs, gate } of plan.claims) {
      const job = before.get(jobId);
      const isHeld = job?.fireClaim?.at != null && this.nowMs - job.fireClaim.at.ms < 300_000;
      if (this.open.has(jobId) || hold !== null || busy === jobId || job?.enabled !== true || isHeld) {
        this.faults.push(`${jobId} was claimed when it must not be`);
      }
      const served = plan.slots.filter((line) => line.decision === "run" && line.runId === gate.runId);
      const isSlot = trigger === "schedule" || job?.schedule?.kind === "once";
      if (served.length > 1 || (trigger === "schedule" && served[0]?.scheduledAtMs !== scheduledAtMs)) {
        this.faults.push(`${jobId} has ${served.length} run lines for one claim`);
      }
      if (!isSlot && served.length > 0) this.faults.push(`${jobId} has a slot for a request`);
    }
  }

  write(line: SlotLine): void {
    const key = keyOf(line.jobId, line.scheduledAtMs);
    const known = this.lines.get(key);
    const isRetold =
      known !== undefined &&
      known.decision !== "pending" &&
      !(known.runId === null
        ? known.decision === "skip" && this.voided.has(line.jobId)
        : this.voided.has(known.runId)) &&
      // An edit back, or a slot that Hermes restored, gives an instant a second chance.
      known.decision !== "move" &&
      !(known.decision === "run" && known.runId === null);
    if (isRetold)
      this.faults.push(`${key} is ${known.decision} ${known.reason} and then ${line.decision} ${line.reason}`);
    if (known !== undefined && known.decision !== "pending" && line.decision === "pending") return;
    this.lines.set(key, line);
  }

  patch(id: string, patch: JobPatch): void {
    this.jobs = this.jobs.map((job) => (job.id === id ? patchJob(job, patch) : job));
  }

  endRun(mayBeVoid: boolean): void {
    const entry = this.pick([...this.open]);
    if (entry === undefined) return;
    const [id, { claim, owner, tick }] = entry;
    // Nothing ticks between a claim and the proof that its gate never opened.
    const isVoid = mayBeVoid && tick === this.ticks;
    this.open.delete(id);
    const job = this.jobs.find((one) => one.id === id);
    const isManual = claim.trigger === "manual";
    if (isVoid) {
      if (!isManual) this.restored.set(id, claim.scheduledAtMs);
      // What came while the void claim stood was skipped for it, and comes again with its slot.
      this.voided.add(id).add(claim.gate.runId);
      this.rewind(id, claim.gate.runId);
    }
    if (job === undefined) return;
    const common = { owner, trigger: claim.trigger, scheduledAtMs: isManual ? null : claim.scheduledAtMs, zone };
    const outcome = this.random() < 0.5 ? { success: true, error: null } : { success: false, error: "exit 1" };
    const patch = isVoid ? restoreJob(job, common) : settleJob(job, outcome, { ...common, endedAtMs: this.nowMs });
    if (patch === "superseded") this.faults.push(`${id} was superseded with nobody else about`);
    else this.patch(id, patch);
  }

  /** What the ledger does about a void run. */
  rewind(id: string, runId: string): void {
    const own = [...this.lines].filter(([, line]) => line.runId === runId);
    for (const [key, { jobId, scheduledAtMs, decidedAtMs }] of own) {
      const waits = { decision: "pending", reason: "no_daemon", runId: null, latenessMs: null } as const;
      this.lines.set(key, { ...waits, jobId, scheduledAtMs, decidedAtMs });
    }
    const cursor = this.cursors.get(id);
    const instants = own.map(([, line]) => line.scheduledAtMs).sort((a, b) => a - b);
    if (cursor !== undefined && instants.length > 0) this.cursors.set(id, rewindCursor(cursor, runId, instants));
  }

  /** A gateway of 0.22 (with claims) or 0.19 (without) runs a due job, or ends one that it runs. */
  gatewayActs(): void {
    const job = this.pick(this.jobs);
    if (job === undefined || job.schedule === null || job.schedule.kind === "once") return;
    const at: StoredTime = this.time(this.nowMs);
    const nextMs = computeNextRun(job.schedule, this.nowMs, this.nowMs, zone);
    const next = nextMs === null ? null : this.time(nextMs);
    const isRunning = job.fireClaim?.by.startsWith(gateway) === true;
    if (isRunning) {
      this.replace({ ...job, fireClaim: null, pendingSlot: null, lastRunAt: at, nextRunAt: next });
      return;
    }
    const isDue = job.enabled && job.nextRunAt !== null && job.nextRunAt.ms <= this.nowMs;
    if (!isDue || this.open.has(job.id) || job.fireClaim !== null || job.manualRunAt === job.nextRunAt?.text) return;
    const dice = this.random();
    const claim: StoredClaim = { at, by: `${gateway}:${this.runs}${Math.floor(dice * 1e9)}` };
    if (dice < 0.5) this.replace({ ...job, nextRunAt: next, fireClaim: claim, pendingSlot: null });
    else if (dice < 0.7) this.replace({ ...job, nextRunAt: next, lastRunAt: at, pendingSlot: null });
    else if (job.nextRunAt !== null) {
      this.replace({ ...job, nextRunAt: next, pendingSlot: { ...claim, scheduledAt: job.nextRunAt } });
    }
  }

  personActs(): void {
    const job = this.pick(this.jobs);
    if (job === undefined || job.state === "completed") return;
    const dice = this.random();
    const isRunning = this.open.has(job.id) || job.fireClaim !== null;
    if (dice < 0.25 && job.schedule?.kind !== "once") {
      const schedule = this.pick(schedules) as Schedule;
      const nextMs = nextOccurrence(schedule, this.nowMs, zone);
      this.replace({ ...job, schedule, nextRunAt: nextMs === null ? null : this.time(nextMs), pendingSlot: null });
    } else if (dice < 0.5) {
      if (job.enabled) {
        this.replace({ ...job, enabled: false, state: "paused", pausedAt: this.time(this.nowMs).text });
      } else {
        this.replace({ ...job, enabled: true, state: "scheduled", pausedAt: null, pendingSlot: null });
      }
    } else if (dice < 0.75 && job.enabled) {
      const now = this.time(this.nowMs);
      this.replace({ ...job, nextRunAt: now, manualRunAt: now.text, pendingSlot: null });
    } else if (dice < 0.85 && !isRunning) {
      this.jobs = this.jobs.filter((one) => one !== job);
    } else {
      this.create();
    }
  }

  isLeftToGateway(id: string): boolean {
    return this.jobs.find((job) => job.id === id)?.kind === "prompt";
  }

  /** What `verify` would find wrong with the lines alone. */
  verify(): readonly string[] {
    const cursors = new Map(this.cursors);
    const store = { state: "same" } as const;
    const reports = verifyLaws({
      daemonLives: false,
      keptFromMs: Number.NEGATIVE_INFINITY,
      runsKeptFromMs: new Map(),
      homes: [{ name: "h", path: "/h", zone, readable: true, jobs: this.jobs, cursors, store }],
      runs: [],
      slots: [...this.lines.values()].map((line) => ({ ...line, home: "h" })),
      unknownFolders: [],
      setBacks: [],
      processes: null,
    });
    // The runs of these histories stand in no ledger, and their clock may move by microseconds between two anchors.
    const expected = ["run_unknown", "double"];
    return reports.flatMap(({ violations }) =>
      violations.filter(({ kind }) => !expected.includes(kind)).map(({ message }) => message),
    );
  }

  replace(job: Job): void {
    this.jobs = this.jobs.map((one) => (one.id === job.id ? job : one));
  }

  /** Lets everything come to its end: nobody edits, the gateway is gone, there is room for all. */
  drain(): void {
    for (let round = 0; round < 12; round += 1) {
      this.tick(true);
      while (this.open.size > 0) this.endRun(false);
      this.look(false);
      this.nowMs += round < 6 ? 1_500_000 : 0.5;
    }
    for (let round = 0; round < 40; round += 1) this.tick(true);
  }
}

function keyOf(jobId: string, ms: number): string {
  return `${jobId} ${new Date(Math.floor(ms)).toISOString()}.${Math.round((ms % 1) * 1000)}`;
}

function patchJob(job: Job, patch: JobPatch): Job {
  const readTime = (text: string): StoredTime => ({ text, ms: parseInstant(text, zone) ?? Number.NaN });
  const readClaim = (claim: { readonly at: string; readonly by: string } | null): StoredClaim | null =>
    claim === null ? null : { at: readTime(claim.at), by: claim.by };
  return {
    ...job,
    enabled: patch.enabled ?? job.enabled,
    state: patch.state ?? job.state,
    pausedAt: patch.pausedAt === undefined ? job.pausedAt : patch.pausedAt,
    nextRunAt:
      patch.nextRunAt === undefined ? job.nextRunAt : patch.nextRunAt === null ? null : readTime(patch.nextRunAt),
    lastRunAt: patch.lastRunAt === undefined ? job.lastRunAt : readTime(patch.lastRunAt),
    lastStatus: patch.lastStatus ?? job.lastStatus,
    repeatCompleted: patch.repeatCompleted ?? job.repeatCompleted,
    fireClaim: patch.fireClaim === undefined ? job.fireClaim : readClaim(patch.fireClaim),
    runClaim: patch.runClaim === undefined ? job.runClaim : readClaim(patch.runClaim),
    pendingSlot: patch.pendingSlot === "drop" ? null : job.pendingSlot,
    manualRunAt: patch.manualRunAt === "drop" ? null : job.manualRunAt,
    failureStreak: patch.failureStreak ?? job.failureStreak,
  };
}

test("planTick() gives every instant that came exactly one final line, whatever happens to the jobs", () => {
  const faults: string[] = [];
  let counted = 0;
  for (let seed = 1; seed <= 400; seed += 1) {
    const history = new History(seed);
    for (let step = 0; step < 120; step += 1) history.step();
    history.drain();
    for (const key of history.came) {
      counted += 1;
      const line = history.lines.get(key);
      // What only the gateway can run may wait for it for ever.
      if (line === undefined && !history.isLeftToGateway(key.split(" ")[0] ?? ""))
        history.faults.push(`${key} has no line`);
    }
    for (const [key, line] of history.lines) {
      if (line.decision === "pending" && !history.isLeftToGateway(line.jobId))
        history.faults.push(`${key} stays pending ${line.reason}`);
    }
    history.faults.push(...history.verify());
    faults.push(...history.faults.map((fault) => `seed ${seed}: ${fault}`));
  }
  expect(faults).toEqual([]);
  expect(counted).toBeGreaterThan(5000);
});

test("planTick() leaves out no occurrence of a job that nobody else touches", () => {
  const faults: string[] = [];
  let counted = 0;
  for (let seed = 1; seed <= 150; seed += 1) {
    const history = new History(10_000 + seed, true);
    const first = new Map(history.jobs.map((job) => [job.id, job]));
    for (let step = 0; step < 120; step += 1) history.step();
    history.drain();
    for (const [id, job] of first) {
      const runsForEver = job.kind === "script" && job.repeatTimes === null;
      if (!runsForEver || job.schedule === null || job.nextRunAt === null) continue;
      for (let ms: number | null = job.nextRunAt.ms; ms !== null && ms <= history.nowMs; ) {
        counted += 1;
        if (!history.lines.has(keyOf(id, ms))) faults.push(`seed ${seed}: ${keyOf(id, ms)} has no line`);
        ms = nextOccurrence(job.schedule, ms, zone);
      }
    }
  }
  expect(faults).toEqual([]);
  expect(counted).toBeGreaterThan(5000);
});

test("a slot keeps its key through the text of a record", () => {
  expect(keyOf("a", stored(at("10:00:00") + 0.123).ms)).toBe(
    keyOf("a", parseInstant("2026-06-15T10:00:00.000123Z", zone) ?? 0),
  );
});
