import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { expect, test } from "vitest";
import { parseEnvFile, resolveEnvFile } from "../../src/homes/env-file.ts";
import { createSeededRandom } from "../helpers/seeded-random.ts";
import { venvPython } from "./venv.ts";

type Variables = Readonly<Record<string, string>>;

const version = "1.2.2";
const base = { PATH: "/bin", HOME: "/home/u", X: "from the process" };

/** Pieces that mean something to the grammar, so that chance finds its corners. */
const pieces = [
  ..."ABXab19 \t\n\n\r=='\"\\#$",
  ..."{}:-;,.é☕\u00a0\u0085\u001c\u2028\u3000\uFEFF\v\f",
  ...["export ", "\r\n", `\${A}`, `\${X}`, `\${NO:-z}`, `\${`, "\\n", "\\'", '\\"', "\\\\"],
  ...["A=", "B='", 'X="', " #", "=\n", "# c\n", "'\n", '"\n'],
];

async function askDotenv(texts: readonly string[]): Promise<readonly Variables[]> {
  const python = await venvPython(`python-dotenv-${version}`, `python-dotenv==${version}`);
  const script = join(import.meta.dirname, "dotenv_answers.py");
  const input = JSON.stringify({ base, texts });
  // It says every line that it skips on standard error.
  const output = execFileSync(python, ["-X", "utf8", script], {
    input,
    maxBuffer: 2 ** 28,
    stdio: ["pipe", "pipe", "ignore"],
  });
  return JSON.parse(output.toString());
}

function sorted(variables: Variables): string {
  return JSON.stringify(Object.entries(variables).sort());
}

test("resolveEnvFile() gives what python-dotenv gives for 20,000 files", async () => {
  const random = createSeededRandom(20_261_121);
  const below = (limit: number) => Math.floor(random() * limit);
  const texts = Array.from({ length: 20_000 }, () =>
    Array.from({ length: 1 + below(24) }, () => pieces[below(pieces.length)]).join(""),
  );
  const answers = await askDotenv(texts);
  const differing = texts.flatMap((text, index) => {
    const ours = resolveEnvFile(parseEnvFile(text, ".env"), base);
    const theirs = answers[index] ?? {};
    return sorted(ours) === sorted(theirs) ? [] : [{ text, ours, theirs }];
  });
  expect(differing.slice(0, 5)).toEqual([]);
  // Otherwise two readers that find nothing would agree.
  expect(answers.filter((variables) => Object.keys(variables).length > 0).length).toBeGreaterThan(5000);
});
