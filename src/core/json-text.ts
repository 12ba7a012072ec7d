/** A part of a text, from `start` up to but not including `end`. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

/** One `"key": value` of an object. The span is the value's; `keyStart` is where the key's quote opens. */
export interface Member extends Span {
  readonly key: string;
  readonly keyStart: number;
}

/** A text that Python's `json.loads` would refuse, too. */
export class JsonTextError extends SyntaxError {
  override readonly name = "JsonTextError";
  readonly offset: number;
  constructor(message: string, offset: number) {
    super(message);
    this.offset = offset;
  }
}

/** Python gives up at its recursion limit of 1000 frames, a few of which its caller has used. */
const depthMax = 980;
/** Python refuses to read an integer of more digits. */
const integerDigitsMax = 4300;

/** Where the objects and arrays of a text's upper levels begin, and what is in them. */
export interface Outline {
  readonly root: Span;
  readonly members: ReadonlyMap<number, readonly Member[]>;
  readonly items: ReadonlyMap<number, readonly Span[]>;
}

interface Scan {
  readonly text: string;
  /** The first backslash behind the string last looked at, so that a text without any is searched for one only once. */
  backslash: number;
  /** How many levels go into the outline. */
  readonly levels: number;
  readonly members: Map<number, readonly Member[]>;
  readonly items: Map<number, readonly Span[]>;
}

const number = /-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?/y;
const literals: Readonly<Record<string, readonly string[]>> = {
  t: ["true"],
  f: ["false"],
  n: ["null"],
  N: ["NaN"],
  I: ["Infinity"],
  "-": ["-Infinity"],
};

/**
 * Reads the one value from `from` on, which blanks may surround, and says where things stand in its upper `levels`.
 * Throws JsonTextError where Python would refuse the text.
 */
export function outlineDocument(text: string, from: number, levels: number): Outline {
  const start = skipBlanks(text, from);
  if (start >= text.length) throw new JsonTextError("there is no text", start);
  const scan = newScan(text, start, levels);
  const end = skipValue(scan, start, 0);
  const rest = skipBlanks(text, end);
  if (rest < text.length) throw new JsonTextError("there is more text after the end of the document", rest);
  return { root: { start, end }, members: scan.members, items: scan.items };
}

/** The members of the object that opens at `start`, in the order of the text and with every repetition of a key. */
export function membersOf(text: string, start: number): readonly Member[] {
  const scan = newScan(text, start, 1);
  scanObject(scan, start, 0);
  return scan.members.get(start) ?? [];
}

/** The member that counts when a key is repeated: the last one, as in Python. */
export function memberNamed(members: readonly Member[], key: string): Member | null {
  return members.findLast((member) => member.key === key) ?? null;
}

/**
 * The value of a span that was scanned before. Numbers become JavaScript's, so it serves to look at, never to write back.
 * Line ends inside a string become `\n`, because Python reads the file that way.
 */
export function toValue(text: string, span: Span): unknown {
  const own = text.slice(span.start, span.end);
  try {
    return JSON.parse(own);
  } catch {
    return looseValue(own, 0);
  }
}

/** A string as Python prints it: `ascii` escapes everything but the printable ASCII characters. Half a surrogate pair becomes U+FFFD. */
export function printString(value: string, ascii: boolean): string {
  const literal = JSON.stringify(value.toWellFormed());
  return ascii ? literal.replace(/[^ -~]/g, escapeUnit) : literal;
}

/** `text` with each span replaced; the edits are in the order of the text and do not overlap. */
export function spliceText(text: string, edits: readonly (Span & { readonly text: string })[]): string {
  const pieces: string[] = [];
  let at = 0;
  for (const edit of edits) {
    pieces.push(text.slice(at, edit.start), edit.text);
    at = edit.end;
  }
  pieces.push(text.slice(at));
  return pieces.join("");
}

/** Line and column of an offset, both from 1. A line ends at `\n`, `\r` or both together. */
export function placeOf(text: string, offset: number): { readonly line: number; readonly column: number } {
  let line = 1;
  let lineStart = 0;
  for (const lineEnd of text.slice(0, offset).matchAll(/\r\n?|\n/g)) {
    line += 1;
    lineStart = lineEnd.index + lineEnd[0].length;
  }
  return { line, column: offset - lineStart + 1 };
}

function newScan(text: string, start: number, levels: number): Scan {
  return { text, backslash: start - 1, levels, members: new Map(), items: new Map() };
}

function skipBlanks(text: string, at: number): number {
  for (let index = at; ; index += 1) {
    const code = text.charCodeAt(index);
    if (code !== 32 && code !== 10 && code !== 13 && code !== 9) return index;
  }
}

function skipValue(scan: Scan, at: number, depth: number): number {
  const { text } = scan;
  switch (text[at]) {
    case '"':
      return skipString(scan, at);
    case "{":
      return scanObject(scan, at, depth);
    case "[":
      return scanArray(scan, at, depth);
    case undefined:
      throw new JsonTextError("the text ends where a value should stand", at);
    default:
      return skipLiteral(text, at) ?? skipNumber(text, at);
  }
}

function skipLiteral(text: string, at: number): number | null {
  for (const literal of literals[text.charAt(at)] ?? []) {
    if (text.startsWith(literal, at)) return at + literal.length;
  }
  return null;
}

function skipNumber(text: string, at: number): number {
  number.lastIndex = at;
  const found = number.exec(text);
  if (found === null) throw new JsonTextError("there is no value here", at);
  const [token, fraction, exponent] = found;
  if (token.length > integerDigitsMax && fraction === undefined && exponent === undefined) {
    if (token.replace("-", "").length > integerDigitsMax) {
      throw new JsonTextError(`the integer has more than ${integerDigitsMax} digits`, at);
    }
  }
  return at + token.length;
}

function skipString(scan: Scan, at: number): number {
  const { text } = scan;
  let from = at + 1;
  for (;;) {
    const quote = indexOrEnd(text, '"', from);
    if (scan.backslash < from) scan.backslash = indexOrEnd(text, "\\", from);
    if (scan.backslash < quote) {
      from = skipEscape(text, scan.backslash, at);
    } else if (quote < text.length) {
      return quote + 1;
    } else {
      throw unfinishedString(at);
    }
  }
}

function indexOrEnd(text: string, sought: string, from: number): number {
  const index = text.indexOf(sought, from);
  return index === -1 ? text.length : index;
}

function skipEscape(text: string, at: number, stringStart: number): number {
  const letter = text.charAt(at + 1);
  if (letter === "") throw unfinishedString(stringStart);
  if ('"\\/bfnrt'.includes(letter)) return at + 2;
  if (letter !== "u") throw new JsonTextError("the backslash here begins no escape that JSON has", at);
  if (at + 6 >= text.length) throw new JsonTextError("the text ends in this escape", at + 1);
  if (/^[0-9a-fA-F]{4}$/.test(text.slice(at + 2, at + 6))) return at + 6;
  throw new JsonTextError("four hexadecimal digits should follow here", at + 1);
}

function unfinishedString(start: number): JsonTextError {
  return new JsonTextError("the string that opens here never ends", start);
}

function scanObject(scan: Scan, start: number, depth: number): number {
  const { text } = scan;
  const members: Member[] | null = depth < scan.levels ? [] : null;
  if (members !== null) scan.members.set(start, members);
  if (depth >= depthMax) throw new JsonTextError(`there are more than ${depthMax} levels in each other`, start);
  let at = skipBlanks(text, start + 1);
  if (text[at] === "}") return at + 1;
  for (;;) {
    if (text[at] !== '"') throw new JsonTextError("a key in double quotes should stand here", at);
    const keyStart = at;
    const keyEnd = skipString(scan, at);
    at = skipBlanks(text, keyEnd);
    if (text[at] !== ":") throw new JsonTextError("a colon should stand here", at);
    const valueStart = skipBlanks(text, at + 1);
    const end = skipValue(scan, valueStart, depth + 1);
    if (members !== null) {
      members.push({ key: keyText(text, keyStart, keyEnd), keyStart, start: valueStart, end });
    }
    at = skipBlanks(text, end);
    if (text[at] === "}") return at + 1;
    if (text[at] !== ",") throw new JsonTextError("a comma or a closing brace should stand here", at);
    at = skipBlanks(text, at + 1);
  }
}

function scanArray(scan: Scan, start: number, depth: number): number {
  const { text } = scan;
  const items: Span[] | null = depth < scan.levels ? [] : null;
  if (items !== null) scan.items.set(start, items);
  if (depth >= depthMax) throw new JsonTextError(`there are more than ${depthMax} levels in each other`, start);
  let at = skipBlanks(text, start + 1);
  if (text[at] === "]") return at + 1;
  for (;;) {
    const end = skipValue(scan, at, depth + 1);
    items?.push({ start: at, end });
    at = skipBlanks(text, end);
    if (text[at] === "]") return at + 1;
    if (text[at] !== ",") throw new JsonTextError("a comma or a closing bracket should stand here", at);
    at = skipBlanks(text, at + 1);
  }
}

function keyText(text: string, start: number, end: number): string {
  return String(toValue(text, { start, end }));
}

/** For what Python reads and `JSON.parse` does not: NaN, the infinities and control characters in strings. */
function looseValue(text: string, start: number): unknown {
  switch (text[start]) {
    case "{":
      return Object.fromEntries(membersOf(text, start).map((member) => [member.key, toValue(text, member)] as const));
    case "[":
      return (outlineDocument(text, start, 1).items.get(start) ?? []).map((item) => toValue(text, item));
    case '"':
      return JSON.parse(text.replace(/\r\n?/g, "\n").replace(/[\u0000-\u001f]/g, escapeUnit));
    default:
      return Number(text);
  }
}

function escapeUnit(unit: string): string {
  return `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`;
}
