import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { formatInstant } from "../../src/core/instant.ts";
import { memberNamed, membersOf, outlineDocument, spliceText, toValue } from "../../src/core/json-text.ts";
import { createZone } from "../../src/core/zone.ts";
import { createJobStore } from "../../src/store/job-store.ts";
import { CorruptStoreError, parseJobsFile, readRecord } from "../../src/store/jobs-file.ts";
import { printAsPython } from "../helpers/python-json.ts";
import { createStoreSystem } from "../helpers/store-system.ts";

interface Vector {
  readonly id: string;
  readonly version: string;
  readonly now: string;
  readonly tz: string | null;
  readonly note: string;
  readonly call: "load" | "load, then save";
  readonly text?: string | null;
  readonly base64?: string;
  readonly expected: {
    readonly result?: unknown;
    readonly error?: { readonly type: string; readonly message: string };
    readonly written: boolean;
    readonly after?: string;
    readonly sha256?: string;
  };
}

/** Where one release's answer is not ours, and why. `applies` looks at the input, so that a new case of another kind fails. */
interface Difference {
  readonly reason: string;
  readonly versions: readonly string[];
  readonly applies: (input: Input) => boolean;
}

interface Input {
  readonly top: unknown;
  readonly jobs: unknown;
  readonly text: string;
  readonly call: Vector["call"];
}

const before022 = ["0.19.0", "0.20.1.2"];
const differences: readonly Difference[] = [
  {
    reason: "0.19 and 0.20 hand on jobs that are no list as they are, and their later writes fail; 0.22 makes a list",
    versions: before022,
    applies: ({ top, jobs }) => !Array.isArray(top) && jobs !== undefined && !Array.isArray(jobs),
  },
  {
    reason: "0.19 and 0.20 keep entries that are no objects, and their next scan fails at them; 0.22 goes on without",
    versions: before022,
    applies: ({ jobs }) => Array.isArray(jobs) && !jobs.every(isRecord),
  },
  {
    reason: "0.19 and 0.20 read a repeat.completed that is no count as it stands; 0.22 makes it one",
    versions: before022,
    applies: ({ jobs }) => Array.isArray(jobs) && jobs.some(hasOddCount),
  },
  {
    reason:
      "from 0.20 on Hermes cannot write half a surrogate pair and every save fails; we keep its escape as it stands",
    versions: ["0.20.1.2", "0.22.2.post1"],
    applies: ({ text, call }) => call === "load, then save" && /\\u[dD][89a-fA-F]/.test(text),
  },
];

const root = mkdtempSync(join(tmpdir(), "load-"));
afterAll(() => rmSync(root, { recursive: true }));

for (const version of ["0.19.0", "0.20.1.2", "0.22.2.post1"]) {
  const source = new URL(`../fixtures/vectors/hermes-${version}/load.json`, import.meta.url);
  const { vectors }: { readonly vectors: readonly Vector[] } = JSON.parse(readFileSync(source, "utf8"));

  for (const vector of vectors) {
    test(`read() answers as Hermes ${version} does: ${vector.id} ${vector.note}`, () => {
      const folder = join(root, version, vector.id);
      const path = join(folder, "jobs.json");
      const bytes = bytesOf(vector);
      mkdirSync(folder, { recursive: true });
      if (vector.text === "<folder>") mkdirSync(path);
      else if (bytes !== null) writeFileSync(path, bytes);
      const before = statSync(path, { bigint: true, throwIfNoEntry: false });

      const ours = answer(vector, folder, bytes);

      // Hermes writes while it reads; we do not.
      expect(statSync(path, { bigint: true, throwIfNoEntry: false })?.ctimeNs).toBe(before?.ctimeNs);
      expect(readdirSync(folder)).toEqual(before === undefined ? [] : ["jobs.json"]);
      const theirs = expectation(vector);
      const listed = differences.filter((difference) => isListed(difference, vector, bytes));
      if (listed.length > 0) expect(ours, listed.map(({ reason }) => reason).join("; ")).not.toEqual(theirs);
      else if (theirs.error?.place === null) expect(ours.error).not.toBeNull();
      else expect(ours).toEqual(theirs);
    });
  }
}

interface Answer {
  /** Line and column; null where Hermes names none. */
  readonly error: { readonly place: string | null } | null;
  readonly result: unknown;
  /** The file that Hermes left: after a save, or because it mended something. */
  readonly after: string | null;
  readonly sha256: string | null;
}

function answer(vector: Vector, folder: string, bytes: Uint8Array | null): Answer {
  const store = createJobStore(createStoreSystem(), folder, { naiveZone: createZone("UTC", 0), nowText: () => "" });
  try {
    // A folder in its place is refused before anything is parsed.
    if (vector.text === "<folder>") store.read();
    const file = parseJobsFile(bytes ?? Buffer.from("{}"), store.path, null);
    const records = file.records.map((span) => mend(file.text.slice(span.start, span.end)));
    // Where Hermes 0.22 empties a file that has no records but something else, we see the same and serve nothing of it.
    if (file.lost !== null) expect(() => store.read()).toThrow(file.lost);
    else expect(store.read().jobs.map((job) => job.id)).toEqual(records.flatMap(idOf));
    const zone = createZone(vector.tz, 0);
    const updatedAt = formatInstant(Date.parse(vector.now), zone);
    const whole = `{"jobs": [${records.join(", ")}], "updated_at": ${JSON.stringify(updatedAt)}}`;
    const after = vector.expected.after === undefined ? null : printAsPython(whole, vector.version === "0.19.0");
    return {
      error: null,
      result: records.map((record) => toValue(record, { start: 0, end: record.length })),
      after,
      sha256: after === null ? null : createHash("sha256").update(after).digest("hex"),
    };
  } catch (error) {
    if (!(error instanceof CorruptStoreError)) throw error;
    expect(error.message).toContain(`Cannot read jobs "${store.path}": `);
    return { error: { place: `${error.line}:${error.column}` }, result: null, after: null, sha256: null };
  }
}

function expectation({ expected }: Vector): Answer {
  const { error, result, after } = expected;
  if (error !== undefined) {
    const [, line, column] = /line (\d+) column (\d+)/.exec(error.message) ?? [];
    return {
      error: { place: line === undefined ? null : `${line}:${column}` },
      result: null,
      after: null,
      sha256: null,
    };
  }
  return {
    error: null,
    result: plain(result),
    after: after ?? null,
    sha256: after === undefined ? null : (expected.sha256 ?? null),
  };
}

/** The record with its count as Hermes 0.22 reads it, which is how we read it. */
function mend(record: string): string {
  const repeat = memberNamed(membersOf(record, 0), "repeat");
  if (
    repeat === null ||
    record[repeat.start] !== "{" ||
    !hasOddCount(toValue(record, { start: 0, end: record.length }))
  ) {
    return record;
  }
  const completed = memberNamed(membersOf(record, repeat.start), "completed");
  const job = readRecord(record, createZone("UTC", 0))?.job;
  return completed === null ? record : spliceText(record, [{ ...completed, text: String(job?.repeatCompleted) }]);
}

function idOf(record: string): readonly string[] {
  const job = readRecord(record, createZone("UTC", 0))?.job;
  return job === undefined ? [] : [job.id];
}

function isListed(difference: Difference, vector: Vector, bytes: Uint8Array | null): boolean {
  if (!difference.versions.includes(vector.version) || bytes === null) return false;
  try {
    const text = Buffer.from(bytes)
      .toString("utf8")
      .replace(/^\ufeff/, "");
    const top = toValue(text, outlineDocument(text, 0, 0).root);
    const jobs = isRecord<{ jobs?: unknown }>(top) ? top.jobs : top;
    return difference.applies({ top, jobs, text, call: vector.call });
  } catch {
    // What nobody can read is refused by every release.
    return false;
  }
}

function bytesOf({ text, base64 }: Vector): Uint8Array | null {
  if (base64 !== undefined) return Buffer.from(base64, "base64");
  return typeof text === "string" ? Buffer.from(text) : null;
}

function hasOddCount(record: unknown): boolean {
  const repeat = isRecord<{ repeat?: unknown }>(record) ? record.repeat : null;
  if (!isRecord<{ completed?: unknown }>(repeat) || !("completed" in repeat)) return false;
  const { completed } = repeat;
  return !(typeof completed === "number" && Number.isInteger(completed) && completed >= 0);
}

function isRecord<Fields = object>(value: unknown): value is Readonly<Fields> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The vectors' way of writing numbers that JavaScript would bend, undone as our own reading bends them. */
function plain(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plain);
  if (!isRecord<{ $int?: unknown; $float?: unknown }>(value)) return value;
  if (typeof value.$int === "string") return Number(value.$int);
  if (typeof value.$float === "string") return Number(value.$float.replace("nan", "NaN").replace("inf", "Infinity"));
  return Object.fromEntries(Object.entries(value).map(([key, entry]) => [key, plain(entry)]));
}
