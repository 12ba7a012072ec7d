import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { documentHead, scriptResult } from "../../src/core/script-outcome.ts";
import { claimedRun, completed, createCliHome, nowMs, record, slot } from "./cli-home.ts";

const jobId = "aaaa11112222";
const output = `cron/output/${jobId}`;

/** The document of a run of the job that ended with that exit code at that second. */
function document(clock: string, exitCode: number, name = "nightly"): string {
  const end = { exitCode, signal: null, signalNumber: null, cause: null, causeText: null };
  return documentHead(name, jobId, `2026-01-05 ${clock}`) + scriptResult(name, end, "said", "", clock).documentBody;
}

/** A home in which one run of the job ended well at 11:58:05, and one badly at 11:59:05, or in the same second as the first. */
function prepare(secondEnds = "11:59:05", kind: "script" | "prompt" = "script") {
  const home = createCliHome();
  onTestFinished(() => home.remove());
  const ends = ["11:58:05", secondEnds];
  home.jobs([
    record(jobId, "nightly", {
      last_run_at: `2026-01-05T${secondEnds}.500+00:00`,
      last_status: "error",
      last_error: "x",
    }),
  ]);
  home.ledger((ledger) => {
    for (const [index, clock] of ends.entries()) {
      const id = `run00000000${index}`;
      const endedAtMs = Date.parse(`2026-01-05T${clock}${index === 0 ? "" : ".500"}Z`);
      const scheduledAtMs = endedAtMs - 300;
      const fingerprint = { pid: 4242 + index, startTicks: 99, bootId: "boot", pidNamespace: null };
      ledger.claim([
        claimedRun(id, jobId, "nightly", { kind, scheduledAtMs, claimedAtMs: scheduledAtMs, fingerprint, owner: id }),
      ]);
      ledger.start(id, scheduledAtMs);
      const failure = { state: "failed", reason: "exit", exitCode: 3, error: "Script exited with code 3" } as const;
      const documentPath = join(home.root, output, `2026-01-05_${clock.replaceAll(":", "-")}.md`);
      ledger.close(id, completed({ ...(index === 1 ? failure : {}), endedAtMs, documentPath }));
      ledger.writeSlots("default", [slot(jobId, { decision: "run", reason: "on_time" }, { scheduledAtMs, runId: id })]);
    }
  });
  for (const [index, clock] of ends.entries())
    home.write(`${output}/2026-01-05_${clock.replaceAll(":", "-")}.md`, document(clock, index === 0 ? 0 : 3));
  return home;
}

async function found(home: ReturnType<typeof prepare>): Promise<readonly string[]> {
  const { out } = await home.run("verify", "--json");
  const { laws } = JSON.parse(out) as { laws: { law: string; violations: { message: string }[] }[] };
  return laws.flatMap(({ law, violations }) => violations.map(({ message }) => `${law} ${message}`));
}

const first = `${output}/2026-01-05_11-58-05.md`;
const second = `${output}/2026-01-05_11-59-05.md`;

test("verify finds nothing in documents as they were written, and none of those that share their second", async () => {
  expect(nowMs).toBe(Date.parse("2026-01-05T12:00:00Z"));
  expect(await found(prepare())).toEqual([]);
  expect(await found(prepare("11:58:05"))).toEqual([]);
  // What Hermes writes of a prompt of which the model was not asked.
  const silent = prepare(undefined, "prompt");
  silent.write(first, "");
  expect(await found(silent)).toEqual([]);
});

test("verify names the run whose document is empty, not its own, or tells of another outcome", async () => {
  const altered = [
    [first, "", 'The document of run "run000000000" is empty: look at "PATH", nothing to do if somebody edited it'],
    [
      first,
      document("11:59:05", 0),
      'The document of run "run000000000" is not the one that was written for it: look at "PATH", nothing to do if somebody edited it',
    ],
    [
      second,
      document("11:59:05", 3, "other"),
      'The document of run "run000000001" is not the one that was written for it: look at "PATH", nothing to do if somebody edited it',
    ],
    [
      second,
      document("11:59:05", 0),
      'Run "run000000001" is recorded as failed, exit, exit 3, and its document tells of a success: look at "PATH", and report it',
    ],
  ] as const;
  // Each looks again for as long as what it found might be on its way.
  const told = await Promise.all(
    altered.map(async ([path, text]) => {
      const home = prepare();
      home.write(path, text);
      return (await found(home)).map((line) => line.replace(join(home.root, path), "PATH"));
    }),
  );
  expect(told).toEqual(altered.map(([, , message]) => [`L4 ${message}`]));
});
