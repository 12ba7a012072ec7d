import { join } from "node:path";
import { InvariantError } from "../core/invariant-error.ts";
import type { Job, JobPatch } from "../core/job.ts";
import type { Zone } from "../core/zone.ts";
import { type FileIdentity, type FileStat, type StagedFile, sameFile } from "../system/files.ts";
import { type HeldLock, LockHeldError } from "../system/lock.ts";
import type { System } from "../system/system.ts";
import {
  CorruptStoreError,
  editJobsFile,
  isEscapedText,
  type JobRecord,
  type JobsFile,
  jobsFileBytesMax,
  parseJobsFile,
  patchRecord,
  readRecord,
  type StoreFeatures,
  tooLarge,
} from "./jobs-file.ts";

/** The jobs of one home as they were at one moment. */
export interface StoreSnapshot {
  /** In the order of the file. Of jobs with one id only the first can run; the others have a fault. */
  readonly jobs: readonly Job[];
  /** One sentence for each entry of the file that is no job. */
  readonly strays: readonly string[];
  readonly features: StoreFeatures;
  /** Null when there is no file, which means no jobs. */
  readonly identity: FileIdentity | null;
}

/** Says what to write, by job id, from what the store holds at this very moment. An id that the store does not have is an error. */
export type DecidePatches = (snapshot: StoreSnapshot) => ReadonlyMap<string, JobPatch>;

/** An update whose file is written and not in force. */
export interface StagedUpdate {
  readonly snapshot: StoreSnapshot;
  readonly patches: ReadonlyMap<string, JobPatch>;
  /** Puts it in force. For `update` alone. */
  commit(): void;
  /** To be called in any case, and no longer under locks: brings it to the disk if it is in force, and else removes it. */
  finish(): void;
}

/** Of the outside world, what a store needs. */
type StoreSystem = Pick<System, "clock" | "files" | "locks" | "random">;

export interface JobStore {
  readonly path: string;
  /** Takes no lock and waits for nothing. Throws CorruptStoreError, or Node's own error when the file cannot be read. */
  read(): StoreSnapshot;
  /** What was read or written last, without a look at the file; null when nothing is known of it. */
  latest(): StoreSnapshot | null;
  /** Lets go of the text of the file, which is most of what is kept of it: it is read again when a write needs it. */
  rest(): void;
  /** The text of a job's record as it stands in the file, or null when there is none. Throws as `read`. */
  recordText(jobId: string): string | null;
  /**
   * Decides and writes under `.jobs.lock`, in one replace; changes nothing on disk
   * if the patches change nothing. Waits up to `waitMs` for the lock without yielding, so keep that to a few milliseconds.
   */
  update(decide: DecidePatches, waitMs: number, staged?: StagedUpdate | null): void;
  /**
   * Writes what `patches` would make of `snapshot` into a file beside the store, so that an update has only to put it in place.
   * It is used if nothing has changed and `decide` gives these very patches; whoever stages it also finishes it.
   */
  stage(snapshot: StoreSnapshot, patches: ReadonlyMap<string, JobPatch>): StagedUpdate | null;
  /** Works out an update without locks and without writing it, which makes the update itself quicker: it runs warm. */
  rehearse(decide: DecidePatches): void;
  /** As `update`, for callers that can wait: it yields while another process holds the lock. */
  updateWhenFree(decide: DecidePatches, waitMs: number): Promise<void>;
}

export interface JobStoreOptions {
  /** The server's own zone, in which Hermes reads stored times that have no offset. */
  readonly naiveZone: Zone;
  /** The present moment as Hermes prints it in this home's zone, for `updated_at`. */
  readonly nowText: () => string;
  /** What the installed Hermes is known to keep in records, where the records themselves do not show it yet. */
  readonly installed?: StoreFeatures;
  /** Called when a `next_run_at` that nobody could read has been replaced: by an instant, or by none. */
  readonly onMended?: (jobId: string, fault: string, nextRunAt: string) => void;
}

/** What is in memory of a file: its snapshot, and the text that a write starts from. */
interface LoadedStore {
  readonly snapshot: StoreSnapshot;
  /** Null while the store rests. */
  readonly file: JobsFile | null;
  /** By record; null for a record without an id. */
  readonly records: readonly (JobRecord | null)[];
  /** False while the file is so young that another write could have left the same times. */
  readonly settled: boolean;
}

type StoreWithText = LoadedStore & { readonly file: JobsFile };

/** Two writes within one step of the file system's clock can leave the same times; this is longer than any such step. */
const clockStepMs = 20;
/** How often a file that changes while it is read is read again. */
const readsMax = 5;
const pollMs = 20;

export function createJobStore(system: StoreSystem, cronFolder: string, options: JobStoreOptions): JobStore {
  const path = join(cronFolder, "jobs.json");
  const lockPath = join(cronFolder, ".jobs.lock");
  let loaded: LoadedStore | null = null;
  let written: (() => LoadedStore) | null = null;
  let refused: { readonly identity: FileIdentity; readonly error: CorruptStoreError } | null = null;

  function latest(): LoadedStore | null {
    loaded = written?.() ?? loaded;
    written = null;
    return loaded;
  }

  function loadText(): StoreWithText {
    const { file, ...rest } = load(true);
    if (file === null) throw new InvariantError(`Cannot write "${path}": its text was not read`);
    return { ...rest, file };
  }

  function load(needsText = false): LoadedStore {
    loaded = latest();
    for (let reads = 1; ; reads += 1) {
      const identity = identify(system, path);
      if (loaded?.settled && sameFile(loaded.snapshot.identity, identity) && (loaded.file !== null || !needsText))
        return loaded;
      if (identity === null) {
        loaded = emptyStore(options);
        return loaded;
      }
      // A large file that nobody has mended yet would be read each time that somebody looks.
      if (sameFile(refused?.identity ?? null, identity)) throw refused?.error;
      const ageMs = Math.abs(system.clock.nowMs() - Number(identity.changedNs / 1_000_000n));
      try {
        const file = parseJobsFile(system.files.read(path), path, loaded?.file ?? null);
        if (sameFile(identity, identify(system, path)) || reads === readsMax) {
          if (file.lost !== null) throw file.lost;
          if (loaded?.settled && loaded.file === null && sameFile(loaded.snapshot.identity, identity)) {
            loaded = { ...loaded, file };
            return loaded;
          }
          const same = loaded !== null && loaded.file === file ? loaded : null;
          const records = same?.records ?? readRecords(file, loaded, options.naiveZone);
          loaded = assemble(file, records, identity, ageMs > clockStepMs, options);
          return loaded;
        }
      } catch (error) {
        // Whoever writes in place may have been seen half-way, or the file may just have gone.
        if (reads !== readsMax && !sameFile(identity, identify(system, path))) continue;
        if (error instanceof CorruptStoreError && ageMs > clockStepMs) refused = { identity, error };
        throw error;
      }
    }
  }

  function stage(current: StoreWithText, patches: ReadonlyMap<string, JobPatch>): StagedUpdate | null {
    const texts = patchedTexts(current, patches, path);
    if (texts.size === 0) return null;
    const file = editJobsFile(current.file, texts, options.nowText());
    const temporaryName = `.jobs_${system.random.token(8)}.tmp`;
    const staged = system.files.stage(path, temporaryName, file.text, 0o600);
    let isInForce = false;
    return {
      snapshot: current.snapshot,
      patches,
      commit() {
        isInForce = true;
        putInForce(current, file, texts, staged);
      },
      finish() {
        if (isInForce) staged.sync();
        else staged.discard();
      },
    };
  }

  function write(decide: DecidePatches, staged: StagedUpdate | null): void {
    const current = loadText();
    const patches = decide(current.snapshot);
    if (staged !== null && staged.snapshot === current.snapshot && staged.patches === patches) {
      staged.commit();
    } else {
      const own = stage(current, patches);
      own?.commit();
      own?.finish();
    }
  }

  function putInForce(
    current: LoadedStore,
    file: JobsFile,
    texts: ReadonlyMap<number, string>,
    staged: StagedFile,
  ): void {
    // Until the write is known to have worked nothing is known about the file.
    loaded = null;
    const identity = staged.commit();
    tellMended(current, texts);
    // What we wrote is read back only when somebody asks, since whoever writes holds locks.
    written = () => {
      const records = [...current.records];
      for (const [index, text] of texts) records[index] = readRecord(text, options.naiveZone);
      return assemble(file, records, identity, true, options);
    };
  }

  function tellMended(current: LoadedStore, texts: ReadonlyMap<number, string>): void {
    for (const [index, text] of texts) {
      const job = current.records[index]?.job;
      if (job?.nextRunFault === undefined) continue;
      const mended = readRecord(text, options.naiveZone)?.job;
      if (mended === undefined || mended.nextRunFault !== undefined) continue;
      options.onMended?.(job.id, job.nextRunFault, mended.nextRunAt?.text ?? "none");
    }
  }

  function writeUnder(lock: HeldLock, decide: DecidePatches, staged: StagedUpdate | null = null): void {
    try {
      write(decide, staged);
    } finally {
      lock.release();
    }
  }

  return {
    path,
    read: () => load().snapshot,
    latest: () => latest()?.snapshot ?? null,
    rest() {
      const known = latest();
      if (known?.settled === true) loaded = { ...known, file: null };
    },
    recordText(jobId) {
      const { file, records } = loadText();
      const index = records.findIndex((record) => record?.job.id === jobId);
      return index === -1 ? null : recordText(file, index);
    },
    rehearse(decide) {
      const current = loadText();
      patchedTexts(current, decide(current.snapshot), path);
    },
    stage(snapshot, patches) {
      const current = loadText();
      return current.snapshot === snapshot ? stage(current, patches) : null;
    },
    update: (decide, waitMs, staged) => writeUnder(system.locks.lockWithin(lockPath, waitMs), decide, staged),
    updateWhenFree: async (decide, waitMs) => writeUnder(await lockWhenFree(system, lockPath, waitMs), decide),
  };
}

function identify(system: StoreSystem, path: string): FileIdentity | null {
  const stat = statTarget(system, path);
  if (stat === null) return null;
  if (stat.kind !== "file") {
    throw new CorruptStoreError(path, `it is a ${stat.kind === "other" ? "device" : stat.kind}, expected a file`, null);
  }
  if (stat.sizeBytes > jobsFileBytesMax) throw tooLarge(path, stat.sizeBytes);
  return stat;
}

/** A link that leads to nothing shows that there were jobs: they are out of reach, and not deleted. */
function statTarget(system: StoreSystem, path: string): FileStat | null {
  let stat: FileStat | null;
  try {
    stat = system.files.stat(path);
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "ELOOP")) throw error;
    throw new CorruptStoreError(path, "it is a link that leads in a circle, expected a file", null);
  }
  if (stat === null && system.files.statLink(path) !== null) {
    // A file may just have come, so only a link that is still broken counts.
    stat = system.files.stat(path);
    if (stat === null && system.files.statLink(path)?.kind === "symlink") {
      throw new CorruptStoreError(path, "it is a link that leads nowhere, expected a file", null);
    }
  }
  return stat;
}

function emptyStore(options: JobStoreOptions): StoreWithText {
  const file = parseJobsFile(Buffer.from("{}"), "", null);
  return assemble(file, [], null, true, options);
}

/** The records of `file`. Those that stand in the previous text, too, before or behind whatever changed, are not read again. */
function readRecords(file: JobsFile, previous: LoadedStore | null, naiveZone: Zone): readonly (JobRecord | null)[] {
  const count = file.records.length;
  const records = new Array<JobRecord | null>(count);
  const old = previous?.file ?? null;
  const oldCount = old === null ? 0 : (previous?.records.length ?? 0);
  const same = (index: number, oldIndex: number): boolean =>
    old !== null && recordText(old, oldIndex) === recordText(file, index);
  let head = 0;
  while (head < Math.min(count, oldCount) && same(head, head)) {
    records[head] = previous?.records[head] ?? null;
    head += 1;
  }
  let tail = 0;
  while (tail < Math.min(count, oldCount) - head && same(count - 1 - tail, oldCount - 1 - tail)) {
    records[count - 1 - tail] = previous?.records[oldCount - 1 - tail] ?? null;
    tail += 1;
  }
  for (let index = head; index < count - tail; index += 1) {
    records[index] = readRecord(recordText(file, index), naiveZone);
  }
  return records;
}

function assemble(
  file: JobsFile,
  records: readonly (JobRecord | null)[],
  identity: FileIdentity | null,
  settled: boolean,
  options: JobStoreOptions,
): StoreWithText {
  const strays = [...file.strays];
  const jobs: Job[] = [];
  const seen = new Set<string>();
  for (const [index, record] of records.entries()) {
    if (record === null) {
      strays.push(`Record ${index + 1} of "jobs" has no id, give it one`);
    } else if (seen.has(record.job.id)) {
      jobs.push({ ...record.job, fault: `Another job further up has the same id ${JSON.stringify(record.job.id)}` });
    } else {
      seen.add(record.job.id);
      jobs.push(record.job);
    }
  }
  const runFields = options.installed?.runFields === true || records.some((record) => record?.features.runFields);
  return { snapshot: { jobs, strays, features: { runFields }, identity }, file, records, settled };
}

/** The new texts of the records that `patches` change, by index. */
function patchedTexts(
  { file, records, snapshot }: StoreWithText,
  patches: ReadonlyMap<string, JobPatch>,
  path: string,
): ReadonlyMap<number, string> {
  const texts = new Map<number, string>();
  if (patches.size === 0) return texts;
  // A whole store is searched for its way of writing only when it matters.
  const ascii = /[^\u0000-\u007f]/.test(JSON.stringify([...patches.values()])) && isEscapedText(file.text);
  const missing = new Set(patches.keys());
  for (const [index, record] of records.entries()) {
    const patch = record === null ? undefined : patches.get(record.job.id);
    if (record === null || patch === undefined || !missing.delete(record.job.id)) continue;
    const old = recordText(file, index);
    const text = patchRecord(old, patch, snapshot.features, ascii);
    if (text !== old) texts.set(index, text);
  }
  const [unknown] = missing;
  if (unknown !== undefined) throw new RangeError(`Cannot change job "${unknown}": "${path}" does not have it`);
  return texts;
}

function recordText(file: JobsFile, index: number): string {
  const span = file.records[index];
  return span === undefined ? "" : file.text.slice(span.start, span.end);
}

async function lockWhenFree(system: StoreSystem, path: string, waitMs: number): Promise<HeldLock> {
  const startedMs = system.clock.monotonicMs();
  for (;;) {
    const lock = system.locks.tryLock(path);
    if (lock !== null) return lock;
    const waitedMs = system.clock.monotonicMs() - startedMs;
    if (waitedMs >= waitMs) throw new LockHeldError(path, system.locks.holderPid(path), Math.round(waitedMs));
    await new Promise<void>((resolve) => system.clock.after(Math.min(pollMs, waitMs - waitedMs), resolve));
  }
}
