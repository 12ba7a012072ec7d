import type { System } from "../system/system.ts";
import type { GateEnvironment } from "./gate-environment.ts";

/** Tells whether a bash can be started ahead of its job: whether it stops at gate.bash before it reads its script. */
export interface WaitingBash {
  /** The file that makes bash wait. */
  readonly gatePath: string;
  /** A promise while the answer is being found out; it never rejects. */
  waits(bash: string, environment: GateEnvironment): boolean | Promise<boolean>;
}

const answersMax = 200;
/** What gate.bash exits with when no order came: nothing else that a bash might do with an empty script looks like it. */
const stoppedAtGate = 79;
/** These change what bash does before its script, or are themselves what it would run there, or end its wait. */
const ownOfBash = /^(?:BASH|SHELLOPTS$|POSIXLY_CORRECT$|TMOUT$)/u;
/** What bash replaces in the value of `BASH_ENV`, and would even run. */
const expanded = /[$`"\\]/u;

/**
 * Tries it, once per program and environment: what is called bash may be another shell, a wrapper or one that was told to
 * be a POSIX shell, and a shell that did not wait would run a job that nobody has claimed.
 */
export function createWaitingBash(system: Pick<System, "files" | "processes">, gatePath: string): WaitingBash {
  const answers = new Map<string, boolean | Promise<boolean>>();

  const find = async (key: string, bash: string, environment: GateEnvironment): Promise<boolean> => {
    const variables = { ...environment.variables, BASH_ENV: gatePath };
    const status = await system.processes.exitStatus(bash, ["/dev/null"], variables).catch(() => null);
    answers.set(key, status === stoppedAtGate);
    return status === stoppedAtGate;
  };

  return {
    gatePath,
    waits(bash, environment) {
      const key = `${environment.id} ${bash} ${identityOf(system, bash)}`;
      const known = answers.get(key);
      if (known !== undefined) return known;
      if (answers.size >= answersMax) answers.clear();
      const isTold = Object.keys(environment.variables).some((name) => ownOfBash.test(name));
      const answer = isTold || expanded.test(gatePath) || isScript(system, bash) ? false : find(key, bash, environment);
      answers.set(key, answer);
      return answer;
    },
  };
}

/** A wrapper may do something before it hands over to bash, which is then no more to be done ahead of a claim than the job itself. */
function isScript(system: Pick<System, "files">, path: string): boolean {
  try {
    return new TextDecoder().decode(system.files.readPart(path, 0, 2)) === "#!";
  } catch {
    // Trying it says what is wrong.
    return false;
  }
}

function identityOf(system: Pick<System, "files">, path: string): string {
  try {
    const stat = system.files.stat(path);
    return stat === null ? "" : `${stat.device}:${stat.inode}:${stat.sizeBytes}:${stat.changedNs}`;
  } catch {
    return "";
  }
}
