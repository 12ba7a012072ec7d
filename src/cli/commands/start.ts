import { join } from "node:path";
import type { CommandParts } from "../command-parts.ts";
import { printable } from "../print.ts";
import { showDemo } from "./demo.ts";

export interface StartOptions {
  readonly once?: boolean;
  /** Where there is no Hermes home, make one to show. */
  readonly orDemo?: boolean;
}

export async function start(parts: CommandParts, options: StartOptions): Promise<number> {
  if (options.orDemo) {
    if (!hasHome(parts)) {
      parts.terminal.error(`No Hermes home at ${printable(parts.rootHome)}: showing a demonstration\n`);
      return showDemo(parts, runDaemonHere);
    }
    parts.terminal.error(`Starting on the Hermes home ${printable(parts.rootHome)}\n`);
  }
  return runDaemonHere(parts, { once: options.once ?? false });
}

export function demo(parts: CommandParts): Promise<number> {
  return showDemo(parts, runDaemonHere);
}

/** Runs the daemon in this process and resolves to the exit status. */
async function runDaemonHere(
  parts: Pick<CommandParts, "rootHome" | "stateFolder" | "environment">,
  options: { readonly once: boolean; readonly logLevel?: string; readonly onReady?: () => void },
): Promise<number> {
  const { runDaemon } = await import("../../daemon/main.ts");
  const { rootHome, stateFolder, environment } = parts;
  return runDaemon({ rootHome, stateFolder, environment, ...options });
}

function hasHome({ system, rootHome }: CommandParts): boolean {
  return ["cron/jobs.json", "config.yaml"].some((name) => system.files.stat(join(rootHome, name)) !== null);
}
