/** What Hermes puts before a Python script, and into its environment, where its own interpreter would not find Hermes or its packages. */
export interface ScriptStart {
  readonly words: readonly string[];
  readonly variables: Readonly<Record<string, string>>;
}

/** What a script that is no shell script runs under. */
export interface ScriptPython {
  readonly program: string;
  /** What the program is started with, in one word. */
  argument(scriptPath: string): string;
}

export function plainPython(program: string): ScriptPython {
  return { program, argument: (scriptPath) => scriptPath };
}

/**
 * The same start in a program and one word, which is all that a gate brings, on one line. Hermes starts such a script by a program
 * text of its own with the script among its arguments (`python -c TEXT CHECKOUT SCRIPT`); any other start is not known here.
 */
export function startedPython({ words, variables }: ScriptStart): ScriptPython | null {
  const [program, option, text, ...rest] = words;
  if (program === undefined || option !== "-c" || text === undefined) return null;
  return {
    program,
    argument: (scriptPath) =>
      `-cimport os,sys;f=lambda t:os.fsdecode(t.encode());` +
      `os.environ.update({f(k):f(v) for k,v in ${literal(variables)}.items()});` +
      `sys.argv[1:]=map(f,${literal([...rest, scriptPath])});exec(${literal(text)})`,
  };
}

/** As Python reads it whatever its locale is; names of files are what they are in UTF-8. */
function literal(value: unknown): string {
  return JSON.stringify(value).replace(/[^\x20-\x7e]/gu, (character) => {
    const code = character.codePointAt(0) ?? 0;
    return code > 0xffff ? `\\U${code.toString(16).padStart(8, "0")}` : `\\u${code.toString(16).padStart(4, "0")}`;
  });
}

/** Reads what the worker says of it; null when it is nothing of the kind. */
export function parseScriptStart(value: unknown): ScriptStart | null {
  const { words, variables } = (value ?? {}) as { readonly words?: unknown; readonly variables?: unknown };
  if (!Array.isArray(words) || !words.every((word) => typeof word === "string")) return null;
  const entries = Object.entries(typeof variables === "object" && variables !== null ? variables : {});
  return { words, variables: Object.fromEntries(entries.filter(([, one]) => typeof one === "string")) };
}
