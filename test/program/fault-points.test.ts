import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { expect, test } from "vitest";
import {
  beginBefore,
  isoIn,
  type JobRecord,
  makeSupervisedHome,
  scriptJob,
  until,
} from "../helpers/supervised-home.ts";

// The daemon is killed at one step of a run, started again, and must come to the end that docs/recovery.md names for it.
const ends = {
  // Nothing was promised, or nothing ran: the slot is served once, by a later run.
  servedLater: { runs: ["completed"], started: 1, status: "ok", slot: "run" },
  servedLaterAfterVoid: { runs: ["completed", "void"], started: 1, status: "ok", slot: "run" },
  // The job ran and its end is known, so it is recorded once.
  recorded: { runs: ["completed"], started: 1, status: "ok", slot: "run" },
} as const;

const table: Readonly<Record<string, keyof typeof ends>> = {
  "before-look": "servedLater",
  "after-look": "servedLater",
  "before-gates": "servedLater",
  "after-gates": "servedLater",
  "before-lock": "servedLater",
  "after-lock": "servedLater",
  "before-plan": "servedLater",
  "after-plan": "servedLater",
  "before-ledger-claim": "servedLater",
  "after-ledger-claim": "servedLaterAfterVoid",
  "before-store-claim": "servedLaterAfterVoid",
  "after-store-claim": "servedLaterAfterVoid",
  "before-release": "servedLaterAfterVoid",
  "after-release": "servedLaterAfterVoid",
  "before-ledger-sync": "servedLaterAfterVoid",
  "after-ledger-sync": "servedLaterAfterVoid",
  "before-open": "servedLaterAfterVoid",
  "after-open": "recorded",
  "before-running": "recorded",
  "after-running": "recorded",
  "before-result": "recorded",
  "after-result": "recorded",
  "before-document": "recorded",
  "after-document": "recorded",
  "before-ledger-close": "recorded",
  "after-ledger-close": "recorded",
  "before-settle": "recorded",
  "after-settle": "recorded",
};

test("kill -9 after-ledger-close of runs whose records are then removed or taken leaves them superseded", async () => {
  const home = makeSupervisedHome();
  home.script("count.sh", "sleep 0.2; exit 3\n");
  const due = { next_run_at: isoIn(-500) };
  const jobs = [scriptJob("aaaaaaaaaaaa", 60, "count.sh", due), scriptJob("bbbbbbbbbbbb", 60, "count.sh", due)];
  home.writeJobs(jobs);
  expect((await home.start({ HERMES_SUPERVISOR_FAULT: "after-ledger-close" }).exited).signal).toBe("SIGKILL");
  const taken = { ...home.job("aaaaaaaaaaaa"), fire_claim: { at: isoIn(0), by: "elsewhere:1:x" } };
  home.writeJobs([taken as unknown as JobRecord]);
  const daemon = home.start();
  await until(() => home.runs().every((run) => run.reason === "superseded"));
  expect(home.runs().map((run) => [run.job_id, run.state, run.exit_code])).toEqual([
    ["bbbbbbbbbbbb", "failed", 3],
    ["aaaaaaaaaaaa", "failed", 3],
  ]);
  expect(home.readJobs()).toEqual([taken]);
  daemon.kill("SIGINT");
  await daemon.exited;
  const { laws } = home.ask("verify").json as { laws: readonly { readonly violations: readonly unknown[] }[] };
  expect(laws.flatMap((law) => law.violations)).toEqual([]);
});

test.each([
  { first: "the next daemon", isReadable: true, isKnown: true },
  { first: "the next daemon, of a job first seen when it was claimed", isReadable: true, isKnown: false },
  { first: "one after a daemon that could not read the home", isReadable: false, isKnown: true },
])(
  "a power cut that takes a claim's row, and leaves the claim in jobs.json, has its slot served late and once by $first",
  async ({ isReadable, isKnown }) => {
    const home = makeSupervisedHome();
    home.script("count.sh", "echo ran >>count\n");
    home.writeJobs([scriptJob("aaaaaaaaaaaa", 60, "count.sh", { next_run_at: isoIn(3_600_000) })]);
    expect((await home.start({}, ["--once"]).exited).code).toBe(0);
    const dueAt = isoIn(-500);
    home.writeJobs([
      scriptJob("aaaaaaaaaaaa", 60, "count.sh", { next_run_at: dueAt, failure_streak: 0, last_dispatch: null }),
    ]);
    const path = join(home.state, "supervisor.db");
    const database = new DatabaseSync(path);
    database.prepare("UPDATE slot_cursor SET cursor = json_set(cursor, '$.nextAtMs', ?)").run(Date.parse(dueAt));
    if (!isKnown) database.exec("DELETE FROM slot_cursor");
    database.close();
    const before = readFileSync(path);
    expect((await home.start({ HERMES_SUPERVISOR_FAULT: "before-ledger-sync" }).exited).signal).toBe("SIGKILL");
    const claimed = home.job("aaaaaaaaaaaa");
    expect(claimed).toMatchObject({ fire_claim: { by: expect.any(String) } });
    expect(Date.parse(String(claimed["next_run_at"]))).toBeGreaterThan(Date.parse(dueAt));
    expect(home.runs().map((run) => run.state)).toEqual(["claimed"]);
    for (const end of ["-wal", "-shm"]) rmSync(path + end);
    writeFileSync(path, before);
    expect(home.runs()).toEqual([]);
    if (!isReadable) {
      const store = join(home.path, "cron/jobs.json");
      const jobs = readFileSync(store);
      writeFileSync(store, "{");
      const blind = home.start();
      await blind.said("a home cannot be served");
      blind.kill("SIGKILL");
      await blind.exited;
      writeFileSync(store, jobs);
    }
    const daemon = home.start();
    await until(() => home.runs().some((run) => run.state === "completed"));
    expect(home.slots().map((slot) => [slot.decision, Date.parse(slot.scheduled_at)])).toEqual([
      ["run", Date.parse(dueAt)],
    ]);
    daemon.kill("SIGINT");
    await daemon.exited;
    expect(home.runs().map((run) => run.state)).toEqual(["completed"]);
  },
);

test("a settled run whose record is removed while no daemon is there is not called superseded", async () => {
  const home = makeSupervisedHome();
  home.script("count.sh", "exit 3\n");
  home.writeJobs([scriptJob("aaaaaaaaaaaa", 60, "count.sh", { next_run_at: isoIn(-500) })]);
  const first = home.start();
  await until(() => home.job("aaaaaaaaaaaa")["last_status"] === "error");
  first.kill("SIGTERM");
  await first.exited;
  home.writeJobs([]);
  await home.start({}, ["--once"]).exited;
  expect(home.runs().map((run) => [run.state, run.reason])).toEqual([["failed", "exit"]]);
});

const kinds = {
  interval: (due: string) => scriptJob("aaaaaaaaaaaa", 60, "count.sh", { next_run_at: due }),
  once: (due: string) =>
    scriptJob("aaaaaaaaaaaa", 60, "count.sh", {
      schedule: { kind: "once", run_at: due, display: "once" },
      repeat: { times: 1, completed: 0 },
      next_run_at: due,
    }),
};

for (const [kind, job] of Object.entries(kinds)) {
  for (const [point, expected] of Object.entries(table)) {
    test.concurrent(`kill -9 ${point} of a run of an ${kind} job ends as ${expected}`, async ({ onTestFinished }) => {
      // The fault is to meet the run, and not the beginning of the home's history.
      const { home } = await beginBefore(5000, (dueAt) => {
        const made = makeSupervisedHome(onTestFinished);
        made.script("count.sh", `echo x >> ${made.path}/count; sleep 0.2\n`);
        made.writeJobs([job(dueAt)]);
        return { home: made };
      });
      const first = home.start({ HERMES_SUPERVISOR_FAULT: `${point}${point === "before-look" ? ":2" : ""}` });
      expect((await first.exited).signal).toBe("SIGKILL");
      home.start();
      await until(
        () => home.job("aaaaaaaaaaaa")["last_status"] !== null && home.runs().every((run) => run.ended_at !== null),
      );
      const end = ends[expected];
      const record = home.job("aaaaaaaaaaaa");
      expect(
        home
          .runs()
          .map((run) => run.state)
          .toSorted(),
      ).toEqual([...end.runs]);
      expect(readFileSync(join(home.path, "count"), "utf8").split("\n").length - 1).toBe(end.started);
      expect(record).toMatchObject({ last_status: end.status, fire_claim: null, repeat: { completed: 1 } });
      expect(record["run_claim"] ?? null).toBe(null);
      expect(record["state"]).toBe(kind === "once" ? "completed" : "scheduled");
      const slots = home.slots();
      expect(slots.map((slot) => slot.decision)).toEqual([end.slot]);
      const served = home.runs().find((run) => run.state === "completed");
      expect(slots[0]?.run_id).toBe(served?.id);
      expect(existsSync(served!.document_path!)).toBe(true);
    });
  }
}
