import { expect, test } from "vitest";
import { createComingJobs } from "../../src/daemon/coming-jobs.ts";
import type { HomeRuntime } from "../../src/daemon/home-runtime.ts";
import { at, sampleJob, stored } from "../helpers/sample-job.ts";

test("coming jobs are found by one pass over a store for as long as it stays the same", () => {
  const nowMs = at("10:00:00");
  let passes = 0;
  const job = (id: string, seconds: number, more = {}) =>
    sampleJob({ id, nextRunAt: stored(nowMs + seconds * 1000), ...more });
  const snapshotOf = (...jobs: ReturnType<typeof job>[]) => ({
    get jobs() {
      passes++;
      return jobs;
    },
  });
  const prompt = { kind: "prompt" } as const;
  let snapshot: object | null = snapshotOf(
    job("later", 70),
    job("second", 30),
    job("first", -5),
    job("asks", 90, prompt),
    job("off", 1, { enabled: false }),
    job("broken", 2, { fault: "it has no schedule" }),
    job("asks last", 100, prompt),
  );
  const home = { store: { latest: () => snapshot } } as unknown as HomeRuntime;
  const coming = createComingJobs(25_000);
  const look = (kind: "script" | "prompt", ms: number) => {
    const { soon, laterMs } = coming(home, kind, nowMs + ms);
    return [soon.map((one) => one.job.id).join(" "), laterMs === null ? null : (laterMs - nowMs) / 1000, passes];
  };
  for (let ms = 0; ms <= 35_000; ms += 1000) expect(look("script", ms)).toEqual(["first second", 70, 1]);
  expect(look("prompt", 35_000)).toEqual(["", 90, 1]);
  expect(look("prompt", 35_001)).toEqual(["asks", 100, 2]);
  expect(look("script", 35_001)).toEqual(["first second later", null, 2]);
  // A clock that was set back sees less far.
  expect(look("script", 0)).toEqual(["first second", 70, 3]);
  snapshot = snapshotOf(job("new", 3));
  expect(look("script", 0)).toEqual(["new", null, 4]);
  snapshot = snapshotOf(job("far", 600), job("asks", 900, prompt));
  for (const ms of [0, 300_000, 575_000]) expect(look("script", ms)).toEqual(["", 600, 5]);
  expect(look("prompt", 575_000)).toEqual(["", 900, 5]);
  expect(look("script", 575_001)).toEqual(["far", null, 6]);
  snapshot = null;
  expect(look("script", 0)).toEqual(["", null, 6]);
});
