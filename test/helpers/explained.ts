import { expect } from "vitest";
import { runProgram } from "../../src/cli/program.ts";
import { createLocks } from "../../src/system/flock.ts";
import { createRandom } from "../../src/system/random.ts";
import { createClock } from "../../src/system/real-clock.ts";
import { createFiles } from "../../src/system/real-files.ts";

export interface Explained {
  readonly cause: string;
  readonly sentences: readonly string[];
  readonly evidence: { readonly spells: readonly { readonly kind: string }[] };
}

/** What `explain --json` says of a job, asked within this process: a process for each question would be most of a test's time. */
export async function explained(
  home: { readonly path: string; readonly state: string },
  job: string,
  time: string | null = null,
  nowMs: () => number = createClock().nowMs,
): Promise<Explained> {
  let out = "";
  const exitCode = await runProgram({
    arguments: ["--home", home.path, "--state", home.state, "explain", job, ...(time === null ? [] : [time]), "--json"],
    environment: { HOME: home.path, PATH: "/usr/bin:/bin" },
    version: "9.9.9",
    terminal: {
      out: (text) => {
        out += String(text);
      },
      error: (text) => {
        throw new Error(`explain complains: ${text}`);
      },
      isTerminal: false,
      taken: async () => undefined,
      isErrorTerminal: false,
      hasColour: false,
      columns: null,
      rows: null,
    },
    onInterrupt: () => {},
    onEnd: () => {},
    loadHost: async () => expect.fail("explain asks nothing of the host"),
    loadSystem: async () => ({
      clock: { ...createClock(), nowMs },
      files: createFiles(),
      locks: createLocks(),
      random: createRandom(),
    }),
  });
  if (exitCode !== 0) throw new Error(`explain ends with ${exitCode}: ${out}`);
  return JSON.parse(out) as Explained;
}
