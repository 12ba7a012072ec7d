import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { stripTypeScriptTypes } from "node:module";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, onTestFinished, test } from "vitest";
import { createRunLedger } from "../../src/ledger/run-ledger.ts";
import { createFiles } from "../../src/system/real-files.ts";
import { claimedRun, record } from "../cli/cli-home.ts";
import { until } from "../helpers/supervised-home.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const program = join(root, "src/cli/main.ts");

function makeFolder(): string {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), "cli-program-")));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 }));
  return folder;
}

function environment(folder: string): Record<string, string> {
  return { PATH: process.env["PATH"] ?? "", HOME: folder, TMPDIR: folder, TZ: "UTC", LANG: "C.UTF-8" };
}

function command(
  folder: string,
  ...commandLine: readonly string[]
): { status: number | null; out: string; error: string } {
  const result = spawnSync(process.execPath, [program, ...commandLine], {
    env: environment(folder),
    encoding: "utf8",
    maxBuffer: 64 * 1024 * 1024,
  });
  return { status: result.status, out: result.stdout, error: result.stderr };
}

interface Begun {
  readonly child: ChildProcess;
  out(): string;
  error(): string;
  readonly exited: Promise<number | null>;
}

function begin(folder: string, ...commandLine: readonly string[]): Begun {
  const child = spawn(process.execPath, [program, ...commandLine], {
    env: environment(folder),
    stdio: ["ignore", "pipe", "pipe"],
  });
  let out = "";
  let error = "";
  child.stdout.setEncoding("utf8").on("data", (part: string) => {
    out += part;
  });
  child.stderr.setEncoding("utf8").on("data", (part: string) => {
    error += part;
  });
  const exited = new Promise<number | null>((resolve) => child.on("exit", (code) => resolve(code)));
  onTestFinished(async () => {
    child.kill("SIGKILL");
    await exited;
  });
  return { child, out: () => out, error: () => error, exited };
}

/** The oldest programs called `node` on this machine, and this one under a false name, which is always there. */
function oldNodes(folder: string): readonly { readonly file: string; readonly arguments: readonly string[] }[] {
  const disguise = join(folder, "disguise.mjs");
  writeFileSync(
    disguise,
    'Object.defineProperty(process, "versions", { value: { ...process.versions, node: "20.20.2" } });\n',
  );
  const folders = [...(process.env["PATH"] ?? "").split(delimiter), "/usr/bin", "/usr/local/bin"];
  const found = [...new Set(folders)]
    .map((each) => join(each, "node"))
    .filter((file) => {
      const version = spawnSync(file, ["--version"], { encoding: "utf8" }).stdout ?? "";
      const major = Number(/^v(\d+)/.exec(version)?.[1] ?? "99");
      return major >= 18 && major < 22;
    });
  return [
    { file: process.execPath, arguments: ["--import", disguise] },
    ...found.map((file) => ({ file, arguments: [] })),
  ];
}

test("an older Node is told in one line which one is needed", () => {
  const folder = makeFolder();
  // As the build leaves them, since an older Node reads no TypeScript; what they load behind the check is not there at all.
  for (const name of ["main", "node-version"]) {
    const text = readFileSync(join(root, `src/cli/${name}.ts`), "utf8");
    writeFileSync(join(folder, `${name}.js`), stripTypeScriptTypes(text).replaceAll('.ts"', '.js"'));
  }
  writeFileSync(join(folder, "package.json"), '{"type": "module"}');
  for (const node of oldNodes(folder)) {
    const result = spawnSync(node.file, [...node.arguments, join(folder, "main.js"), "status"], { encoding: "utf8" });
    expect({ status: result.status, out: result.stdout }).toEqual({ status: 2, out: "" });
    expect(result.stderr).toMatch(
      /^Cannot run on Node \d+\.\d+\.\d+: Node 22\.22 or newer is needed, see https:\/\/nodejs\.org\n$/,
    );
  }
});

test("a reader that has seen enough ends the program quietly", () => {
  const folder = makeFolder();
  const state = join(folder, "state");
  mkdirSync(state);
  const ledger = createRunLedger({ files: createFiles() }, join(state, "supervisor.db"));
  ledger.claim(Array.from({ length: 5000 }, (_, index) => claimedRun(`run${index}`, "aaaa11112222", "nightly")));
  ledger.dispose();
  const line = `"${process.execPath}" "${program}" --home "${folder}" --state "${state}" runs --limit 0 --json | head -n 1`;
  const result = spawnSync("bash", ["-o", "pipefail", "-c", line], { env: environment(folder), encoding: "utf8" });
  expect({ status: result.status, out: result.stdout, error: result.stderr }).toEqual({
    status: 0,
    out: "{\n",
    error: "",
  });
});

test("every row reaches a pipe, however many there are", () => {
  const folder = makeFolder();
  const state = join(folder, "state");
  mkdirSync(state);
  const ledger = createRunLedger({ files: createFiles() }, join(state, "supervisor.db"));
  ledger.claim(Array.from({ length: 3000 }, (_, index) => claimedRun(`run${index}`, "aaaa11112222", "nightly")));
  ledger.dispose();
  const { status, out } = command(folder, "--home", folder, "--state", state, "runs", "--limit", "0", "--json");
  expect(status).toBe(0);
  expect(JSON.parse(out).runs).toHaveLength(3000);
});

test("start --or-demo takes the home that is there, and says so", async () => {
  const folder = makeFolder();
  mkdirSync(join(folder, ".hermes/cron"), { recursive: true });
  writeFileSync(
    join(folder, ".hermes/cron/jobs.json"),
    JSON.stringify({ jobs: [record("aaaa11112222", "nightly", { enabled: false })] }),
  );
  const started = begin(folder, "start", "--or-demo");
  await until(() => started.error().includes("ready"));
  expect(started.error().split("\n")[0]).toBe(`Starting on the Hermes home ${folder}/.hermes`);
  const status = JSON.parse(command(folder, "status", "--json").out);
  expect(status.daemon).toMatchObject({ running: true, ready: true, pid: started.child.pid });
  const second = command(folder, "start");
  expect(second.status).toBe(6);
  started.child.kill("SIGINT");
  expect(await started.exited).toBe(0);
  expect(JSON.parse(command(folder, "status", "--json").out).daemon).toMatchObject({ running: false, pid: null });
});

test("start --or-demo shows a demonstration where there is no home", async () => {
  const folder = makeFolder();
  const shown = begin(folder, "start", "--or-demo");
  await until(() => /heartbeat completed/.test(shown.out()));
  expect(shown.error().split("\n")[0]).toBe(`No Hermes home at ${folder}/.hermes: showing a demonstration`);
  const home = /^Demonstration home: (.*)$/m.exec(shown.error())?.[1] ?? "";
  expect(home).toMatch(new RegExp(`^${folder}/hermes-demo-[a-z0-9]{6}$`));

  // The demonstration's own slots may hold a job just then.
  const runFree = (...commandLine: readonly string[]): ReturnType<typeof command> => {
    for (;;) {
      const told = command(folder, "--home", home, "run", ...commandLine);
      if (!told.error.includes("already running")) return told;
    }
  };
  const good = runFree("heartbeat");
  expect(good).toMatchObject({ status: 0, out: expect.stringMatching(/^alive at \d\d:\d\d:\d\d\n$/) });
  expect(good.error).toMatch(/^Run [a-z0-9]+ completed in [\d.]+ m?s\n$/);
  const bad = runFree("failing backup");
  expect(bad).toMatchObject({ status: 1, out: "backup: the disk is not there\n" });
  expect(bad.error).toMatch(/^Run [a-z0-9]+ of job "failing backup" failed after 1\.\d s: /);

  const id = runFree("printing", "--detach").out.trim();
  const followed = command(folder, "--home", home, "logs", "-f", id);
  expect(followed.out).toBe(Array.from({ length: 40 }, (_, index) => `line ${index + 1} of 40\n`).join(""));
  const runs = JSON.parse(command(folder, "--home", home, "runs", "printing", "--json").out).runs;
  expect(runs.find((run: { id: string }) => run.id === id)).toMatchObject({ state: "completed", trigger: "manual" });

  shown.child.kill("SIGINT");
  await until(() => shown.out().includes("Ending: waiting for what still runs"));
  shown.child.kill("SIGINT");
  expect(await shown.exited).toBe(0);
});
