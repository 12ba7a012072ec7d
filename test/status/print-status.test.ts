import { expect, test } from "vitest";
import { allAtOnce } from "../../src/core/work.ts";
import { runsJson } from "../../src/status/json.ts";
import { printStatus } from "../../src/status/print-status.ts";
import type { StatusJson } from "../../src/status/snapshot.ts";
import { sampleRun } from "../helpers/sample-run.ts";

const rest = {
  daemon: { running: true, pid: 1, version: "1", started_at: null, ready: true },
  config: { path: "/ünd" },
  homes: [{ name: "漢字" }],
};
const more = {
  waiting: Array.from({ length: 3000 }, (_, index) => ({ job_id: index })),
  alerts: [{ message: 'a "b"' }],
  retention: { state: "idle" },
};

test("printStatus() prints what JSON.stringify prints of it, also when its runs are the same list and other things are not", () => {
  const none = runsJson([]);
  const run = sampleRun("r1", "default", "a");
  const first = runsJson([run, sampleRun("r2", "default", "ü")]);
  const later = runsJson([{ ...run, state: "running", startedAtMs: 1002 }]);
  for (const open_runs of [none, first, first, later, first]) {
    for (const retention of [{ state: "idle" }, { state: "running" }]) {
      const status = { ...rest, open_runs, ...more, retention } as unknown as StatusJson;
      expect(Buffer.concat(allAtOnce(printStatus(status))).toString("utf8")).toBe(`${JSON.stringify(status)}\n`);
    }
  }
});
