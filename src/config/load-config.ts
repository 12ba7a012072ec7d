import { createHash } from "node:crypto";
import { type FileIdentity, type FileStat, kindTexts, sameFile } from "../system/files.ts";
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
  /** When `error`, or another before it, first kept the file from being in force. */
  readonly errorSinceMs: number | null;
  /** What was read last, good or bad; null when there was no file. */
  readonly identity: FileIdentity | null;
  /** Of what was read last; null when nothing could be. */
  readonly contentHash: string | null;
  /** Which content `value` was made of, so that it can be told from outside what counts. */
  readonly inForce: InForce;
  /** Only a part of what was read last could be put in force, over `inForce`. */
  readonly isPart: boolean;
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
  return load(
    system,
    path,
    last,
    (content) => ({ value: parseHostConfig(content, path), error: null }),
    () => emptyLayer,
  );
}

export function loadHomeConfig(system: Outside, path: string, last: Loaded<HomeSource> | null): Loaded<HomeSource> {
  return load(
    system,
    path,
    last,
    (content) => {
      const { sectionError: error, ...value } = parseHomeConfig(content, path);
      return { value: error === null ? value : { ...value, section: last?.value.section ?? emptyLayer }, error };
    },
    () => ({ hermes: {}, hermesSources: new Map(), section: emptyLayer }),
  );
}

/** What counts of a home's file. Our section may be an older one than Hermes' part. */
export type HomeSource = Omit<HomeConfig, "sectionError">;

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
  /** With an error beside its value where only a part could be read. */
  parse: (content: Uint8Array) => { readonly value: T; readonly error: ConfigError | null },
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
    errorSinceMs: null,
    identity,
    contentHash: hash,
    inForce: { hash, sinceMs: nowMs, generation: (last?.inForce.generation ?? 0) + 1 },
    isPart: false,
    goneAtMs: null,
  });
  const bad = (value: T, error: ConfigError): Loaded<T> => ({
    value,
    state: "invalid",
    error,
    errorSinceMs: last?.errorSinceMs ?? nowMs,
    identity,
    contentHash: hash,
    inForce: last?.inForce ?? { hash: null, sinceMs: nowMs, generation: 1 },
    isPart: last !== null && (last.isPart || value !== last.value),
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
    if (identity.kind !== "file")
      throw new ConfigError(path, null, `it is no plain file but ${kindTexts[identity.kind]}, expected a file`, null);
    if (last !== null && isBeingWritten(system, path, last.identity)) return last;
    const content =
      identity.sizeBytes > configBytesMax ? files.readPart(path, 0, configBytesMax + 1) : files.read(path);
    hash = contentHash(content);
    // Saved again as it was, or put back to what counts.
    if (last !== null && hash === last.inForce.hash && !last.isPart) {
      return { ...last, state: "ok", error: null, errorSinceMs: null, identity, contentHash: hash, goneAtMs: null };
    }
    const { value, error } = parse(content);
    return error === null ? good(value) : bad(value, error);
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code;
    // Gone between the look and the reading: the next look meets what is there then.
    if (code === "ENOENT") return last ?? good(empty());
    if (!(cause instanceof ConfigError) && code === undefined) throw cause;
    const error = cause instanceof ConfigError ? cause : new ConfigError(path, null, unreadable(code), null);
    return bad(last?.value ?? empty(), error);
  }
}

/** A config file as it is shown: what is wrong with it, and what of it counts. */
export interface ConfigFile {
  readonly path: string;
  readonly error: string | null;
  readonly line: number | null;
  readonly column: number | null;
  /** The line with a caret under the place. */
  readonly snippet: string | null;
  readonly errorSinceMs: number | null;
  readonly contentHash: string | null;
  readonly generation: number;
  readonly inForceSinceMs: number;
}

export function configFile(path: string, { error, errorSinceMs, inForce }: Loaded<unknown>): ConfigFile {
  return {
    path,
    error: error?.message ?? null,
    line: error?.line ?? null,
    column: error?.column ?? null,
    snippet: error?.snippet ?? null,
    errorSinceMs,
    contentHash: inForce.hash,
    generation: inForce.generation,
    inForceSinceMs: inForce.sinceMs,
  };
}

const deadLink = "it is a link that leads nowhere, expected one to a file";

function unreadable(code: string | undefined): string {
  if (code === "EACCES" || code === "EPERM") return "permission denied, expected a file that this user can read";
  if (code === "EISDIR") return "it is a folder, expected a file";
  if (code === "ELOOP") return "its link leads in a circle, expected one to a file";
  return `${code}, expected a readable file`;
}
