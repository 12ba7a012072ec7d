import { jobSettings } from "../config/effective-settings.ts";
import { clockNote, readSetBacks } from "../core/home-history.ts";
import { membersOf, spliceText } from "../core/json-text.ts";
import type { Run } from "../core/run.ts";
import { documentHead, readDocument } from "../core/script-outcome.ts";
import type { Evidence, HomeEvidence, RunEvidence, SpecEvidence, UnknownFolder } from "../core/verify-laws.ts";
import { parseEnvFile, resolveEnvFile } from "../homes/env-file.ts";
import { secretsOf } from "../homes/secrets.ts";
import type { RunLedger } from "../ledger/run-ledger.ts";
import { readMarkedProcesses } from "../output/marked-processes.ts";
import { readExit, readRunResult, runFolder } from "../output/run-folder.ts";
import { CorruptStoreError, noFeatures, parseJobsFile, patchRecord } from "../store/jobs-file.ts";
import type { System } from "../system/system.ts";
import type { CommandParts } from "./command-parts.ts";
import { isLifelineHeld } from "./lifeline.ts";
import type { HomeReading, Reader } from "./reader.ts";

const runsPerPage = 5000;

/** What a home lends to the evidence of its runs. */
interface HomeNotes {
  readonly reading: HomeReading;
  /** Secret values of its `.env`, each with the name of a variable that holds it. */
  readonly secrets: ReadonlyMap<string, string>;
  /** Also of a job that is gone by now: its settings go by what the run was called. */
  readonly isDetached: (run: Run) => boolean;
  /** Documents that each job still has, oldest first; looked up once. */
  readonly documents: Map<string, readonly string[]>;
}

/** Everything that `verify` holds against each other, as it is now. Read in several goes beside a daemon that writes. */
export function gatherEvidence(
  parts: CommandParts,
  reader: Reader,
  looked: (done: number, total: number) => void = () => {},
): Evidence {
  const ledger = reader.ledger();
  const homes = reader.homes().map((reading) => noteHome(parts, reading));
  const byName = new Map(homes.map((home) => [home.reading.name, home]));
  const daemonLives = reader.daemon().running;
  // Processes first: what ends while the rest is read is then no process of an ended run.
  const processes = readMarkedProcesses(parts.system);
  const slots = ledger.slots({ limit: 0 });
  const runs = runsInOrder(ledger).toReversed();
  const known = new Set(runs.map((run) => run.id));
  const shared = sharedDocuments(runs);
  return {
    daemonLives,
    keptFromMs: Number(ledger.note("history_from_ms") ?? Number.NEGATIVE_INFINITY),
    runsKeptFromMs: ledger.runsKeptFromMs(),
    homes: homes.map(({ reading }) => homeEvidence(parts, reading, ledger.cursors(reading.name))),
    runs: runs.map((run, index) => {
      looked(index, runs.length);
      return runEvidence(parts, run, byName.get(run.home) ?? null, shared);
    }),
    slots,
    unknownFolders: findUnknownFolders(parts, (id) => known.has(id) || ledger.run(id) !== null),
    setBacks: readSetBacks(ledger.note(clockNote)),
    processes: processes?.filter((process) => known.has(process.runId)) ?? null,
  };
}

/** In the order of their claims, which their times do not tell where the clock was set back. */
function runsInOrder(ledger: RunLedger): readonly Run[] {
  const runs: Run[] = [];
  const lastSeq = ledger.lastSeq();
  for (let seq = 0; seq < lastSeq; ) {
    const page = ledger.runsPage({ limit: runsPerPage }, seq, lastSeq);
    runs.push(...page.runs);
    seq = page.runs.length < runsPerPage ? lastSeq : page.seq;
  }
  return runs;
}

function noteHome(parts: CommandParts, reading: HomeReading): HomeNotes {
  return {
    reading,
    secrets: readSecrets(parts, reading.path),
    isDetached: (run) => {
      const job = { id: run.jobId, name: run.jobName, kind: run.kind };
      return jobSettings(reading.settings, reading.hermes.scriptTimeoutMs, job).detach;
    },
    documents: new Map(),
  };
}

function readSecrets({ system }: CommandParts, homePath: string): ReadonlyMap<string, string> {
  const path = `${homePath}/.env`;
  try {
    if (system.files.stat(path) === null) return new Map();
    const variables = resolveEnvFile(parseEnvFile(system.files.read(path), path), {});
    return new Map(
      Object.entries(variables).flatMap(([name, value]) =>
        secretsOf({ [name]: value }).map((secret) => [secret, name] as const),
      ),
    );
  } catch {
    // A file that cannot be used has lent its values to no run either; the daemon reports it.
    return new Map();
  }
}

function homeEvidence(parts: CommandParts, home: HomeReading, cursors: HomeEvidence["cursors"]): HomeEvidence {
  const { name, path, zone, jobs } = home;
  const readable = home.state === "active" || home.state === "paused";
  const store: HomeEvidence["store"] =
    home.state === "unsupported" ? { state: "absent" } : printAgain(parts, `${path}/cron/jobs.json`);
  return { name, path, zone, readable, jobs, cursors, store };
}

/** Takes the store apart as a write does, puts it together with nothing changed, and compares the bytes. */
function printAgain({ system }: CommandParts, path: string): HomeEvidence["store"] {
  try {
    if (system.files.stat(path) === null) return { state: "absent" };
    const bytes = system.files.read(path);
    const file = parseJobsFile(bytes, path, null);
    const records = file.records.map((span) => {
      const text = file.text.slice(span.start, span.end);
      // A record that names its id as older writers did is mended by whoever writes it.
      const named = membersOf(text, 0).some((member) => member.key === "id");
      return { ...span, text: named ? patchRecord(text, {}, noFeatures, false) : text };
    });
    const isWhole = spliceText(file.text, records) === file.text && Buffer.from(file.source).equals(bytes);
    if (isWhole) return { state: "same" };
    return { state: "damaged", problem: `"${path}" does not come back byte for byte when printed again: report it` };
  } catch (error) {
    if (error instanceof CorruptStoreError) return { state: "damaged", problem: error.message };
    const code = (error as NodeJS.ErrnoException).code;
    if (code === undefined) throw error;
    return {
      state: "damaged",
      problem: `Cannot read jobs "${path}": ${code}, expected a file that this user can read`,
    };
  }
}

/** Documents are named by the second, so of runs that ended within one only the last has its own. */
function sharedDocuments(runs: readonly Run[]): ReadonlySet<string> {
  const seen = new Set<string>();
  return new Set(
    runs.flatMap(({ documentPath }) => {
      if (documentPath === null) return [];
      if (seen.has(documentPath)) return [documentPath];
      seen.add(documentPath);
      return [];
    }),
  );
}

function runEvidence(parts: CommandParts, run: Run, home: HomeNotes | null, shared: ReadonlySet<string>): RunEvidence {
  const system = parts.system as System;
  const { files } = system;
  const folder = runFolder(parts.stateFolder, run.id);
  const started = files.stat(folder.started);
  const result = guarded(() => readRunResult(system, folder)?.end ?? null);
  const exit = guarded(() => readExit(system, folder));
  return {
    run,
    startedFileMs: started === null ? null : Number(started.modifiedNs / 1000n) / 1000,
    result,
    exit,
    document: documentEvidence(parts, run, home, shared),
    lifelineHeld: isLifelineHeld(parts, folder.alive),
    detached: home?.isDetached(run) ?? false,
    spec: guarded(() => readSpec(parts, folder.spec, home)),
  };
}

/** Folders are deleted and files written while we read. */
function guarded<Result>(read: () => Result): Result | null {
  try {
    return read();
  } catch (error) {
    if (error instanceof SyntaxError || (error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw error;
  }
}

function documentEvidence(
  { system }: CommandParts,
  run: Run,
  home: HomeNotes | null,
  shared: ReadonlySet<string>,
): RunEvidence["document"] {
  if (run.documentPath === null) return "none";
  const stat = system.files.stat(run.documentPath);
  if (stat !== null) {
    // What Hermes writes of a prompt is its own; where a script has kept its model from being asked, it may be nothing at all.
    if (run.kind !== "script") return "none";
    if (stat.sizeBytes === 0) return "empty";
    const told = guarded(() => tellDocument(system, run, run.documentPath ?? "", stat.sizeBytes)) ?? "none";
    return told !== "foreign" && shared.has(run.documentPath) ? "none" : told;
  }
  // With its job or its home a document may be removed, too.
  if (home === null || !home.reading.jobs.some((job) => job.id === run.jobId)) return "none";
  const cut = run.documentPath.lastIndexOf("/");
  const folder = run.documentPath.slice(0, cut);
  const kept = home.documents.get(run.jobId) ?? guarded(() => system.files.list(folder)) ?? [];
  home.documents.set(run.jobId, kept);
  const documents = kept.filter((name) => name.endsWith(".md"));
  const keepMax = home.reading.hermes.outputRetention;
  const wasPruned =
    keepMax > 0 && documents.length >= keepMax && run.documentPath.slice(cut + 1) < (documents[0] ?? "");
  return wasPruned ? "none" : "gone";
}

/** What follows the head of a document tells in so many bytes how its run ended. */
const documentMarkBytes = 64;

function tellDocument(
  system: Pick<System, "files">,
  run: Run,
  path: string,
  sizeBytes: number,
): RunEvidence["document"] {
  // The file's name is the time that stands in the text: `2026-06-15_10-00-01`.
  const [day = "", time = ""] = path.slice(path.lastIndexOf("/") + 1, -".md".length).split("_");
  const head = documentHead(run.jobName, run.jobId, `${day} ${time.replaceAll("-", ":")}`);
  const length = Math.min(sizeBytes, Buffer.byteLength(head) + documentMarkBytes);
  const success = readDocument(Buffer.from(system.files.readPart(path, 0, length)).toString("utf8"), head);
  if (success === null) return "foreign";
  return success ? "success" : "failure";
}

/** What a spec may hold of names and paths that a person chose, and that may look like anything. */
const chosenKeys = new Set(["run_id", "home", "home_path", "job_id", "job_name", "kind", "script", "workdir"]);

function readSpec({ system }: CommandParts, path: string, home: HomeNotes | null): SpecEvidence | null {
  if (system.files.stat(path) === null) return null;
  const spec = JSON.parse(system.files.readText(path)) as Readonly<Record<string, unknown>>;
  const rest = JSON.stringify(
    Object.entries(spec).filter(([key, value]) => !chosenKeys.has(key) && !areHashes(key, value)),
  );
  const leaked = [...(home?.secrets ?? [])].filter(([secret]) => rest.includes(JSON.stringify(secret).slice(1, -1)));
  const text = (value: unknown): string | null => (typeof value === "string" ? value : null);
  return {
    home: text(spec["home"]),
    homePath: text(spec["home_path"]),
    leaked: [...new Set(leaked.map(([, name]) => name))],
  };
}

/** A short secret of hexadecimal digits can stand in a hash by chance, and a name is no value. */
function areHashes(key: string, value: unknown): boolean {
  if (key !== "environment_hashes" || typeof value !== "object" || value === null) return false;
  return Object.values(value).every((hash) => typeof hash === "string" && /^[0-9a-f]{24}$/.test(hash));
}

function findUnknownFolders(
  { system, stateFolder }: CommandParts,
  isKnown: (runId: string) => boolean,
): readonly UnknownFolder[] {
  const runsFolder = `${stateFolder}/runs`;
  if (system.files.stat(runsFolder) === null) return [];
  return system.files.list(runsFolder).flatMap((runId) => {
    const started = isKnown(runId) ? null : system.files.stat(runFolder(stateFolder, runId).started);
    return started === null ? [] : [{ runId, startedMs: Number(started.modifiedNs / 1000n) / 1000 }];
  });
}
