import { expect, test } from "vitest";
import { retentionText } from "../../src/cli/commands/status.ts";
import type { RetentionJson } from "../../src/status/snapshot.ts";

const nowMs = Date.UTC(2026, 0, 5, 12);

function text(changes: Partial<RetentionJson>, columns: number | null = 80, agoMs = 5000): string {
  const since = new Date(nowMs - agoMs).toISOString();
  return retentionText({ columns }, { state: "running", step: "age", done: 45, total: 100, since, ...changes }, nowMs);
}

test("status shows how far retention is while that takes long", () => {
  expect([
    text({}),
    text({ step: "count" }, null),
    text({ step: "output", done: 0 }),
    text({ step: "ledger", done: 100 }, 40),
    text({ step: "vacuum", done: 64, total: 128 }),
  ]).toEqual([
    "Retention deletes what is too old ██████████░░░░░░░░░░░░░░ 45%\n",
    "Retention deletes the runs that are too many ██████████░░░░░░░░░░░░░░ 45%\n",
    "Retention looks for output that is too much ░░░░░░░░░░░░░░░░░░░░░░░░ 0%\n",
    "Retention makes the ledger smaller 100%\n",
    "Retention gives free room of the ledger back ████████████░░░░░░░░░░░░ 50%\n",
  ]);
});

test("status says nothing of retention that is idle, new, or has nothing to do", () => {
  const idle = { state: "idle", step: null, done: null, total: null, since: null } as const;
  expect([
    text(idle),
    text({}, 80, 500),
    text({ done: 0, total: null }),
    retentionText({ columns: 80 }, undefined, 0),
  ]).toEqual(["", "", "", ""]);
});
