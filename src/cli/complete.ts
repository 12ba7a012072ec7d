import type { Argument, Command, Option } from "commander";
import { textWidth } from "./print.ts";

/** Something that a shell may put in the place of what is typed. */
export interface Candidate {
  readonly value: string;
  readonly about: string;
}

/** What only a look at the homes can tell. Asked for only where it is wanted. */
export interface CompletionNames {
  jobs(): readonly { readonly home: string; readonly id: string; readonly name: string; readonly about: string }[];
  homes(): readonly string[];
  runsBeginning(typed: string): readonly Candidate[];
}

/** What fits the last of the words, or that a path is wanted there, which the shell itself knows best. */
export type Completion =
  | { readonly kind: "candidates"; readonly candidates: readonly Candidate[] }
  | { readonly kind: "files" };

const candidatesMax = 500;
const none: Completion = { kind: "candidates", candidates: [] };

/** `words` are those behind the program's name up to the cursor, the last of them perhaps empty, as the shell has them. */
export function complete(program: Command, words: readonly string[], names: CompletionNames): Completion {
  const typed = unquote(words.at(-1) ?? "");
  let command = program;
  let argumentCount = 0;
  let awaiting: Option | null = null;
  for (const word of words.slice(0, -1)) {
    if (awaiting !== null) {
      awaiting = null;
      continue;
    }
    if (word.startsWith("-")) {
      awaiting = word.includes("=") ? null : optionWithValue(program, command, word);
      continue;
    }
    const within = command.commands.find((each) => each.name() === word);
    if (within === undefined) argumentCount += 1;
    else command = within;
  }
  if (awaiting !== null) return ofOption(command, awaiting, typed);
  const [, flag = "", value = ""] = /^(--[^=]+)=(.*)$/su.exec(typed) ?? [];
  const named = flag === "" ? null : optionWithValue(program, command, flag);
  if (named !== null) return behind(`${flag}=`, ofOption(command, named, value));
  if (typed.startsWith("-")) return fitting(typed, optionCandidates(program, command));
  const commands = command
    .createHelp()
    .visibleCommands(command)
    .filter((each) => each.name() !== "help");
  const argument = command.registeredArguments[argumentCount];
  const ofThis = argument === undefined ? none : ofArgument(argument, typed, names);
  if (commands.length === 0 || argumentCount > 0 || ofThis.kind === "files") return ofThis;
  const listed = commands.map((each) => ({ value: each.name(), about: each.description() }));
  return fitting(typed, [...listed, ...ofThis.candidates]);
}

function behind(begun: string, completion: Completion): Completion {
  if (completion.kind === "files") return completion;
  const candidates = completion.candidates.map(({ value, about }) => ({ value: begun + value, about }));
  return { kind: "candidates", candidates };
}

/** The lines that the scripts of the shells read: the value, a tab, what it is; or `:files` alone. */
export function formatCompletion(completion: Completion): string {
  if (completion.kind === "files") return ":files\n";
  return completion.candidates.map(({ value, about }) => `${value}\t${about}\n`).join("");
}

function optionWithValue(program: Command, command: Command, word: string): Option | null {
  const option = [...command.options, ...program.options].find((each) => each.long === word || each.short === word);
  return option !== undefined && (option.required || option.optional) ? option : null;
}

function optionCandidates(program: Command, command: Command): readonly Candidate[] {
  const known = command.options.filter((option) => !option.hidden);
  const shared = program.options.filter(
    ({ long }) => long === "--home" || (long === "--state" && command.name() !== "runs"),
  );
  const options = new Map([...shared, ...known].map((option) => [option.long, option]));
  const help = { value: "--help", about: "print help" };
  return [
    ...[...options.values()].map((option) => ({ value: option.long ?? option.flags, about: option.description })),
    help,
  ];
}

function ofOption(command: Command, option: Option, typed: string): Completion {
  if (option.long === "--state" && command.name() === "runs") {
    const states = ["claimed", "running", "completed", "failed", "void"];
    return fitting(
      typed,
      states.map((value) => ({ value, about: "" })),
    );
  }
  if (option.argChoices !== undefined)
    return fitting(
      typed,
      option.argChoices.map((value) => ({ value, about: "" })),
    );
  return /<(?:dir|file|path)>/.test(option.flags) ? { kind: "files" } : none;
}

function ofArgument(argument: Argument, typed: string, names: CompletionNames): Completion {
  if (argument.argChoices !== undefined) {
    return fitting(
      typed,
      argument.argChoices.map((value) => ({ value, about: "" })),
    );
  }
  const kinds = argument.name().split("|");
  if (kinds.some((kind) => ["file", "path", "dir"].includes(kind))) return { kind: "files" };
  return fitting(typed, [
    ...(kinds.includes("home") ? names.homes().map((value) => ({ value, about: "a home" })) : []),
    ...(kinds.includes("job") ? jobCandidates(typed, names) : []),
    ...(kinds.includes("run") && typed !== "" ? names.runsBeginning(typed) : []),
  ]);
}

/** A job's name where it is one word for one job; else its id, which always is. */
function jobCandidates(typed: string, names: CompletionNames): readonly Candidate[] {
  const jobs = names.jobs();
  const counts = new Map<string, number>();
  for (const { name } of jobs) counts.set(name, (counts.get(name) ?? 0) + 1);
  return jobs.flatMap(({ home, id, name, about }) => {
    const isName = isPlain(name) && counts.get(name) === 1;
    const own = isName ? [{ value: name, about: `${id} ${about}` }] : [];
    const whole = { value: `${home}/${id}`, about: `${clean(name)} ${about}` };
    if (typed.startsWith(`${home}/`)) return [isName ? { ...whole, value: `${home}/${name}` } : whole, whole];
    const byId = { value: id, about: whole.about };
    return typed !== "" && id.startsWith(typed) ? [...own, byId] : isName ? own : [byId];
  });
}

/** Whether a shell and a terminal take the text for what it is. */
function isPlain(name: string): boolean {
  return name.trim() === name && name !== "" && !name.startsWith("-") && clean(name) === name && textWidth(name) <= 60;
}

/** Of what is only shown: nothing that a terminal obeys, and no line or column of its own. */
function clean(text: string): string {
  const plain = text.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, "?");
  return plain.length > 60 ? `${plain.slice(0, 60)}…` : plain;
}

function fitting(typed: string, candidates: readonly Candidate[]): Completion {
  const found = new Map<string, Candidate>();
  for (const { value, about } of candidates) {
    if (value.startsWith(typed) && isSafe(value)) found.set(value, { value, about: clean(about) });
  }
  return { kind: "candidates", candidates: [...found.values()].slice(0, candidatesMax) };
}

/** An id may be anything that somebody wrote into a file. */
function isSafe(value: string): boolean {
  return value !== "" && !value.startsWith(":") && clean(value) === value;
}

/** A word as it is typed, perhaps within quotes that are not closed yet. */
function unquote(word: string): string {
  const quote = word[0];
  if (quote === "'" || quote === '"') return word.slice(1).replace(quote, "");
  return word.replace(/\\(.)/gu, "$1");
}
