import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { createLocks } from "../../src/system/flock.ts";
import { packageRoot } from "../../src/system/package-root.ts";
import { type CliHome, createCliHome, nowMs, type Told } from "./cli-home.ts";

const opened: CliHome[] = [];

afterEach(() => {
  for (const home of opened.splice(0)) home.remove();
});

function createHome(config: string | null = "timezone: UTC # mine\n"): CliHome {
  const home = createCliHome();
  opened.push(home);
  if (config !== null) home.write("config.yaml", config);
  return home;
}

function pluginOf(home: CliHome, profile = ""): string {
  return join(home.root, profile, "plugins", "hermes-supervisor");
}

function configOf(home: CliHome): string {
  return readFileSync(join(home.root, "config.yaml"), "utf8");
}

/** With the home's folder taken out, which differs from test to test. */
function textOf(home: CliHome, told: Told): string {
  return (told.out + told.error).replaceAll(home.root, "<root>");
}

test("gateway attach shows what it changes, writes the plugin and selects it", async () => {
  const home = createHome();
  const told = await home.run("gateway", "attach", "--yes");
  expect([told.exitCode, textOf(home, told)]).toEqual([
    0,
    `default:
+ <root>/plugins/hermes-supervisor/__init__.py
~ <root>/config.yaml
    + 2: cron:
    + 3:   provider: hermes-supervisor
default is attached
A gateway that runs now ticks on until it is started again: hermes gateway restart
`,
  ]);
  expect(configOf(home)).toBe("timezone: UTC # mine\ncron:\n  provider: hermes-supervisor\n");
  const plugin = pluginOf(home);
  expect(readFileSync(join(plugin, "__init__.py"), "utf8")).toBe(
    readFileSync(join(packageRoot(), "worker", "gateway_plugin.py"), "utf8"),
  );
  expect(JSON.parse(readFileSync(join(plugin, "settings.json"), "utf8"))).toMatchObject({
    state: home.state,
    home: "default",
  });
  expect([plugin, join(plugin, "__init__.py"), join(plugin, "settings.json")].map(modeOf)).toEqual([
    0o700, 0o600, 0o600,
  ]);
});

function modeOf(path: string): number {
  return statSync(path).mode & 0o777;
}

test("gateway attach a second time changes nothing", async () => {
  const home = createHome();
  await home.run("gateway", "attach", "--yes");
  const before = statSync(join(home.root, "config.yaml"), { bigint: true }).mtimeNs;
  expect(await home.run("gateway", "attach")).toEqual({ exitCode: 0, out: "default is attached\n", error: "" });
  expect(statSync(join(home.root, "config.yaml"), { bigint: true }).mtimeNs).toBe(before);
});

test("gateway attach brings a plugin of another version up to date", async () => {
  const home = createHome();
  await home.run("gateway", "attach", "--yes");
  const program = join(pluginOf(home), "__init__.py");
  const shipped = readFileSync(program, "utf8");
  writeFileSync(program, `${shipped}# older\n`);
  expect((await home.run("gateway", "attach", "--yes")).exitCode).toBe(0);
  expect(readFileSync(program, "utf8")).toBe(shipped);
  await home.run("gateway", "detach", "--yes");
  expect(configOf(home)).toBe("timezone: UTC # mine\n");
});

test("gateway attach asks, and does nothing on a no or where nobody can be asked", async () => {
  const home = createHome();
  const unasked = await home.run("gateway", "attach");
  expect([unasked.exitCode, unasked.error]).toEqual([
    2,
    "Cannot ask whether to attach: standard input is no terminal, expected --yes\n",
  ]);
  const refused = await home.runAnswering(false, "gateway", "attach");
  expect([refused.exitCode, refused.out.endsWith("Nothing was changed\n")]).toEqual([1, true]);
  expect([configOf(home), existsSync(join(home.root, "plugins"))]).toEqual(["timezone: UTC # mine\n", false]);
  expect((await home.runAnswering(true, "gateway", "attach")).exitCode).toBe(0);
  expect(existsSync(pluginOf(home))).toBe(true);
});

test("gateway detach puts back every byte, and the folders as they were", async () => {
  for (const config of ["\uFEFFa: 1\r\ncron: # c\r\n  x: 'y'", "cron: {}\n", null]) {
    const home = createHome(config);
    const before = readdirSync(home.root, { recursive: true }).sort();
    await home.run("gateway", "attach", "--yes");
    mkdirSync(join(pluginOf(home), "__pycache__"));
    writeFileSync(join(pluginOf(home), "loaded.json"), "{}");
    const told = await home.run("gateway", "detach", "--yes");
    expect([told.exitCode, told.error]).toEqual([0, ""]);
    expect(readdirSync(home.root, { recursive: true }).sort()).toEqual(before);
    if (config !== null) expect(configOf(home)).toBe(config);
  }
});

test("gateway detach leaves what others wrote meanwhile", async () => {
  const home = createHome();
  home.write("plugins/other/__init__.py", "");
  await home.run("gateway", "attach", "--yes");
  writeFileSync(join(home.root, "config.yaml"), configOf(home).replace("UTC", "Europe/Berlin"));
  home.write("plugins/hermes-supervisor/notes.txt", "mine");
  await home.run("gateway", "detach", "--yes");
  expect(configOf(home)).toBe("timezone: Europe/Berlin # mine\n");
  expect(readdirSync(join(home.root, "plugins")).sort()).toEqual(["hermes-supervisor", "other"]);
  expect(readdirSync(pluginOf(home))).toEqual(["notes.txt"]);
});

test("gateway detach works without the record of what was there", async () => {
  const home = createHome();
  await home.run("gateway", "attach", "--yes");
  rmSync(join(pluginOf(home), "settings.json"));
  const told = await home.run("gateway", "detach", "--yes");
  expect([told.exitCode, configOf(home), existsSync(pluginOf(home))]).toEqual([
    0,
    "timezone: UTC # mine\ncron:\n",
    false,
  ]);
  expect(await home.run("gateway", "detach")).toEqual({ exitCode: 0, out: "default is not attached\n", error: "" });
});

test("gateway attach edits what a link leads to, and keeps its mode", async () => {
  const home = createHome(null);
  home.write("elsewhere/real.yaml", "a: 1\n");
  chmodSync(join(home.root, "elsewhere/real.yaml"), 0o640);
  symlinkSync("elsewhere/real.yaml", join(home.root, "config.yaml"));
  await home.run("gateway", "attach", "--yes");
  expect(readFileSync(join(home.root, "elsewhere/real.yaml"), "utf8")).toContain("provider: hermes-supervisor");
  expect(modeOf(join(home.root, "elsewhere/real.yaml"))).toBe(0o640);
  expect(readdirSync(join(home.root, "elsewhere"))).toEqual(["real.yaml"]);
});

const refusals: readonly { readonly what: string; readonly config: string; readonly message: string }[] = [
  {
    what: "another provider",
    config: "cron: {provider: chronos}\n",
    message:
      'Cannot edit "<root>/config.yaml": cron.provider is "chronos", expected none: its jobs would fire twice or never. Remove that line, if it is no longer wanted, and attach again\n',
  },
  {
    what: "a file that is no YAML",
    config: "cron: {\n",
    message:
      'Cannot edit "<root>/config.yaml": it is not valid YAML at line 2, column 1: flow map in block collection must be sufficiently indented and end with a }. Mend it first\n',
  },
  {
    what: "plugins that run elsewhere",
    config: "plugins: {isolation: host}\n",
    message:
      'Cannot attach "default": plugins.isolation in "<root>/config.yaml" is "host", and then a plugin does not reach the gateway\'s ticker. Remove that line and attach again\n',
  },
];

test.each(refusals)("gateway attach refuses $what and writes nothing", async ({ config, message }) => {
  const home = createHome(config);
  const told = await home.run("gateway", "attach", "--yes");
  expect([told.exitCode, textOf(home, told)]).toEqual([1, message]);
  expect([configOf(home), readdirSync(home.root)]).toEqual([config, ["config.yaml"]]);
});

test("gateway attach refuses a config.yaml that is not UTF-8 and a plugin that is another's", async () => {
  const home = createHome();
  writeFileSync(join(home.root, "config.yaml"), Buffer.from([0x61, 0x3a, 0xe9]));
  expect(textOf(home, await home.run("gateway", "attach", "--yes"))).toBe(
    'Cannot edit "<root>/config.yaml": it is not UTF-8, expected text in UTF-8. Mend it first\n',
  );
  home.write("config.yaml", "");
  home.write("plugins/hermes-supervisor/__init__.py", "# mine\n");
  expect(textOf(home, await home.run("gateway", "attach", "--yes"))).toBe(
    'Cannot attach "default": "<root>/plugins/hermes-supervisor/__init__.py" is another plugin. Move its folder away and attach again\n',
  );
});

test("gateway attach takes the root home and the profiles with a gateway of their own, or the one that is named", async () => {
  const home = createHome();
  home.write("profiles/own/gateway.pid", "{}");
  home.write("profiles/own/config.yaml", "");
  home.write("profiles/alone/gateway.lock", "");
  home.write("profiles/alone/config.yaml", "gateway: {standalone: true}\n");
  home.write("profiles/served/config.yaml", "");
  const told = await home.run("gateway", "attach", "--yes");
  expect([told.exitCode, told.error]).toEqual([
    0,
    "alone is left out: gateway.standalone is true, so its own gateway runs its jobs and the supervisor leaves them alone\n",
  ]);
  const attached = (): readonly boolean[] =>
    ["", "profiles/own", "profiles/alone", "profiles/served"].map((profile) => existsSync(pluginOf(home, profile)));
  expect(attached()).toEqual([true, true, false, false]);
  expect((await home.run("gateway", "attach", "served", "--yes")).exitCode).toBe(0);
  expect(attached()).toEqual([true, true, false, true]);
  expect((await home.run("gateway", "attach", "nobody", "--yes")).error).toBe(
    'Cannot find home "nobody": expected one of default, alone, own, served\n',
  );
  await home.run("gateway", "detach", "--yes");
  expect(attached()).toEqual([false, false, false, false]);
});

test("gateway status tells who runs the jobs of each home", async () => {
  const home = createHome();
  home.write("profiles/two/config.yaml", "cron: {provider: chronos}\n");
  const locks = createLocks();
  const read = async (): Promise<unknown> =>
    JSON.parse(textOf(home, await home.run("gateway", "status", "--json"))).homes;
  const before = { home: "default", path: "<root>", attached: false, provider: "", plugin: "absent", problems: [] };
  const second = { home: "two", path: "<root>/profiles/two", attached: false, provider: "chronos", plugin: "absent" };
  expect(await read()).toEqual([
    { ...before, gateway: null, ticks: "nobody" },
    { ...second, gateway: null, ticks: "nobody", problems: [] },
  ]);

  // A gateway that runs is a lock of its own, here ours.
  const gateway = locks.tryLock(join(home.root, "gateway.lock"));
  const has = (plugin: boolean, own = true): object => ({ pid: process.pid, own, has_plugin: plugin });
  expect(await read()).toMatchObject([{ gateway: has(false), ticks: "gateway", problems: [] }, { ticks: "nobody" }]);

  mkdirSync(home.state, { recursive: true });
  const daemon = locks.tryLock(join(home.state, "daemon.lock"));
  expect(await read()).toMatchObject([
    {
      ticks: "both",
      problems: [
        `The gateway (process ${process.pid}) ticks too, and where its Hermes is older than 0.20 it looks at no claim. Only runs shorter than their interval are protected, a longer one can start twice: hermes-supervisor gateway attach ends that`,
      ],
    },
    { ticks: "supervisor" },
  ]);

  await home.run("gateway", "attach", "default", "--yes");
  const restart = `The gateway (process ${process.pid}) was started without the plugin: hermes gateway restart`;
  expect(await read()).toMatchObject([{ attached: true, ticks: "both", problems: [restart] }, {}]);
  writeFileSync(join(pluginOf(home), "loaded.json"), JSON.stringify({ pid: process.pid }));
  expect(await read()).toMatchObject([
    { attached: true, plugin: "as_shipped", gateway: has(true), ticks: "supervisor", problems: [] },
    {},
  ]);
  const told = await home.run("gateway", "status");
  expect(told.out).toBe(`Daemon  running

HOME     PLUGIN        GATEWAY${" ".repeat(`${process.pid}`.length + 3)}WHO TICKS
default  attached      process ${process.pid}  supervisor
two      not attached  none${" ".repeat(`${process.pid}`.length + 6)}supervisor
`);
  daemon?.release();
  expect(await read()).toMatchObject([{ ticks: "gateway" }, { ticks: "nobody" }]);
  // From 0.22 on the root home's gateway goes round all profiles.
  home.write("profiles/two/cron/ticker_heartbeat", `${nowMs / 1000 - 60} ${process.pid}`);
  expect(await read()).toMatchObject([{}, { gateway: has(true, false), ticks: "gateway" }]);
  home.write("profiles/two/cron/ticker_heartbeat", `${nowMs / 1000 - 600}`);
  expect(await read()).toMatchObject([{}, { gateway: null, ticks: "nobody" }]);
  gateway?.release();
});

test("status tells of each home's own gateway whether it runs the jobs", async () => {
  const home = createHome();
  const locks = createLocks();
  const note = async (): Promise<string | undefined> =>
    (await home.run("status")).out.split("\n").find((line) => line.startsWith("default: "));
  expect(await note()).toBeUndefined();
  const gateway = locks.tryLock(join(home.root, "gateway.lock"));
  expect(await note()).toBe(`default: its gateway (process ${process.pid}) runs the jobs`);
  mkdirSync(home.state, { recursive: true });
  const daemon = locks.tryLock(join(home.state, "daemon.lock"));
  expect(await note()).toBe(
    `default: its gateway (process ${process.pid}) ticks too, see hermes-supervisor gateway status`,
  );
  home.write("plugins/hermes-supervisor/loaded.json", JSON.stringify({ pid: process.pid }));
  expect(await note()).toBe(`default: its gateway (process ${process.pid}) stands by`);
  daemon?.release();
  gateway?.release();
});

test("gateway status says what is not as it should be", async () => {
  const home = createHome();
  await home.run("gateway", "attach", "--yes");
  const problems = async (): Promise<string> => {
    const told = await home.run("gateway", "status", "--json");
    return JSON.parse(textOf(home, told)).homes[0].problems.join("\n");
  };
  writeFileSync(join(pluginOf(home), "__init__.py"), "changed");
  expect(await problems()).toBe("The plugin's file is not the one of this version: attach again");
  rmSync(pluginOf(home), { recursive: true });
  expect(await problems()).toBe(
    'cron.provider names us, but "<root>/plugins/hermes-supervisor" is not whole: attach again',
  );
  home.write("config.yaml", "a: [\n");
  expect(await problems()).toMatch(/^Cannot edit "<root>\/config.yaml": it is not valid YAML at line 2/);
});
