import { spawnSync } from "node:child_process";
import { plainVariables } from "./programs.ts";

export interface ProgramStart {
  readonly command: string;
  /** By round, in ms. */
  readonly rounds: readonly (readonly number[])[];
}

/** How long the program takes to say its help and its version, and Node to do nothing at all, in turns. */
export function measureProgramStart(programPath: string, roundCount: number): readonly ProgramStart[] {
  const commands = [
    { command: "--help", args: [programPath, "--help"] },
    { command: "--version", args: [programPath, "--version"] },
    { command: "node -e 0", args: ["-e", "0"] },
  ];
  const rounds = Array.from({ length: roundCount }, () => commands.map(({ args }) => timeOf(args)));
  return commands.map(({ command }, place) => ({
    command,
    rounds: rounds.map((round) => [round[place] ?? Number.NaN]),
  }));
}

function timeOf(args: readonly string[]): number {
  const beganMs = performance.now();
  const { status, error } = spawnSync(process.execPath, args, {
    env: plainVariables(),
    stdio: "ignore",
    timeout: 20_000,
  });
  if (error !== undefined) throw error;
  if (status !== 0) throw new Error(`Cannot measure "${args.join(" ")}": it ended with status ${status}`);
  return performance.now() - beganMs;
}
