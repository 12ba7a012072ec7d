import { expect, test } from "vitest";
import { readAnswer, writeJobFile } from "../../src/output/prompt-files.ts";
import { runFolder } from "../../src/output/run-folder.ts";
import { createFakeFiles } from "../helpers/fake-files.ts";

const at = "2026-06-15T10:05:00+00:00";
const expr = "0 9 * * *";
const answer = { version: 1, success: false, document: "", error: "lost", status: "error", deliver: null };
const nothing = { retry: null, holdUntil: null, holdExpression: null, expression: expr };

function read(fields: unknown, more: object = {}): unknown {
  const system = { files: createFakeFiles() };
  const folder = runFolder("/state", "run");
  system.files.makeFolder(folder.path, 0o700, true);
  writeJobFile(system, folder, JSON.stringify({ id: "a", schedule: { kind: "cron", expr } }), null);
  system.files.create(folder.answer, JSON.stringify({ ...answer, fields, ...more }), 0o600);
  return readAnswer(system, folder);
}

test("readAnswer() reads when Hermes would have a job run again that did not reach its model", () => {
  const retry = { attempt: 2, at, expr };
  expect(read({ unreachable_retry: retry, next_run_at: at })).toMatchObject({
    postponed: { ...nothing, nextRunAt: at, retry },
  });
  expect(read({ quota_hold_until: at, quota_hold_cron_expr: expr, next_run_at: at })).toMatchObject({
    postponed: { ...nothing, nextRunAt: at, holdUntil: at, holdExpression: expr },
  });
  for (const fields of [{}, null, "none", { unreachable_retry: null }, { next_run_at: 5 }])
    expect(read(fields)).toMatchObject({ postponed: null });
});

test("readAnswer() takes a run for counted unless its worker says that it is not", () => {
  expect(read({}, { counted: false })).toMatchObject({ isCounted: false });
  expect(read({}, { counted: true })).toMatchObject({ isCounted: true });
  expect(read({})).toMatchObject({ isCounted: true });
});
