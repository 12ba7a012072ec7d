import { afterEach, expect, test } from "vitest";
import { type CliHome, claimedRun, completed, createCliHome, nowMs, record } from "./cli-home.ts";

const opened: CliHome[] = [];

afterEach(() => {
  for (const home of opened.splice(0)) home.remove();
});

function createHome(): CliHome {
  const home = createCliHome();
  opened.push(home);
  home.jobs([record("aaaaaaaaaaaa", "backup"), record("bbbbbbbbbbbb", "report")]);
  return home;
}

function idsOf(out: string): readonly string[] {
  return out
    .split("\n")
    .slice(0, -1)
    .map((line) => (JSON.parse(line) as { readonly id: string }).id);
}

test("runs export prints every run once, the oldest claim first, with the fields of runs --json", async () => {
  const home = createHome();
  const ids = Array.from({ length: 450 }, (_, index) => `run-${index}`);
  home.ledger((ledger) =>
    ledger.claim(
      ids.map((id, index) =>
        // The clock was set back in between: the order is that of the claims all the same.
        claimedRun(id, "aaaaaaaaaaaa", "backup\u009b31m", { claimedAtMs: nowMs - (index % 7), owner: id }),
      ),
    ),
  );
  const { exitCode, out } = await home.run("runs", "export");
  expect([exitCode, idsOf(out)]).toEqual([0, ids]);
  expect(out).not.toContain("\u009b");
  const { runs } = JSON.parse((await home.run("runs", "--json", "--limit", "0")).out);
  const byId = new Map(runs.map((run: { readonly id: string }) => [run.id, run]));
  expect(JSON.parse(out.split("\n")[0]!)).toEqual(byId.get("run-0"));
});

test("runs export takes a job, a state and a time, and its page may hold none of them", async () => {
  const home = createHome();
  home.ledger((ledger) => {
    const many = Array.from({ length: 300 }, (_, index) => `b-${index}`);
    ledger.claim(many.map((id) => claimedRun(id, "bbbbbbbbbbbb", "report", { owner: id })));
    ledger.claim([
      claimedRun("old", "aaaaaaaaaaaa", "backup", { claimedAtMs: nowMs - 7_200_000, owner: "old" }),
      claimedRun("new", "aaaaaaaaaaaa", "backup", { owner: "new" }),
    ]);
    ledger.start("old", nowMs - 7_000_000);
    ledger.close("old", completed());
  });
  expect(idsOf((await home.run("runs", "export", "backup")).out)).toEqual(["old", "new"]);
  expect(idsOf((await home.run("runs", "export", "--state", "completed", "--format", "jsonl")).out)).toEqual(["old"]);
  expect(idsOf((await home.run("runs", "export", "backup", "--since", "1h")).out)).toEqual(["new"]);
  expect((await home.run("runs", "export", "--state", "void")).out).toBe("");
});

test("runs export refuses what it cannot do", async () => {
  const home = createHome();
  const format = await home.run("runs", "export", "--format", "csv");
  expect([format.exitCode, format.error]).toEqual([2, 'Cannot export runs as "csv": expected jsonl\n']);
  expect((await home.run("runs", "export", "nobody")).exitCode).toBe(4);
});
