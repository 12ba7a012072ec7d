import { chmodSync, existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { requestDaemon } from "../../src/cli/client.ts";
import type { StatusJson } from "../../src/status/snapshot.ts";
import { isoIn, makeSupervisedHome, type SupervisedHome, scriptJob, until } from "../helpers/supervised-home.ts";

const jobId = "aaaaaaaaaaaa";

/**
 * A stand-in for the Python of a Hermes: it answers the worker's question itself and counts that in `<name>.asked`. With
 * `waitsFor` it answers once that file is there.
 */
function installHermes(home: SupervisedHome, name: string, version: string, more = "", waitsFor = ""): string {
  const python = join(home.path, name);
  const answer = JSON.stringify({ version, release: "hermes-agent", features: {}, blocked_names: ["MY_KEY"] });
  const wait = waitsFor === "" ? "" : `until [ -e '${waitsFor}' ]; do sleep 0.05; done`;
  writeFileSync(
    `${python}.new`,
    `#!/bin/sh\n[ "$2" = ask ] || exec python3 "$@"\necho asked >> '${python}.asked'\n${more}\n${wait}\necho '${answer}' > "$4"\n`,
  );
  chmodSync(`${python}.new`, 0o755);
  renameSync(`${python}.new`, python);
  return python;
}

function timesAsked(python: string): number {
  return existsSync(`${python}.asked`) ? readFileSync(`${python}.asked`, "utf8").split("\n").length - 1 : 0;
}

/** What the daemon says of a home, asked over its socket: quicker than a command. */
async function hermesOf(home: SupervisedHome, name = "default"): Promise<unknown> {
  const { body } = await requestDaemon(home.state, "GET", "/v1/status");
  return (body as StatusJson).homes.find((one) => one.name === name)?.hermes;
}

const soon = { timeout: 20_000, interval: 25 };
const hermesBecomes = (home: SupervisedHome, name = "default") => expect.poll(() => hermesOf(home, name), soon);

const text = (home: SupervisedHome, file: string): string =>
  existsSync(join(home.path, file)) ? readFileSync(join(home.path, file), "utf8") : "";

test("each home has the Hermes that its settings name, found again when it is upgraded, gone or back, and known after a restart", async () => {
  const home = makeSupervisedHome();
  const team = home.profile("team");
  const [python, other] = [installHermes(home, "python-a", "0.22.2"), installHermes(home, "python-b", "0.19.0")];
  home.hostConfig(`hermes: { python: ${python} }\n`);
  writeFileSync(join(team, "config.yaml"), `supervisor: { hermes: { python: ${other} } }\n`);
  home.file(".env", "MY_KEY=1\nOPENAI_API_KEY=2\n");
  home.script("env.sh", `echo "$MY_KEY $OPENAI_API_KEY" >> '${home.path}/seen'\n`);
  home.writeJobs([]);
  const daemon = home.start();
  await daemon.said("ready");
  await hermesBecomes(home).toEqual({ python, version: "0.22.2" });
  await hermesBecomes(home, "team").toEqual({ python: other, version: "0.19.0" });

  // Its own list of names, which is not ours, is what a script goes without.
  home.writeJobs([scriptJob(jobId, 60, "env.sh", { next_run_at: isoIn(0) })]);
  await until(() => text(home, "seen") !== "");
  expect(text(home, "seen")).toBe(" 2\n");

  installHermes(home, "python-a", "0.23.0");
  await hermesBecomes(home).toEqual({ python, version: "0.23.0" });
  renameSync(python, `${python}.away`);
  await hermesBecomes(home).toBe(null);
  await daemon.said("the Hermes in use is gone");
  expect(await hermesOf(home, "team")).toEqual({ python: other, version: "0.19.0" });
  renameSync(`${python}.away`, python);
  await hermesBecomes(home).toEqual({ python, version: "0.23.0" });
  for (const line of ["was replaced or is gone; looking for it again", "the Hermes in use is gone"])
    expect(daemon.log().split(line)).toHaveLength(2);

  daemon.kill("SIGTERM");
  await daemon.exited;
  const status: StatusJson = home.ask("status").json;
  expect(status.homes.map((one) => one.hermes?.version)).toEqual(["0.23.0", "0.19.0"]);
  const asked = timesAsked(python) + timesAsked(other);
  const next = home.start();
  await next.said("ready");
  expect(await hermesOf(home)).toEqual({ python, version: "0.23.0" });
  expect(timesAsked(python) + timesAsked(other)).toBe(asked);
});

test("a Hermes that takes long to answer keeps nothing waiting, and a search that was not over ends with the daemon", async () => {
  const home = makeSupervisedHome();
  const python = installHermes(home, "python-a", "0.22.2", "", join(home.path, "go"));
  home.script("ok.sh", `echo ran >> '${home.path}/seen'\n`);
  home.writeJobs([scriptJob(jobId, 60, "ok.sh", { next_run_at: isoIn(0) })]);
  const daemon = home.start({ HERMES_SUPERVISOR_PYTHON: python });
  await until(() => text(home, "seen") === "ran\n" && timesAsked(python) === 1);
  expect(await hermesOf(home)).toBe(null);
  daemon.kill("SIGTERM");
  expect(await daemon.exited).toEqual({ code: 0, signal: null });

  const next = home.start({ HERMES_SUPERVISOR_PYTHON: python });
  await until(() => timesAsked(python) === 2);
  home.file("go", "");
  await next.said("found Hermes");
  await hermesBecomes(home).toEqual({ python, version: "0.22.2" });
});

test("a Hermes that fails, dies or answers with noise is none, and scripts run on", async () => {
  const home = makeSupervisedHome();
  const bad = [
    ["fails", "echo 'No module named cron' >&2; exit 1", "exit code 1: No module named cron"],
    ["dies", "kill -9 $$", "killed by SIGKILL"],
    ["noise", 'head -c 4096 /dev/urandom > "$4"; exit 0', "its answer is not a JSON object"],
  ] as const;
  const faults = bad.map(([name, script, reason]) => {
    const python = installHermes(home, name, "0.22.2", script);
    const profile = home.profile(name);
    writeFileSync(join(profile, "config.yaml"), `supervisor: { hermes: { python: ${python} } }\n`);
    writeFileSync(join(profile, "scripts/ok.py"), `open("${home.path}/${name}.ran", "a").write("ran")\n`);
    home.writeJobs([scriptJob(jobId, 60, "ok.py", { next_run_at: isoIn(0) })], profile);
    return JSON.stringify(`Cannot ask Hermes "probe" with "${python}": ${reason}`);
  });
  home.writeJobs([]);
  const daemon = home.start();
  await until(() => faults.every((fault) => daemon.log().includes(fault)));
  await until(() => bad.every(([name]) => text(home, `${name}.ran`) === "ran"));
  expect(await Promise.all(bad.map(([name]) => hermesOf(home, name)))).toEqual([null, null, null]);
});
