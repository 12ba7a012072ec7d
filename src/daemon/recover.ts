import { runVariables } from "../../worker/protocol.ts";
import type { Child } from "../child/child-table.ts";
import type { RunLimits } from "../child/run-limits.ts";
import { readStopCause, type StopCause } from "../child/stop-cause.ts";
import { isSameProcess } from "../core/fingerprint.ts";
import type { Run } from "../core/run.ts";
import type { ScriptEnd } from "../core/script-outcome.ts";
import { readAnswer } from "../output/prompt-files.ts";
import { type RunFolder, readExit, readRunResult, runFolder } from "../output/run-folder.ts";
import { decidedEnd, type EndedRun } from "./close-run.ts";
import type { DaemonParts } from "./daemon-parts.ts";

/** What is known of a run that an earlier daemon left open. `docs/recovery.md` has a row for each. */
export type Recovered =
  | { readonly kind: "ended"; readonly ended: EndedRun }
  /** Its gate never opened: nothing ran. */
  | { readonly kind: "void"; readonly run: Run }
  /** It lives, and its daemon meant it to. */
  | { readonly kind: "adopt"; readonly run: Run }
  /** It lives, but nobody was watching it, or it was asked to end already: it is stopped and counts as a failed attempt. */
  | { readonly kind: "stop"; readonly run: Run; readonly cause: StopCause }
  /** Its launcher has not left yet: look again. */
  | { readonly kind: "wait"; readonly run: Run };

/** For what is ended because its daemon died. */
export const orphanCause: StopCause = {
  reason: "orphaned",
  text: "The supervisor died while this run was open; what was left of it was stopped",
};

const orphanText = "The supervisor died while this run was open and nobody saw how it ended";

/**
 * Looks at one open run of an earlier daemon. Never guesses: an end that nobody saw is a failed attempt. `isClaimed` is false where
 * the job's record proves that the claim never got into it, `isAdopted` tells what becomes of a run that goes on.
 */
export function recoverRun(parts: DaemonParts, run: Run, isAdopted: boolean, isClaimed = true): Recovered {
  const { system } = parts;
  const folder = runFolder(parts.stateFolder, run.id);
  const seen = knownEnd(parts, run);
  if (seen !== null) return { kind: "ended", ended: seen };
  const sameBoot = run.fingerprint.bootId === system.processes.bootId();
  const held = sameBoot && isLifelineHeld(parts, run.id);
  const started = system.files.stat(folder.started) !== null;
  // A crash of the machine can take the file `started` with it, and anybody the whole folder, but neither takes a claim that was
  // there before the gate opened. A row that says running knows of the gate by itself.
  const isTold = sameBoot && system.files.stat(folder.path) !== null;
  const isNotOpened = run.state === "claimed" && !started && (isTold || !isClaimed);
  // Without its folder the lifeline says nothing.
  const isThere = held || (sameBoot && !isTold && isLauncherAlive(parts, run));
  if (isNotOpened) return { kind: isThere ? "wait" : "void", run };
  if (!held) {
    // The launcher may have written its exit file between the two looks.
    const late = knownEnd(parts, run);
    return late !== null ? { kind: "ended", ended: late } : { kind: "ended", ended: orphanEnd(parts, run) };
  }
  const cause = readStopCause(system, parts.stateFolder, run.id);
  if (cause !== null) return { kind: "stop", run, cause };
  if (isAdopted) return { kind: "adopt", run };
  return { kind: "stop", run, cause: orphanCause };
}

/** The end of a run that nobody saw end: what it was stopped for, if it was. */
export function orphanEnd(parts: DaemonParts, run: Run): EndedRun {
  const cause = readStopCause(parts.system, parts.stateFolder, run.id);
  const end = cause === null ? decidedEnd("orphaned", orphanText) : decidedEnd(cause.reason, cause.text);
  return { run, end, endedAtMs: run.endedAtMs ?? parts.system.clock.nowMs() };
}

/** The end that is on disk: our own result file first, then the launcher's exit file with the cause for which the run was stopped. */
export function knownEnd(parts: DaemonParts, run: Run): EndedRun | null {
  const folder = runFolder(parts.stateFolder, run.id);
  const result = readRunResult(parts.system, folder);
  if (result !== null) return { run, end: result.end, endedAtMs: result.endedAtMs };
  if (parts.system.files.stat(folder.result) !== null) {
    parts.system.log.warn("the result file of a run cannot be read; it counts as none", { run_id: run.id });
  }
  const exit: ScriptEnd | null = readExit(parts.system, folder);
  if (exit === null) return answeredEnd(parts, run, folder);
  // One that was asked to leave while it ran may well end with 0 for it.
  const cause = readStopCause(parts.system, parts.stateFolder, run.id);
  const end = cause === null ? exit : { ...exit, cause: cause.reason, causeText: cause.text };
  // What was recorded stands: the job's record is to name the same instant.
  if (run.endedAtMs !== null) return { run, end, endedAtMs: run.endedAtMs };
  const writtenNs = parts.system.files.stat(folder.exit)?.modifiedNs;
  if (writtenNs === undefined) return { run, end, endedAtMs: parts.system.clock.nowMs() };
  // The clock of files lags behind ours by up to 10 ms, and no run ends before it began.
  const beganMs = run.startedAtMs ?? run.claimedAtMs;
  return { run, end, endedAtMs: Math.max(beganMs, Number(writtenNs / 1000n) / 1000) };
}

/** A worker's answer is the truth of its run, also when nobody saw the process end: it is the last thing that a worker does. */
function answeredEnd(parts: DaemonParts, run: Run, folder: RunFolder): EndedRun | null {
  const { files } = parts.system;
  if (run.kind !== "prompt" || readAnswer(parts.system, folder) === null || isLifelineHeld(parts, run.id)) return null;
  const writtenNs = files.stat(folder.answer)?.modifiedNs;
  const end: ScriptEnd = { exitCode: 0, signal: null, signalNumber: null, cause: null, causeText: null };
  return {
    run,
    end,
    endedAtMs:
      run.endedAtMs ?? (writtenNs === undefined ? parts.system.clock.nowMs() : Number(writtenNs / 1000n) / 1000),
  };
}

/** Whether any process of the run is alive that kept the lifeline. */
export function isLifelineHeld(parts: DaemonParts, runId: string): boolean {
  const { alive } = runFolder(parts.stateFolder, runId);
  if (parts.system.files.stat(alive) === null) return false;
  const lock = parts.system.locks.tryLock(alive);
  lock?.release();
  return lock === null;
}

/**
 * Whether the launcher of the run is alive. Where its PID says nothing here, only the lifeline can tell. A start time is too
 * coarse to tell a PID that was given away twice within one tick, and something else of the run may hold the lifeline.
 */
export function isLauncherAlive(parts: DaemonParts, run: Run): boolean {
  const { processes } = parts.system;
  const own = processes.fingerprint(processes.ownPid);
  if (own?.pidNamespace !== run.fingerprint.pidNamespace) return isLifelineHeld(parts, run.id);
  const seen = processes.fingerprint(run.fingerprint.pid);
  if (seen === null || !isSameProcess(run.fingerprint, seen)) return false;
  return processes.showsEnvironment
    ? processes.startedWith(seen.pid, runVariables.runId) === run.id
    : isLifelineHeld(parts, run.id);
}

/** A child that an earlier daemon started: its end is found by looking, as only a parent is told. */
export function adoptedChild(run: Run, limits: RunLimits): Child {
  return {
    runId: run.id,
    home: run.home,
    jobId: run.jobId,
    fingerprint: run.fingerprint,
    ended: null,
    startedAtMs: run.startedAtMs ?? run.claimedAtMs,
    script: null,
    kind: run.kind,
    cause: null,
    timeout: null,
    overAtMs: null,
    held: null,
    limits,
  };
}
