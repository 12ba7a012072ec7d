import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { expect, test } from "vitest";
import { fireClaimLifeMs, type OwnerState, runClaimLifeDefaultMs } from "../../src/core/claim-life.ts";
import { formatInstant, parseInstant } from "../../src/core/instant.ts";
import type { Job } from "../../src/core/job.ts";
import { planTick, type SlotCursor, type TickInput, type TickPlan } from "../../src/core/plan-tick.ts";
import { createZone, type Zone } from "../../src/core/zone.ts";
import { gatesFor, readJobs, type VectorRecord } from "../helpers/hermes-vectors.ts";

// What becomes of a job that another scheduler holds, in each home that a released Hermes left behind. The lines are those that
// were tried with real Hermes of three releases; ours is the one answer for all of them.

const vectors = join(import.meta.dirname, "../fixtures/vectors");
const owner = "host-a:6161:4d909918f960d3a468a818c7d30677fd";
const alive: OwnerState = () => "alive";
const dead: OwnerState = () => "dead";
const unclear: OwnerState = () => "unknown";

interface Recorded {
  readonly name: string;
  readonly zone: Zone;
  readonly records: readonly VectorRecord[];
}

const homes: readonly Recorded[] = readdirSync(vectors)
  .filter((release) => existsSync(join(vectors, release, "homes")))
  .flatMap((release) =>
    readdirSync(join(vectors, release, "homes")).map((home) => join(vectors, release, "homes", home)),
  )
  .flatMap((root) => [root, ...foldersOf(join(root, "profiles"))])
  .filter((home) => existsSync(join(home, "cron/jobs.json")))
  .map((home) => ({
    name: relative(vectors, home),
    zone: createZone(/^timezone: (.*)$/mu.exec(readFileSync(join(home, "config.yaml"), "utf8"))?.[1] ?? "UTC", 0),
    records: JSON.parse(readFileSync(join(home, "cron/jobs.json"), "utf8")).jobs,
  }));

function foldersOf(path: string): readonly string[] {
  return existsSync(path) ? readdirSync(path).map((name) => join(path, name)) : [];
}

/** One record of a home, with what a line of the table changes about it. */
interface Subject {
  readonly title: string;
  readonly zone: Zone;
  readonly record: VectorRecord;
  /** When it is due. */
  readonly dueMs: number;
}

const unclaimed = { fire_claim: null, run_claim: null, pending_slot: null, manual_run_at: null };

function subjects(isOnce: boolean): readonly Subject[] {
  return homes.flatMap(({ name, zone, records }) =>
    records
      .filter((record) => (scheduleOf(record)["kind"] === "once") === isOnce)
      .flatMap((record) => {
        // One-shots of a recorded home have had their run; here each is as it was before.
        const due = isOnce ? scheduleOf(record)["run_at"] : record["next_run_at"];
        const dueMs = parseInstant(String(due), zone);
        const ready = { ...record, ...unclaimed, next_run_at: due, enabled: true, state: "scheduled" };
        const fresh = isOnce ? { repeat: { times: 1, completed: 0 }, last_run_at: null, last_status: null } : {};
        const isPaused = record["enabled"] !== true && !isOnce;
        if (dueMs === null || isPaused) return [];
        return [{ title: `${name}: ${record["name"]}`, zone, record: { ...ready, ...fresh }, dueMs }];
      }),
  );
}

function scheduleOf(record: VectorRecord): VectorRecord {
  return record["schedule"] as VectorRecord;
}

// 0.19 and 0.20 store some instants an hour off around a clock change; those are moved, whoever holds the job.
const isOnItsSchedule = (subject: Subject): boolean =>
  !tick(subject, subject.dueMs + 1000, {}, unclear).plan.slots.some((slot) => slot.reason === "reanchored");
const recurring = subjects(false).filter(isOnItsSchedule);
const onces = subjects(true);

interface Tick {
  readonly plan: TickPlan;
  readonly job: Job;
}

function tick(
  { record, zone }: Subject,
  nowMs: number,
  changes: VectorRecord,
  ownerState: OwnerState,
  more: Partial<TickInput> = {},
): Tick {
  const [read] = readJobs([{ ...record, ...changes }], { nowMs, zone, naiveZone: zone, ownerState });
  if (read === undefined) throw new Error(`Cannot read record "${String(record["id"])}"`);
  const input: TickInput = {
    nowMs,
    zone,
    jobs: [read.job],
    cursors: new Map(),
    openRuns: [],
    gates: gatesFor(1),
    capacity: 4,
    ownerState,
    canRun: () => true,
    hold: null,
    ...more,
  };
  return { plan: planTick(input), job: read.job };
}

function claimAt(subject: Subject, ms: number, by = owner): { readonly at: string; readonly by: string } {
  return { at: formatInstant(ms, subject.zone), by };
}

/** What a plan does with the job, in a word or two. */
function verdict({ plan }: Tick): string {
  if (plan.claims.length > 0) return "runs it";
  const lines = plan.slots.map((slot) => `${slot.decision} ${slot.reason}`);
  const [patch] = plan.patches.values();
  const changes = patch === undefined ? [] : [`${patch.state ?? "as it was"}`];
  return ["leaves it", ...lines, ...changes].join(", ");
}

function expectEach(of: readonly Subject[], expected: string, look: (subject: Subject) => Tick): void {
  expect(of.length).toBeGreaterThan(0);
  const seen = of.map((subject) => [subject.title, verdict(look(subject))]);
  expect(seen).toEqual(of.map(({ title }) => [title, expected]));
}

test("a recorded home without claims runs what is due, so that the lines below say something", () => {
  const moved = subjects(false).filter((subject) => !isOnItsSchedule(subject));
  expect(moved.filter(({ title }) => title.startsWith("hermes-0.22"))).toEqual([]);
  expect(recurring.length).toBeGreaterThan(moved.length);
  expect(new Set(homes.map(({ name }) => name.split("/")[0])).size).toBeGreaterThan(1);
  expectEach(recurring, "runs it", (subject) => tick(subject, subject.dueMs + 1000, {}, unclear));
  expectEach(onces, "runs it", (subject) => tick(subject, subject.dueMs + 1000, {}, unclear));
});

test("a recurring job with a fresh fire_claim of a live owner is left, its slot waits, and it runs once the claim is gone", () => {
  for (const ownerState of [alive, unclear]) {
    expectEach(recurring, "leaves it, pending lock", (subject) =>
      tick(subject, subject.dueMs + 1000, { fire_claim: claimAt(subject, subject.dueMs - 60_000) }, ownerState),
    );
  }
  for (const subject of recurring) {
    const held = tick(subject, subject.dueMs + 1000, { fire_claim: claimAt(subject, subject.dueMs - 60_000) }, alive);
    expect([subject.title, held.plan.wakeAtMs]).toEqual([subject.title, subject.dueMs - 60_000 + fireClaimLifeMs]);
    expect([...held.plan.patches]).toEqual([]);
    const cursors: ReadonlyMap<string, SlotCursor> = held.plan.cursors;
    const freed = tick(subject, subject.dueMs + 2000, {}, alive, { cursors });
    expect([subject.title, freed.plan.claims.map((claim) => claim.scheduledAtMs)]).toEqual([
      subject.title,
      [subject.dueMs],
    ]);
    expect(freed.plan.slots.map((slot) => slot.decision)).toEqual(["run"]);
  }
});

test("a recurring job whose owner is dead runs at once, and our claim takes the place of the dead one's", () => {
  const look = (subject: Subject): Tick =>
    tick(subject, subject.dueMs + 1000, { fire_claim: claimAt(subject, subject.dueMs - 60_000) }, dead);
  expectEach(recurring, "runs it", look);
  for (const subject of recurring) {
    const { plan, job } = look(subject);
    expect(plan.patches.get(job.id)?.fireClaim?.by).toBe(gatesFor(1)[0]?.owner);
  }
});

test("what another supervisor's run left alive holds its job off, however its claim has ended", () => {
  const claims = [
    ["dead", 60_000, dead],
    ["too old", fireClaimLifeMs, unclear],
    ["of the future", -5000, alive],
  ] as const;
  for (const [, ageMs, ownerState] of claims) {
    const look = (subject: Subject, isAlive: boolean): Tick => {
      const nowMs = subject.dueMs + 1000;
      const changes = { fire_claim: claimAt(subject, nowMs - ageMs) };
      return tick(subject, nowMs, changes, ownerState, { isAliveElsewhere: () => isAlive });
    };
    expectEach(recurring, "leaves it, pending lock", (subject) => {
      const held = look(subject, true);
      expect(held.plan.wakeAtMs).toBe(subject.dueMs + 2000);
      return held;
    });
    expectEach(recurring, "runs it", (subject) => look(subject, false));
  }
  for (const subject of recurring) {
    // Looking at every process of the machine is for a claim that has ended, and for nothing else.
    const asked = (): boolean => {
      throw new Error(`Asked about ${subject.title}`);
    };
    expect(tick(subject, subject.dueMs + 1000, {}, alive, { isAliveElsewhere: asked }).plan.claims.length).toBe(1);
    const fresh = { fire_claim: claimAt(subject, subject.dueMs) };
    expect(tick(subject, subject.dueMs + 1000, fresh, alive, { isAliveElsewhere: asked }).plan.claims).toEqual([]);
  }
});

test("a fire_claim holds for 300 s whoever made it, and one of the future holds nobody", () => {
  const ages = [
    [fireClaimLifeMs - 1, "leaves it, pending lock"],
    [fireClaimLifeMs, "runs it"],
    [fireClaimLifeMs + 1000, "runs it"],
    [-1, "runs it"],
  ] as const;
  for (const [ageMs, expected] of ages) {
    for (const ownerState of [alive, unclear]) {
      expectEach(recurring, expected, (subject) => {
        const nowMs = subject.dueMs + 1000;
        return tick(subject, nowMs, { fire_claim: claimAt(subject, nowMs - ageMs) }, ownerState);
      });
    }
  }
});

// Hermes removes such a record. Whether the run ever began is not to be told, so ours is neither run again nor taken away.
test("a counted one-shot with a fire_claim and no run_claim is left while its owner may live, and never runs twice", () => {
  const counted = { repeat: { times: 1, completed: 1 } };
  const claimed = (subject: Subject): VectorRecord => ({ ...counted, fire_claim: claimAt(subject, subject.dueMs) });
  for (const ownerState of [alive, unclear]) {
    expectEach(onces, "leaves it, pending lock", (subject) =>
      tick(subject, subject.dueMs + 1000, claimed(subject), ownerState),
    );
    expectEach(onces, "leaves it, run elsewhere", (subject) =>
      tick(subject, subject.dueMs + fireClaimLifeMs, claimed(subject), ownerState),
    );
  }
  expectEach(onces, "leaves it, miss repeat_used_up, completed", (subject) =>
    tick(subject, subject.dueMs + 1000, claimed(subject), dead),
  );
});

test("a one-shot with a fresh run_claim of a live owner is left for 1800 s, or three times HERMES_CRON_TIMEOUT", () => {
  const counted = { repeat: { times: 1, completed: 1 } };
  for (const ownerState of [alive, unclear]) {
    for (const lifeMs of [runClaimLifeDefaultMs, 3 * 3_600_000]) {
      for (const ageMs of [1000, lifeMs - 1]) {
        expectEach(onces, "leaves it, pending lock", (subject) => {
          const changes = { ...counted, run_claim: claimAt(subject, subject.dueMs, "host-a:6161") };
          const held = tick(subject, subject.dueMs + ageMs, changes, ownerState, { runClaimLifeMs: lifeMs });
          expect(held.plan.wakeAtMs).toBe(subject.dueMs + lifeMs);
          return held;
        });
      }
      expectEach(onces, "leaves it, run elsewhere", (subject) => {
        const changes = { ...counted, run_claim: claimAt(subject, subject.dueMs, "host-a:6161") };
        return tick(subject, subject.dueMs + lifeMs, changes, ownerState, { runClaimLifeMs: lifeMs });
      });
    }
  }
});

test("a counted one-shot whose run_claim names a dead owner does not run again, and its record stays", () => {
  expectEach(onces, "leaves it, miss repeat_used_up, completed", (subject) =>
    tick(
      subject,
      subject.dueMs + 1000,
      { repeat: { times: 1, completed: 1 }, run_claim: claimAt(subject, subject.dueMs, "host-a:6161") },
      dead,
    ),
  );
});

test("a one-shot that is counted, never ran and has no next time does not run", () => {
  for (const ownerState of [alive, unclear, dead]) {
    const changes = { repeat: { times: 1, completed: 1 }, next_run_at: null };
    for (const subject of onces) {
      expect([subject.title, tick(subject, subject.dueMs + 1000, changes, ownerState).plan.claims]).toEqual([
        subject.title,
        [],
      ]);
    }
  }
});

test("a run_claim on a recurring job is ignored", () => {
  for (const ownerState of [alive, unclear, dead]) {
    expectEach(recurring, "runs it", (subject) =>
      tick(subject, subject.dueMs + 1000, { run_claim: claimAt(subject, subject.dueMs, "host-a:6161") }, ownerState),
    );
  }
});

test("a claim that names no process of this host falls back to its time limit", () => {
  // An owner is asked for by what the claim says, so a text that holds no PID of this host can only be unknown.
  const names = ["host-b:6161:4d90", "machine-7", "host-a", "host-a::4d90", "", "host-a:many:4d90"];
  for (const by of names) {
    const asked: string[] = [];
    const ownerState: OwnerState = (name) => {
      asked.push(name);
      return "unknown";
    };
    expectEach(recurring, "leaves it, pending lock", (subject) =>
      tick(subject, subject.dueMs + 1000, { fire_claim: claimAt(subject, subject.dueMs - 60_000, by) }, ownerState),
    );
    expectEach(recurring, "runs it", (subject) =>
      tick(subject, subject.dueMs + 1000, { fire_claim: claimAt(subject, subject.dueMs - 299_001, by) }, ownerState),
    );
    expect(new Set(asked)).toEqual(new Set([by]));
  }
});

test("what a crashed scheduler left in its home holds us off while it may live, and is served once it is known to be dead", () => {
  const crashed = homes.filter(({ records }) =>
    records.some((record) => record["fire_claim"] || record["pending_slot"] || record["run_claim"]),
  );
  expect(crashed.length).toBeGreaterThan(0);
  for (const { name, zone, records } of crashed) {
    const left = records.filter(
      (record) => scheduleOf(record)["kind"] !== "once" && (record["fire_claim"] || record["pending_slot"]),
    );
    for (const record of left) {
      const claim = (record["fire_claim"] ?? record["pending_slot"]) as VectorRecord;
      const atMs = parseInstant(String(claim["at"]), zone) ?? Number.NaN;
      const dueMs = parseInstant(String(record["next_run_at"]), zone) ?? Number.NaN;
      const subject: Subject = { title: `${name}: ${record["name"]}`, zone, record, dueMs };
      const served = (nowMs: number, ownerState: OwnerState): readonly number[] =>
        tick(subject, nowMs, {}, ownerState).plan.claims.map((one) => one.scheduledAtMs);
      const pending = record["pending_slot"] as VectorRecord | null | undefined;
      const slotMs = pending ? parseInstant(String(pending["scheduled_at"]), zone) : null;
      // The slot that it took off the schedule comes back as soon as it is dead, or when its time is over.
      const early = slotMs === null ? [] : [slotMs];
      expect([subject.title, served(atMs + 1000, alive)]).toEqual([subject.title, []]);
      expect([subject.title, served(atMs + 1000, unclear)]).toEqual([subject.title, []]);
      expect([subject.title, served(atMs + 1000, dead)]).toEqual([subject.title, early]);
      expect([subject.title, served(atMs + fireClaimLifeMs, unclear)]).toEqual([
        subject.title,
        slotMs !== null ? [slotMs] : dueMs <= atMs + fireClaimLifeMs ? [dueMs] : [],
      ]);
    }
  }
});
