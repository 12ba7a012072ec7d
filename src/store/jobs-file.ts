import { isAscii, isUtf8 } from "node:buffer";
import { parseCronExpression } from "../core/cron-expression.ts";
import { parseInstant } from "../core/instant.ts";
import type { Job, JobPatch, LastDispatch, PendingSlot, StoredClaim, StoredTime } from "../core/job.ts";
import {
  JsonTextError,
  type Member,
  memberNamed,
  membersOf,
  outlineDocument,
  placeOf,
  printString,
  type Span,
  spliceText,
  toValue,
} from "../core/json-text.ts";
import { strip, toAsciiDigits } from "../core/python-text.ts";
import type { Schedule } from "../core/schedule.ts";
import type { Zone } from "../core/zone.ts";

/** A larger file is taken for damaged, and not even read: 32 MiB hold about 25,000 jobs, and reading it again takes most of a second. */
export const jobsFileBytesMax = 32 * 1024 * 1024;
/** A job's id names its output folder; file systems allow 255 bytes. */
const idLengthMax = 200;
const expectedTime = "expected a time such as 2026-11-21T09:00:00+00:00";

/** `jobs.json` holds something that Hermes would refuse to read. It is never written over. */
export class CorruptStoreError extends Error {
  override readonly name = "CorruptStoreError";
  readonly path: string;
  readonly line: number | null;
  readonly column: number | null;
  constructor(path: string, problem: string, place: { readonly line: number; readonly column: number } | null) {
    const where = place === null ? "" : `line ${place.line}, column ${place.column}: `;
    super(`Cannot read jobs "${path}": ${where}${problem}, mend the file or put a good copy in its place`);
    this.path = path;
    this.line = place?.line ?? null;
    this.column = place?.column ?? null;
  }
}

/** What the Hermes that writes this store keeps in a record, as the records themselves show. */
export interface StoreFeatures {
  /** `failure_streak`, `last_failure` and `last_dispatch`, from 0.22 on. */
  readonly runFields: boolean;
}

/** The text of a store, and where its records stand in it. */
export interface JobsFile {
  /** As it stands on disk. */
  readonly source: string;
  /** What a write starts from. A bare list and jobs keyed by id are here already in the one form that every Hermes can write. */
  readonly text: string;
  readonly records: readonly Span[];
  /** One sentence for each entry that is no record. Hermes drops such entries from a list; we leave them where they are. */
  readonly strays: readonly string[];
  /**
   * Set where something stands in place of the records. Hermes 0.22 makes such a file an empty one and writes it over, 0.19
   * and 0.20 stop at it; whoever serves the jobs must take none of them for deleted.
   */
  readonly lost: CorruptStoreError | null;
  /** The value of `updated_at`; where there is none, the empty span behind the last member of the document. */
  readonly updatedAt: Span;
  /** What stands before a new value of `updated_at`: nothing, or a comma and the key. */
  readonly updatedAtLead: string;
}

/** One record of a store in our words, and what it shows about its writer. */
export interface JobRecord {
  readonly job: Job;
  readonly features: StoreFeatures;
}

export const noFeatures: StoreFeatures = { runFields: false };

/**
 * Accepts what Hermes 0.22 accepts. Throws a CorruptStoreError for everything else, and nothing but that.
 * Gives back `previous` if the text is still the same.
 */
export function parseJobsFile(bytes: Uint8Array, path: string, previous: JobsFile | null): JobsFile {
  if (bytes.length > jobsFileBytesMax) throw tooLarge(path, bytes.length);
  const text = decode(bytes, path);
  if (text === previous?.source) return previous;
  const from = text.startsWith("\ufeff") ? 1 : 0;
  const refusal = (problem: string, offset: number): CorruptStoreError =>
    new CorruptStoreError(path, problem, placeOf(text.slice(from), offset - from));
  try {
    const { loss, ...file } = locateRecords(text, from);
    return { source: text, ...file, lost: loss === null ? null : refusal(loss.problem, loss.offset) };
  } catch (error) {
    if (!(error instanceof JsonTextError)) throw error;
    throw refusal(error.message, error.offset);
  }
}

export function tooLarge(path: string, sizeBytes: number): CorruptStoreError {
  return new CorruptStoreError(path, `it has ${sizeBytes} bytes, expected at most ${jobsFileBytesMax}`, null);
}

/** The file with the records at some indexes replaced, and with a new `updated_at`. */
export function editJobsFile(file: JobsFile, changed: ReadonlyMap<number, string>, updatedAt: string): JobsFile {
  const stamp = printString(updatedAt, true);
  const edits: (Span & { readonly text: string })[] = [];
  const records: Span[] = [];
  let stamped: Span = file.updatedAt;
  let shift = 0;
  const parts = [...file.records.map((span, index) => ({ span, text: changed.get(index), isRecord: true }))];
  parts.push({ span: file.updatedAt, text: file.updatedAtLead + stamp, isRecord: false });
  for (const { span, text, isRecord } of parts.sort((a, b) => a.span.start - b.span.start)) {
    const start = span.start + shift;
    if (text !== undefined) {
      edits.push({ ...span, text });
      shift += text.length - (span.end - span.start);
    }
    const moved = { start, end: span.end + shift };
    if (isRecord) records.push(moved);
    else stamped = { start: moved.end - stamp.length, end: moved.end };
  }
  const text = spliceText(file.text, edits);
  return { ...file, source: text, text, records, updatedAt: stamped, updatedAtLead: "" };
}

/** What the record `text` says; times without an offset are read in `naiveZone`, the server's. Whatever Hermes could not use makes the job faulty; what Hermes mends, we read as mended. */
export function readRecord(text: string, naiveZone: Zone): JobRecord | null {
  const value = toValue(text, { start: 0, end: text.length });
  if (!isObject(value)) return null;
  const record: StoredRecord = value;
  const idValue = isTrue(record.id) ? record.id : record.job_id;
  if (!isTrue(idValue)) return null;
  const id = asText(idValue);
  const { schedule, fault: scheduleFault } = readSchedule(record.schedule, naiveZone);
  const nextRunAt = readTime(record.next_run_at, naiveZone);
  const nextRunValue = record.next_run_at;
  const createdAt = readTime(record.created_at, naiveZone);
  const repeat = readRepeat(record.repeat);
  const script = textOrNull(record.script);
  const job: Job = {
    id,
    name: readName(record, id),
    kind: isTrue(record.no_agent) ? "script" : "prompt",
    script,
    interpreter: textOrNull(record.interpreter),
    workdir: textOrNull(record.workdir),
    ...(isTrue(record.no_agent) ? {} : { promptMark: markOf(asText(record.prompt)) }),
    schedule,
    scheduleText: readScheduleText(record),
    enabled: !("enabled" in record) || isTrue(record.enabled),
    state: asText(record.state) || "scheduled",
    ...(createdAt === null ? {} : { createdAt }),
    pausedAt: textOrNull(record.paused_at),
    pausedReason: textOrNull(record.paused_reason),
    repeatTimes: repeat.times,
    repeatCompleted: repeat.completed,
    nextRunAt,
    ...(nextRunAt !== null || nextRunValue === null || nextRunValue === undefined || nextRunValue === ""
      ? {}
      : { nextRunFault: `The next_run_at is ${nameOf(nextRunValue)}, ${expectedTime}` }),
    lastRunAt: readTime(record.last_run_at, naiveZone),
    lastStatus: textOrNull(record.last_status),
    lastError: textOrNull(record.last_error),
    failureStreak: readCount(record.failure_streak),
    fireClaim: readClaim(record.fire_claim, naiveZone),
    runClaim: readClaim(record.run_claim, naiveZone),
    pendingSlot: readPendingSlot(record.pending_slot, naiveZone),
    ...(isObject<{ scheduled_at?: unknown }>(record.last_dispatch)
      ? { lastDispatchOf: readTime(record.last_dispatch.scheduled_at, naiveZone) }
      : {}),
    manualRunAt: textOrNull(record.manual_run_at),
    quotaHoldUntil: readTime(record.quota_hold_until, naiveZone),
    parkedAt: readParkedAt(record, schedule),
    fault: idFault(idValue, id) ?? scheduleFault ?? repeat.fault ?? onceFault(record, schedule, nextRunAt, naiveZone),
  };
  const runFields = ["failure_streak", "last_failure", "last_delivery_unverified", "last_dispatch", "pending_slot"];
  return { job, features: { runFields: runFields.some((key) => Object.hasOwn(record, key)) } };
}

/**
 * The text of a record with `patch` written into it: only the changed values are replaced, new keys go to the end.
 * Fields that exist from 0.22 on are left out where neither the record nor its store knows them.
 */
export function patchRecord(text: string, patch: JobPatch, features: StoreFeatures, ascii: boolean): string {
  const members = membersOf(text, 0);
  const has = (key: string) => memberNamed(members, key) !== null;
  const changes = new Map<string, Value | "drop">();
  const set = (key: string, value: Value | "drop" | undefined) => {
    if (value !== undefined) changes.set(key, value === "drop" ? "drop" : value);
  };
  const setKnown = (key: string, value: Value | undefined) => {
    if (features.runFields || has(key)) set(key, value);
  };
  const idMember = memberNamed(members, "id");
  if (idMember === null || !isTrue(toValue(text, idMember))) {
    // Older writers named it so; Hermes renames it at its next scan, and its other functions look for `id` alone.
    const legacy = memberNamed(members, "job_id");
    if (legacy !== null) {
      set("job_id", "drop");
      set("id", { token: text.slice(legacy.start, legacy.end) });
    }
  }
  // The order of Hermes' own assignments, which is the order of new keys in the file.
  set("last_run_at", patch.lastRunAt);
  set("preflight_alerted", patch.preflightAlerted);
  set("last_fire_error", patch.lastFireError);
  set("unreachable_retry", isObject(patch.unreachableRetry) ? { ...patch.unreachableRetry } : patch.unreachableRetry);
  set("quota_hold_until", patch.quotaHoldUntil);
  set("quota_hold_cron_expr", patch.quotaHoldExpression);
  set("manual_run_at", patch.manualRunAt);
  set("manual_run_prompt", patch.manualRunPrompt);
  set("last_status", patch.lastStatus);
  set("last_error", patch.lastError);
  setKnown("failure_streak", patch.failureStreak);
  setKnown("last_failure", patch.lastFailure && { ...patch.lastFailure });
  set("last_delivery_error", patch.lastDeliveryError);
  if (patch.lastDeliveryQueued !== null || has("last_delivery_queued"))
    setKnown("last_delivery_queued", patch.lastDeliveryQueued && { ...patch.lastDeliveryQueued });
  if (patch.runClaim !== null || has("run_claim")) set("run_claim", patch.runClaim && { ...patch.runClaim });
  setKnown("last_dispatch", patch.lastDispatch && dispatchValue(patch.lastDispatch));
  set("fire_claim", patch.fireClaim && { ...patch.fireClaim });
  set("pending_slot", patch.pendingSlot);
  set("enabled", patch.enabled);
  set("state", patch.state);
  set("paused_at", patch.pausedAt);
  set("paused_reason", patch.pausedReason);
  set("next_run_at", patch.nextRunAt);
  const repeat = memberNamed(members, "repeat");
  if (patch.repeatCompleted !== undefined && repeat !== null && text[repeat.start] === "{") {
    const counts = text.slice(repeat.start, repeat.end);
    // Hermes counts nothing in an empty `repeat`.
    if (membersOf(counts, 0).length > 0) {
      const counted = editRecord(counts, new Map([["completed", patch.repeatCompleted]]), ascii);
      if (counted !== counts) set("repeat", { token: counted });
    }
  }
  return editRecord(text, changes, ascii, members);
}

/** Whether this store was written by a Hermes that escapes whatever is not ASCII, as 0.19 does. */
export function isEscapedText(text: string): boolean {
  return !/[^\u0000-\u007f]/.test(text) && /\\u(?!00[0-7])/.test(text);
}

function decode(bytes: Uint8Array, path: string): string {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  if (!isUtf8(buffer)) {
    // Good text encodes to the bytes that it was decoded from, so the first difference is where the bad text begins.
    const again = Buffer.from(buffer.toString("utf8"));
    const offset = buffer.findIndex((byte, index) => byte !== again[index]);
    const good = buffer.toString("utf8", 0, offset).replace(/^\ufeff/, "");
    throw new CorruptStoreError(path, "this is not UTF-8 text", placeOf(good, good.length));
  }
  // Text that is all ASCII is decoded several times faster by not being told apart.
  return buffer.toString(isAscii(buffer) ? "latin1" : "utf8");
}

interface LocatedRecords extends Omit<JobsFile, "source" | "lost"> {
  /** What stands in place of the records, and where in the text as it was given. */
  readonly loss: { readonly problem: string; readonly offset: number } | null;
}

const noObjects = 'no entry of "jobs" is an object, expected one for each job';

function locateRecords(text: string, from: number): LocatedRecords {
  const { root, members: membersAt, items: itemsAt } = outlineDocument(text, from, 2);
  if (text[root.start] === "[") {
    const file = locateRecords(`{\n  "jobs": ${text.slice(root.start, root.end)},\n  "updated_at": null\n}`, 0);
    return { ...file, loss: file.loss && { ...file.loss, offset: root.start } };
  }
  if (text[root.start] !== "{") {
    throw new JsonTextError(`the document is ${kindOf(text, root)}, expected an object with a list "jobs"`, root.start);
  }
  const members = membersAt.get(root.start) ?? [];
  const jobs = memberNamed(members, "jobs");
  if (jobs !== null && text[jobs.start] === "{") {
    const { list, strays } = flatten(text, jobs);
    const file = locateRecords(spliceText(text, [{ ...jobs, text: list }]), from);
    const isLost = file.records.length === 0 && strays.length > 0;
    return {
      ...file,
      strays: [...strays, ...file.strays],
      loss: isLost ? { problem: noObjects, offset: jobs.start } : null,
    };
  }
  const records: Span[] = [];
  const strays: string[] = [];
  let loss: LocatedRecords["loss"] = null;
  if (jobs !== null && text[jobs.start] === "[") {
    for (const [index, item] of (itemsAt.get(jobs.start) ?? []).entries()) {
      if (text[item.start] === "{") records.push(item);
      else strays.push(`Entry ${index + 1} of "jobs" is ${kindOf(text, item)}, expected an object`);
    }
    if (records.length === 0 && strays.length > 0) loss = { problem: noObjects, offset: jobs.start };
  } else if (jobs !== null) {
    const problem = `"jobs" is ${kindOf(text, jobs)}, expected a list`;
    strays.push(problem);
    loss = { problem, offset: jobs.start };
  }
  const updatedAt = memberNamed(members, "updated_at");
  if (updatedAt !== null) return { text, records, strays, loss, updatedAt, updatedAtLead: "" };
  const last = members.at(-1);
  const end = last?.end ?? root.start + 1;
  const style = styleOf(text.slice(root.start, root.end), members, root.start);
  const lead = `${last === undefined ? "" : `,${style.blank}`}"updated_at"${style.colon}`;
  return { text, records, strays, loss, updatedAt: { start: end, end }, updatedAtLead: lead };
}

/** Jobs keyed by id, as the list that Hermes 0.22 makes of them: an id in the record wins over its key. */
function flatten(text: string, jobs: Span): { readonly list: string; readonly strays: readonly string[] } {
  const byKey = new Map<string, Member>();
  for (const member of membersOf(text, jobs.start)) byKey.set(member.key, member);
  const records: string[] = [];
  const strays: string[] = [];
  for (const [key, member] of byKey) {
    if (text[member.start] !== "{") {
      strays.push(`Entry ${JSON.stringify(key)} of "jobs" is ${kindOf(text, member)}, expected an object`);
      continue;
    }
    const record = text.slice(member.start, member.end);
    const id = memberNamed(membersOf(record, 0), "id");
    const named = id !== null && isTrue(toValue(record, id));
    records.push(named ? record : editRecord(record, new Map([["id", key]]), false));
  }
  return { list: records.length === 0 ? "[]" : `[\n    ${records.join(",\n    ")}\n  ]`, strays };
}

/** The fields of a record that we read, as the file names them. Any of them may hold anything. */
interface StoredRecord {
  readonly id?: unknown;
  readonly job_id?: unknown;
  readonly name?: unknown;
  readonly prompt?: unknown;
  readonly skill?: unknown;
  readonly skills?: unknown;
  readonly no_agent?: unknown;
  readonly script?: unknown;
  readonly interpreter?: unknown;
  readonly workdir?: unknown;
  readonly schedule?: unknown;
  readonly schedule_display?: unknown;
  readonly repeat?: unknown;
  readonly enabled?: unknown;
  readonly state?: unknown;
  readonly created_at?: unknown;
  readonly paused_at?: unknown;
  readonly paused_reason?: unknown;
  readonly next_run_at?: unknown;
  readonly last_run_at?: unknown;
  readonly last_status?: unknown;
  readonly last_error?: unknown;
  readonly failure_streak?: unknown;
  readonly fire_claim?: unknown;
  readonly run_claim?: unknown;
  readonly pending_slot?: unknown;
  readonly last_dispatch?: unknown;
  readonly manual_run_at?: unknown;
  readonly quota_hold_until?: unknown;
  readonly quota_hold_cron_expr?: unknown;
  readonly unreachable_retry?: unknown;
}

type Value = string | number | boolean | null | Token | ValueObject;
interface Token {
  /** A value that is printed already. */
  readonly token: string;
}
interface ValueObject {
  readonly [key: string]: string | number | null | Token;
}

interface Style {
  /** Between a comma and the next key. */
  readonly blank: string;
  /** Between a key and its value. */
  readonly colon: string;
  /** Before the closing brace. */
  readonly closing: string;
}

function styleOf(text: string, members: readonly Member[], offset: number): Style {
  const first = members[0];
  const last = members.at(-1);
  if (first === undefined || last === undefined) return { blank: " ", colon: ": ", closing: "" };
  const lead = text.slice(1, first.keyStart - offset);
  const keyEnd = first.keyStart - offset + /^"(?:[^"\\]|\\.)*"/s.exec(text.slice(first.keyStart - offset))![0].length;
  const second = members[1];
  const between = second === undefined ? lead || " " : text.slice(first.end - offset, second.keyStart - offset);
  return {
    blank: between.slice(between.indexOf(",") + 1),
    colon: text.slice(keyEnd, first.start - offset),
    closing: text.slice(last.end - offset, -1),
  };
}

function editRecord(
  text: string,
  changes: ReadonlyMap<string, Value | "drop">,
  ascii: boolean,
  members: readonly Member[] = membersOf(text, 0),
): string {
  const style = styleOf(text, members, 0);
  const edits: (Span & { readonly text: string })[] = [];
  let isFirst = true;
  for (const [index, member] of members.entries()) {
    if (changes.get(member.key) !== "drop") {
      isFirst = false;
      continue;
    }
    // The comma that goes with it is the one in front of it, or behind it where nothing stays in front.
    const previous = members[index - 1];
    const start = isFirst || previous === undefined ? member.keyStart : previous.end;
    const end = isFirst ? (members[index + 1]?.keyStart ?? member.end) : member.end;
    edits.push({ start, end, text: "" });
  }
  const last = members.at(-1)?.end ?? 1;
  for (const [key, change] of changes) {
    if (change === "drop") continue;
    const member = memberNamed(members, key);
    if (member === null) {
      const comma = isFirst ? "" : `,${style.blank}`;
      edits.push({
        start: last,
        end: last,
        text: comma + printString(key, ascii) + style.colon + print(change, style, ascii),
      });
      isFirst = false;
    } else if (!isValue(text, member, change)) {
      edits.push({ start: member.start, end: member.end, text: print(change, style, ascii) });
    }
  }
  return spliceText(
    text,
    edits.toSorted((a, b) => a.start - b.start),
  );
}

/** Whether the member has that very value already, however it is written. */
function isValue(text: string, member: Member, value: Value): boolean {
  if (isObject(value)) return false;
  return toValue(text, member) === value;
}

function print(value: Value, style: Style, ascii: boolean): string {
  if (typeof value === "string") return printString(value, ascii);
  if (!isObject(value)) return String(value);
  if (isToken(value)) return value.token;
  const multiline = style.blank.includes("\n");
  const unit = multiline && style.blank.startsWith(style.closing) ? style.blank.slice(style.closing.length) : "";
  const blank = style.blank + unit;
  const entries = Object.entries(value).map(
    ([key, entry]) => printString(key, ascii) + style.colon + print(entry, { ...style, blank }, ascii),
  );
  return multiline ? `{${blank}${entries.join(`,${blank}`)}${style.blank}}` : `{${entries.join(`,${style.blank}`)}}`;
}

function isToken(value: object): value is Token {
  return "token" in value;
}

function dispatchValue(dispatch: LastDispatch): ValueObject {
  const tenths = Math.round(dispatch.latenessSeconds * 10) / 10;
  return {
    scheduled_at: dispatch.scheduledAt,
    dispatched_at: dispatch.dispatchedAt,
    // Python's round() gives a float, and prints it with a fraction.
    lateness_seconds: { token: Number.isInteger(tenths) ? `${tenths}.0` : String(tenths) },
    kind: dispatch.kind,
  };
}

function idFault(value: unknown, id: string): string | null {
  if (typeof value !== "string") return `The id is ${nameOf(value)}, expected a text`;
  const shown = JSON.stringify(id.length > 60 ? `${id.slice(0, 60)}…` : id);
  if (/[\u0000-\u001f\u007f]/.test(id)) return `The id ${shown} holds a control character`;
  if (/[/\\]/.test(id)) return `The id ${shown} holds a slash, and it names the job's output folder`;
  if (["", ".", ".."].includes(id.trim())) return `The id ${shown} cannot name the job's output folder`;
  if (Buffer.byteLength(id) > idLengthMax) return `The id ${shown} is longer than ${idLengthMax} bytes`;
  return null;
}

function readSchedule(
  value: unknown,
  naiveZone: Zone,
): { readonly schedule: Schedule | null; readonly fault: string | null } {
  const faulty = (fault: string) => ({ schedule: null, fault });
  if (!isObject<{ kind?: unknown; expr?: unknown; minutes?: unknown; run_at?: unknown }>(value))
    return faulty(`The schedule is ${nameOf(value)}, expected an object`);
  switch (value.kind) {
    case "cron": {
      const expression = value.expr;
      if (typeof expression !== "string" || expression === "") {
        return faulty(`The schedule's expr is ${nameOf(expression)}, expected a cron expression`);
      }
      return { schedule: { kind: "cron", expression }, fault: cronFault(expression) };
    }
    case "interval": {
      const minutes = value.minutes;
      if (typeof minutes !== "number" || !Number.isFinite(minutes)) {
        return faulty(`The schedule's minutes is ${nameOf(minutes)}, expected a number`);
      }
      return { schedule: { kind: "interval", minutes }, fault: null };
    }
    case "once": {
      const runAt = value.run_at;
      return {
        schedule: { kind: "once", runAtMs: typeof runAt === "string" ? parseInstant(runAt, naiveZone) : null },
        fault: null,
      };
    }
    default:
      return faulty(`The schedule's kind is ${nameOf(value.kind)}, expected "cron", "interval" or "once"`);
  }
}

/** Why a one-shot would wait for ever: nothing says when it runs, and nothing that it ran. */
function onceFault(
  record: StoredRecord,
  schedule: Schedule | null,
  nextRunAt: StoredTime | null,
  naiveZone: Zone,
): string | null {
  if (schedule?.kind !== "once" || schedule.runAtMs !== null || nextRunAt !== null) return null;
  if (record.state === "completed" || readTime(record.last_run_at, naiveZone) !== null) return null;
  const runAt = isObject<{ run_at?: unknown }>(record.schedule) ? record.schedule.run_at : undefined;
  return `The schedule's run_at is ${nameOf(runAt)}, ${expectedTime}`;
}

/** Why croniter would refuse the expression, or null. */
function cronFault(expression: string): string | null {
  try {
    parseCronExpression(expression);
    return null;
  } catch (error) {
    if (error instanceof SyntaxError) return error.message;
    throw error;
  }
}

function readParkedAt(record: StoredRecord, schedule: Schedule | null): string | null {
  if (schedule?.kind !== "cron") return null;
  if (record.quota_hold_cron_expr === schedule.expression) return textOrNull(record.quota_hold_until);
  const retry = record.unreachable_retry;
  if (!isObject<{ at?: unknown; expr?: unknown }>(retry)) return null;
  return retry.expr === schedule.expression ? textOrNull(retry.at) : null;
}

function readRepeat(value: unknown): {
  readonly times: number | null;
  readonly completed: number;
  readonly fault: string | null;
} {
  if (!isTrue(value)) return { times: null, completed: 0, fault: null };
  if (!isObject<{ times?: unknown; completed?: unknown }>(value)) {
    return { times: null, completed: 0, fault: `The repeat is ${nameOf(value)}, expected an object` };
  }
  const completed = readCount(value.completed);
  const times = value.times;
  if (times === null || times === undefined) return { times: null, completed, fault: null };
  if (typeof times !== "number" && typeof times !== "boolean") {
    return { times: null, completed, fault: `The repeat's times is ${nameOf(times)}, expected a number` };
  }
  return { times: Number(times) > 0 ? Number(times) : null, completed, fault: null };
}

/** Hermes reads a count through Python's `int()`, and takes for 0 what that refuses. */
function readCount(value: unknown): number {
  const count = typeof value === "string" ? readInteger(value) : Number(value ?? 0);
  return Number.isFinite(count) ? Math.max(Math.trunc(count), 0) : 0;
}

function readInteger(text: string): number {
  const [, sign, digits] = /^([-+]?)(\p{Nd}+(?:_\p{Nd}+)*)$/u.exec(strip(text)) ?? [];
  const ascii = digits === undefined ? null : toAsciiDigits(digits.replaceAll("_", ""));
  return ascii === null ? 0 : Number(`${sign}${ascii}`);
}

/** The name that Hermes shows: its own, else the beginning of what the job does. */
function readName(record: StoredRecord, id: string): string {
  const name = strip(asText(record.name));
  if (name !== "") return name;
  const skills = Array.isArray(record.skills) ? record.skills : [record.skills, record.skill];
  const sources = [record.prompt, skills.find(isTrue), strip(asText(record.script)), id];
  const label = asText(sources.find(isTrue));
  return strip(Array.from(label).slice(0, 50).join("")) || "cron job";
}

function readScheduleText(record: StoredRecord): string {
  const schedule = record.schedule;
  const sources = isObject<{ display?: unknown; value?: unknown; expr?: unknown; run_at?: unknown }>(schedule)
    ? [schedule.display, schedule.value, schedule.expr, schedule.run_at]
    : [schedule];
  const texts = [record.schedule_display, ...sources].map((source) => strip(asText(source)));
  return texts.find((text) => text !== "") ?? "?";
}

function readTime(value: unknown, naiveZone: Zone): StoredTime | null {
  if (typeof value !== "string") return null;
  const ms = parseInstant(value, naiveZone);
  return ms === null ? null : { text: value, ms };
}

function readClaim(value: unknown, naiveZone: Zone): StoredClaim | null {
  if (!isObject<{ at?: unknown; by?: unknown; outage?: unknown }>(value)) return null;
  const claim = { at: readTime(value.at, naiveZone), by: asText(value.by) };
  return isTrue(value.outage) ? { ...claim, isOutage: true } : claim;
}

function readPendingSlot(value: unknown, naiveZone: Zone): PendingSlot | null {
  if (!isObject<{ scheduled_at?: unknown }>(value)) return null;
  const scheduledAt = readTime(value.scheduled_at, naiveZone);
  const claim = readClaim(value, naiveZone);
  return scheduledAt === null || claim === null ? null : { ...claim, scheduledAt };
}

function isObject<Fields = object>(value: unknown): value is Readonly<Fields> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Python's idea of truth. */
function isTrue(value: unknown): boolean {
  if (Array.isArray(value)) return value.length > 0;
  if (isObject(value)) return Object.keys(value).length > 0;
  return Boolean(value) || Number.isNaN(value);
}

function asText(value: unknown): string {
  if (value === null || value === undefined) return "";
  return typeof value === "string" ? value : (JSON.stringify(value) ?? "");
}

function textOrNull(value: unknown): string | null {
  return isTrue(value) ? asText(value) : null;
}

function kindOf(text: string, span: Span): string {
  return nameOf(toValue(text, span));
}

/** A value as an error message names it. */
function nameOf(value: unknown): string {
  if (value === undefined) return "missing";
  if (value === null) return "null";
  if (Array.isArray(value)) return "a list";
  if (isObject(value)) return "an object";
  if (typeof value === "string") return value.length > 60 ? "a long text" : JSON.stringify(value);
  return String(value);
}

/** A length and a checksum (FNV-1a): two texts of one job that share both are not worth the memory of keeping them. */
function markOf(text: string): string {
  let hash = 0x811c9dc5;
  for (let index = 0; index < text.length; index += 1) hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  return `${text.length}:${(hash >>> 0).toString(16)}`;
}
