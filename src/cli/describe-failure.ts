import { CommanderError } from "commander";
import { CommandError, exitCodes } from "./exit-codes.ts";
import { printable } from "./print.ts";

interface Failure {
  readonly code: string;
  readonly message: string;
  readonly exitCode: number;
}

/** Null for what no caller can mend: its stack is worth more than a line. `command` is what was called in a way that it does not know. */
export function describeFailure(error: unknown, complaint: string, command: string): Failure | null {
  if (error instanceof CommandError) return { code: error.code, message: error.message, exitCode: error.exitCode };
  if (error instanceof CommanderError) {
    // Called without a command it prints its help, which is then what the caller got wrong.
    const message = complaint
      .replace(/^error: /, "")
      .replace(/\n\(Did (.*)\)\n$/, ", did $1")
      .trimEnd();
    return { code: "usage", message: sentence(message, command), exitCode: exitCodes.usage };
  }
  if (!(error instanceof Error)) return null;
  if (error.name === "LedgerError") return { code: "ledger", message: error.message, exitCode: exitCodes.failed };
  const code = (error as NodeJS.ErrnoException).code;
  if (code !== undefined && /^E[A-Z0-9]+$/.test(code)) {
    return { code: "system", message: systemText(error, code), exitCode: exitCodes.failed };
  }
  return null;
}

/** What a person can do about an error of the system, by its code. */
const remedies: Readonly<Record<string, string>> = {
  EACCES: "make it readable and writable for this user",
  EPERM: "make it readable and writable for this user",
  EROFS: "make its disk writable",
  ENOSPC: "make room on its disk",
  EDQUOT: "make room on its disk",
  ENOENT: "put it back or name another",
  ENOTDIR: "expected folders on the way to it",
  EEXIST: "move away what stands there",
  EISDIR: "expected a file",
  ELOOP: "mend the link that leads in a circle",
  EMFILE: "let this user open more files",
  EIO: "look after its disk",
};

/** Node's `EACCES: permission denied, mkdir '/x'` as one line with a way out. */
function systemText(error: NodeJS.ErrnoException, code: string): string {
  const what = error.message.replace(/^E[A-Z0-9]+: /, "").replace(/, \w+(?: '.*)?$/s, "");
  const remedy = remedies[code] === undefined ? "" : `, ${remedies[code]}`;
  if (error.path === undefined) return `Cannot finish: ${error.message}${remedy}`;
  return `Cannot use "${error.path}": ${what} (${code}${error.syscall === undefined ? "" : ` in ${error.syscall}`})${remedy}`;
}

function sentence(text: string, command: string): string {
  if (text.startsWith("Usage:")) return text;
  // It repeats what was typed, which may come from a file that somebody else wrote.
  const shown = printable(text).replace(/\.$/, "");
  return `${shown.charAt(0).toUpperCase()}${shown.slice(1)}${text.endsWith("?") ? " See" : "; see"} ${command} --help`;
}
