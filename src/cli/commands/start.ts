import { dirname, join } from "node:path";
import type { CommandParts } from "../command-parts.ts";
import { CommandError, exitCodes } from "../exit-codes.ts";
import { formatDistance, paint, printable } from "../print.ts";
import type { HomeReading } from "../reader.ts";

export interface StartOptions {
  readonly once?: boolean;
  /** Where there is no Hermes home, make one to show. */
  readonly orDemo?: boolean;
  readonly set?: readonly string[];
}

export async function start(parts: CommandParts, options: StartOptions): Promise<number> {
  if (options.orDemo) {
    if (!hasHome(parts)) {
      parts.terminal.error(`No Hermes home at ${printable(parts.rootHome)}: showing a demonstration\n`);
      return demo(parts);
    }
    parts.terminal.error(`Starting on the Hermes home ${printable(parts.rootHome)}\n`);
  }
  checkFolders(parts);
  const daemon = { once: options.once ?? false, set: options.set ?? [] };
  return parts.terminal.isTerminal ? showEvents(parts, daemon) : runDaemonHere(parts, daemon);
}

/** A person who looks on reads lines about jobs; the log goes on for whoever keeps it in a file. */
async function showEvents(parts: CommandParts, daemon: StartedWith): Promise<number> {
  const { terminal } = parts;
  const [{ startEventLines }, { createReader }] = await Promise.all([
    import("../live-table.ts"),
    import("../reader.ts"),
  ]);
  const reader = createReader(parts);
  const lines = startEventLines(parts, reader);
  try {
    return await runDaemonHere(parts, {
      ...daemon,
      logLevel: terminal.isErrorTerminal ? "warn" : "info",
      onReady: () => terminal.out(readyText(parts, reader.homes(), daemon.once)),
    });
  } finally {
    lines.stop();
  }
}

function readyText({ system, terminal }: CommandParts, homes: readonly HomeReading[], once: boolean): string {
  const nowMs = system.clock.nowMs();
  const jobs = homes.flatMap((home) => home.jobs.filter((job) => job.enabled && job.fault === null));
  const due = jobs.map((job) => job.nextRunAt?.ms ?? Number.POSITIVE_INFINITY);
  const nextMs = Math.min(...due);
  const facts = [
    `${count(jobs.length, "enabled job")} in ${count(homes.length, "home")}`,
    ...homes.filter((home) => home.state !== "active").map((home) => `${printable(home.name)} is ${home.state}`),
    ...(Number.isFinite(nextMs) ? [`the next ${formatDistance(nextMs, nowMs)}`] : []),
  ];
  const ending = once ? "" : "; Ctrl-C ends it";
  return `${paint(terminal, "bold", "ready")}: ${facts.join(", ")}${ending}\n`;
}

function count(number: number, what: string): string {
  return `${number} ${what}${number === 1 ? "" : "s"}`;
}

export async function demo(parts: CommandParts): Promise<number> {
  const { showDemo } = await import("./demo.ts");
  return showDemo(parts, runDaemonHere);
}

interface StartedWith {
  readonly once: boolean;
  readonly set?: readonly string[];
}

/** Runs the daemon in this process and resolves to the exit status. */
async function runDaemonHere(
  parts: Pick<CommandParts, "rootHome" | "stateFolder" | "environment">,
  options: StartedWith & { readonly logLevel?: string; readonly onReady?: () => void },
): Promise<number> {
  const { runDaemon } = await import("../../daemon/main.ts");
  const { rootHome, stateFolder, environment } = parts;
  return runDaemon({ rootHome, stateFolder, environment, ...options });
}

/** A mistyped folder would be made and served, and nobody would wonder why no job runs. */
function checkFolders({ system, rootHome, isHomeNamed, stateFolder }: CommandParts): void {
  const refuse = (message: string): never => {
    throw new CommandError(exitCodes.usage, "usage", message);
  };
  const home = system.files.stat(rootHome);
  if (home === null && isHomeNamed) {
    refuse(`Cannot serve home "${rootHome}": there is no such folder, make it or name another`);
  }
  for (const [what, path] of [
    ["serve home", rootHome],
    ["use state folder", stateFolder],
  ] as const) {
    // The state folder may be yet to be made, within what is there.
    let there = path;
    while (system.files.statLink(there) === null && dirname(there) !== there) there = dirname(there);
    if (system.files.stat(there)?.kind === "folder") continue;
    const where = there === path ? "it is" : `"${there}" is`;
    refuse(`Cannot ${what} "${path}": ${where} no folder, name another`);
  }
}

function hasHome({ system, rootHome }: CommandParts): boolean {
  return ["cron/jobs.json", "config.yaml"].some((name) => system.files.stat(join(rootHome, name)) !== null);
}
