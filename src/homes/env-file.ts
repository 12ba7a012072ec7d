import { type Files, kindTexts } from "../system/files.ts";

/** A `.env` file that no process could be given. */
export class EnvFileError extends Error {
  override readonly name = "EnvFileError";
  readonly path: string;
  readonly line: number | null;
  constructor(path: string, line: number | null, problem: string) {
    super(`Cannot read variables "${path}"${line === null ? "" : ` at line ${line}`}: ${problem}`);
    this.path = path;
    this.line = line;
  }
}

export interface EnvAssignment {
  readonly name: string;
  /** Null when the line only names it (`export NAME`): then it sets nothing. */
  readonly value: string | null;
  readonly line: number;
}

export interface EnvFile {
  readonly assignments: readonly EnvAssignment[];
  /** Lines where a statement begins that says nothing readable. Hermes skips those too. */
  readonly badLines: readonly number[];
}

// Python's idea of white space, which is not JavaScript's: U+001C to U+001F and U+0085 count, U+FEFF does not.
const space = " \\t\\n\\v\\f\\r\\x1c-\\x1f\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000";
const blank = " \\t\\v\\f\\x1c-\\x1f\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000";

// The patterns of python-dotenv's parser, in the order in which it tries them.
const patterns = {
  leading: new RegExp(`[${space}]*`, "y"),
  export: new RegExp(`(?:export[${blank}]+)?`, "y"),
  quotedKey: /'([^']+)'/y,
  bareKey: new RegExp(`([^=#${space}]+)`, "y"),
  blanks: new RegExp(`[${blank}]*`, "y"),
  equals: new RegExp(`=[${blank}]*`, "y"),
  singleQuoted: /'((?:\\'|[^'])*)'/y,
  doubleQuoted: /"((?:\\"|[^"])*)"/y,
  bareValue: /([^\r\n]*)/y,
  comment: new RegExp(`(?:[${blank}]*#[^\\r\\n]*)?`, "y"),
  lineEnd: new RegExp(`[${blank}]*(?:\\r\\n|\\n|\\r|$)`, "y"),
  restOfLine: /[^\r\n]*(?:\r|\n|\r\n)?/y,
};
const trailingComment = new RegExp(`[${space}]+#[^\\n]*`);
const edgeSpace = new RegExp(`^[${space}]+|[${space}]+$`, "g");
const trailingSpace = new RegExp(`[${space}]+$`);

const escapes: ReadonlyMap<string, string> = new Map([
  ["a", "\x07"],
  ["b", "\b"],
  ["f", "\f"],
  ["n", "\n"],
  ["r", "\r"],
  ["t", "\t"],
  ["v", "\v"],
]);

const bytesMax = 1024 * 1024;

/** The home's `.env`, or null when there is none. Throws an `EnvFileError` when there is one that cannot be used. */
export function readEnvFile(files: Files, path: string): EnvFile | null {
  try {
    const stat = files.stat(path);
    if (stat === null) return null;
    // Reading a pipe would wait for ever.
    if (stat.kind !== "file") throw new EnvFileError(path, null, `it is no plain file but ${kindTexts[stat.kind]}`);
    if (stat.sizeBytes > bytesMax)
      throw new EnvFileError(path, null, `it has more than ${bytesMax} bytes, expected at most that`);
    return parseEnvFile(files.read(path), path);
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code;
    if (code === undefined) throw cause;
    if (code === "ENOENT") return null;
    throw new EnvFileError(path, null, `${code}, expected a file that this user can read`);
  }
}

/**
 * Reads a home's `.env` as Hermes does: the bytes as UTF-8, with or without a BOM, UTF-16 with one, else Latin-1; each
 * line stripped; then the grammar of python-dotenv 1.x. Hermes removes NUL characters and rewrites the file; we refuse them.
 */
export function parseEnvFile(content: Uint8Array | string, path: string): EnvFile {
  const text = typeof content === "string" ? content.replace(/^\uFEFF/, "") : decode(content);
  const nul = text.indexOf("\0");
  if (nul !== -1) {
    const line = text.slice(0, nul).split(/\r\n|\n|\r/).length;
    throw new EnvFileError(path, line, "a NUL character is in it, expected text only");
  }
  return parseStatements(stripLines(text));
}

function decode(content: Uint8Array): string {
  const [first, second] = content;
  if (first === 0xff && second === 0xfe) return new TextDecoder("utf-16le").decode(content);
  if (first === 0xfe && second === 0xff) return new TextDecoder("utf-16be").decode(content);
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(content);
  } catch {
    // Not TextDecoder's "latin1", which is windows-1252.
    return Buffer.from(content).toString("latin1");
  }
}

/** What Hermes does to the file before it parses it: each line without the white space at its ends, comments as they are. */
function stripLines(text: string): string {
  const lines = text.split(/\r\n|\n|\r/);
  const ended = lines.at(-1) === "";
  const kept = (ended ? lines.slice(0, -1) : lines).map((line) => {
    const stripped = line.replace(edgeSpace, "");
    return stripped === "" || stripped.startsWith("#") ? line : stripped;
  });
  return kept.map((line) => `${line}\n`).join("");
}

function parseStatements(text: string): EnvFile {
  const assignments: EnvAssignment[] = [];
  const badLines: number[] = [];
  let at = 0;
  let line = 1;
  let startLine = 1;

  function read(pattern: RegExp): readonly string[] | null {
    pattern.lastIndex = at;
    const match = pattern.exec(text);
    if (match === null) return null;
    at += match[0].length;
    line += match[0].match(/\r\n|\n|\r/g)?.length ?? 0;
    return match;
  }

  function readValue(): string | null {
    const first = text[at];
    if (first === "'") {
      const quoted = read(patterns.singleQuoted)?.[1];
      return quoted === undefined ? null : quoted.replace(/\\[\\']/g, (sequence) => sequence.slice(1));
    }
    if (first === '"') {
      const quoted = read(patterns.doubleQuoted)?.[1];
      return quoted === undefined
        ? null
        : quoted.replace(/\\[\\'"abfnrtv]/g, (sequence) => escapes.get(sequence.slice(1)) ?? sequence.slice(1));
    }
    if (first === undefined || first === "\n" || first === "\r") return "";
    return (read(patterns.bareValue)?.[1] ?? "").replace(trailingComment, "").replace(trailingSpace, "");
  }

  /** False when the statement does not follow the grammar. */
  function readStatement(): boolean {
    read(patterns.leading);
    if (at >= text.length) return true;
    startLine = line;
    read(patterns.export);
    let name: string | null = null;
    if (text[at] !== "#") {
      name = read(text[at] === "'" ? patterns.quotedKey : patterns.bareKey)?.[1] ?? null;
      if (name === null) return false;
    }
    read(patterns.blanks);
    let value: string | null = null;
    if (text[at] === "=") {
      read(patterns.equals);
      value = readValue();
      if (value === null) return false;
    }
    read(patterns.comment);
    if (read(patterns.lineEnd) === null) return false;
    if (name !== null) assignments.push({ name, value, line: startLine });
    return true;
  }

  while (at < text.length) {
    if (!readStatement()) {
      badLines.push(startLine);
      read(patterns.restOfLine);
    }
  }
  return { assignments, badLines };
}

/**
 * The variables that the file sets. `${NAME}` and `${NAME:-default}` are replaced, in any kind of quotes, as python-dotenv
 * does it: from what the file has set so far, else from `base`. Later assignments win.
 */
export function resolveEnvFile(
  file: EnvFile,
  base: Readonly<Record<string, string>>,
): Readonly<Record<string, string>> {
  const resolved = new Map<string, string | null>();
  for (const { name, value } of file.assignments) {
    if (value === null) {
      resolved.set(name, null);
      continue;
    }
    const result = value.replace(/\$\{([^}:]*)(?::-([^}]*))?\}/g, (_, inner: string, fallback: string | undefined) => {
      if (resolved.has(inner)) return resolved.get(inner) ?? "";
      return Object.hasOwn(base, inner) ? (base[inner] ?? "") : (fallback ?? "");
    });
    resolved.set(name, result);
  }
  return Object.fromEntries([...resolved].filter((entry): entry is [string, string] => entry[1] !== null));
}
