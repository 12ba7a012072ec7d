import { type Explanation, explain } from "../../core/explain/explain.ts";
import type { ExplainEvidence, ToldSlot, Waiting } from "../../core/explain/explain-evidence.ts";
import { isoTime, jobJson, runJson, slotJson } from "../../status/json.ts";
import type { CommandParts } from "../command-parts.ts";
import { type ExitCode, exitCodes } from "../exit-codes.ts";
import { gatherExplanation } from "../gather-explanation.ts";
import { parseTime } from "../parse-time.ts";
import { formatJson, paint, printable, wrap } from "../print.ts";
import { createReader, type JobReading } from "../reader.ts";

/** Why a job did or did not run: the answer, what is known of it, and what comes. */
export async function explainJob(
  parts: CommandParts,
  jobText: string,
  timeText: string | undefined,
  options: { readonly json?: boolean },
): Promise<ExitCode> {
  const { terminal, system } = parts;
  const reader = createReader(parts);
  const job = reader.job(jobText);
  const nowMs = system.clock.nowMs();
  const atMs = timeText === undefined ? null : parseTime("TIME", timeText, nowMs, reader.zone(job.home));
  const evidence = await gatherExplanation(parts, reader, job, atMs);
  const explanation = explain(evidence);
  if (options.json) terminal.out(formatJson(explanationJson(job, atMs, evidence, explanation)));
  else terminal.out(formatExplanation(parts, explanation));
  return exitCodes.done;
}

function formatExplanation({ terminal }: CommandParts, { sentences }: Explanation): string {
  return sentences
    .map((sentence, index) => {
      const text = wrap(printable(sentence), terminal.columns);
      return `${index === 0 ? paint(terminal, "bold", text) : text}\n`;
    })
    .join("");
}

function explanationJson(
  job: JobReading,
  atMs: number | null,
  evidence: ExplainEvidence,
  explanation: Explanation,
): unknown {
  const { subject, policy, change } = evidence;
  const slot = subject.kind === "slot" || subject.kind === "due" || subject.kind === "run" ? subject.slot : null;
  const toldSlot = (each: ToldSlot): unknown => ({
    ...slotJson({ ...each, home: job.home }),
    waited_for: each.waitedFor ?? null,
  });
  return {
    job: { home: job.home, id: job.id, name: job.name },
    at: isoTime(atMs),
    cause: explanation.cause,
    sentences: explanation.sentences,
    evidence: {
      subject: subject.kind,
      instant: isoTime(
        subject.kind === "due" || subject.kind === "unnamed" || subject.kind === "future" ? subject.atMs : null,
      ),
      run: subject.kind === "run" ? runJson(subject.run) : null,
      slot: slot === null ? null : toldSlot(slot),
      neighbours: evidence.neighbours.map(toldSlot),
      record: evidence.job === null ? null : jobJson(job.home, evidence.job, null),
      time_zone: evidence.zone.name,
      daemon: { running: evidence.isDaemonAlive, pid: evidence.daemonPid },
      daemon_lives: evidence.lives.map(({ pid, beganMs, seenMs, endedMs }) => ({
        pid,
        began_at: isoTime(beganMs),
        seen_at: isoTime(seenMs),
        ended_at: isoTime(endedMs),
      })),
      home: { state: evidence.home.state, reason: evidence.home.reason },
      config_errors: [evidence.hostConfigError, evidence.home.configError].filter((error) => error !== null),
      spells: evidence.spells.map(({ kind, detail, beganMs, endedMs }) => ({
        kind,
        detail,
        began_at: isoTime(beganMs),
        ended_at: isoTime(endedMs),
      })),
      waiting: evidence.waiting === null ? null : toldWait(evidence.waiting),
      other_waits: evidence.otherWaits.map(toldWait),
      tick_lock: { held: evidence.lockHolder !== null, holder: evidence.lockHolder },
      open_runs: evidence.openRuns.map(runJson),
      policy:
        policy === null
          ? null
          : { overlap: policy.overlap, misfire: policy.misfire.kind, timeout_ms: policy.timeoutMs },
      environment:
        change === null
          ? null
          : {
              last_success: change.lastSuccess.id,
              changed: change.variables,
              script_changed_at: isoTime(change.scriptChangedMs),
            },
      known_from: isoTime(evidence.knownFromMs),
    },
  };
}

function toldWait({ trigger, dueAtMs, reason, bound, heldBy, shortages }: Waiting): unknown {
  const limit =
    bound === null ? null : { home: bound.home, of: bound.of, name: bound.name || null, max: bound.runsMax };
  return { trigger, due_at: isoTime(dueAtMs), reason, limit, pressure: shortages, held_by: heldBy };
}
