/**
 * Measures the built daemon beside two peers and writes docs/benchmarks.md. It judges nothing: it shows figures, and ratios
 * of figures that were taken in turns on one machine.
 */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { type Contender, createNaive, createSupercronic, createSupervisor } from "./contenders.ts";
import { measureFairness } from "./fairness.ts";
import { measureLateness } from "./lateness.ts";
import { describeMachine } from "./machine.ts";
import { measureManyHomes } from "./many-homes.ts";
import { measureProgramStart } from "./program-start.ts";
import { killPrograms } from "./programs.ts";
import { measurePromptStart } from "./prompt-start.ts";
import { measureReadApi } from "./read-api.ts";
import {
  fairnessTable,
  idleTable,
  latenessTable,
  programStartTable,
  promptStartTable,
  readApiTable,
  startTable,
  tickLockTable,
} from "./report.ts";
import { findSupercronic } from "./supercronic.ts";
import { formatMarkdown, formatText, type Table } from "./table.ts";
import { measureTickLock } from "./tick-lock.ts";

const usage = `Usage: npm run bench -- [--quick] [--only PART]... [--program FILE] [--keep]

  --quick         under a minute, fewer rounds; docs/benchmarks.md stays as it is
  --only PART     start, due, second, lock, homes, fairness, reads, prompt (may be given more than once); docs/benchmarks.md stays as it is
  --program FILE  the program to measure instead of dist/src/cli/main.js; docs/benchmarks.md stays as it is
  --keep          leave the homes and logs of the bench where they are and say where
`;

const repository = resolve(import.meta.dirname, "../..");
const parts = ["start", "due", "second", "lock", "homes", "fairness", "reads", "prompt"] as const;
type Part = (typeof parts)[number];

const full = {
  starts: 15,
  dueRounds: 8,
  secondRounds: 5,
  promptRounds: 4,
  lock: { jobs: 100, due: 100, everyMs: 150, compare: false },
  largeLock: { jobs: 10_000, due: 8, everyMs: 2000, compare: true },
  // Two of the daemon's regular looks at its files. What a start leaves behind is cleared away by the first one, which comes before.
  homes: { homes: 100, jobsPerHome: 100, starts: 3, settleMs: 35_000, idleMs: 60_000 },
  fairness: { others: 7, floodJobs: 500, otherJobs: 5, places: 8, runSeconds: 0.5 },
  reads: { openRuns: 50, printing: 4, printedBytes: 25 << 20, rounds: 300 },
};
const quick: typeof full = {
  starts: 3,
  dueRounds: 2,
  secondRounds: 0,
  promptRounds: 1,
  lock: { jobs: 100, due: 10, everyMs: 150, compare: false },
  largeLock: { jobs: 10_000, due: 2, everyMs: 2000, compare: true },
  homes: { homes: 100, jobsPerHome: 100, starts: 1, settleMs: 1000, idleMs: 1500 },
  fairness: { others: 7, floodJobs: 60, otherJobs: 3, places: 8, runSeconds: 0.2 },
  reads: { openRuns: 50, printing: 4, printedBytes: 25 << 20, rounds: 10 },
};

async function main(): Promise<number> {
  const options = readOptions();
  if (options === null) {
    process.stderr.write(usage);
    return 2;
  }
  if (!existsSync(options.program)) {
    process.stderr.write(`Cannot measure "${options.program}": there is no such file, run "npm run build" first\n`);
    return 2;
  }
  if (options.program === builtProgram && newestMs(join(repository, "src")) > statSync(builtProgram).mtimeMs) {
    process.stderr.write('dist/ is older than src/: run "npm run build" to measure what stands there now\n');
  }
  const folder = mkdtempSync(join(tmpdir(), "hermes-supervisor-bench-"));
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(1));
  process.once("exit", () => {
    killPrograms();
    if (!options.keep) rmSync(folder, { recursive: true, force: true });
  });
  if (options.keep) process.stdout.write(`Everything stays in ${folder}\n`);
  await measure(folder, options);
  return 0;
}

interface Options {
  readonly quick: boolean;
  readonly keep: boolean;
  readonly parts: readonly Part[];
  readonly program: string;
}

const builtProgram = join(repository, "dist/src/cli/main.js");

function readOptions(): Options | null {
  try {
    const { values } = parseArgs({
      options: {
        quick: { type: "boolean", default: false },
        keep: { type: "boolean", default: false },
        only: { type: "string", multiple: true, default: [] },
        program: { type: "string" },
      },
    });
    const asked = parts.filter((part) => values.only.includes(part));
    if (asked.length < new Set(values.only).size) return null;
    return {
      quick: values.quick,
      keep: values.keep,
      parts: asked.length === 0 ? parts : asked,
      program: values.program === undefined ? builtProgram : resolve(values.program),
    };
  } catch {
    // An option that is not known: the usage says which are.
    return null;
  }
}

async function measure(folder: string, options: Options): Promise<void> {
  const beganMs = performance.now();
  const plan = options.quick ? quick : full;
  const supercronic = findSupercronic(join(repository, ".cache/bin"));
  const naivePath = join(import.meta.dirname, "naive-scheduler.ts");
  const contenders: readonly Contender[] = [
    createSupervisor(options.program),
    ...(supercronic.ok ? [createSupercronic(supercronic.path, supercronic.version)] : []),
    createNaive(naivePath),
  ];
  const without = supercronic.ok ? [] : [`Without supercronic: ${supercronic.reason}.`];
  const machine = describeMachine(repository, folder);
  process.stdout.write(`${machine.join("\n")}\n\n`);

  const tables: Table[] = [];
  const show = (table: Table): void => {
    tables.push(table);
    process.stdout.write(`${formatText(table)}\n`);
  };
  const own = (name: string): string => {
    const path = join(folder, name);
    mkdirSync(path);
    return path;
  };

  if (options.parts.includes("start")) {
    show(programStartTable(measureProgramStart(options.program, plan.starts), ["Aim: --help within 200 ms."]));
  }
  if (options.parts.includes("due")) {
    const results = await measureLateness(own("due"), contenders, {
      jobs: 50,
      turnSeconds: 4,
      dueSeconds: 1,
      rounds: plan.dueRounds,
    });
    show(
      latenessTable("50 jobs due at once: from the due second to each job's first instruction", results, [
        "Every start of ours has a synced claim in jobs.json and a synced ledger row before it; the peers keep nothing.",
        "Aim: p50 20 ms, p99 45 ms, ahead of supercronic at both.",
        ...without,
      ]),
    );
  }
  if (options.parts.includes("second") && plan.secondRounds > 0) {
    const results = await measureLateness(own("second"), contenders, {
      jobs: 1,
      turnSeconds: 5,
      dueSeconds: 5,
      rounds: plan.secondRounds,
    });
    show(
      latenessTable("One job a second: from the due second to its first instruction", results, [
        "Aim: p50 5 ms, p99 15 ms.",
        ...without,
      ]),
    );
  }
  if (options.parts.includes("lock")) {
    const results = [
      await measureTickLock(own("lock"), options.program, plan.lock),
      await measureTickLock(own("large-lock"), options.program, plan.largeLock),
    ];
    show(
      tickLockTable(results, [
        "Upper bounds: from the last try that found the lock free to the next one that did, one every quarter of a millisecond.",
        "Aim: p99 3 ms with 100 jobs; 1.3 times the rewriting with 10,000.",
      ]),
    );
  }
  if (options.parts.includes("homes")) {
    const { homes, jobsPerHome } = plan.homes;
    const result = await measureManyHomes(
      own("homes"),
      {
        supervisor: options.program,
        supercronic: supercronic.ok ? { path: supercronic.path, name: `supercronic ${supercronic.version}` } : null,
        naive: naivePath,
      },
      plan.homes,
    );
    const what = `${homes * jobsPerHome} jobs in ${homes} homes`;
    show(startTable(`Start with ${what}`, result, ["Aim: the first right claim within 1,000 ms."]));
    show(
      idleTable(`${what}, nothing due`, result, [
        "The peers have the jobs in one file and know no homes. Aim: 90 MiB, 0.1 % of a core, 2 wake-ups a second.",
        ...without,
      ]),
    );
  }

  if (options.parts.includes("fairness")) {
    const results = [];
    for (const order of ["fair", "oldest_first"] as const)
      results.push(await measureFairness(own(`fairness-${order}`), options.program, order, plan.fairness));
    show(
      fairnessTable(plan.fairness, results, [
        `${plan.fairness.places} places on the host, runs of ${plan.fairness.runSeconds} s; the flood is due a second before the others.`,
        "Fair share: an equal part of the starts for each home from the moment that the others come, so the second job of one starts with the sixteenth start at the latest.",
      ]),
    );
  }

  if (options.parts.includes("reads")) {
    const result = await measureReadApi(own("reads"), options.program, plan.reads);
    show(readApiTable(result, ["One request after another on one connection of each server, in turn. Aim: p99 5 ms."]));
  }

  if (options.parts.includes("prompt")) {
    const python = join(repository, ".cache/venvs/hermes-0.22/bin/python");
    const found = existsSync(python);
    const results = found ? await measurePromptStart(own("prompt"), options.program, python, plan.promptRounds) : [];
    show(
      promptStartTable(results, [
        ...(found ? [] : ["Not measured: there is no Hermes in .cache/venvs, run npm run test:hermes first."]),
        "Hermes 0.22 and a model of our own on this machine. Aim: 0.3 s with a worker that waited, 1.9 s without, 1.2 s for the last of eight.",
      ]),
    );
  }

  const tookSeconds = Math.round((performance.now() - beganMs) / 1000);
  process.stdout.write(`Took ${tookSeconds} s\n`);
  const whole = !options.quick && options.parts.length === parts.length && options.program === builtProgram;
  if (whole) writeFileSync(join(repository, "docs/benchmarks.md"), page(machine, tables));
}

function page(machine: readonly string[], tables: readonly Table[]): string {
  return [
    "# Benchmarks",
    "",
    "Written by `npm run bench`; do not edit. The contenders of one table ran in turns (A B C A B C …) in one run of the",
    "bench, so compare within a table, and mind the ratios more than the figures: they hold on other machines too. A ratio",
    "is the median over the rounds, with the least and the greatest of them. Percentiles are nearest ranks over all samples",
    "but those of the first round, which is everybody's first with nothing warm yet and has a column of its own.",
    "",
    "A job is a bash script whose first act is to write down `$EPOCHREALTIME`; lateness is that stamp less the due second.",
    "supercronic runs with `-quiet -passthrough-logs`; the naive scheduler is `test/bench/naive-scheduler.ts`.",
    "",
    ...machine.map((line) => `- ${line}`),
    "",
    ...tables.map(formatMarkdown),
  ].join("\n");
}

/** Of any file below `folder`, the time of its last change. */
function newestMs(folder: string): number {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .reduce((newest, entry) => Math.max(newest, statSync(join(entry.parentPath, entry.name)).mtimeMs), 0);
}

process.exitCode = await main();
