import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { expect, test } from "vitest";
import { isoIn, makeSupervisedHome, scriptJob, until } from "../helpers/supervised-home.ts";

const everySecond = "* * * * * *";

function outputBytes(state: string): number {
  return readdirSync(join(state, "runs"))
    .flatMap((runId) => ["output.log", "errors.log"].map((name) => join(state, "runs", runId, name)))
    .map((path) => statSync(path, { throwIfNoEntry: false })?.size ?? 0)
    .reduce((sum, bytes) => sum + bytes, 0);
}

test("runs beyond their number go with their folders, output beyond its bytes goes, and the laws hold", async () => {
  const home = makeSupervisedHome();
  home.script("much.sh", "head -c 300000 /dev/zero | tr '\\0' x >&2\n");
  home.script("asleep.sh", "sleep 600\n");
  home.file("config.yaml", "cron: {max_parallel_jobs: 8, output_retention: 100}\n");
  home.writeJobs([
    scriptJob("aaaaaaaaaaaa", everySecond, "much.sh"),
    scriptJob("bbbbbbbbbbbb", 60, "asleep.sh", { next_run_at: isoIn(-500) }),
  ]);
  home.hostConfig("retention: {runs_max: 4, bytes_max: 1 MiB}\n");
  const first = home.start();
  await until(() => home.runs().filter((run) => run.state === "completed").length >= 6);
  first.kill("SIGTERM");
  await first.exited;
  home.writeJobs([]);
  const ended = () => home.runs().filter((run) => run.ended_at !== null);
  const newest = ended()
    .slice(0, 4)
    .map(({ id }) => id);
  const second = home.start();
  await until(() => ended().length === 4 && ended().filter((run) => run.output_path !== null).length <= 3);
  expect(outputBytes(home.state)).toBeLessThanOrEqual(1024 ** 2);
  expect(ended().map(({ id }) => id)).toEqual(newest);
  // The run that is open has its folder, whatever there is too much of.
  const [open] = home.runs().filter((run) => run.ended_at === null);
  expect(readdirSync(join(home.state, "runs")).sort()).toEqual([...newest, open!.id].sort());
  const withOutput = ended().filter((run) => run.output_path !== null);
  expect(withOutput.map(({ id }) => id)).toEqual(newest.slice(0, 3));
  expect(withOutput.every((run) => existsSync(run.output_path!))).toBe(true);
  const gone = home.ask("logs", newest[3]!);
  expect([gone.status, gone.json["error"]["message"]]).toEqual([
    1,
    `Cannot read the output of run "${newest[3]}": it is not kept any more, its document may be: ${ended()[3]!.document_path}`,
  ]);
  expect(existsSync(ended()[3]!.document_path!)).toBe(true);
  const verified = home.ask("verify");
  expect([verified.status, verified.json["ok"]]).toEqual([0, true]);
  home.ask("stop", open!.id);
  second.kill("SIGTERM");
  await second.exited;
});

test("a ledger that is too large loses its oldest history, and gives the room back, and status says how far that is", async () => {
  const home = makeSupervisedHome();
  home.writeJobs([]);
  const first = home.start();
  await first.said('"msg":"ready"');
  first.kill("SIGTERM");
  await first.exited;
  const path = join(home.state, "supervisor.db");
  const database = new DatabaseSync(path);
  const reason = "x".repeat(400);
  const insert = database.prepare("INSERT INTO slot VALUES ('gone', ?, ?, 'skip', ?, NULL, ?, NULL, NULL)");
  database.exec("BEGIN");
  const firstUs = Date.UTC(2025, 0, 1) * 1000;
  for (let index = 0; index < 60_000; index++) {
    const atUs = firstUs + index * 1e6;
    insert.run("j", atUs, reason, atUs);
  }
  database.exec("COMMIT");
  database.close();
  const before = statSync(path).size;
  expect(before).toBeGreaterThan(8 * 1024 ** 2);
  home.hostConfig("retention: {ledger_max: 4 MiB, age_max: 3650 d}\n");
  const second = home.start();
  await second.said('"msg":"ready"');
  // The pauses between its pieces alone make it take some seconds.
  const [command = "", ...words] = home.command("status");
  const printed = (): string => spawnSync(command, words, { encoding: "utf8" }).stdout;
  await until(() => /^Retention (makes the ledger smaller|gives free room)/mu.test(printed()));
  expect(home.ask("status").json["retention"]).toMatchObject({ state: "running" });
  await until(() => {
    const look = new DatabaseSync(path, { readOnly: true });
    const pages = Object.values(look.prepare("PRAGMA page_count").get() ?? {})[0];
    const free = Object.values(look.prepare("PRAGMA freelist_count").get() ?? {})[0];
    look.close();
    return Number(pages) * 4096 <= 4.7 * 1024 ** 2 && Number(free) <= 128;
  }, 60_000);
  await until(() => home.ask("status").json["retention"]["state"] === "idle");
  const oldest = home.slots().at(-1)!;
  expect(Date.parse(oldest.scheduled_at)).toBeGreaterThan(firstUs / 1000);
  second.kill("SIGTERM");
  await second.exited;
  const note = new DatabaseSync(path, { readOnly: true });
  const from = note.prepare("SELECT value FROM note WHERE key = 'history_from_ms'").get();
  note.close();
  // What is left is whole from there on.
  expect(Number(from?.["value"])).toBeLessThanOrEqual(Date.parse(oldest.scheduled_at));
  expect(readFileSync(path).subarray(0, 15).toString()).toBe("SQLite format 3");
});
