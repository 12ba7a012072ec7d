import type { CommandParts } from "../command-parts.ts";
import { type ExitCode, exitCodes } from "../exit-codes.ts";
import { formatJson } from "../print.ts";
import { createReader } from "../reader.ts";

export function configPath(parts: CommandParts, options: { readonly json?: boolean }): ExitCode {
  const reader = createReader(parts);
  const homes = reader.homes().map((home) => ({ home: home.name, path: home.configPath }));
  parts.terminal.out(options.json ? formatJson({ path: reader.hostConfigPath, homes }) : `${reader.hostConfigPath}\n`);
  return exitCodes.done;
}
