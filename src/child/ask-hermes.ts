import type { System } from "../system/system.ts";

export interface HermesQuestion {
  /** The interpreter that Hermes is installed in. */
  readonly python: string;
  /** What `hermes_worker.py ask` is asked. */
  readonly question: { readonly ask: string } & Readonly<Record<string, unknown>>;
  /** All that Hermes gets; without HERMES_HOME it finds an empty home that is thrown away afterwards. */
  readonly environment: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
  /** Ends the question before its time. */
  readonly signal?: AbortSignal;
}

export type HermesAnswer =
  | { readonly ok: true; readonly answer: Readonly<Record<string, unknown>> }
  /** `error` is a sentence for people. Whether the question had any effect is not known, unless it was never put. */
  | { readonly ok: false; readonly error: string; readonly isUnasked?: true };

/** Asks an installed Hermes a short question, in a process of its own. Never rejects. */
export type AskHermes = (question: HermesQuestion) => Promise<HermesAnswer>;

/** More than any answer: a redacted document is the longest. */
const answerBytesMax = 64 * 1024 ** 2;
/** Of what a failed question printed, this much is looked at. */
const tailBytes = 4096;
const reasonMax = 300;

/** Question and answer are files below `<state>/ask`, so that nothing that Hermes prints can be taken for its answer. */
export function createAskHermes(
  system: Pick<System, "files" | "processes" | "random">,
  stateFolder: string,
  workerPath: string,
): AskHermes {
  const { files } = system;
  const asked = `${stateFolder}/ask`;
  let isSwept = false;

  const sweep = (): void => {
    if (isSwept) return;
    isSwept = true;
    // What a daemon left that was killed.
    if (files.stat(asked) !== null) files.removeFolder(asked);
  };

  const run = async (folder: string, question: HermesQuestion, asked: () => void): Promise<HermesAnswer> => {
    const { python, timeoutMs, signal } = question;
    const [questionPath, answerPath, outputPath] = [
      `${folder}/question.json`,
      `${folder}/answer.json`,
      `${folder}/output`,
    ];
    files.makeFolder(folder, 0o700, true);
    files.makeFolder(`${folder}/home`, 0o700, false);
    files.create(questionPath, JSON.stringify(question.question), 0o600);
    const end = await system.processes.runBounded({
      file: python,
      arguments: [workerPath, "ask", questionPath, answerPath],
      cwd: folder,
      environment: { HERMES_HOME: `${folder}/home`, ...question.environment },
      outputPath,
      watched: [answerPath],
      bytesMax: answerBytesMax,
      timeoutMs,
      ...(signal === undefined ? {} : { signal }),
    });
    asked();
    const failed = (what: string): HermesAnswer => ({
      ok: false,
      error: `Cannot ask Hermes "${question.question.ask}" with "${python}": ${what}`,
    });
    switch (end.killed) {
      case "timeout":
        return failed(`no answer after ${timeoutMs / 1000} s`);
      case "bytes":
        return failed(`it wrote more than ${answerBytesMax / 1024 ** 2} MiB`);
      case "signal":
        return failed("it was not waited for");
      case null:
        break;
    }
    if (end.exitCode !== 0) {
      const how = end.signal === null ? `exit code ${end.exitCode}` : `killed by ${end.signal}`;
      const said = lastLine(outputPath);
      return failed(said === "" ? how : `${how}: ${said}`);
    }
    const size = files.stat(answerPath)?.sizeBytes ?? null;
    if (size === null) return failed("it ended without an answer");
    if (size > answerBytesMax) return failed(`it wrote more than ${answerBytesMax / 1024 ** 2} MiB`);
    const answer = parseAnswer(files.readText(answerPath));
    return answer === null ? failed("its answer is not a JSON object") : { ok: true, answer };
  };

  const lastLine = (path: string): string => {
    const size = files.stat(path)?.sizeBytes ?? 0;
    const text = new TextDecoder().decode(files.readPart(path, Math.max(0, size - tailBytes), tailBytes));
    const lines = text.split("\n").map((line) => line.replace(/[\x00-\x1f\x7f]/gu, " ").trim());
    return (lines.findLast((line) => line !== "") ?? "").slice(0, reasonMax);
  };

  return async (question) => {
    const folder = `${asked}/${system.random.token(12)}`;
    let isUnasked = true;
    try {
      sweep();
      return await run(folder, question, () => {
        isUnasked = false;
      });
    } catch (error) {
      const text = error instanceof Error ? error.message : String(error);
      return { ok: false, error: text, ...(isUnasked ? { isUnasked } : {}) };
    } finally {
      try {
        files.removeFolder(folder);
      } catch {
        // Something that outlived the question still writes there; the next daemon sweeps it.
      }
    }
  };
}

function parseAnswer(text: string): Readonly<Record<string, unknown>> | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value)
      ? (value as Readonly<Record<string, unknown>>)
      : null;
  } catch {
    return null;
  }
}
