#!/usr/bin/env node
import module from "node:module";
import v8 from "node:v8";
import { nodeProblem } from "./node-version.ts";

// Everything else is loaded behind the check, since an older Node may not even be able to read it.
const problem = nodeProblem(process.versions.node);
if (problem === null) await main();
else {
  process.stderr.write(`${problem}\n`);
  process.exitCode = 2;
}

async function main(): Promise<void> {
  // A daemon of a year pays for every page that it ever touched: young objects get no more room than they begin with.
  v8.setFlagsFromString("--semi-space-growth-factor=1");
  // They are cleared in 0.2 ms by one thread; several wait for each other, for ten times as long where runs take all processors.
  v8.setFlagsFromString("--no-parallel-scavenge");
  module.enableCompileCache?.();
  quietSqlite();
  // Whoever reads us may have seen enough: `runs | head` is no fault.
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") process.exit(0);
    throw error;
  });
  const { runProgram } = await import("./program.ts");
  const { readFileSync } = await import("node:fs");
  const { packageRoot } = await import("../system/package-root.ts");
  const { version } = JSON.parse(readFileSync(`${packageRoot()}/package.json`, "utf8")) as { readonly version: string };
  const { env, stdout, stderr } = process;
  const exitCode = await runProgram({
    arguments: process.argv.slice(2),
    environment: { ...env },
    version,
    terminal: {
      out: (text) => stdout.write(text),
      error: (text) => stderr.write(text),
      taken: () => new Promise((resolve) => stdout.write("", () => resolve())),
      isTerminal: stdout.isTTY === true,
      isErrorTerminal: stderr.isTTY === true,
      hasColour: stdout.isTTY === true && (env["NO_COLOR"] ?? "") === "" && env["TERM"] !== "dumb",
      get columns() {
        return stdout.isTTY ? stdout.columns || 80 : null;
      },
      get rows() {
        return stdout.isTTY ? stdout.rows || 24 : null;
      },
    },
    onInterrupt: (act) => process.on("SIGINT", act),
    onEnd,
    ...(process.stdin.isTTY && stdout.isTTY ? { ask } : {}),
    loadSystem,
    loadHost: async () => (await import("../system/real-host.ts")).createHost(),
  });
  process.exitCode = exitCode;
  // A pipe may still hold output, so the end waits until it has been taken.
  stdout.write("", () => process.exit(exitCode));
}

async function loadSystem(): Promise<import("./command-parts.ts").ReadingSystem> {
  const [{ createClock }, { createFiles }, { createLocks }, { createRandom }] = await Promise.all([
    import("../system/real-clock.ts"),
    import("../system/real-files.ts"),
    import("../system/flock.ts"),
    import("../system/random.ts"),
  ]);
  return { clock: createClock(), files: createFiles(), locks: createLocks(), random: createRandom() };
}

function onEnd(act: () => void): void {
  for (const signal of ["SIGTERM", "SIGHUP"] as const) {
    const ended = (): void => {
      // The daemon of `demo` ends in its own way, and by SIGHUP not at all.
      if (process.listenerCount(signal) > 1) return;
      act();
      process.off(signal, ended);
      process.kill(process.pid, signal);
    };
    process.on(signal, ended);
  }
}

async function ask(question: string): Promise<boolean> {
  const { createInterface } = await import("node:readline/promises");
  const lines = createInterface({ input: process.stdin, output: process.stdout });
  // At the end of the input nobody will answer any more.
  const ended = new Promise<string>((resolve) => lines.once("close", () => resolve("")));
  const answer = await Promise.race([lines.question(question), ended]);
  lines.close();
  return /^\s*y(?:es)?\s*$/i.test(answer);
}

/** Node 22 calls its SQLite experimental each time it is loaded, which is nothing that a caller could act on. */
function quietSqlite(): void {
  const emitWarning = process.emitWarning.bind(process) as (...values: unknown[]) => void;
  process.emitWarning = (...values: unknown[]): void => {
    if (!String(values[0]).startsWith("SQLite is an experimental feature")) emitWarning(...values);
  };
}
