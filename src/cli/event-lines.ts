import type { Run } from "../core/run.ts";
import type { RunLedger } from "../ledger/run-ledger.ts";
import type { CommandParts } from "./command-parts.ts";
import { formatDateTime, paint, printable, shortName } from "./print.ts";
import type { Reader } from "./reader.ts";
import { formatTook, jobLabel } from "./run-text.ts";

/** Something that is shown again and again while a daemon runs in this process. */
export interface View {
  show(): void;
  interrupted(): void;
  end(): void;
}

const recentMax = 500;

/** What so many interrupts come to. */
export function endingText(interrupts: number): string {
  if (interrupts === 0) return "Ctrl-C ends it";
  return interrupts === 1
    ? "Ending: waiting for what still runs; Ctrl-C again stops it"
    : "Ending: stopping what still runs";
}

/** A line for each run that starts or ends and each instant that is passed over, from now on. */
export function createEventLines(parts: CommandParts, reader: Reader): View {
  const { terminal } = parts;
  const sinceMs = parts.system.clock.nowMs();
  let interrupts = 0;
  let seenRuns: ReadonlyMap<string, Run["state"]> = new Map();
  let seenSlots: ReadonlySet<string> = new Set();
  const say = (atMs: number, text: string): void =>
    terminal.out(`${paint(terminal, "dim", formatDateTime(atMs, reader.zone()).slice(11))}  ${text}\n`);

  function showRuns(ledger: RunLedger): void {
    const recent = [...ledger.runs({ limit: recentMax, sinceMs })].reverse();
    const listed = new Set(recent.map((run) => run.id));
    // A long run may have fallen out of the newest by the time it ends.
    const older = [...seenRuns].filter(([id, state]) => !listed.has(id) && isOpen(state)).map(([id]) => ledger.run(id));
    const runs = [...older.filter((run) => run !== null), ...recent];
    for (const run of runs) {
      const before = seenRuns.get(run.id);
      if (before === run.state) continue;
      const label = shortName(jobLabel(run.home, run.jobName));
      if (before === undefined) say(run.startedAtMs ?? run.claimedAtMs, `${label} started`);
      if (run.endedAtMs !== null) say(run.endedAtMs, `${label} ${endText(run)}`);
    }
    seenRuns = new Map(runs.map((run) => [run.id, run.state]));
  }

  function endText(run: Run): string {
    const state = paint(terminal, run.state === "completed" ? "green" : "red", run.state);
    const took = run.startedAtMs === null ? "" : ` after ${formatTook(run, parts.system.clock.nowMs())}`;
    return `${state}${took}${run.error === null ? "" : `: ${printable(run.error)}`}`;
  }

  function showSlots(ledger: RunLedger): void {
    const slots = [...ledger.slots({ limit: recentMax, sinceMs })]
      .reverse()
      .filter((slot) => slot.decision === "skip" || slot.decision === "miss");
    const keys = slots.map((slot) => `${slot.home}/${slot.jobId}/${slot.scheduledAtMs}`);
    const fresh = slots.filter((_, index) => !seenSlots.has(keys[index] ?? ""));
    if (fresh.length > 0) {
      const names = new Map(
        reader.homes().flatMap((home) => home.jobs.map((job) => [`${home.name}/${job.id}`, job.name])),
      );
      for (const slot of fresh) {
        const name = names.get(`${slot.home}/${slot.jobId}`) ?? slot.jobId;
        const what = paint(terminal, "yellow", slot.decision === "skip" ? "skipped" : "missed");
        say(slot.decidedAtMs, `${shortName(jobLabel(slot.home, name))} ${what}: ${slot.reason}`);
      }
    }
    seenSlots = new Set(keys);
  }

  return {
    show() {
      const ledger = reader.ledger();
      showRuns(ledger);
      showSlots(ledger);
    },
    interrupted() {
      interrupts += 1;
      say(parts.system.clock.nowMs(), endingText(interrupts));
    },
    end: () => {},
  };
}

function isOpen(state: Run["state"]): boolean {
  return state === "claimed" || state === "running";
}
