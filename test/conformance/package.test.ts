import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, onTestFinished, test } from "vitest";
import { scriptJob, until } from "../helpers/supervised-home.ts";

const repository = fileURLToPath(new URL("../..", import.meta.url));

/** The commands of the README's section on installing, in their order. */
function readmeCommands(): readonly string[] {
  const section = /^## Install\n(.*?)^## /msu.exec(readFileSync(join(repository, "README.md"), "utf8"))?.[1] ?? "";
  return [...section.matchAll(/^```sh\n(.*?)^```/gmsu)].flatMap(([, block = ""]) => block.trim().split("\n"));
}

test("the README's way from a checkout to the first run works word by word", async () => {
  const folder = mkdtempSync(join(tmpdir(), "package-"));
  const children: ChildProcess[] = [];
  onTestFinished(async () => {
    for (const child of children.filter((each) => each.exitCode === null)) {
      const exited = new Promise<void>((resolve) => child.once("exit", () => resolve()));
      child.kill("SIGKILL");
      await exited;
    }
    rmSync(folder, { recursive: true });
  });
  const checkout = join(folder, "checkout");
  const home = join(folder, "home");
  for (const name of [
    "src",
    "worker",
    "config",
    "docs",
    "package.json",
    "tsconfig.json",
    "tsconfig.build.json",
    "README.md",
  ]) {
    cpSync(join(repository, name), join(checkout, name), { recursive: true });
  }
  for (const name of ["CHANGELOG.md", "LICENSE", ".npmrc"]) cpSync(join(repository, name), join(checkout, name));
  symlinkSync(join(repository, "node_modules"), join(checkout, "node_modules"));
  mkdirSync(join(home, ".hermes/cron"), { recursive: true });
  mkdirSync(join(home, ".hermes/scripts"));
  writeFileSync(
    join(home, ".hermes/scripts/backup.sh"),
    'echo saved; while [ ! -e "$HERMES_HOME/go" ]; do sleep 0.05; done\n',
  );
  const jobs = [scriptJob("aaaaaaaaaaaa", "0 0 1 1 *", "backup.sh", { name: "backup" })];
  writeFileSync(join(home, ".hermes/cron/jobs.json"), JSON.stringify({ jobs }), { mode: 0o600 });
  const prefix = join(folder, "prefix");
  const { HERMES_HOME: _home, HERMES_SUPERVISOR_STATE: _state, ...variables } = process.env;
  const env = {
    // The registry, its cache and the way to it are those of whoever runs the tests.
    ...variables,
    npm_config_userconfig: process.env["npm_config_userconfig"] ?? join(homedir(), ".npmrc"),
    npm_config_cache: process.env["npm_config_cache"] ?? join(homedir(), ".npm"),
    PATH: `${join(prefix, "bin")}:${dirname(process.execPath)}:${process.env["PATH"] ?? ""}`,
    HOME: home,
    npm_config_prefix: prefix,
    NODE_COMPILE_CACHE: join(folder, "compiled"),
  };
  const [installDependencies, ...commands] = readmeCommands();
  // The dependencies of the checkout are those that this test runs with.
  expect(installDependencies).toBe("npm ci");
  const told = new Map<string, string>();
  for (const command of commands) {
    if (command === "hermes-supervisor start") {
      const daemon = spawn("sh", ["-c", `exec ${command}`], { cwd: folder, env, stdio: ["ignore", "ignore", "pipe"] });
      children.push(daemon);
      let log = "";
      daemon.stderr.setEncoding("utf8").on("data", (part: string) => {
        log += part;
      });
      await until(() => log.includes('"msg":"ready"') || (daemon.exitCode !== null && expect.fail(log)), 60_000);
      continue;
    }
    const cwd = command.startsWith("npm ") ? checkout : folder;
    const { status, stdout, stderr } = spawnSync("sh", ["-c", command], { cwd, env, encoding: "utf8" });
    expect(`${command} ends with ${status}: ${status === 0 ? "" : stdout + stderr}`).toBe(`${command} ends with 0: `);
    told.set(command, stdout);
  }
  expect(told.get("hermes-supervisor install systemd --print")).toMatch(
    new RegExp(
      `^ExecStart=\\S+/node ${prefix}/lib/node_modules/hermes-supervisor/dist/src/cli/main.js --home ${home}/.hermes start$`,
      "m",
    ),
  );
  expect(told.get("hermes-supervisor doctor")).toContain("exclude Python's, and Python's exclude ours");
  const run = told.get("hermes-supervisor run backup --detach")?.trim() ?? "";
  expect(told.get("hermes-supervisor status")).toMatch(new RegExp(`^${run} +backup +running`, "m"));
  writeFileSync(join(home, ".hermes/go"), "");
  const [daemon] = children;
  daemon?.kill("SIGINT");
  await until(() => daemon?.exitCode !== null);
  expect(daemon?.exitCode).toBe(0);
});
