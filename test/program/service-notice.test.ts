import { spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { isoIn, makeSupervisedHome, type SupervisedHome, scriptJob, until } from "../helpers/supervised-home.ts";

/** Prints each datagram that it gets as a line of JSON. */
const listener = `
import json, os, socket, sys
name = sys.argv[1]
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind("\\0" + name[1:] if name.startswith("@") else name)
print("bound", flush=True)
while True: print(json.dumps(s.recv(4096).decode()), flush=True)
`;

async function listen(name: string): Promise<() => readonly string[]> {
  const child = spawn("python3", ["-c", listener, name], { stdio: ["ignore", "pipe", "inherit"] });
  onTestFinished(() => void child.kill("SIGKILL"));
  let text = "";
  child.stdout.setEncoding("utf8").on("data", (part: string) => {
    text += part;
  });
  await until(() => text.startsWith("bound\n"));
  const lines = (): readonly string[] => text.slice(0, text.lastIndexOf("\n")).split("\n").slice(1);
  return () => lines().map((line) => JSON.parse(line) as string);
}

for (const [kind, nameOf] of [
  ["a path", (home: SupervisedHome) => join(home.path, "..", "notify")],
  ["a name in the abstract namespace", (home: SupervisedHome) => `@${home.path}/notify`],
] as const) {
  test(`systemd is told of the start, the life, a reload and the end through ${kind}`, async () => {
    const home = makeSupervisedHome();
    home.writeJobs([]);
    const name = nameOf(home);
    const told = await listen(name);
    const daemon = home.start({ NOTIFY_SOCKET: name, WATCHDOG_USEC: "100000" });
    await until(() => told().includes("READY=1\nSTATUS=Serving 1 home"));
    const livesBefore = told().filter((text) => text === "WATCHDOG=1").length;
    await until(() => told().filter((text) => text === "WATCHDOG=1").length >= livesBefore + 3);
    daemon.kill("SIGHUP");
    await until(() => told().filter((text) => text.startsWith("READY=1")).length === 2);
    daemon.kill("SIGTERM");
    expect(await daemon.exited).toEqual({ code: 0, signal: null });
    await until(() => told().includes("STOPPING=1\nSTATUS=Ending"));
    const moves = told()
      .filter((text) => text !== "WATCHDOG=1")
      .map((text) => text.replace(/MONOTONIC_USEC=\d+$/u, "MONOTONIC_USEC=<now>"));
    const serving = "READY=1\nSTATUS=Serving 1 home";
    const reloading = "RELOADING=1\nMONOTONIC_USEC=<now>";
    expect(moves).toEqual([serving, reloading, serving, "STOPPING=1\nSTATUS=Ending"]);
  });
}

test("a drain asks systemd for more time, and a run is told of neither socket nor watchdog", async () => {
  const home = makeSupervisedHome();
  home.script("wait.sh", 'env; while [ ! -e "$HERMES_HOME/go" ]; do sleep 0.05; done\n');
  home.writeJobs([scriptJob("aaaaaaaaaaaa", 60, "wait.sh", { next_run_at: isoIn(-500) })]);
  const name = join(home.path, "..", "notify");
  const told = await listen(name);
  const daemon = home.start({ NOTIFY_SOCKET: name, WATCHDOG_USEC: "60000000", WATCHDOG_PID: "1" });
  await until(() => home.runs()[0]?.state === "running");
  daemon.kill("SIGINT");
  await until(() => told().includes("EXTEND_TIMEOUT_USEC=60000000"));
  // The watchdog was set for another process.
  expect(told().filter((text) => text.includes("WATCHDOG"))).toEqual([]);
  writeFileSync(join(home.path, "go"), "");
  expect(await daemon.exited).toEqual({ code: 0, signal: null });
  expect(home.ask("logs", home.runs()[0]!.id).json["output"]).not.toMatch(/NOTIFY_SOCKET|WATCHDOG/);
});

test("s6 is told of the start by a newline on the descriptor that the environment names", async () => {
  const home = makeSupervisedHome();
  home.writeJobs([]);
  const child = spawn(
    process.execPath,
    [new URL("../../src/cli/main.ts", import.meta.url).pathname, "--home", home.path, "--state", home.state, "start"],
    {
      env: { PATH: process.env["PATH"], HOME: home.path, HERMES_SUPERVISOR_READY_FD: "3" },
      stdio: ["ignore", "ignore", "ignore", "pipe"],
    },
  );
  onTestFinished(() => void child.kill("SIGKILL"));
  let text = "";
  const ended = new Promise<void>((resolve) => {
    child.stdio[3]!.on("data", (part: Buffer) => {
      text += part.toString();
    });
    child.stdio[3]!.on("end", () => resolve());
  });
  await ended;
  expect(text).toBe("\n");
});
