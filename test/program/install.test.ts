import { spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { makeSupervisedHome, type SupervisedHome } from "../helpers/supervised-home.ts";

function run(home: SupervisedHome, ...words: readonly string[]) {
  const [node = "", ...rest] = home.command(...words);
  return spawnSync(node, rest, { encoding: "utf8", env: { PATH: process.env["PATH"], HOME: home.path } });
}

test("systemd-analyze finds nothing wrong with the unit, where there is one", () => {
  const home = makeSupervisedHome();
  for (const scope of ["--user", "--system"]) {
    const printed = run(home, "install", "systemd", scope, "--print");
    expect(printed.status).toBe(0);
    const lines = printed.stderr.split("\n").filter((line) => line.startsWith("systemd-analyze"));
    const hasAnalyze = spawnSync("systemd-analyze", ["--version"]).error === undefined;
    expect(lines).toEqual(hasAnalyze ? ["systemd-analyze verify finds nothing wrong with the unit"] : []);
  }
});

test("Python's plistlib reads the property list", () => {
  const home = makeSupervisedHome();
  const printed = run(home, "install", "launchd", "--print");
  const read = "import json, plistlib, sys; print(json.dumps(plistlib.loads(sys.stdin.buffer.read())))";
  const { stdout } = spawnSync("python3", ["-c", read], { input: printed.stdout, encoding: "utf8" });
  expect(JSON.parse(stdout)).toMatchObject({
    Label: "hermes-supervisor",
    ProgramArguments: [...home.command().slice(0, 2), "--home", home.path, "--state", home.state, "start"],
    RunAtLoad: true,
    KeepAlive: true,
    AbandonProcessGroup: true,
  });
});

test("the run script of s6 starts the daemon, and its finish script gives up where a person has to look", () => {
  const home = makeSupervisedHome();
  mkdirSync(join(home.path, "service"));
  expect(run(home, "install", "s6", "--user").status).toBe(0);
  const folder = join(home.path, "service/hermes-supervisor");
  home.hostConfig("limits: {max_open_runs: none}\n");
  const started = spawnSync(join(folder, "run"), { encoding: "utf8", stdio: ["ignore", "pipe", "pipe", "ignore"] });
  expect([started.status, started.stderr]).toEqual([3, ""]);
  expect(started.stdout).toContain("max_open_runs");
  expect(spawnSync(join(folder, "finish"), ["3", "0"]).status).toBe(125);
  expect(spawnSync(join(folder, "finish"), ["0", "0"]).status).toBe(0);
  writeFileSync(join(folder, "run"), "#!/bin/sh\n");
  expect(run(home, "uninstall", "s6", "--user").status).toBe(1);
});
