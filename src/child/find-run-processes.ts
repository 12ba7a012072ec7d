import { runVariables } from "../../worker/protocol.ts";
import { type Fingerprint, isSameProcess } from "../core/fingerprint.ts";
import type { ProcessRow } from "../system/processes.ts";
import type { System } from "../system/system.ts";

/** A run as it can be found among the processes of this machine. */
export interface RunIdentity {
  readonly runId: string;
  readonly leader: Fingerprint;
  /** The file whose lock lasts as long as any process of the run keeps it open. */
  readonly lifeline: string;
  /** Started by an earlier daemon, so that its orphans did not become our children. */
  readonly inherited: boolean;
}

/** What shows that a process belongs to a run. */
export type Proof =
  /** It was started with the run's id in its environment. */
  | "environment"
  /** It carries the mark that the launcher was born with. */
  | "mark"
  /** It is in the run's own control group. */
  | "group"
  /** It carries the lock of the lifeline. */
  | "lifeline"
  /** It is the launcher: our own child, or by its fingerprint where no environment is shown. */
  | "leader"
  /** It is in the session that the launcher made, together with its witness. */
  | "session"
  /** Its parent, the witness, is proven. */
  | "descent"
  /** It was orphaned and became our child, so it descends from one of our runs. */
  | "orphan";

export interface RunProcess extends ProcessRow {
  readonly proof: Proof;
  /** The proven process that proves this one; null where the proof stands by itself. */
  readonly witness: RunProcess | null;
}

export interface Found {
  readonly byRun: ReadonlyMap<string, readonly RunProcess[]>;
  /** Orphans that became our children and carry no sign of which run they came from, with what descends from them. */
  readonly unclaimed: readonly RunProcess[];
  /** Runs of which nobody was found and somebody is alive. */
  readonly hidden: ReadonlySet<string>;
  /** The PIDs that were gone through. */
  readonly seen: ReadonlySet<number>;
}

/** What a search among new processes alone came to. */
export interface FoundNew extends Pick<Found, "byRun" | "unclaimed"> {
  /** Whether something ended before it could be looked at: it can have left a successor. */
  readonly hasLost: boolean;
}

const nobody: Found = { byRun: new Map(), unclaimed: [], hidden: new Set(), seen: new Set() };

/** Every live process that is proven to belong to one of `runs`: one look at the machine serves them all. */
export async function findRunProcesses(system: System, runs: readonly RunIdentity[]): Promise<Found> {
  const { processes } = system;
  // After another start of the machine nothing of a run can be alive.
  const here = runs.filter((run) => run.leader.bootId === processes.bootId()).map((run) => asSeenHere(system, run));
  if (here.length === 0 || hasNoOrphans(system, here)) return nobody;
  const rows = await processes.list();
  const { byRun, unclaimed } = new Search(system, here, rows).run();
  const seen = new Set(rows.map((row) => row.pid));
  const isMissing = (run: RunIdentity): boolean => !byRun.has(run.runId);
  for (let round = 1; round <= newRoundsMax && here.some(isMissing); round++) {
    const found = findNew(system, here.filter(isMissing), seen);
    for (const [runId, list] of found.byRun) byRun.set(runId, list);
    unclaimed.push(...found.unclaimed);
    if (!found.hasLost) break;
  }
  const hidden = here.filter((run) => isMissing(run) && isSomebodyAlive(system, run));
  return { byRun, unclaimed, hidden: new Set(hidden.map((run) => run.runId)), seen };
}

/** So often are new processes looked at in a row: one that forks and ends faster than that is caught by one of them. */
export const newRoundsMax = 10;

/**
 * Those of the runs among processes that are not among `seen`, to which it adds them. A look at a whole machine takes longer than some
 * processes live, and a chain of such would be over before its turn each time; new processes are few, and looked at in one step.
 */
export function findNew(system: System, runs: readonly RunIdentity[], seen: Set<number>): FoundNew {
  const pids = system.processes.pids().filter((pid) => !seen.has(pid));
  const rows = pids.map((pid) => system.processes.look(pid)).filter((row) => row !== null);
  for (const pid of pids) seen.add(pid);
  const search = new Search(system, runs, rows);
  const found = search.run();
  return { ...found, hasLost: rows.length < pids.length || search.hasLost() };
}

/** Whether somebody is in the run's control group or holds its lifeline, whoever it is. */
function isSomebodyAlive(system: System, run: RunIdentity): boolean {
  const { groups, showsEnvironment } = system.processes;
  if ((groups?.members(run.runId).length ?? 0) > 0) return true;
  // Elsewhere nothing tells who holds it, so it would be looked for in vain.
  return showsEnvironment && isHeld(system, run.lifeline);
}

/** A PID of another container's numbering says nothing here. */
function asSeenHere(system: System, run: RunIdentity): RunIdentity {
  const own = system.processes.fingerprint(system.processes.ownPid);
  return own?.pidNamespace === run.leader.pidNamespace ? run : { ...run, leader: { ...run.leader, pid: -1 } };
}

/**
 * With a reaper, whatever a launcher left behind has become our child. Where the kernel lists our children and all of them
 * are known, nothing was left, and no other process needs a look. The list can miss one while another ends, so it is read twice.
 */
function hasNoOrphans(system: System, runs: readonly RunIdentity[]): boolean {
  const { processes } = system;
  if (processes.reaping !== "subreaper") return false;
  if (runs.some((run) => run.inherited || processes.isOwnChild(run.leader.pid))) return false;
  const onlyKnown = (): boolean => processes.childPids()?.every((pid) => processes.isOwnChild(pid)) ?? false;
  return onlyKnown() && onlyKnown();
}

class Search {
  private readonly system: System;
  private readonly runs: ReadonlyMap<string, RunIdentity>;
  private readonly rows: ReadonlyMap<number, ProcessRow>;
  private readonly children = new Map<number, ProcessRow[]>();
  /** Those that can belong to one of the runs and want a closer look. */
  private readonly candidates: readonly ProcessRow[];
  private readonly owners = new Map<number, string>();
  private readonly taken = new Map<string, RunProcess[]>();

  constructor(system: System, runs: readonly RunIdentity[], rows: readonly ProcessRow[]) {
    this.system = system;
    this.runs = new Map(runs.map((run) => [run.runId, run]));
    this.rows = new Map(rows.map((row) => [row.pid, row]));
    for (const row of rows) {
      const siblings = this.children.get(row.parentPid);
      if (siblings === undefined) this.children.set(row.parentPid, [row]);
      else siblings.push(row);
    }
    const { ownPid, reaping } = system.processes;
    const earliest = Math.min(...runs.map((run) => run.leader.startTicks ?? 0));
    // With a reaper nothing of a run leaves our descendants, so most of a machine's processes need no second look. One
    // whose parent ended while the list was made hangs in the air.
    const inSight =
      reaping === "subreaper" && runs.every((run) => !run.inherited)
        ? this.below([
            ...this.childrenOf(ownPid),
            ...rows.filter((row) => row.parentPid > 1 && !this.rows.has(row.parentPid)),
          ])
        : rows;
    this.candidates = inSight.filter((row) => row.startTicks >= earliest && row.pid !== ownPid && row.pid !== 1);
  }

  private childrenOf(pid: number): readonly ProcessRow[] {
    return this.children.get(pid) ?? [];
  }

  private below(roots: readonly ProcessRow[]): readonly ProcessRow[] {
    const found = [...roots];
    for (const row of found) found.push(...this.childrenOf(row.pid));
    return found;
  }

  private take(runId: string, row: ProcessRow, proof: Proof, witness: RunProcess | null): void {
    if (this.owners.has(row.pid)) return;
    this.owners.set(row.pid, runId);
    const list = this.taken.get(runId);
    if (list !== undefined) list.push({ ...row, proof, witness });
    else if (this.runs.has(runId)) this.taken.set(runId, [{ ...row, proof, witness }]);
  }

  run(): { readonly byRun: Map<string, readonly RunProcess[]>; readonly unclaimed: RunProcess[] } {
    this.byGroup();
    this.byEnvironment();
    this.byMark();
    this.byLifeline();
    this.byLeader();
    this.bySession();
    this.byDescent();
    const unclaimed = this.orphans();
    return { byRun: new Map(this.taken), unclaimed };
  }

  private byGroup(): void {
    for (const runId of this.runs.keys()) {
      for (const pid of this.system.processes.groups?.members(runId) ?? []) {
        const row = this.rows.get(pid);
        if (row !== undefined) this.take(runId, row, "group", null);
      }
    }
  }

  private byEnvironment(): void {
    for (const row of this.candidates) {
      if (this.owners.has(row.pid)) continue;
      const runId = this.system.processes.startedWith(row.pid, runVariables.runId);
      // A process of a run that is not looked for is noted too, so that no weaker sign gives it to one that is.
      if (runId !== null) this.take(runId, row, "environment", null);
    }
  }

  private byMark(): void {
    const { marks } = this.system.processes;
    if (marks === null) return;
    const runIds = new Map([...this.runs.keys()].map((runId) => [marks.of(runId), runId]));
    for (const row of this.candidates) {
      if (this.owners.has(row.pid)) continue;
      const mark = marks.seenOn(row.pid);
      if (mark !== null) this.take(runIds.get(mark) ?? mark, row, "mark", null);
    }
  }

  private byLifeline(): void {
    for (const run of this.runs.values()) {
      if (!isHeld(this.system, run.lifeline)) continue;
      for (const row of this.candidates) {
        if (this.owners.has(row.pid) || !this.system.processes.carriesLock(row.pid, run.lifeline)) continue;
        this.take(run.runId, row, "lifeline", null);
      }
    }
  }

  private byLeader(): void {
    for (const run of this.runs.values()) {
      const row = this.rows.get(run.leader.pid);
      if (row !== undefined && isLeader(this.system, run)) this.take(run.runId, row, "leader", null);
    }
  }

  /** The kernel gives the launcher's PID to no other process while its session lasts, so one proven member proves the rest. */
  private bySession(): void {
    for (const run of this.runs.values()) {
      const witness = this.taken.get(run.runId)?.find((row) => isInSession(row, run));
      if (witness === undefined) continue;
      for (const row of this.rows.values()) if (isInSession(row, run)) this.take(run.runId, row, "session", witness);
    }
  }

  private byDescent(): void {
    for (const [runId, list] of this.taken) {
      // The list grows while it is walked.
      for (const parent of list) {
        for (const row of this.childrenOf(parent.pid)) this.take(runId, row, "descent", parent);
      }
    }
  }

  /** Whether one that could have been of a run ended before anything proved it. */
  hasLost(): boolean {
    const { processes } = this.system;
    return this.candidates.some(
      (row) => !this.owners.has(row.pid) && processes.look(row.pid)?.startTicks !== row.startTicks,
    );
  }

  private orphans(): RunProcess[] {
    const { processes } = this.system;
    const unclaimed: RunProcess[] = [];
    if (processes.reaping === "subreaper") {
      for (const row of this.childrenOf(processes.ownPid)) {
        if (this.owners.has(row.pid) || !isOrphan(this.system, row.pid)) continue;
        const run = [...this.runs.values()].find((one) => isInSession(row, one));
        if (run !== undefined) this.take(run.runId, row, "orphan", null);
        // What descends from a run has its mark, so one without came from elsewhere.
        else if (processes.marks === null) unclaimed.push({ ...row, proof: "orphan", witness: null });
      }
      this.byDescent();
      for (const parent of unclaimed) {
        for (const row of this.childrenOf(parent.pid)) {
          if (!this.owners.has(row.pid)) unclaimed.push({ ...row, proof: "descent", witness: parent });
        }
      }
    }
    return unclaimed;
  }
}

/**
 * Whether a process is at this moment what `found` says of it. To be asked after it was taken hold of: then what is seen
 * here is the process that a signal will reach, or one that was given its PID after its death, and then no signal
 * reaches anybody.
 */
export function isStillProven(system: System, run: RunIdentity, found: RunProcess): boolean {
  const { processes } = system;
  const row = processes.look(found.pid);
  if (row === null || row.startTicks !== found.startTicks || found.pid === processes.ownPid) return false;
  switch (found.proof) {
    case "environment":
      return processes.startedWith(found.pid, runVariables.runId) === run.runId;
    case "mark":
      return processes.marks !== null && processes.marks.seenOn(found.pid) === processes.marks.of(run.runId);
    case "group":
      return processes.groups?.members(run.runId).includes(found.pid) ?? false;
    case "lifeline":
      return processes.carriesLock(found.pid, run.lifeline);
    case "leader":
      return isLeader(system, run);
    case "orphan":
      return isOrphan(system, found.pid);
    case "session": {
      const { witness } = found;
      if (witness === null || !isStillProven(system, run, witness)) return false;
      // Both are looked at after the witness was proven: as long as that is in the session, the session is the launcher's.
      const [member, other] = [processes.look(found.pid), processes.look(witness.pid)];
      return member !== null && other !== null && isInSession(member, run) && isInSession(other, run);
    }
    case "descent": {
      const { witness } = found;
      if (witness === null || !isStillProven(system, run, witness)) return false;
      // A process that lost its parent keeps no trace of it, so a parent that is named is the one it had all along.
      return processes.look(found.pid)?.parentPid === witness.pid;
    }
  }
}

/** Whether any process of the run still has the lifeline open. */
function isHeld(system: System, lifeline: string): boolean {
  if (system.files.stat(lifeline) === null) return false;
  const lock = system.locks.tryLock(lifeline);
  lock?.release();
  return lock === null;
}

function isLeader(system: System, run: RunIdentity): boolean {
  const { processes } = system;
  const seen = processes.fingerprint(run.leader.pid);
  // A start time is too coarse to tell a PID that was given away twice within one tick.
  return (
    seen !== null && isSameProcess(run.leader, seen) && (processes.isOwnChild(seen.pid) || !processes.showsEnvironment)
  );
}

function isOrphan(system: System, pid: number): boolean {
  const { processes } = system;
  return processes.look(pid)?.parentPid === processes.ownPid && !processes.isOwnChild(pid);
}

function isInSession(row: ProcessRow, run: RunIdentity): boolean {
  return row.sessionId === run.leader.pid || row.groupId === run.leader.pid;
}
