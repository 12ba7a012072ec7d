import { expect, test } from "vitest";
import { promptResult } from "../../src/core/prompt-outcome.ts";

const job = { id: "a1", name: "asks", prompt: "Say.", scheduleText: "every 60m" };
const unsaid = "did not say how the job went";

test.each([
  [{ exitCode: 1 }, "a line\nRuntimeError: no words\n", `ended with code 1 and ${unsaid}: RuntimeError: no words`],
  [{ exitCode: 0 }, "", `ended with code 0 and ${unsaid}`],
  [{ exitCode: 0 }, "WARNING tools.registry: a tool is unavailable\n\n", `ended with code 0 and ${unsaid}`],
  [
    { exitCode: 9 },
    "ERROR cron.scheduler: lost\nWARNING hermes_state: an old SQLite",
    `ended with code 9 and ${unsaid}: ERROR cron.scheduler: lost`,
  ],
  [{ signal: "SIGSEGV" }, "WARNING: mine", "was ended by SIGSEGV before it could say how the job went: WARNING: mine"],
] as const)(
  "promptResult() of a worker that ended as %o and printed %j takes no warning for the reason",
  (end, said, text) => {
    const whole = { exitCode: null, signal: null, signalNumber: null, cause: null, causeText: null, ...end };
    const { outcome, jobError } = promptResult(job, whole, null, said, "2026-11-21 09:00:00");
    expect({ jobError, error: outcome.error }).toEqual({
      jobError: `The Hermes worker ${text}`,
      error: `The Hermes worker ${text}`,
    });
  },
);
