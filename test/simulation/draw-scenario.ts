import type { FakeProgram } from "../helpers/fake-processes.ts";
import { createDraw, type Draw } from "../helpers/fake-random.ts";
import type {
  HostEvent,
  JobEvent,
  PlannedEvent,
  PlannedHome,
  PlannedJob,
  PlannedSchedule,
  Scenario,
} from "./scenario.ts";

/** Starts of a scene: an ordinary day, and moments before clocks change. */
const starts: readonly (readonly [string, string])[] = [
  ["2026-05-04T10:00:30.250Z", "Etc/UTC"],
  ["2026-05-04T23:57:10.000Z", "Asia/Kolkata"],
  ["2026-03-29T00:57:00.123Z", "Europe/Berlin"],
  ["2026-10-25T00:56:00.500Z", "Europe/Berlin"],
  ["2026-03-08T06:57:00.000Z", "America/New_York"],
  ["2026-12-31T23:58:00.000Z", "Etc/UTC"],
];

/** The scenario of a seed. */
export function drawScenario(seed: number): Scenario {
  const draw = createDraw(seed);
  const [start, zone] = draw.chance(0.6) ? (starts[0] ?? ["", ""]) : draw.one(starts);
  const reaping = draw.one(["none", "none", "subreaper", "init"] as const);
  const hasControlGroups = draw.chance(0.3);
  const homes = drawHomes(draw);
  const lengthMs = draw.whole(40, 240) * 1000;
  const events = drawEvents(draw, homes, lengthMs);
  // A claim of a gateway that died stands for 300 s where its PID has come back.
  const hasGateways = events.some((event) => event.kind === "gateway");
  const scenario: Scenario = {
    seed,
    startMs: Date.parse(start),
    zone,
    homes,
    events,
    lengthMs,
    quietMs: hasGateways ? 440_000 : 120_000,
    orphans: draw.chance(0.7) ? "fail" : "adopt",
    timeoutMs: draw.chance(0.2) ? 20_000 : null,
    idleTimeoutMs: draw.chance(0.1) ? 15_000 : null,
    reaping,
    hasControlGroups,
  };
  const retried = draw.chance(0.4) ? { ...scenario, retry: drawRetry(draw) } : scenario;
  return draw.chance(0.25) ? { ...retried, bounds: drawBounds(draw) } : retried;
}

function drawRetry(draw: Draw): NonNullable<Scenario["retry"]> {
  const backoffMs = draw.one([0, 50, 1000, 8000, 40_000]);
  return { max: draw.one([1, 2, 5]), backoffMs, grows: draw.chance(0.5) };
}

function drawBounds(draw: Draw): NonNullable<Scenario["bounds"]> {
  return {
    openRuns: draw.one([1, 2, 3]),
    tagged: draw.one([null, 1, 2]),
    order: draw.one(["fair", "fair", "oldest_first"]),
  };
}

function drawHomes(draw: Draw): readonly PlannedHome[] {
  const count = draw.one([1, 1, 1, 2, 3]);
  return ["default", "work", "play"].slice(0, count).map((name) => ({
    name,
    parallelMax: draw.one([1, 2, 4, 4]),
    jobs: Array.from({ length: draw.one([1, 1, 2, 2, 3, 6].slice(0, 7 - count)) }, (_, index) =>
      drawJob(draw, "abcdef"[index] ?? "z"),
    ),
  }));
}

function drawJob(draw: Draw, letter: string): PlannedJob {
  const schedule = drawSchedule(draw);
  const repeatTimes = schedule.kind === "once" ? 1 : draw.chance(0.15) ? draw.whole(1, 3) : null;
  const programs = Array.from({ length: draw.whole(1, 3) }, () => drawProgram(draw));
  const misfire = draw.one(["run_once", "run_once", "skip", { run_all: 3 }, { run_all: 2 }, { within: "90 s" }]);
  const overlap = draw.one(["skip", "skip", "queue_one", "replace"] as const);
  const job: PlannedJob = { id: letter.repeat(12), schedule, repeatTimes, programs, misfire, overlap };
  if (draw.chance(0.05)) return { ...job, isPrompt: true };
  return draw.chance(0.08) ? { ...job, detach: true } : job;
}

function drawSchedule(draw: Draw): PlannedSchedule {
  const kind = draw.number();
  if (kind < 0.2) return { kind: "once", inMs: draw.whole(1, 150) * 1000 };
  if (kind < 0.45) return { kind: "interval", minutes: draw.one([1, 1, 2, 3]) };
  const expressions = ["* * * * *", "* * * * *", "*/2 * * * *", "*/30 * * * *", "0 * * * *", "30 2 * * *"];
  const quick = ["* * * * * */20", "* * * * * 15,45", "*/2 * * * * 30"];
  return { kind: "cron", expression: draw.chance(0.15) ? draw.one(quick) : draw.one(expressions) };
}

function drawProgram(draw: Draw): FakeProgram {
  const durationMs = draw.one([4, 50, 300, 2000, 8000, 25_000, 90_000, 150_000]) * (0.5 + draw.number());
  const end = draw.one([
    { code: 0 },
    { code: 0 },
    { code: 0 },
    { code: draw.one([1, 3, 137]) },
    { signal: draw.one(["SIGKILL", "SIGSEGV", "SIGTERM"] as const) },
  ]);
  const onTerm = draw.one(["dies", "dies", "dies", "exits", "ignores"] as const);
  if (!draw.chance(0.25)) return { durationMs, end, onTerm, helper: null };
  const keepsLifeline = draw.chance(0.5);
  return {
    durationMs,
    end,
    onTerm,
    helper: {
      durationMs: durationMs + draw.whole(-2000, 100_000),
      keepsLifeline,
      // With neither there is nothing left by which a later daemon could know it.
      keepsEnvironment: !keepsLifeline || draw.chance(0.7),
      ownSession: draw.chance(0.5),
      onTerm: draw.one(["dies", "ignores"]),
    },
  };
}

function drawEvents(draw: Draw, homes: readonly PlannedHome[], lengthMs: number): readonly PlannedEvent[] {
  const events: PlannedEvent[] = [];
  const count = draw.one([1, 2, 3, 4, 6, 8]);
  for (let index = 0; index < count; index++) {
    const atMs = Math.round(draw.number() * lengthMs);
    if (draw.chance(0.55)) {
      events.push(...drawKills(draw, atMs));
      continue;
    }
    const home = draw.one(homes);
    const job = draw.one(home.jobs).id;
    const place = { atMs, home: home.name };
    const what = draw.number();
    if (what < 0.15) events.push({ ...place, kind: "lock", lock: draw.one(["tick", "jobs"]), forMs: drawLength(draw) });
    else if (what < 0.2) events.push({ ...place, kind: "stop all", forMs: drawLength(draw) });
    else if (what < 0.25) events.push({ ...place, kind: "environment" });
    else if (what < 0.4) events.push({ atMs, ...drawHostTrouble(draw) });
    else events.push({ ...place, job, ...drawJobEvent(draw, index) });
  }
  return events.sort((a, b) => a.atMs - b.atMs);
}

/** From a moment to minutes. */
function drawLength(draw: Draw): number {
  return Math.round(draw.one([20, 300, 5000, 40_000, 120_000]) * (0.5 + draw.number()));
}

/** Often a daemon is killed again soon after it has started. */
function drawKills(draw: Draw, atMs: number): readonly PlannedEvent[] {
  const downMs = Math.round(draw.one([10, 500, 3000, 30_000, 130_000, 300_000]) * draw.number());
  if (draw.chance(0.15)) return [{ atMs, kind: "sigterm", downMs }];
  if (draw.chance(0.06)) return [{ atMs, kind: "reboot", downMs }];
  const kills: PlannedEvent[] = [];
  const count = draw.chance(0.3) ? draw.whole(2, 4) : 1;
  for (let left = count; left > 0; left--) {
    const operations = draw.chance(0.3) ? 0 : draw.whole(0, 60);
    kills.push({ atMs, kind: "kill", operations, torn: draw.chance(0.3), downMs: left === 1 ? downMs : 5 });
    atMs += draw.whole(6, 300);
  }
  return kills;
}

function drawHostTrouble(draw: Draw): HostEvent {
  const what = draw.number();
  if (what < 0.4) return { kind: "full disk", forMs: drawLength(draw) };
  if (what < 0.65) return { kind: "strangers", forMs: drawLength(draw) };
  return { kind: "clock", byMs: draw.one([-3_600_000, -90_000, -2000, 2000, 90_000, 3_600_000, 86_400_000]) };
}

function drawJobEvent(draw: Draw, index: number): JobEvent & { readonly job?: string } {
  const what = draw.number();
  if (what < 0.12) return { kind: "fence", forMs: drawLength(draw) };
  if (what < 0.27) return { kind: "pause" };
  if (what < 0.42) return { kind: "resume" };
  if (what < 0.55) return { kind: "edit", schedule: drawSchedule(draw) };
  if (what < 0.62) return { kind: "delete" };
  if (what < 0.7) {
    const planned = drawJob(draw, "uvwxyz"[index % 6] ?? "z");
    return { kind: "create", job: planned.id, planned };
  }
  if (what < 0.82) return { kind: "gateway", forMs: drawLength(draw), dies: draw.chance(0.3) };
  if (what < 0.87) return { kind: "run" };
  if (what < 0.9) return { kind: "request" };
  if (what < 0.95) return { kind: "out of memory", takes: draw.one(["launcher", "job", "helper"]) };
  return { kind: "stop", now: draw.chance(0.5) };
}
