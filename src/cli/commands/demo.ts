import { join } from "node:path";
import type { CommandParts } from "../command-parts.ts";
import { makeDemoHome } from "../demo-home.ts";
import { startLiveTable } from "../live-table.ts";
import { printable } from "../print.ts";
import { createReader } from "../reader.ts";

type RunDaemon = (
  parts: Pick<CommandParts, "rootHome" | "stateFolder" | "environment">,
  options: { readonly once: boolean; readonly logLevel: string },
) => Promise<number>;

/** Runs the daemon on a home made for it, with a table of what happens. The home stays, for the other commands to look at. */
export async function showDemo(parts: CommandParts, runDaemon: RunDaemon): Promise<number> {
  const temporary = (parts.environment["TMPDIR"] ?? "/tmp").replace(/(.)\/+$/, "$1");
  const rootHome = join(temporary, `hermes-demo-${parts.system.random.token(6)}`);
  const stateFolder = join(rootHome, "supervisor");
  makeDemoHome(parts.system, rootHome, stateFolder);
  const { terminal } = parts;
  terminal.error(`Demonstration home: ${printable(rootHome)}\n`);
  // npm started us from a checkout, where the command is not on PATH.
  const command = parts.environment["npm_lifecycle_event"] === undefined ? "" : "npx ";
  terminal.error(
    `Look at it from elsewhere with: ${command}hermes-supervisor --home ${printable(rootHome)} status\n\n`,
  );
  const environment = { ...parts.environment, HERMES_HOME: rootHome };
  const own: CommandParts = { ...parts, rootHome, stateFolder, environment };
  const table = startLiveTable(own, createReader(own));
  try {
    // The table shows what the log would say, and lines between its lines would tear it.
    return await runDaemon(own, { once: false, logLevel: terminal.isTerminal ? "silent" : "warn" });
  } finally {
    table.stop();
  }
}
