import { expect, test } from "vitest";
import { parseEnvFile } from "../../src/homes/env-file.ts";
import { changedVariables, snapshotEnvironment } from "../../src/homes/environment.ts";

const daemon = {
  PATH: "/bin",
  HOME: "/home/u",
  LC_ALL: "C.UTF-8",
  XDG_RUNTIME_DIR: "/run/user/1",
  https_proxy: "http://proxy",
  HERMES_HOME: "/elsewhere",
  HERMES_TIMEZONE: "Europe/Berlin",
  HERMES_CRON_TIMEOUT: "5",
  HERMES_INTERACTIVE: "1",
  HERMES_KANBAN_TASK: "t",
  HERMES_SUPERVISOR_STATE: "/s",
  OPENAI_API_KEY: "daemon's",
  MY_APP_MODE: "x",
  AWS_PROFILE: "p",
  UNSET: undefined,
};

function snapshot(env: string | null, pass: readonly string[] = [], key = "key") {
  return snapshotEnvironment(daemon, pass, env === null ? null : parseEnvFile(env, "/h/.env"), "/h", key);
}

const allowed = {
  HERMES_CRON_TIMEOUT: "5",
  HERMES_HOME: "/h",
  HERMES_TIMEZONE: "Europe/Berlin",
  HOME: "/home/u",
  LC_ALL: "C.UTF-8",
  PATH: "/bin",
  XDG_RUNTIME_DIR: "/run/user/1",
  https_proxy: "http://proxy",
};

test("snapshotEnvironment() takes only what is allowed from the daemon, and the home's own folder", () => {
  expect(snapshot(null).variables).toEqual(allowed);
});

test("snapshotEnvironment() takes what environment.pass names, whole or by its beginning", () => {
  const taken = snapshot(null, ["AWS_PROFILE", "MY_*", "HERMES_*"]);
  expect(taken.variables).toEqual({ ...allowed, AWS_PROFILE: "p", MY_APP_MODE: "x" });
  expect(taken.sources).toMatchObject({ AWS_PROFILE: "environment.pass", PATH: "daemon", HERMES_HOME: "supervisor" });
});

test("snapshotEnvironment() puts the home's .env over the daemon's variables", () => {
  const taken = snapshot(`OPENAI_API_KEY=home's\nPATH=/x:\${PATH}:\${OPENAI_API_KEY}:\${MY_APP_MODE}\n`);
  expect(taken.variables).toEqual({ ...allowed, OPENAI_API_KEY: "home's", PATH: "/x:/bin:home's:" });
  expect(taken.sources).toMatchObject({ OPENAI_API_KEY: ".env", PATH: ".env" });
});

test("snapshotEnvironment() keeps to its home whatever .env says, and says so", () => {
  const taken = snapshot(
    "HERMES_HOME=/other\nHERMES_INTERACTIVE=1\nHERMES_KANBAN_X=1\n'a=b'=1\nMY_TOKEN=secr€t\n?\n=\n",
  );
  expect(taken.variables).toEqual({ ...allowed, MY_TOKEN: "secrt" });
  expect(taken.warnings).toEqual([
    ".env line 7 is not understood and skipped, expected NAME=value",
    ".env sets HERMES_HOME to another folder; runs get the home they belong to",
    ".env sets HERMES_INTERACTIVE, which runs never get",
    ".env sets HERMES_KANBAN_X, which runs never get",
    '.env sets a name with "=" in it, which no process can be given',
    "MY_TOKEN holds characters that are not ASCII; they are left out, as Hermes does",
  ]);
});

test("snapshotEnvironment() hashes values so that a change shows and a value does not", () => {
  const before = snapshot("A=1\nB=1\nC=1\n").hashes;
  const after = snapshot("A=1\nB=2\nD=1\n").hashes;
  expect(changedVariables(before, after)).toEqual(["B", "C", "D"]);
  expect(before["A"]).not.toBe(before["B"]);
  expect(snapshot("A=1\n", [], "another key").hashes["A"]).not.toBe(before["A"]);
  expect(JSON.stringify([snapshot("A=very-secret\n").hashes, snapshot("A=very-secret\n").sources])).not.toContain(
    "very-secret",
  );
});

test("snapshotEnvironment() only reads what it is given", () => {
  const frozen = Object.freeze({ ...daemon });
  snapshotEnvironment(frozen, [], parseEnvFile("PATH=/x\nNEW=1\n", "/h/.env"), "/h", "key");
  expect(frozen).toEqual(daemon);
});
