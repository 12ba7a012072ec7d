import type { System } from "../system/system.ts";
import { type AttachmentHome, readGatewayProcess } from "./gateway-attachment.ts";

/** A gateway that serves a home: its own, or that of the root home, where one gateway serves all profiles. */
export interface ServingGateway {
  readonly pid: number;
  /** Whether it has loaded our plugin. */
  readonly hasPlugin: boolean;
}

export function findGateway(
  system: Pick<System, "files" | "locks" | "processes">,
  home: AttachmentHome,
  root: AttachmentHome,
): ServingGateway | null {
  const own = gatewayOf(system, home);
  if (own !== null || home.path === root.path) return own;
  const served = readRecord(system, `${root.path}/gateway_state.json`)["served_profiles"];
  return Array.isArray(served) && served.includes(home.name) ? gatewayOf(system, root) : null;
}

function gatewayOf(system: Pick<System, "files" | "locks" | "processes">, home: AttachmentHome): ServingGateway | null {
  const locked = readGatewayProcess(system, home);
  if (locked !== null) return locked;
  // Not every system shows who holds a lock.
  const { pid, start_time: startTicks } = readRecord(system, `${home.path}/gateway.pid`);
  if (typeof pid !== "number") return null;
  const seen = system.processes.fingerprint(pid);
  if (seen === null || (typeof startTicks === "number" && seen.startTicks !== startTicks)) return null;
  return {
    pid,
    hasPlugin: readRecord(system, `${home.path}/plugins/hermes-supervisor/loaded.json`)["pid"] === pid,
  };
}

function readRecord(system: Pick<System, "files">, path: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = system.files.stat(path) === null ? null : JSON.parse(system.files.readText(path));
    return typeof value === "object" && value !== null ? (value as Readonly<Record<string, unknown>>) : {};
  } catch {
    // Half-written, or gone again: the next look reads it.
    return {};
  }
}
