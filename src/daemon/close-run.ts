import { formatInstant } from "../core/instant.ts";
import { InvariantError } from "../core/invariant-error.ts";
import type { JobPatch } from "../core/job.ts";
import { maskKeys } from "../core/mask-keys.ts";
import { promptResult } from "../core/prompt-outcome.ts";
import type { Run, RunReason } from "../core/run.ts";
import type { RunReport } from "../core/run-report.ts";
import { documentHead, type ScriptEnd, scriptResult } from "../core/script-outcome.ts";
import { type EndedClaim, settleJob } from "../core/settle-job.ts";
import type { Zone } from "../core/zone.ts";
import { resolveIncidents } from "../delivery/hermes-incidents.ts";
import { redactSecrets } from "../homes/secrets.ts";
import { saveOutputDocument } from "../output/output-document.ts";
import { readAnswer, readJobRecord, readPromptJob } from "../output/prompt-files.ts";
import {
  joinOutput,
  type RunFolder,
  type RunResult,
  readEnds,
  readRunResult,
  runFolder,
  writeRunResult,
} from "../output/run-folder.ts";
import { takeFireFences } from "../store/fire-fence.ts";
import { LockHeldError } from "../system/lock.ts";
import { isTriedAgain, noteAttempt, pauseReason, reloadAttempts } from "./attempts.ts";
import type { DaemonParts } from "./daemon-parts.ts";
import { isDiskFull, noteEndsFault } from "./home-fault.ts";
import type { HomeRuntime } from "./home-runtime.ts";
import { queueDelivery } from "./queue-delivery.ts";
import { noteExecution } from "./record-executions.ts";
import { lockWaitMs } from "./tick.ts";

/** Of each stream, what a document may hold; beyond it both ends are kept. */
const documentStreamBytesMax = 1 << 18;

/** A run that is over, with all that is known of its end. */
export interface EndedRun {
  readonly run: Run;
  readonly end: ScriptEnd;
  readonly endedAtMs: number;
}

interface Closing {
  readonly ended: EndedRun;
  readonly report: RunReport;
  readonly folder: RunFolder;
  readonly stdoutBytes: number;
  readonly documentPath: string | null;
  readonly outputBytes: number;
}

/**
 * Records the ends of runs of one home (steps 10 to 13): result file, output document, ledger, and last the job's record.
 * Each step can be done again with the same effect, so a crash between two of them only repeats some.
 * Returns the runs whose job was being closed by somebody else at that moment: their records are still to be settled.
 */
export function closeRuns(parts: DaemonParts, home: HomeRuntime, endedRuns: readonly EndedRun[]): readonly EndedRun[] {
  const closings = endedRuns.map((ended) => writeDown(parts, home, ended));
  parts.fault("after-document");
  parts.fault("before-ledger-close");
  parts.ledger.transaction(() => {
    for (const { ended, report, folder, documentPath, outputBytes } of closings) {
      const { outcome } = report;
      noteStart(parts, ended.run, folder, outcome.success);
      const isFirst = parts.ledger.close(ended.run.id, {
        state: outcome.success ? "completed" : "failed",
        reason: outcome.reason,
        exitCode: outcome.exitCode,
        signal: outcome.signal,
        error: outcome.error === null ? null : redactSecrets(outcome.error, home.settings.secrets),
        endedAtMs: ended.endedAtMs,
        outputBytes,
        outputPath: folder.output,
        documentPath,
      });
      if (isFirst) {
        noteAttempt(parts, home, ended.run, {
          success: outcome.success,
          reason: outcome.reason,
          endedAtMs: ended.endedAtMs,
          isRetriedByHermes: (report.postponed ?? null) !== null,
        });
      }
      queueResult(parts, home, ended.run, folder, report);
    }
  });
  reloadAttempts(parts, home);
  for (const { ended, report } of closings) {
    const error = report.jobError === null ? null : redactSecrets(report.jobError, home.settings.secrets);
    noteExecution(home, ended.run.id, { error });
    if (report.outcome.success) noteRecovery(parts, home, ended.run);
  }
  parts.fault("after-ledger-close");
  parts.fault("before-settle");
  const unsettled = settle(parts, home, closings);
  parts.fault("after-settle");
  const open = new Set(unsettled.map(({ run }) => run.id));
  for (const { ended, folder } of closings) if (!open.has(ended.run.id)) dropErrors(parts, folder);
  return unsettled;
}

/** It stands behind standard output by now, and nothing asks for the two apart once the job's record is settled. */
function dropErrors({ system }: DaemonParts, folder: RunFolder): void {
  try {
    if ((system.files.stat(folder.errors)?.sizeBytes ?? 0) > 0) system.files.remove(folder.errors);
  } catch (error) {
    // It goes with its folder.
    system.log.warn("standard error of a run is kept twice", { path: folder.errors, error: String(error) });
  }
}

/** Only whose claim still stands in the job's record has something to say, as in Hermes. */
function queueResult(parts: DaemonParts, home: HomeRuntime, run: Run, folder: RunFolder, report: RunReport): void {
  if (report.message === null || (!report.outcome.success && isTriedAgain(parts, run))) return;
  // Its own next run is the news of a run that made way for it.
  if (report.outcome.reason === "replaced") return;
  const isPrompt = run.kind === "prompt";
  const job = home.store.read().jobs.find((one) => one.id === run.jobId);
  // A job can remove itself in its last act, and what it has to say is then meant to be said.
  if (job === undefined ? report.hasRemovedItself !== true : job.fireClaim?.by !== run.owner) return;
  const record = (isPrompt ? readJobRecord(parts.system, folder) : null) ?? home.store.recordText(run.jobId);
  const { isBare = false, isForFailure: forFailure, incident = null } = report;
  queueDelivery(parts, home, run, record, {
    text: isBare ? report.jobError : report.message,
    forFailure,
    isBare,
    incident,
  });
}

/** Lets Hermes forget the failures of a script that works again, so that people are told when it fails anew. */
function noteRecovery({ system }: DaemonParts, home: HomeRuntime, run: Run): void {
  if (run.kind === "prompt" || home.settings.hermes?.features["incidents"] !== true) return;
  try {
    if (home.store.read().jobs.find((job) => job.id === run.jobId)?.lastStatus !== "error") return;
    resolveIncidents(system, home.cronFolder, run.jobId, formatInstant(system.clock.nowMs(), home.settings.zone));
  } catch (error) {
    system.log.warn("Hermes could not be told that a job works again", {
      home: home.name,
      job_id: run.jobId,
      error: error instanceof Error ? error.message : String(error),
    });
  }
}

/** How the record is to tell of a result that is on its way, or of one that did not arrive. */
function deliveryOf(
  parts: DaemonParts,
  runId: string,
  success: boolean,
  knowsStatus: boolean,
): Pick<EndedClaim, "status" | "deliveryError" | "deliveryQueued"> {
  const delivery = parts.ledger.delivery(runId);
  if (delivery === null) return {};
  const { state, target, error } = delivery;
  if (state === "pending" || state === "sending")
    return knowsStatus ? { deliveryQueued: target, ...(success ? { status: "delivery_queued" } : {}) } : {};
  if (state !== "failed" && state !== "unknown") return {};
  return { deliveryError: error ?? "it was not delivered", ...(success && !knowsStatus ? { status: "ok" } : {}) };
}

/**
 * A daemon that died right after it opened a gate left the row at `claimed`; the launcher's own files know better. A crash of the
 * machine can take any of them, but what succeeded did start.
 */
export function noteStart(parts: DaemonParts, run: Run, folder: RunFolder, success: boolean): void {
  const { files } = parts.system;
  const started = files.stat(folder.started) ?? files.stat(folder.exit);
  if ((started === null && !success) || parts.ledger.run(run.id)?.state !== "claimed") return;
  if (started === null) {
    parts.ledger.start(run.id, run.claimedAtMs);
    return;
  }
  parts.ledger.start(run.id, Number(started.modifiedNs / 1000n) / 1000);
}

/** Writes the end of a run down before anything is made of it. What stands there already is the truth. */
export function writeResult(
  { system }: Pick<DaemonParts, "system">,
  folder: RunFolder,
  ended: EndedRun,
  zone: Zone,
): RunResult {
  const known = readRunResult(system, folder);
  const written: RunResult = known ?? {
    end: ended.end,
    endedAtMs: ended.endedAtMs,
    stdoutBytes: system.files.stat(folder.output)?.sizeBytes ?? 0,
    documentName: formatInstant(ended.endedAtMs, zone).slice(0, 19).replace("T", "_").replaceAll(":", "-"),
  };
  if (known === null && system.files.stat(folder.path) !== null) writeRunResult(system, folder, written);
  return written;
}

/** Writes the result down before anything is made of it, then the document. */
function writeDown(parts: DaemonParts, home: HomeRuntime, ended: EndedRun): Closing {
  const { system } = parts;
  const folder = runFolder(parts.stateFolder, ended.run.id);
  parts.fault("before-result");
  const written = writeResult(parts, folder, ended, home.settings.zone);
  parts.fault("after-result");
  parts.fault("before-document");
  const stdout = readEnds(system, folder.output, written.stdoutBytes, documentStreamBytesMax);
  const stderr = readEnds(
    system,
    folder.errors,
    system.files.stat(folder.errors)?.sizeBytes ?? 0,
    documentStreamBytesMax,
  );
  const clockText = formatInstant(written.endedAtMs, home.settings.zone).slice(0, 19).replace("T", " ");
  const redact = (text: string): string => maskKeys(redactSecrets(text, home.settings.secrets));
  const report =
    ended.run.kind === "prompt"
      ? promptReport(parts, ended.run, folder, written.end, redact(`${stdout}\n${stderr}`), clockText)
      : scriptReport(ended.run, written.end, redact(stdout), redact(stderr), clockText);
  return {
    ended: { ...ended, end: written.end, endedAtMs: written.endedAtMs },
    report,
    folder,
    stdoutBytes: written.stdoutBytes,
    documentPath: saveDocument(parts, home, ended.run, written.documentName, report.document),
    outputBytes: joinOutput(system, folder, written.stdoutBytes),
  };
}

function scriptReport(run: Run, end: ScriptEnd, stdout: string, stderr: string, clockText: string): RunReport {
  const result = scriptResult(run.jobName, end, stdout, stderr, clockText);
  return {
    outcome: result.outcome,
    jobError: result.jobError,
    document: documentHead(run.jobName, run.jobId, clockText) + result.documentBody,
    message: result.message,
    isForFailure: !result.outcome.success,
    isBare: !result.outcome.success,
  };
}

function promptReport(
  parts: DaemonParts,
  run: Run,
  folder: RunFolder,
  end: ScriptEnd,
  said: string,
  clockText: string,
): RunReport {
  const job = readPromptJob(parts.system, folder, { id: run.jobId, name: run.jobName });
  return promptResult(job, end, readAnswer(parts.system, folder), said, clockText);
}

/**
 * A document that can never be written loses nothing that the ledger does not have, so it does not keep the run open. With a job its
 * documents were removed, and none is left where nobody would look for it.
 */
function saveDocument(parts: DaemonParts, home: HomeRuntime, run: Run, name: string, text: string): string | null {
  if (isRemoved(home, run.jobId)) return null;
  try {
    return saveOutputDocument(parts.system, home.cronFolder, run.jobId, name, text, home.settings.outputKeepMax);
  } catch (error) {
    // All that has to be written for this run waits for room.
    if (isDiskFull(error)) throw error;
    parts.system.log.error("an output document could not be saved", {
      home: home.name,
      job_id: run.jobId,
      run_id: run.id,
      error: error instanceof Error ? error.message : String(error),
    });
    return null;
  }
}

function isRemoved(home: HomeRuntime, jobId: string): boolean {
  try {
    const { identity, jobs } = home.store.read();
    return identity !== null && jobs.every((job) => job.id !== jobId);
  } catch (error) {
    if (error instanceof InvariantError) throw error;
    // A store that cannot be read tells nothing.
    return false;
  }
}

function settle(parts: DaemonParts, home: HomeRuntime, closings: readonly Closing[]): readonly EndedRun[] {
  const fences = takeFireFences(
    parts.system,
    home.cronFolder,
    closings.map(({ ended }) => ended.run.jobId),
  );
  try {
    const free = closings.filter(({ ended }) => !fences.busy.has(ended.run.jobId));
    const paused: { readonly run: Run; readonly reason: string }[] = [];
    if (free.length > 0) {
      home.store.update((snapshot) => {
        const patches = new Map<string, JobPatch>();
        for (const closing of free) {
          const { run, endedAtMs } = closing.ended;
          const job = snapshot.jobs.find((one) => one.id === run.jobId);
          const patch =
            job === undefined
              ? "superseded"
              : settleJob(
                  job,
                  {
                    success: closing.report.outcome.success,
                    error: closing.report.jobError,
                    reason: closing.report.outcome.reason,
                    postponed: closing.report.postponed ?? null,
                    isCounted: closing.report.isCounted ?? true,
                    pauseReason: pauseReason(home, run, closing.report.jobError),
                  },
                  {
                    owner: run.owner,
                    endedAtMs,
                    trigger: run.trigger,
                    scheduledAtMs: run.scheduledAtMs,
                    zone: home.settings.zone,
                    ...deliveryOf(parts, run.id, closing.report.outcome.success, snapshot.features.runFields),
                  },
                );
          if (patch === "superseded") noteSuperseded(parts, home, run);
          else patches.set(run.jobId, patch);
          if (patch !== "superseded" && patch.state === "paused") {
            paused.push({ run, reason: patch.pausedReason ?? "" });
          }
        }
        return patches;
      }, lockWaitMs);
      for (const { run, reason } of paused)
        parts.system.log.warn("a job was paused", { home: home.name, job_id: run.jobId, run_id: run.id, reason });
    }
    noteEndsFault(parts.system.log, home, null);
    return closings.filter(({ ended }) => fences.busy.has(ended.run.jobId)).map(({ ended }) => ended);
  } catch (error) {
    // A busy lock, a full disk, a home that cannot be written: the ledger has the ends, the records follow when they can.
    if (!(error instanceof LockHeldError)) noteEndsFault(parts.system.log, home, error);
    return closings.map(({ ended }) => ended);
  } finally {
    fences.release();
  }
}

/** Settles the records of runs that the ledger has closed already. */
export function settleLater(
  parts: DaemonParts,
  home: HomeRuntime,
  endedRuns: readonly EndedRun[],
): readonly EndedRun[] {
  const closings = endedRuns.map((ended) => writeDown(parts, home, ended));
  // What a home of an unknown layout, or a crash, kept from being sent with the run's end.
  parts.ledger.transaction(() => {
    for (const { ended, report, folder } of closings) queueResult(parts, home, ended.run, folder, report);
  });
  return settle(parts, home, closings);
}

export function noteSuperseded(parts: DaemonParts, home: HomeRuntime, run: Run): void {
  parts.ledger.supersede(run.id);
  parts.ledger.endRetry(run.id, "superseded");
  home.retries = parts.ledger.waitingRetries(home.name);
  parts.system.log.warn("the job's record was left as it is: it is gone, or claimed by another run", {
    home: home.name,
    job_id: run.jobId,
    run_id: run.id,
  });
}

/** An end that we decide ourselves instead of reading it from the launcher. */
export function decidedEnd(reason: RunReason, text: string): ScriptEnd {
  return { exitCode: null, signal: null, signalNumber: null, cause: reason, causeText: text };
}
