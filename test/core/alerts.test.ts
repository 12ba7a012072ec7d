import { expect, test } from "vitest";
import { alertKey, type Condition, findRestarts, type OpenAlert, planAlerts } from "../../src/core/alerts.ts";

const none: ReadonlySet<string> = new Set();

function condition(more: Partial<Condition> = {}): Condition {
  return { kind: "run_failed", home: "a", jobId: "j", detail: "", message: "it failed", sinceMs: 1, ...more };
}

interface Told {
  readonly raised: readonly string[];
  readonly cleared: readonly string[];
}

/** What is told when a watch meets these conditions, one look after the other. */
function tell(looks: readonly (readonly [number, readonly Condition[], ReadonlySet<string>?])[]): readonly Told[] {
  let open: ReadonlyMap<string, OpenAlert> = new Map();
  return looks.map(([nowMs, conditions, unreadable = none]) => {
    const plan = planAlerts(open, conditions, unreadable, nowMs);
    open = plan.open;
    return { raised: plan.raised.map(({ message }) => message), cleared: plan.cleared.map(({ message }) => message) };
  });
}

const nothing: Told = { raised: [], cleared: [] };

test("planAlerts() tells once that a condition is there, whatever its message says later, and once that it is over", () => {
  const later = condition({ message: "it failed again" });
  expect(
    tell([
      [0, [condition()]],
      [1000, [later]],
      [90_000, [later]],
      [100_000, []],
      [105_000, []],
      [106_000, []],
    ]),
  ).toEqual([
    { raised: ["it failed"], cleared: [] },
    nothing,
    nothing,
    nothing,
    { raised: [], cleared: ["it failed again"] },
    nothing,
  ]);
});

test("planAlerts() takes what comes and goes within seconds for one alert", () => {
  expect(
    tell([
      [0, [condition()]],
      [1000, []],
      [4000, [condition()]],
      [5000, []],
      [9999, []],
      [10_000, []],
    ]),
  ).toEqual([
    { raised: ["it failed"], cleared: [] },
    nothing,
    nothing,
    nothing,
    nothing,
    { raised: [], cleared: ["it failed"] },
  ]);
});

test("planAlerts() tells conditions apart by kind, home, job and detail", () => {
  const several = [
    condition(),
    condition({ kind: "run_orphaned" }),
    condition({ home: "b" }),
    condition({ jobId: null }),
    condition({ detail: "x" }),
    condition({ message: "the same as the first" }),
  ];
  expect(tell([[0, several]])[0]?.raised).toHaveLength(5);
  expect(new Set(several.map(alertKey)).size).toBe(5);
});

test("planAlerts() neither ends nor repeats what it knew of the jobs of a home that cannot be read", () => {
  const degraded = condition({ kind: "home_degraded", jobId: null, message: "no disk" });
  const unreadable = new Set(["a"]);
  const other = condition({ home: "b", message: "b failed" });
  expect(
    tell([
      [0, [condition(), other]],
      [1000, [degraded], unreadable],
      [60_000, [degraded], unreadable],
      [70_000, [condition()]],
      [80_000, [condition()]],
    ]),
  ).toEqual([
    { raised: ["it failed", "b failed"], cleared: [] },
    { raised: ["no disk"], cleared: [] },
    { raised: [], cleared: ["b failed"] },
    nothing,
    { raised: [], cleared: ["no disk"] },
  ]);
});

test("planAlerts() ends an alert also when the clock is set back while it goes", () => {
  expect(
    tell([
      [100_000, [condition()]],
      [101_000, []],
      [50_000, []],
      [55_000, []],
    ])[3]?.cleared,
  ).toEqual(["it failed"]);
});

test("planAlerts() has a bound", () => {
  const many = Array.from({ length: 1500 }, (_, index) => condition({ jobId: String(index) }));
  expect(tell([[0, many]])[0]?.raised).toHaveLength(1000);
});

const life = (beganMs: number, endedMs: number | null) => ({ pid: 1, beganMs, seenMs: beganMs, endedMs });

test("findRestarts() counts daemons that were started after one that nobody ended", () => {
  const crashing = [life(300_000, null), life(200_000, null), life(100_000, null), life(0, null)];
  expect(findRestarts(crashing, 310_000)).toEqual({
    kind: "daemon_restarts",
    home: null,
    jobId: null,
    detail: "",
    message: "The daemon died and was started again 3 times within 10 min, see its log",
    sinceMs: 100_000,
  });
  // The oldest of the three is too long ago by now.
  expect(findRestarts(crashing, 700_001)).toBeNull();
  expect(findRestarts(crashing.slice(1), 310_000)).toBeNull();
  expect(
    findRestarts(
      crashing.map(({ beganMs }) => life(beganMs, beganMs + 1)),
      310_000,
    ),
  ).toBeNull();
});
