import { expect, test } from "vitest";
import { nextCountFault } from "../../src/status/next.ts";
import { sampleJob, utc } from "../helpers/sample-job.ts";

const homes = ["default", "work"].map((name) => ({
  name,
  zone: utc,
  jobs: Array.from({ length: 1500 }, (_, place) => sampleJob({ id: `a${place}` })),
}));

test.each([
  [1, null, null, null],
  [2, null, null, "count is 2 for each of 3000 jobs, expected at most 2000 in all"],
  [2, "work", null, "count is 2 for each of 1500 jobs, expected at most 2000 in all"],
  [1000, null, "a7", null],
  [1001, null, "a7", "count is 1001 for each of 2 jobs, expected at most 2000 in all"],
  [1000, "work", "a7", null],
])("nextCountFault() says how many occurrences are too many: %s, %s, %s", (count, home, jobId, fault) => {
  expect(nextCountFault(homes, { home, jobId }, count)).toBe(fault);
});
