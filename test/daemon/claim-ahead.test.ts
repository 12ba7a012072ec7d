import { expect, test } from "vitest";
import { nextToWake, waitUntil } from "../../src/daemon/claim-ahead.ts";
import type { HomeRuntime } from "../../src/daemon/home-runtime.ts";
import { createFakeClock } from "../helpers/fake-clock.ts";

function sampleHome(name: string, dueMs: number | null, more: Partial<HomeRuntime> = {}): HomeRuntime {
  const rehearsed = dueMs === null ? null : { dueMs, stageFromMs: dueMs - 10 };
  const home = { name, state: { kind: "active" }, recovering: 0, retryAtMonotonicMs: null, wakeAtMs: dueMs, rehearsed };
  return { ...home, ...more } as HomeRuntime;
}

test.each<[what: string, home: HomeRuntime, wakes: object | null]>([
  ["a home that was rehearsed for its next instant", sampleHome("a", 1000), { dueMs: 1000, fromMs: 990 }],
  ["a home with nothing to come", sampleHome("a", null), null],
  [
    "a home that was rehearsed for another instant",
    sampleHome("a", 1000, { wakeAtMs: 2000 }),
    { dueMs: 2000, fromMs: 2000 },
  ],
  ["a home that was not rehearsed", sampleHome("a", 1000, { rehearsed: null }), { dueMs: 1000, fromMs: 1000 }],
  [
    "a home that cannot be read",
    sampleHome("a", 1000, { state: { kind: "degraded", reason: "" } }),
    { dueMs: 1000, fromMs: 1000 },
  ],
  ["a home of an unknown layout", sampleHome("a", 1000, { state: { kind: "unsupported", reason: "" } }), null],
  ["a home whose old runs are undecided", sampleHome("a", 1000, { recovering: 1 }), null],
  ["a home whose lock was busy", sampleHome("a", 1000, { retryAtMonotonicMs: 5 }), null],
])("%s wakes, and has its claims written from, as its state allows", (_, home, wakes) => {
  expect(nextToWake([home])).toEqual(wakes === null ? null : { home, ...wakes });
});

test("the home that wakes first is next, whether its claims can be written before or not", () => {
  const slow = sampleHome("slow", 1000, { rehearsed: { dueMs: 1000, stageFromMs: 985 } });
  const homes = [sampleHome("later", 1005), sampleHome("first", 1000), slow, sampleHome("none", null)];
  expect(nextToWake(homes)).toEqual({ home: slow, dueMs: 1000, fromMs: 985 });
  // It must not be late for what is written for those behind it.
  const plain = sampleHome("plain", 995, { rehearsed: null });
  expect(nextToWake([...homes, plain])).toEqual({ home: plain, dueMs: 995, fromMs: 995 });
  expect(nextToWake([])).toBeNull();
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

test("a clock that was set back before the wait began makes it no longer than any is", () => {
  const clock = createFakeClock(5000);
  waitUntil(clock, 3_605_000);
  expect(clock.monotonicMs() - createFakeClock(5000).monotonicMs()).toBe(20);
});
