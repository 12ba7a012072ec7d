/** Plays one scene with a real daemon and real processes, prints its figures, and ends with 1 if anything was not as it must be. */
import { parseArgs } from "node:util";
import { describeMachine } from "../bench/machine.ts";
import { formatText } from "../bench/table.ts";
import { type Release, releases } from "../conformance/releases.ts";
import { playConfigScene } from "./config-scene.ts";
import { playFourScene } from "./four-scene.ts";
import { playGatewayKillScene } from "./gateway-kill-scene.ts";
import { playGatewayScene } from "./gateway-scene.ts";
import { playKillScene } from "./kill-scene.ts";
import type { SceneReport } from "./scene.ts";
import { playSecondsScene } from "./seconds-scene.ts";
import { buildProgram, makeSoakHome, repository, type SoakHome } from "./soak-home.ts";

const usage = `Usage: npm run soak -- [--scene kill|seconds|four|gateway-kill|gateway] [--minutes N] [--seed N] [--keep]

  --scene kill          40 jobs over two homes while their daemon is killed over and over (the default)
  --scene seconds       50 jobs due every 2 seconds over two homes, and the tick lock watched from outside
  --scene four          four jobs together for 240 s, of which one outlasts its period (takes its own time)
  --scene gateway-kill  three long scripts, kill -9 after 15 s, a new daemon 3 s later (takes its own time)
  --scene gateway       a real gateway beside the daemon on one home, 20 scripts and 5 prompts, five kills of either side
    --attached          after \`gateway attach\`; else the two keep apart by locks and claims
    --release R         Hermes 0.19, 0.20 or 0.22 (the default)
  --scene config        1,000 edits of three config files while 20 runs are open (takes its own time)
  --minutes N           how long; 2 unless given, 3 for seconds, 10 for gateway
  --seed N              the same kills at the same moments; else one is chosen and printed
  --keep                leave the homes, the ledger and the log where they are also when all is well
`;

const scenes = {
  kill: { minutes: 2, play: playKillScene },
  seconds: { minutes: 3, play: playSecondsScene },
  four: { minutes: 4, play: playFourScene },
  "gateway-kill": { minutes: 2, play: playGatewayKillScene },
  gateway: { minutes: 10, play: playGatewayScene },
  config: { minutes: 2, play: playConfigScene },
} as const;

interface Options {
  readonly scene: keyof typeof scenes;
  readonly minutes: number;
  readonly seed: number;
  readonly keep: boolean;
  readonly attached: boolean;
  readonly release: Release["name"];
}

function readOptions(): Options | null {
  try {
    const { values } = parseArgs({
      options: {
        scene: { type: "string", default: "kill" },
        minutes: { type: "string" },
        seed: { type: "string" },
        keep: { type: "boolean", default: false },
        attached: { type: "boolean", default: false },
        release: { type: "string", default: "0.22" },
      },
    });
    const scene = (Object.keys(scenes) as Options["scene"][]).find((name) => name === values.scene);
    const release = Object.values(releases).find(({ name }) => name === values.release)?.name;
    if (scene === undefined || release === undefined) return null;
    const minutes = Number(values.minutes ?? scenes[scene].minutes);
    const seed = Number(values.seed ?? Math.floor(Math.random() * 1_000_000));
    const { keep, attached } = values;
    return minutes > 0 && Number.isInteger(seed) ? { scene, minutes, seed, keep, attached, release } : null;
  } catch {
    // An option that is not known: the usage says which are.
    return null;
  }
}

async function main(): Promise<number> {
  const options = readOptions();
  if (options === null) {
    process.stderr.write(usage);
    return 2;
  }
  const program = buildProgram();
  const home = makeSoakHome(program);
  const interrupted = new Promise<"interrupted">((resolve) => {
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => resolve("interrupted"));
  });
  process.stdout.write(`Scene ${options.scene}, ${options.minutes} min, seed ${options.seed}, in ${home.folder}\n`);
  process.stdout.write(`${describeMachine(repository, home.folder).join("\n")}\n`);
  try {
    const report = await Promise.race([scenes[options.scene].play(home, options), interrupted]);
    if (report === "interrupted") return await leave(home, options.keep, 1);
    print(options, report);
    const isClean = report.findings.length === 0;
    return await leave(home, options.keep || !isClean, isClean ? 0 : 1);
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`);
    return await leave(home, true, 1);
  } finally {
    program.remove();
  }
}

async function leave(home: SoakHome, keep: boolean, status: number): Promise<number> {
  for (const text of await home.end()) process.stdout.write(`Ended ${text}\n`);
  if (keep) process.stdout.write(`The homes, the ledger and the log stay in ${home.folder}\n`);
  else await home.remove();
  return status;
}

const shownMax = 50;

function print(options: Options, { rows, findings, warnings = [] }: SceneReport): void {
  const title = `Scene ${options.scene}, seed ${options.seed}, ${new Date().toISOString()}`;
  process.stdout.write(`${formatText({ title, columns: ["", ""], rows, notes: [] })}\n`);
  for (const text of warnings) process.stdout.write(`Warning: ${text}\n`);
  for (const { fault, text } of findings.slice(0, shownMax)) process.stdout.write(`✗ ${fault}: ${text}\n`);
  if (findings.length > shownMax) process.stdout.write(`and ${findings.length - shownMax} more\n`);
  process.stdout.write(findings.length === 0 ? "All as it must be\n" : `${findings.length} findings\n`);
}

process.exit(await main());
