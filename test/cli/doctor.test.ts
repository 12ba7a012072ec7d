import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, onTestFinished, test } from "vitest";
import type { Finding } from "../../src/cli/doctor/finding.ts";
import { createLocks } from "../../src/system/flock.ts";
import type { Host } from "../../src/system/host.ts";
import { type CliHome, createCliHome, nowMs, record } from "./cli-home.ts";

const opened: CliHome[] = [];
const me = { uid: process.getuid?.() ?? 0, name: "me" };

afterEach(() => {
  for (const home of opened.splice(0)) home.remove();
});

/** A home in which nothing is wrong, but that no daemon runs. */
function createHome(machine: Partial<Host> = {}, variables: Readonly<Record<string, string>> = {}): CliHome {
  const home = createCliHome({ PATH: "/nowhere", ...variables }, { user: me, ...machine });
  opened.push(home);
  home.jobs([record("aaaaaaaaaaaa", "backup")]);
  for (const [path, mode] of [
    ["cron", 0o700],
    ["cron/jobs.json", 0o600],
  ] as const) {
    chmodSync(join(home.root, path), mode);
  }
  return home;
}

async function findings(home: CliHome): Promise<{ readonly exitCode: number; readonly found: readonly Finding[] }> {
  const { exitCode, out } = await home.run("doctor", "--json");
  const { ok, findings: found } = JSON.parse(out.replaceAll(home.root, "<root>")) as {
    readonly ok: boolean;
    readonly findings: readonly Finding[];
  };
  expect(ok).toBe(exitCode === 0);
  return { exitCode, found };
}

async function problems(home: CliHome, check: string): Promise<readonly Omit<Finding, "check">[]> {
  const { found } = await findings(home);
  return found
    .filter((finding) => finding.check === check && finding.level !== "ok")
    .map(({ level, home: name, message, remedy }) => ({ level, home: name, message, remedy }));
}

test("doctor looks at everything, and a machine that only lacks daemon and Hermes has no fault", async () => {
  const { exitCode, found } = await findings(createHome());
  expect(exitCode).toBe(0);
  const checks =
    "version daemon config home hermes modes lock file_system disk clock zone control_groups reaper tickers";
  expect([...new Set(found.map(({ check }) => check))]).toEqual([...checks.split(" "), "service"]);
  expect(found.filter(({ level }) => level !== "ok").map(({ check, level }) => `${check} ${level}`)).toEqual(
    ["daemon warning", "hermes warning"].concat(
      found.some((each) => each.check === "service" && each.level !== "ok") ? ["service warning"] : [],
    ),
  );
  // Whatever is not right comes with a way to mend it.
  expect(found.every(({ level, remedy }) => (level === "ok") === (remedy === null))).toBe(true);
});

test("doctor prints a mark, a sentence and the command that mends it, and sums up", async () => {
  const home = createHome();
  const { out, exitCode } = await home.run("doctor");
  expect(exitCode).toBe(0);
  expect(out).toContain(
    "✓ hermes-supervisor 9.9.9 on Node 24.0.0\n! No daemon runs, so no job will\n    hermes-supervisor start\n",
  );
  expect(out).toMatch(/\n\n\d warnings: jobs run all the same\n$/u);
  chmodSync(join(home.root, "cron"), 0o777);
  const told = await home.run("doctor");
  expect(told.exitCode).toBe(1);
  expect(told.out).toContain(`    chmod 700 ${home.root}/cron\n`);
  expect(told.out).toMatch(/\n1 fault, \d warnings\n$/u);
});

test("doctor tells who may write or read what should be private", async () => {
  const home = createHome();
  home.write(".env", "KEY=1\n");
  chmodSync(join(home.root, ".env"), 0o644);
  mkdirSync(join(home.root, "scripts"));
  chmodSync(join(home.root, "scripts"), 0o775);
  chmodSync(join(home.root, "cron"), 0o777);
  expect(await problems(home, "modes")).toEqual([
    {
      level: "warning",
      home: "default",
      message: "<root>/.env has mode 644: others may read it",
      remedy: "chmod 600 <root>/.env",
    },
    {
      level: "fault",
      home: "default",
      message: "<root>/cron has mode 777: everybody may write it, and so run programs as you",
      remedy: "chmod 700 <root>/cron",
    },
    {
      level: "warning",
      home: "default",
      message: "<root>/scripts has mode 775: its group may write it, and so run programs as you",
      remedy: "chmod 700 <root>/scripts",
    },
  ]);
});

test("doctor says which file systems lose locks or data", async () => {
  const expected: readonly (readonly [string, readonly string[]])[] = [
    ["nfs", ["fault The state folder is on nfs, where", "warning The home is on nfs: flock"]],
    ["tmpfs", ["warning The state folder is in memory (tmpfs)", "warning The home is in memory (tmpfs)"]],
    ["overlay", ["warning The state folder is in a container's", "warning The home is in a container's"]],
    ["xfs", []],
  ];
  for (const [kind, told] of expected) {
    const found = await problems(createHome({ fileSystem: () => kind }), "file_system");
    expect(found.length).toBe(told.length);
    for (const [index, { level, message }] of found.entries()) expect(`${level} ${message}`).toContain(told[index]);
  }
});

test("doctor finds locks that do not exclude Python's, in either direction", async () => {
  const programs = mkdtempSync(join(tmpdir(), "programs-"));
  onTestFinished(() => rmSync(programs, { recursive: true }));
  writeFileSync(join(programs, "python3"), "", { mode: 0o755 });
  // The first answer of Python is to `try`, the second to `hold`.
  const run = (answers: readonly (number | null)[], hold: (path: string) => void): Host["run"] => {
    let asked = 0;
    return async (file, args) => {
      if (!file.endsWith("/python3")) return null;
      if (args[2] === "hold") hold(args[3] ?? "");
      const exitCode = answers[asked++] ?? null;
      return { exitCode, output: "Traceback\nOSError: no locks" };
    };
  };
  const home = (answers: readonly (number | null)[], hold: (path: string) => void = () => undefined): CliHome => {
    return createHome({ run: run(answers, hold) }, { PATH: programs });
  };
  const remedy = "put the home and the state folder on a local disk, where flock(2) holds";
  const cases = [
    [home([0]), "fault", "Python took a lock in <root> that this program held", remedy],
    [
      home([3, 0], (path) => writeFileSync(`${path}.held`, "")),
      "fault",
      "This program took a lock in <root> that Python held",
      remedy,
    ],
    [
      home([1]),
      "warning",
      "/usr/bin/python3 could not try a lock in <root>: OSError: no locks",
      "look after this Python",
    ],
  ] as const;
  for (const [each, level, message, mends] of cases) {
    const found = await problems(each, "lock");
    expect(found.map((one) => ({ ...one, message: one.message.replace(/\S*\/python3/u, "/usr/bin/python3") }))).toEqual(
      [{ level, home: null, message, remedy: mends }],
    );
    expect(readdirSync(each.root).filter((name) => name.startsWith(".doctor"))).toEqual([]);
  }
});

test("doctor tells of a clock that nothing keeps, of groups and orphans that nobody may have, and of other daemons", async () => {
  const home = createHome({
    isClockSynchronised: () => false,
    canGroup: () => false,
    canReap: () => false,
    holdersOf: () => [
      { pid: 11, path: "/elsewhere/daemon.lock", commandLine: "node\0main.js\0--home\0/another\0start\0" },
      { pid: 12, path: "/elsewhere/daemon.lock", commandLine: `node\0main.js\0--home\0${home.root}\0start\0` },
    ],
    run: async (file) => (file === "crontab" ? { exitCode: 0, output: "* * * * * hermes -p x cron tick\n" } : null),
  });
  const { found, exitCode } = await findings(home);
  expect(exitCode).toBe(0);
  const told = found
    .filter(({ level, check }) => level === "warning" && check !== "service")
    .map(({ message }) => message);
  expect(told).toEqual([
    "No daemon runs, so no job will",
    "No installed Hermes was found; script jobs run without it",
    "Nothing keeps the clock right: jobs start when this clock says so",
    "This process may make no control groups; runs are found by other marks, which a program can shed",
    "Orphans of runs are lost from sight: this system lets nobody adopt them",
    "Another daemon (process 12, state in /elsewhere) serves the same home: nothing runs twice, but half the history is there",
    "The crontab of this user calls hermes cron tick, which holds the tick lock until its last job has ended",
  ]);
});

test("doctor tells of a ticker elsewhere by its heartbeat, and not of the daemon's own", async () => {
  const home = createHome({
    holdersOf: () => [{ pid: 12, path: "/other/daemon.lock", commandLine: "node\0main.js\0start\0" }],
  });
  home.ledger((ledger) => {
    ledger.endLife(ledger.beginLife(4711, nowMs - 60_000), nowMs - 10_000);
    ledger.beginLife(4713, nowMs - 5000);
  });
  const seconds = nowMs / 1000 - 30;
  const told = async (heartbeat: string): Promise<readonly string[]> => {
    home.write("cron/ticker_heartbeat", heartbeat);
    return (await problems(home, "tickers")).map(({ message }) => message);
  };
  const message =
    "A gateway went round in it within the last minutes, and none runs here: another host or container ticks the same home";
  expect(await told(`${seconds} 4711`)).toEqual([]);
  expect(await told(`${seconds} 12`)).toEqual([]);
  expect(await told(`${seconds} 4712`)).toEqual([message]);
  expect(await told(`${seconds}`)).toEqual([message]);
  expect(await told(`${seconds - 600} 4712`)).toEqual([]);
});

test("doctor believes the daemon about its Hermes, whatever this shell can find", async () => {
  const home = createHome();
  home.jobs([record("aaaaaaaaaaaa", "ask", { no_agent: false, script: null, prompt: "Hi" })]);
  mkdirSync(home.state, { mode: 0o700 });
  const lock = createLocks().tryLock(join(home.state, "daemon.lock"));
  const hermes = { python: "/opt/hermes/bin/python", version: "0.22.2" };
  const server = createServer((_request, response) =>
    response.end(JSON.stringify({ homes: [{ name: "default", hermes }] })),
  );
  await new Promise<void>((resolve) => server.listen(join(home.state, "control.sock"), resolve));
  onTestFinished(() => {
    lock?.release();
    server.close();
  });
  const { found } = await findings(home);
  expect(found.filter(({ check }) => check === "hermes")).toEqual([
    {
      check: "hermes",
      level: "ok",
      home: "default",
      message: "Hermes 0.22.2, run by /opt/hermes/bin/python",
      remedy: null,
    },
  ]);
});

test("doctor minds a service of another home, and not one that was installed from a shell with other variables", async () => {
  const variables: Record<string, string> = { PATH: "/opt/bin", LANG: "C" };
  const home = createCliHome(variables, { user: me, platform: "darwin" });
  opened.push(home);
  home.jobs([record("aaaaaaaaaaaa", "backup")]);
  expect((await home.run("install", "launchd", "--user")).exitCode).toBe(0);
  const fileName = "<root>/Library/LaunchAgents/hermes-supervisor.plist";
  variables["PATH"] = "/nowhere";
  delete variables["LANG"];
  expect(await problems(home, "service")).toEqual([]);
  variables["HERMES_HOME"] = join(home.root, "other");
  mkdirSync(join(home.root, "other/cron"), { recursive: true });
  expect(await problems(home, "service")).toEqual([
    {
      level: "warning",
      home: null,
      message: `${fileName} is not what this version would write for this Node and home`,
      remedy: "hermes-supervisor install launchd --user",
    },
  ]);
});

test("doctor sends whoever sits in a container to the clock of its host", async () => {
  const home = createHome({ isClockSynchronised: () => false, isContainer: () => true });
  expect(await problems(home, "clock")).toEqual([
    {
      level: "warning",
      home: null,
      message:
        "Nothing keeps the clock right: jobs start when this clock says so, which is that of this container's host",
      remedy: "timedatectl set-ntp true, on that host",
    },
  ]);
});

test("doctor keeps within the terminal, and breaks no command", async () => {
  const home = createHome({ isClockSynchronised: () => false, canGroup: () => false });
  const { out } = await home.runOnColumns(60, "doctor");
  expect(out.replaceAll(/\x1b\[\d+m/gu, "")).toContain(
    [
      "! Nothing keeps the clock right: jobs start when this clock",
      "  says so",
      "    timedatectl set-ntp true",
      "",
    ].join("\n"),
  );
  expect(out.replaceAll(/\x1b\[\d+m/gu, "").replaceAll(home.root, "/h")).toContain(
    [
      "! This process may make no control groups; runs are found by",
      "  other marks, which a program can shed",
      "    hermes-supervisor install systemd (Delegate=yes), or a",
      "    container that may write its /sys/fs/cgroup",
      "",
    ].join("\n"),
  );
  chmodSync(join(home.root, "cron/jobs.json"), 0o644);
  expect((await home.runOnColumns(20, "doctor")).out).toContain(`chmod 600 ${home.root}/cron/jobs.json`);
  // In a pipe nothing is broken, so that a line can be searched for.
  expect((await home.run("doctor")).out).toContain(
    "! This process may make no control groups; runs are found by other marks, which a program can shed\n",
  );
});

test("doctor tells of configurations, homes and jobs that cannot be used", async () => {
  const home = createHome();
  home.write("supervisor/config.yaml", "limits: {max_open_runs: none}\n");
  chmodSync(join(home.state), 0o700);
  home.write("config.yaml", "cron: {max_parallel_jobs: many}\n");
  home.write("ESTOP", "");
  home.write("profiles/team/config.yaml", "{}\n");
  home.write("profiles/team/cron/jobs.json", "[");
  home.write("profiles/new/config.yaml", "{}\n");
  home.write("profiles/new/cron/runtime.db", "");
  const { found, exitCode } = await findings(home);
  expect(exitCode).toBe(1);
  const told = found
    .filter(({ check, level }) => level !== "ok" && ["config", "home"].includes(check))
    .map(({ level, home: name, message, remedy }) => `${level} ${name}: ${message} -> ${remedy}`);
  expect(told.map((line) => line.replace(/: (?:Cannot|Nothing|It is|cron\.).*(?=->)/u, ": … "))).toEqual([
    "fault null: … -> hermes-supervisor config check",
    "warning default: … -> edit <root>/config.yaml",
    "warning default: … -> hermes resume",
    "fault new: … -> npm install --global hermes-supervisor@latest",
    "fault team: … -> mend what it says; it is taken up by itself",
  ]);
});

test("prompt jobs without a Hermes are a fault", async () => {
  const home = createHome();
  home.jobs([record("aaaaaaaaaaaa", "ask", { no_agent: false, script: null, prompt: "Hi" })]);
  const [told] = await problems(home, "hermes");
  expect([told?.level, told?.message]).toEqual(["fault", "No installed Hermes was found, and a prompt job needs it"]);
});
