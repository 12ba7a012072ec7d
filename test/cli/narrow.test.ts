import { expect, onTestFinished, test } from "vitest";
import { textWidth } from "../../src/cli/print.ts";
import { type CliHome, claimedRun, completed, createCliHome, nowMs, record, slot } from "./cli-home.ts";

const hostile: readonly string[] = [
  "\x1b]0;title\x07\x1b[2J\x1b[31mred",
  "line\nbreak\r\ttab\x00nul\x9b1m",
  "\u202eright to left\u202c \u061c\u2066x\u2069",
  "\u05e9\u05dc\u05d5\u05dd \u0645\u0631\u062d\u0628\u0627",
  "日本語の名前🚀👩‍👩‍👧‍👦🇩🇪",
  `zalgo${"\u0301".repeat(500)}`,
  "tags\u{e0041}\u{e0042}\u{e007f}",
  "x".repeat(10_000),
  "\ud800 lone",
];

function prepare(): CliHome {
  const home = createCliHome();
  onTestFinished(() => home.remove());
  home.jobs(
    hostile.map((name, index) =>
      record(`job${index}`, name, { last_run_at: "2026-01-05T11:30:00+00:00", last_status: "error", last_error: name }),
    ),
  );
  home.ledger((ledger) => {
    for (const [index, name] of hostile.entries()) {
      const id = `run00000000${index}`;
      ledger.claim([claimedRun(id, `job${index}`, name)]);
      ledger.start(id, nowMs - 59_000);
      // The first is still open.
      if (index > 0)
        ledger.close(id, completed({ state: "failed", reason: "exit", exitCode: 3, error: `${name}\n${name}` }));
      ledger.writeSlots("default", [
        slot(`job${index}`, { decision: "run", reason: "on_time" }, { runId: id, latenessMs: 2.5 }),
      ]);
    }
  });
  return home;
}

const commands: readonly (readonly string[])[] = [
  ["status"],
  ["jobs"],
  ["next"],
  ["next", "job1"],
  ["runs"],
  ["slots"],
  ["verify"],
  ...hostile.flatMap((name) => [[`no ${name}`], [`--no${name}`]]),
  ["config", "show"],
  ...hostile.map((_, index) => ["explain", `job${index}`]),
];

test("no command sends a terminal anything of a name that it would obey, and none is longer than it is wide", async () => {
  const home = prepare();
  for (const columns of [20, 80]) {
    for (const command of commands) {
      const { out, error } = await home.runOnColumns(columns, ...command);
      const text = `${out}${error}`.replace(/\x1b\[\d+m/g, "");
      const told = `${command.join(" ")} on ${columns}`;
      expect(text.replaceAll("\n", ""), told).not.toMatch(
        /[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\u{e0000}-\u{e007f}\ud800-\udfff]/u,
      );
      if (command[0] === "config") continue;
      // What went wrong is one line that can be searched for, however long.
      const lines = out.replace(/\x1b\[\d+m/g, "").split("\n");
      expect(Math.max(...lines.map(textWidth)), told).toBeLessThanOrEqual(columns);
    }
  }
});

test("a name that is ten thousand characters long is cut in a pipe, too", async () => {
  const home = prepare();
  for (const command of [["jobs"], ["runs"], ["slots"], ["next"], ["explain", "job7"]]) {
    const { out } = await home.run(...command);
    expect(Math.max(...out.split("\n").map((line) => line.length)), command.join(" ")).toBeLessThan(3000);
    expect(out, command.join(" ")).toContain("xxxxxxxxxx");
  }
  const { error } = await home.run("run", "job7");
  expect(error.length).toBeLessThan(400);
});

test("a terminal that is too narrow for a table gets each cell on lines of its own, and of none too many", async () => {
  const home = createCliHome();
  onTestFinished(() => home.remove());
  home.jobs([record("aaaa11112222", "nightly 🚀 with a long name"), record("bbbb11112222", "long ".repeat(30))]);
  const { out } = await home.runOnColumns(20, "jobs");
  expect(out.replace(/\x1b\[\d+m/g, "")).toBe(
    `JOB aaaa11112222
NAME nightly 🚀 with
a long name
SCHEDULE 30 * * * *
NEXT 12:30:00 in 30
min

JOB bbbb11112222
NAME long long long
long long long long
long long long long
long long long long…
SCHEDULE 30 * * * *
NEXT 12:30:00 in 30
min
`,
  );
});
