import { expect, test } from "vitest";
import { planTick, type SlotCursor, type TickInput } from "../../src/core/plan-tick.ts";
import { at, sampleJob, stored, tickInput } from "../helpers/sample-job.ts";

const until = stored(at("10:17:30"));
const held = sampleJob({ nextRunAt: until, quotaHoldUntil: until, parkedAt: until.text });
const before: SlotCursor = {
  nextAtMs: at("10:05:00"),
  scheduleText: "cron */5 * * * *",
  enabled: true,
  lastRunAtMs: at("10:00:20"),
};

function play(clock: string, cursor: SlotCursor, more: Partial<TickInput> = {}) {
  const plan = planTick(tickInput({ nowMs: at(clock), jobs: [held], cursors: new Map([["a1", cursor]]), ...more }));
  const { claims, slots, cursors, wakeAtMs } = plan;
  return {
    claims: claims.length,
    lines: slots.map(({ scheduledAtMs, decision, reason }) =>
      [new Date(scheduledAtMs).toISOString().slice(11, 19), decision, reason].join(" "),
    ),
    cursor: cursors.get("a1") ?? cursor,
    wake: wakeAtMs === null ? null : new Date(wakeAtMs).toISOString().slice(11, 19),
  };
}

test("planTick() says of each instant in a quota hold that it was skipped, as it comes, and runs the job when the hold ends", () => {
  const early = play("10:01:00", before);
  expect(early).toMatchObject({ claims: 0, lines: [], wake: "10:05:00" });
  const first = play("10:05:00", early.cursor);
  expect(first).toMatchObject({ claims: 0, lines: ["10:05:00 skip quota_hold"], wake: "10:10:00" });
  const rest = play("10:16:00", first.cursor);
  expect(rest).toMatchObject({
    claims: 0,
    lines: ["10:10:00 skip quota_hold", "10:15:00 skip quota_hold"],
    wake: "10:17:30",
  });
  expect(play("10:17:30", rest.cursor)).toMatchObject({ claims: 1, lines: ["10:17:30 run on_time"], wake: "10:20:00" });
});

test("planTick() finds the instants of a quota hold that passed while no daemon was there", () => {
  const late = play("10:19:00", before);
  expect(late).toMatchObject({
    claims: 0,
    lines: ["10:05:00 skip quota_hold", "10:10:00 skip quota_hold", "10:15:00 skip quota_hold"],
    wake: "10:19:00",
  });
  expect(play("10:19:00", late.cursor)).toMatchObject({ claims: 1, lines: ["10:17:30 run late"] });
});

test("planTick() lets nothing run into a quota hold that waited for the run that found it", () => {
  const owed = { scheduleText: "cron */5 * * * *", fromMs: at("10:05:00"), throughMs: at("10:05:00") };
  const waiting = { ...before, nextAtMs: at("10:10:00"), owed };
  expect(play("10:06:00", waiting)).toMatchObject({ claims: 0, lines: ["10:05:00 skip quota_hold"], wake: "10:10:00" });
});
