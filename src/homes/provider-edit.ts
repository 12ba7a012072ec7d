import { isDeepStrictEqual } from "node:util";
import { type Document, isAlias, isMap, isScalar, type Node, type Pair, parseDocument, type YAMLMap } from "yaml";

/** The name under which Hermes finds the plugin: its folder below `<home>/plugins/`. */
export const providerName = "hermes-supervisor";

/** A text edit of one place, kept so that it can be undone. Offsets count UTF-16 units. */
export interface ProviderEdit {
  readonly at: number;
  readonly removed: string;
  readonly inserted: string;
  /** Where our value begins in `inserted`: what finds the place again after somebody else's edits. */
  readonly valueAt: number;
  /** `cron.provider` as it was, as plain data; left out where there was none. */
  readonly before?: unknown;
}

/** A config.yaml that cannot be edited. The message is the part behind `Cannot edit "<path>": `. */
export class ProviderEditError extends Error {
  override readonly name = "ProviderEditError";
}

/** What Hermes takes for its own ticker. */
const builtIn: ReadonlySet<string> = new Set(["", "builtin", "in-process", "inprocess"]);

export interface GatewaySettings {
  /** What `cron.provider` selects, "" for Hermes' own ticker. */
  readonly provider: string;
  /** The profile has asked to be left alone by everybody but its own gateway. */
  readonly standalone: boolean;
  /** Plugins run in a process of their own, where they reach no ticker. */
  readonly isolatesPlugins: boolean;
}

/** What a config.yaml says about a gateway's ticker. Throws ProviderEditError for a file that cannot be read. */
export function readGatewaySettings(text: string): GatewaySettings {
  const root = plain(parse(text));
  const at = (section: string, key: string): unknown => {
    const value = root[section];
    return isRecord(value) ? value[key] : undefined;
  };
  return {
    provider: nameOf(at("cron", "provider")),
    standalone: at("gateway", "standalone") === true,
    isolatesPlugins: at("plugins", "isolation") === "host",
  };
}

function nameOf(value: unknown): string {
  const name = value === null || value === undefined ? "" : String(value).trim();
  return builtIn.has(name) ? "" : name;
}

/**
 * The edit that makes `cron.provider` ours and changes nothing else; null when it is ours already. Throws ProviderEditError where
 * another provider is selected, and where nothing safe can be done. Comments, order, quoting and line ends stay.
 */
export function planProviderEdit(text: string): ProviderEdit | null {
  const current = readGatewaySettings(text).provider;
  if (current === providerName) return null;
  if (current !== "") {
    throw new ProviderEditError(
      `cron.provider is "${current}", expected none: its jobs would fire twice or never. Remove that line, if it is no longer wanted, and attach again`,
    );
  }
  const document = parse(text);
  const before = plain(document);
  const cron = isRecord(before["cron"]) ? before["cron"] : {};
  const had = Object.hasOwn(cron, "provider") ? { before: cron["provider"] } : {};
  const wanted = { ...before, cron: { ...cron, provider: providerName } };
  for (const edit of proposals(text, document)) {
    if (isDeepStrictEqual(dataAfter(applyEdit(text, edit)), wanted)) return { ...edit, ...had };
  }
  throw new ProviderEditError(
    `no place was found where cron.provider could be set without changing anything else, expected a plain "cron:" section. Set "provider: ${providerName}" there by hand and attach again`,
  );
}

export function applyEdit(text: string, edit: ProviderEdit): string {
  return text.slice(0, edit.at) + edit.inserted + text.slice(edit.at + edit.removed.length);
}

/**
 * The text without our setting. A file that is as we left it comes back byte for byte; in one that was edited since, only what we
 * put in goes. Null when another provider, or none, is set by now: then it is not ours to change.
 */
export function undoProviderEdit(text: string, edit: ProviderEdit): string | null {
  if (readGatewaySettings(text).provider !== providerName) return null;
  const document = parse(text);
  const now = plain(document);
  const cron = isRecord(now["cron"]) ? now["cron"] : {};
  const { provider: _, ...rest } = cron;
  const wanted = Object.hasOwn(edit, "before") ? { ...rest, provider: edit.before } : rest;
  const { cron: __, ...others } = now;
  const accepted: unknown[] = [{ ...now, cron: wanted }];
  // A section with nothing in it means what no section means.
  if (Object.keys(wanted).length === 0) accepted.push({ ...now, cron: null }, others);

  const pair = providerPair(document);
  const value = pair?.value;
  if (pair === null || !isScalar(value) || !value.range) throw cannotUndo();
  const start = value.range[0] - edit.valueAt;
  const candidates: string[] = [];
  if (text.slice(start, start + edit.inserted.length) === edit.inserted) {
    candidates.push(text.slice(0, start) + edit.removed + text.slice(start + edit.inserted.length));
  }
  const keyStart = (pair.key as Node).range?.[0] ?? 0;
  if (edit.removed !== "") candidates.push(splice(text, value.range[0], value.range[1], edit.removed));
  candidates.push(splice(text, lineStart(text, keyStart), lineEnd(text, value.range[1]), ""));
  candidates.push(withoutFlowPair(text, keyStart, value.range[1]));
  for (const candidate of candidates) {
    if (accepted.some((data) => isDeepStrictEqual(dataAfter(candidate), data))) return candidate;
  }
  throw cannotUndo();
}

function cannotUndo(): ProviderEditError {
  return new ProviderEditError(
    `the setting was moved and can no longer be taken out alone. Remove "provider: ${providerName}" from its cron section by hand and detach again`,
  );
}

/** Ways of setting it, the plainest first; whoever asks checks that one says what it is meant to. */
function* proposals(text: string, document: Document): Generator<ProviderEdit> {
  const eol = text.includes("\r\n") ? "\r\n" : "\n";
  const root = document.contents;
  if (!isMap(root)) {
    yield section(text, text.length, eol);
    return;
  }
  const pair = root.items.find((item) => keyOf(item) === "cron");
  if (pair === undefined) {
    if (root.flow) yield insertInFlow(text, root, "cron: {", "}");
    else {
      yield section(text, text.length, eol);
      yield section(text, lineStart(text, root.range?.[0] ?? 0), eol);
    }
    return;
  }
  const cron = pair.value;
  if (isMap(cron)) {
    const own = cron.items.find((item) => keyOf(item) === "provider");
    if (own !== undefined) yield* replaceValue(text, own, providerName, 0);
    else if (cron.flow) yield insertInFlow(text, cron, "", "");
    else {
      const first = (cron.items[0]?.key as Node | undefined)?.range?.[0] ?? 0;
      const indent = text.slice(lineStart(text, first), first);
      const inserted = `${indent}provider: ${providerName}${eol}`;
      const line = { removed: "", inserted, valueAt: inserted.indexOf(providerName) };
      // Below the section's name, so that a comment stays above the key that it is about.
      yield { at: lineEnd(text, (pair.key as Node).range?.[1] ?? 0), ...line };
      yield { at: lineStart(text, first), ...line };
    }
  } else if (!isAlias(cron)) yield* replaceValue(text, pair, `{provider: ${providerName}}`, "{provider: ".length);
}

/** A new value in the place of an old one, or behind the colon where there is none. */
function* replaceValue(text: string, pair: Pair, value: string, valueAt: number): Generator<ProviderEdit> {
  const node = pair.value as Node | null;
  const [from, to] = node?.range ?? [0, 0];
  if (node !== null && to > from) {
    yield { at: from, removed: text.slice(from, to), inserted: value, valueAt };
    return;
  }
  const keyEnd = (pair.key as Node).range?.[1] ?? 0;
  const colon = text.indexOf(":", keyEnd) + 1;
  yield { at: colon, removed: "", inserted: ` ${value}`, valueAt: valueAt + 1 };
}

function insertInFlow(text: string, map: YAMLMap, open: string, close: string): ProviderEdit {
  const at = (map.range?.[0] ?? 0) + 1;
  const isEmpty = map.items.length === 0 && /^\s*\}/.test(text.slice(at));
  const inserted = `${open}provider: ${providerName}${close}${isEmpty ? "" : ", "}`;
  return { at, removed: "", inserted, valueAt: inserted.indexOf(providerName) };
}

function section(text: string, at: number, eol: string): ProviderEdit {
  const isFreshLine = at === 0 || text[at - 1] === "\n" || (at === 1 && text.startsWith("\uFEFF"));
  const inserted = `${isFreshLine ? "" : eol}cron:${eol}  provider: ${providerName}${eol}`;
  return { at, removed: "", inserted, valueAt: inserted.indexOf(providerName) };
}

/** `{a: 1, provider: x}` without its last part and the comma that belongs to it. */
function withoutFlowPair(text: string, from: number, to: number): string {
  const after = /^\s*,[ \t]*/.exec(text.slice(to))?.[0].length ?? 0;
  if (after > 0) return splice(text, from, to + after, "");
  const before = /,?[ \t]*$/.exec(text.slice(0, from))?.[0].length ?? 0;
  return splice(text, from - before, to, "");
}

function providerPair(document: Document): Pair | null {
  const root = document.contents;
  const cron = isMap(root) ? root.items.find((item) => keyOf(item) === "cron")?.value : null;
  return isMap(cron) ? (cron.items.find((item) => keyOf(item) === "provider") ?? null) : null;
}

function keyOf(pair: Pair): string | null {
  return isScalar(pair.key) ? String(pair.key.value) : null;
}

function splice(text: string, from: number, to: number, between: string): string {
  return text.slice(0, from) + between + text.slice(to);
}

function lineStart(text: string, offset: number): number {
  const start = text.lastIndexOf("\n", offset - 1) + 1;
  return start === 0 && text.startsWith("\uFEFF") ? 1 : start;
}

function lineEnd(text: string, offset: number): number {
  const end = text.indexOf("\n", offset);
  return end === -1 ? text.length : end + 1;
}

/** As PyYAML reads it for Hermes: YAML 1.1, where `<<` merges. */
function parse(text: string): Document {
  const document = parseDocument(text, { version: "1.1", merge: true, prettyErrors: false, logLevel: "error" });
  const error = document.errors[0];
  if (error === undefined) return document;
  const before = text.slice(0, error.pos[0]);
  const line = before.split("\n").length;
  const column = before.length - before.lastIndexOf("\n");
  const what = error.message.charAt(0).toLowerCase() + error.message.slice(1).replace(/\.$/, "");
  throw new ProviderEditError(`it is not valid YAML at line ${line}, column ${column}: ${what}. Mend it first`);
}

function plain(document: Document): Readonly<Record<string, unknown>> {
  let value: unknown;
  try {
    value = document.toJS({ maxAliasCount: 1000 });
  } catch (error) {
    const what = error instanceof Error ? error.message : String(error);
    throw new ProviderEditError(`it cannot be read: ${what}. Mend it first`, { cause: error });
  }
  if (value === null || value === undefined) return {};
  if (isRecord(value)) return value;
  throw new ProviderEditError("it holds no settings, expected a mapping of names to values");
}

/** What a changed text means, or null when it means nothing. */
function dataAfter(text: string): unknown {
  try {
    return plain(parse(text));
  } catch (error) {
    if (error instanceof ProviderEditError) return null;
    throw error;
  }
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
