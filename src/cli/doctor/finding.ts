import type { Host } from "../../system/host.ts";
import type { CommandParts } from "../command-parts.ts";
import type { HomeReading, Reader } from "../reader.ts";

export type Level = "ok" | "warning" | "fault";

/** One thing that was looked at. */
export interface Finding {
  /** A word for programs: `lock`, `clock`, … */
  readonly check: string;
  readonly level: Level;
  readonly home: string | null;
  readonly message: string;
  /** The command or the change that mends it; null for what is as it should be. */
  readonly remedy: string | null;
}

/** What every check is handed. */
export interface Patient {
  readonly parts: CommandParts;
  readonly host: Host;
  readonly reader: Reader;
  readonly homes: readonly HomeReading[];
  readonly daemon: { readonly running: boolean; readonly pid: number | null; readonly version: string | null };
}

export function fine(check: string, message: string, home: string | null = null): Finding {
  return { check, level: "ok", home, message, remedy: null };
}

export function warning(check: string, message: string, remedy: string, home: string | null = null): Finding {
  return { check, level: "warning", home, message, remedy };
}

export function fault(check: string, message: string, remedy: string, home: string | null = null): Finding {
  return { check, level: "fault", home, message, remedy };
}
