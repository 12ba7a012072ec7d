import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { expect, onTestFinished, test } from "vitest";
import type { DaemonParts } from "../../src/daemon/daemon-parts.ts";
import { createRetention } from "../../src/daemon/retention.ts";
import { createRunLedger } from "../../src/ledger/run-ledger.ts";
import { createFiles } from "../../src/system/real-files.ts";
import { createFakeClock } from "../helpers/fake-clock.ts";

const dayMs = 86_400_000;
const nowMs = Date.UTC(2026, 0, 11);
const idle = { state: "idle", step: null, done: null, total: null, sinceMs: null };

test("createRetention() says how far it is: nothing before it looks, each step in its own measure, and nothing afterwards", () => {
  const folder = mkdtempSync(join(tmpdir(), "retention-"));
  const path = join(folder, "supervisor.db");
  const files = createFiles();
  const ledger = createRunLedger({ files }, path);
  onTestFinished(() => {
    ledger.dispose();
    rmSync(folder, { recursive: true });
  });
  // One slot a minute for ten days, of which one is kept.
  const database = new DatabaseSync(path);
  const insert = database.prepare("INSERT INTO slot VALUES ('gone', 'j', ?, 'skip', 'overlap', NULL, ?, NULL, NULL)");
  database.exec("BEGIN");
  for (let atMs = nowMs - 10 * dayMs; atMs < nowMs; atMs += 60_000) insert.run(atMs * 1000, atMs * 1000);
  database.exec("COMMIT");
  database.close();
  const clock = createFakeClock(nowMs);
  const parts = {
    system: { clock, files },
    ledger,
    stateFolder: folder,
    settings: {
      retention: { ageMaxMs: dayMs, runsMax: 10, bytesMax: 1 << 20, ledgerBytesMax: 1 << 30 },
    },
    unopened: [],
  } as unknown as DaemonParts;
  const retention = createRetention(parts, () => Number.POSITIVE_INFINITY);
  expect(retention.progress()).toEqual(idle);
  retention.look();
  expect(retention.progress()).toEqual({ ...idle, state: "running", sinceMs: nowMs });
  const seen = [];
  while (clock.fireNext()) seen.push(retention.progress());
  const ofAge = seen.filter(({ step }) => step === "age");
  expect(ofAge.length).toBeGreaterThan(20);
  const [total] = ofAge.map((each) => each.total);
  // The history is measured from a few hundred rows behind its oldest one.
  expect(total).toBeGreaterThan(8 * dayMs);
  expect(ofAge.map((each) => each.done)).toEqual(ofAge.map((each) => each.done).toSorted((a, b) => a! - b!));
  expect(ofAge.at(-1)).toEqual({ state: "running", step: "age", done: total, total, sinceMs: nowMs });
  const vacuumed = seen.filter(({ step }) => step === "vacuum");
  const [first, last] = [vacuumed[0], vacuumed.at(-1)];
  expect([first?.done, last?.done, (first?.total ?? 0) > 32]).toEqual([32, first?.total, true]);
  expect(seen.filter(({ step }) => step !== "age").map(({ step, done, total: of }) => [step, done, of])).toEqual([
    ["count", 0, null],
    ["output", 0, null],
    ["ledger", 0, null],
    ...vacuumed.map(({ step, done, total: of }) => [step, done, of]),
    [null, null, null],
  ]);
  expect(retention.progress()).toEqual(idle);
});
