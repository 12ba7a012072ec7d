import { expect, test } from "vitest";
import { type Notice, noticeBackoffMs, planNotices } from "../../src/core/notices.ts";

const notice = (id: number, more: Partial<Notice> = {}): Notice => ({
  id,
  notifier: "a",
  content: "{}",
  queuedAtMs: 0,
  attempts: 0,
  retryAtMs: 0,
  ...more,
});
const both = new Set(["a", "b"]);
const none: ReadonlySet<string> = new Set();
const ids = (notices: readonly Notice[]): readonly number[] => notices.map(({ id }) => id);

test("planNotices() sends one at a time to each who is told, the oldest first", () => {
  const waiting = [notice(1), notice(2), notice(3, { notifier: "b" })];
  expect(ids(planNotices(waiting, both, none, 10).send)).toEqual([1, 3]);
  expect(ids(planNotices(waiting, both, new Set(["a"]), 10).send)).toEqual([3]);
});

test("planNotices() lets nothing overtake a notice that waits to be tried again, and nobody wait for another's", () => {
  const waiting = [notice(1, { attempts: 1, retryAtMs: 5000 }), notice(2), notice(3, { notifier: "b" })];
  const plan = planNotices(waiting, both, none, 10);
  expect([ids(plan.send), plan.drop, plan.wakeAtMs]).toEqual([[3], [], 5000]);
  expect(ids(planNotices(waiting, both, none, 5000).send)).toEqual([1, 3]);
});

test("planNotices() drops what is for nobody, what is a day old, and the oldest of too many", () => {
  const day = 86_400_000;
  expect(planNotices([notice(1, { notifier: "gone" })], both, none, 0)).toMatchObject({
    send: [],
    drop: [{ notice: { id: 1 } }],
  });
  expect(planNotices([notice(1), notice(2, { queuedAtMs: day })], both, none, day)).toMatchObject({
    send: [{ id: 2 }],
    drop: [{ notice: { id: 1 }, why: "it could not be sent for a day" }],
  });
  const many = Array.from({ length: 203 }, (_, index) => notice(index));
  expect(planNotices(many, both, none, 0).drop.map((one) => one.notice.id)).toEqual([0, 1, 2]);
});

test("planNotices() is not held up by a clock that was set back", () => {
  expect(ids(planNotices([notice(1, { retryAtMs: 1e12 })], both, none, 0).send)).toEqual([1]);
});

test("noticeBackoffMs() grows to an hour", () => {
  expect([1, 2, 3, 4, 5, 6, 7, 99].map(noticeBackoffMs)).toEqual([
    5000, 30_000, 120_000, 600_000, 1_800_000, 3_600_000, 3_600_000, 3_600_000,
  ]);
});
