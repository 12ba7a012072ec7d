import { deliveryTarget } from "../core/delivery-target.ts";
import type { Run } from "../core/run.ts";
import type { DaemonParts } from "./daemon-parts.ts";
import type { HomeRuntime } from "./home-runtime.ts";

/** What a run has to say to people. */
export interface RunMessage {
  /** Null when it has nothing to say. */
  readonly text: string | null;
  readonly forFailure: boolean;
  /** The text is the error of a failed run, to be put into words yet. */
  readonly isBare?: boolean;
  /** Hermes' own record of the failure that the text tells of. */
  readonly incident?: string | null;
}

/**
 * Puts a run's result on its way to where its job wants it, in the transaction that records the run's end. `record` is the job's
 * record as the run had it, as JSON; null where it is gone, and then there is nowhere to send to.
 */
export function queueDelivery(
  parts: DaemonParts,
  home: HomeRuntime,
  run: Run,
  record: string | null,
  { text, forFailure, isBare = false, incident = null }: RunMessage,
): void {
  if (record === null || text === null || text.trim() === "") return;
  const job = parseLoosely(record);
  const target = deliveryTarget(job, forFailure, true);
  // Looked for only where it counts: most jobs name their chat, or none.
  if (target === null || (target === "origin" && !hasHomeChannel(parts, home))) return;
  parts.ledger.queueDelivery({
    runId: run.id,
    home: run.home,
    jobId: run.jobId,
    target,
    record,
    content: text,
    isBare,
    forFailure,
    incident,
    queuedAtMs: parts.system.clock.nowMs(),
  });
}

/** Whether Hermes may know a chat to send to where a job names none. */
function hasHomeChannel({ system }: DaemonParts, home: HomeRuntime): boolean {
  const { variables } = home.settings.environments.prompt;
  const names = Object.keys(variables).filter((name) => /^[A-Z0-9_]+_HOME_(?:CHANNEL|ROOM|ADDRESS)$/u.test(name));
  if (names.some((name) => variables[name] !== "")) return true;
  const path = `${home.path}/config.yaml`;
  return system.files.stat(path) !== null && /\bhome_channel\b/u.test(system.files.readText(path));
}

/** Python writes `NaN` and the like, which no JSON has; where a result goes never depends on them. */
function parseLoosely(record: string): unknown {
  try {
    return JSON.parse(record);
  } catch {
    try {
      return JSON.parse(record.replace(/\b(?:NaN|-?Infinity)\b/gu, "null"));
    } catch {
      return null;
    }
  }
}
