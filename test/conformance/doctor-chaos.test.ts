import { spawnSync } from "node:child_process";
import { mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { makeSupervisedHome, scriptJob } from "../helpers/supervised-home.ts";

test("doctor --chaos shows on a copy that kills lose nothing, and leaves the home and the temporary folder as they were", () => {
  const home = makeSupervisedHome();
  home.script("mine.sh", 'touch "$HERMES_HOME/ran"\n');
  home.writeJobs([scriptJob("aaaaaaaaaaaa", "* * * * * *", "mine.sh", { name: "mine" })]);
  const temporary = join(home.path, "..", "tmp");
  mkdirSync(temporary);
  const before = readdirSync(home.path, { recursive: true });
  const [node = "", ...words] = home.command("doctor", "--chaos", "--kills", "4", "--json");
  const { stdout, status } = spawnSync(node, words, {
    encoding: "utf8",
    env: { PATH: process.env["PATH"], HOME: home.path, TMPDIR: temporary },
  });
  const { ok, kills, jobs, findings, laws, runs } = JSON.parse(stdout);
  const checked = laws.map((law: { readonly law: string; readonly violations: readonly object[] }) => [
    law.law,
    law.violations,
  ]);
  expect([status, ok, kills, jobs, findings]).toEqual([0, true, 4, 8, []]);
  expect(checked).toEqual(["L1", "L2", "L3", "L4", "L5", "L6", "L7", "L8"].map((law) => [law, []]));
  expect(runs).toBeGreaterThan(0);
  expect(readdirSync(temporary).filter((name) => name.startsWith("hermes"))).toEqual([]);
  expect(readdirSync(home.path, { recursive: true })).toEqual(before);
});
