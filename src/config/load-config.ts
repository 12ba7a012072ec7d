import { type FileIdentity, type FileStat, type Files, sameFile } from "../system/files.ts";
import { type ConfigLayer, emptyLayer, type HomeConfig, parseHomeConfig, parseHostConfig } from "./parse-config.ts";
import { ConfigError, configBytesMax } from "./yaml-text.ts";

/** What the last look at a file gave. A bad file leaves the last good value in force. */
export interface Loaded<T> {
  readonly value: T;
  readonly state: "ok" | "invalid";
  readonly error: ConfigError | null;
  /** What was read last, good or bad; null when there was no file. */
  readonly identity: FileIdentity | null;
}

export function loadHostConfig(files: Files, path: string, last: Loaded<ConfigLayer> | null): Loaded<ConfigLayer> {
  return load(files, path, last, parseHostConfig, () => emptyLayer);
}

export function loadHomeConfig(files: Files, path: string, last: Loaded<HomeConfig> | null): Loaded<HomeConfig> {
  return load(files, path, last, parseHomeConfig, () => ({ hermes: {}, section: emptyLayer }));
}

/** Costs one `stat` while the file is as it was: a tick can ask each time. A file that is gone counts as an empty one. */
function load<T>(
  files: Files,
  path: string,
  last: Loaded<T> | null,
  parse: (content: Uint8Array, path: string) => T,
  empty: () => T,
): Loaded<T> {
  let identity: FileStat | null = null;
  try {
    identity = files.stat(path);
    if (last !== null && sameFile(last.identity, identity)) return last;
    if (identity === null) return { value: empty(), state: "ok", error: null, identity: null };
    // Reading a pipe would wait for ever, and a huge file would fill the memory before it could be refused.
    if (identity.kind !== "file") throw new ConfigError(path, null, `it is no plain file but a ${identity.kind}`, null);
    const content =
      identity.sizeBytes > configBytesMax ? files.readPart(path, 0, configBytesMax + 1) : files.read(path);
    return { value: parse(content, path), state: "ok", error: null, identity };
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code;
    if (code === "ENOENT") return { value: empty(), state: "ok", error: null, identity: null };
    if (!(cause instanceof ConfigError) && code === undefined) throw cause;
    const error = cause instanceof ConfigError ? cause : new ConfigError(path, null, unreadable(code), null);
    return { value: last?.value ?? empty(), state: "invalid", error, identity };
  }
}

function unreadable(code: string | undefined): string {
  if (code === "EACCES" || code === "EPERM") return "permission denied, expected a file that this user can read";
  if (code === "EISDIR") return "it is a folder, expected a file";
  return `${code}, expected a readable file`;
}
