import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { formatLaunchdPlist } from "../../src/cli/services/launchd.ts";
import { s6Files } from "../../src/cli/services/s6.ts";
import { isSealed, type ServiceSpec } from "../../src/cli/services/service.ts";
import { formatSystemdUnit } from "../../src/cli/services/systemd.ts";
import type { Host } from "../../src/system/host.ts";
import { type CliHome, createCliHome, type Told } from "./cli-home.ts";

const opened: CliHome[] = [];

afterEach(() => {
  for (const home of opened.splice(0)) home.remove();
});

function createHome(machine: Partial<Host> = {}): CliHome {
  const home = createCliHome({ LANG: "C.UTF-8" }, machine);
  opened.push(home);
  return home;
}

function textOf(home: CliHome, { out, error }: Told): string {
  return (out + error).replaceAll(home.root, "<root>");
}

const awkward: ServiceSpec = {
  name: "hermes-supervisor",
  isSystem: true,
  user: { name: "u", home: "/home/u" },
  command: ["/opt/my node/bin/node", "/a\\b/main.js", "--home", `/h/100% "$HOME" it's`, "start"],
  variables: new Map([["PATH", '/a b:/c%d:/$e:/"f"']]),
  rootHome: `/h/100% "$HOME" it's`,
  version: "9.9.9",
};

test("a unit quotes what systemd would take apart", () => {
  const lines = formatSystemdUnit(awkward).split("\n");
  expect(lines.filter((line) => /^(?:Description|RequiresMountsFor|ExecStart|Environment|User)=/u.test(line))).toEqual([
    `Description=Hermes Supervisor for /h/100%% "$HOME" it's`,
    `RequiresMountsFor="/h/100%% \\"$HOME\\" it's"`,
    `ExecStart="/opt/my node/bin/node" "/a\\\\b/main.js" --home "/h/100%% \\"$$HOME\\" it's" start`,
    "User=u",
    `Environment="PATH=/a b:/c%%d:/$e:/\\"f\\""`,
  ]);
});

test("a program that systemd would not start by its path is started by a shell", () => {
  const [line] = formatSystemdUnit({ ...awkward, command: ["/it's/node", "x"] })
    .split("\n")
    .filter((each) => each.startsWith("ExecStart="));
  expect(line).toBe(`ExecStart=/bin/sh -c "exec \\"$$0\\" \\"$$@\\"" "/it's/node" x`);
});

test("a unit lets runs outlive the daemon and systemd watch over it", () => {
  const lines = formatSystemdUnit(awkward).split("\n");
  for (const line of [
    "Type=notify",
    "KillMode=process",
    "Delegate=yes",
    "OOMPolicy=continue",
    "Restart=always",
    "RestartPreventExitStatus=2 3 6",
    "WatchdogSec=60",
    "ExecReload=/bin/kill -HUP $MAINPID",
    "WantedBy=multi-user.target",
  ]) {
    expect(lines).toContain(line);
  }
  expect(formatSystemdUnit({ ...awkward, isSystem: false })).toContain("\nWantedBy=default.target\n");
});

test("a property list escapes what XML would take apart, and refuses what it cannot hold", () => {
  const text = formatLaunchdPlist({ ...awkward, command: ["/a&b", "<c>"] }, "/l");
  expect(text).toContain("    <string>/a&amp;b</string>\n    <string>&lt;c&gt;</string>\n");
  expect(text).toContain("  <key>AbandonProcessGroup</key>\n  <true/>\n");
  expect(() => formatLaunchdPlist({ ...awkward, command: ["/a\x01"] }, "/l")).toThrow(RangeError);
});

test("an s6 run script quotes for the shell, becomes the home's owner and names the descriptor", () => {
  const [run, finish, notification] = s6Files(awkward, "/s");
  expect(run!.text.split("\n").filter((line) => /^(?:export|exec) /u.test(line))).toEqual([
    "exec 2>&1",
    "export HOME=/home/u",
    `export PATH='/a b:/c%d:/$e:/"f"'`,
    "export HERMES_SUPERVISOR_READY_FD=3",
    `exec s6-setuidgid u '/opt/my node/bin/node' '/a\\b/main.js' --home '/h/100% "$HOME" it'\\''s' start`,
  ]);
  expect(finish!.text).toContain('case "$1" in 2|3|6) exit 125 ;; esac\n');
  expect(notification).toEqual({ path: "/s/notification-fd", text: "3\n", mode: 0o644 });
});

test("every file tells whether anybody changed it", () => {
  const texts = [
    formatSystemdUnit(awkward),
    formatLaunchdPlist(awkward, "/l"),
    ...s6Files(awkward, "/s")
      .slice(0, 2)
      .map(({ text }) => text),
  ];
  for (const text of texts) {
    expect(isSealed(text)).toBe(true);
    expect(isSealed(text.replace("hermes-supervisor", "hermes_supervisor"))).toBe(false);
    expect(isSealed(`${text}# mine\n`)).toBe(false);
  }
  expect(isSealed("[Unit]\n")).toBe(false);
});

test("install writes the unit where systemd looks, says how to start it and to undo it, and uninstall undoes it", async () => {
  const home = createHome();
  const path = join(home.root, ".config/systemd/user/hermes-supervisor.service");
  const first = await home.run("install", "systemd");
  expect([first.exitCode, textOf(home, first)]).toEqual([
    0,
    `Wrote <root>/.config/systemd/user/hermes-supervisor.service
Start it: systemctl --user daemon-reload && systemctl --user enable --now hermes-supervisor && loginctl enable-linger
Undo it:  systemctl --user disable --now hermes-supervisor && hermes-supervisor uninstall systemd --user && systemctl --user daemon-reload
`,
  ]);
  expect(statSync(path).mode & 0o777).toBe(0o644);
  expect(readFileSync(path, "utf8")).toContain(
    `\nExecStart=/usr/bin/node /usr/lib/node_modules/hermes-supervisor/dist/src/cli/main.js --home ${home.root} start\n`,
  );
  const again = await home.run("install", "systemd");
  expect(textOf(home, again).split("\n")[0]).toBe(
    "Kept  <root>/.config/systemd/user/hermes-supervisor.service: it is as it should be",
  );
  const undone = await home.run("uninstall", "systemd", "--user");
  expect([undone.exitCode, existsSync(path)]).toEqual([0, false]);
  expect(textOf(home, await home.run("uninstall", "systemd"))).toBe(
    "Nothing is installed at <root>/.config/systemd/user/hermes-supervisor.service\n",
  );
});

test("--print prints the very file that would be written, and writes nothing", async () => {
  const home = createHome();
  const printed = await home.run("install", "systemd", "--print");
  expect(existsSync(join(home.root, ".config"))).toBe(false);
  await home.run("install", "systemd");
  expect(printed).toEqual({
    exitCode: 0,
    out: readFileSync(join(home.root, ".config/systemd/user/hermes-supervisor.service"), "utf8"),
    error: "",
  });
});

test("a file that somebody changed is not written over or deleted without a yes", async () => {
  const home = createHome();
  const path = join(home.root, "units/hermes-supervisor.service");
  const to = ["--to", join(home.root, "units")];
  mkdirSync(join(home.root, "units"));
  writeFileSync(path, "[Service]\nExecStart=/bin/true\n");
  const refused = await home.run("install", "systemd", ...to);
  expect([refused.exitCode, textOf(home, refused)]).toEqual([
    1,
    'Cannot write over "<root>/units/hermes-supervisor.service": it was changed since, or somebody else wrote it, expected --yes to write over it all the same\n',
  ]);
  expect((await home.runAnswering(false, "install", "systemd", ...to)).exitCode).toBe(1);
  expect(readFileSync(path, "utf8")).toBe("[Service]\nExecStart=/bin/true\n");
  expect((await home.runAnswering(true, "install", "systemd", ...to)).exitCode).toBe(0);
  const written = readFileSync(path, "utf8");
  expect(isSealed(written)).toBe(true);
  // What an earlier version wrote and nobody touched needs no question.
  writeFileSync(path, formatSystemdUnit(awkward));
  expect((await home.run("install", "systemd", ...to)).exitCode).toBe(0);
  expect(readFileSync(path, "utf8")).toBe(written);
  writeFileSync(path, `${written}# mine\n`);
  expect((await home.run("uninstall", "systemd", ...to)).exitCode).toBe(1);
  expect((await home.run("uninstall", "systemd", "--yes", ...to)).exitCode).toBe(0);
  expect(existsSync(path)).toBe(false);
});

test("a service that is enabled is not uninstalled under its manager's feet", async () => {
  const asked: string[] = [];
  const home = createHome({
    run: async (file, args) => {
      asked.push([file, ...args].join(" "));
      return file === "systemctl" ? { exitCode: 0, output: "enabled\n" } : null;
    },
  });
  await home.run("install", "systemd");
  const told = await home.run("uninstall", "systemd");
  expect([told.exitCode, told.error]).toEqual([
    1,
    'Cannot uninstall service "hermes-supervisor": it is enabled or runs, expected this before: systemctl --user disable --now hermes-supervisor\n',
  ]);
  expect(asked.at(-1)).toBe("systemctl --user is-enabled hermes-supervisor.service");
});

test("what systemd-analyze says of the unit is passed on", async () => {
  let path = "";
  const home = createHome({
    run: async (_file, args) => {
      path = args.at(-1) ?? "";
      return { exitCode: 1, output: `${path}:3: Unknown key\nother.service: bad\n` };
    },
  });
  const { error } = await home.run("install", "systemd", "--print");
  expect(error).toBe(`systemd-analyze verify: ${path}:3: Unknown key\n`);
  expect([path.endsWith("/hermes-supervisor.service"), existsSync(dirname(path))]).toEqual([true, false]);
});

test("a service that cannot be, or that nobody asked for, is refused with what was expected", async () => {
  const home = createHome();
  for (const [words, message] of [
    [["systemd", "--user", "--system"], "Cannot use --user with --system: expected one of them\n"],
    [["launchd"], "Cannot install a launchd service: this is linux, expected --print or --to\n"],
    [["s6"], "Cannot find where s6 looks for services: none of <root>/service is there, expected --to\n"],
    [["systemd", "--name", "a b"], 'Cannot name a service "a b": expected letters, digits, _, . and -, at most 64\n'],
  ] as const) {
    const told = await home.run("install", ...words);
    expect([told.exitCode, textOf(home, told)]).toEqual([2, message]);
  }
});

test("a home that is not there and a program that will not last are warned of", async () => {
  const home = createHome({ programPath: "/home/u/.npm/_npx/1/node_modules/hermes-supervisor/dist/src/cli/main.js" });
  rmSync(home.root, { recursive: true });
  const { error, exitCode } = await home.run("install", "systemd", "--print");
  mkdirSync(home.root);
  expect([exitCode, error.replaceAll(home.root, "<root>")]).toEqual([
    0,
    `Warning: there is no home at <root>, and the service will not start without one: name another with --home
Warning: this program is in a temporary folder (/home/u/.npm/_npx/1/node_modules/hermes-supervisor/dist/src/cli/main.js), which will be gone one day: install it with npm install --global first
`,
  ]);
});

test("the files of s6 are printed also where no scanner is, with a place where one would look", async () => {
  const home = createHome();
  const { exitCode, out, error } = await home.run("install", "s6", "--print");
  expect([exitCode, error]).toEqual([0, ""]);
  expect(out.replaceAll(home.root, "<root>").match(/^==> .*$/gmu)).toEqual(
    ["run", "finish", "notification-fd"].map((name) => `==> <root>/service/hermes-supervisor/${name} <==`),
  );
});

test("s6 files are made in a folder of the service, and what a person put there stays", async () => {
  const home = createHome();
  mkdirSync(join(home.root, "service"));
  expect((await home.run("install", "s6")).exitCode).toBe(0);
  const own = join(home.root, "service/hermes-supervisor");
  expect(readdirSync(own).sort()).toEqual(["finish", "notification-fd", "run"]);
  expect(statSync(join(own, "run")).mode & 0o777).toBe(0o755);
  chmodSync(join(own, "run"), 0o600);
  writeFileSync(join(own, "timeout-kill"), "0\n");
  const told = await home.run("uninstall", "s6");
  expect(textOf(home, told)).toContain("Left <root>/service/hermes-supervisor: it also holds timeout-kill\n");
  expect(readdirSync(own)).toEqual(["timeout-kill"]);
  rmSync(join(own, "timeout-kill"));
});
