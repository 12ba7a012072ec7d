import { expect, test } from "vitest";
import {
  claimEndsAtMs,
  fireClaimLifeMs,
  type OwnerState,
  standsByEarlierClock,
  unclaimedSlot,
} from "../../src/core/claim-life.ts";
import type { StoredClaim } from "../../src/core/job.ts";
import { at, claimBy, sampleJob, stored } from "../helpers/sample-job.ts";

const nowMs = at("10:00:00");
const anyone: OwnerState = () => "unknown";

const claims: readonly (readonly [string, StoredClaim | null, OwnerState, number | null])[] = [
  ["no claim", null, anyone, null],
  ["a claim without a time", { at: null, by: "host:1" }, anyone, null],
  ["a fresh claim", claimBy("host:1", at("09:58:00")), anyone, at("10:03:00")],
  ["a fresh claim of a live owner", claimBy("host:1", at("09:58:00")), () => "alive", at("10:03:00")],
  ["a fresh claim of a dead owner", claimBy("host:1", at("09:58:00")), () => "dead", null],
  ["an old claim of a live owner", claimBy("host:1", at("09:55:00")), () => "alive", null],
  ["a claim of this very instant", claimBy("host:1", nowMs), anyone, at("10:05:00")],
  ["a claim of the future", claimBy("host:1", at("10:00:01")), anyone, null],
];

for (const [subject, claim, ownerState, endsAtMs] of claims) {
  test(`claimEndsAtMs() says ${endsAtMs === null ? "that nobody is held off by" : "when the time is over of"} ${subject}`, () => {
    expect(claimEndsAtMs(claim, fireClaimLifeMs, nowMs, ownerState)).toBe(endsAtMs);
  });
}

test("standsByEarlierClock() counts a claim's age by each clock since its time, and by no other", () => {
  const hour = 3_600_000;
  const ages: readonly (readonly [claimedAt: string, steps: readonly number[], stands: boolean])[] = [
    ["09:58:00", [], false],
    ["08:58:00", [hour], true],
    ["08:54:00", [hour], false],
    ["11:29:00", [-1.5 * hour], true],
    ["09:00:00", [hour, -2 * hour, 2 * hour], true],
    ["10:59:00", [-hour, 2000], true],
    ["08:58:00", [hour, 2 * hour], false],
  ];
  for (const [claimedAt, steps, stands] of ages)
    expect(standsByEarlierClock(claimBy("host:1", at(claimedAt)), steps, nowMs), claimedAt).toBe(stands);
  expect(standsByEarlierClock({ at: null, by: "host:1" }, [hour], nowMs)).toBe(false);
});

test("unclaimedSlot() answers the slot only of a recurring job and once its scheduler is dead or too late", () => {
  const pendingSlot = { ...claimBy("host:1", at("09:58:00")), scheduledAt: stored(at("09:57:00")) };
  const job = sampleJob({ pendingSlot });
  expect(unclaimedSlot(job, nowMs, anyone)).toBeNull();
  expect(unclaimedSlot(job, nowMs, () => "dead")).toBe(pendingSlot.scheduledAt);
  expect(unclaimedSlot(job, at("10:03:00"), anyone)).toBe(pendingSlot.scheduledAt);
  expect(unclaimedSlot(sampleJob(), nowMs, () => "dead")).toBeNull();
  const once = sampleJob({ pendingSlot, schedule: { kind: "once", runAtMs: nowMs } });
  expect(unclaimedSlot(once, nowMs, () => "dead")).toBeNull();
});
