import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { groupFolderNamed, groupsNameOf } from "../../src/system/cgroup.ts";
import { makeSupervisedHome, scriptJob, until } from "../helpers/supervised-home.ts";

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

/** Processes that were started for the copies in this folder. */
function startedFor(folder: string): readonly number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/u.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/environ`, "latin1").includes(`HOME=${folder}/hermes-chaos-`);
      } catch {
        return false;
      }
    });
}

test.for(["SIGINT", "SIGTERM", "SIGHUP", "SIGKILL"] as const)(
  "doctor --chaos that ends by %s leaves no process and no file",
  async (signal) => {
    const home = makeSupervisedHome();
    home.writeJobs([]);
    const temporary = join(home.path, "..", "tmp");
    mkdirSync(temporary);
    const [node = "", ...words] = home.command("doctor", "--chaos");
    const chaos = spawn(node, words, {
      stdio: "ignore",
      env: { PATH: process.env["PATH"], HOME: home.path, TMPDIR: temporary },
    });
    const copies = (): readonly string[] => readdirSync(temporary).filter((name) => name.startsWith("hermes-chaos-"));
    const runs = (): readonly string[] =>
      copies().flatMap((copy) => {
        const folder = join(temporary, copy, "home/journal");
        return existsSync(folder) ? readdirSync(folder) : [];
      });
    await until(() => runs().length > 0, 30_000);
    expect(startedFor(temporary).length).toBeGreaterThan(0);
    const [copy = ""] = copies();
    const group = groupFolderNamed(groupsNameOf(join(temporary, copy, "state")));
    chaos.kill(signal);
    await until(() => copies().length === 0 && startedFor(temporary).length === 0, 20_000);
    await until(() => group === null || !existsSync(group));
  },
);
