import { expect, test } from "vitest";
import { homeToStage, stageFromMs, waitUntil } from "../../src/daemon/claim-ahead.ts";
import type { HomeRuntime } from "../../src/daemon/home-runtime.ts";
import { createFakeClock } from "../helpers/fake-clock.ts";

function sampleHome(name: string, dueMs: number | null, more: Partial<HomeRuntime> = {}): HomeRuntime {
  const rehearsed = dueMs === null ? null : { dueMs, stageFromMs: dueMs - 10 };
  const home = { name, state: { kind: "active" }, recovering: 0, retryAtMonotonicMs: null, wakeAtMs: dueMs, rehearsed };
  return { ...home, ...more } as HomeRuntime;
}

test.each<[what: string, home: HomeRuntime, fromMs: number | null]>([
  ["a home that was rehearsed for its next instant", sampleHome("a", 1000), 990],
  ["a home with nothing to come", sampleHome("a", null), null],
  ["a home that was rehearsed for another instant", sampleHome("a", 1000, { wakeAtMs: 2000 }), null],
  ["a home that cannot be read", sampleHome("a", 1000, { state: { kind: "degraded", reason: "" } }), null],
  ["a home whose old runs are undecided", sampleHome("a", 1000, { recovering: 1 }), null],
  ["a home whose lock was busy", sampleHome("a", 1000, { retryAtMonotonicMs: 5 }), null],
])("%s has its claims written from %s", (_, home, fromMs) => {
  expect(stageFromMs(home)).toBe(fromMs);
});

test("the home that wakes next is staged first, and none before its time", () => {
  const homes = [
    sampleHome("later", 1005),
    sampleHome("first", 1000),
    sampleHome("far", 5000),
    sampleHome("none", null),
  ];
  expect(homeToStage(homes, 980)).toBeNull();
  expect(homeToStage(homes, 992)).toMatchObject({ home: { name: "first" }, dueMs: 1000 });
  expect(homeToStage(homes, 996)).toMatchObject({ home: { name: "first" }, dueMs: 1000 });
  expect(homeToStage(homes.slice(0, 1), 996)).toMatchObject({ home: { name: "later" }, dueMs: 1005 });
});

test("a wait ends with its instant, and one for what has passed is none", () => {
  const clock = createFakeClock(5000);
  waitUntil(clock, 5008);
  expect(clock.nowMs()).toBe(5008);
  waitUntil(clock, 5000);
  expect(clock.nowMs()).toBe(5008);
});

test("a wait that the system ends too early goes on", () => {
  const clock = createFakeClock(5000);
  let waits = 0;
  waitUntil({ ...clock, wait: (ms) => clock.wait(waits++ === 0 ? ms / 2 : ms) }, 5008);
  expect([clock.nowMs(), waits]).toEqual([5008, 2]);
});

test.each<[what: string, byMs: number, tookMs: number]>([
  ["set back", -3_600_000, 9],
  ["set forward", 3_600_000, 4],
])("a clock that is %s makes nobody wait longer than was meant", (_, byMs, tookMs) => {
  const clock = createFakeClock(5000);
  const beganMs = clock.monotonicMs();
  let waits = 0;
  const wait = (ms: number): void => {
    clock.wait(waits === 0 ? ms / 2 : ms);
    if (waits++ === 0) clock.setWall(clock.nowMs() + byMs);
  };
  waitUntil({ ...clock, wait }, 5008);
  expect(clock.monotonicMs() - beganMs).toBeCloseTo(tookMs, 6);
});
