import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import { isMainThread, parentPort, Worker } from "node:worker_threads";
import { createProgress } from "../../src/cli/progress.ts";
import { drawScenario } from "./draw-scenario.ts";
import { simulate } from "./simulate.ts";
import { tellStory } from "./tell-story.ts";
import { trySeed } from "./try-seed.ts";

/**
 * `npm run simulate -- [--seeds N] [--from K] [--workers W] [--failures F]` tries N seeds from K on, on every core, and tells the
 * shortest history of each that breaks a law, up to F of them. A terminal is shown a bar, a pipe a line each ten seconds. Its last line says how many were clean; stopped by SIGINT, how to go
 * on. `--seed K` replays one and tells its whole history, with `--operations` each step of the daemon too.
 */

const seedsPerOrder = 50;
/** Most likely they all have one cause. */
const failuresUsual = "10";

interface Order {
  readonly from: number;
  readonly count: number;
}

interface Answer {
  readonly tried: number;
  readonly failures: readonly string[];
}

if (isMainThread) process.exitCode = await main();
else work();

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      seeds: { type: "string", default: "100000" },
      from: { type: "string", default: "1" },
      workers: { type: "string", default: String(availableParallelism()) },
      failures: { type: "string", default: failuresUsual },
      seed: { type: "string" },
      operations: { type: "boolean", default: false },
    },
  });
  if (values.seed !== undefined) return await replay(Number(values.seed), values.operations);
  return await tryAll(Number(values.from), Number(values.seeds), Number(values.workers), Number(values.failures));
}

async function replay(seed: number, operations: boolean): Promise<number> {
  const scenario = drawScenario(seed);
  const { findings, history } = await simulate(scenario, { trace: operations ? "operations" : "happenings" });
  process.stdout.write(`${tellStory(scenario, findings, history)}\n`);
  return findings.length === 0 ? 0 : 1;
}

async function tryAll(first: number, count: number, workers: number, failuresMax: number): Promise<number> {
  const startedAtMs = performance.now();
  const end = first + count;
  let next = first;
  let tried = 0;
  let failures = 0;
  let stopped = false;
  process.once("SIGINT", () => {
    stopped = true;
  });
  const tell = (): void => {
    const rate = tried / ((performance.now() - startedAtMs) / 1000);
    process.stderr.write(`${tried} of ${count} seeds, ${failures} failed, ${rate.toFixed(0)} a second\n`);
  };
  const { stderr } = process;
  const progress = createProgress(
    {
      system: { clock: { monotonicMs: () => performance.now() } },
      terminal: {
        error: (text) => stderr.write(text),
        isErrorTerminal: stderr.isTTY === true,
        get columns() {
          return stderr.isTTY ? stderr.columns || 80 : null;
        },
      },
    },
    "Trying seeds",
  );
  const timer = stderr.isTTY ? setInterval(() => progress.at(tried, count), 200) : setInterval(tell, 10_000);
  await Promise.all(
    Array.from({ length: workers }, async () => {
      const worker = new Worker(new URL(import.meta.url), {
        resourceLimits: { maxOldGenerationSizeMb: 1024, maxYoungGenerationSizeMb: 96 },
      });
      while (next < end && failures < failuresMax && !stopped) {
        const order: Order = { from: next, count: Math.min(seedsPerOrder, end - next) };
        next += order.count;
        const answer = await ask(worker, order);
        tried += answer.tried;
        failures += answer.failures.length;
        if (answer.failures.length > 0) progress.end();
        for (const failure of answer.failures) process.stdout.write(`${failure}\n\n`);
      }
      await worker.terminate();
    }),
  );
  clearInterval(timer);
  progress.end();
  tell();
  process.stdout.write(
    `${tried - failures} of ${tried} seeds from ${first} to ${next - 1} keep the laws, ${failures} do not\n`,
  );
  if (next < end) process.stdout.write(`Go on with --from ${next} --seeds ${end - next}\n`);
  return failures === 0 ? 0 : 1;
}

function ask(worker: Worker, order: Order): Promise<Answer> {
  return new Promise((resolve, reject) => {
    worker.removeAllListeners();
    worker.once("message", resolve);
    worker.once("error", reject);
    worker.postMessage(order);
  });
}

function work(): void {
  parentPort?.on("message", async ({ from, count }: Order) => {
    const failures: string[] = [];
    for (let seed = from; seed < from + count; seed++) {
      const failure = await trySeed(seed);
      if (failure !== null) failures.push(failure);
    }
    parentPort?.postMessage({ tried: count, failures } satisfies Answer);
  });
}
