import type { CommandParts } from "../command-parts.ts";
import { allErrors, checkFiles } from "../config-findings.ts";
import { openConfig } from "../config-reader.ts";
import { type ExitCode, exitCodes } from "../exit-codes.ts";
import { formatJson, paint, printable } from "../print.ts";

export interface ConfigCheckOptions {
  readonly json?: boolean;
  readonly set?: readonly string[];
  readonly for?: string;
}

/** Of all config files, or of one that is not in its place yet. */
export async function configCheck(
  parts: CommandParts,
  file: string | undefined,
  options: ConfigCheckOptions,
): Promise<ExitCode> {
  const { reader, errors, candidate } = await openConfig(parts, { file, for: options.for, set: options.set });
  const { terminal } = parts;
  const files = checkFiles(parts, reader).filter(({ path }) => candidate === null || path === candidate.path);
  const bad = files.filter((each) => each.error !== null);
  const exitCode = bad.length === 0 && errors.length === 0 ? exitCodes.done : exitCodes.configInvalid;
  if (options.json) {
    const listed = files.map(({ path, home, error, warnings }) => ({
      path,
      home,
      state: error === null ? "ok" : "invalid",
      errors: allErrors(error).map(({ message, line, column, snippet }) => ({ message, line, column, snippet })),
      warnings,
    }));
    const first = errors[0] ?? bad[0]?.error?.message;
    const failure = first === undefined ? {} : { error: { code: "config_invalid", message: first } };
    terminal.out(formatJson({ ok: exitCode === exitCodes.done, files: listed, overrides: errors, ...failure }));
    return exitCode;
  }
  for (const error of errors) terminal.error(`${printable(error)}\n`);
  for (const { path, error, warnings } of files) {
    for (const warning of warnings) {
      terminal.out(`${paint(terminal, "yellow", "warning")}  ${printable(path)}: ${printable(warning)}\n`);
    }
    if (error === null && warnings.length === 0) {
      const missing = parts.system.files.stat(path) === null ? " (no such file: the defaults count)" : "";
      terminal.out(`${paint(terminal, "green", "ok")}       ${printable(path)}${missing}\n`);
    }
    if (error === null) continue;
    terminal.out(`${paint(terminal, "red", "invalid")}  ${printable(path)}\n`);
    for (const each of allErrors(error)) {
      const snippet = each.snippet === null ? "" : `${each.snippet.split("\n").map(printable).join("\n")}\n`;
      terminal.error(`${printable(each.message)}\n${snippet}`);
    }
  }
  return exitCode;
}
