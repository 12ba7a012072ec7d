import {
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  parseDocument,
  type YAMLMap,
} from "yaml";

/** Where something stands in a file; both count from 1. */
export interface Place {
  readonly line: number;
  readonly column: number;
}

/** A configuration that cannot be used. The message is one line; `snippet` shows the line with a caret below it. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
  readonly path: string;
  readonly line: number | null;
  readonly column: number | null;
  /** What is wrong and what was expected, without the place. */
  readonly problem: string;
  readonly snippet: string | null;
  /** Everything else that is wrong in the same file, in the order of the file. */
  readonly others: readonly ConfigError[];

  constructor(
    path: string,
    place: Place | null,
    problem: string,
    snippet: string | null,
    others: readonly ConfigError[] = [],
  ) {
    const where = place === null ? "" : ` at line ${place.line}, column ${place.column}`;
    super(`Cannot read config "${path}"${where}: ${problem}`);
    this.path = path;
    this.line = place?.line ?? null;
    this.column = place?.column ?? null;
    this.problem = problem;
    this.snippet = snippet;
    this.others = others;
  }
}

export interface YamlText {
  readonly path: string;
  /** The root as plain data; null for an empty file. Keys are as they are written, so `on` stays `on`. */
  readonly value: unknown;
  /** Where the value (or, if asked for, the key) at `keys` stands; the nearest enclosing thing when it is not there. */
  placeOf(keys: readonly (string | number)[], part: "key" | "value"): Place;
  errorAt(place: Place | null, problem: string, others?: readonly ConfigError[]): ConfigError;
}

export const configBytesMax = 1024 * 1024;
const depthMax = 100;
const nodesMax = 200_000;
/** A line may hold a credential that somebody put there: what follows such a key is not shown. */
const secretValue = /((?:key|token|secret|password|passwd|credential)s?["']?\s*[:=]\s*)(\S.*)$/i;

/**
 * Reads YAML that others wrote and refuses what could mislead or hurt: tabs, duplicate keys, alias bombs, bytes that are
 * no UTF-8. Hermes reads YAML 1.1, where `yes` is true; our own file is YAML 1.2.
 */
export function parseYamlText(content: Uint8Array | string, path: string, version: "1.1" | "1.2"): YamlText {
  const text = decode(content, path);
  const errorAt = (place: Place | null, problem: string, others: readonly ConfigError[] = []) =>
    new ConfigError(path, place, problem, place === null ? null : snippet(text, place), others);

  const nul = text.indexOf("\0");
  if (nul !== -1) throw errorAt(placeAt(text, nul), "a NUL character is in it, expected text only");
  const deep = tooDeepAt(text);
  if (deep !== null)
    throw errorAt(placeAt(text, deep), `nested deeper than ${depthMax} levels, expected at most ${depthMax}`);

  const lines = new LineCounter();
  // Duplicates are looked for below: the parser's own check compares each key with each other one.
  const document = parseDocument(text, {
    version,
    lineCounter: lines,
    uniqueKeys: false,
    prettyErrors: false,
    logLevel: "error",
  });
  const place = (offset: number): Place => {
    const { line, col } = lines.linePos(offset);
    return { line: Math.max(line, 1), column: Math.max(col, 1) };
  };
  const first = document.errors[0];
  if (first !== undefined) {
    // What is missing at the end is shown behind the last of the text, and not below an empty line.
    const at = Math.min(first.pos[0], text.trimEnd().length);
    throw errorAt(place(at), `not valid YAML: ${explain(first.code, first.message)}`);
  }

  const value = toPlainData(document, version, (node, problem) => errorAt(place(startOf(node)), problem));
  return { path, value, errorAt, placeOf: (keys, part) => place(offsetOf(document, keys, part)) };
}

function decode(content: Uint8Array | string, path: string): string {
  const length = typeof content === "string" ? Buffer.byteLength(content) : content.byteLength;
  if (length > configBytesMax) {
    throw new ConfigError(path, null, `it has more than ${configBytesMax} bytes, expected at most that`, null);
  }
  if (typeof content === "string") return content.replace(/^\uFEFF/, "");
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(content);
  } catch {
    const lossy = new TextDecoder("utf-8").decode(content);
    throw new ConfigError(
      path,
      placeAt(lossy, firstDamage(content, lossy)),
      "it is not UTF-8, expected text in UTF-8",
      null,
    );
  }
}

/** Index of the first character that stands for damaged bytes: a U+FFFD that the file itself does not spell out. */
function firstDamage(content: Uint8Array, lossy: string): number {
  let bytes = content[0] === 0xef && content[1] === 0xbb && content[2] === 0xbf ? 3 : 0;
  let index = 0;
  for (const character of lossy) {
    const spelt = content[bytes] === 0xef && content[bytes + 1] === 0xbf && content[bytes + 2] === 0xbd;
    if (character === "\uFFFD" && !spelt) return index;
    bytes += Buffer.byteLength(character);
    index += character.length;
  }
  return index;
}

function placeAt(text: string, index: number): Place {
  const before = text.slice(0, index);
  return { line: before.split("\n").length, column: index - before.lastIndexOf("\n") };
}

/** A parser that recurses takes seconds for a hundred thousand open brackets: they are counted first. */
function tooDeepAt(text: string): number | null {
  let open = 0;
  for (let index = 0; index < text.length; index++) {
    const character = text[index];
    if (character === "[" || character === "{") open++;
    else if ((character === "]" || character === "}") && open > 0) open--;
    // Brackets in quoted text count here too, so the bound is far above that of the data.
    if (open > 10 * depthMax) return index;
  }
  return null;
}

function explain(code: string, message: string): string {
  if (code === "TAB_AS_INDENT") return "a tab is used for indentation, expected spaces";
  if (code === "MULTIPLE_DOCS") return "a second document begins here, expected one document";
  if (code === "RESOURCE_EXHAUSTION") return `nested too deep, expected at most ${depthMax} levels`;
  return message.charAt(0).toLowerCase() + message.slice(1).replace(/\.$/, "");
}

function snippet(text: string, place: Place): string {
  const line = (text.split("\n")[place.line - 1] ?? "").replace(/\r$/, "");
  const hidden = line.replace(
    secretValue,
    (_, before: string, value: string) => before + "*".repeat(Math.min(value.length, 8)),
  );
  const start = Math.max(0, place.column - 60);
  const shown = hidden.slice(start, start + 100).replaceAll("\t", "→");
  const number = String(place.line);
  return `${number} | ${shown}\n${" ".repeat(number.length)} | ${" ".repeat(Math.max(0, place.column - 1 - start))}^`;
}

function startOf(node: unknown): number {
  return (node as Node | null)?.range?.[0] ?? 0;
}

function keyText(key: unknown): string | null {
  return isScalar(key) ? (key.source ?? String(key.value)) : null;
}

function toPlainData(
  document: Document,
  version: string,
  error: (node: unknown, problem: string) => ConfigError,
): unknown {
  const anchors = new Map<string, Node>();
  let nodes = 0;
  /** The alias of the text itself that is being followed: what it leads to stands elsewhere and may be innocent. */
  let expanding: unknown = null;

  function convert(node: unknown, depth: number, open: readonly unknown[]): unknown {
    if (++nodes > nodesMax)
      throw error(expanding ?? node, `its aliases expand to more than ${nodesMax} values, expected fewer`);
    if (depth > depthMax) throw error(node, `nested deeper than ${depthMax} levels, expected at most ${depthMax}`);
    if (isAlias(node)) {
      const target = anchors.get(node.source);
      if (target === undefined)
        throw error(node, `alias "*${node.source}" has no anchor before it, expected "&${node.source}" above`);
      if (open.includes(target))
        throw error(node, `alias "*${node.source}" stands inside its own anchor, expected another value`);
      const outer = expanding;
      expanding ??= node;
      const value = convert(target, depth + 1, open);
      expanding = outer;
      return value;
    }
    if (isScalar(node)) {
      if (node.anchor !== undefined) anchors.set(node.anchor, node);
      return node.value;
    }
    if (isSeq(node)) {
      if (node.anchor !== undefined) anchors.set(node.anchor, node);
      return node.items.map((item) => convert(item, depth + 1, [...open, node]));
    }
    if (isMap(node)) {
      if (node.anchor !== undefined) anchors.set(node.anchor, node);
      return convertMap(node, depth, [...open, node]);
    }
    return null;
  }

  function convertMap(map: YAMLMap, depth: number, open: readonly unknown[]): Record<string, unknown> {
    const own = new Map<string, unknown>();
    const merged = new Map<string, unknown>();
    const lineOf = new Map<string, unknown>();
    for (const pair of map.items) {
      const key = keyText(isAlias(pair.key) ? anchors.get(pair.key.source) : pair.key);
      if (key === null) throw error(pair.key, "a key is no plain text, expected a name");
      const value = convert(pair.value, depth + 1, open);
      if (version === "1.1" && key === "<<") {
        for (const source of Array.isArray(value) ? value : [value]) {
          if (typeof source !== "object" || source === null)
            throw error(pair.value, "only a mapping can be merged with <<");
          for (const [name, inherited] of Object.entries(source)) if (!merged.has(name)) merged.set(name, inherited);
        }
        continue;
      }
      if (lineOf.has(key)) throw error(pair.key, `key "${key}" is there twice, expected once`);
      lineOf.set(key, pair.key);
      own.set(key, value);
    }
    return Object.fromEntries([...merged, ...own]);
  }

  return convert(document.contents, 0, []);
}

function offsetOf(document: Document, keys: readonly (string | number)[], part: "key" | "value"): number {
  let node: unknown = document.contents;
  let offset = startOf(node);
  for (const [index, key] of keys.entries()) {
    if (isMap(node)) {
      const pair = node.items.find((item) => keyText(item.key) === String(key));
      if (pair === undefined) return offset;
      node = pair.value;
      const last = index === keys.length - 1;
      offset = startOf((last && part === "key") || (node as Node | null)?.range === undefined ? pair.key : node);
    } else if (isSeq(node)) {
      node = node.items[Number(key)];
      if (node === undefined) return offset;
      offset = startOf(node);
    } else {
      return offset;
    }
  }
  return offset;
}
