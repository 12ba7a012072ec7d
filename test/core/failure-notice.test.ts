import { expect, test } from "vitest";
import { failureNotice } from "../../src/core/failure-notice.ts";

// What `_summarize_cron_failure_for_delivery` of 0.20 answers for a job without a model.
const table: readonly [string, string][] = [
  ["", "⚠️ Cron 'nightly' failed: unknown error"],
  [
    "Script timed out after 5s: /x.sh",
    "⚠️ Cron 'nightly' failed: script timed out. No model was invoked. Full details saved in cron output.",
  ],
  ["RuntimeError: no\n  space\tleft ", "⚠️ Cron 'nightly' failed: no space left"],
  ["429 rate limit", "⚠️ Cron 'nightly' failed: 429 rate limit"],
  ["x".repeat(181), `⚠️ Cron 'nightly' failed: ${"x".repeat(177)}...`],
  ["x".repeat(180), `⚠️ Cron 'nightly' failed: ${"x".repeat(180)}`],
];

test("failureNotice() puts a failure into one line", () => {
  for (const [error, expected] of table) expect(failureNotice("nightly", error)).toBe(expected);
});
