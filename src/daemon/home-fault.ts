import type { Logger } from "../system/logger.ts";
import type { HomeRuntime } from "./home-runtime.ts";

/** What a person can do about an error of the system, by its code. */
const remedies: Readonly<Record<string, string>> = {
  EACCES: "make the folder readable and writable for this user",
  EPERM: "make the folder writable for this user",
  EROFS: "make the folder writable for this user",
  EISDIR: "make the folder writable for this user",
  ENOSPC: "make room on its disk",
  EDQUOT: "make room on its disk",
  ENOENT: "put the folder back",
  ENOTDIR: "put the folder back",
  EMFILE: "let this user open more files",
  ENFILE: "let this user open more files",
  ELOOP: "mend the link that leads in a circle",
  EIO: "look after its disk",
};

/** What SQLite's own result codes come to. */
const sqliteCodes: Readonly<Record<number, string>> = { 8: "EROFS", 10: "EIO", 13: "ENOSPC", 14: "ENOENT" };

/** Why a home cannot be served, in one line. Our own errors say it themselves; those of the system are told with a way out. */
export function homeFault(home: string, error: Error): string {
  if ("errcode" in error && typeof error.errcode === "number") {
    // The low byte is the result, the rest of it a detail.
    const remedy = remedies[sqliteCodes[error.errcode & 0xff] ?? ""];
    return `Cannot record what home "${home}" does: ${error.message}${remedy === undefined ? "" : `, ${remedy}`}`;
  }
  const code = "code" in error && typeof error.code === "string" ? error.code : null;
  if (code === null || !("syscall" in error)) return error.message;
  const remedy = remedies[code];
  return `Cannot serve home "${home}": ${error.message}${remedy === undefined ? "" : `, ${remedy}`}`;
}

/** Keeps, and says once, why the ends of a home's runs cannot be recorded now; null when they can. */
export function noteEndsFault(log: Logger, home: HomeRuntime, error: unknown): void {
  const fault = error === null ? null : error instanceof Error ? homeFault(home.name, error) : String(error);
  if (fault === home.endsFault) return;
  home.endsFault = fault;
  if (fault === null) log.info("ends of runs are recorded again", { home: home.name });
  else log.error("ends of runs could not be recorded yet", { home: home.name, error: fault });
}

/** Whether an error says that there is no room on the disk, so that the same may work later. */
export function isDiskFull(error: unknown): boolean {
  return error instanceof Error && "code" in error && (error.code === "ENOSPC" || error.code === "EDQUOT");
}
