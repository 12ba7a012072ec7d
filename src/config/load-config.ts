import { createHash } from "node:crypto";
import { type FileIdentity, type FileStat, sameFile } from "../system/files.ts";
import { goneMs, isBeingWritten } from "../system/settled-file.ts";
import type { System } from "../system/system.ts";
import { type ConfigLayer, emptyLayer, type HomeConfig, parseHomeConfig, parseHostConfig } from "./parse-config.ts";
import { ConfigError, configBytesMax } from "./yaml-text.ts";

type Outside = Pick<System, "files" | "clock">;

/** What the last look at a file gave. A bad file leaves the last good value in force. */
export interface Loaded<T> {
  readonly value: T;
  readonly state: "ok" | "invalid";
  readonly error: ConfigError | null;
  /** What was read last, good or bad; null when there was no file. */
  readonly identity: FileIdentity | null;
  /** Of what was read last; null when nothing could be. */
  readonly contentHash: string | null;
  /** Which content `value` was made of, so that it can be told from outside what counts. */
  readonly inForce: InForce;
  /** When the file was first seen to be gone, which it may be only until its writer puts the new one there. */
  readonly goneAtMs: number | null;
}

export interface InForce {
  /** Null: there was no file, and the defaults count. */
  readonly hash: string | null;
  readonly sinceMs: number;
  /** How many contents counted since the start, this one included. */
  readonly generation: number;
}

export function loadHostConfig(system: Outside, path: string, last: Loaded<ConfigLayer> | null): Loaded<ConfigLayer> {
  return load(system, path, last, parseHostConfig, () => emptyLayer);
}

export function loadHomeConfig(system: Outside, path: string, last: Loaded<HomeConfig> | null): Loaded<HomeConfig> {
  return load(system, path, last, parseHomeConfig, () => ({ hermes: {}, section: emptyLayer }));
}

/** How a content is named in the log, in `status` and by whoever wants to know whether it counts yet. */
export function contentHash(content: Uint8Array | string): string {
  return createHash("sha256").update(content).digest("hex").slice(0, 16);
}

/**
 * Costs one `stat` while the file is as it was: a tick can ask each time. A file that is gone counts as an empty one, and one that
 * is being written is not looked at until it is whole.
 */
function load<T>(
  system: Outside,
  path: string,
  last: Loaded<T> | null,
  parse: (content: Uint8Array, path: string) => T,
  empty: () => T,
): Loaded<T> {
  const { files } = system;
  const nowMs = system.clock.nowMs();
  let identity: FileStat | null = null;
  let hash: string | null = null;
  const good = (value: T): Loaded<T> => ({
    value,
    state: "ok",
    error: null,
    identity,
    contentHash: hash,
    inForce: { hash, sinceMs: nowMs, generation: (last?.inForce.generation ?? 0) + 1 },
    goneAtMs: null,
  });
  try {
    identity = files.stat(path) ?? files.statLink(path);
    if (last !== null && sameFile(last.identity, identity)) {
      return last.goneAtMs === null ? last : { ...last, goneAtMs: null };
    }
    if (identity === null) {
      if (last === null) return good(empty());
      const goneAtMs = last.goneAtMs ?? nowMs;
      if (Math.abs(nowMs - goneAtMs) < goneMs) return { ...last, goneAtMs };
      return good(empty());
    }
    if (identity.kind === "symlink") throw new ConfigError(path, null, deadLink, null);
    // Reading a pipe would wait for ever, and a huge file would fill the memory before it could be refused.
    if (identity.kind !== "file") throw new ConfigError(path, null, `it is no plain file but a ${identity.kind}`, null);
    if (last !== null && isBeingWritten(system, path, last.identity)) return last;
    const content =
      identity.sizeBytes > configBytesMax ? files.readPart(path, 0, configBytesMax + 1) : files.read(path);
    hash = contentHash(content);
    // Saved again as it was, or put back to what counts.
    if (last !== null && hash === last.inForce.hash) {
      return { ...last, state: "ok", error: null, identity, contentHash: hash, goneAtMs: null };
    }
    return good(parse(content, path));
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code;
    // Gone between the look and the reading: the next look meets what is there then.
    if (code === "ENOENT") return last ?? good(empty());
    if (!(cause instanceof ConfigError) && code === undefined) throw cause;
    const error = cause instanceof ConfigError ? cause : new ConfigError(path, null, unreadable(code), null);
    return {
      value: last?.value ?? empty(),
      state: "invalid",
      error,
      identity,
      contentHash: hash,
      inForce: last?.inForce ?? { hash: null, sinceMs: nowMs, generation: 1 },
      goneAtMs: null,
    };
  }
}

const deadLink = "it is a link that leads nowhere, expected one to a file";

function unreadable(code: string | undefined): string {
  if (code === "EACCES" || code === "EPERM") return "permission denied, expected a file that this user can read";
  if (code === "EISDIR") return "it is a folder, expected a file";
  if (code === "ELOOP") return "its link leads in a circle, expected one to a file";
  return `${code}, expected a readable file`;
}
