import type { Command } from "commander";
import type { CommandParts } from "../command-parts.ts";
import { type CompletionNames, complete, formatCompletion } from "../complete.ts";
import { completionScripts, type Shell } from "../completion-scripts.ts";
import { type ExitCode, exitCodes } from "../exit-codes.ts";
import { createReader, type Reader } from "../reader.ts";

const runsMax = 20;

export function completion(parts: CommandParts, shell: Shell): ExitCode {
  parts.terminal.out(completionScripts[shell]);
  return exitCodes.done;
}

/** Answers a shell that asks what may stand at the cursor. */
export function completeWords(parts: CommandParts, program: Command, words: readonly string[]): void {
  parts.terminal.out(formatCompletion(complete(program, words, namesOf(parts))));
}

function namesOf(parts: CommandParts): CompletionNames {
  let reader: Reader | null = null;
  const read = (): Reader => {
    reader ??= createReader(parts);
    return reader;
  };
  return {
    jobs: () =>
      read()
        .homes()
        .flatMap((home) =>
          home.jobs.map(({ id, name, scheduleText }) => ({ home: home.name, id, name, about: scheduleText })),
        ),
    homes: () =>
      read()
        .homes()
        .map(({ name }) => name),
    runsBeginning: (typed) =>
      read()
        .ledger()
        .runsBeginning(typed, runsMax)
        .map(({ id, jobName, state }) => ({ value: id, about: `${state} run of ${jobName}` })),
  };
}

/** The folders that are named among the words: they say whose jobs are meant. One that is still being typed names none. */
export function foldersAmong(words: readonly string[]): {
  readonly home: string | null;
  readonly state: string | null;
} {
  const folderOf = (flag: string): string | null => {
    const typed = words.slice(0, -1);
    const at = typed.findIndex((word) => word === flag || word.startsWith(`${flag}=`));
    const word = typed[at] ?? "";
    return (word === flag ? typed[at + 1] : word.slice(flag.length + 1)) || null;
  };
  const command = words.indexOf("runs");
  const state = words.indexOf("--state");
  return { home: folderOf("--home"), state: command >= 0 && state > command ? null : folderOf("--state") };
}
